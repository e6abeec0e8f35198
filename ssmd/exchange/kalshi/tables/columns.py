"""Columns as Kalshi's messages have them: the fields of `msg`, and those of the envelope around it."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.contracts.table import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    JSON,
    LEVELS,
    MILLISECONDS,
    NUMBER,
    SECONDS,
    TEXT,
    TIME,
    Column,
    Table,
)

__all__ = [
    "boolean",
    "count",
    "dollars",
    "index_value",
    "integer",
    "json",
    "levels",
    "milliseconds",
    "number",
    "reply",
    "seconds",
    "table",
    "text",
    "time",
    "unnumbered",
]

_MSG = "msg"

_TYPE_FIRST = (
    Column("sid", ("sid",), INTEGER, meaning="the subscription that the message belongs to"),
    Column("seq", ("seq",), INTEGER, meaning="the message's number within its subscription"),
)
_ID = Column("id", ("id",), INTEGER, meaning="the command that the message answers")


def table(type: str, meaning: str, *columns: Column) -> Table:
    """Return the table of messages that have a `sid`, and perhaps a `seq`."""
    return Table(type, (*_TYPE_FIRST, *columns), meaning)


def unnumbered(type: str, meaning: str, *columns: Column) -> Table:
    """Return the table of messages that have a `sid` and never a `seq`."""
    return Table(type, (_TYPE_FIRST[0], *columns), meaning)


def reply(type: str, meaning: str, *columns: Column) -> Table:
    """Return the table of messages that may answer a command."""
    return Table(type, (_ID, *_TYPE_FIRST, *columns), meaning)


def text(path: str, meaning: str) -> Column:
    return _column(path, TEXT, meaning)


def integer(path: str, meaning: str) -> Column:
    return _column(path, INTEGER, meaning)


def boolean(path: str, meaning: str) -> Column:
    return _column(path, BOOLEAN, meaning)


def time(path: str, meaning: str) -> Column:
    return _column(path, TIME, meaning)


def seconds(path: str, meaning: str) -> Column:
    return _column(path, SECONDS, meaning)


def milliseconds(path: str, meaning: str) -> Column:
    return _column(path, MILLISECONDS, meaning)


def json(path: str, meaning: str) -> Column:
    return _column(path, JSON, meaning)


def dollars(path: str, meaning: str, usual: int = 4) -> Column:
    return _column(path, DECIMAL, meaning, (6,), (usual,))


def count(path: str, meaning: str) -> Column:
    return _column(path, DECIMAL, meaning, (2,), (2,))


def index_value(path: str, meaning: str) -> Column:
    return _column(path, DECIMAL, meaning, (8,), (8,))


def number(path: str, meaning: str) -> Column:
    return _column(path, NUMBER, meaning, (6,))


def levels(path: str, meaning: str) -> Column:
    return _column(path, LEVELS, meaning, (6, 2), (4, 2))


def _column(
    path: str, kind: str, meaning: str, decimals: Sequence[int] = (), usual: Sequence[int] = ()
) -> Column:
    """Return a column of `msg`; the dots of a path become underscores in its name."""
    keys = path.split(".")
    return Column("_".join(keys), (_MSG, *keys), kind, tuple(decimals), tuple(usual), meaning=meaning)
