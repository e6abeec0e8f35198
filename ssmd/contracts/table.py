"""How messages of one type are laid out as typed columns: declared by a dialect, or learned from the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "BOOLEAN",
    "DECIMAL",
    "INTEGER",
    "JSON",
    "KINDS",
    "LEVELS",
    "MILLISECONDS",
    "NUMBER",
    "SECONDS",
    "TEXT",
    "TIME",
    "Column",
    "Table",
]

TEXT, INTEGER, BOOLEAN = "text", "integer", "boolean"
DECIMAL, NUMBER = "decimal", "number"
TIME, SECONDS, MILLISECONDS = "time", "seconds", "milliseconds"
LEVELS, JSON = "levels", "json"

KINDS = {
    TEXT: "a JSON string",
    INTEGER: "a JSON number without a fraction, of at most 64 bits",
    BOOLEAN: "true or false",
    DECIMAL: "a JSON string that holds a decimal number, such as a price",
    NUMBER: "a JSON number that may have a fraction, as an exact decimal",
    TIME: "a JSON string with a time of RFC 3339 in UTC, to the microsecond",
    SECONDS: "an INTEGER of Unix seconds; a second column, named like the first with `_utc`, has it as a timestamp",
    MILLISECONDS: "an INTEGER of Unix milliseconds; a second column as for SECONDS",
    LEVELS: "a list of [price, size], both decimal strings: one side of an order book",
    JSON: "any value, as its JSON text",
}
"""What a message has in the place of a column."""


class Column(NamedTuple):
    """One field of a message. A message without the field, or with something else in its place, has NULL there."""

    name: str
    path: tuple[str, ...]
    """The keys that lead to it from the message's root: ("msg", "price_dollars")."""
    kind: str
    """One of KINDS."""
    decimals: tuple[int, ...] = ()
    """For DECIMAL and NUMBER: how many decimals the column keeps. For LEVELS: those of the price and of the size."""
    usual: tuple[int, ...] = ()
    """How many decimals the exchange writes, as `decimals`; empty when that is not known. Only the size of the files
    depends on it."""
    digits: int = 18
    """How many digits a DECIMAL or a NUMBER has at most, with its decimals."""
    meaning: str = ""
    """For people; plain text."""


class Table(NamedTuple):
    """The columns for all messages of one type, beside the columns that every table has."""

    type: str
    """As the dialect's MessageReader finds it."""
    columns: Sequence[Column]
    meaning: str = ""
    """For people."""
