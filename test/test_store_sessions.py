"""Sessions are found in the entries of a ledger: when each began and ended, why, and with which dialect."""

from __future__ import annotations

import pytest

from ssmd.store.ledger import EVENTS, FIRST_OF_A_RUN, Entry
from ssmd.store.sessions import KILLED, sessions


def entries(*events: str | tuple[str, dict]) -> list[Entry]:
    """Entries at 1 ns, 2 ns and so on."""
    pairs = [event if isinstance(event, tuple) else (event, {}) for event in events]
    return [Entry(ns, event, 0, 0, fields) for ns, (event, fields) in enumerate(pairs, 1)]


def spans(*events: str | tuple[str, dict]) -> list[tuple[int, int | None, str, int]]:
    """When each session began and ended, why, and when it was last seen."""
    return [
        (found.began.ts_ns, found.ended.ts_ns if found.ended else None, found.cause, found.seen_ns)
        for found in sessions(entries(*events))
    ]


@pytest.mark.parametrize("end", ["disconnected", "stopped", "rotated"])
@pytest.mark.parametrize("begin", ["connected", "continued"])
def test_a_session_lasts_from_its_beginning_to_its_end(begin, end):
    assert spans("started", begin, "subscribed", "gap", end, "mark") == [(2, 5, end, 5)]


@pytest.mark.parametrize("first", FIRST_OF_A_RUN)
def test_a_session_without_an_end_was_killed(first):
    assert spans("started", "connected", "mark") == [(2, None, KILLED, 3)]
    assert spans("started", "connected", "mark", first, "mark") == [(2, None, KILLED, 3)]
    [found] = sessions(entries("connected", "mark", first))
    assert (found.ended, found.next) == (None, entries("connected", "mark", first)[2])


def test_a_second_connected_ends_a_session_without_an_end():
    assert spans("started", "connected", "connected", "stopped") == [(2, None, KILLED, 2), (3, 4, "stopped", 4)]


def test_what_comes_after_the_end_belongs_to_no_session():
    assert spans("connected", "disconnected", "stopped", "gap") == [(1, 2, "disconnected", 2)]
    assert spans("started", "stopped", "torn", "imported") == []


def test_a_session_has_the_dialect_that_was_named_last():
    kalshi, generic = ("started", {"exchange": "kalshi"}), ("continued", {"exchange": "generic"})
    damaged = ("started", {"exchange": 5})
    found = sessions(entries("connected", kalshi, "connected", generic, "rotated", damaged, "connected"))
    names = [session.dialect.exchange if session.dialect is not None else None for session in found]
    assert names == [None, "kalshi", "generic", "generic"]


def test_a_session_has_the_description_that_was_in_force():
    first, second = ({"exchange": "generic", "description": {"paths": {"type": name}}} for name in "ab")
    events = ("started", first), "connected", ("continued", second), ("started", {"exchange": "generic"}), "connected"
    dialects = [session.dialect for session in sessions(entries(*events))]
    assert [(one.exchange, one.description) for one in dialects if one is not None] == [
        ("generic", first["description"]),
        ("generic", second["description"]),
        ("generic", {}),
    ]


@pytest.mark.parametrize("damaged", [None, 5, "paths", ["paths"], True])
def test_a_damaged_description_is_none(damaged):
    [session] = sessions(entries(("started", {"exchange": "generic", "description": damaged}), "connected"))
    assert session.dialect == ("generic", {}, 0)


def test_the_last_step_of_the_clock_is_kept():
    steps = [("clock_stepped", {"seconds": seconds}) for seconds in (1, 2)]
    [found] = sessions(entries("connected", *steps, "stopped"))
    assert found.stepped is not None
    assert found.stepped.fields == {"seconds": 2}


def test_an_unknown_event_does_not_show_that_a_connection_was_open():
    """A later version may write it whenever it likes, and the run may be killed after that."""
    known = entries("started", "connected", "mark")
    later = Entry(9, "of a later version", 0, 0, {})
    [session] = sessions([*known, later])
    assert session.seen_ns == 3
    assert sessions([*known, later]) == sessions(known)


@pytest.mark.parametrize("event", sorted(EVENTS - {*FIRST_OF_A_RUN, "connected", "continued"}))
def test_every_known_event_shows_that_the_connection_is_open(event):
    assert spans("connected", event)[0][3] == 2
