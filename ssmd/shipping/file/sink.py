"""The sink of the transport `file`: a copy of what is recorded, in another folder.

The copy has the layout of the storage: {path}/{day}/{stem}.jsonl with the lines as they are. Beside it are

    {path}/.{stem}.copying      held by the relay that writes the copy
    {path}/.{stem}.position     where the copy ends, replaced after each block

A block is appended and synced before the position is replaced. So whatever follows the position in the copy is of a
block that was not written to its end, and resume() cuts it off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, Copied, End, Position, Traits
from ssmd.errors import DataError, EngineError, EngineFenced, EngineMismatch, OutputError, WriteError
from ssmd.reading.blocks import plain
from ssmd.reading.ends import end_of
from ssmd.shipping.file.copies import copies_of
from ssmd.shipping.file.state import CopyState
from ssmd.shipping.file.transport import FileConfig
from ssmd.store.durable import explain, sync_directory, write_durably, write_pieces
from ssmd.store.inventory import data_files
from ssmd.store.layout import DayFile, data_path
from ssmd.store.locks import take_lock_file
from ssmd.store.torn import end_of_whole_lines

__all__ = ["FileSink", "connect"]

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_NOT_OURS = (
    "was not written by this transport for this feed, and nothing is changed that is not its own; name an empty folder "
    "as `transport.path`, or move this away"
)


def connect(config: FileConfig, environment: str, feed: str, shard: Shard, keys: Mapping[str, str]) -> FileSink:
    """Return the sink for a feed or shard. Raises EngineError when the folder is not there."""
    return FileSink(Path(config.path).absolute(), feed, shard)


class FileSink:
    """Keeps the Sink contract of contracts/sink.py in a folder."""

    traits = Traits(fences=True, atomic=True, exactly_once=True, numbers=False)
    most_lines = 20_000
    most_bytes = 4 * 1024 * 1024
    lost = ""

    def __init__(self, root: Path, feed: str, shard: Shard) -> None:
        self._root = root
        self._empty = CopyState(feed, shard.label)
        self._stem = shard.stem(feed)
        self._shard = shard
        self._position = root / f".{self._stem}.position"
        self._lock_fd = self._fd = -1
        self._state: CopyState | None = None
        """Where the copy ends; None before resume(), and after an error."""

    def check(self) -> Sequence[str]:
        with self._reported():
            if not os.access(self._root, os.W_OK | os.X_OK):
                raise EngineError(f"{self._root}: no file can be created here; change its owner or its permissions")
        return ()

    def end(self) -> End | None:
        with self._reported():
            state = self._read_state()
        return state.end if state is not None else None

    def resume(self) -> Position | None:
        self._close_data()
        with self._reported():
            self._lock()
            state = self._read_state()
            if state is not None:
                state = self._repaired(state)
            else:
                self._require_none_after("")
            self._state = state or self._empty
        return state.position if state is not None else None

    def _lock(self) -> None:
        """Take the lock, if it is not held yet."""
        if self._lock_fd >= 0:
            return
        path = self._root / f".{self._stem}.copying"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            holder = take_lock_file(fd)
            if holder is not None:
                raise EngineFenced(f"{path}: another relay (process {holder}) writes this copy; stop one of the two")
            self._lock_fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)

    def _read_state(self) -> CopyState | None:
        """Return how far the copy is, None when there is none."""
        try:
            state = CopyState.decode(self._position.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            raise EngineMismatch(f"{self._position}: {_NOT_OURS}") from None
        if (state.feed, state.shard) != (self._empty.feed, self._empty.shard):
            raise EngineMismatch(f"{self._position}: {_NOT_OURS}")
        return state

    def _require_none_after(self, day: str) -> None:
        """Refuse data of a later day: another program has written it."""
        for file in self._files():
            if file.day > day:
                raise EngineMismatch(f"{file.path}: {_NOT_OURS}")

    def _files(self) -> list[DayFile]:
        return data_files([self._root], self._empty.feed, self._shard)

    def _data(self, day: str) -> Path:
        return data_path(self._root / day, self._stem)

    def _repaired(self, state: CopyState) -> CopyState:
        """Cut off what was not written to its end, and return how far the copy is then."""
        path = self._data(state.day)
        size = path.stat().st_size if path.exists() else 0
        if size > state.size:
            os.truncate(path, state.size)
        elif size < state.size:  # Somebody has put an older copy back, say. It is a copy all the same.
            lines = 0
            if size:
                with open(path, "r+b", buffering=0) as file:
                    size = end_of_whole_lines(file.fileno(), size)
                    file.truncate(size)
                    lines = sum(block.count(b"\n") for block in plain(file))
            state = state.cut(size, lines)
            write_durably(self._position, state.encode())
        return state

    def send(self, block: Block) -> None:
        state, self._state = self._state, None
        if state is None or block.start[2:4] < state.position[2:4]:
            raise EngineError(f"{self._root}: it is not known where the copy ends")
        with self._reported():
            if block.start.day != state.day:
                state = self._begin_day(state, block.start)
            elif self._fd < 0:
                self._fd = os.open(self._data(state.day), _APPEND, 0o644)
            state = state.at(block.start)
            write_pieces(self._fd, block.lines)
            os.fsync(self._fd)
            state = state.grown(sum(map(len, block.lines)), len(block.lines), end_of(block))
            write_durably(self._position, state.encode())
        self._state = state

    def _begin_day(self, state: CopyState, start: Position) -> CopyState:
        """Create the file of a day. The position comes first: whatever the file holds then, it is not foreign."""
        self._close_data()
        self._require_none_after(state.day)
        state = state.at(start)
        write_durably(self._position, state.encode())
        path = self._data(start.day)
        path.parent.mkdir(exist_ok=True)
        self._fd = os.open(path, _APPEND, 0o644)
        sync_directory(path.parent)
        sync_directory(self._root)
        return state

    def names(self, block: Block) -> Sequence[str]:
        return [""] * len(block.lines)

    def copies(self, first_day: str | None = None) -> Iterator[Copied]:
        with self._reported():
            state = self._read_state()
            if state is None:
                return
            for file in self._files():
                if (first_day or "") <= file.day <= state.day:
                    yield from copies_of(file, state)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Raise what goes wrong with the folder as EngineError. A folder that is not there is never created."""
        try:
            os.stat(self._root)
            yield
        except OSError as error:
            hint = "; is its disk mounted?" if isinstance(error, FileNotFoundError) else ""
            raise EngineError(f"{error.filename or self._root}: {explain(error)}{hint}") from None
        except (DataError, OutputError, WriteError) as error:
            raise EngineError(str(error)) from None

    def _close_data(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def close(self) -> None:
        self._state = None
        with contextlib.suppress(OSError):
            self._close_data()
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
