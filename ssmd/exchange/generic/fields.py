"""Reads the fields that a description names out of messages, and passes over the rest.

All paths become one msgspec Struct. So one pass of the decoder, which is C code, checks that a message
is JSON and gives every field; what no path names is skipped. A message that does not fit the Struct, such as one with a
number beyond the range of a float, is read slowly, with the same result, unless it is very long.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from ssmd.exchange.generic.structs import OBJECT, Node, is_nameable
from ssmd.field_path import FieldPath

__all__ = ["LONGEST_READ_SLOWLY", "NOTHING", "Batch", "Column", "Fields", "are_json"]

LONGEST_READ_SLOWLY = 1 << 20
"""Bytes. Of a longer message no field is read in the slow way. It takes some 50 times as long as the fast one, and
nothing else happens meanwhile: 16 MiB would delay the probes by seconds."""

_check_syntax = msgspec.json.Decoder(Raw).decode


class Batch(NamedTuple):
    """Messages, as Fields has read them."""

    payloads: Sequence[bytes]
    heads: Sequence[Any]
    """The fields of each message, for a Column. Empty when no path is to be read."""
    decoded: bool
    """Whether each message is JSON."""
    unread: Sequence[int] = ()
    """The indexes of the messages that are not JSON, or that cannot be read: nested too deep, or too long to be read
    slowly. They have no field."""


NOTHING = Batch((), (), True)


class Column:
    """Gets the value of one path out of heads; UNSET where there is none.

    For an object it gives a Struct, and for a list one whose items need not be decoded.
    """

    def __init__(self, path: FieldPath) -> None:
        self._path = path
        self._accesses: Sequence[tuple[str, int]] = ()
        self._get: Callable[[Any], Any] | None = None

    def find_in(self, top: Node) -> None:
        """Find out where the Structs have the value."""
        self._accesses = top.accesses(self._path)
        names = [name for name, _ in self._accesses]
        self._get = operator.attrgetter(".".join(names)) if all(names) else None

    def __call__(self, heads: Sequence[Any]) -> list[Any]:
        """Return the value in each head."""
        if self._get is not None:
            try:
                return list(map(self._get, heads))
            except AttributeError:  # One of them has something else on the way, such as null or a text.
                pass
        return list(map(self.one, heads))

    def one(self, head: Any) -> Any:
        """Return the value in one head."""
        value = head
        for name, index in self._accesses:
            if name:
                value = getattr(value, name, UNSET)
            else:
                value = value[index] if type(value) is list and index < len(value) else UNSET
        return value


class Fields:
    """Reads the fields of one connection's messages: those that a column was made for before the first read()."""

    def __init__(self) -> None:
        self._top = Node()
        self._columns: list[Column] = []
        self._decode: Callable[[bytes], Any] | None = None
        self._is_ready = False

    def column(self, path: FieldPath, *, presence: bool = False) -> Column:
        """Return what gets the value of a path. `presence`: it is only wanted whether there is one."""
        self._top.add(path.steps, presence)
        self._columns.append(Column(path))
        self._is_ready = False
        return self._columns[-1]

    def _make_ready(self) -> None:
        if not self._top.is_leaf:
            compiled = self._top.compile()
            is_possible = all(map(is_nameable, self._top.all_names()))
            self._decode = msgspec.json.Decoder(compiled).decode if is_possible else _refuse
        for column in self._columns:
            column.find_in(self._top)
        self._is_ready = True

    def read(self, payloads: Sequence[bytes]) -> Batch:
        """Read messages of any form. Never raises."""
        if not self._is_ready:
            self._make_ready()
        decode = self._decode
        if decode is None:
            return Batch(payloads, (), True) if are_json(payloads) else self._read_each(payloads)
        try:
            return Batch(payloads, list(map(decode, payloads)), True)
        except (ValueError, RecursionError):
            return self._read_each(payloads)

    def _read_each(self, payloads: Sequence[bytes]) -> Batch:
        heads: list[Any] = []
        unread = []
        decoded = True
        for index, payload in enumerate(payloads):
            is_json = are_json((payload,))
            decoded &= is_json
            head = self._read_one(payload) if is_json else UNSET
            heads.append(head)
            if head is UNSET:
                unread.append(index)
        return Batch(payloads, heads if self._decode is not None else (), decoded, unread)

    def _read_one(self, payload: bytes) -> Any:
        """Return the fields of a message that is JSON; UNSET for one that cannot be read."""
        if self._decode is None:
            return OBJECT
        try:
            return self._decode(payload)
        except (ValueError, RecursionError):
            if len(payload) > LONGEST_READ_SLOWLY:
                return UNSET
        try:
            return self._top.build(json.loads(payload.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            return UNSET


def are_json(payloads: Sequence[bytes]) -> bool:
    """Return whether all messages are JSON, which is all that is to be known of an exchange without a description."""
    try:
        for payload in payloads:
            _check_syntax(payload)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(payload: bytes) -> Any:
    """Refuse a message, so that it is read slowly."""
    raise ValueError
