"""What people are told: the summary, the gaps, the warning about confirmations, the status line."""

import logging

import pytest

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import NO_NUMBERS_YET
from ssmd.runtime.reporter import ACKNOWLEDGE_SECONDS, NUMBERS_SECONDS, SUMMARY_SECONDS, Reporter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(caplog):
    caplog.set_level(logging.INFO, "ssmd.runner")
    return lambda: [record.message for record in caplog.records]


def test_a_summary_once_a_minute_with_the_rate_of_that_minute(status, clock, events, caplog):
    reporter = Reporter("kalshi", status, monotonic=clock)
    for minute, messages in [(1, 600), (2, 1800)]:
        clock.now, status.messages = minute * SUMMARY_SECONDS, messages
        reporter.tick([])
        clock.now += 1
        reporter.tick([])
    assert events() == ["summary", "summary"]
    assert [(record.messages, record.rate) for record in caplog.records] == [(600, 10.0), (1800, 20.0)]


def test_messages_that_are_not_json_are_warned_of_once_for_each_kind(status, clock, events, caplog):
    """A binary feed has nothing else: a warning each second would fill the log."""
    reporter = Reporter("kalshi", status, monotonic=clock)
    reporter.tick([])
    status.kinds_not_json = kinds = {"gzip (1f 8b)": None}
    for clock.now in range(1, 5):
        status.not_json += 100
        reporter.tick([])
    kinds["text"] = None
    reporter.tick([])
    reporter.finish()
    assert events() == ["messages that are not JSON are kept as strings; from now on they are only counted"] * 2
    assert [(record.messages, record.looks_like) for record in caplog.records] == [(100, "gzip (1f 8b)"), (400, "text")]


@pytest.mark.parametrize(
    ("kind", "decompressed", "remedy"),
    [
        ("gzip (1f 8b)", None, "set `decompress: gzip` in the feed's dialect"),
        ("zlib (78 9c)", None, "set `decompress: deflate` in the feed's dialect"),
        ("raw deflate", None, "set `decompress: deflate` in the feed's dialect"),
        ("gzip (1f 8b)", 5, None),
        ("zstd (28 b5 2f fd)", None, None),
        ("text", None, None),
    ],
)
def test_compressed_messages_are_warned_of_with_the_remedy(status, clock, caplog, kind, decompressed, remedy):
    """Unless it is in effect: then these are messages that could not be decompressed."""
    status.kinds_not_json = {"an empty message": None, kind: None}
    status.not_decompressed = lambda: decompressed
    Reporter("kalshi", status, monotonic=clock).tick([])
    assert getattr(caplog.records[0], "remedy", None) == remedy


def test_a_torrent_of_gaps_is_one_line_a_tick(status, clock, events, caplog):
    reporter = Reporter("kalshi", status, monotonic=clock)
    for number in range(1000):
        reporter.gap(Gap(sid=3, expected=number, got=number + 2))
    reporter.tick([])
    reporter.tick([])
    assert events() == ["sequence gap"]
    record = caplog.records[0]
    assert (record.gaps, record.missing) == (1000, 2000)
    assert (record.last_sid, record.last_expected, record.last_got) == (3, 999, 1001)
    assert not hasattr(record, "books_not_known")


def test_the_missing_messages_are_not_counted_when_a_gap_does_not_say_how_many(status, clock, events, caplog):
    reporter = Reporter("okx", status, monotonic=clock)
    reporter.gap(Gap(sid=3, expected=5, got=7))
    reporter.gap(Gap(sid=3, expected=8, got=20, name="BTC-USDT", counted=False))
    reporter.tick([])
    [record] = caplog.records
    assert (record.gaps, record.missing, record.last_name) == (2, None, "BTC-USDT")


def test_a_gap_of_order_books_is_named_also_when_it_is_not_the_last(status, clock, caplog):
    reporter = Reporter("kalshi", status, monotonic=clock)
    reporter.gap(Gap(sid=1, expected=5, got=6, books="orderbook_delta"))
    reporter.gap(Gap(sid=3, expected=5, got=6))
    reporter.tick([])
    assert (caplog.records[0].last_sid, caplog.records[0].books_not_known) == (3, "orderbook_delta")


def test_a_missing_confirmation_is_told_once(status, clock, events, caplog):
    reporter = Reporter("kalshi", status, monotonic=clock)
    for clock.now in (ACKNOWLEDGE_SECONDS - 1, ACKNOWLEDGE_SECONDS + 1, ACKNOWLEDGE_SECONDS + 2):
        reporter.tick(["trade (command 1)"])
    assert events() == ["subscriptions not confirmed by the exchange"]
    assert caplog.records[0].subscriptions == "trade (command 1)"


@pytest.mark.parametrize(("count", "told"), [(24, ""), (25, ", and 1 more"), (24_000, ", and 23,976 more")])
def test_of_many_missing_confirmations_some_are_named(status, clock, events, caplog, count, told):
    reporter = Reporter("kalshi", status, monotonic=clock)
    clock.now = ACKNOWLEDGE_SECONDS + 1
    reporter.tick([f"trade (command {number})" for number in range(count)])
    assert events() == ["subscriptions not confirmed by the exchange"]
    named = ", ".join(f"trade (command {number})" for number in range(24))
    assert caplog.records[0].subscriptions == named + told


def test_the_status_line_shows_state_rate_and_file(status, clock):
    lines: list[str] = []
    reporter = Reporter("kalshi", status, lines.append, monotonic=clock)
    clock.now = 1.0
    reporter.tick([])
    status.connected, status.messages, status.location, status.gaps = True, 2500, "data/kalshi.jsonl", 2
    clock.now = 2.0
    reporter.tick([])
    assert lines[0].startswith("connecting | 0 messages, 0/s | last none yet")
    assert lines[1].startswith("collecting | 2,500 messages, 2,500/s | last none yet | gaps 2 | data/kalshi.jsonl")


def test_what_is_not_sent_yet_does_not_count_as_not_confirmed(status, clock, events, caplog):
    reporter = Reporter("kalshi", status, monotonic=clock)
    for _ in range(3):
        clock.now += ACKNOWLEDGE_SECONDS
        reporter.tick(["trade (command 1)"], unsent=5)
    pace = "messages that ask for data are sent one after another, because of rate_limit_per_second"
    assert events() == [pace]
    assert caplog.records[-1].still_to_send == 5
    clock.now += ACKNOWLEDGE_SECONDS
    reporter.tick(["trade (command 1)"])
    assert events() == [pace]
    clock.now += 1
    reporter.tick(["trade (command 1)"])
    assert events() == [pace, "subscriptions not confirmed by the exchange"]


@pytest.mark.parametrize(("shows_loss", "warnings"), [(False, 1), (True, 0)])
def test_after_a_minute_with_data_and_without_a_number_there_is_one_warning(status, caplog, shows_loss, warnings):
    status.shows_loss = lambda: shows_loss
    reporter = Reporter("toy", status)
    reporter.tick([])
    expected = []
    for seconds in (0, NUMBERS_SECONDS - 1, NUMBERS_SECONDS, 2 * NUMBERS_SECONDS):
        status.last_received_ns = 1_790_000_000_000_000_000 + int(seconds * 1e9)
        reporter.tick([])
        expected += [f"{NO_NUMBERS_YET}; correct `paths.sequence` in the feed"] * (seconds == NUMBERS_SECONDS)
        assert [record.message for record in caplog.records if record.levelname == "WARNING"] == expected[:warnings]
