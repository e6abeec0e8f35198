"""The Structs that the decoder fills with the fields of a message: one for each place on the way to a field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from ssmd.field_path import FieldPath, Step

__all__ = ["OBJECT", "Node", "is_nameable"]

_Scalar = str | int | float | bool | None

_LARGEST_INDEX = 15
"""Up to this index, an item of a list is a field of a Struct, and the items after it are skipped. With a larger index,
or where fields of an object are wanted at the same place, the decoder makes a list of all items."""


class _Object(msgspec.Struct, gc=False, eq=False, frozen=True):
    """An object of which no field is wanted."""


OBJECT = _Object()


class Node:
    """A place in a message at which paths end or go on."""

    def __init__(self) -> None:
        self.names: dict[str, Node] = {}
        self.items: dict[int, Node] = {}
        self.is_value = self.is_asked_for = False
        """Whether the value here is wanted, and whether it is only wanted if there is one."""
        self.object: type[Any] = _Object
        """The Struct for an object at this place."""
        self.array: type[Any] | None = None
        """The Struct for a list at this place; None when it is read as a list."""
        self.item: Node | None = None
        """What stands for every item when a list is read as one; None when no item counts."""

    @property
    def is_leaf(self) -> bool:
        return not self.names and not self.items

    def add(self, steps: Sequence[Step], presence: bool) -> None:
        node = self
        for step in steps:
            following: dict[Any, Node] = node.items if isinstance(step, int) else node.names
            node = following.setdefault(step, Node())
        node.is_asked_for |= presence
        node.is_value |= not presence

    def all_names(self) -> Iterator[str]:
        """Yield the names of all fields."""
        yield from self.names
        for node in [*self.names.values(), *self.items.values()]:
            yield from node.all_names()

    def accesses(self, path: FieldPath) -> list[tuple[str, int]]:
        """Return the attribute for each step from here; it is empty where the index in a list counts instead."""
        accesses = []
        node = self
        for step in path.steps:
            if isinstance(step, int) and node.item is not None:
                accesses.append(("", step))
                node = node.item
            else:
                accesses.append((_attribute(step), 0))
                node = node.items[step] if isinstance(step, int) else node.names[step]
        return accesses

    def merge(self, other: Node) -> None:
        self.is_value |= other.is_value
        self.is_asked_for |= other.is_asked_for
        for name, node in other.names.items():
            self.names.setdefault(name, Node()).merge(node)
        for index, node in other.items.items():
            self.items.setdefault(index, Node()).merge(node)

    def compile(self) -> Any:
        """Make the Structs of this place and below; return the type for the decoder."""
        if self.names:
            self.object = _struct(self.names)
        if self.items:
            if self.names or max(self.items) > _LARGEST_INDEX:
                self.item = Node()
                for node in self.items.values():
                    self.item.merge(node)
                return self.object | list[self.item.compile()] | _Scalar  # type: ignore[misc]
            every = {index: self.items.get(index, _SKIPPED) for index in range(max(self.items) + 1)}
            self.array = _struct(every, array_like=True)
            return self.array | dict[str, Raw] | _Scalar
        if self.is_leaf and not self.is_value:
            return Raw
        return self.object | list[Raw] | _Scalar

    def default(self) -> Any:
        """Return what stands for this place when the message does not have it.

        An empty Struct, so that the fields below it are UNSET too; UNSET itself when it is wanted if there is a value.
        """
        if self.is_value or self.is_asked_for or self.item is not None or self.is_leaf:
            return UNSET
        return (self.array or self.object)()

    def build(self, value: Any) -> Any:
        """Return what the decoder would have made of a value."""
        if isinstance(value, dict):
            found = {_attribute(name): node.build(value[name]) for name, node in self.names.items() if name in value}
            return self.object(**found) if found or self.names else OBJECT
        if isinstance(value, list):
            if self.array is not None:
                items = {_attribute(at): node.build(value[at]) for at, node in self.items.items() if at < len(value)}
                return self.array(**items)
            return [] if self.item is None else [self.item.build(item) for item in value]
        return value


_SKIPPED = Node()


def _attribute(step: Step) -> str:
    """Return the name of a step's field in a Struct. No value that is not a Struct has an attribute like this."""
    return f"item_{step}" if isinstance(step, int) else f"field_{step.encode('utf-8', 'surrogatepass').hex()}"


def is_nameable(name: str) -> bool:
    """Return whether a Struct can have a field of this name."""
    return not any(letter in '"\\' or letter < " " for letter in name)


def _struct(nodes: Mapping[Any, Node], *, array_like: bool = False) -> type[Any]:
    """Return the Struct of an object, or of a list. A name that it cannot have is left out; see is_nameable()."""
    fields = []
    for step, node in nodes.items():
        compiled = node.compile()
        kind = compiled if compiled is Raw else compiled | UnsetType
        name = step if not array_like and is_nameable(step) else None
        fields.append((_attribute(step), kind, msgspec.field(default=node.default(), name=name)))
    return msgspec.defstruct("Part", fields, array_like=array_like, gc=False, eq=False, frozen=True)
