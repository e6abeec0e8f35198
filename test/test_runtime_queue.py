"""The queue: order, the bound in bytes, waking and closing."""

import time

import gevent
import pytest
from patience import PATIENCE

from ssmd.contracts.writer import Batch, Note
from ssmd.runtime.queue import BATCH_BYTES, NOTE_BYTES, PACE_BYTES, BatchQueue


def batch(*payloads: bytes) -> Batch:
    return Batch("kalshi", 0, b"".join(payloads), len(payloads))


def test_batches_come_out_in_order_and_count_until_done():
    queue = BatchQueue(1000)
    queue.put(batch(b"one", b"two"))
    queue.put(batch(b"three"))
    assert queue.take(1000) == [batch(b"one", b"two"), batch(b"three")]
    assert (queue.messages, queue.bytes) == (3, 11 + 2 * BATCH_BYTES)
    queue.done()
    assert (queue.messages, queue.bytes) == (0, 0)
    assert queue.take(100) == []


def test_what_is_put_while_the_taken_is_being_written_stays_queued():
    queue = BatchQueue(1000)
    queue.put(batch(b"one"))
    queue.take(1000)
    queue.put(batch(b"two"))
    queue.done()
    assert queue.take(100) == [batch(b"two")]


def test_take_stops_at_its_own_bound_but_takes_at_least_one():
    queue = BatchQueue(1000)
    for payload in (b"x" * 30, b"y" * 30, b"z"):
        queue.put(batch(payload))
    assert queue.take(60 + 2 * BATCH_BYTES) == [batch(b"x" * 30), batch(b"y" * 30)]
    queue.done()
    assert queue.take(0) == [batch(b"z")]


def test_notes_alone_are_not_taken_with_the_messages_before_them():
    queue = BatchQueue(1000)
    notes = Batch("kalshi", 0, b"", 0, [Note("stopped", 0)])
    for each in (batch(b"one"), notes, batch(b"two")):
        queue.put(each)
    assert queue.take(1000) == [batch(b"one")]
    queue.done()
    assert queue.take(1000) == [notes, batch(b"two")]


def test_put_blocks_while_there_is_no_room_and_tells_for_how_long():
    blocked: list[float] = []
    queue = BatchQueue(10, blocked.append)
    queue.put(batch(b"x" * 8))
    began = time.monotonic()
    putting = gevent.spawn(queue.put, batch(b"y" * 8))
    gevent.sleep(0.04)
    assert not putting.ready()
    queue.take(10)
    queue.done()
    putting.get(timeout=PATIENCE)
    assert 0.02 <= sum(blocked) <= time.monotonic() - began
    assert queue.bytes == 8 + BATCH_BYTES


def test_notes_count_for_the_memory_they_take():
    queue = BatchQueue(1_000_000)
    notes = [Note("gap", 0, place, {"sid": 1}) for place in range(3)]
    queue.put(Batch("kalshi", 0, b"xyz", 3, notes))
    assert queue.bytes == 3 + BATCH_BYTES + 3 * NOTE_BYTES
    queue.put(Batch("kalshi", 0, b"", 0, notes))
    assert queue.bytes == 3 + BATCH_BYTES + 3 * NOTE_BYTES


def test_notes_alone_never_wait():
    queue = BatchQueue(10 * PACE_BYTES)
    queue.put(batch(b"x" * (PACE_BYTES + 1)))
    putting = gevent.spawn(queue.put, batch())
    gevent.sleep(0)
    assert putting.ready()


def test_a_wait_for_room_is_told_of_while_it_lasts(monkeypatch):
    monkeypatch.setattr("ssmd.runtime.queue.BLOCKED_SECONDS", 0.01)
    blocked: list[float] = []
    queue = BatchQueue(10, blocked.append)
    queue.put(batch(b"x" * 8))
    began = time.monotonic()
    putting = gevent.spawn(queue.put, batch(b"y" * 8))
    while len(blocked) < 3:
        gevent.sleep(0.01)
    assert not putting.ready()
    assert 0.02 <= sum(blocked) <= time.monotonic() - began
    queue.close()
    putting.get(timeout=PATIENCE)


def test_a_batch_larger_than_the_bound_is_let_in_when_the_queue_is_empty():
    queue = BatchQueue(10)
    queue.put(batch(b"x" * 50))
    assert queue.bytes == 50 + BATCH_BYTES


@pytest.mark.parametrize("call", ["wake", "close"])
def test_wait_returns_when_woken_although_nothing_has_come(call):
    queue = BatchQueue(10)
    waiting = gevent.spawn(queue.wait)
    gevent.sleep(0)
    assert not waiting.ready()
    getattr(queue, call)()
    waiting.get(timeout=PATIENCE)
    assert queue.take(10) == []


def test_close_frees_whoever_waits_for_room_and_loses_nothing():
    queue = BatchQueue(10)
    queue.put(batch(b"x" * 8))
    putting = gevent.spawn(queue.put, batch(b"y" * 8))
    gevent.sleep(0)
    queue.close()
    putting.get(timeout=PATIENCE)
    assert queue.messages == 2


def test_with_much_in_the_queue_the_writer_gets_its_turn():
    queue = BatchQueue(64 * PACE_BYTES)
    queue.put(batch(b"x" * (PACE_BYTES + 1)))
    written = []

    def write() -> None:
        written.extend(queue.take(1))
        queue.done()

    gevent.spawn(write)
    queue.put(batch(b"y"))
    assert len(written) == 1
    assert queue.messages == 1


def test_a_writer_that_is_held_up_does_not_hold_up_the_reader_for_long():
    queue = BatchQueue(64 * PACE_BYTES)
    for _ in range(20):
        queue.put(batch(b"x" * PACE_BYTES))
    assert queue.messages == 20


def test_wait_returns_by_itself_at_the_time_that_was_asked_for():
    queue = BatchQueue(1000)
    queue.wake_in(None)
    queue.wake_in(0.05)
    queue.wake_in(3600.0)  # The earlier one stays.
    with gevent.Timeout(PATIENCE):
        queue.wait()
        queue.wake_in(0.01)
        queue.wait()
    queue.wake_in(30.0)
    queue.close()  # No timer outlives it.
    assert queue._timer is None
