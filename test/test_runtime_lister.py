"""The requests that list the markets of an exchange, made by a real client to a real server, and the files of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import pytest
from exchange_server import ExchangeServer, Peer, eventually, serving
from patience import PATIENCE
from recorded_runs import data_files
from test_runtime_runner import ToyConnector, ToyExchange, ToyWriter

from ssmd.connector.rest.client import RestClient
from ssmd.contracts.http import HttpAnswer, HttpRequest
from ssmd.contracts.listing import ListingState
from ssmd.errors import AlreadyCollected, Disconnected, WriteError
from ssmd.proof.verify import verify
from ssmd.runtime.lister import Lister, ListingFiles
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reader import RunParts
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.runner import Runner
from ssmd.runtime.status import STUCK_SECONDS, Status
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

NOON = 1_766_404_800_000_000_000  # 2025-12-22T12:00:00Z
FEED = "kalshi.listing"
KEY = "canary-0123456789abcdef-canary"
SKIP = "/skip"


class ToyListing:
    """Makes the requests for these paths, and again for the last one. The answer to SKIP is not used."""

    def __init__(self, base: str, *paths: str, pause: float = 0.01) -> None:
        self.base, self.paths, self.pause = base, list(paths), pause
        self.asked = 0
        self.waits = False
        self.answers: list[HttpAnswer] = []
        self.failures: list[str] = []
        self.error: str | None = None
        self.bug: Exception | None = None

    def next(self, now_ms: int) -> HttpRequest | float:
        assert now_ms > 1_700_000_000_000
        if self.waits:
            self.waits = False
            return self.pause
        self.path = self.paths[min(self.asked, len(self.paths) - 1)]
        self.asked += 1
        return HttpRequest("GET", self.base + self.path, hidden=[KEY])

    def answered(self, answer: HttpAnswer, now_ms: int) -> bool:
        if self.bug:
            raise self.bug
        self.waits, self.error = True, None
        self.answers.append(answer)
        return not self.path.startswith(SKIP)

    def failed(self, reason: str, now_ms: int) -> None:
        self.waits, self.error = True, reason
        self.failures.append(reason)

    def state(self) -> ListingState:
        return ListingState(None, 0, 0, 0, None, self.error)


def markets(peer: Peer) -> None:
    """Answer each request with a body that repeats its path."""
    while True:
        target = peer.request().line.split()[1]
        body = json.dumps({"path": urlsplit(target).path}).encode()
        peer.send(b"HTTP/1.1 200 OK\r\nETag: e1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with serving(markets) as server:
        yield server


class Day:
    """A wall clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        self.now += 1000
        return self.now


class Scene:
    """A run of a listing, with files of its own in the folder."""

    def __init__(self, folder: Path, metrics: Metrics, status: Status, listing: ToyListing, **options: Any) -> None:
        self.listing, self.status, self.clock = listing, status, Day()
        self.writer = options.pop("writer", None)
        self.connector = options.pop("connector", None) or ToyConnector()
        if self.writer is None:
            storage = LocalStorage(type="local", path=str(folder))
            own = Status()
            status.beside = [own]
            self.writer = FileWriter(storage, FEED, status=own, clock=self.clock)
        files = ListingFiles(FEED, self.writer, Status()) if options.pop("keep", True) else None
        self.runner = Runner(
            RunParts("kalshi", self.connector, ToyExchange(), ToyWriter()),
            status=status,
            metrics=metrics,
            reporter=Reporter("kalshi", status),
            lister=Lister(listing, RestClient(direct=True), files),
            identity={"version": "1", "exchange": "kalshi"},
            clock=self.clock,
            **options,
        )
        self.running = gevent.spawn(self.runner.run)

    def stop(self) -> None:
        self.runner.stop("SIGTERM")
        self.running.get(timeout=PATIENCE)


@pytest.fixture
def scene(tmp_path: Path, metrics: Metrics, status: Status) -> Callable[..., Scene]:
    return lambda listing, **options: Scene(tmp_path, metrics, status, listing, **options)


def lines_of(folder: Path, day: str = "2025-12-22") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / day / f"{FEED}.jsonl").read_text().splitlines()]


def ledger_of(folder: Path, day: str = "2025-12-22") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / day / f"{FEED}.ledger.jsonl").read_text().splitlines()]


def test_requests_are_made_from_the_connection_on_one_after_the_other(server: ExchangeServer, scene: Any) -> None:
    connector = Waiting()
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/1", "/2", "/3"), connector=connector, keep=False)
    eventually(connector.connecting.is_set)
    gevent.sleep(0.05)
    assert server.connections == 0
    connector.may_connect.set()
    eventually(lambda: len(made.listing.answers) >= 4)
    made.stop()
    assert [json.loads(answer.body)["path"] for answer in made.listing.answers[:4]] == ["/1", "/2", "/3", "/3"]
    assert server.connections == 1


class Waiting(ToyConnector):
    """Connects when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_connect = gevent.event.Event()

    def connect(self) -> None:
        self.connecting.set()
        self.may_connect.wait()


def test_the_answers_that_are_used_are_lines_with_what_was_asked(
    server: ExchangeServer, scene: Any, tmp_path: Path
) -> None:
    paths = f"/1?key={KEY}&cursor=a%20b", f"{SKIP}?x=1", "/2", SKIP
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", *paths))
    eventually(lambda: len(made.listing.answers) >= 5)
    made.stop()
    lines, ledger = lines_of(tmp_path), ledger_of(tmp_path)
    assert [(line["feed"], line["data"]) for line in lines] == [(FEED, {"path": "/1"}), (FEED, {"path": "/2"})]
    assert [entry["event"] for entry in ledger] == ["started", "connected", "response", "response", "stopped"]
    assert ledger[0]["exchange"] == "kalshi"
    first, second, end = ledger[2:]
    assert first["url"] == f"http://127.0.0.1:{server.port}/1?key=(hidden)&cursor=a%20b"
    assert (first["status"], first["etag"]) == (200, "e1")
    assert 0 < first["seconds"] < 20
    assert [(entry["line"], entry["ts"]) for entry in (first, second)] == [
        (place, line["ts"]) for place, line in enumerate(lines)
    ]
    assert (end["reason"], end["lines"]) == ("SIGTERM", 2)
    [verdict] = [verify(file) for file in data_files([tmp_path])]
    assert (verdict.findings, verdict.file.feed) == ([], FEED)


def test_a_request_that_fails_never_ends_the_run(scene: Any, status: Status, caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b""])

    def script(peer: Peer) -> None:
        peer.request()
        answer = next(answers, None)
        if answer is None:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        else:
            peer.send(answer)

    caplog.set_level("INFO")
    with serving(script) as server:
        made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"))
        eventually(lambda: made.listing.answers)
        assert status.ready()
        made.stop()
    begin = f"no usable answer from http://127.0.0.1:{server.port}: "
    hung_up, cut_off = f"{begin}it hung up without an answer", f"{begin}its answer is cut off after 1 of 9 bytes"
    assert made.listing.failures == [hung_up, cut_off, hung_up]
    records = [record for record in caplog.records if record.name == "ssmd.lister"]
    said = [(record.message, getattr(record, "reason", "")) for record in records]
    assert said == [
        ("the exchange's markets cannot be listed; ssmd goes on trying", hung_up),
        ("the exchange's markets are listed again", ""),
    ]


def test_a_bug_in_the_listing_ends_the_run(server: ExchangeServer, scene: Any, tmp_path: Path) -> None:
    listing = ToyListing(f"http://127.0.0.1:{server.port}", "/")
    made = scene(listing)
    eventually(lambda: listing.answers)
    listing.bug = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        made.running.get(timeout=PATIENCE)
    assert len(lines_of(tmp_path)) == len(listing.answers)


def test_the_run_ends_at_once_during_a_request(scene: Any, tmp_path: Path) -> None:
    """And that is no failure of the listing."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        peer.request()
        peer.drained()

    with serving(script) as server:
        made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"))
        eventually(lambda: made.listing.asked == 2)
        gevent.sleep(0.02)
        with gevent.Timeout(10):
            made.stop()
    assert made.listing.failures == []
    assert len(lines_of(tmp_path)) == 1


def test_the_connection_that_ends_ends_the_files_with_its_reason(
    server: ExchangeServer, scene: Any, tmp_path: Path
) -> None:
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"), connector=Ending())
    eventually(lambda: made.listing.answers)
    made.connector.ends.set()
    with pytest.raises(Disconnected, match="gone"):
        made.running.get(timeout=PATIENCE)
    assert ledger_of(tmp_path)[-1]["reason"] == "gone"
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]]


class Ending(ToyConnector):
    """Ends when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = gevent.event.Event()

    def messages(self, clock: Callable[[], int]) -> Iterator[Any]:
        self.ends.wait()
        raise Disconnected("gone")
        yield


def test_a_new_day_has_files_of_its_own(server: ExchangeServer, scene: Any, tmp_path: Path) -> None:
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"))
    eventually(lambda: len(made.listing.answers) >= 2)
    made.clock.now += 43_200 * 1_000_000_000
    count = len(made.listing.answers)
    eventually(lambda: len(made.listing.answers) >= count + 3)
    made.stop()
    assert len(lines_of(tmp_path)) + len(lines_of(tmp_path, "2025-12-23")) == len(made.listing.answers)
    assert [entry["event"] for entry in ledger_of(tmp_path)][-1] == "rotated"
    events = [entry["event"] for entry in ledger_of(tmp_path, "2025-12-23")]
    assert (events[:2], events[-1]) == (["continued", "response"], "stopped")
    verdicts = [verify(file) for file in data_files([tmp_path])]
    assert [verdict.findings for verdict in verdicts] == [[], []]


@pytest.mark.parametrize("step", ["flush", "sync", "close", "open"])
def test_a_disk_that_fails_ends_the_run(server: ExchangeServer, scene: Any, step: str) -> None:
    writer = ToyWriter()
    writer.fail[step] = WriteError("disk full")
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"), writer=writer)
    if step == "close":
        eventually(lambda: made.listing.answers)
        made.runner.stop("SIGTERM")
    with pytest.raises(WriteError, match="disk full"):
        made.running.get(timeout=PATIENCE)
    assert made.listing.failures == []


def test_a_disk_that_does_not_answer_holds_the_requests(
    server: ExchangeServer, scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssmd.runtime.lister.QUEUE_BYTES", 1)
    writer = ToyWriter()
    writer.gate.clear()
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"), writer=writer, drain_seconds=1)
    eventually(lambda: made.listing.answers)
    gevent.sleep(0.1)
    assert made.listing.asked == 1
    made.runner.stop("SIGTERM")
    with pytest.raises(WriteError, match="the disk did not take the rest within the drain time"):
        made.running.get(timeout=PATIENCE)
    writer.gate.set()


def test_a_write_that_is_stuck_is_trouble_of_the_run() -> None:
    began = time.monotonic() - STUCK_SECONDS - 1
    assert Status(beside=[Status()]).trouble() is None
    trouble = Status(beside=[Status(location="there", write_began=began)]).trouble()
    assert str(trouble).startswith("a write to there has been stuck for 11 s")


def test_a_slow_disk_loses_nothing(server: ExchangeServer, scene: Any) -> None:
    writer = ToyWriter()
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/", pause=0), writer=writer)
    eventually(lambda: len(made.listing.answers) > 2)
    writer.gate.clear()
    count = len(made.listing.answers)
    eventually(lambda: len(made.listing.answers) > count + 2)
    gevent.spawn_later(0.2, writer.gate.set)
    made.stop()
    assert len(writer.kept) == len(made.listing.answers)


def test_two_runs_never_write_the_same_files(server: ExchangeServer, scene: Any, tmp_path: Path) -> None:
    other = FileWriter(LocalStorage(type="local", path=str(tmp_path)), FEED, status=Status())
    other.open()
    made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"))
    with pytest.raises(AlreadyCollected):
        made.running.get(timeout=PATIENCE)
    assert server.connections == 0
    other.close()


def test_a_large_answer_is_a_line(scene: Any, tmp_path: Path) -> None:
    body = json.dumps(["x" * 100] * 30_000).encode()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        peer.drained()

    with serving(script) as server:
        made = scene(ToyListing(f"http://127.0.0.1:{server.port}", "/"))
        eventually(lambda: made.listing.answers)
        made.stop()
    assert len(lines_of(tmp_path)[0]["data"]) == 30_000
