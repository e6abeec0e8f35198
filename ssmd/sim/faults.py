"""The faults that the simulator can simulate, parsed from texts like `close-after=100`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ssmd.errors import UsageError, visible
from ssmd.sim.frames import BINARY, TEXT, encode
from ssmd.sim.rest_faults import REST_FAULTS, RestFaults
from ssmd.sim.subscription import CHANNELS

__all__ = ["EXCHANGE_FAULTS", "FAULTS", "GARBAGE", "TORN", "Fault", "Faults"]

FAULTS: dict[str, str] = {
    "close-after=N": "close frame 1001 after N frames, then the connection is closed",
    "reset-after=N": "TCP reset after N frames",
    "truncate-after=N": "the connection ends in the middle of the next frame",
    "freeze-after=N": "no more data after N frames, but pings go out and are answered",
    "silent-after=N": "nothing at all after N frames, on an open connection",
    "gap-after=N": "three messages of every subscription are lost after N frames",
    "gap-after=N:CHANNEL": "three messages of one channel are lost after N frames",
    "mute-after=N:CHANNEL": "one channel sends no more data after N frames, and the others go on",
    "error-after=N:CODE": "an error frame with CODE ends one subscription after N frames",
    "garbage-after=N": "broken JSON, broken UTF-8, a binary frame, NaN, two documents, an empty frame; then it goes on",
    "refuse=CHANNEL:CODE": "every command that subscribes to the channel is refused with CODE",
    "unknown-market=TICKER": "nothing of the market is sent, and answers that list markets leave it out",
    "no-snapshot=TICKER": "a command that asks for the market's book is not answered",
    "lose-lifecycle=SHARE": "this part of all life cycle messages is never sent, such as 0.1",
    **REST_FAULTS,
    "status=CODE": "every handshake is answered with this HTTP status",
    "slow-handshake": "handshakes are never answered",
    "slow-handshake=SECONDS": "handshakes are answered late",
}
"""Each fault as a user writes it, and what it does; N counts the data frames sent on a connection."""

EXCHANGE_FAULTS: dict[str, str] = {
    name: FAULTS[name] for name in ("close-after=N", "reset-after=N", "truncate-after=N", "silent-after=N")
} | {
    "freeze-after=N": "after N frames no more data is sent, only heartbeats and answers to pings",
    "gap-after=N": "three messages of every subscription are lost after N frames",
    "gap-after=N:CHANNEL": "three messages of every subscription to one channel are lost after N frames",
    "notice-after=N": "after N frames the exchange announces the end of the connection, and then ends it",
    "garbage-after=N": FAULTS["garbage-after=N"],
    "refuse=CHANNEL": "every subscription to the channel is refused, as if the channel did not exist",
    "status=CODE": FAULTS["status=CODE"],
    "slow-handshake": FAULTS["slow-handshake"],
    "slow-handshake=SECONDS": FAULTS["slow-handshake=SECONDS"],
}
"""The faults of `ssmd sim --exchange`, in the same way."""

GARBAGE = (
    encode(TEXT, b'{"type":"ticker","sid":1,"msg":{"market_ticker":"KXSIM-\n'),
    encode(TEXT, b'{"type":"ticker","sid":1,"msg":{"market_ticker":"KXSIM-\xff\xc3("}}\n'),
    encode(BINARY, bytes(range(256))),
    encode(TEXT, b'{"type":"ticker","sid":1,"msg":{"price_dollars":NaN}}\n'),
    encode(TEXT, b'{"type":"ticker","sid":1}{"type":"ticker","sid":1}\n'),
    encode(TEXT, b""),
)
"""The frames of garbage-after, sent at once."""

TORN = encode(TEXT, b'{"type":"ticker","sid":1,"msg":{"market_ticker":"KXSIM-A"}}\n')[:40]
"""Half a frame, for truncate-after."""

_CODE = ("error",)
"""The counted faults that need an error code."""
_CHANNEL = ("mute",)
"""The counted faults that need a channel."""
_MAY_HAVE_CHANNEL = ("gap", *_CHANNEL)


class Fault(NamedTuple):
    """A fault that happens on each connection once `after` frames were sent on it."""

    after: int
    kind: str
    code: int = 0
    channel: str = ""
    """The only channel that has this fault; empty for all."""


@dataclass(frozen=True)
class Faults:
    """All faults of a simulator."""

    counted: tuple[Fault, ...] = ()
    """Those that happen after a number of frames, in the order in which they happen."""
    status: int | None = None
    """The HTTP status that answers every handshake."""
    handshake_delay: float = 0.0
    """Seconds; infinite for handshakes that are never answered."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """The channels that cannot be subscribed to, each with the error code that says so; 0 where there is none."""
    unknown_markets: frozenset[str] = frozenset()
    """The tickers of which nothing is sent, and which no answer lists."""
    without_snapshot: frozenset[str] = frozenset()
    """The tickers for which get_snapshot is not answered."""
    lost_lifecycle: float = 0.0
    """Which part of the life cycle messages of new markets is never sent, from 0 to 1."""
    rest: RestFaults = field(default_factory=RestFaults)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Return the faults that texts like `close-after=100` name. Raises UsageError, which lists those that exist."""
        return _Parser(FAULTS, CHANNELS).parse(texts)

    @classmethod
    def parse_for(cls, texts: Iterable[str], offered: Collection[str], channels: Collection[str]) -> Faults:
        """Return the same for another exchange, which has these `channels` and the faults `offered`."""
        return _Parser(offered, channels).parse(texts)

    @property
    def of_channels(self) -> bool:
        """Whether one of them is about a channel, a market or a listing, which a recording does not have."""
        named = self.refused or self.unknown_markets or self.without_snapshot or self.lost_lifecycle
        return bool(named) or self.rest != RestFaults() or any(fault.channel for fault in self.counted)


class _Parser:
    def __init__(self, offered: Collection[str], channels: Collection[str]) -> None:
        self._offered = offered
        self._channels = channels
        self._names = {name.partition("=")[0] for name in offered}

    def parse(self, texts: Iterable[str]) -> Faults:
        counted: list[Fault] = []
        named: dict[str, list[str]] = {"refuse": [], "unknown-market": [], "no-snapshot": []}
        status: int | None = None
        delay = lost = 0.0
        rest = RestFaults()
        for text in texts:
            name, equals, value = text.strip().partition("=")
            if name not in self._names:
                raise self._unknown(text)
            if name.endswith("-after"):
                counted.append(self._counted(name.removesuffix("-after"), value, text))
            elif name in named and value:
                named[name].append(value)
            elif name == "status":
                status = self._integer(value, text, 200, 599)
            elif name == "slow-handshake":
                delay = self._seconds(value, text) if equals else math.inf
            elif name == "lose-lifecycle":
                lost = self._seconds(value, text, 1)
            elif name.startswith("rest-") and bool(value) == bool(equals):
                rest = rest._replace(**self._of_rest(name.removeprefix("rest-"), value, text))
            else:
                raise self._unknown(text)
        return Faults(
            tuple(sorted(counted, key=lambda fault: fault.after)),
            status,
            delay,
            dict(map(self._refusal, named["refuse"])),
            frozenset(named["unknown-market"]),
            frozenset(named["no-snapshot"]),
            lost,
            rest,
        )

    def _of_rest(self, kind: str, value: str, text: str) -> dict[str, Any]:
        """Return a fault of the REST interface as a field of RestFaults."""
        match kind:
            case "down" if not value:
                return {"down": (0.0, math.inf)}
            case "down":
                first, last = (self._seconds(each, text) for each in value.partition("-")[::2])
                if first >= last:
                    raise UsageError(f"fault '{visible(text)}': it ends before it begins")
                return {"down": (first, last)}
            case "slow" | "late":
                return {f"{kind}_seconds": self._seconds(value, text)}
            case _:
                return {kind: self._integer(value, text, 1)}

    def _counted(self, kind: str, value: str, text: str) -> Fault:
        number, _, rest = value.partition(":")
        after = self._integer(number, text)
        if kind in _CODE:
            return Fault(after, kind, self._integer(rest, text, 1, 9999))
        if (rest and kind not in _MAY_HAVE_CHANNEL) or (not rest and (kind in _CHANNEL or ":" in value)):
            raise self._unknown(text)
        return Fault(after, kind, channel=self._known(rest, text) if rest else "")

    def _refusal(self, value: str) -> tuple[str, int]:
        text = f"refuse={value}"
        if "refuse=CHANNEL" in self._offered:
            return self._known(value, text), 0
        channel, _, code = value.rpartition(":")
        if not channel:
            raise self._unknown(text)
        return self._known(channel, text), self._integer(code, text, 1, 9999)

    def _known(self, channel: str, text: str) -> str:
        """Return the channel. Raises UsageError when the simulator has none of that name."""
        if channel not in self._channels:
            known = ", ".join(self._channels)
            raise UsageError(f"fault '{visible(text)}': there is no such channel; there are: {known}")
        return channel

    def _integer(self, value: str, text: str, low: int = 0, high: int = 10**15) -> int:
        if not (value.isascii() and value.isdigit() and len(value) < 18 and low <= int(value) <= high):
            raise self._unknown(text)
        return int(value)

    def _seconds(self, value: str, text: str, most: float = 10**9) -> float:
        try:
            seconds = float(value)
        except ValueError:
            raise self._unknown(text) from None
        if not 0 <= seconds <= most:
            raise self._unknown(text)
        return seconds

    def _unknown(self, text: str) -> UsageError:
        name = text.strip().partition("=")[0]
        forms = [each for each in self._offered if each.partition("=")[0] == name]
        if forms:
            return UsageError(f"fault '{visible(text)}' must have the form {' or '.join(forms)}")
        return UsageError(f"unknown fault '{visible(text)}'; there are: {', '.join(self._offered)}")
