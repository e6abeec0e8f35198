"""A feed's copy in a stream, as it is read back: where it ends, and its messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Copied, End, Position
from ssmd.errors import EngineMismatch, printable
from ssmd.shipping.nats.messages import LENGTHS, LINE, MESSAGE_ID, TIME, place_of
from ssmd.shipping.nats.stream import Stored, Stream

__all__ = ["CopyReader"]


class CopyReader:
    """Reads the copy of one feed or shard."""

    def __init__(self, stream: Stream, prefix: str, feed: str, shard: Shard) -> None:
        self._stream = stream
        self._subjects = f"{prefix}.>"
        self._stem = shard.stem(feed)
        self.nothing = Position(feed, shard.label, "", 0, 0)
        """The position of a copy that has no messages yet. It has no day."""

    def end(self, last: Stored | None, last_sequence: int) -> End | None:
        """Return where the copy ends; None when it has nothing.

        `last`: the last message with a position. `last_sequence`: that of the stream.
        """
        if last is None:
            return None
        end = self._end_of(last)
        if MESSAGE_ID in last.headers:
            end = self._behind(last, end)
        elif LENGTHS in last.headers:
            end = self._within(last, end, last_sequence)
        return end if end.position.day else None

    def _end_of(self, stored: Stored) -> End:
        try:
            end = End.decode(stored.payload)
        except ValueError as error:
            raise self._mismatch(stored, str(error)) from None
        position = end.position
        if (position.feed, position.shard) != (self.nothing.feed, self.nothing.shard):
            whose = printable(f"{position.feed} {position.shard}")
            raise self._mismatch(stored, f"it is the position of {whose}")
        return end

    def _mismatch(self, stored: Stored, what: str) -> EngineMismatch:
        return EngineMismatch(
            f"sequence {stored.sequence} of the stream {self._stream.name}, on {stored.subject}, has no position of "
            f"{self._stem}: {what}; choose another transport.subject_prefix"
        )

    def _behind(self, last: Stored, end: End) -> End:
        """Return the end behind messages that were sent one by one, and whose block did not get to its end."""
        for stored in self._stream.read(self._subjects, from_sequence=last.sequence + 1):
            place = place_of(stored.headers.get(MESSAGE_ID, ""), self._stem)
            if place is not None:
                end = End(Position(self.nothing.feed, self.nothing.shard, *place), stored.headers.get(TIME, ""))
        return end

    def _within(self, last: Stored, whole: End, last_sequence: int) -> End:
        """Return the end within a batch of which a power failure has left the beginning only."""
        try:
            lengths = [int(length) for length in last.headers[LENGTHS].split(",")]
        except ValueError:
            raise self._mismatch(last, f"its header {LENGTHS} cannot be read") from None
        position = whole.position
        end = last.sequence + len(lengths)
        stored = self._stream.at(end)
        was_removed = stored is None and end <= last_sequence
        if was_removed or (stored is not None and self._line(stored) == (position.day, position.line)):
            return whole
        first_line = position.line - len(lengths)
        kept, ts = 0, ""
        for stored in self._stream.read(self._subjects, from_sequence=last.sequence + 1):
            if self._line(stored) != (position.day, first_line + kept + 1):
                break
            kept, ts = kept + 1, stored.headers.get(TIME, "")
        return End(position._replace(offset=position.offset - sum(lengths[kept:]), line=first_line + kept), ts)

    def _line(self, stored: Stored) -> tuple[str, int] | None:
        """Return the day and the line of a message of this copy; None for any other."""
        day, _, rest = stored.headers.get(LINE, "").partition("/")
        stem, _, line = rest.rpartition("/")
        return (day, int(line)) if stem == self._stem and line.isdecimal() else None

    def messages(self, first_day: str | None) -> Iterator[Copied]:
        """Yield the messages of the copy, as Sink.copies() does."""
        since = None
        if first_day is not None:
            # A message is stored after its receipt; a day more, in case that the clocks differ.
            day = date.fromisoformat(first_day)
            since = f"{day - timedelta(days=1) if day > date.min else day}T00:00:00Z"
        for stored in self._stream.read(self._subjects, from_time=since):
            place = self._line(stored)
            if place is not None:
                ts = stored.headers.get(TIME, "")
                yield Copied(f"sequence {stored.sequence}", *place, ts, stored.payload, f"subject {stored.subject}")
