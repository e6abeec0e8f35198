"""The notes that the journal makes for the ledger."""

from collections.abc import Sequence

import pytest

from ssmd.contracts.events import Acknowledged, Asked, Gap, NotAsked, Refused, SnapshotsReceived, SnapshotsRequested
from ssmd.contracts.writer import Note, Reads
from ssmd.errors import ConnectError, Disconnected
from ssmd.runtime.journal import PRESSURE_NS, Journal
from ssmd.runtime.reporter import Reporter


@pytest.fixture
def reporter(status):
    return Reporter("kalshi", status)


@pytest.fixture
def journal(status, metrics, reporter):
    return Journal(status, metrics, reporter)


LATE = [(1 << 62, 0)]
"""A read after all that a test records."""


def recorded(journal: Journal) -> list[tuple]:
    return [(note.event, note.ts_ns, dict(note.fields)) for note in journal.take(LATE)]


def test_a_disk_that_stays_behind_is_one_thing_that_happened(journal, metrics):
    for step in range(100):
        journal.waited(0.25, 10**9 + step * 1000)
    assert recorded(journal) == [("backpressure_began", 750_000_000, {})]
    journal.waited(0, 10**9 + PRESSURE_NS)  # Not a second since the last wait.
    assert recorded(journal) == []
    last = 10**9 + 99_000
    journal.waited(0, last + PRESSURE_NS)
    assert recorded(journal) == [("backpressure_ended", last, {"seconds": 25.0, "waits": 100})]
    assert not journal.pressed
    assert metrics.registry.get_sample_value("ssmd_backpressure_seconds_total", {"feed": "kalshi", "shard": ""}) == 25


def test_the_end_closes_what_is_open(journal):
    journal.waited(1.0, 5)
    journal.end(9, None, Disconnected("gone", 1001))
    events = recorded(journal)
    assert [event for event, _, _ in events] == [
        "backpressure_began",
        "backpressure_ended",
        "disconnected",
        "stopped",
    ]
    assert events[2][2] == {"code": 1001, "reason": "gone"}


def test_one_who_asked_and_one_that_never_connected_are_no_disconnect(journal):
    journal.end(9, "SIGTERM", Disconnected("closed by us"))
    assert recorded(journal) == [("stopped", 9, {"reason": "SIGTERM"})]
    journal.end(9, None, ConnectError("refused"))
    assert [event for event, _, _ in recorded(journal)] == ["stopped"]


def test_gaps_keep_their_place(journal, status):
    journal.events([Gap(1, 5, 8, place=3)], 7)
    [note] = journal.take(LATE)
    assert (note.event, note.place) == ("gap", 3)
    assert note.fields == {"sid": 1, "expected": 5, "got": 8, "missing": 3}
    assert status.missed == 3


def test_a_gap_that_does_not_say_how_many_messages_are_missing_leaves_their_number_unknown(journal, status):
    journal.events([Gap(1, 5, 8), Gap(7, 3, 9, name="KX-A", counted=False), Gap(1, 9, 10)], 7)
    fields = [note.fields for note in journal.take(LATE)]
    assert fields[1] == {"sid": 7, "expected": 3, "got": 9, "missing": None, "name": "KX-A"}
    assert (status.gaps, status.missed, status.known_missed) == (3, None, None)


@pytest.mark.parametrize(
    ("tickers", "acknowledged", "warned"),
    [(["A", "B", "B"], 1, True), (["A", "B", "B"], 2, False), (["A"], None, False), ([], None, False)],
)
def test_a_subscription_that_is_confirmed_in_part_is_a_warning(journal, caplog, tickers, acknowledged, warned):
    journal.events([Acknowledged("trade", 5, 0, tickers, acknowledged)], 1)
    warnings = [(record.tickers, record.acknowledged) for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ([(2, 1)] if warned else [])


def noted(journal: Journal) -> list[tuple]:
    return [(note.event, note.place, dict(note.fields)) for note in journal.take(LATE)]


def test_what_is_asked_for_is_noted_with_its_commands(journal):
    command = {"id": 1, "cmd": "subscribe", "params": {"channels": ["trade"], "use_yes_price": False}}
    some, all_markets = Asked(1, "trade", "subscribe", ["A", "B"], [command]), Asked(2, "ticker", "subscribe", None, [])
    journal.events([some, all_markets], 7)
    head = {"subscription": 1, "channel": "trade", "action": "subscribe"}
    assert noted(journal) == [
        ("asked", 0, {**head, "markets": ["A", "B"], "commands": [command]}),
        ("asked", 0, {**head, "subscription": 2, "channel": "ticker", "markets": "all", "commands": []}),
    ]
    journal.write_gathered(never)


def never() -> int:
    raise AssertionError("nothing is gathered, so nothing needs the time")


def test_a_change_waits_for_its_minute_and_is_not_lost_at_the_end(journal):
    journal.events([Asked(1, "trade", "add", ["C"], [{"id": 2}])], 7)
    assert noted(journal) == []
    journal.write_gathered(lambda: 59 * 10**9)
    assert noted(journal) == []
    journal.end(60 * 10**9 - 1, "SIGTERM", None)
    assert [event for event, _, _ in noted(journal)] == ["asked", "stopped"]


class Observing:
    """An observer that has a note each time it is asked."""

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        raise NotImplementedError

    def notes(self, now_ns: int, *, end: bool) -> list[Note]:
        return [Note("seen", now_ns, 0, {"end": end})]


def test_the_notes_of_an_observer_come_once_a_second_and_before_the_end(status, metrics, reporter):
    journal = Journal(status, metrics, reporter, [Observing()])
    journal.write_gathered(lambda: 5)
    journal.end(6, "SIGTERM", None)
    seen = [("seen", 5, {"end": False}), ("seen", 6, {"end": True})]
    assert recorded(journal) == [*seen, ("stopped", 6, {"reason": "SIGTERM"})]


def test_a_refusal_has_its_place_and_is_logged_once(journal, reporter, status, caplog):
    refused = Refused("trade", 26, "limit reached, 3 markets are missing", place=4)
    journal.events([refused, refused._replace(place=5)], 7)
    fields = {"channel": "trade", "code": 26, "text": "limit reached, 3 markets are missing", "for_now": False}
    assert noted(journal) == [("refused", 4, fields), ("refused", 5, fields)]
    reporter.finish()
    journal.events([refused], 8)
    reporter.finish()
    [record] = caplog.records
    assert (record.levelname, record.message) == ("ERROR", "refused by the exchange")
    assert (record.channel, record.code, record.text) == ("trade", 26, fields["text"])
    assert status.refused == {"trade": 26}


def test_a_channel_that_was_not_asked_for_is_only_in_the_log(journal, caplog):
    journal.events([NotAsked("book.update", "compare the paths")], 7)
    [record] = caplog.records
    assert (record.levelname, record.channel, record.remedy) == ("WARNING", "book.update", "compare the paths")
    assert noted(journal) == []


def test_the_log_leaves_out_what_is_not_known_of_a_refusal(journal, reporter, caplog):
    journal.events([Refused("", None, 'the exchange has said {"code":5}')], 7)
    reporter.finish()
    [record] = caplog.records
    assert record.text == 'the exchange has said {"code":5}'
    assert not {"channel", "code"} & set(vars(record))


def test_refusals_one_after_the_other_are_logged_with_the_last_count(journal, reporter, caplog):
    for count in range(200, 2001, 200):
        journal.events([Refused("trade", 26, f"limit reached, {count} markets are missing")], 7)
    reporter.finish()
    assert [record.text for record in caplog.records] == ["limit reached, 2000 markets are missing"]


def test_what_is_refused_for_now_is_a_warning(journal, reporter, status, caplog):
    refused = Refused("trade", 27, "too many commands; the command is sent again", for_now=True)
    journal.events([refused], 7)
    assert noted(journal) == [("refused", 0, {"channel": "trade", "code": 27, "text": refused.text, "for_now": True})]
    reporter.finish()
    [record] = caplog.records
    assert (record.levelname, record.message) == ("WARNING", "refused by the exchange for now")
    assert status.refused == {}


def test_requests_for_books_are_noted_by_name_and_logged_together(journal, status, caplog):
    names = [f"M{number}" for number in range(30)]
    with caplog.at_level("INFO"):
        gap = Gap(3, 5, 8, place=2, books="orderbook_delta")
        journal.events_of([(7, 10)], [gap, SnapshotsRequested(3, "orderbook_delta", names[:20], "gap")])
        missing, first = noted(journal)
        journal.events([SnapshotsRequested(3, "orderbook_delta", names[20:], "gap")], 8)
        assert status.broken_books == {"orderbook_delta"}
        status.broken_books.clear()
        journal.events_of([(9, 10)], [SnapshotsReceived(3, "orderbook_delta", 29, place=9, missing=["M5"])])
    second, received = noted(journal)
    assert missing == ("gap", 2, {"sid": 3, "expected": 5, "got": 8, "missing": 3})
    head = {"sid": 3, "channel": "orderbook_delta"}
    assert first == ("snapshot_requested", 2, {**head, "markets": names[:20], "why": "gap"})
    assert second == ("snapshot_requested", 0, {**head, "markets": names[20:], "why": "gap"})
    assert received == ("snapshots_received", 9, {**head, "markets": 29, "missing": ["M5"]})
    assert not status.broken_books
    journal.events([Gap(4, 5, 6)], 10)
    assert not status.broken_books
    missed, asked, lacking = caplog.records  # In the order in which they happened.
    assert (missed.message, missed.books_not_known) == ("sequence gap", "orderbook_delta")
    assert (asked.message, asked.channel, asked.why, asked.books) == (
        "order books asked for again", "orderbook_delta", "gap", 30
    )  # fmt: skip
    assert asked.markets.endswith("M23, and 6 more")
    assert "the exchange sends no order book of some markets" in lacking.message
    assert (lacking.levelname, lacking.books, lacking.count, lacking.markets) == ("WARNING", 29, 1, "M5")


def test_order_books_are_complete_when_all_have_come(journal, caplog):
    with caplog.at_level("INFO"):
        journal.events([SnapshotsReceived(3, "orderbook_delta", 29, place=9)], 9)
    [complete] = caplog.records
    assert (complete.levelname, complete.message, complete.books) == ("INFO", "order books complete", 29)


def test_the_books_of_a_new_day_are_asked_for_without_being_broken(journal, status):
    journal.events([SnapshotsRequested(3, "orderbook_delta", ["A"], "day")], 7)
    assert [event for event, _, _ in noted(journal)] == ["snapshot_requested"]
    assert not status.broken_books


def test_a_subscription_without_a_sid_is_logged_without_one(journal, caplog):
    caplog.set_level("INFO", logger="ssmd.runner")
    journal.events([Acknowledged("trade", None), Acknowledged("book", 5)], 1)
    assert [(record.channel, getattr(record, "sid", "none")) for record in caplog.records] == [
        ("trade", "none"),
        ("book", 5),
    ]


# Several reads of the socket that are handled together.

READS = [(100, 2), (200, 1), (300, 3)]


def entries(notes: Sequence[Note]) -> list[tuple[str, int, int]]:
    return [(note.event, note.place, note.ts_ns) for note in notes]


def test_an_event_has_the_time_of_the_read_of_its_message(journal):
    journal.events_of(READS, [Gap(1, number, number + 2, place=number) for number in range(6)])
    times = [100, 100, 200, 300, 300, 300]
    assert entries(journal.take(READS)) == [("gap", place, ns) for place, ns in enumerate(times)]


def test_an_event_after_the_last_message_has_the_time_of_the_last_read(journal):
    journal.events_of(READS, [SnapshotsReceived(3, "orderbook_delta", 29, place=6)])
    assert entries(journal.take(READS)) == [("snapshots_received", 6, 300)]


def test_a_request_belongs_to_the_gap_that_is_its_reason(journal):
    gaps = [Gap(3, 5, 8, place=1, books="book"), Gap(3, 9, 12, place=4, books="book")]
    asked = SnapshotsRequested(3, "book", ["A"], "gap")
    journal.events_of(READS, [gaps[0], asked, gaps[1], asked])
    assert entries(journal.take(READS)) == [
        ("gap", 1, 100),
        ("snapshot_requested", 1, 100),
        ("gap", 4, 300),
        ("snapshot_requested", 4, 300),
    ]


def test_what_is_asked_for_because_of_a_message_comes_after_the_note_of_that_message(journal):
    refused = Refused("trade", 27, "too many commands", place=4, for_now=True)
    journal.events_of(READS, [refused, Asked(1, "trade", "subscribe", ["A"], [])])
    assert entries(journal.take(READS)) == [("refused", 4, 300), ("asked", 4, 300)]


def test_what_is_asked_for_in_several_commands_is_one_note_whatever_its_reason(journal):
    asked = [Asked(1, "trade", "subscribe", [market], [{"id": number}]) for number, market in enumerate("ABC")]
    journal.events_of(READS, asked)
    [note] = journal.take(READS)
    assert (note.fields["markets"], note.fields["commands"]) == (["A", "B", "C"], [{"id": 0}, {"id": 1}, {"id": 2}])


@pytest.mark.parametrize(
    ("ts_ns", "place"), [(1, 0), (100, 0), (101, 2), (150, 2), (200, 2), (201, 3), (299, 3), (300, 3)]
)
def test_a_note_made_between_two_reads_has_its_place_between_their_messages(journal, ts_ns, place):
    journal.note("silent", ts_ns)
    assert entries(journal.take(READS)) == [("silent", place, ts_ns)]
    assert journal.pending == []


def test_a_note_made_after_the_last_read_waits_for_the_messages_that_come_later(journal):
    journal.note("silent", 301)
    assert entries(journal.take(READS)) == []
    assert entries(journal.take([(300, 1)])) == []
    assert entries(journal.take([(301, 0)])) == [("silent", 0, 301)]


def test_notes_made_while_reads_were_held_and_events_among_their_messages_are_in_order_of_place_and_time(journal):
    for ts_ns in (50, 150, 200, 250, 350):
        journal.note("silent", ts_ns)
    journal.events_of(READS, [Gap(1, number, number + 2, place=number) for number in range(6)])
    notes = journal.take(READS)
    assert entries(notes) == [
        ("silent", 0, 50),
        ("gap", 0, 100),
        ("gap", 1, 100),
        ("silent", 2, 150),
        ("silent", 2, 200),
        ("gap", 2, 200),
        ("silent", 3, 250),
        ("gap", 3, 300),
        ("gap", 4, 300),
        ("gap", 5, 300),
    ]
    assert entries(journal.pending) == [("silent", 0, 350)]
