"""A consumer of what is shipped, a process of its own: how long after its receipt it gets each message.

Usage:
    consumer <engine> <url> <name>

`name` is the prefix of the subjects of NATS, or the topic of Kafka; so far nothing is there. It prints `ready`, and
reads until its standard input ends and nothing more comes. Then it prints a JSON object: how many messages it got, and
the percentiles of the latency, in ms, without the first second.
"""

from __future__ import annotations

import asyncio
import json
import select
from array import array
from collections.abc import Iterator
from datetime import datetime
from time import time_ns
from typing import Any

import confluent_kafka
import nats
from docopt import docopt
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from bench.latency import percentile

STREAM = "bench"
"""Of NATS, which has the subjects."""
WARM_US = 1_000_000
QUIET_SECONDS = 2.0
"""At the end, it has all when nothing more has come for so long."""


class Times:
    """The latencies so far, in microseconds."""

    def __init__(self) -> None:
        self._late = array("q")
        self._first_us = 0
        self.messages = 0

    def add(self, ts: str) -> None:
        """Add a message that has come now. `ts`: its time of receipt, as in its line."""
        received_us = int(datetime.fromisoformat(ts).timestamp() * 1e6)
        self.messages += 1
        self._first_us = self._first_us or received_us
        if received_us - self._first_us >= WARM_US:
            self._late.append(time_ns() // 1000 - received_us)

    def report(self) -> str:
        found = {f"p{100 * share:g}": percentile(self._late, share) / 1e3 for share in (0.5, 0.99, 0.999)}
        return json.dumps({"messages": self.messages, **found})


def has_ended() -> bool:
    """Whether the standard input has."""
    return bool(select.select([0], [], [], 0)[0])


async def read_nats(url: str, prefix: str, times: Times) -> None:
    client = await nats.connect(url)

    async def take(message: Msg) -> None:
        times.add((message.headers or {})["Ssmd-Ts"])

    # With a callback, and without acknowledgements: nats-py's other ways take longer for a message than ssmd does.
    inbox = client.new_inbox()
    await client.subscribe(inbox, cb=take)
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, deliver_subject=inbox)
    config.filter_subject = f"{prefix}.json.>"
    await client.jetstream().add_consumer(STREAM, config)
    print("ready", flush=True)
    before = -1
    while not has_ended() or times.messages != before:
        before = times.messages
        await asyncio.sleep(QUIET_SECONDS if has_ended() else 0.1)
    await client.close()


def read_kafka(servers: str, topic: str, times: Times) -> None:
    settings: dict[str, Any] = {"bootstrap.servers": servers, "group.id": "bench"}
    settings |= {"isolation.level": "read_committed", "enable.auto.commit": False}
    # The broker of the bench does not wake a fetch that waits when a transaction is committed.
    consumer = confluent_kafka.Consumer(settings | {"fetch.wait.max.ms": 5, "fetch.error.backoff.ms": 5})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_BEGINNING)])
    print("ready", flush=True)
    while True:
        if not (messages := consumer.consume(500, timeout=QUIET_SECONDS if has_ended() else 0.005)) and has_ended():
            break
        for ts in timestamps(messages):
            times.add(ts)
    consumer.close()


def timestamps(messages: list[confluent_kafka.Message]) -> Iterator[str]:
    for message in messages:
        if message.error() is None and message.key():  # A reply of the exchange has no market.
            yield dict(message.headers())["Ssmd-Ts"].decode()


def main() -> None:
    options = docopt(__doc__)
    times = Times()
    if options["<engine>"] == "nats":
        asyncio.run(read_nats(options["<url>"], options["<name>"], times))
    else:
        read_kafka(options["<url>"].partition("://")[2], options["<name>"], times)
    print(times.report(), flush=True)


if __name__ == "__main__":
    main()
