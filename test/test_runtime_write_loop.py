"""The greenlet that writes. The runs as a whole are tested in test_runtime_runner.py."""

import sys

import gevent
import pytest
from patience import PATIENCE
from sim_client import eventually
from test_runtime_runner import ToyWriter

from ssmd.contracts.writer import Batch
from ssmd.runtime.queue import BatchQueue
from ssmd.runtime.write_loop import WriteLoop


class ForgetfulWriter(ToyWriter):
    """Keeps nothing."""

    def write(self, batch: Batch) -> None:
        assert batch.messages


@pytest.mark.parametrize("messages", [1, 3])
def test_no_message_stays_in_memory_after_it_is_written(status, messages):
    queue = BatchQueue(1 << 20)
    data = b"".join(b"%d\n" % number for number in range(messages))
    before = sys.getrefcount(data)
    queue.put(Batch("toy", 0, data, messages))
    running = gevent.spawn(WriteLoop(queue, ForgetfulWriter(), status).run)
    eventually(lambda: status.messages == messages)
    assert sys.getrefcount(data) == before
    queue.close()
    running.get(timeout=PATIENCE)
