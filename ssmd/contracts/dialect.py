"""The contract of an exchange's dialect: what is known of it without a connection."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.exchange import Exchange, Inspector, MessageReader, SnapshotPolicy
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.table import Table

__all__ = ["USUAL", "Dialect", "Terms"]


class Terms(NamedTuple):
    """What holds for one connection, beside what it asks for."""

    snapshots: SnapshotPolicy = SnapshotPolicy()
    """When fresh order books are asked for."""
    commands_per_second: float | None = None
    """The most that are sent, replies included; None for no limit."""
    shard: Shard = WHOLE
    """Which of the markets the connection is for; only the first shard takes what cannot be divided."""
    rest_endpoint: str = ""
    """The URL below which the exchange's REST interface is; empty when the feed has none."""
    most_markets: int | None = None
    """How many markets may be subscribed to; None for no limit."""


USUAL = Terms()
"""Without limits, and for all markets."""


class Dialect(Protocol):
    """How an Exchange is made: the catalog of exchanges holds objects that keep this contract."""

    knows_markets: bool
    """Whether markets() can know which markets are asked for."""
    can_be_divided: bool
    """Whether the terms may have a shard other than WHOLE."""
    rest_without_keys: bool
    """Whether the exchange answers over HTTP without keys, although it demands them for a connection."""

    def check_description(self, description: Mapping[str, Any]) -> Iterable[FieldProblem]:
        """Report what is wrong in a feed version's `dialect` section, which describes the exchange's messages.

        `description` may also hold the version's `message_types`, by this name.
        """

    def described(self, description: Mapping[str, Any]) -> Dialect:
        """Return the dialect for the messages of a description; without an entry that it understands, as it is.

        Never raises for a description of a ledger: what this version does not understand in it is left out.
        """

    def needed_to_read(self, description: Mapping[str, Any]) -> dict[str, Any]:
        """Return the part of a description by which described() reads recorded messages, for the ledger.

        What only a connection needs is left out, because a header or a message may have a key written out in it.
        """

    def __call__(self, keys: Mapping[str, str], subscribe: Any, terms: Terms) -> Exchange:
        """Return the Exchange of one connection, made of key fields by name and the environment's `subscribe` section.

        `subscribe`: a mapping, or a list of mappings. Raises ConfigError, which never holds the value of a key.
        """

    def check(self, subscribe: Any) -> Iterable[FieldProblem]:
        """Report what is wrong in a `subscribe` section; needs no keys."""

    def check_endpoint(self, endpoint: str) -> str | None:
        """Return what is wrong with the placeholders in a feed's endpoint; None if nothing is, or if there are none."""

    def rest_endpoint(self, endpoint: str) -> str:
        """Return the URL below which the REST interface is that belongs to a feed's endpoint; empty when the dialect
        does not know it.
        """

    def followed(self, subscribe: Any) -> Sequence[str]:
        """Return which markets a valid `subscribe` section follows, for people, one text for each of its subscriptions
        that follows some.
        """

    def check_keys(self, fields: Sequence[str], endpoint: str, subscribe: Any) -> Iterable[FieldProblem]:
        """Report what is wrong with the names of the key fields that an environment has for the exchange.

        `endpoint` and `subscribe` are the feed's and the environment's, which may say what the keys are used for.
        The path of a problem is the position of the field, as in `(0,)`; it is empty for a field that is missing.
        """

    def channel_names(self, subscribe: Any) -> Sequence[str]:
        """Return the channels that a valid `subscribe` section asks for; empty when the dialect knows none."""

    def markets(self, subscribe: Any) -> Collection[str]:
        """Return the markets that a `subscribe` section names, valid or not, each once; empty when the dialect knows
        none.
        """

    def book_channels(self, subscribe: Any) -> Sequence[str]:
        """Return those of channel_names() that carry order books; without any, `snapshots` has no effect."""

    def inspector(self) -> Inspector:
        """Return one for a connection whose messages were recorded; needs no keys."""

    def reader(self) -> MessageReader:
        """Return what finds types and markets in recorded messages."""

    def tables(self) -> Sequence[Table]:
        """Return how each type of message is laid out in columns; empty when that is to be learned from the data."""
