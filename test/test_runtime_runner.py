"""The runner with toy parts: order of calls, links, drain, and which error wins."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import gevent
import pytest
from exchange_server import eventually
from gevent.event import Event
from patience import PATIENCE

from ssmd.contracts.companion import Companion
from ssmd.contracts.events import Acknowledged, Asked, ChannelState, Gap
from ssmd.contracts.exchange import COUNTER, LOSS_NOT_DETECTED, Inspection, Opening
from ssmd.contracts.listing import Listing
from ssmd.contracts.writer import Batch, Reads
from ssmd.errors import (
    AuthError,
    ClockError,
    ConnectError,
    Disconnected,
    ListenError,
    OutputError,
    SubscriptionRefused,
    WriteError,
)
from ssmd.runtime.channels import Limits
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reader import RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.runner import Runner
from ssmd.runtime.threads import LARGE_BYTES


def sample(metrics: Metrics, name: str, **labels: str) -> Any:
    return metrics.registry.get_sample_value(name, {"feed": "kalshi", "shard": "", **labels})


def read_now(clock: Callable[[], int], payloads: list[bytes]) -> tuple[Reads, list[bytes]]:
    """Return what messages() yields when one read has all these messages; without any it is a tick."""
    return [(clock(), len(payloads))], payloads


class ToyConnector:
    """Yields what it is given, then raises `end` or, without one, waits to be closed."""

    decompress = ""
    not_decompressed = 0
    unchanged: int | None = None
    last_read: float | None = None
    missing: Sequence[str] = ()

    def __init__(
        self, batches: Sequence[list[bytes]] = (), end: Exception | None = None, refuse: Exception | None = None
    ):
        self.batches, self.end, self.refuse = list(batches), end, refuse
        self.closed = Event()
        self.connecting = Event()
        self.waits = False
        self.sent: list[bytes] = []

    def connect(self) -> None:
        self.connecting.set()
        if self.waits:
            self.closed.wait()
        if self.refuse:
            raise self.refuse

    @property
    def held_ns(self) -> int | None:
        return None

    def messages(self, clock: Callable[[], int]) -> Iterator[tuple[Reads, list[bytes]]]:
        for payloads in self.batches:
            yield read_now(clock, payloads)
        if self.end:
            raise self.end
        self.closed.wait()

    @property
    def events(self) -> Sequence[Any]:
        return ()

    def no_data(self) -> None:
        pass

    def expect_silence(self, expected: bool) -> None:
        pass

    def send(self, commands: Sequence[bytes]) -> None:
        self.sent += commands

    def close(self) -> None:
        if not self.waits:
            self.closed.set()


class ToyExchange:
    sequence = COUNTER
    shows_loss = True
    heads = None
    loss_note = LOSS_NOT_DETECTED
    tick_seconds: float | None = None
    idle = ""

    def __init__(self, inspections: Sequence[Inspection] = ()):
        self.inspections = list(inspections)

    def inspect(self, payloads: list[bytes]) -> Inspection:
        return self.inspections.pop(0) if self.inspections else Inspection(decoded=True)

    @property
    def listing(self) -> Listing | None:
        return None

    def reconfigure(self, subscribe: Any) -> None:
        raise NotImplementedError

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return Opening(endpoint)

    def commands(self) -> Sequence[bytes]:
        return []

    def unsent(self) -> int:
        return 0

    def asked(self) -> Sequence[Asked]:
        return []

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True)

    def unacknowledged(self) -> list[str]:
        return []

    def channels(self) -> Sequence[ChannelState]:
        return []

    def unheard(self, channel: str) -> Sequence[str]:
        return []

    def prepare(self, now_ms: int) -> None:
        return None

    def prepared(self, answer: bytes) -> None:
        pass

    def hidden(self) -> Collection[str]:
        return ()

    def expects_text(self, payload: bytes) -> bool:
        return False

    def closed(self, code: int | None, reason: str) -> None:
        return None

    def sequence_name(self, sid: int) -> str:
        return ""

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return []


class ToyWriter:
    location = "memory"
    state_folder: Path | None = None

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.held: list[bytes] = []
        self.batches: list[Batch] = []
        self.syncs = 0
        self.closed = False
        self.fail: dict[str, Exception] = {}
        self.gate = Event()
        self.gate.set()

    def _maybe_fail(self, step: str) -> None:
        if step in self.fail:
            raise self.fail[step]

    def companions(self) -> list[Companion]:
        return []

    def open(self) -> None:
        self._maybe_fail("open")

    def encode(self, reads: Reads, payloads: list[bytes], decoded: bool) -> bytes:
        return b"".join(payload + b"\n" for payload in payloads)

    def write(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.held += batch.data.splitlines()

    def flush(self) -> None:
        self.gate.wait()
        self._maybe_fail("flush")
        self.kept += self.held
        self.held = []

    def sync(self) -> float | None:
        self.syncs += 1
        self._maybe_fail("sync")
        return None

    def close(self) -> None:
        self.closed = True
        self._maybe_fail("close")


class ToyService:
    """Serves until stop(), unless it raises `end` or returns at once. It returns `reason`."""

    def __init__(self, end: Exception | None = None, returns: bool = False, reason: str | None = None) -> None:
        self.end, self.returns, self.reason = end, returns, reason
        self.stopped = Event()

    def serve(self) -> str | None:
        if self.end:
            gevent.sleep(0.005)
            raise self.end
        if not self.returns:
            self.stopped.wait()
        return self.reason

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def make(status, metrics):
    def runner(connector, exchange=None, writer=None, **options) -> Runner:
        return Runner(
            RunParts("kalshi", connector, exchange or ToyExchange(), writer or ToyWriter()),
            status=status,
            metrics=metrics,
            reporter=Reporter("kalshi", status),
            **options,
        )

    return runner


def test_everything_received_is_written_before_a_disconnect_is_raised(make, status, metrics):
    writer = ToyWriter()
    connector = ToyConnector([[b"1", b"2"], [b"3"]], end=Disconnected("gone"))
    with pytest.raises(Disconnected, match="gone"):
        make(connector, writer=writer).run()
    assert writer.kept == [b"1", b"2", b"3"]
    assert writer.closed
    assert status.messages == 3
    assert sample(metrics, "ssmd_messages_total") == 3
    assert sample(metrics, "ssmd_errors_total", type="disconnect") == 1


def test_stop_drains_and_returns_without_error(make, status):
    writer = ToyWriter()
    connector = ToyConnector([[b"1"]])
    runner = make(connector, writer=writer)
    running = gevent.spawn(runner.run)
    eventually(status.ready)
    eventually(lambda: status.messages)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)
    assert writer.kept == [b"1"]
    assert connector.closed.is_set()
    assert not status.ready()
    assert status.trouble() is None


def test_stop_while_connecting_ends_at_once(make, status):
    connector = ToyConnector()
    connector.waits = True
    runner = make(connector)
    running = gevent.spawn(runner.run)
    connector.connecting.wait()
    assert not status.ready()
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


def test_stop_before_run_ends_at_once(make):
    runner = make(ToyConnector())
    runner.stop("SIGTERM")
    runner.run()


@pytest.mark.parametrize("error", [ConnectError("unreachable"), AuthError("401")])
def test_a_connect_that_fails_is_raised_as_it_is(make, error):
    with pytest.raises(type(error)) as raised:
        make(ToyConnector(refuse=error)).run()
    assert raised.value is error


def test_a_connector_that_returns_is_a_disconnect_too(make):
    class Returning(ToyConnector):
        def messages(self, clock):
            return iter([read_now(clock, [b"1"])])

    writer = ToyWriter()
    with pytest.raises(Disconnected, match="connector has ended"):
        make(Returning(), writer=writer).run()
    assert writer.kept == [b"1"]


def test_a_bug_in_a_part_is_raised_and_what_was_received_is_kept(make, capsys):
    writer = ToyWriter()
    with pytest.raises(ZeroDivisionError):
        make(ToyConnector([[b"1"]], end=ZeroDivisionError()), writer=writer).run()
    assert writer.kept == [b"1"]
    assert writer.closed


@pytest.mark.parametrize("step", ["flush", "sync", "close"])
def test_a_failed_write_outranks_the_disconnect_it_may_have_caused(make, step):
    writer = ToyWriter()
    writer.fail[step] = WriteError("disk full")
    with pytest.raises(WriteError, match="disk full"):
        make(ToyConnector([[b"1"]], end=Disconnected("gone")), writer=writer).run()


def test_a_failed_write_ends_the_run_although_the_feed_goes_on(make, status):
    writer = ToyWriter()
    writer.fail["flush"] = WriteError("disk full")
    with pytest.raises(WriteError):
        make(ToyConnector([[b"1"]]), writer=writer).run()
    assert status.ending == "disk full"
    assert writer.closed


def test_a_failed_write_frees_a_reader_that_waits_for_room(make, caplog):
    writer = ToyWriter()
    writer.gate.clear()
    connector = ToyConnector([[b"x" * 10]] * 5)
    runner = make(connector, writer=writer, queue_bytes=20)
    running = gevent.spawn(runner.run)
    connector.connecting.wait()
    gevent.sleep(0.01)
    writer.fail["flush"] = WriteError("disk full")
    writer.gate.set()
    with pytest.raises(WriteError):
        running.get(timeout=PATIENCE)


def test_an_output_that_cannot_be_opened_ends_the_run_before_anything_connects(make):
    writer = ToyWriter()
    writer.fail["open"] = OutputError("no permission")
    connector = ToyConnector()
    service = ToyService()
    with pytest.raises(OutputError):
        make(connector, writer=writer, services=[service]).run()
    assert not connector.connecting.is_set()
    assert service.stopped.is_set()


@pytest.mark.parametrize("service", [ToyService(end=Disconnected("port gone")), ToyService(returns=True)])
def test_a_service_that_ends_ends_the_run(make, service):
    writer = ToyWriter()
    with pytest.raises(Disconnected, match=r"port gone|service has ended"):
        make(ToyConnector([[b"1"]]), writer=writer, services=[service]).run()
    assert writer.closed


def test_a_service_that_returns_a_reason_ends_the_run_in_order(make, status, metrics, caplog):
    writer = ToyWriter()
    connector = ToyConnector([[b"1"]])
    service = ToyService(reason="the exchange closes at 17:00")
    runner = make(connector, writer=writer, services=[service, ToyService()])

    def close() -> None:
        eventually(lambda: status.messages)
        service.stopped.set()

    closing = gevent.spawn(close)
    with caplog.at_level("INFO", "ssmd.runner"):
        runner.run()
    closing.get()
    assert runner.stopped_by == "the exchange closes at 17:00"
    assert writer.kept == [b"1"]
    assert writer.closed
    assert connector.closed.is_set()
    assert status.ending is None
    [stopping] = [record for record in caplog.records if record.message == "stopping"]
    assert stopping.reason == "the exchange closes at 17:00"
    [stopped] = [note for batch in writer.batches for note in batch.notes if note.event == "stopped"]
    assert stopped.fields["reason"] == "the exchange closes at 17:00"
    for kind in ("disconnect", "connect", "write"):
        assert sample(metrics, "ssmd_errors_total", type=kind) in (None, 0)


def test_a_service_that_returns_nothing_before_stop_is_a_failure(make, metrics):
    runner = make(ToyConnector([[b"1"]]), services=[ToyService(returns=True)])
    with pytest.raises(Disconnected, match=r"^the service has ended by itself$"):
        runner.run()
    assert runner.stopped_by is None
    assert sample(metrics, "ssmd_errors_total", type="disconnect") == 1


@pytest.mark.parametrize("end", [None, Disconnected("gone")], ids=["stopped", "failed"])
def test_a_reason_that_a_service_returns_when_it_is_stopped_changes_nothing(make, end, caplog):
    """The run has ended by then, for another reason."""
    runner = make(ToyConnector([[b"1"]], end=end), services=[ToyService(reason="stopped as asked")])
    if end is None:
        gevent.spawn_later(0.05, runner.stop, "SIGTERM")
        runner.run()
    else:
        with pytest.raises(Disconnected, match="gone"):
            runner.run()
    assert runner.stopped_by == (None if end else "SIGTERM")
    assert "stopped as asked" not in caplog.text


def test_back_pressure_stops_the_reading_and_loses_nothing(make, status, metrics):
    writer = ToyWriter()
    writer.gate.clear()
    connector = ToyConnector([[b"x" * 10] for _ in range(100)], end=Disconnected("gone"))
    runner = make(connector, writer=writer, queue_bytes=50)
    running = gevent.spawn(runner.run)
    connector.connecting.wait()
    gevent.sleep(0.1)
    assert status.queue_bytes() <= 50
    writer.gate.set()
    with pytest.raises(Disconnected):
        running.get(timeout=PATIENCE)
    assert len(writer.kept) == 100
    assert sample(metrics, "ssmd_backpressure_seconds_total") >= 0.04


def test_a_writer_stuck_for_good_ends_with_a_write_error_after_the_drain_time(make):
    writer = ToyWriter()
    writer.gate.clear()
    with pytest.raises(WriteError, match="drain"):
        make(ToyConnector([[b"1"]], end=Disconnected("gone")), writer=writer, drain_seconds=0.1).run()
    writer.gate.set()


def test_a_sync_stuck_at_the_end_is_given_up_after_the_drain_time_too(make):
    class Stuck(ToyWriter):
        def close(self) -> None:
            self.gate.clear()
            self.gate.wait()

    writer = Stuck()
    with pytest.raises(WriteError, match="drain"):
        make(ToyConnector([[b"1"]], end=Disconnected("gone")), writer=writer, drain_seconds=0.1).run()
    assert writer.kept == [b"1"]
    writer.gate.set()


def test_the_ledger_is_told_of_a_stop_although_the_reader_does_not_end(make):
    class Deaf(ToyConnector):
        def close(self) -> None:
            pass

    writer = ToyWriter()
    connector = Deaf([[b"1"]])
    runner = make(connector, writer=writer, drain_seconds=0.1)
    running = gevent.spawn(runner.run)
    connector.connecting.wait()
    gevent.sleep(0.05)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)
    [stopped] = [note for batch in writer.batches for note in batch.notes if note.event == "stopped"]
    assert stopped.fields["reason"] == "SIGTERM"
    assert writer.kept == [b"1"]
    assert writer.closed


def test_what_a_reader_still_holds_counts_as_not_written(make, caplog):
    """It waits for room that a stuck writer will not make."""
    writer = ToyWriter()
    writer.gate.clear()
    connector = ToyConnector([[b"x" * 10]] * 3)
    runner = make(connector, writer=writer, queue_bytes=20, drain_seconds=0.1)
    running = gevent.spawn(runner.run)
    connector.connecting.wait()
    gevent.sleep(0.05)
    runner.stop("SIGTERM")
    with pytest.raises(WriteError, match="drain"):
        running.get(timeout=PATIENCE)
    [record] = [record for record in caplog.records if record.message == "messages received but not written"]
    assert record.messages == 3
    writer.gate.set()


def test_a_disk_that_is_dead_at_the_start_makes_the_run_unhealthy(make, status, monkeypatch):
    class Stuck(ToyWriter):
        def open(self) -> None:
            self.gate.clear()
            self.gate.wait()

    writer = Stuck()
    runner = make(ToyConnector(), writer=writer)
    running = gevent.spawn(runner.run)
    monkeypatch.setattr("ssmd.runtime.status.STUCK_SECONDS", 0.0)
    eventually(status.trouble)
    trouble = status.trouble()
    late = round(time.monotonic() - status.write_began)  # 0, unless the machine is busy.
    assert trouble in [f"a write to memory has been stuck for {seconds} s" for seconds in range(late + 1)]
    writer.gate.set()
    eventually(lambda: status.trouble() is None)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


def test_a_refused_subscription_ends_the_run_with_its_message_in_the_file(make):
    writer = ToyWriter()
    refusal = Inspection(decoded=True, failure=SubscriptionRefused("error 8"))
    with pytest.raises(SubscriptionRefused):
        make(ToyConnector([[b"refused"]]), ToyExchange([refusal]), writer).run()
    assert writer.kept == [b"refused"]


def test_gaps_and_acknowledgements_are_counted_and_logged(make, status, metrics, caplog):
    events: list[Acknowledged | Gap] = [Acknowledged("trade", 1), Gap(1, 5, 8), Gap(1, 9, 2)]
    with caplog.at_level("INFO", "ssmd.runner"), pytest.raises(Disconnected):
        make(ToyConnector([[b"1"]], end=Disconnected("x")), ToyExchange([Inspection(True, events)])).run()
    assert (status.gaps, status.missed) == (2, 3)
    assert sample(metrics, "ssmd_missed_messages_total") == 3
    assert "subscribed" in [record.message for record in caplog.records]


def test_a_clock_that_steps_back_never_shows_in_the_batches(make, metrics, caplog):
    # The first three are those of the start and of the connection, the last is that of the end.
    times = iter([110, 110, 110, 100, 200, 50, 60, 300, 300])
    writer = ToyWriter()
    connector = ToyConnector([[b"x"]] * 5, end=Disconnected("gone"))
    with pytest.raises(Disconnected):
        make(connector, writer=writer, clock=lambda: next(times)).run()
    assert [batch.received_ns for batch in writer.batches if batch.messages] == [110, 200, 200, 200, 300]
    assert sample(metrics, "ssmd_clock_steps_total") == 2
    assert [record.message for record in caplog.records].count("clock stepped back") == 2


@pytest.mark.parametrize(("behind", "ends"), [(7200, False), (7201, True)])
def test_a_clock_that_was_far_ahead_ends_the_run_after_what_it_has_received(make, behind, ends):
    second = 10**9
    ahead = 10_000 * second
    times = iter([ahead] * 4)
    writer = ToyWriter()
    connector = ToyConnector([[b"1"], [b"2"], [b"3"]], end=Disconnected("gone"))
    with pytest.raises(ClockError if ends else Disconnected) as ended:
        make(connector, writer=writer, clock=lambda: next(times, ahead - behind * second)).run()
    assert [batch.messages for batch in writer.batches if batch.messages] == [1] * (2 if ends else 3)
    if ends:
        assert str(ended.value) == "the clock is 7201 s behind its earlier time; the next start takes it as it is"
        assert ended.value.exit_code == 75


def test_the_writer_syncs_although_nothing_comes(make):
    writer = ToyWriter()
    connector = ToyConnector()
    runner = make(connector, writer=writer)
    running = gevent.spawn(runner.run)
    gevent.sleep(0.2)  # By then what the start and the connection have brought about is synced.
    before = writer.syncs
    eventually(lambda: writer.syncs > before)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


def test_a_feed_that_never_pauses_is_synced_all_the_same(make):
    """The writer gives way at each flush, so the queue need never run empty."""

    class Endless(ToyConnector):
        def messages(self, clock):
            while not self.closed.is_set():
                yield read_now(clock, [b"1"])
                gevent.sleep(0)

    class Yielding(ToyWriter):
        def flush(self):
            gevent.sleep(0.001)
            super().flush()

    writer = Yielding()
    connector = Endless()
    runner = make(connector, writer=writer)
    running = gevent.spawn(runner.run)
    while writer.syncs < 5:  # Without that this would meet the test's deadline.
        gevent.sleep(0.01)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


def test_a_writer_that_wants_to_sync_soon_is_called_although_nothing_comes(make):
    class Wanting(ToyWriter):
        def sync(self):
            super().sync()
            return 0.01

    writer = Wanting()
    runner = make(ToyConnector([[b"1"]]), writer=writer)
    running = gevent.spawn(runner.run)
    with gevent.Timeout(PATIENCE):
        # The ticker alone would call it once a second, and this would meet the deadline.
        while writer.syncs < 300:
            gevent.sleep(0.01)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


@pytest.mark.parametrize("stop_first", [True, False])
def test_a_bug_while_draining_is_not_hidden_by_what_it_follows(make, stop_first):
    class Broken(ToyConnector):
        def messages(self, clock):
            yield read_now(clock, [b"1"])
            self.closed.wait()
            raise ZeroDivisionError

    writer = ToyWriter()
    runner = make(Broken(), writer=writer, services=[] if stop_first else [ToyService(end=Disconnected("first"))])
    running = gevent.spawn(runner.run)
    gevent.sleep(0.02)
    if stop_first:
        runner.stop("SIGTERM")
    with pytest.raises(ZeroDivisionError):
        running.get(timeout=PATIENCE)
    assert writer.closed


def test_an_opening_that_hangs_can_be_stopped_and_shows_in_health(make, status):
    never = Event()

    class Hanging(ToyWriter):
        def open(self):
            never.wait()

    runner = make(ToyConnector(), writer=Hanging(), drain_seconds=0.1)
    running = gevent.spawn(runner.run)
    eventually(lambda: status.write_began is not None)
    runner.stop("SIGTERM")
    with pytest.raises(WriteError, match="the disk did not answer"):
        running.get(timeout=PATIENCE)
    never.set()


def test_whatever_expected_error_ends_a_run_is_counted(make, metrics):
    with pytest.raises(ListenError):
        make(ToyConnector(), services=[ToyService(end=ListenError("port gone"))]).run()
    assert sample(metrics, "ssmd_errors_total", type="listen") == 1


def test_a_message_from_the_future_is_of_age_0(make, metrics):
    inspections = [Inspection(True, exchange_ms=99_000), Inspection(True, exchange_ms=160_000)]
    connector = ToyConnector([[b"x"]] * 2, end=Disconnected("gone"))
    with pytest.raises(Disconnected):
        make(connector, ToyExchange(inspections), clock=lambda: 100 * 10**9).run()

    def value(name: str, **labels: str) -> float | None:
        return sample(metrics, f"ssmd_message_age_seconds_{name}", **labels)

    assert (value("count"), value("sum"), value("bucket", le="0.0")) == (2, 1, 1)


class Channels(ToyExchange):
    """Knows one channel, from which nothing comes."""

    def channels(self) -> Sequence[ChannelState]:
        return [ChannelState("trade", 1, None, None, None, False, 0)]


def test_a_note_is_written_although_no_message_comes(make):
    writer = ToyWriter()
    runner = make(ToyConnector(), Channels(), writer, limits=Limits(silent_seconds=0.0))
    running = gevent.spawn(runner.run)
    eventually(lambda: any(note.event == "silent" for batch in writer.batches for note in batch.notes))
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)


def test_a_note_never_comes_before_messages_that_were_received_earlier(make, status):
    """The writer would put them into the file of the note's day, which may be the next one."""

    class Slow(ToyWriter):
        release = False

        def encode(self, reads, payloads, decoded):
            while not self.release:
                time.sleep(0.01)
            return super().encode(reads, payloads, decoded)

    writer = Slow()
    runner = make(ToyConnector([[b"x" * LARGE_BYTES]]), Channels(), writer, limits=Limits(silent_seconds=0.0))
    running = gevent.spawn(runner.run)
    eventually(lambda: status.channels and status.channels[0].silent)
    gevent.sleep(0.05)
    writer.release = True
    eventually(lambda: any(note.event == "silent" for batch in writer.batches for note in batch.notes))
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)
    times = [batch.received_ns for batch in writer.batches]
    assert times == sorted(times)
    [message] = [place for place, batch in enumerate(writer.batches) if batch.messages]
    assert not any(note.event == "silent" for batch in writer.batches[:message] for note in batch.notes)


def test_a_note_that_is_made_while_reads_are_held_has_its_place_among_their_messages(make, status):
    """The ticker must not hand it in: the messages that were received before it are not in the queue yet."""
    release = Event()

    class Holding(ToyConnector):
        @property
        def held_ns(self):
            return None if release.is_set() else 1

        def messages(self, clock):
            first = clock()
            release.wait()
            yield [(first, 2), (clock(), 1)], [b"1", b"2", b"3"]
            self.closed.wait()

    writer = ToyWriter()
    runner = make(Holding(), Channels(), writer, limits=Limits(silent_seconds=0.0))
    running = gevent.spawn(runner.run)
    eventually(lambda: status.channels and status.channels[0].silent)  # The same turn of the ticker hands notes in.
    release.set()
    eventually(lambda: writer.kept)
    runner.stop("SIGTERM")
    running.get(timeout=PATIENCE)
    [together] = [batch for batch in writer.batches if batch.messages]
    assert [(note.event, note.place) for note in together.notes] == [("silent", 2)]
    times = [note.ts_ns for batch in writer.batches for note in batch.notes]
    assert times == sorted(times)


def test_the_time_out_of_a_channel_ends_the_run_as_a_disconnect_does(make, metrics, status):
    writer = ToyWriter()
    runner = make(ToyConnector([[b"1"]]), Channels(), writer, limits=Limits(timeout_seconds={"trade": 0.5}))
    with pytest.raises(Disconnected, match="channel_timeout_seconds"):
        runner.run()
    assert writer.kept == [b"1"]
    ends = [note for batch in writer.batches for note in batch.notes if note.event in ("disconnected", "stopped")]
    assert [note.event for note in ends] == ["disconnected", "stopped"]
    assert {note.fields["reason"] for note in ends} == {str(status.ending)}
    assert sample(metrics, "ssmd_errors_total", type="disconnect") == 1
