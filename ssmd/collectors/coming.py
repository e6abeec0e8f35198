"""For bin/start: whether everything that was asked for is coming, `python -m ssmd.collectors.coming <host:port>`.

Exit codes: 0, nothing is missing, and it prints the state, in words that fit after "kalshi is"; 75, it prints what is
missing; 69, no collector answers, and it prints nothing.
"""

from __future__ import annotations

import sys

from ssmd.collectors.ask import Address, NoAnswer, ask
from ssmd.collectors.said import CLOSED, COLLECTING, Said, read
from ssmd.errors import ConnectError, Disconnected, printable

__all__ = ["coming", "missing"]


def missing(said: Said) -> str:
    """Return what a collector waits for; empty when all that was asked for is confirmed and comes, or when it is closed
    by schedule.
    """
    if said.state == CLOSED:
        return ""
    if said.connected is None:  # With --page off it says no more.
        return "" if said.state == COLLECTING else said.state
    # It is null where it is not known how the exchange confirms.
    waits = said.channels is None or any(channel.confirmed is False for channel in said.channels)
    return "; ".join(said.missing) or ("not confirmed yet" if waits else "")


def coming(said: Said) -> str:
    """Return the state of a collector for which nothing is missing."""
    if said.state != CLOSED:
        return "connected, and nothing that was asked for is missing"
    until = said.schedule.closed_until if said.schedule is not None else None
    return "running, and is closed by schedule" + (f" until {until:%Y-%m-%dT%H:%M:%SZ}" if until is not None else "")


def main(address: str) -> int:
    """Print the state of the collector at an address; return the exit code."""
    try:
        said = read(ask(Address.parse(address)))
    except (NoAnswer, ValueError):
        return ConnectError.exit_code
    absent = missing(said)
    print(printable(absent or coming(said)))
    return Disconnected.exit_code if absent else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
