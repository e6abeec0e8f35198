"""Why something that was asked for is not coming: plain data, for the probes and people."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Reason", "refusal"]


class Reason(NamedTuple):
    """One reason, and what it is about."""

    text: str
    """For people; it begins with the channel, if it is of one."""
    channel: str | None = None
    """None when it is of no single channel; empty for a command that names none."""
    says_how_long: bool = False
    """The text says for how long it has been so."""
    is_refused: bool = False
    """The exchange has refused it."""
    code: int | None = None
    """The error with which it did."""


def refusal(channel: str, code: int | None, more: str = "") -> Reason:
    """Return that the exchange has refused a channel, in whole or in part; empty for a command that names none.

    `more`: what else is known of that, in words.
    """
    text = f"{channel or 'a command'}: refused by the exchange" + ("" if code is None else f" (error {code})")
    return Reason(f"{text}, {more}" if more else text, channel, is_refused=True, code=code)
