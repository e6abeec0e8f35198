"""Makes a tree of lines and values from the YAML parser's events, and refuses what no metadata file needs.

Depth and size are counted while reading, and building does not recurse. So neither thousands of brackets nor aliases of
aliases of aliases can exhaust the stack, the memory or the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from ssmd.errors import printable
from ssmd.metadata.line_map import NOTHING, Entries
from ssmd.metadata.problem import excerpt
from ssmd.metadata.scalars import Plain, freeform

__all__ = ["MAX_DEPTH", "MAX_NODES", "TOO_DEEP", "Node", "RefusedError", "build"]

MAX_DEPTH = 50
MAX_NODES = 100_000
TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep; write it with fewer levels"

_NULLS = {"", "~", "null", "Null", "NULL"}
_SURROGATE = re.compile("[\ud800-\udfff]")


class RefusedError(Exception):
    """The file is YAML, but has something that a metadata file may not have."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(eq=False)
class Node:
    """One value of the file. An alias puts the same node in a second place, so the nodes are not strictly a tree."""

    line: int
    kind: type[dict[str, Any]] | type[list[Any]] | type[str]
    text: str | None = None
    """The text of a scalar: Plain, str, or None for an empty one."""
    children: dict[str | int, tuple[int, Node]] = field(default_factory=dict)
    """By key or position: the line where the entry begins, and its value."""
    height: int = 0
    """How many levels are below it."""
    size: int = 1
    """How many values it has, itself included, with aliases written out."""
    complete: bool = True
    """False while the parser is inside it."""

    def value(self) -> Any:
        """Return the data, built anew at each call, so that no two places share a list because of an alias.

        The recursion is bounded by MAX_DEPTH, which build() has checked with every alias written out.
        """
        if self.kind is dict:
            return {key: child.value() for key, (_, child) in self.children.items()}
        if self.kind is list:
            return [child.value() for _, child in self.children.values()]
        return self.text

    def entries(self) -> Entries:
        """Return the lines of everything in it."""
        return {
            key: (line, child.entries() if child.children else NOTHING) for key, (line, child) in self.children.items()
        }


@dataclass
class _Open:
    """A collection that the parser is inside of."""

    node: Node
    started_at: int
    """How many values there were before the first one inside it."""
    key: tuple[str, int] | None = None
    """In a mapping: the key whose value comes next, and its line."""


def build(events: Iterable[yaml.Event]) -> Node | None:
    """Return the root of the one document in these events, None when there is none. Raises RefusedError."""
    builder = _Builder()
    for event in events:
        builder.take(event)
    return builder.root


class _Builder:
    """Takes the events in order; afterwards `root` is the tree."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._count = 0

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise RefusedError(line, "a second YAML document begins here (`---`); write one document to a file")
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._aliased(event.anchor or "", line), line, aliased=True)
        elif isinstance(event, yaml.NodeEvent):
            self._begin(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()

    def _begin(self, event: yaml.NodeEvent, line: int) -> None:
        # The events' classes carry more than their stubs say, hence getattr.
        if (tag := getattr(event, "tag", None)) is not None:
            raise RefusedError(
                line, f"the tag `{_tag(tag)}` is not allowed here; remove it, and put quotes around what must stay text"
            )
        node = _scalar(event, line) if isinstance(event, yaml.ScalarEvent) else _collection(event, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._place(node, line)
        if node.kind is not str:
            self._open.append(_Open(node, started_at=self._count))

    def _end(self) -> None:
        ended = self._open.pop()
        ended.node.size += self._count - ended.started_at
        ended.node.complete = True
        if self._open:
            parent = self._open[-1].node
            parent.height = max(parent.height, 1 + ended.node.height)

    def _aliased(self, anchor: str, line: int) -> Node:
        """Return the node that an alias repeats."""
        node, shown = self._anchors.get(anchor), printable(anchor, 60)
        if node is None:
            raise RefusedError(line, f"the alias `*{shown}` has no anchor before it; write `&name` before the value")
        if not node.complete:
            raise RefusedError(line, f"the alias `*{shown}` is inside the value that it repeats; write it out")
        return node

    def _place(self, node: Node, line: int, aliased: bool = False) -> None:
        """Put a node where the next one belongs: at the root, in the list, or as a key or a value of the mapping."""
        self._count += node.size if aliased else 1
        if self._count > MAX_NODES:
            raise RefusedError(line, f"contains more than {MAX_NODES} values, with its aliases written out; divide it")
        if len(self._open) + node.height >= MAX_DEPTH:
            raise RefusedError(line, TOO_DEEP)
        if not self._open:
            self.root = node
            return
        inside = self._open[-1]
        inside.node.height = max(inside.node.height, 1 + node.height)
        if inside.node.kind is list:
            inside.node.children[len(inside.node.children)] = (line, node)
        elif inside.key is None:
            inside.key = (self._key(inside.node, node, line), line)
        else:
            key, key_line = inside.key
            inside.node.children[key] = (key_line, node)
            inside.key = None

    @staticmethod
    def _key(mapping: Node, node: Node, line: int) -> str:
        """Return the text of a node that is a key of the mapping."""
        text = node.text
        if node.kind is not str:
            remedy = "write a name before the `:`, and put a path with brackets in quotes"
            raise RefusedError(line, f"a list or a mapping cannot be a key; {remedy}")
        if text is None:
            raise RefusedError(line, "a key is empty; write a name before the `:`")
        shown = excerpt(text)
        if isinstance(text, Plain) and not isinstance(freeform(text), str):
            raise RefusedError(line, f"the key `{shown}` is not text; put it in quotes")
        if isinstance(text, Plain) and text == "<<":
            raise RefusedError(line, "the merge key `<<` is not supported; write the fields out, or use an alias")
        if text in mapping.children:
            first = mapping.children[text][0]
            raise RefusedError(line, f"the key `{shown}` is written twice (first in line {first}); keep one of them")
        return str(text)


def _collection(event: yaml.NodeEvent, line: int) -> Node:
    return Node(line, dict if isinstance(event, yaml.MappingStartEvent) else list, complete=False)


def _scalar(event: yaml.ScalarEvent, line: int) -> Node:
    text = event.value
    if _SURROGATE.search(text):
        raise RefusedError(line, "contains half of a surrogate pair (`\\ud800` to `\\udfff`), which is not a character")
    if not event.implicit[0]:
        return Node(line, str, text)
    return Node(line, str, None if text in _NULLS else Plain(text))


def _tag(tag: str) -> str:
    return printable(tag.replace("tag:yaml.org,2002:", "!!"), 60)
