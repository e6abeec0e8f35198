"""What a feed's `dialect` section says of an exchange, once it is read and found valid. Plain data.

docs/dialect.md explains each field to users; parse.py reads the section.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ssmd.field_path import FieldPath

__all__ = [
    "EMPTY",
    "EXISTS",
    "IS",
    "NOT",
    "PREFIX",
    "Asking",
    "Condition",
    "Confirmation",
    "Description",
    "Ending",
    "KeepAlive",
    "Match",
    "Paths",
    "Pick",
    "Prepare",
    "Reply",
    "Sequence",
]

IS, NOT, EXISTS, PREFIX = "is", "not", "exists", "prefix"
"""The tests of a Condition: the value equals `value` and has its type; there is a value, and it is another one; there
is a value, or none, as `value` is True or False; the value is a text that begins with `value`."""


class Condition(NamedTuple):
    """What must hold for one field of a message."""

    path: FieldPath | None
    """None for the text of a message that is not JSON."""
    test: str
    value: Any


Match = tuple[tuple[Condition, ...], ...]
"""A message matches when all conditions of one of these hold."""


class Pick(NamedTuple):
    """Where a message has a value."""

    paths: tuple[FieldPath, ...]
    """The first of these that the message has is used."""
    split: str = ""
    """What separates the parts of the value, a text, of which one part is wanted; empty for the whole value."""
    part: int = 0
    """Which part, from 1; from the end when negative."""
    format: str = ""
    """Of a time: s, ms, us, ns or rfc3339; empty to recognize it by the value."""
    otherwise: Pick | None = None
    """Where to look when the message has none of these, or fewer parts."""

    def chain(self) -> Iterator[Pick]:
        """Yield this pick, and then each one to use when those before it find nothing."""
        pick: Pick | None = self
        while pick is not None:
            yield pick
            pick = pick.otherwise

    def every_path(self) -> Iterator[FieldPath]:
        """Yield the paths of the whole chain."""
        for pick in self.chain():
            yield from pick.paths


class KeepAlive(NamedTuple):
    """A message to send again and again, at regular times."""

    every_seconds: float
    send: Any
    """The message: a text is sent as it is, anything else as JSON. May have placeholders, see template.py."""
    only_when_quiet: bool = False
    """Only when nothing has come in this time."""


class Reply(NamedTuple):
    """A message to send when another one comes."""

    when: Match
    send: Any
    """As in KeepAlive, and `${message.<path>}` is a value of the message that came."""


class Ending(NamedTuple):
    """What ends the run."""

    when: Match
    """A message; empty when a close code is meant."""
    close_code: int | None
    refused: bool
    """Whether the exchange has refused what it was asked for, so that starting again does not help (exit code 78).
    Otherwise the run ends as at any end of a connection (75)."""


class Prepare(NamedTuple):
    """A request over HTTP before each connection, from whose answer values are taken."""

    url: str
    """It may have placeholders, and so may `headers` and `body`."""
    method: str
    headers: Mapping[str, str]
    body: Any
    """JSON; None for none."""
    take: Mapping[str, FieldPath]
    """By the name that `${prepared.<name>}` uses."""


class Asking(NamedTuple):
    """Where the messages that ssmd sends say what they ask for. Their paths may have EVERY."""

    when: Match
    """Which messages ask for something; empty for all."""
    channel: Pick | None
    market: Pick | None
    id: FieldPath | None
    """What an answer repeats."""


class Confirmation(NamedTuple):
    """How the exchange confirms what was asked for."""

    when: Match
    channel: Pick | None
    market: Pick | None
    id: FieldPath | None
    """With it alone, the answer confirms all that the message with this id has asked for."""


class Sequence(NamedTuple):
    """How messages are numbered."""

    kind: str
    """COUNTER, RANGE or CHAIN of contracts/exchange.py."""
    first: FieldPath
    """The number of the message; its first number of a range; the number of the message before it in a chain."""
    last: FieldPath
    """The same, but the last number of a range, and its own number in a chain."""
    scope: str | Pick
    """Which messages are numbered together: those of the whole `connection`, of each `channel`, of each `market`, of
    each market in each channel (`channel_and_market`), or those with the same value of a field."""
    restart_when: Match = ()
    """A message that matches begins a new sequence, and so is no gap."""
    when: Match = ()
    """Which messages are numbered in this way; empty for all that have the fields."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Where a message says what it is. None: the description does not say it."""

    type: Pick | None = None
    channel: Pick | None = None
    """What was subscribed to; the type where this is None."""
    market: Pick | None = None
    time: Pick | None = None
    """The exchange's own time."""
    sequences: tuple[Sequence, ...] = ()
    """A message counts in the first one whose fields it has."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """A whole `dialect` section."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the handshake, with placeholders."""
    subprotocol: str = ""
    decompress: str = ""
    """gzip or deflate; empty for none."""
    prepare: Prepare | None = None
    keep_alive: tuple[KeepAlive, ...] = ()
    replies: tuple[Reply, ...] = ()
    end_when: tuple[Ending, ...] = ()
    ignore: Match = ()
    """Messages that are no data, such as heartbeats."""
    asked: Asking | None = None
    confirmed: Confirmation | None = None
    paths: Paths = field(default_factory=Paths)


EMPTY = Description()
"""The exchange of which nothing is known."""
