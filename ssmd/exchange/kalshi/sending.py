"""When the commands of one connection to Kalshi are sent: at the feed's pace, and after a pause for a refusal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ssmd.exchange.kalshi.command import Command
from ssmd.exchange.kalshi.slowness import Slowness
from ssmd.exchange.passed_time import PassedTime
from ssmd.pace import Pace, Pause

__all__ = ["TICK_SECONDS", "Sending"]

TICK_SECONDS = 1.0
SOON_SECONDS = 0.05
"""The shortest time between two ticks, and the time up to the first when there is a limit: the opening commands count
from that tick on, because the time at which they were sent is not known."""


class Sending:
    """`commands`: the opening commands, whose ids are 1, 2, and so on. `per_second`: the limit; None for none."""

    def __init__(self, commands: Sequence[Command], per_second: float | None) -> None:
        self._commands = commands
        self._pace = Pace(per_second)
        self._pause = Pause()
        self._slowness = Slowness()
        self._time = PassedTime()
        self._uncounted = min(len(commands), self._pace.most)
        """How many of the opening commands are sent and not counted yet."""
        self.unsent: dict[int, None] = dict.fromkeys(range(self._uncounted + 1, len(commands) + 1))
        """The ids of the opening commands that are not sent yet, in order."""
        self._again: dict[int, None] = {}
        """The ids of the commands to send again, in order."""
        self._is_over = True
        self.passed_ms = 0
        """The time since the first tick."""

    @property
    def tick_seconds(self) -> float:
        """In how many seconds the next tick is due: earlier than usual when the pace has room then."""
        if self._uncounted and self._pace.is_limited:
            return SOON_SECONDS
        wait_seconds = self._pace.wait_ms(self.passed_ms) / 1000
        return min(TICK_SECONDS, max(SOON_SECONDS, wait_seconds or TICK_SECONDS))

    @property
    def is_limited(self) -> bool:
        """Whether the pace is limited, by the feed or after a refusal."""
        return self._pace.is_limited or self._slowness.is_limited

    @property
    def pause_seconds(self) -> int:
        return self._pause.seconds

    def first(self) -> Sequence[bytes]:
        """Return the commands to send at once."""
        return [command.encode() for command in self._commands if command.id not in self.unsent]

    def refused(self, command_ids: Iterable[int]) -> bool:
        """Send commands again after a pause, for which Kalshi asks; return whether it is a new, longer pause."""
        self._again |= dict.fromkeys(each for each in command_ids if each not in self.unsent)
        is_new = self._pause.refused()
        if is_new:
            self._slowness.refused()
        return is_new

    def confirmed(self) -> None:
        """Record that a command was carried out, so that the next pause is short again: the pace is reduced anyway."""
        self._pause.accepted()

    def tick(self, now_ms: int, least_ms: int) -> None:
        """Let time pass; `now_ms`: Unix milliseconds. `least_ms`: see PassedTime.tick()."""
        self.passed_ms = self._time.tick(now_ms, least_ms)
        self._slowness.pass_time(self.passed_ms)
        self._is_over = self._pause.wait_ms(self.passed_ms) == 0
        self._pace.sent(self.passed_ms, self._uncounted)
        self._uncounted = 0

    def due(self, is_waiting: Callable[[int], object]) -> Iterator[bytes]:
        """Yield the commands to send now. `is_waiting`: whether a command still has to be answered."""
        for waiting in (self._again, self.unsent):
            for command_id in list(waiting)[: self.room()]:
                del waiting[command_id]
                if is_waiting(command_id):
                    self.sent(1)
                    yield self._commands[command_id - 1].encode()

    def room(self) -> int:
        """Return how many commands may be sent now."""
        if not self._is_over:
            return 0
        return self._slowness.allowed(self._pace.allowed(self.passed_ms))

    def sent(self, count: int) -> None:
        """Record that commands are sent now."""
        self._pace.sent(self.passed_ms, count)
        self._slowness.sent(count)
