"""A value that is found in a thread, and kept."""

from __future__ import annotations

import os

import pytest
from exchange_server import eventually

from ssmd.errors import DataError
from ssmd.runtime.kept_fresh import KeptFresh


def test_the_first_to_ask_waits_for_it():
    assert KeptFresh(lambda: 7, 60).ask(5.0) == 7


def test_nobody_waits_longer_than_asked_for_and_the_value_comes_later():
    read, write = os.pipe()
    kept = KeptFresh(lambda: len(os.read(read, 7)), 60)
    assert kept.ask() is None
    assert kept.ask(0.01) is None
    os.write(write, b"7 bytes")
    eventually(lambda: kept.ask() == 7)


def test_it_is_found_once_as_long_as_it_is_fresh():
    found: list[int] = []
    kept = KeptFresh(lambda: found.append(1) or len(found), 60)
    assert [kept.ask(5.0) for _ in range(5)] == [1] * 5


def test_it_is_found_again_afterwards_and_the_old_one_answers_meanwhile():
    found: list[int] = []
    kept = KeptFresh(lambda: found.append(1) or len(found), 0)
    assert kept.ask(5.0) == 1
    eventually(lambda: (kept.ask() or 0) >= 3)


@pytest.mark.parametrize("error", [OSError("gone"), DataError("2026-01-01: is no folder")])
def test_when_it_cannot_be_found_the_last_one_stays(error):
    results = iter([7])

    def find() -> int:
        for result in results:
            return result
        raise error

    kept = KeptFresh(find, 0)
    assert [kept.ask(5.0) for _ in range(10)] == [7] * 10


@pytest.mark.parametrize("error", [OSError("gone"), DataError("2026-01-01: is no folder")])
def test_when_it_was_never_found_there_is_none(error):
    def find() -> int:
        raise error

    assert KeptFresh(find, 60).ask(5.0) is None
