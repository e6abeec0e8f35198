"""A process that ships to Kafka and stops at a point, so that a test can kill it exactly there.

    kafka_shipper.py <url> <topic> <lines> <lines of a block> <point> <block>

It prints `ready` after resume() and `stopped` at the point of that block, and waits for its end. The points are
`middle`, when half of a block is with the broker; `before`, when all of it is, but the transaction is open; `after`,
when the transaction is acknowledged; and `none`.
"""

from __future__ import annotations

import sys
from typing import Any

from confluent_kafka import Producer
from engine_blocks import FEED, block

from ssmd.contracts.shard import WHOLE
from ssmd.shipping.kafka import sink as module
from ssmd.shipping.kafka.transport import Kafka, KafkaConfig

URL, TOPIC, LINES, A_BLOCK, POINT, BLOCK = sys.argv[1:]


def stop() -> None:
    print("stopped", flush=True)
    sys.stdin.read()


class StoppingProducer(Producer):
    blocks = 0
    messages = 0

    def begin_transaction(self) -> None:
        self.blocks += 1
        self.messages = 0
        super().begin_transaction()

    def produce(self, *arguments: Any, **options: Any) -> None:
        super().produce(*arguments, **options)
        self.messages += 1
        if self.is_at("middle") and self.messages == int(A_BLOCK) // 2:
            self.flush(10)
            stop()

    def commit_transaction(self, *seconds: float) -> None:
        if self.is_at("before"):
            self.flush(10)
            stop()
        super().commit_transaction(*seconds)
        if self.is_at("after"):
            stop()

    def is_at(self, point: str) -> bool:
        return point == POINT and self.blocks == int(BLOCK)


vars(module)["Producer"] = StoppingProducer
sink = Kafka(KafkaConfig(type="kafka", url=URL, topic=TOPIC), "prod", "conf").open(FEED, WHOLE, {})
done = sink.resume()
print("ready", flush=True)
line = 0 if done is None else done.line
while line < int(LINES):
    count = min(int(A_BLOCK), int(LINES) - line)
    sink.send(block(line, count))
    line += count
sink.close()
