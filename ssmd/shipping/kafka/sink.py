"""The sink of Kafka: each block is one transaction, and so is the position at which it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ssmd.contracts.exchange import Found
from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, Copied, End, Position, Traits
from ssmd.errors import EngineAuthError, EngineError, EngineFenced, EngineMismatch
from ssmd.exchange.topics import PRIVATE, topic_of
from ssmd.reading.ends import end_of
from ssmd.shipping.kafka import checks
from ssmd.shipping.kafka.client import UNREACHABLE, Client, now
from ssmd.shipping.kafka.copies import Copies, last_end
from ssmd.shipping.kafka.named import name_of
from ssmd.shipping.kafka.topics import Names, Topics
from ssmd.shipping.kafka.transport import KafkaConfig
from ssmd.store.head import TS

__all__ = ["KafkaSink", "connect"]

_SEND_SECONDS = 20.0
"""How long a transaction may take to be acknowledged."""
_TIME_OUT_MS = 60_000
"""After this time the brokers end a transaction of which they hear nothing more, so that readers can go on."""
_ABORT_SECONDS = 5.0
_LARGEST = 64 * 1024 * 1024
"""The brokers decide how large a message may be. This only protects them: they close the connection at 100 MB."""
_BATCH_BYTES = 1_000_000
_BATCH_HEAD = 100
"""At least as many bytes as a batch is longer than its messages."""

_Route = tuple[str, bytes | None]
"""A topic and a key."""


def connect(config: KafkaConfig, environment: str, feed: str, shard: Shard, keys: Mapping[str, str]) -> KafkaSink:
    """Connect to the brokers, and return the sink for a feed or shard. Raises EngineError and ConfigError."""
    sink = KafkaSink(Client(config, keys), config.topic or f"{environment}.{feed}", feed, shard)
    sink.topics.partitions(sink.topic_names.data)
    return sink


class KafkaSink:
    """Keeps the Sink contract of contracts/sink.py.

    Each feed or shard has a transactional id of its own. Kafka lets one producer use it at a time, and the newest wins:
    https://kafka.apache.org/documentation/#producerconfigs_transactional.id
    """

    traits = Traits(fences=True, atomic=True, exactly_once=True)
    most_lines = 20_000
    most_bytes = 16 * 1024 * 1024
    lost = ""

    def __init__(self, client: Client, topic: str, feed: str, shard: Shard) -> None:
        self.topic_names = Names.of(topic)
        self.topics = Topics(client, self.topic_names)
        self._client = client
        self._feed = feed
        self._shard = shard
        self._stem = shard.stem(feed)
        self._id = f"ssmd-{topic}-{self._stem}"
        self._copies = Copies(client, self.topics, self._stem)
        self._producer: Producer | None = None
        self._too_large = b""
        """The largest message that the brokers have refused as too large."""
        self._has_private = False

    def check(self) -> Sequence[str]:
        warnings: list[str] = []
        if self._client.shows_password:
            warnings.append(
                "the password goes to the brokers as plain text; write `kafka+ssl://` in `transport.url`, or set "
                "`transport.sasl_mechanism` to SCRAM-SHA-512"
            )
        self.topics.check_pair()
        for name, of_settings in (
            (self.topic_names.data, checks.of_data),
            (self.topic_names.private, checks.of_data),
            (self.topic_names.position, checks.of_positions),
        ):
            if replicas := self.topics.partitions(name):
                settings, unknown = self._settings(name)
                warnings += [*unknown, *of_settings(name, min(replicas.values()), settings)]
            elif name != self.topic_names.private:
                self.topics.create(name, only_ask=True)
                warnings.append(
                    f"there is no topic {name} yet, and it will be created with the brokers' own settings; "
                    "create it yourself if it should have others"
                )
        return warnings

    def _settings(self, name: str) -> tuple[Mapping[str, str], Sequence[str]]:
        """Return the settings of a topic, and why they are not known."""
        try:
            return self.topics.settings(name), ()
        except EngineAuthError:
            return {}, [
                f"the settings of the topic {name} are not known, because the user may not ask for them; "
                "give it the right DescribeConfigs"
            ]

    def end(self) -> End | None:
        if not self.topics.check_pair()[1]:
            return None
        return last_end(self._client, self.topics, self._feed, self._shard, committed=True)

    def resume(self) -> Position | None:
        self._drop()
        self.topics.prepare()
        self._has_private = bool(self.topics.partitions(self.topic_names.private))
        names = [self.topic_names.data, self.topic_names.private] if self._has_private else [self.topic_names.data]
        settings = {
            "transactional.id": self._id,
            "transaction.timeout.ms": _TIME_OUT_MS,
            "compression.type": "lz4",
            # As in Java's producer, so that all programs agree on the partition of a market.
            "partitioner": "murmur2",
            "batch.size": min(_BATCH_BYTES, *(max(1, self.topics.largest(name) - _BATCH_HEAD) for name in names)),
            "message.max.bytes": _LARGEST,
            "delivery.report.only.error": True,
            "on_delivery": self._on_delivery,
        }
        self._producer = producer = self._client.make(Producer, settings)
        # From here on an older relay is fenced, and its last transaction is either whole or undone.
        self._client.wait(producer.init_transactions, producer, f"become the writer of {self.topic_names.data}")
        end = last_end(self._client, self.topics, self._feed, self._shard)
        self.lost = self._lost(end.position) if end is not None else ""
        return end.position if end is not None else None

    def _lost(self, position: Position) -> str:
        """Return which messages before the position the topic has lost: a broker may lose messages while another one
        has kept the position. Sent again they would be there twice, where one of several partitions has kept its own.
        """
        end = self._copies.end()
        if end is None or end >= (position.day, position.line):
            return ""
        newest = f"the newest message is line {end[1]:,} of {end[0]}" if end[1] else "there is no message"
        return (
            f"the topic {self.topic_names.data} has lost its newest messages: the position is behind line "
            f"{position.line:,} of {position.day}, and {newest}; `ssmd verify --engine` lists what is missing, and "
            "another topic would get all"
        )

    def send(self, block: Block) -> None:
        if self._producer is None:
            raise EngineError("kafka: a block can be sent only after resume()")
        routes = self._routes(block)
        if not self._has_private and any(topic == self.topic_names.private for topic, _ in routes.values()):
            self.topics.create(self.topic_names.private)
            self._has_private = True
        began, sent = now(), False
        self._too_large = b""
        try:
            self._transact(self._producer, block, routes)
            sent = True
        except KafkaException as error:
            problem = self._abort(self._producer, error.args[0])
            raise self._error(problem, block, now() - began) from None
        finally:
            if not sent:  # Also after a signal that has become an exception: nothing may follow half of a block.
                self._drop()

    def _routes(self, block: Block) -> dict[Found, _Route]:
        """Return the topic and the key for each type and market of a block."""
        routes: dict[Found, _Route] = {}
        for kind, market in set(block.found):
            is_private = topic_of(block.exchange, kind).section == PRIVATE
            key = market.encode("utf-8", "surrogatepass") if market else None
            routes[kind, market] = self.topic_names.private if is_private else self.topic_names.data, key
        return routes

    def _transact(self, producer: Producer, block: Block, routes: Mapping[Found, _Route]) -> None:
        """Send a block as one transaction. Raises KafkaException."""
        produce = producer.produce
        before, session = f"{block.start.day}/{self._stem}/".encode(), block.session.encode()
        producer.begin_transaction()
        number = block.start.line
        for line, payload, found in zip(block.lines, block.payloads, block.found, strict=True):
            number += 1
            headers = [("Ssmd-Ts", line[TS]), ("Ssmd-Line", b"%b%d" % (before, number)), ("Ssmd-Session", session)]
            topic, key = routes[found]
            try:
                produce(topic, payload, key, headers=headers)
            except KafkaException as error:
                self._refused(error.args[0], payload)
                raise
        produce(self.topic_names.position, end_of(block).encode(), self._stem, 0)
        self._client.repeat(producer.commit_transaction, producer, _SEND_SECONDS)

    def _on_delivery(self, problem: KafkaError, message: Message) -> None:
        self._refused(problem, message.value() or b"")

    def _refused(self, problem: KafkaError, payload: bytes) -> None:
        """Keep the largest message of those that are refused for their size: the brokers refuse a batch as a whole."""
        if problem.code() == KafkaError.MSG_SIZE_TOO_LARGE and len(payload) > len(self._too_large):
            self._too_large = payload

    def _abort(self, producer: Producer, problem: KafkaError) -> KafkaError:
        """Undo the transaction if the brokers can be reached, so that readers need not wait for its time-out.

        Returns the problem; or a worse one that explains it.
        """
        if problem.code() not in UNREACHABLE and not problem.fatal():
            try:
                self._client.repeat(producer.abort_transaction, producer, _ABORT_SECONDS)
            except KafkaException as error:
                if error.args[0].fatal():
                    return error.args[0]
        return problem

    def _error(self, problem: KafkaError, block: Block, seconds: float) -> EngineError:
        """Return the error for a block whose transaction has failed after so many seconds."""
        # When the brokers refuse a message while others are handed over, only the state of the producer is wrong.
        may_be_size = problem.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._STATE)
        if may_be_size and self._too_large in block.payloads:
            index = block.payloads.index(self._too_large)
            topic, _ = self._routes(block)[block.found[index]]
            limit = min(self.topics.largest(topic), _LARGEST)
            return EngineMismatch(
                f"line {block.start.line + 1 + index} of {block.start.day}/{self._stem}.jsonl has a message of "
                f"{len(self._too_large):,} bytes, and the topic {topic} takes {limit:,} at most; "
                "raise its setting max.message.bytes"
            )
        error = self._client.error(problem, f"ship to {self.topic_names.data}")
        if isinstance(error, EngineFenced) and 1000 * seconds > _TIME_OUT_MS:
            # The brokers have ended the transaction. To the producer that looks the same as another relay.
            return EngineError(f"kafka: a transaction took {seconds:.0f} s, and the brokers ended it")
        return error

    def names(self, block: Block) -> Sequence[str]:
        routes = self._routes(block)
        return [name_of(*routes[found]) for found in block.found]

    def copies(self, first_day: str | None = None) -> Iterator[Copied]:
        return self._copies.since(first_day)

    def close(self) -> None:
        self._drop()
        self.topics.close()

    def _drop(self) -> None:
        """End the producer without waiting for anything: what is open is undone by the next one, or by its time-out."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None
