"""The reader with toy parts and with a real connection: what it sends, when, and what it never sends any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import pytest
from exchange_server import TEXT, Peer, close_frame, frame, serving
from gevent import monkey
from kalshi_messages import connection, delta, snapshot, subscribed
from test_runtime_runner import ToyExchange, ToyWriter, read_now
from writer_runs import data, ledger

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.websocket import WebSocketConnector
from ssmd.contracts.events import Event, Gap, SnapshotsRequested
from ssmd.contracts.exchange import LOSS_NOT_DETECTED, Inspection, Opening
from ssmd.contracts.observer import Observer
from ssmd.contracts.writer import Batch, Note, Reads
from ssmd.errors import ClockError, Disconnected, SsmdError, SubscriptionRefused
from ssmd.observing.schema import SchemaCheck
from ssmd.runtime.clock import RunClock
from ssmd.runtime.journal import Journal
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.reader import Reader, RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.runner import Runner
from ssmd.runtime.schema_counts import SchemaCounts
from ssmd.runtime.threads import LARGE_BYTES
from ssmd.schema.check import make_checker
from ssmd.store.line import decode_line
from ssmd.store.timestamps import day_of_ns, timestamp
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
NOW = 1_790_000_000 * SECOND
MIDNIGHT = 20_000 * 86_400 * SECOND


class ScriptedConnector:
    """Yields the given lists, and then returns; records what it is asked to send, and what was in the queue then."""

    decompress = ""
    not_decompressed = 0
    unchanged: int | None = None
    last_read: float | None = None
    missing: Sequence[str] = ()

    def __init__(self, *lists: list[bytes], refusing: int | None = None) -> None:
        self.lists = lists
        self.queue: BatchQueue | None = None
        self.refusing = refusing
        """From which send() on it raises Disconnected."""
        self.sends = 0
        self.sent: list[bytes] = []
        self.queued: list[int] = []
        self.closes = 0
        self.no_data_after: list[int] = []

    def connect(self) -> None:
        pass

    @property
    def held_ns(self) -> int | None:
        return None

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        for payloads in self.lists:
            yield read_now(clock, payloads)

    @property
    def events(self) -> Sequence[Event]:
        return ()

    def no_data(self) -> None:
        self.no_data_after.append(self.queue.messages)

    def expect_silence(self, expected: bool) -> None:
        pass

    def send(self, commands: Sequence[bytes]) -> None:
        if self.sends == self.refusing:
            raise Disconnected("it does not read")
        self.sends += 1
        self.sent += commands
        self.queued.append(self.queue.messages)

    def close(self) -> None:
        self.closes += 1


class TickingExchange(ToyExchange):
    """Answers with the given inspections; says the time at each tick."""

    def __init__(self, *inspections: Inspection, tick_seconds: float | None = 5) -> None:
        super().__init__(list(inspections))
        self.tick_seconds = tick_seconds

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True, commands=[b"%d" % now_ms])


@pytest.fixture
def read(status, metrics) -> Callable[..., list[bytes]]:
    """Run a reader to its end; return the lines that are in the queue then."""

    def run(
        connector: ScriptedConnector,
        exchange: ToyExchange,
        *,
        wall_clock: Callable[[], int] = lambda: NOW,
        end: SsmdError | None = None,
    ) -> list[bytes]:
        journal = Journal(status, metrics, Reporter("toy", status))
        queue = connector.queue = BatchQueue(1 << 26)
        clock = RunClock(wall_clock, journal.clock_stepped)
        reader = Reader(RunParts("toy", connector, exchange, ToyWriter()), queue, journal, clock, status, metrics)
        if end is None:
            reader.run()
        else:
            with pytest.raises(type(end)) as ended:
                reader.run()
            assert str(ended.value) == str(end)
        return [line for batch in queue.take(1 << 30) for line in batch.data.splitlines()]

    return run


def answering(*commands: bytes, **more: Any) -> Inspection:
    return Inspection(decoded=True, commands=commands, **more)


def test_answers_are_sent_in_order_and_after_their_messages_are_in_the_queue(read):
    connector = ScriptedConnector([b"1", b"2"], [b"3"], [b"4"])
    exchange = TickingExchange(answering(b"a", b"b"), answering(), answering(b"c"), tick_seconds=None)
    assert read(connector, exchange) == [b"1", b"2", b"3", b"4"]
    assert connector.sent == [b"a", b"b", b"c"]
    assert connector.queued == [2, 4]


@pytest.mark.parametrize(("method", "fields"), [("", {}), ("gzip", {"decompress": "gzip"})])
def test_the_ledger_says_that_messages_were_decompressed(status, metrics, method, fields):
    connector = ScriptedConnector([b"1"])
    connector.decompress = method
    journal = Journal(status, metrics, Reporter("toy", status))
    queue = connector.queue = BatchQueue(1 << 26)
    exchange = TickingExchange(tick_seconds=None)
    clock = RunClock(lambda: NOW, journal.clock_stepped)
    Reader(RunParts("toy", connector, exchange, ToyWriter()), queue, journal, clock, status, metrics).run()
    [note] = [note for batch in queue.take(1 << 30) for note in batch.notes]
    assert (note.event, note.fields) == ("connected", fields)


def test_an_empty_list_is_a_tick_and_nothing_else(read, status):
    connector = ScriptedConnector([], [b"1"], [], [])
    times = iter([NOW, NOW, NOW + SECOND, NOW + 2 * SECOND + 999_999, NOW + 3 * SECOND])
    assert read(connector, TickingExchange(), wall_clock=lambda: next(times)) == [b"1"]
    assert connector.sent == [b"%d" % (NOW // 1_000_000 + after) for after in (0, 2000, 3000)]
    assert connector.queued == [0, 1, 1]
    assert status.last_received_ns == NOW + SECOND


def test_books_of_two_days_are_not_taken_for_those_of_one(status, metrics):
    """Of two books that a gap has lost, one comes before midnight, and one after it, before the next tick."""
    markets = ["KX-0", "KX-1"]
    kalshi = connection({"channels": ["orderbook_delta"], "market_tickers": markets})
    kalshi.opening("wss://host/ws", (MIDNIGHT - 5 * SECOND) // 10**6)
    lists = [
        [subscribed(1, "orderbook_delta", 1), snapshot("KX-0", 1), snapshot("KX-1", 2), delta("KX-0", 4)],
        [],
        [snapshot("KX-0", 5, id=2)],
        [snapshot("KX-1", 6, id=2)],
    ]
    connector = ScriptedConnector(*lists)
    times = iter([-4 * SECOND, -3 * SECOND, -2 * SECOND, -SECOND, 5 * 10**7])
    journal = Journal(status, metrics, Reporter("toy", status))
    queue = connector.queue = BatchQueue(1 << 26)
    clock = RunClock(lambda: MIDNIGHT + next(times), journal.clock_stepped)
    Reader(RunParts("toy", connector, kalshi, ToyWriter()), queue, journal, clock, status, metrics).run()
    batches: list[Batch] = []
    while taken := queue.take(1 << 30):
        batches += taken
        queue.done()
    assert [note.event for batch in batches for note in batch.notes if note.event.startswith("snapshot")] == [
        "snapshots_received",
        "snapshot_requested",
    ]
    assert batches[-1].notes == ()
    assert kalshi.channels()[0].books_pending == 1


def test_a_wall_clock_that_goes_back_does_not_hold_up_the_ticks(read):
    connector = ScriptedConnector([], [], [])
    times = iter([NOW, NOW, NOW - 3600 * SECOND, NOW - 3599 * SECOND])
    read(connector, TickingExchange(), wall_clock=lambda: next(times))
    assert connector.sent == [b"%d" % (NOW // 1_000_000)] * 3


def test_a_clock_that_is_far_behind_is_noticed_at_a_tick_too(read):
    connector = ScriptedConnector([], [], [])
    times = iter([NOW, NOW, NOW - 7201 * SECOND])
    end = ClockError("the clock is 7201 s behind its earlier time; the next start takes it as it is")
    read(connector, TickingExchange(), wall_clock=lambda: next(times), end=end)
    assert len(connector.sent) == 2


def test_when_the_dialect_finds_a_failure_its_answers_are_not_sent(read):
    refused = SubscriptionRefused("no such channel")
    connector = ScriptedConnector([b"1"], [b"2"], [b"3"], [])
    exchange = TickingExchange(answering(b"a"), answering(b"b", failure=refused))
    assert read(connector, exchange, end=refused) == [b"1", b"2"]
    assert connector.sent == [b"a"]


@pytest.mark.parametrize("lists", [[[b"1"], [b"2"], [], [b"3"]], [[b"1"], [], [b"2"], [b"3"]]])
def test_after_a_send_that_failed_what_has_arrived_is_read_and_nothing_is_sent(read, lists):
    connector = ScriptedConnector(*lists, refusing=1)
    exchange = TickingExchange(answering(b"a"), answering(b"b"), answering(b"c"))
    assert read(connector, exchange, end=Disconnected("it does not read")) == [b"1", b"2", b"3"]
    assert connector.sent == [b"a"]
    assert connector.closes == 1, "messages() ends only after close()"


def test_a_failure_that_the_last_messages_name_is_the_reason_rather_than_the_send(read):
    refused = SubscriptionRefused("no such channel")
    connector = ScriptedConnector([b"1"], [b"2"], refusing=0)
    exchange = TickingExchange(answering(b"a"), answering(failure=refused))
    assert read(connector, exchange, end=refused) == [b"1", b"2"]


def test_a_large_message_is_encoded_while_everything_else_goes_on(read, monkeypatch):
    sleep = monkey.get_original("time", "sleep")  # As a computation in C: no greenlet of this thread runs meanwhile.
    monkeypatch.setattr(ToyWriter, "encode", lambda self, reads, payloads, decoded: (sleep(0.3), b"line\n")[1])
    turns: list[float] = []

    def take_turns() -> None:
        while True:
            turns.append(time.monotonic())
            gevent.sleep(0.01)

    other = gevent.spawn(take_turns)
    assert read(ScriptedConnector([b"x" * LARGE_BYTES]), TickingExchange(tick_seconds=None)) == [b"line"]
    other.kill()
    assert len(turns) > 3


# Over a real connection.

TICK = 0.05


def until_ticks(count: int, flood: bytes) -> Callable[[Peer], list[float]]:
    """A script that sends a flood until so many ticks were received; returns when each of them came."""

    def script(peer: Peer) -> list[float]:
        peer.upgrade()
        times: list[float] = []

        def receive() -> None:
            while len(times) < count:
                opcode, payload = peer.receive()
                assert (opcode, payload.isdigit()) == (TEXT, True)
                times.append(time.monotonic())

        receiving = gevent.spawn(receive)
        while not receiving.ready():
            peer.send(flood)
            gevent.sleep(0 if flood else 0.01)
        peer.send(close_frame(1000))
        peer.drained()
        return receiving.get() or times

    return script


class Headless(TickingExchange):
    """Needs no signature and no opening commands."""

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return Opening(endpoint)

    def commands(self) -> Sequence[bytes]:
        return ()


@pytest.mark.parametrize("flood", [b"", frame(TEXT, b'{"flood":true}' * 10) * 2000], ids=["silence", "flood"])
def test_the_exchange_gets_its_ticks_in_silence_and_under_load(status, metrics, flood):
    with serving(until_ticks(5, flood)) as server:
        exchange = Headless(tick_seconds=TICK)
        connector = WebSocketConnector(server.url, exchange, WebSocketConfig(endpoint=server.url), direct=True)
        parts = RunParts("toy", connector, exchange, ToyWriter())
        runner = Runner(parts, status=status, metrics=metrics, reporter=Reporter("toy", status))
        began = time.monotonic()
        with pytest.raises(Disconnected, match="code 1000"):
            runner.run()
        times = server.result()
    for number, at in enumerate(times, 1):
        assert at - began >= number * TICK


def test_an_inspection_that_is_due_is_followed_by_a_tick_at_once(read):
    connector = ScriptedConnector([b"1"], [b"2"])
    exchange = TickingExchange(answering(b"a", due=True), answering(), tick_seconds=None)
    assert read(connector, exchange, wall_clock=lambda: NOW) == [b"1", b"2"]
    assert connector.sent == [b"a", b"%d" % (NOW // 1_000_000)]


DAY_SECONDS = 86_400


@pytest.mark.parametrize(
    ("age_seconds", "warned"), [(DAY_SECONDS, False), (-DAY_SECONDS, False), (DAY_SECONDS + 1, True), (-1e9, True)]
)
def test_a_time_of_the_exchange_that_cannot_be_right_is_warned_of_once(read, caplog, age_seconds, warned):
    found = answering(exchange_ms=int((NOW / SECOND - age_seconds) * 1000))
    read(ScriptedConnector([b"1"], [b"2"]), TickingExchange(found, found), wall_clock=lambda: NOW)
    records = [record for record in caplog.records if "more than a day away from its receipt" in record.message]
    assert [record.age_seconds for record in records] == ([age_seconds] if warned else [])
    assert all("`paths.time`" in record.remedy for record in records)


def test_messages_that_are_no_data_do_not_count_as_the_last(read, status):
    connector = ScriptedConnector([b"1"], [b"heartbeat"])
    times = iter([NOW, NOW + SECOND, NOW + 2 * SECOND])
    read(connector, TickingExchange(answering(), answering(data=False)), wall_clock=lambda: next(times))
    assert status.last_received_ns == NOW + SECOND
    assert connector.no_data_after == [1]


@pytest.mark.parametrize(
    ("sequence", "line"),
    [
        ("chain", "lost messages are detected by the numbers of the messages"),
        ("", LOSS_NOT_DETECTED),
    ],
)
def test_the_log_says_at_the_start_how_lost_messages_show(read, caplog, monkeypatch, sequence, line):
    caplog.set_level("INFO", logger="ssmd.runner")
    monkeypatch.setattr(TickingExchange, "sequence", sequence)
    read(ScriptedConnector([b"1"]), TickingExchange())
    [record] = [record for record in caplog.records if "lost messages" in record.message]
    assert record.message == line
    assert getattr(record, "sequence", "") == sequence


# Several reads of the socket that are yielded together.

Read = tuple[int, list[bytes]]
"""When a read was made, ns since the epoch, and the messages that it has completed."""


class Gathering(ScriptedConnector):
    """Yields each of the given lists of reads together; the clock has then gone on to the last of them."""

    def __init__(self, *gatherings: list[Read], now: list[int]) -> None:
        super().__init__()
        self.gatherings = gatherings
        self.now = now
        """The time of the wall clock is its last item."""

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        for gathering in self.gatherings:
            reads = []
            for ns, payloads in gathering:
                self.now.append(ns)
                reads.append((clock(), len(payloads)))
            yield reads, [payload for _, payloads in gathering for payload in payloads]
        raise Disconnected("the end")

    def no_data(self) -> None:
        pass

    def send(self, commands: Sequence[bytes]) -> None:
        self.sent += commands


@pytest.fixture
def record(tmp_path, status, metrics) -> Callable[..., None]:
    """Run the whole runner over reads that are yielded together, with the real writer."""

    def run(exchange: ToyExchange, *gatherings: list[Read], observers: Sequence[Observer] = ()) -> None:
        now = [gatherings[0][0][0] - SECOND]
        storage = LocalStorage(type="local", path=str(tmp_path))
        writer: Any = FileWriter(storage, "kalshi", status=status, clock=lambda: now[-1])
        parts = RunParts("kalshi", Gathering(*gatherings, now=now), exchange, writer, observers)
        reporter = Reporter("kalshi", status)
        runner = Runner(parts, status=status, metrics=metrics, reporter=reporter, clock=lambda: now[-1])
        with pytest.raises(Disconnected, match="the end"):
            runner.run()

    return run


BEFORE, AFTER = day_of_ns(MIDNIGHT - 1), day_of_ns(MIDNIGHT)


@pytest.mark.parametrize("tick_seconds", [None, 5])
def test_messages_of_two_days_that_come_together_are_in_the_files_of_their_days(record, tmp_path, status, tick_seconds):
    offsets = [-3000, -2000, -1000, 0, 1000, 2000]
    reads = [(MIDNIGHT + ns, [b'{"n":%d,"of":%d}' % (ns, which) for which in range(2)]) for ns in offsets]
    record(TickingExchange(tick_seconds=tick_seconds), reads[:1], reads[1:5], reads[5:])
    assert status.messages == 12
    for day, of_day in ((BEFORE, reads[:3]), (AFTER, reads[3:])):
        records = [decode_line(line) for line in data(tmp_path, day).splitlines()]
        expected = [(ns, payload) for ns, payloads in of_day for payload in payloads]
        assert [(record.received_ns, record.payload) for record in records] == expected
        times = [entry["ts"] for entry in ledger(tmp_path, day)]
        assert times == sorted(times)
    assert [(entry["event"], entry["line"]) for entry in ledger(tmp_path, BEFORE)] == [
        ("started", 0),
        ("connected", 0),
        ("rotated", 6),
    ]
    assert [(entry["event"], entry["line"]) for entry in ledger(tmp_path, AFTER)[-2:]] == [
        ("disconnected", 6),
        ("stopped", 6),
    ]


@pytest.mark.parametrize("is_together", [True, False])
def test_what_was_observed_until_midnight_is_in_the_ledger_of_that_day(record, tmp_path, is_together):
    checker = make_checker(b'{"required":["a"]}', "x.json")
    check = SchemaCheck(checker, SchemaCounts("x:v1", is_sample=False))
    reads = [(MIDNIGHT - 5, [b"{}"]), (MIDNIGHT - 1, [b"{}", b"{}"]), (MIDNIGHT, [b"{}"]), (MIDNIGHT + 5, [b"1"])]
    gatherings = [reads] if is_together else [[read] for read in reads]
    record(TickingExchange(tick_seconds=None), *gatherings, observers=[check])
    for day, count, line in ((BEFORE, 3, 3), (AFTER, 1, 2)):
        entries = ledger(tmp_path, day)
        assert [(each["count"], each["line"]) for each in entries if each["event"] == "violations"] == [(count, line)]
        assert [each["ts"] for each in entries] == sorted(each["ts"] for each in entries)


class GapAtEach(TickingExchange):
    """Finds a gap at each message."""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        return Inspection(decoded=True, events=[Gap(1, 1, 3, place=place) for place in range(len(payloads))])


def test_events_among_messages_that_come_together_have_the_time_and_line_of_their_own(record, tmp_path):
    offsets = [-2000, -1000, 0, 1000]
    reads = [(MIDNIGHT + ns, [b"{}"] * count) for count, ns in enumerate(offsets, 1)]
    record(GapAtEach(tick_seconds=None), reads)
    for day, of_day in ((BEFORE, reads[:2]), (AFTER, reads[2:])):
        gaps = [(entry["ts"], entry["line"]) for entry in ledger(tmp_path, day) if entry["event"] == "gap"]
        times = [timestamp(ns) for ns, payloads in of_day for _ in payloads]
        assert gaps == [(time, line) for line, time in enumerate(times)]


class Refusing(TickingExchange):
    """Ends the run with each message."""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        return Inspection(decoded=True, failure=Disconnected("the end"))


def test_what_came_after_midnight_with_a_message_that_ends_the_run_is_kept(record, tmp_path):
    record(Refusing(tick_seconds=None), [(MIDNIGHT - 1, [b"{}"]), (MIDNIGHT, [b"{}"] * 2)])
    assert [len(data(tmp_path, day).splitlines()) for day in (BEFORE, AFTER)] == [1, 2]


class Looking:
    """An observer that notes what it has seen, and how much was in the queue by then."""

    def __init__(self, queue: BatchQueue) -> None:
        self._queue = queue
        self.seen: list[tuple] = []

    def observe(self, reads: Reads, payloads: list[bytes]) -> None:
        self.seen.append((list(reads), list(payloads), self._queue.messages))

    def notes(self, now_ns: int, *, end: bool) -> list[Note]:
        raise NotImplementedError


def test_an_observer_sees_all_messages_once_they_are_in_the_queue(status, metrics):
    now = [NOW]
    connector = Gathering([(NOW + 1, [b"1", b"2"]), (NOW + 2, [b"3"])], [(NOW + 3, [b"4"])], now=now)
    journal = Journal(status, metrics, Reporter("toy", status))
    queue = BatchQueue(1 << 26)
    looking = Looking(queue)
    parts = RunParts("toy", connector, TickingExchange(answering(), tick_seconds=None), ToyWriter(), [looking])
    with pytest.raises(Disconnected, match="the end"):
        Reader(parts, queue, journal, RunClock(lambda: now[-1], journal.clock_stepped), status, metrics).run()
    assert looking.seen == [
        ([(NOW + 1, 2), (NOW + 2, 1)], [b"1", b"2", b"3"], 3),
        ([(NOW + 3, 1)], [b"4"], 4),
    ]


def test_messages_that_come_together_are_inspected_and_encoded_together(status, metrics):
    now = [NOW]
    found = [Gap(1, 1, 3, place=2), SnapshotsRequested(1, "book", ["A"], "gap")]
    connector = Gathering([(NOW + 1, [b"1", b"2"]), (NOW + 2, [b"3"])], now=now)
    exchange = TickingExchange(answering(b"a", events=found), tick_seconds=None)
    journal = Journal(status, metrics, Reporter("toy", status))
    queue = BatchQueue(1 << 26)
    clock = RunClock(lambda: now[-1], journal.clock_stepped)
    reader = Reader(RunParts("toy", connector, exchange, ToyWriter()), queue, journal, clock, status, metrics)
    with pytest.raises(Disconnected, match="the end"):
        reader.run()
    [batch] = [batch for batch in queue.take(1 << 30) if batch.messages]
    assert (batch.received_ns, batch.data, batch.messages) == (NOW + 2, b"1\n2\n3\n", 3)
    assert [(note.event, note.place, note.ts_ns) for note in batch.notes] == [
        ("gap", 2, NOW + 2),
        ("snapshot_requested", 2, NOW + 2),
    ]
    assert connector.sent == [b"a"]
    assert status.last_received_ns == NOW + 2
