"""Learns the shape of messages from the messages themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ssmd.shape.paths import VALUE, Path, text_of
from ssmd.shape.shape import Field, Kind, TypeShape
from ssmd.shape.skeleton import skeletons
from ssmd.shape.walk import MOST_KEYS, Found, found_in

__all__ = ["MOST_FIELDS", "MOST_TYPES", "OTHERS", "ShapeLearner"]

MOST_TYPES = 1000
"""How many types are told apart; the messages of further ones are one type together, OTHERS."""
OTHERS = "(others)"
MOST_FIELDS = 1000
"""How many fields of a type are kept."""
MOST_FIELDS_OF_ALL = 20_000
"""How many fields of all types are kept: a collector may hold the shapes of seven days, of all shards."""
LONGEST_PATH = 1000
"""A field to which names of more characters lead is not kept."""

_ALL_OF = 200
"""How many messages of a skeleton are decoded, before it is only every _EACH-th."""
_EACH = 64
_MOST_SKELETONS, _MOST_BYTES = 4096, 8 * 1024 * 1024
"""How many skeletons are remembered, and how long they are together, with their types."""

Key = tuple[str, bytes]
"""A type and a skeleton."""


class _Look(NamedTuple):
    """What a message of a skeleton has, as places in the shape of its type."""

    fields: Sequence[tuple[Field, Iterable[tuple[Kind, int]]]]


class _Known:
    """A skeleton of a type, with what its newest message that was decoded has."""

    def __init__(self) -> None:
        self.seen = self.decoded = 0
        self.look: _Look | None = None
        self.pending = 0
        """How many messages have not been added to the shape."""


class ShapeLearner:
    """Give it messages with add(), then ask for types().

    `exact`: decode every message. Otherwise messages with a skeleton that is known count as having what another one
    had: a field then may have a kind of string, or a name, that was not noticed, and the rest is exact.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._exact = exact
        self._types: dict[str, _Type] = {}
        self._room = _Room()
        self._known: dict[Key, _Known] = {}
        self._bytes = 0

    def add(self, payloads: list[bytes], types: Sequence[str], before: int) -> None:
        """Learn from messages, of which `types` has the types, and before which there are `before` lines."""
        if self._exact:
            for line, (payload, type) in enumerate(zip(payloads, types, strict=True), before + 1):
                _apply(self._type(type, line).look(payload, line), 1)
            return
        keys = list(zip(types, skeletons(payloads), strict=True))
        for key, count in Counter(keys).items():
            known = self._known.get(key)
            if known is None:
                known = self._remember(key)
            known.seen += count
            if known.decoded < _ALL_OF:
                self._decode_all(key, known, keys, payloads, before)
                continue
            if known.seen - known.decoded >= _EACH * (known.decoded - _ALL_OF + 1):
                at = keys.index(key)
                self._decode(key, known, payloads[at], before + at + 1)
            known.pending += count

    def types(self) -> dict[str, TypeShape]:
        """Return the shapes of all types, those with the most messages first."""
        self._settle()
        found = sorted(self._types.items(), key=lambda item: (-item[1].messages, item[0]))
        return {name: one.shape() for name, one in found}

    def _remember(self, key: Key) -> _Known:
        self._bytes += len(key[0]) + len(key[1])
        if len(self._known) >= _MOST_SKELETONS or self._bytes > _MOST_BYTES:
            self._settle()
            self._known.clear()
            self._bytes = 0
        known = self._known[key] = _Known()
        return known

    def _decode_all(self, key: Key, known: _Known, keys: list[Key], payloads: list[bytes], before: int) -> None:
        for at, (one, payload) in enumerate(zip(keys, payloads, strict=True)):
            if one == key:
                self._decode(key, known, payload, before + at + 1)
                known.pending += 1

    def _decode(self, key: Key, known: _Known, payload: bytes, line: int) -> None:
        """Look at one message of a skeleton; what is pending was like the one before."""
        _apply(known.look, known.pending)
        known.pending = 0
        known.decoded += 1
        known.look = self._type(key[0], line).look(payload, line)

    def _type(self, name: str, line: int) -> _Type:
        found = self._types.get(name)
        if found is None:
            if len(self._types) >= MOST_TYPES and name != OTHERS:
                return self._type(OTHERS, line)
            found = self._types[name] = _Type(line, self._look_again, self._room)
        return found

    def _settle(self) -> None:
        for known in self._known.values():
            _apply(known.look, known.pending)
            known.pending = 0

    def _look_again(self) -> None:
        """Forget what messages of all skeletons have, because their fields get other places."""
        self._settle()
        for known in self._known.values():
            known.look, known.decoded = None, 0


def _apply(look: _Look | None, messages: int) -> None:
    """Count messages that have what one of them was seen to have."""
    if look is None or not messages:
        return
    for field, kinds in look.fields:
        field.messages += messages
        for kind, count in kinds:
            kind.count += count * messages


class _Room:
    """The room for the fields of all types."""

    def __init__(self) -> None:
        self.fields = 0
        """How many there are."""

    def has(self, path: Path) -> bool:
        """Return whether there is room for one more field."""
        names = sum(len(step) for step in path if isinstance(step, str))
        return self.fields < MOST_FIELDS_OF_ALL and names <= LONGEST_PATH


class _Type:
    """The shape of the messages of a type, while it is learned. The message itself is the field without a path."""

    def __init__(self, line: int, before_merge: Callable[[], None], room: _Room) -> None:
        self._line = line
        self._before_merge = before_merge
        self._room = room
        self._fields: dict[Path, Field] = {}
        self._keys: Counter[Path] = Counter()
        """How many keys the objects have at each path."""
        self._maps: set[Path] = set()
        """Where objects have data for keys."""
        self._more = False

    @property
    def messages(self) -> int:
        return self._fields[()].messages if () in self._fields else 0

    def look(self, payload: bytes, line: int) -> _Look | None:
        """Return the places of what a message has, None when it is no JSON."""
        found = found_in(payload, self._maps)
        if found is None:
            return None
        for path in found:
            self._add(path, line)
        if any(count > MOST_KEYS for count in self._keys.values()):
            found = self._merge(found)
        fields = []
        for path, kinds in found.items():
            field = self._fields.get(path)
            if field is not None:
                fields.append((field, [(_kind(field, kind, line), count) for kind, count in kinds.items()]))
        return _Look(fields)

    def _add(self, path: Path, line: int) -> None:
        """Add a field where there is none."""
        if path in self._fields:
            return
        # The message itself always has its place.
        if path and (len(self._fields) > MOST_FIELDS or not self._room.has(path)):
            self._more = True
            return
        self._room.fields += 1
        self._fields[path] = Field(0, line, {})
        if path and isinstance(path[-1], str):
            self._keys[path[:-1]] += 1

    def _merge(self, found: Found) -> Found:
        """Give the values of objects with too many keys one path; return what was found with the new paths."""
        self._before_merge()
        self._maps |= {path for path, count in self._keys.items() if count > MOST_KEYS}
        for path in self._maps:
            self._keys.pop(path, None)
        old, self._fields = self._fields, {}
        for path, field in old.items():
            into = self._fields.setdefault(self._merged(path), field)
            if into is not field:
                _add_field(into, field)
        self._room.fields += len(self._fields) - len(old)
        merged: Found = {}
        for path, kinds in found.items():
            there = merged.setdefault(self._merged(path), {})
            for kind, count in kinds.items():
                there[kind] = there.get(kind, 0) + count
        return merged

    def _merged(self, path: Path) -> Path:
        steps: Path = ()
        for step in path:
            steps = (*steps, VALUE if steps in self._maps and isinstance(step, str) else step)
        return steps

    def shape(self) -> TypeShape:
        for field in self._fields.values():
            field.messages = min(field.messages, self.messages)  # Where fields were merged, a message may have several.
        fields = {text_of(path): field for path, field in self._fields.items() if field.messages}
        return TypeShape(self.messages, self._line, fields, self._more)


def _kind(field: Field, kind: str, line: int) -> Kind:
    found = field.kinds.get(kind)
    if found is None:
        found = field.kinds[kind] = Kind(0, line)
    return found


def _add_field(into: Field, field: Field) -> None:
    into.messages += field.messages
    into.line = min(into.line, field.line)
    for name, kind in field.kinds.items():
        there = _kind(into, name, kind.line)
        there.count += kind.count
        there.line = min(there.line, kind.line)
