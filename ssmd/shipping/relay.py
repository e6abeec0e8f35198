"""The relay of one feed or shard: follows what is recorded, and writes it to an engine, block by block.

Where the engine's copy ends is asked of the engine each time that a connection is made. So nothing has to be remembered
here: a relay may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from ssmd.contracts.sink import Block, End, Position, Sink
from ssmd.errors import DataError, EngineError, EngineMismatch, UsageError, WriteError
from ssmd.reading.follow import POLL_SECONDS, Follower
from ssmd.reading.position import DayMissing
from ssmd.shipping.attempts import Attempts
from ssmd.shipping.plan import Plan, RelayState
from ssmd.shipping.shipped import Shipped
from ssmd.store.head import TS, received_ns

__all__ = ["Relay"]

_REST_SECONDS = 1.0
"""For how long, at most, what is left is sent after it was stopped."""

_MEASURE_SECONDS = 0.5
"""How long measure() waits for the follower, at most."""

_log = logging.getLogger("ssmd.ship")


class Relay:
    """Ships one feed or shard. Its run() is for one thread.

    `open_sink`: connects to the engine, see EngineTransport.open(). `stopped`: set from outside to end it.
    """

    def __init__(
        self,
        follower: Follower,
        open_sink: Callable[[], Sink],
        shipped: Shipped,
        plan: Plan,
        stopped: threading.Event,
        state: RelayState | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.state = state or RelayState()
        self._follower = follower
        self._open_sink = open_sink
        self._shipped = shipped
        self._plan = plan
        self._first: Position | None = None
        """Where to begin when the engine has nothing; None when something was shipped before."""
        self._resume_at = plan.resume_at
        self._tried = False
        """Whether anything may have been sent from there."""
        self._stopped = stopped
        self._clock = clock
        self._began_ns = clock()
        self._follower_lock = threading.Lock()
        """Held while the follower is used. The engine may hold up the relay, but not measure()."""
        self._attempts = Attempts(self.state, stopped, once=plan.once, pause_seconds=plan.pause_seconds)
        self._warned: set[str] = set()

    def run(self) -> None:
        """Ship until it is stopped, or with `once` until all is shipped.

        Raises EngineAuthError, EngineFenced, EngineMismatch, and with `once` any EngineError; ConfigError, DataError
        and WriteError for what is on this side.
        """
        try:
            if self._shipped.read() is None:
                start = self._plan.start
                self._first = self._shipped.beginning(start) or self._follower.first(start)
                self._shipped.begun(self._first, start)
            self._attempts.run(self._connect_and_ship, self._shipped.flush)
        finally:
            self.state.up, self.state.sending = False, None
            self._shipped.flush()
            with self._follower_lock:
                self._follower.close()

    def _connect_and_ship(self) -> None:
        with contextlib.closing(self._open_sink()) as sink:
            for warning in sink.check():
                if warning not in self._warned:
                    self._warned.add(warning)
                    _log.warning(warning)
            self._begin(sink)
            while not self._stopped.is_set():
                line = self._send_next(sink)
                if self._plan.once and self._is_all(line, self._began_ns):
                    return
                if line is None:
                    self._stopped.wait(POLL_SECONDS)
            self._send_rest(sink)

    def _send_next(self, sink: Sink) -> bytes | None:
        """Send the next block, if there is any now, and return its last line. The block itself, which may be large, is
        not kept until the next one is read.
        """
        with self._follower_lock:
            block = self._follower.read(sink.most_lines, sink.most_bytes)
        if block is not None:
            self.state.sending = time.monotonic()
            sink.send(block)
            self.state.sending = None
            self._acknowledged(block)
        else:
            self._shipped.flush_in_time()
        return block.lines[-1] if block is not None else None

    def _is_all(self, line: bytes | None, ns: int) -> bool:
        """Return whether all is sent that was received before `ns`. `line`: what was sent last, None for nothing."""
        if line is None:
            return not self._follower.lag()[0]
        with contextlib.suppress(ValueError):
            return received_ns(line) >= ns
        return False

    def _send_rest(self, sink: Sink) -> None:
        """Send what the collector has written before it was stopped, as long as that is done soon."""
        ended_ns, until = self._clock(), time.monotonic() + _REST_SECONDS
        while time.monotonic() < until and not self._is_all(line := self._send_next(sink), ended_ns):
            if line is None:
                time.sleep(POLL_SECONDS)

    def _begin(self, sink: Sink) -> None:
        """Become the writer, at the end of the engine's copy, or where a person has chosen to go on.

        The files are compared with the copy first: a relay whose files do not fit must not end the one that ships.
        """
        seen = sink.end()
        with self._follower_lock:
            position = self._go_to(seen) if seen is not None else None
        at = sink.resume()
        if position is None or seen is None or at != seen.position:
            end = sink.end() if at is not None else None
            with self._follower_lock:
                position = self._go_to(end)
        if at is None and self._resume_at is not None:
            _require_unsent(position, sink)
        self._tried = self._resume_at is not None
        if not self._tried:
            if at is not None and sink.lost:
                raise EngineMismatch(f"{sink.lost}; to go on without them, use `ssmd ship --resume-at {at.place}`")
            self._look_back(position)
        self.state.up, self.state.error, self.state.position = True, None, position
        _log.info("connected to the engine", extra={"day": position.day, "offset": position.offset})

    def _go_to(self, end: End | None) -> Position:
        """Go to the end of a copy, or to where a person has chosen; return the place. Raises EngineMismatch for a copy
        of which this is not the file.
        """
        position = end.position if end is not None else None
        chosen = self._resume_at
        if chosen is not None and self._tried and position is not None and _is_behind(position, chosen):
            chosen = self._resume_at = None  # What was sent there has arrived, although that was not known.
        if chosen is not None:
            _require_behind(chosen, position)
            return self._follower.begin(chosen)
        if end is not None:
            try:
                return self._follower.begin(end)
            except DayMissing as error:
                if self._plan.has_bucket:
                    hope = "the relay goes on by itself when the uploader has restored the day from the bucket"
                    raise EngineError(f"{error}; {hope}") from None
                raise
        if (was := self._shipped.read()) is not None:
            raise EngineMismatch(
                f"the engine has nothing of this feed, although its copy ended at {was}: it was emptied, or this is "
                "another engine; choose where to go on with `ssmd ship --resume-at <day>/<offset>`"
            )
        return self._follower.begin(self._first, self._plan.start)

    def _look_back(self, position: Position) -> None:
        """Log that the engine has lost the end of its copy, if it has."""
        was = self._shipped.position()
        if was is not None and _is_behind(was, position):
            extra = {"day": position.day, "offset": position.offset, "was": was.place}
            _log.warning("the engine has lost the end of its copy, which is sent again", extra=extra)

    def _acknowledged(self, block: Block) -> None:
        self._resume_at = None
        self._attempts.succeeded()
        self.state.messages += len(block.lines)
        self.state.position = block.end
        self.state.last = block.lines[-1][TS].decode("ascii", "replace")
        self._shipped.note(block.end, self.state.last)

    def measure(self) -> None:
        """Note how far the engine's copy is behind what is recorded, as far as that is known. For any thread."""
        # Before it is known where the copy ends, so is not this.
        if self.state.position is None or not self._follower_lock.acquire(timeout=_MEASURE_SECONDS):
            return
        try:
            lag: tuple[int | None, float | None] = self._follower.lag()
        except (DataError, WriteError):  # The relay finds it too, and ends.
            lag = None, None
        finally:
            self._follower_lock.release()
        self.state.lag_bytes, self.state.lag_seconds = lag
        self.state.measured = time.monotonic()


def _is_behind(one: Position, other: Position) -> bool:
    return (one.day, one.offset) > (other.day, other.offset)


def _require_behind(chosen: Position, position: Position | None) -> None:
    """Raise UsageError for a place before the end of the engine's copy: lines would be there twice."""
    if position is not None and _is_behind(position, chosen):
        raise UsageError(
            f"--resume-at is {chosen.place}, and the engine's copy ends at {position.place}: what is between would be "
            "there twice; choose that place or a later one"
        )


def _require_unsent(chosen: Position, sink: Sink) -> None:
    """Raise UsageError for a place before lines of which the engine has the messages, although it has no position any
    more: it was emptied while a relay was sending, or it has forgotten the position first.
    """
    if not sink.traits.exactly_once:
        return
    _log.info("looking for messages behind the place", extra={"day": chosen.day, "offset": chosen.offset})
    sent = max(((copied.day, copied.line) for copied in sink.copies(chosen.day)), default=("", 0))
    if sent > (chosen.day, chosen.line):
        raise UsageError(
            f"--resume-at is {chosen.place}, and the engine still has the message of line {sent[1]:,} of {sent[0]}: it "
            "would be there twice; remove this feed's messages from the engine, or choose a place behind that line"
        )
