"""A Kafka broker as a process of its own: noida-db, which keeps transactions and fences producers as Kafka does.

It is killed, frozen and started again on the same data folder and port. What it has not: a user's password is not
checked, there is one broker, a transaction that is left open stays open until its producer comes back, and what came in
the last second may be lost when it is killed. It answers one request with all that a partition has, whatever
`fetch.max.bytes` is, and so much memory a consumer takes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from server_process import DEADLINE, ServerProcess, modified
from ship_runs import wait_until


def program() -> Path:
    # The command of that name starts this as a child, which a signal would not reach.
    spec = importlib.util.find_spec("noida_db")
    assert spec is not None, "noida-db is not installed"
    return Path(str(spec.origin)).parent / "noida-db"


class Broker(ServerProcess):
    """Started by its constructor, and by start() after kill()."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._saved = folder / "kafka.json"
        self.start()

    @property
    def url(self) -> str:
        return f"kafka://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["start", "--data-dir", str(self._folder), "--only", "kafka", "--kafka-port", str(self.port)]
        self.launch([program(), *arguments], self._folder.with_name(f"{self._folder.name}.log"))

    def wait_for_save(self) -> None:
        """Wait until it has saved what it has now, while it gets more: it does so each second. The first one may have
        begun before.
        """
        for _ in range(2):
            before = modified(self._saved)
            wait_until(lambda before=before: modified(self._saved) != before)  # type: ignore[misc]

    def forget(self, topics: Sequence[str], batches: int) -> None:
        """Remove the last batches of each partition of topics. A transaction is two: records, and the mark that ends
        them. The broker must not run.
        """
        kept = json.loads(self._saved.read_text())
        partitions = (topic["partitions"] for name, topic in kept["topics"] if name in topics)
        for _, partition in itertools.chain.from_iterable(partitions):
            if gone := partition["record_batches"][-batches:]:
                del partition["record_batches"][-batches:]
                partition |= {"high_watermark": gone[0][0], "producer_seqs": []}
        self._saved.write_text(json.dumps(kept))

    @contextlib.contextmanager
    def frozen_for(self, seconds: float) -> Iterator[None]:
        """Freeze the broker at once. A process of its own ends that: a call into librdkafka lets nothing else run."""
        self.freeze()
        waking = subprocess.Popen(["sh", "-c", f"sleep {seconds}; kill -CONT {self._process.pid}"])
        yield
        assert waking.wait() == 0

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a client of librdkafka that is no part of ssmd. It writes no log."""
        return {"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0}

    def admin(self) -> AdminClient:
        return AdminClient(self.settings)

    def create(self, name: str, partitions: int = 1, **settings: str) -> None:
        """Create a topic; `settings` with `_` in place of the dots in their names."""
        admin = self.admin()
        config = {key.replace("_", "."): value for key, value in settings.items()}
        admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result(DEADLINE)

    def delete(self, name: str) -> None:
        admin = self.admin()  # Without a name it would be gone before its answer comes.
        admin.delete_topics([name])[name].result(DEADLINE)

    def empty(self, name: str) -> None:
        """Remove all messages of a topic with one partition."""
        admin = self.admin()
        for future in admin.delete_records([TopicPartition(name, 0, -1)]).values():
            future.result(DEADLINE)
