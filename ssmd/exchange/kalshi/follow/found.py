"""A market of the exchange, as an answer or a message has it. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Found"]


class Found(NamedTuple):
    """A market that the exchange has, from an answer or a message."""

    ticker: str
    event: str
    """Empty when it is not known."""
    state: str
    """One of STATUSES, or settled."""
    open_seconds: float = 0.0
    """Unix seconds; 0 when it is not known."""
    close_seconds: float = 0.0
