"""Reads the committed records of some partitions back, up to where they end by now."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from ssmd.shipping.kafka.client import UNREACHABLE, Client, now
from ssmd.shipping.kafka.topics import Place, Topics

__all__ = ["Reader"]

_STALL_SECONDS = 75.0
"""How long nothing may come before the end is reached. A relay that was killed may have left a transaction open, and
nothing behind its beginning can be read before the brokers end it: after the 60 seconds of `transaction.timeout.ms`."""

_MOST_AHEAD = 20_000
"""How many records of one partition are kept, at most, while the next one of another partition is waited for."""

_SLICE = 0.25

_T = TypeVar("_T")


class Reader:
    """The records of partitions from an offset on, for each its own. Its methods raise EngineError.

    A consumer of committed records takes the beginning of the first open transaction for the end of a partition. Behind
    it may be committed records, also of this feed: several shards write to one topic. So where the partitions end is
    asked for first, open transactions included, and then all is read up to there. With `committed`, it is read
    up to the first open transaction only.
    """

    def __init__(
        self, client: Client, topics: Topics, starts: Mapping[Place, int], group: str, *, committed: bool = False
    ) -> None:
        self._client = client
        self._ends = topics.offsets(starts, OffsetSpec.latest(), committed=committed)
        self._unread = {place for place, start in starts.items() if start < self._ends[place]}
        self._paused: set[Place] = set()
        self._heard = now()
        settings = {"group.id": group, "isolation.level": "read_committed", "enable.partition.eof": True}
        settings |= {"enable.auto.commit": False, "auto.offset.reset": "error"}
        # By default it would fetch 100,000 messages, or 64 MB, ahead.
        settings |= {"queued.min.messages": _MOST_AHEAD, "queued.max.messages.kbytes": 16 * 1024}
        self._consumer = client.make(Consumer, settings)
        self._consumer.assign([TopicPartition(*place, starts[place]) for place in self._unread])

    def close(self) -> None:
        self._consumer.close()

    def records(self) -> Iterator[Message]:
        """Yield the records as they come: each partition's in its order."""
        while self._unread:
            if (message := self._poll()) is not None:
                yield message

    def merged(self, parse: Callable[[Message], _T | None], key: Callable[[_T], tuple[str, int]]) -> Iterator[_T]:
        """Yield what `parse` makes of the records, unless that is None, in the order of `key`.

        A partition's own order is never changed: what is out of order within it stays so.
        """
        queues: dict[Place, deque[_T]] = {place: deque() for place in self._unread}
        heads: list[tuple[tuple[str, int], Place]] = []
        starved = set(queues)
        """The partitions whose next record is needed now, and has not come yet."""
        while True:
            while starved:
                message = self._poll()
                if message is not None and (parsed := parse(message)) is not None:
                    place = _place(message)
                    if not queues[place]:
                        heapq.heappush(heads, (key(parsed), place))
                    queues[place].append(parsed)
                    starved.discard(place)
                    self._hold_back(place, len(queues[place]))
                starved &= self._unread
            if not heads:
                return
            _, place = heapq.heappop(heads)
            yield queues[place].popleft()
            self._hold_back(place, len(queues[place]))
            if queues[place]:
                heapq.heappush(heads, (key(queues[place][0]), place))
            elif place in self._unread:
                starved.add(place)

    def _hold_back(self, place: Place, kept: int) -> None:
        """Fetch no more of a partition of which very much is `kept`, and fetch it again when half of that is used."""
        if kept > _MOST_AHEAD and place not in self._paused:
            self._consumer.pause([TopicPartition(*place)])
            self._paused.add(place)
        elif kept < _MOST_AHEAD // 2 and place in self._paused:
            self._consumer.resume([TopicPartition(*place)])
            self._paused.remove(place)

    def _poll(self) -> Message | None:
        """Return the next record, or None when there is none yet."""
        message = self._consumer.poll(_SLICE)
        if message is None:
            if now() - self._heard > _STALL_SECONDS:
                names = ", ".join(sorted({topic for topic, _ in self._unread}))
                raise self._client.error(KafkaError(KafkaError._TIMED_OUT), f"read {names} to its end")
            return None
        place, problem, offset = _place(message), message.error(), message.offset()
        if problem is not None and problem.code() != KafkaError._PARTITION_EOF:
            if problem.code() in UNREACHABLE:
                return None
            raise self._client.error(problem, f"read {place[0] or 'from a topic'}")
        self._heard = now()
        # Behind the last record may be marks of transactions, which a consumer passes over without a word.
        if offset + (problem is None) >= self._ends[place]:
            self._unread.discard(place)
        return message if problem is None else None


def _place(message: Message) -> Place:
    return message.topic(), message.partition()
