"""What people should know of a day's ledger is said in a few sentences, however many entries there are."""

from __future__ import annotations

import pytest
from recorded import KALSHI, trade, write_day
from recorded_runs import all_findings, verdicts

from ssmd.proof.ledger_notes import ledger_notes
from ssmd.store.ledger import Entry
from ssmd.store.timestamps import day_begins, timestamp

DAY = "2026-09-20"
BEGIN = day_begins(DAY)


def entry(second: float, event: str, line: int = 0, **fields: object) -> Entry:
    return Entry(BEGIN + int(second * 1e9), event, line, line, fields)


def silent(second: float, channel: str = "ticker", since: float | None = None) -> Entry:
    begin = BEGIN + int((second if since is None else since) * 1e9)
    return entry(second, "silent", channel=channel, since=timestamp(begin), markets=2, names=["KX-A", "KX-B"])


HEARD = entry(90, "heard", channel="ticker")


def notes(*entries: Entry, lines: int = 10, last: float = 1000) -> list[str]:
    return list(ledger_notes(DAY, entries, lines, BEGIN + int(last * 1e9)))


def test_an_ordinary_ledger_has_no_notes():
    assert notes(entry(0, "started"), entry(1, "connected"), entry(1, "asked", channel="ticker"), entry(2, "gap")) == []
    assert notes() == []


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([silent(60, since=30), HEARD], "once, for 60 s in all"),
        ([silent(60), silent(120), entry(180, "heard", channel="ticker")], "once, for 120 s in all"),
        ([silent(60), entry(90, "heard", channel="trade"), entry(100, "disconnected")], "once, for 40 s in all"),
        ([silent(60), HEARD, silent(95), entry(99, "stopped")], "2 times, for 34 s in all"),
        ([silent(60), entry(90, "mark"), entry(500, "outage"), entry(500, "started")], "once, for 30 s in all"),
        ([silent(60)], "once, for 940 s in all"),
        ([silent(60, since=-600), HEARD], "once, for 90 s in all"),
        ([entry(60, "silent", channel="ticker", since=None), entry(90, "rotated")], "once, for 30 s in all"),
    ],
)  # fmt: skip
def test_silences_are_added_up(entries, expected):
    """A silence lasts from the time that the entry names until the channel is heard or the session ends."""
    assert notes(entry(0, "started"), entry(1, "connected"), *entries) == [f"the channel ticker was silent {expected}"]


def test_many_silent_channels_are_counted():
    found = notes(*(silent(60 + number, f"channel {number}") for number in range(8)))
    assert (len(found), found[-1]) == (6, "and 3 more channels were silent")


def test_refusals_are_gathered():
    refused = {"channel": "orderbook_delta", "code": 26, "text": "limit reached; 12 markets are missing"}
    again = [entry(number, "refused", number, **refused) for number in range(3)]
    assert notes(*again, entry(9, "refused", 9, channel="trade", code=None, text="no")) == [
        "the exchange refused a part of the channel orderbook_delta 3 times with code 26: "
        "limit reached; 12 markets are missing",
        "the exchange refused a part of the channel trade: no",
    ]


def test_of_refusals_one_after_the_other_the_last_one_is_shown():
    refusals = [
        entry(number, "refused", number, channel="trade", code=26, text=f"{200 * number} of 10,000 are missing")
        for number in range(1, 50)
    ]
    assert notes(*refusals, entry(60, "refused", 60, channel="", code=26, text="limit")) == [
        "the exchange refused a part of the channel trade 49 times with code 26, the last time: "
        "9800 of 10,000 are missing",
        "the exchange refused a command with code 26: limit",
    ]


def test_what_was_refused_for_now_is_no_note():
    refused = {"channel": "trade", "code": 27, "text": "too many commands"}
    assert notes(entry(1, "refused", 1, **refused, for_now=True)) == []
    assert len(notes(entry(1, "refused", 1, **refused, for_now=False))) == 1


def books(second: float, event: str, *markets: str, sid: int = 1, **more: object) -> Entry:
    return entry(second, event, 0, sid=sid, channel="orderbook_delta", markets=list(markets), **more)


ASKED = books(2, "snapshot_requested", "KX-B", "KX-A", why="gap")
CAME = entry(3, "snapshots_received", sid=1, channel="orderbook_delta", markets=2, missing=[])
NOT_ALL = "that were asked for and may not all have come"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([ASKED, CAME, entry(4, "stopped")], None),
        ([ASKED, entry(4, "stopped")], f"{NOT_ALL}: 2 (KX-A, KX-B)"),
        ([ASKED, entry(4, "outage"), CAME], f"{NOT_ALL}: 2 (KX-A, KX-B)"),
        ([ASKED], f"{NOT_ALL}: 2 (KX-A, KX-B)"),
        ([ASKED, ASKED, books(3, "snapshot_requested", "KX-C", sid=2), CAME], f"{NOT_ALL}: 1 (KX-C)"),
        (
            [ASKED, CAME._replace(fields={**CAME.fields, "missing": ["KX-B"]})],
            "that were asked for and did not come: 1 (KX-B)",
        ),
        ([books(2, "snapshot_requested", *"abcdefg")], f"{NOT_ALL}: 7 (a, b, c, d, e and 2 more)"),
        ([ASKED._replace(fields={"sid": [], "markets": 5}), entry(3, "snapshots_received", missing={})], None),
    ],
)  # fmt: skip
def test_order_books_that_did_not_come_are_named(entries, expected):
    begin = "order books of the channel orderbook_delta "
    assert notes(*entries) == ([] if expected is None else [begin + expected])


def test_fields_that_are_not_what_they_should_be_are_no_trouble():
    refused = entry(2, "refused", channel=None, code={}, text=None)
    found = notes(entry(1, "silent", channel=["\x1b[31m"], since=7), refused)
    assert len(found) == 2
    assert all(text.isprintable() for text in found)


def test_unknown_events_are_named():
    found = notes(*(entry(number, f"later {number % 7}") for number in range(22)))
    assert found == [
        "has 22 entries in its ledger whose events this version does not know; a later version may have written them: "
        "later 0 (4), later 1 (3), later 2 (3), later 3 (3), later 4 (3) and 2 more"
    ]


LINES = [(number, trade(number)) for number in range(2, 12)]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_renamed_connected_is_a_note_and_one_that_is_gone_is_a_finding(tmp_path, sealed):
    """The later version may have begun the session in another way. Without any such entry, the ledger is damaged."""
    later: tuple[float, str, dict] = (1, "connected-anew", {})
    write_day(tmp_path, DAY, (0, "started", KALSHI), later, *LINES, (20, "stopped", {}), sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    unknown, lines = verdict.notes
    assert "connected-anew (1)" in unknown
    assert lines == "lines 1 to 10 belong to no connection that this version finds in the ledger"
    write_day(tmp_path, DAY, (0, "started", KALSHI), *LINES, (20, "stopped", {}), sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert all_findings([verdict])[-1:] == [
        (DAY, 1, "belongs to no connection in the ledger, and neither do the lines up to 10")
    ]
    assert verdict.notes == []
