"""The marks of tests."""

from types import SimpleNamespace

import abilities
import pytest


@pytest.mark.parametrize(
    ("time_of_day", "arguments", "slept"),
    [
        (0, (), []),
        (86_400 - 121, (), []),
        (86_400 - 120, (), [120.1]),
        (86_399, (), [1.1]),
        (86_400 - 240, (240,), [240.1]),
    ],
)
def test_a_test_of_one_day_begins_after_a_midnight_that_could_come_before_it_ends(
    monkeypatch, time_of_day, arguments, slept
):
    waits: list[float] = []
    clock = SimpleNamespace(time=lambda: 20_000 * 86_400.0 + time_of_day, sleep=waits.append)
    monkeypatch.setattr(abilities, "time", clock)
    abilities.await_midnight(*arguments)
    assert waits == pytest.approx(slept)


@pytest.mark.parametrize(("setting", "outcome"), [("", pytest.skip.Exception), ("required", pytest.fail.Exception)])
def test_without_a_program_a_test_is_skipped_and_fails_where_programs_are_required(monkeypatch, setting, outcome):
    monkeypatch.setenv("SSMD_TEST_PROGRAMS", setting)
    abilities.need("sh")
    with pytest.raises(outcome, match="needs no-such-program"):
        abilities.need("no-such-program")
