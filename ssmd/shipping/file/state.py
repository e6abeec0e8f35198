"""How far the copy of a feed in a folder is, and which lines of the recorded files it holds. Pure."""

from __future__ import annotations

import msgspec

from ssmd.contracts.sink import End, Position

__all__ = ["CopyState"]


class _Jump(msgspec.Struct, array_like=True, frozen=True):
    """A place in the copy of a day that is not behind the line before it in the recorded file: where the copy begins
    within a day, or where a line was left out that ssmd did not write.
    """

    size: int
    lines: int
    """The bytes and the lines of the copy before it."""
    offset: int
    line: int
    """The bytes and the lines of the recorded file before it."""


_NO_JUMP = _Jump(0, 0, 0, 0)


class CopyState(msgspec.Struct, frozen=True):
    """The position at which a copy ends, and what is in the copy of its day."""

    feed: str
    shard: str
    day: str = ""
    """Empty before the first line of all."""
    offset: int = 0
    line: int = 0
    size: int = 0
    lines: int = 0
    """The bytes and the lines in the copy of that day."""
    jumps: dict[str, tuple[_Jump, ...]] = {}
    """By day, in order."""
    ts: str = ""
    checksum: str = ""
    """Of the last line, as in End."""

    @classmethod
    def decode(cls, data: bytes) -> CopyState:
        """Return the state that encode() made. Raises ValueError for anything else."""
        return msgspec.json.decode(data, type=cls)

    def encode(self) -> bytes:
        return msgspec.json.encode(self) + b"\n"

    @property
    def position(self) -> Position:
        return Position(self.feed, self.shard, self.day, self.offset, self.line)

    @property
    def end(self) -> End:
        return End(self.position, self.ts, self.checksum)

    def at(self, start: Position) -> CopyState:
        """Return the state with a later position, and nothing more in the copy."""
        if start == self.position:
            return self
        size, lines = (self.size, self.lines) if start.day == self.day else (0, 0)
        jumps = self.jumps
        if start.offset:
            jump = _Jump(size, lines, start.offset, start.line)
            jumps = {**jumps, start.day: (*jumps.get(start.day, ()), jump)}
        return CopyState(*start, size, lines, jumps)

    def grown(self, size: int, lines: int, end: End) -> CopyState:
        """Return the state with so many more bytes and lines in the copy of the day. `end`: with its last line."""
        return msgspec.structs.replace(
            self,
            offset=self.offset + size,
            line=self.line + lines,
            size=self.size + size,
            lines=self.lines + lines,
            ts=end.ts,
            checksum=end.checksum,
        )

    def cut(self, size: int, lines: int) -> CopyState:
        """Return the state with only so many bytes and lines in the copy of the day."""
        jumps = tuple(jump for jump in self.jumps.get(self.day, ()) if jump.size <= size)
        last = jumps[-1] if jumps else _NO_JUMP
        return msgspec.structs.replace(
            self,
            offset=last.offset + size - last.size,
            line=last.line + lines - last.lines,
            size=size,
            lines=lines,
            jumps={**self.jumps, self.day: jumps},
            ts="",
            checksum="",
        )

    def recorded_line(self, day: str, lines: int) -> int:
        """Return how many lines of the recorded file of a day are before a line of the copy, which has `lines` before
        it.
        """
        last = next((jump for jump in reversed(self.jumps.get(day, ())) if jump.lines <= lines), _NO_JUMP)
        return last.line + lines - last.lines
