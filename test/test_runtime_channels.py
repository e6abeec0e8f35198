"""The watch over channels, with a clock that the test moves: what is silent, not confirmed or not known."""

from __future__ import annotations

from typing import Any

import pytest
from test_runtime_runner import ToyExchange

from ssmd.contracts.events import ChannelState, Gap, Refused, SnapshotsRequested
from ssmd.errors import Disconnected
from ssmd.runtime.channels import FOREIGN_SECONDS, ChannelWatch, Limits
from ssmd.runtime.journal import Journal
from ssmd.runtime.reporter import Reporter
from ssmd.store.timestamps import timestamp

BEGAN = 1_790_000_000 * 10**9
LIMITS = Limits(900.0, {})
NEVER_HEARD = (
    "markets never heard from: quiet, settled, misspelt or in the wrong case; if only quiet, raise silent_after_seconds"
)

FOREIGN = int(FOREIGN_SECONDS)


class Channels(ToyExchange):
    """A dialect whose channels the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[tuple[str, int], dict[str, Any]] = {}
        self.names: dict[str, list[str]] = {}
        self.waiting = 0

    def unsent(self) -> int:
        return self.waiting

    def set(self, channel: str, subscription: int = 1, **changes: Any) -> None:
        known = self.states.setdefault(
            (channel, subscription), {"asked": None, "confirmed": None, "heard": None, "pending": False, "activity": 0}
        )
        known.update(changes)

    def channels(self) -> list[ChannelState]:
        return [ChannelState(channel, number, **fields) for (channel, number), fields in self.states.items()]

    def unheard(self, channel: str) -> list[str]:
        return self.names.get(channel, [])


class Run:
    """A watch, and the seconds that pass for it."""

    def __init__(self, status, metrics, limits: Limits = LIMITS) -> None:
        self.exchange, self.status, self.seconds = Channels(), status, 0.0
        self.journal = Journal(status, metrics, Reporter("kalshi", status))
        self.watch = ChannelWatch(self.exchange, status, self.journal, limits, self.wall_clock, lambda: self.seconds)
        status.connected, status.connected_ns = True, BEGAN

    def wall_clock(self) -> int:
        return BEGAN + int(self.seconds * 1e9)

    def tick(self, seconds: int = 1, **activity: int) -> None:
        """Let seconds pass, and in each of them messages come of the channels named."""
        for _ in range(seconds):
            self.seconds += 1
            for channel, count in activity.items():
                self.status.last_received_ns = self.wall_clock()
                before = self.exchange.states[channel, 1]["activity"]
                self.exchange.set(channel, activity=before + count)
            self.watch.tick()

    def notes(self) -> list[tuple[str, dict[str, object]]]:
        return [(note.event, dict(note.fields)) for note in self.journal.take([(self.wall_clock(), 0)])]

    def channel(self, name: str) -> Any:
        return next(state for state in self.status.channels or () if state.channel == name)


@pytest.fixture
def run(status, metrics):
    made = Run(status, metrics)
    made.watch.tick()
    return made


def logged(caplog, message: str) -> list[Any]:
    return [record for record in caplog.records if record.message == message]


def test_a_channel_without_a_message_is_silent_after_the_time_and_not_before(run, caplog):
    run.exchange.set("trade")
    run.exchange.set("ticker")
    run.tick(899, ticker=1)
    assert run.status.ready()
    assert run.notes() == []
    run.tick(1, ticker=1)
    assert run.status.not_ready() == ["trade: no message for 900 s"]
    assert (run.channel("trade").silent, run.channel("ticker").silent) == (True, False)
    since = timestamp(BEGAN)
    assert run.notes() == [("silent", {"channel": "trade", "since": since, "markets": None, "names": []})]
    [record] = logged(caplog, "channel silent")
    assert (record.levelname, record.channel, record.seconds, record.since) == ("WARNING", "trade", 900, since)


def test_a_silent_channel_is_heard_again(run, caplog):
    run.exchange.set("trade")
    run.tick(10, trade=1)
    last = timestamp(run.wall_clock())
    run.tick(960)
    assert run.notes() == [("silent", {"channel": "trade", "since": last, "markets": None, "names": []})]
    with caplog.at_level("INFO"):
        run.tick(1, trade=1)
    assert run.status.ready()
    assert run.notes() == [("heard", {"channel": "trade"})]
    assert len(logged(caplog, "channel heard again")) == 1


def test_a_channel_is_heard_again_at_once_also_soon_after_it_fell_silent(status, metrics):
    run = Run(status, metrics, Limits(5.0, {}))
    run.watch.tick()
    run.exchange.set("trade")
    run.tick(5)
    run.tick(1, trade=1)
    notes = run.journal.take([(run.wall_clock(), 0)])
    assert [(note.event, note.ts_ns) for note in notes] == [("silent", BEGAN + 5 * 10**9), ("heard", run.wall_clock())]


def test_a_channel_that_comes_and_goes_is_silent_once_a_minute(status, metrics):
    run = Run(status, metrics, Limits(2.0, {}))
    run.watch.tick()
    run.exchange.set("trade")
    for _ in range(200):
        run.tick(1, trade=1)
        run.tick(2)
    notes = run.notes()
    assert {event for event, _ in notes} <= {"silent", "heard"}
    events = [event for event, _ in notes]
    assert 2 <= events.count("silent") <= 600 // 60
    assert events == ["silent", "heard"] * (len(events) // 2) + ["silent"] * (len(events) % 2)


def test_a_silence_counts_the_markets_that_never_sent_and_names_the_first_of_them(run):
    run.exchange.set("trade", asked=50, confirmed=50, heard=5)
    run.exchange.names["trade"] = [f"M{number}" for number in range(45)]
    run.tick(900)
    [(event, fields)] = run.notes()
    assert (event, fields["markets"], fields["names"]) == ("silent", 45, [f"M{number}" for number in range(20)])


def test_a_channel_that_may_be_silent_never_is(run):
    run.exchange.set("fill", may_be_silent=True)
    run.tick(5000)
    assert run.status.ready()
    assert run.notes() == []
    assert not run.channel("fill").silent


def test_silence_can_be_switched_off(status, metrics):
    run = Run(status, metrics, Limits())
    run.exchange.set("trade", asked=2, confirmed=2, heard=1)
    run.exchange.names["trade"] = ["A"]
    run.tick(10_000)
    assert run.status.ready()
    assert run.notes() == []


def test_time_in_which_the_process_is_stopped_does_not_count_as_silence(run):
    run.exchange.set("trade")
    run.tick(10, trade=1)
    run.seconds += 100_000
    run.watch.tick()
    assert run.status.ready()
    run.tick(897)
    assert run.status.ready()
    run.tick(1)
    assert run.status.not_ready() == ["trade: no message for 900 s"]


def test_time_in_which_the_disk_is_behind_does_not_count_as_silence(run):
    run.exchange.set("trade")
    run.tick(10, trade=1)
    run.journal.waited(1.0, run.wall_clock())
    run.tick(5000)
    assert run.status.ready()


def test_the_time_out_of_a_channel_ends_the_run(status, metrics):
    run = Run(status, metrics, Limits(900.0, {"trade": 30.0}))
    run.watch.tick()
    run.exchange.set("trade")
    run.exchange.set("ticker")
    run.tick(100, trade=1)
    run.tick(29, ticker=1)
    with pytest.raises(Disconnected) as ended:
        run.tick(1, ticker=1)
    assert str(ended.value) == "no message of the channel trade came for 30 s (channel_timeout_seconds)"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pending": True}, "trade: subscription not confirmed for 11 s"),
        ({"asked": 40, "confirmed": 37}, "trade: 3 of 40 markets not confirmed for 11 s"),
    ],
)
def test_what_is_not_confirmed_is_missing_after_ten_seconds(run, fields, reason):
    run.exchange.set("trade", **fields)
    run.tick(10, trade=1)
    assert run.status.ready()
    run.tick(1, trade=1)
    assert run.status.not_ready() == [reason]
    run.exchange.set("trade", pending=False, confirmed=fields.get("asked"))
    run.tick(1, trade=1)
    assert run.status.ready()


def test_a_dialect_that_knows_no_channels_can_have_unconfirmed_subscriptions(run):
    run.status.unacknowledged = 2
    run.tick(10)
    assert run.status.ready()
    run.tick(1)
    assert run.status.not_ready() == ["2 subscriptions not confirmed for 11 s"]
    run.status.unacknowledged = 0
    run.tick(1)
    assert run.status.ready()


def test_what_is_refused_is_missing_as_long_as_the_run_lasts(run):
    run.exchange.set("trade")
    run.tick(1, trade=1)
    run.journal.events([Refused("trade", 26, "limit reached (KX-SECRET)")], run.wall_clock())
    assert run.status.not_ready() == ["trade: refused by the exchange (error 26)"]
    run.tick(100, trade=1)
    assert not run.status.ready()
    run.exchange.set("trade", asked=40, confirmed=37)
    run.tick(12, trade=1)
    text = "trade: refused by the exchange (error 26), 3 of 40 markets not confirmed"
    assert run.status.not_ready() == [text], "it is said once"
    run.status.refused = {"": 26}
    run.exchange.set("trade", asked=40, confirmed=40)
    run.tick(1, trade=1)
    assert run.status.not_ready() == ["a command: refused by the exchange (error 26)"]


def test_books_are_given_a_minute_at_first(run, caplog):
    run.exchange.set("orderbook_delta", asked=5, confirmed=5, heard=3, books_pending=2)
    run.tick(60, orderbook_delta=1)
    assert run.status.ready()
    run.tick(1, orderbook_delta=1)
    assert run.status.not_ready() == ["orderbook_delta: 2 order books not known for 61 s"]
    run.tick(100, orderbook_delta=1)
    [record] = logged(caplog, "order books not known: their snapshots have not come")
    assert (record.channel, record.books) == ("orderbook_delta", 2)
    run.exchange.set("orderbook_delta", heard=5, books_pending=0)
    run.tick(1, orderbook_delta=1)
    assert run.status.ready()


def test_books_behind_a_gap_are_missing_at_once_until_all_have_come(run):
    run.exchange.set("orderbook_delta", asked=5, confirmed=5, heard=5)
    run.tick(5, orderbook_delta=1)
    run.journal.events([Gap(2, 5, 8)], run.wall_clock())
    assert run.status.ready()
    run.exchange.set("orderbook_delta", books_pending=5)
    run.journal.events([Gap(1, 5, 8, books="orderbook_delta")], run.wall_clock())
    assert run.status.not_ready() == ["orderbook_delta: order books not known since a gap"]
    run.exchange.set("orderbook_delta", books_pending=1)
    run.tick(70, orderbook_delta=1)
    assert run.status.not_ready() == ["orderbook_delta: order books not known since a gap"]
    run.exchange.set("orderbook_delta", books_pending=0)
    run.tick(1, orderbook_delta=1)
    assert run.status.ready()


def test_books_of_a_new_day_are_not_missing(run):
    run.exchange.set("orderbook_delta", asked=5, confirmed=5, heard=5)
    run.tick(5, orderbook_delta=1)
    run.journal.events([SnapshotsRequested(1, "orderbook_delta", ["A"], "day")], run.wall_clock())
    assert run.status.ready()


def test_markets_never_heard_from_are_named_once_and_again_when_they_change(run, caplog):
    run.exchange.set("trade", asked=40, confirmed=40, heard=10)
    run.exchange.names["trade"] = [f"M{number}" for number in range(30)]
    run.tick(899, trade=1)
    assert logged(caplog, NEVER_HEARD) == []
    run.tick(1 + 2 * 3600, trade=1)
    [record] = logged(caplog, NEVER_HEARD)
    assert (record.channel, record.count, record.of, record.levelname) == ("trade", 30, 40, "WARNING")
    assert record.markets == ", ".join(f"M{number}" for number in range(24)) + ", and 6 more"
    run.exchange.set("trade", heard=39)
    run.exchange.names["trade"] = ["M29"]
    run.tick(3600, trade=1)
    _, second = logged(caplog, NEVER_HEARD)
    assert (second.count, second.markets) == (1, "M29")
    assert run.status.ready()


@pytest.mark.parametrize(("heard", "asked", "warned"), [(0, 2, ["book"]), (1, 2, []), (None, 2, []), (None, None, [])])
def test_messages_of_which_none_is_of_a_market_that_was_asked_for_are_warned_of_once(run, caplog, heard, asked, warned):
    run.exchange.set("book", asked=asked, heard=heard)
    run.tick(FOREIGN)
    run.tick(FOREIGN - 1, book=1)
    message = "no message is of a market that was asked for"
    assert logged(caplog, message) == []
    run.tick(FOREIGN, book=1)
    assert [record.channel for record in logged(caplog, message)] == warned


def test_messages_of_markets_that_were_asked_for_until_a_moment_ago_are_not_warned_of(run, caplog):
    """Other markets are followed after a reload, and none of them is heard from yet."""
    run.exchange.set("book", asked=2, heard=2)
    run.tick(10 * FOREIGN, book=1)
    run.exchange.set("book", asked=3, heard=0)
    run.tick(FOREIGN - 1, book=1)
    assert logged(caplog, "no message is of a market that was asked for") == []
    run.tick(1, book=1)
    assert len(logged(caplog, "no message is of a market that was asked for")) == 1


def test_a_channel_of_several_subscriptions_is_one(run):
    run.exchange.set("trade", asked=3, confirmed=3, heard=1, activity=1)
    run.exchange.set("trade", 2, asked=4, confirmed=2, heard=2, activity=5, pending=True)
    run.tick(1)
    state = run.channel("trade")
    assert (state.asked, state.confirmed_markets, state.heard, state.confirmed) == (7, 5, 3, False)
    run.exchange.set("trade", 2, asked=None, confirmed=None, heard=None)
    run.tick(1)
    assert (run.channel("trade").asked, run.channel("trade").heard) == (None, None)


def test_nothing_is_looked_at_before_the_connection(status, metrics):
    run = Run(status, metrics)
    run.status.connected = False
    run.exchange.set("trade", pending=True)
    run.tick(5000)
    assert run.status.channels is None
    assert run.notes() == []


def test_a_book_that_the_exchange_does_not_send_is_missing(run):
    run.exchange.set("orderbook_delta", asked=5, confirmed=5, heard=4, books_missing=1)
    run.tick(1, orderbook_delta=1)
    assert run.status.not_ready() == ["orderbook_delta: 1 order book not sent by the exchange"]
    run.exchange.set("orderbook_delta", books_missing=0)
    run.tick(1, orderbook_delta=1)
    assert run.status.ready()


def test_what_is_not_sent_yet_is_neither_silent_nor_unconfirmed(run):
    run.exchange.set("trade", pending=True, asked=2, confirmed=0, heard=0, unsent=True)
    run.exchange.waiting = 7
    run.tick(10)
    assert run.status.not_ready() == []
    run.tick(int(LIMITS.silent_seconds))
    assert run.status.not_ready() == ["7 messages that ask for data are still to be sent (rate_limit_per_second)"]
    run.exchange.set("trade", unsent=False)
    run.exchange.waiting = 0
    run.tick(10)
    assert run.status.not_ready() == []
    run.tick()
    assert "trade: 2 of 2 markets not confirmed for 11 s" in run.status.not_ready()


def test_without_channels_only_what_was_sent_is_waited_for(run):
    run.status.unacknowledged, run.exchange.waiting = 2, 1
    run.tick(10)
    run.exchange.waiting = 0
    run.tick(10)
    assert run.status.not_ready() == []
    run.tick()
    assert run.status.not_ready() == ["2 subscriptions not confirmed for 11 s"]


def test_whether_a_channel_is_confirmed_may_be_unknown(run):
    run.exchange.set("trade", pending=None, asked=2, heard=0)
    run.tick(60)
    assert run.channel("trade").confirmed is None
    assert run.status.not_ready() == []
