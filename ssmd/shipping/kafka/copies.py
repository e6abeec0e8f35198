"""What the topics have of one feed or shard: where its copy ends, and the messages of the copy."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from confluent_kafka import Message
from confluent_kafka.admin import OffsetSpec

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Copied, End
from ssmd.errors import EngineMismatch
from ssmd.shipping.kafka.client import Client
from ssmd.shipping.kafka.named import Named
from ssmd.shipping.kafka.reader import Reader
from ssmd.shipping.kafka.topics import Place, Topics
from ssmd.store.timestamps import day_begins

__all__ = ["Copies", "last_end"]

_log = logging.getLogger(__name__)

_LOOKS = (1_000, 100_000)
"""How many of the newest positions are read: as a rule one of them is of this feed. If none is, all are."""
_HOUR_MS = 3600 * 1000
_TAIL = 500
"""How many of the newest records of each partition are compared with the position."""


def last_end(client: Client, topics: Topics, feed: str, shard: Shard, *, committed: bool = False) -> End | None:
    """Return where the copy of a feed or shard ends; None when the engine has nothing of it.

    `committed`: look only at what is before the first open transaction, and wait for none. Raises EngineError, and
    EngineMismatch for what is no position of this feed.
    """
    place = (topics.names.position, 0)
    first = topics.offsets([place], OffsetSpec.earliest())[place]
    end = topics.offsets([place], OffsetSpec.latest(), committed=committed)[place]
    found = None
    for count in (*_LOOKS, end):
        start = max(first, end - count)
        reader = Reader(client, topics, {place: start}, f"ssmd-{topics.names.data}", committed=committed)
        found = _last_of(reader, topics, feed, shard)
        if found is not None or start == first:
            break
    return found


def _last_of(reader: Reader, topics: Topics, feed: str, shard: Shard) -> End | None:
    key, found = shard.stem(feed).encode(), None
    try:
        for record in reader.records():
            end = _end(record)
            position = end.position if end is not None else None
            if position is not None and position.feed != feed:
                raise EngineMismatch(
                    f"kafka has the feed {position.feed} in the topic {topics.names.data}, and this is the feed "
                    f"{feed}; set another topic"
                )
            if record.key() == key:
                if position is not None and position.shard != shard.label:
                    raise EngineMismatch(
                        f"kafka has the position of shard `{position.shard}` under the key {key.decode()} of the topic "
                        f"{topics.names.position}: something else has written it"
                    )
                found = end
    finally:
        reader.close()
    return found


def _end(record: Message) -> End | None:
    """Return the end of a copy that a record has; None for one that says that its key is deleted."""
    value = record.value()
    if value is None:
        return None
    try:
        return End.decode(value)
    except ValueError as error:
        raise EngineMismatch(
            f"kafka has no position in the topic {record.topic()}, at offset {record.offset()}: {error}"
        ) from None


class _Record(NamedTuple):
    """A message of the copy, and where it is."""

    copied: Copied
    topic: str
    partition: int
    key: bytes | None


class Copies:
    """The messages that are in the topics for data and for private messages. Its methods raise EngineError."""

    def __init__(self, client: Client, topics: Topics, stem: str) -> None:
        self._client = client
        self._topics = topics
        self._stem = stem.encode()
        self._private = topics.names.private
        self._group = f"ssmd-{topics.names.data}"
        self._foreign = 0

    def since(self, first_day: str | None) -> Iterator[Copied]:
        """Yield them, merged by their lines; those of days before `first_day` may be missing."""
        self._foreign = 0
        places = self._places()
        if not places:
            return
        named = {name: Named(name, len([place for place in places if place[0] == name])) for name, _ in places}
        # A message is shipped after it is received. The hour is for clocks that differ.
        point = OffsetSpec.earliest()
        if first_day is not None:
            point = OffsetSpec.for_timestamp(max(0, day_begins(first_day) // 1_000_000 - _HOUR_MS))
        starts = {place: start for place, start in self._topics.offsets(places, point).items() if start >= 0}
        reader = Reader(self._client, self._topics, starts, self._group)
        try:
            for record in reader.merged(self._parse, lambda record: (record.copied.day, record.copied.line)):
                yield record.copied._replace(name=named[record.topic].of(record.key, record.partition))
        finally:
            reader.close()
        if self._foreign:
            _log.warning("the topic has messages that ssmd has not written", extra={"messages": self._foreign})

    def end(self) -> tuple[str, int] | None:
        """Return the day and the line of the newest message, line 0 when there was never any. None when that cannot be
        known: a partition has none among its newest records, and had others before, some of which may be removed.
        """
        places = self._places()
        first = self._topics.offsets(places, OffsetSpec.earliest())
        last = self._topics.offsets(places, OffsetSpec.latest(), committed=False)
        starts = {place: max(first[place], last[place] - _TAIL) for place in places}
        newest = ("", 0)
        unknown = {place for place in places if starts[place] > 0}
        reader = Reader(self._client, self._topics, starts, self._group)
        try:
            for message in reader.records():
                if (record := self._parse(message)) is not None:
                    newest = max(newest, (record.copied.day, record.copied.line))
                    unknown.discard((message.topic(), message.partition()))
        finally:
            reader.close()
        return newest if not unknown else None

    def _places(self) -> list[Place]:
        names = (self._topics.names.data, self._private)
        return [(name, number) for name in names for number in self._topics.partitions(name)]

    def _parse(self, message: Message) -> _Record | None:
        """Return a message of this feed; None for another shard's, and for what another program has written."""
        headers = dict(message.headers() or ())
        try:
            day, stem, line = headers["Ssmd-Line"].split(b"/")
            copied = Copied(
                self._where(message), day.decode("ascii"), int(line), headers["Ssmd-Ts"].decode("ascii"),
                message.value() or b"",
            )  # fmt: skip
        except (LookupError, ValueError, AttributeError):
            self._foreign += 1
            return None
        if stem != self._stem:
            return None
        return _Record(copied, message.topic() or "", message.partition() or 0, message.key())

    def _where(self, message: Message) -> str:
        where = f"partition {message.partition()}, offset {message.offset()}"
        return f"topic {message.topic()}, {where}" if message.topic() == self._private else where
