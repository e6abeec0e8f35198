"""Compares the shape of messages with that of the days before: what is new, gone or of another kind. Pure.

Nothing is reported of what is only rare. Of a type, or a field, of which little was seen, nothing is known that could
have changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ssmd.shape.kinds import ARRAY, JSON_TYPES, NOTHING, OBJECT, TEXT
from ssmd.shape.learned import OTHERS
from ssmd.shape.paths import ITEM, VALUE, Path, path_of, text_of
from ssmd.shape.shape import Field, TypeShape
from ssmd.shape.together import Types

__all__ = ["FEW", "MANY", "NEW_FIELD", "NEW_TYPE", "RETYPED", "VANISHED", "Documented", "Drift", "Known", "drifts"]

NEW_TYPE, NEW_FIELD, RETYPED, VANISHED = "new_type", "new_field", "retyped", "vanished"

FEW = 100
"""So many messages of a type are enough to know its fields, and so many values to know what type they have in JSON."""
MANY = 1000
"""So many are enough for what is less certain: that a field always has values of one kind of text or number, or is
always null, or is always there; and so many messages of all types to know the types."""
_ALWAYS = 0.99
"""In so many of the messages, at least, was a field that counts as vanished when no message has it."""

Documented = Mapping[str, Collection[Path]]
"""The fields that the dialect knows from the exchange's documentation, by type: one that appears is no news."""


class Drift(NamedTuple):
    """A change of the shape of messages."""

    kind: str
    """NEW_TYPE, NEW_FIELD, RETYPED or VANISHED."""
    type: str
    path: str
    """Of the field; empty for a type."""
    was: str
    """The kinds of its values before; empty for what is new."""
    now: str
    """The kinds of its values now; empty for what has vanished."""
    line: int
    """The first line that shows it; for what has vanished, the first line of the type."""

    def __str__(self) -> str:
        type = f"messages of type {self.type}" if self.type else "messages without a type"
        match self.kind:
            case "new_type":
                return f"{type} are new"
            case "new_field":
                return f"{type}: the field {self.path} is new ({self.now})"
            case "vanished":
                return f"{type}: the field {self.path} ({self.was}) is in none any more"
        what = f"the field {self.path}" if self.path else "the message"
        return f"{type}: {what} was {self.was}, and is {self.now}"


class Known:
    """What the days before have shown, in a form for comparisons."""

    def __init__(self, before: Types, documented: Documented) -> None:
        self.documented = documented
        self.types = before
        self.messages = sum(one.messages for one in before.values())
        self._data = {name: _objects_of_data(one) for name, one in before.items()}
        self._maps = {name: _maps(one) for name, one in before.items()}

    def is_news(self, type: str) -> bool:
        """Return whether a message of a type shows something new: the days before had none."""
        known = type in self.types or type in self.documented or OTHERS in self.types
        return not known and self.messages >= MANY

    def maps(self, type: str) -> Collection[Path]:
        """Return where the objects of a type have so many keys that these are data."""
        return self._maps.get(type, ())

    def data(self, type: str) -> set[Path]:
        """Return where the objects of a type have keys that are data, so that a new one is no news."""
        return self._data.get(type, set())

    def new_fields(self, type: str, paths: Collection[str]) -> Iterator[str]:
        """Yield which of these fields are new, without those that are within another one of them."""
        one = self.types.get(type)
        if one is None or one.messages < FEW or one.more:
            return
        new = {path_of(path): path for path in paths if path not in one.fields}
        data = self._data[type] | {path[:-1] for path in new if path and path[-1] is VALUE}
        for path, text in new.items():
            is_documented = path in self.documented.get(type, ())
            # Otherwise it may just not have been seen, or it is of a value that was not an object before.
            could_be_known = _holding(one, path) >= FEW
            if could_be_known and path[:-1] not in new and not is_documented and not _is_inside(path, data, one):
                yield text

    def new_kinds(self, type: str, path: str, kinds: Collection[str]) -> list[str]:
        """Return which of the kinds of a known field's values are a change."""
        one = self.types.get(type)
        field = one.fields.get(path) if one is not None else None
        return [kind for kind in kinds if field is not None and _is_change(field, kind)]

    def kinds(self, type: str, path: str) -> str:
        """Return the kinds that a field had, for people."""
        return _kinds(self.types[type].fields[path])



def drifts(known: Known, now: Types) -> list[Drift]:
    """Return what has changed on a day, the first line first."""
    found: list[Drift] = []
    for name, one in now.items():
        if name == OTHERS:
            continue
        if known.is_news(name):
            found.append(Drift(NEW_TYPE, name, "", "", "", one.line))
            continue
        found += _of_type(known, name, one)
    return sorted(found, key=lambda drift: drift.line)


def _of_type(known: Known, name: str, one: TypeShape) -> Iterator[Drift]:
    for path in known.new_fields(name, one.fields):
        field = one.fields[path]
        yield Drift(NEW_FIELD, name, path, "", _kinds(field), field.line)
    for path, field in one.fields.items():
        if kinds := known.new_kinds(name, path, field.kinds):
            line = min(field.kinds[kind].line for kind in kinds)
            yield Drift(RETYPED, name, path, known.kinds(name, path), ", ".join(kinds), line)
    yield from _vanished(known, name, one)


def _vanished(known: Known, name: str, one: TypeShape) -> Iterator[Drift]:
    before = known.types.get(name)
    if before is None or one.messages < MANY or before.messages < MANY or one.more:
        return
    gone = {
        path_of(path)
        for path, field in before.fields.items()
        if path not in one.fields and field.messages >= _ALWAYS * before.messages
    }
    maps = _maps(one)
    for path in gone:
        is_data = path[-1] is VALUE or any(path[:end] in maps for end in range(len(path)))
        if path[:-1] not in gone and not is_data and _holding(one, path) >= MANY:
            text = text_of(path)
            yield Drift(VANISHED, name, text, _kinds(before.fields[text]), "", one.line)


def _kinds(field: Field) -> str:
    """Return the kinds of a field's values for people, the most frequent first."""
    return ", ".join(sorted(field.kinds, key=lambda kind: -field.kinds[kind].count))


def _is_change(field: Field, kind: str) -> bool:
    """Return whether a value of a kind shows that a field has changed, after what it was on the days before."""
    if kind in field.kinds or kind in NOTHING:
        return False
    before = {name: found.count for name, found in field.kinds.items() if name not in NOTHING}
    count = sum(before.values())
    if not before:
        return field.values >= MANY
    if JSON_TYPES[kind] not in {JSON_TYPES[name] for name in before}:
        return count >= FEW
    # Any text may look like a number or a time.
    return count >= MANY and not (TEXT in before and JSON_TYPES[kind] == JSON_TYPES[TEXT])


def _maps(one: TypeShape) -> set[Path]:
    """Return where objects have so many keys that these are data."""
    return {path[:-1] for path in map(path_of, one.fields) if path and path[-1] is VALUE}


def _objects_of_data(one: TypeShape) -> set[Path]:
    """Return where objects have keys that are data, such as markets: very many; or two or more, and none of them in
    half of the objects.
    """
    members: dict[Path, list[Field]] = {}
    for text, field in one.fields.items():
        path = path_of(text)
        if path and isinstance(path[-1], str):
            members.setdefault(path[:-1], []).append(field)
    found = _maps(one)
    for path, fields in members.items():
        objects = one.fields[text_of(path)].kinds.get(OBJECT) if text_of(path) in one.fields else None
        if objects and len(fields) > 1 and all(field.values * 2 < objects.count for field in fields):
            found.add(path)
    return found


def _is_inside(path: Path, data: Collection[Path], before: TypeShape) -> bool:
    """Return whether a field is in an object whose keys are data, by one of these keys."""
    for end in range(len(path)):
        inside = (*path[:end], VALUE)
        if path[:end] in data and not (path[end] is VALUE and text_of(inside) in before.fields):
            return True
    return False


def _holding(one: TypeShape, path: Path) -> int:
    """Return in how many objects, or arrays, a field could be."""
    above = one.fields.get(text_of(path[:-1]))
    kind = above.kinds.get(ARRAY if path[-1] is ITEM else OBJECT) if above is not None else None
    return kind.count if kind is not None else 0
