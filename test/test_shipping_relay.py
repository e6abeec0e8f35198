"""The relay of one feed, when its engine fails at some moment. The engine is a folder, which fails on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from recorded import make_day
from ship_runs import wait_until

from ssmd.contracts.shard import WHOLE
from ssmd.contracts.sink import Block, Copied, Position
from ssmd.errors import EngineAuthError, EngineError, EngineFenced, EngineMismatch, UsageError
from ssmd.exchange.readers import reader_of
from ssmd.reading.follow import Follower
from ssmd.shipping import plan
from ssmd.shipping.file.sink import FileSink
from ssmd.shipping.plan import Plan
from ssmd.shipping.relay import Relay
from ssmd.shipping.reporting import report_of
from ssmd.shipping.shipped import Shipped
from ssmd.store.timestamps import day_begins

DAY = "2025-12-22"
FAST = (0.01, 0.04)
Failing = Callable[[int], Exception | None]


class FailingSink(FileSink):
    """`before` and `after` return what to raise before or after the block of a number is written; `warnings` are
    those of check().
    """

    most_lines = 100

    def __init__(self, path: Path, before: Failing, after: Failing, warnings: tuple[str, ...]) -> None:
        super().__init__(path, "kalshi", WHOLE)
        self._before, self._after, self._warnings = before, after, warnings

    count = 0
    """Blocks that were to be sent, in all connections."""

    def check(self):
        return self._warnings

    def send(self, block: Block) -> None:
        FailingSink.count += 1
        if error := self._before(FailingSink.count):
            raise error
        super().send(block)
        if error := self._after(FailingSink.count):
            raise error


class Site:
    """A recorded day, and the folder of its copy."""

    def __init__(self, folder: Path) -> None:
        self.storage, self.copy = folder / "storage", folder / "copy"
        self.copy.mkdir()
        self.recorded = make_day(self.storage, DAY, per_hour=20).read_bytes()
        self.opened = 0
        self.now_ns = time.time_ns()

    def relay(
        self,
        before: Failing = lambda number: None,
        after: Failing = lambda number: None,
        refuse: Failing = lambda number: None,
        warnings: tuple[str, ...] = (),
        **plan,
    ) -> Relay:
        FailingSink.count = 0

        def open_sink() -> FileSink:
            self.opened += 1
            if error := refuse(self.opened):
                raise error
            return FailingSink(self.copy, before, after, warnings)

        follower = Follower(self.storage, "kalshi", WHOLE, reader_of, lambda: self.now_ns)
        shipped = Shipped(self.storage, "kalshi", "file")
        whole = Plan(**{"start": "oldest", "pause_seconds": FAST, **plan})
        return Relay(follower, open_sink, shipped, whole, threading.Event())

    def place(self, line: int) -> Position:
        """The position after so many lines."""
        lines = self.recorded.splitlines(keepends=True)[:line]
        return Position("kalshi", "", DAY, sum(map(len, lines)), line)

    def add(self, lines: int) -> bytes:
        """Append the first lines of the day to it once more; return them."""
        more = self.recorded[: self.place(lines).offset]
        with open(self.storage / DAY / "kalshi.jsonl", "ab") as file:
            file.write(more)
        return more

    def copied(self) -> bytes:
        return (self.copy / DAY / "kalshi.jsonl").read_bytes()


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def at(number: int, error: Exception | None = None) -> Failing:
    return lambda count: (error or EngineError("no answer")) if count == number else None


def ship(relay: Relay) -> None:
    """Let it run until it has shipped all."""
    relay_thread = threading.Thread(target=relay.run)
    relay_thread.start()
    while relay.state.lag_bytes != 0 or not relay.state.up:
        relay_thread.join(0.01)
        assert relay_thread.is_alive()
        relay.measure()
    relay._stopped.set()
    relay_thread.join()


@pytest.mark.parametrize("number", [1, 2, 4])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_block_of_which_nothing_is_known_is_there_once(site, number, moment):
    relay = site.relay(**{moment: at(number)})
    ship(relay)
    assert site.copied() == site.recorded
    assert (relay.state.failures, site.opened) == (1, 2)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_place_that_a_person_has_chosen_counts_until_a_block_has_arrived(site, moment):
    end = site.place(150)
    relay = site.relay(resume_at=end, **{moment: at(1)})
    ship(relay)
    assert site.copied() == site.recorded[end.offset :]
    assert relay.state.failures == 1


def test_a_day_that_is_restored_from_a_bucket_is_waited_for(site):
    """As on a new host: the engine has the beginning of a day that only the bucket has."""
    relay = site.relay(once=True)
    relay.run()
    path = site.storage / DAY / "kalshi.jsonl"
    lines = path.read_bytes()
    path.parent.rename(away := site.storage / "away")
    with pytest.raises(EngineMismatch, match=f"{path}: is not here"):
        site.relay(once=True).run()
    relay = site.relay(has_bucket=True)
    thread = threading.Thread(target=relay.run)
    thread.start()
    wait_until(lambda: relay.state.error)
    assert "the relay goes on by itself when the uploader has restored the day" in relay.state.error
    away.rename(path.parent)
    more = site.add(3)
    wait_until(lambda: site.copied() == lines + more)
    relay._stopped.set()
    thread.join()


def test_where_a_copy_begins_is_found_once(site):
    site.relay(start="now", once=True).run()
    last = site.add(3)

    site.relay(start="now", once=True).run()
    assert site.copied() == last


def test_what_is_recorded_while_an_engine_refuses_the_first_block_is_in_the_copy(site):
    site.relay(start="now", once=True).run()
    first = site.add(3)
    with pytest.raises(EngineError):
        site.relay(start="now", once=True, before=at(1)).run()
    second = site.add(2)

    site.relay(start="now", once=True).run()
    assert site.copied() == first + second


def test_another_start_counts_as_long_as_nothing_is_shipped(site):
    site.relay(start="now", once=True).run()
    site.relay(start="oldest", once=True).run()
    assert site.copied() == site.recorded


def test_a_place_before_the_end_of_the_copy_is_refused(site):
    ship(site.relay())
    with pytest.raises(UsageError, match="what is between would be there twice"):
        site.relay(resume_at=site.place(150)).run()
    assert site.copied() == site.recorded


def test_what_a_purge_has_left_is_looked_for_at_each_attempt(site, monkeypatch):
    left = Copied("", DAY, 150, "", b"")

    def purged(number: int) -> Exception:
        monkeypatch.setattr(FailingSink, "copies", lambda self, first_day=None: iter([left]))
        return EngineError("no answer")

    with pytest.raises(UsageError, match="the engine still has the message of line 150 of "):
        site.relay(resume_at=site.place(0), before=purged).run()
    assert FailingSink.count == 1


@pytest.mark.parametrize("error", [EngineAuthError("no"), EngineFenced("no"), EngineMismatch("no")])
def test_what_a_further_attempt_cannot_mend_ends_it(site, error):
    relay = site.relay(before=at(2, error))
    with pytest.raises(type(error)):
        relay.run()
    assert (relay.state.up, relay.state.error, relay.state.failures) == (False, "no", 1)
    assert site.opened == 1


def test_with_once_any_failure_ends_it(site):
    with pytest.raises(EngineError, match="no answer"):
        site.relay(before=at(2), once=True).run()


def test_the_pauses_double_until_a_block_has_arrived(site, caplog):
    refuse = {1, 2, 3, 4, 6}
    relay = site.relay(
        before=at(1), refuse=lambda number: EngineError("gone") if number in refuse else None, pause_seconds=(0.1, 0.4)
    )
    ship(relay)
    pauses = [record.next_attempt_seconds for record in caplog.records if record.getMessage() == "the engine failed"]
    # The fifth attempt connects, and the first block fails.
    assert pauses == [0.1, 0.2, 0.4, 0.4, 0.4, 0.4]
    assert site.copied() == site.recorded


def test_an_arrived_block_makes_the_next_pause_short_again(site, caplog):
    ship(site.relay(before=lambda number: EngineError("gone") if number in (1, 2, 4) else None, pause_seconds=(0.1, 9)))
    pauses = [record.next_attempt_seconds for record in caplog.records if record.getMessage() == "the engine failed"]
    assert pauses == [0.1, 0.2, 0.1]


def test_an_engine_that_has_lost_the_end_of_its_copy_gets_it_again_and_the_log_says_so(site, caplog):
    ship(site.relay())
    with open(site.copy / DAY / "kalshi.jsonl", "r+b") as file:
        file.truncate(len(site.recorded) // 2)
    ship(site.relay())
    assert site.copied() == site.recorded
    [lost] = [record for record in caplog.records if "lost the end" in record.getMessage()]
    assert lost.was == f"{DAY}/{len(site.recorded)}"
    assert lost.offset < len(site.recorded) // 2


def test_messages_that_are_lost_before_the_end_of_the_copy_end_it_until_a_person_has_chosen(site, monkeypatch):
    ship(site.relay())
    monkeypatch.setattr(FailingSink, "lost", "the newest messages are lost")
    end = f"{DAY}/{len(site.recorded)}"
    with pytest.raises(EngineMismatch, match=f"^the newest messages are lost; .*`ssmd ship --resume-at {end}`$"):
        site.relay().run()
    ship(site.relay(resume_at=Position("kalshi", "", DAY, len(site.recorded), site.recorded.count(b"\n"))))
    assert site.copied() == site.recorded


def test_a_warning_about_the_engine_is_logged_once(site, caplog):
    ship(site.relay(before=at(2), warnings=("the stream forgets; set discard=new",)))
    assert [record.getMessage() for record in caplog.records if "forgets" in record.getMessage()] == [
        "the stream forgets; set discard=new"
    ]


def test_up_to_where_it_has_shipped_is_noted_also_when_nothing_follows(site):
    relay = site.relay()
    thread = threading.Thread(target=relay.run)
    thread.start()
    shipped = Shipped(site.storage, "kalshi", "file")
    wait_until(lambda: shipped.position() == site.place(site.recorded.count(b"\n")))
    relay._stopped.set()
    thread.join()


def test_now_is_when_the_relay_starts_although_the_engine_is_there_only_later(site):
    added: list[bytes] = []

    def refuse(number: int) -> Exception | None:
        added.append(site.add(3) if number < 3 else b"")
        return EngineError("gone") if number < 3 else None

    ship(site.relay(start="now", refuse=refuse))
    assert site.copied() == b"".join(added) != b""


def test_today_is_when_the_relay_starts_although_the_engine_is_there_only_after_midnight(site):
    site.now_ns = day_begins(DAY) + 86_390 * 10**9

    def refuse(number: int) -> Exception | None:
        site.now_ns += 20 * 10**9
        return EngineError("gone") if number < 3 else None

    ship(site.relay(start="today", refuse=refuse))
    assert site.copied() == site.recorded


def test_while_an_engine_does_not_answer_it_is_not_up_and_the_lag_grows(site, monkeypatch):
    monkeypatch.setattr(plan, "STALL_SECONDS", 0.05)
    answers = threading.Event()

    def wait(number: int) -> None:
        if number == 3:
            answers.wait()

    relay = site.relay(before=wait)
    thread = threading.Thread(target=relay.run)
    thread.start()
    wait_until(lambda: FailingSink.count == 3)
    relay.measure()
    before = report_of("file", [relay.state])
    added = site.add(10)
    site.now_ns += 7 * 10**9
    wait_until(lambda: relay.state.stalled())
    relay.measure()
    report = report_of("file", [relay.state])
    assert report["up"] is False
    assert report["error"] == "the engine has acknowledged nothing for 0 s"
    assert report["lag_bytes"] == before["lag_bytes"] + len(added)
    assert report["lag_seconds"] >= before["lag_seconds"] + 6
    answers.set()
    wait_until(lambda: report_of("file", [relay.state])["up"])
    relay._stopped.set()
    thread.join()


def test_what_it_knows_of_itself(site):
    relay = site.relay(before=at(2, EngineMismatch("no")))
    assert (relay.state.up, relay.state.lag_bytes, relay.state.position) == (False, None, None)
    with pytest.raises(EngineMismatch):
        relay.run()
    assert (relay.state.messages, relay.state.position) == (100, site.place(100))
    assert relay.state.last == site.recorded.splitlines()[99][7:34].decode()
