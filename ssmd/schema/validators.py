"""The validators of jsonschema-rs: of a whole JSON Schema, and of parts of it. Nothing is fetched over the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs

__all__ = ["MASK", "MOST_KEPT", "Parts", "whole"]

MASK = "value"
"""What stands in the texts of jsonschema-rs in place of what a message has: a log may hold them."""

# A regular expression of this kind takes time in proportion to the text, whatever the pattern and the text are. Those
# that could take for ever, with look-around and back-references, are errors of the schema.
_OPTIONS: dict[str, Any] = {"offline": True, "mask": MASK, "pattern_options": jsonschema_rs.RegexOptions()}
_HERE = "ssmd:schema"

MOST_KEPT = 2_000
"""How many validators of parts are kept. Each takes some kilobytes, and more if there is much in the part."""


def whole(schema: Any) -> Any:
    """Return the validator of a decoded JSON Schema.

    Raises jsonschema_rs.ValidationError, ValueError, RecursionError.
    """
    return jsonschema_rs.validator_for(schema, **_OPTIONS)


class Parts:
    """The validators of the parts of one schema, each made when it is asked for. They raise what whole() does.

    The MOST_KEPT that were asked for last are kept.
    """

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._registry: Any = None
        self._kept: dict[str, Any] = {}
        """Those that were asked for last come last."""

    def at(self, pointer: str) -> Any:
        """Return that of the part that a JSON pointer names, in the schema as it is: its references mean the same."""
        return self._kept_or(pointer, lambda: self._made_at(pointer))

    def of(self, pointer: str, keywords: dict[str, Any]) -> Any:
        """Return that of some keywords of a part, which are always the same ones; they may name what is in `$defs`."""
        return self._kept_or(f"{pointer}#", lambda: self._made_of(keywords))  # No pointer is the same.

    def _kept_or(self, key: str, make: Callable[[], Any]) -> Any:
        found = self._kept.pop(key, None)
        if found is None:
            found = make()
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = found
        return found

    def _made_at(self, pointer: str) -> Any:
        if self._registry is None:
            self._registry = jsonschema_rs.Registry([(_HERE, self._schema)])
        reference = {**self._draft(), "$ref": f"{_HERE}#{pointer}"}
        return jsonschema_rs.validator_for(reference, registry=self._registry, **_OPTIONS)

    def _made_of(self, keywords: dict[str, Any]) -> Any:
        names = {name: self._schema[name] for name in ("$defs", "definitions") if name in self._schema}
        return whole({**self._draft(), **names, **keywords})

    def _draft(self) -> dict[str, Any]:
        return {"$schema": self._schema["$schema"]} if "$schema" in self._schema else {}
