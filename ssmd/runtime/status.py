"""What a run knows about itself: written by its parts, read by the probes, the metrics and people."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import COUNTER, LOSS_NOT_DETECTED, NO_NUMBERS_YET
from ssmd.contracts.listing import ListingState
from ssmd.contracts.strip import End
from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.drift import DriftState
from ssmd.runtime.gap_counts import GapCounts
from ssmd.runtime.key_metrics import KeyState
from ssmd.runtime.reason import Reason, refusal
from ssmd.runtime.schema_counts import SchemaCounts

__all__ = [
    "CLOSED",
    "COLLECTING",
    "CONNECTING",
    "ENDING",
    "INCOMPLETE",
    "STUCK_SECONDS",
    "Status",
]

STUCK_SECONDS = 10.0
"""A write or a sync that takes longer makes /health an error. A slow disk takes tenths of a second, a dead one never
answers."""

CONNECTING, COLLECTING, INCOMPLETE, ENDING = "connecting", "collecting", "incomplete", "ending"
CLOSED = "closed"
"""The states of a run. INCOMPLETE: connected, and something that was asked for is not coming. CLOSED: waiting for the
opening of the schedule."""


@dataclass
class Status:
    """The present state of a run. All is plain data, so that a probe never waits for anything. None is unknown."""

    connected: bool = False
    connected_ns: int | None = None
    """When the connection was made, ns since the epoch."""
    not_connected: End | None = None
    """How the attempt to connect has failed, while the run waits before its end."""
    configuration: str | None = None
    """The hash of the configuration in force, as in the ledger."""
    reconfigured_ns: int | None = None
    """When that was taken during the run, ns since the epoch; None for the one with which the run began."""
    last_received_ns: int | None = None
    """When the last message with data was received, ns since the epoch; None before the first."""
    last_read: Callable[[], float | None] = lambda: None
    """Returns when the last byte of any kind was received, seconds of the monotonic clock; None before the first."""
    messages: int = 0
    """Messages written."""
    received_bytes: int = 0
    written_bytes: int = 0
    loss_shown_by: str | None = COUNTER
    """How lost messages show: COUNTER, RANGE or CHAIN. None: they do not show."""
    loss_note: str = LOSS_NOT_DETECTED
    """What people should know when they do not show."""
    idle: str = ""
    """Why no message is expected, as a sentence for people; empty when messages are."""
    shows_loss: Callable[[], bool] = lambda: True
    """Returns whether they would show by now: False as long as no message has had a number."""
    gaps: int = 0
    missed: int | None = 0
    """Messages missing in the gaps; None when the numbers of a gap do not say it."""
    gap_counts: GapCounts = field(default_factory=GapCounts)
    """When they were, and where."""
    not_json: int = 0
    """Messages that are not valid JSON and were kept as a string, without those that are expected."""
    kinds_not_json: Collection[str] = ()
    """What these look like, each kind once, in the order in which they came."""
    is_expected: Callable[[bytes], bool] = lambda payload: False
    """Returns whether a message that is not JSON is one that the exchange is known to send."""
    not_decompressed: Callable[[], int | None] = lambda: None
    """Returns how many messages could not be decompressed; None when the exchange does not compress them."""
    unchanged: Callable[[], int | None] = lambda: None
    """Returns how many answers were the same as the one before, and not kept; None when every message is kept."""
    unacknowledged: int = 0
    """Subscriptions that the exchange has not confirmed."""
    channels: Sequence[ChannelStatus] | None = None
    """As of the last second; empty when the dialect does not know channels, None within a second of the connection."""
    missing: Sequence[Reason] = ()
    """The reasons why something that was asked for is not coming, apart from those of single channels."""
    unanswered: Callable[[], Sequence[str]] = lambda: ()
    """Returns the reasons why something that the connector itself asks for is not coming, each with how long."""
    refused: dict[str, int | None] = field(default_factory=dict)
    """The channels that the exchange has refused, in whole or in part, each with the error's code."""
    broken_books: set[str] = field(default_factory=set)
    """Channels whose order books are not all known because of a gap."""
    unheard: Callable[[str], Sequence[str]] = lambda channel: ()
    """Returns the markets of a channel from which no message has come."""
    unconfirmed: Callable[[str], Sequence[str]] = lambda channel: ()
    """Returns the markets of a channel that the exchange has not confirmed."""
    location: str = ""
    """Where the writer is writing, for people."""
    day: str = ""
    """The UTC day that is being written, YYYY-MM-DD; empty before the writer is open."""
    starts: int | None = None
    """How many runs have begun on that day; 0 when this run began earlier."""
    drift: DriftState | None = None
    """What has changed in the shape of the messages; None when nobody looks."""
    ending: str | None = None
    """Why the run is ending, when it ends with an error."""
    opened_ns: int | None = None
    """When the open hours of the schedule began, ns since the epoch; None without a schedule that is enforced."""
    closed_until_ns: int | None = None
    """When they begin, while it is closed; None while it is open."""
    silence_until_ns: int | None = None
    """Until when no message is expected; None at any other time."""
    has_silences: bool = False
    """Whether there are such times."""
    write_began: float | None = None
    """time.monotonic() at which the present write began; None while there is none."""
    sync_began: float | None = None
    """The same for the present sync."""
    last_write: float | None = None
    """When the last write ended, Unix seconds."""
    last_sync: float | None = None
    """When the last sync ended, Unix seconds."""
    disk_free: int | None = None
    """Bytes free for the output, as of the last sync."""
    queue_messages: Callable[[], float] = lambda: 0.0
    queue_bytes: Callable[[], float] = lambda: 0.0
    unprepared: str = ""
    """Why what comes before the opening of the writer was not done; empty when it was."""
    companions: dict[str, CompanionState] = field(default_factory=dict)
    """By name."""
    keys: Mapping[str, KeyState] = field(default_factory=dict)
    """By name."""
    schema: SchemaCounts | None = None
    """What the check of messages against a schema has found; None when they are not checked."""
    listing: ListingState | None = None
    """How far the following of markets is; None when none are followed, and within a second of the connection."""
    not_followed: Sequence[Reason] = ()
    """The reasons why markets that are followed are not coming."""
    beside: Sequence[Status] = ()
    """The states of what the run writes into further files; of these only the writes and the syncs count."""
    last_state: tuple[str, int] = ("", 0)
    """What state_since() returned last."""

    def add_gap(self, gap: Gap, ts_ns: int) -> None:
        """Count a gap, and the messages that are missing in it. `ts_ns`: when it was found, ns since the epoch."""
        self.gaps += 1
        self.missed = None if gap.missing is None or self.missed is None else self.missed + gap.missing
        self.gap_counts.add(gap.sid, gap.name, gap.missing, ts_ns)

    @property
    def known_gaps(self) -> int | None:
        """How many gaps there were; None when lost messages would not show."""
        return self.gaps if self._would_show_loss() else None

    @property
    def known_missed(self) -> int | None:
        """How many messages are missing in the gaps; None when that is not known."""
        return self.missed if self._would_show_loss() else None

    def _would_show_loss(self) -> bool:
        return self.loss_shown_by is not None and self.shows_loss()

    def lacks_numbers(self) -> bool:
        """Return whether data has come, and none of it has the numbers that would show lost messages."""
        return self.loss_shown_by is not None and self.last_received_ns is not None and not self.shows_loss()

    def notes(self) -> list[str]:
        """Return what people should know of the run although nothing is wrong, one sentence each."""
        if self.idle:
            return [self.idle]
        loss = self.loss_note if self.loss_shown_by is None else NO_NUMBERS_YET if self.lacks_numbers() else ""
        return [note for note in (loss, self.listing.note if self.listing else "") if note]

    def trouble(self) -> str | None:
        """Return why the process is not healthy, None when it is."""
        if self.ending is not None:
            return self.ending
        for seconds, what, location in self._disk_waits():
            if seconds > STUCK_SECONDS:
                return f"a {what} to {location} has been stuck for {seconds:.0f} s"
        return None

    def disk_waits(self) -> float:
        """Return for how many seconds the disk has not answered: how long the write or the sync that is under way has
        taken, the longer of both; 0 when there is none.
        """
        return max((seconds for seconds, _, _ in self._disk_waits()), default=0.0)

    def _disk_waits(self) -> Iterator[tuple[float, str, str]]:
        """Yield each write and sync that is under way: its seconds so far, what it is, and where."""
        now = time.monotonic()
        for files in (self, *self.beside):
            for what, began in (("write", files.write_began), ("sync", files.sync_began)):
                if began is not None:
                    yield now - began, what, files.location

    def not_ready(self) -> list[str]:
        """Return the texts of reasons()."""
        return [reason.text for reason in self.reasons()]

    def reasons(self) -> list[Reason]:
        """Return the reasons why something that was asked for is not coming; empty when everything is."""
        if self.ending is not None:
            return [Reason("the run is ending")]
        if self.closed_until_ns is not None:
            return []
        if not self.connected:
            return [Reason("not connected")]
        if self.silence_until_ns is not None:
            return []
        unanswered = [Reason(text, says_how_long=True) for text in self.unanswered()]
        partly = {state.channel: state.some_unconfirmed for state in self.channels or ()}
        refused = [refusal(channel, code, partly.get(channel, "")) for channel, code in self.refused.items()]
        broken = [Reason(f"{name}: order books not known since a gap", name) for name in sorted(self.broken_books)]
        of_channels = [reason for state in self.channels or () for reason in state.missing]
        return [*self.missing, *unanswered, *refused, *broken, *of_channels, *self.not_followed]

    @property
    def scheduled(self) -> bool | None:
        """Whether the schedule is open; None without one that is enforced."""
        return None if self.opened_ns is self.closed_until_ns is None else self.closed_until_ns is None

    def ready(self) -> bool:
        """Return whether the run is connected, not ending, and all that was asked for is coming; or it is closed."""
        return not self.reasons()

    def state_since(self, now_ns: int) -> tuple[str, int]:
        """Return one of the states above, and since when, in ns since the epoch.

        Call it once a second: it notices a change only when it is called. `now_ns`: the present time.
        """
        if self.ending is not None:
            state = ENDING
        elif self.closed_until_ns is not None:
            state = CLOSED
        elif not self.connected:
            state = CONNECTING
        else:
            state = INCOMPLETE if self.reasons() else COLLECTING
        if state != self.last_state[0]:
            self.last_state = state, now_ns
        return self.last_state
