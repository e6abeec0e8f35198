"""The faults that the simulator can simulate, parsed from texts like `close-after=100`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ssmd.errors import UsageError, printable
from ssmd.sim.frames import BINARY, TEXT, encode

__all__ = ["FAULTS", "GARBAGE", "TORN", "Fault", "Faults"]

FAULTS: dict[str, str] = {
    "close-after=N": "close frame 1001 after N frames, then the connection is closed",
    "reset-after=N": "TCP reset after N frames",
    "truncate-after=N": "the connection ends in the middle of the next frame",
    "freeze-after=N": "no more data after N frames, but pings go out and are answered",
    "silent-after=N": "nothing at all after N frames, on an open connection",
    "gap-after=N": "three sequence numbers are skipped after N frames",
    "error-after=N:CODE": "an error frame with CODE ends one subscription after N frames",
    "garbage-after=N": "broken JSON, broken UTF-8, a binary frame, NaN, two documents, an empty frame; then it goes on",
    "status=CODE": "every handshake is answered with this HTTP status",
    "slow-handshake": "handshakes are never answered",
    "slow-handshake=SECONDS": "handshakes are answered late",
}
"""Each fault as a user writes it, and what it does; N counts the data frames sent on a connection."""

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

_COUNTED = {name.partition("-after=")[0] for name in FAULTS if "-after=" in name}


class Fault(NamedTuple):
    """A fault that happens on each connection once `after` frames were sent on it."""

    after: int
    kind: str
    code: int = 0


@dataclass(frozen=True)
class Faults:
    """All faults of a simulator."""

    counted: tuple[Fault, ...] = ()
    """Those that happen after a number of frames, in the order in which they happen."""
    status: int | None = None
    """The HTTP status that answers every handshake."""
    handshake_delay: float = 0.0
    """Seconds; infinite for handshakes that are never answered."""

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Faults:
        """Return the faults that texts like `close-after=100` name. Raises UsageError, which lists those that exist."""
        counted: list[Fault] = []
        status: int | None = None
        delay = 0.0
        for text in texts:
            name, equals, value = text.strip().partition("=")
            kind = name.removesuffix("-after")
            if name.endswith("-after") and kind in _COUNTED:
                number, _, code = value.partition(":")
                if (kind == "error") != bool(code):
                    raise _unknown(text)
                counted.append(Fault(_integer(number, text), kind, _integer(code, text, 1, 9999) if code else 0))
            elif name == "status":
                status = _integer(value, text, 200, 599)
            elif name == "slow-handshake":
                delay = _seconds(value, text) if equals else math.inf
            else:
                raise _unknown(text)
        return cls(tuple(sorted(counted, key=lambda fault: fault.after)), status, delay)


def _integer(value: str, text: str, low: int = 0, high: int = 10**15) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 18 and low <= int(value) <= high):
        raise _unknown(text)
    return int(value)


def _seconds(value: str, text: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        raise _unknown(text) from None
    if not 0 <= seconds < math.inf:
        raise _unknown(text)
    return seconds


def _unknown(text: str) -> UsageError:
    return UsageError(f"unknown fault {printable(text)!r}; there are: {', '.join(FAULTS)}")
