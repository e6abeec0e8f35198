"""Reads the fields that a description names out of messages, and passes over the rest.

All paths of a description become one msgspec Struct. So one pass of the decoder, which is C code, checks that a message
is JSON and gives every field; what no path names is skipped. A message that does not fit the Struct, such as one with a
number beyond the range of a float, is read slowly, with the same result.
"""

from __future__ import annotations

import json
import operator
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from ssmd.exchange.generic.structs import OBJECT, Node, attribute, is_nameable
from ssmd.field_path import EVERY, FieldPath

__all__ = ["Batch", "Column", "Fields", "value_at"]

Column = Callable[[Sequence[Any]], list[Any]]
"""Returns the value of one path in each of some heads; UNSET where there is none. An object is an empty Struct, and
what a list holds need not be decoded."""

_check_syntax = msgspec.json.Decoder(Raw).decode


class Batch(NamedTuple):
    """Messages, as Fields has read them."""

    payloads: Sequence[bytes]
    heads: Sequence[Any]
    """The fields of each message, for a Column. Empty when no path is to be read."""
    decoded: bool
    """Whether each message is JSON."""
    unread: Sequence[int] = ()
    """The indexes of the messages that are not JSON, or nested too deep to be read. They have no field."""


class Fields:
    """Reads the paths of one description. `presence`: those of which it only counts whether there is a value."""

    def __init__(self, paths: Iterable[FieldPath], presence: Iterable[FieldPath] = ()) -> None:
        self._top = Node()
        for path in paths:
            self._top.add(path.steps, presence=False)
        for path in presence:
            self._top.add(path.steps, presence=True)
        self._decode: Callable[[bytes], Any] | None = None if self._top.is_leaf else self._decoder()

    def _decoder(self) -> Callable[[bytes], Any]:
        compiled = self._top.compile()
        if not all(map(is_nameable, self._top.all_names())):
            return _refuse
        return msgspec.json.Decoder(compiled).decode

    def read(self, payloads: Sequence[bytes]) -> Batch:
        """Read messages of any form. Never raises."""
        decode = self._decode
        try:
            if decode is None:
                deque(map(_check_syntax, payloads), 0)
                return Batch(payloads, (), True)
            return Batch(payloads, list(map(decode, payloads)), True)
        except (ValueError, RecursionError):
            return self._read_each(payloads)

    def _read_each(self, payloads: Sequence[bytes]) -> Batch:
        heads: list[Any] = []
        unread = []
        decoded = True
        for index, payload in enumerate(payloads):
            is_json = _is_json(payload)
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
            pass
        try:
            return self._top.build(json.loads(payload.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            return UNSET

    def column(self, path: FieldPath) -> Column:
        """Return what gets the value of a path, which must be one of those that are read."""
        getter = self.getter(path)
        attributes = [name for name, _ in self._accesses(path)]
        if not all(attributes):
            return lambda heads: list(map(getter, heads))
        get = operator.attrgetter(".".join(attributes))

        def column(heads: Sequence[Any]) -> list[Any]:
            try:
                return list(map(get, heads))
            except AttributeError:  # One of them has something else on the way, such as null or a text.
                return list(map(getter, heads))

        return column

    def getter(self, path: FieldPath) -> Callable[[Any], Any]:
        """Return what gets the value of a path in one head."""
        accesses = self._accesses(path)

        def get(head: Any) -> Any:
            value = head
            for name, index in accesses:
                if name:
                    value = getattr(value, name, UNSET)
                else:
                    value = value[index] if type(value) is list and index < len(value) else UNSET
            return value

        return get

    def _accesses(self, path: FieldPath) -> list[tuple[str, int]]:
        """Return the attribute for each step of a path; it is empty where the index in a list counts instead."""
        accesses = []
        node: Node = self._top
        for step in path.steps:
            if isinstance(step, int) and node.item is not None:
                accesses.append(("", step))
                node = node.item
            else:
                accesses.append((attribute(step), 0))
                node = node.items[step] if isinstance(step, int) else node.names[step]
        return accesses


def value_at(payload: bytes, path: FieldPath) -> Any:
    """Return the value at a path of a message, wholly decoded; UNSET when there is none."""
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        return UNSET
    for step in path.steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else UNSET
        else:
            value = value.get(step, UNSET) if isinstance(value, dict) and step != EVERY else UNSET
    return value


def _is_json(payload: bytes) -> bool:
    try:
        _check_syntax(payload)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(payload: bytes) -> Any:
    """Send a message to the slow way."""
    raise ValueError
