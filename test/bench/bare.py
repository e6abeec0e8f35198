"""What the bare library of an engine makes, a process of its own: it sends messages as ssmd does, from memory.

Usage:
    bare <engine> <url> <name> <messages>

`name` is the prefix of the subjects of NATS, or the topic of Kafka. It sends batches of the same size as ssmd, each in
one step with a position, and prints the messages a second and the CPU microseconds of each.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import Any
from uuid import uuid4

import confluent_kafka
import nats
from docopt import docopt

from bench.messages import TICKERS, Cycle

BATCH = {"nats": 999, "kafka": 20_000}
"""Messages in a batch; NATS takes a thousand, of which one is the position."""
POSITION = b'{"feed":"bench","shard":"","day":"2026-01-01","offset":0,"line":0}'
TS = "2026-01-01T00:00:00.000000Z"


async def send_nats(url: str, prefix: str, messages: int) -> None:
    """Send atomic batches: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-50.md"""
    client = await nats.connect(url)
    texts = Cycle().texts
    subjects = [f"{prefix}.json.orderbook.{ticker}" for ticker in TICKERS]
    for start in range(0, messages, BATCH["nats"]):
        batch, count = str(uuid4()), min(BATCH["nats"], messages - start)
        position = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": "1"}
        await client.publish(f"{prefix}.position.bench", POSITION, headers=position)
        for number in range(start, start + count):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number - start + 2), "Ssmd-Ts": TS}
            headers |= {"Ssmd-Line": f"2026-01-01/bench/{number + 1}", "Ssmd-Session": TS}
            subject, text = subjects[number % 2], texts[number % len(texts)]
            if number < start + count - 1:
                await client.publish(subject, text, headers=headers)
            else:
                answer = await client.request(subject, text, timeout=30, headers=headers | {"Nats-Batch-Commit": "1"})
                assert b'"error"' not in answer.data, answer.data
    await client.close()


def send_kafka(servers: str, topic: str, messages: int) -> None:
    """Send transactions of which each has a position."""
    settings: dict[str, Any] = {"bootstrap.servers": servers, "transactional.id": "bench-bare"}
    # As ssmd's sink of Kafka.
    settings |= {"compression.type": "lz4", "partitioner": "murmur2", "batch.size": 1_000_000}
    producer = confluent_kafka.Producer(settings | {"delivery.report.only.error": True})
    producer.init_transactions(30)
    texts, all_numbers = Cycle().texts, iter(range(messages))
    while numbers := list(islice(all_numbers, BATCH["kafka"])):
        producer.begin_transaction()
        for number in numbers:
            headers = {"Ssmd-Ts": TS, "Ssmd-Line": f"2026-01-01/bench/{number + 1}", "Ssmd-Session": TS}
            while True:
                try:
                    producer.produce(topic, texts[number % len(texts)], TICKERS[number % 2], headers=headers)
                    break
                except BufferError:
                    producer.poll(0.01)
        producer.produce(f"{topic}.position", POSITION, "bench")
        producer.commit_transaction(30)


def main() -> None:
    options = docopt(__doc__)
    messages = int(options["<messages>"])
    began, cpu = time.monotonic(), time.process_time()
    if options["<engine>"] == "nats":
        asyncio.run(send_nats(options["<url>"], options["<name>"], messages))
    else:
        send_kafka(options["<url>"].partition("://")[2], options["<name>"], messages)
    print(messages / (time.monotonic() - began), (time.process_time() - cpu) / messages * 1e6, flush=True)


if __name__ == "__main__":
    main()
