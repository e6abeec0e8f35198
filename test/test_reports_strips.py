"""The last days as strips, of histories that the real file writer has recorded."""

from __future__ import annotations

from recorded_runs import DAY, HOUR, Run, at, record_run, seal_all

from ssmd.contracts.strip import CLOSED, LISTENING, OUTAGE, UNKNOWN, Piece, Strip
from ssmd.reports.strips import Strips, of_entries
from ssmd.runtime.status import Status
from ssmd.server import present
from ssmd.store.ledger import Entry
from ssmd.store.timestamps import day_begins, timestamp


def strips(storage, now_ns, *, connected=False) -> dict[str, Strip]:
    found = Strips(storage, "kalshi", lambda: connected, lambda: now_ns).read()
    assert [strip.day for strip in found] == sorted(strip.day for strip in found)
    return {strip.day: strip for strip in found}


def shown(strip: Strip) -> list[tuple[str, str, str, str]]:
    return [
        (timestamp(piece.begin_ns)[11:19], timestamp(piece.end_ns)[11:19], piece.kind, piece.cause)
        for piece in strip.pieces
    ]


def test_there_are_eight_days_and_nothing_is_known_of_those_without_files(tmp_path):
    found = strips(tmp_path, at("22T10:00:00"))
    assert [*found] == [f"2025-12-{day}" for day in range(15, 23)]
    assert {kind for strip in found.values() for *_, kind, _ in shown(strip)} == {UNKNOWN}
    assert {strip.coverage for strip in found.values()} == {None}
    assert shown(found["2025-12-22"]) == [("00:00:00", "10:00:00", UNKNOWN, "")]


def test_today_from_its_ledger_while_it_is_collected(tmp_path):
    record_run(tmp_path, at("22T06:00:00"), at("22T06:30:00"), end_ns=at("22T08:00:00"))
    run = Run(tmp_path, at("22T09:00:00"))
    run.note("outage", at("22T09:00:00"), **{"from": timestamp(at("22T08:00:00")), "cause": "stopped"})
    run.note("connected", at("22T09:00:00"))
    run.message(at("22T09:00:05"))
    today = strips(tmp_path, at("22T10:00:00"), connected=True)["2025-12-22"]
    assert shown(today) == [
        ("00:00:00", "06:00:00", OUTAGE, "not_started"),
        ("06:00:00", "08:00:00", LISTENING, ""),
        ("08:00:00", "09:00:00", OUTAGE, "stopped"),
        ("09:00:00", "10:00:00", LISTENING, ""),
    ]
    assert today.coverage == 30
    assert (today.before_all, len(today.outages)) == (today.pieces[0], 2)


def test_a_connection_without_an_end_has_ended_when_this_process_is_not_connected(tmp_path):
    run = Run(tmp_path, at("22T00:00:00"))
    run.note("connected", at("22T00:00:00"))
    run.message(at("22T05:00:00"))
    run.note("gap", at("22T06:00:00"), sid=1, expected=1, got=2, missing=1)
    run.message(at("22T06:00:00"))
    today = strips(tmp_path, at("22T10:00:00"))["2025-12-22"]
    assert shown(today) == [("00:00:00", "06:00:00", LISTENING, ""), ("06:00:00", "10:00:00", OUTAGE, "killed")]
    assert today.gaps_ns == [at("22T06:00:00")]


def test_the_outage_after_a_kill_begins_with_the_last_line_and_not_with_the_last_entry_of_the_ledger(tmp_path):
    run = Run(tmp_path, at("22T00:00:00"))
    run.note("connected", at("22T00:00:00"))
    run.message(at("22T05:00:00"))
    before = strips(tmp_path, at("22T05:30:00"))["2025-12-22"]  # As of a start that has written nothing yet.
    # Two starts after it, as a collector makes them: the first cannot connect, so the second tells of the same outage.
    for start in (at("22T05:10:00"), at("22T05:20:00")):
        run.note("torn", start, file="kalshi.jsonl.torn", bytes=7)
        run.note("outage", start, **{"from": timestamp(at("22T05:00:00")), "to": timestamp(start), "cause": "killed"})
        run.note("started", start)
    today = strips(tmp_path, at("22T05:30:00"))["2025-12-22"]
    assert shown(today) == [("00:00:00", "05:00:00", LISTENING, ""), ("05:00:00", "05:30:00", OUTAGE, "killed")]
    assert shown(before) == shown(today)


def test_now_is_never_an_outage_while_it_is_connected(tmp_path):
    """Outages are in whole microseconds."""
    run = Run(tmp_path, at("22T00:00:00"))
    run.note("connected", at("22T00:00:00"))
    run.message(at("22T05:00:00"))
    for rest in (1, 999, 1001):
        today = strips(tmp_path, at("22T06:00:00") + rest, connected=True)["2025-12-22"]
        assert [kind for *_, kind, _ in shown(today)] == [LISTENING]


def test_over_midnight_without_a_message_today(tmp_path):
    run = Run(tmp_path, at("22T00:00:00"))
    run.note("connected", at("22T00:00:00"))
    run.message(at("22T05:00:00"))
    found = strips(tmp_path, at("23T02:00:00"), connected=True)
    assert shown(found["2025-12-23"]) == [("00:00:00", "02:00:00", LISTENING, "")]


def test_a_sealed_day_from_its_manifest_which_is_read_once(tmp_path):
    record_run(tmp_path, at("21T06:00:00"), at("21T06:30:00"), end_ns=at("21T18:00:00"))
    seal_all(tmp_path)
    before = Strips(tmp_path, "kalshi", lambda: False, lambda: at("22T10:00:00"))
    sealed = before.read()[-2]
    assert shown(sealed) == [
        ("00:00:00", "06:00:00", OUTAGE, "not_started"),
        ("06:00:00", "18:00:00", LISTENING, ""),
        ("18:00:00", "00:00:00", OUTAGE, "stopped"),
    ]
    assert (sealed.coverage, sealed.gaps, sealed.missing) == (50, 0, 0)
    next(tmp_path.glob("2025-12-21/*.manifest.json")).unlink()
    assert before.read()[-2] is sealed


def test_a_manifest_that_cannot_be_read_leaves_the_ledger(tmp_path):
    record_run(tmp_path, at("21T06:00:00"), at("21T06:30:00"), end_ns=at("21T18:00:00"))
    seal_all(tmp_path)
    next(tmp_path.glob("2025-12-21/*.manifest.json")).write_text("{")
    assert [kind for *_, kind, _ in shown(strips(tmp_path, at("22T10:00:00"))["2025-12-21"])] == [
        OUTAGE,
        LISTENING,
        OUTAGE,
    ]


def test_closed_hours_are_no_outage():
    begin = day_begins("2025-12-22")
    entries = [
        Entry(begin + 9 * HOUR, "started", 0, 0, {}),
        Entry(
            begin + 9 * HOUR,
            "opened",
            0,
            0,
            {"since": timestamp(begin - 6 * HOUR), "at": timestamp(begin + 9 * HOUR), "closes": timestamp(begin + DAY)},
        ),
        Entry(begin + 9 * HOUR, "connected", 0, 0, {}),
    ]
    today = of_entries("2025-12-22", entries, begin + 10 * HOUR, is_connected=True)
    assert [kind for *_, kind, _ in shown(today)] == [CLOSED, LISTENING]
    assert today.coverage == 100


def test_the_coverage_is_that_of_the_time_that_was_not_closed():
    begin = day_begins("2025-12-22")
    hours = [Piece(begin, begin + HOUR, CLOSED), Piece(begin + HOUR, begin + 4 * HOUR, LISTENING)]
    assert Strip("2025-12-22", []).coverage is None
    assert Strip("2025-12-22", hours[:1]).coverage == 100
    assert Strip("2025-12-22", hours).coverage == 100
    assert Strip("2025-12-22", [*hours, Piece(begin + 4 * HOUR, begin + 5 * HOUR, OUTAGE)]).coverage == 75


def test_how_the_last_run_has_ended(tmp_path):
    def last_end():
        return strips(tmp_path, at("22T10:00:00"))["2025-12-22"].last_end

    run = Run(tmp_path, at("22T06:00:00"))
    assert last_end() is None, "it goes on"
    run.note("connected", at("22T06:00:00"))
    run.message(at("22T07:00:00"))
    run.note("disconnected", at("22T08:00:00"), code=1001, reason="the exchange hung up: going\naway")
    run.note("stopped", at("22T08:00:00"), reason="the connection has ended")
    run.kill()
    assert last_end() == (at("22T08:00:00"), "the exchange hung up: going away")
    failed = Run(tmp_path, at("22T08:30:00"))
    failed.note("stopped", at("22T08:30:07"), reason="cannot connect")
    failed.kill()
    assert last_end() == (at("22T08:30:07"), "cannot connect")
    Run(tmp_path, at("22T09:00:00")).kill()
    assert last_end() == (at("22T08:30:07"), "cannot connect"), "nothing says that this one is over"
    Run(tmp_path, at("22T09:30:00")).kill()
    assert last_end() == (at("22T09:00:00"), None)
    assert strips(tmp_path, at("23T10:00:00"))["2025-12-22"].last_end == (at("22T09:30:00"), None)


def said_last_end(storage, now, *, connected=False):
    """Return what /status says of how the last run ended, as the time of December 2025 and the reason."""
    days = [*strips(storage, at(now), connected=connected).values()]
    found = present.last_end(Status(), days, texts=True)
    return None if found is None else (found["time"][8:19], found["reason"])


def over_midnight(storage) -> Run:
    run = Run(storage, at("22T10:00:00"))
    run.note("connected", at("22T10:00:00"))
    run.message(at("22T23:59:50"))
    return run


def start_after_a_kill(storage, start, since) -> Run:
    fields = {"from": timestamp(at(since)), "to": timestamp(at(start)), "cause": "killed"}
    run = Run(storage, at(start), ("outage", fields))
    run.note("connected", at(start))
    run.message(at(start))
    return run


def test_a_run_that_goes_on_over_midnight_has_not_ended(tmp_path):
    run = over_midnight(tmp_path)
    assert said_last_end(tmp_path, "23T00:00:10", connected=True) is None, "before its first message of the day"
    assert shown(strips(tmp_path, at("23T00:00:10"), connected=True)["2025-12-22"])[1:] == [
        ("10:00:00", "00:00:00", LISTENING, "")
    ]
    run.message(at("23T00:30:00"))
    assert said_last_end(tmp_path, "23T01:00:00", connected=True) is None
    run.stop(at("23T02:00:00"))
    assert said_last_end(tmp_path, "23T03:00:00") == ("23T02:00:00", "SIGTERM")


def test_a_run_that_went_on_over_midnight_and_was_killed(tmp_path):
    run = over_midnight(tmp_path)
    run.message(at("23T00:30:00"))
    run.message(at("23T15:00:00"))
    run.kill()
    start_after_a_kill(tmp_path, "23T15:10:00", "23T15:00:00")
    for connected in (False, True):
        assert said_last_end(tmp_path, "23T16:00:00", connected=connected) == ("23T15:00:00", None)


def test_a_run_that_was_killed_on_an_earlier_day(tmp_path):
    run = Run(tmp_path, at("22T10:00:00"))
    run.note("connected", at("22T10:00:00"))
    run.message(at("22T15:00:00"))
    run.kill()
    assert said_last_end(tmp_path, "23T00:05:00") == ("22T15:00:00", None)
    start_after_a_kill(tmp_path, "23T00:10:00", "22T15:00:00")
    for connected in (False, True):
        assert said_last_end(tmp_path, "23T01:00:00", connected=connected) == ("22T15:00:00", None)
        assert shown(strips(tmp_path, at("23T01:00:00"), connected=connected)["2025-12-22"])[1:] == [
            ("10:00:00", "15:00:00", LISTENING, ""),
            ("15:00:00", "00:00:00", OUTAGE, "killed"),
        ]
    seal_all(tmp_path, "2025-12-23")
    assert said_last_end(tmp_path, "23T01:00:00", connected=True) == ("22T15:00:00", None), "from the outage of today"


def test_a_later_attempt_counts_also_when_the_first_start_of_today_tells_of_the_kill_before_it(tmp_path):
    run = Run(tmp_path, at("22T10:00:00"))
    run.note("connected", at("22T10:00:00"))
    run.message(at("22T15:00:00"))
    run.kill()
    failed = Run(tmp_path, at("22T15:10:00"))
    failed.note("stopped", at("22T15:10:07"), reason="cannot connect")
    failed.kill()
    start_after_a_kill(tmp_path, "23T00:10:00", "22T15:00:00")
    assert said_last_end(tmp_path, "23T01:00:00", connected=True) == ("22T15:10:07", "cannot connect")
