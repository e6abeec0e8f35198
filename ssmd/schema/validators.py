"""The validators of jsonschema-rs: of a whole JSON Schema, and of parts of it. Nothing is fetched over the network."""

from __future__ import annotations

from typing import Any

import jsonschema_rs

__all__ = ["MASK", "Parts", "whole"]

MASK = "value"
"""What stands in the texts of jsonschema-rs in place of what a message has: a log may hold them."""

# A regular expression of this kind takes time in proportion to the text, whatever the pattern and the text are. Those
# that could take for ever, with look-around and back-references, are errors of the schema.
_OPTIONS: dict[str, Any] = {"offline": True, "mask": MASK, "pattern_options": jsonschema_rs.RegexOptions()}
_HERE = "ssmd:schema"


def whole(schema: Any) -> Any:
    """Return the validator of a decoded JSON Schema.

    Raises jsonschema_rs.ValidationError, ValueError, RecursionError.
    """
    return jsonschema_rs.validator_for(schema, **_OPTIONS)


class Parts:
    """The validators of the parts of one schema, each made when it is asked for first. They raise what whole() does."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._registry: Any = None
        self._made: dict[str, Any] = {}

    def at(self, pointer: str) -> Any:
        """Return that of the part that a JSON pointer names, in the schema as it is: its references mean the same."""
        found = self._made.get(pointer)
        if found is None:
            if self._registry is None:
                self._registry = jsonschema_rs.Registry([(_HERE, self._schema)])
            reference = {**self._draft(), "$ref": f"{_HERE}#{pointer}"}
            found = self._made[pointer] = jsonschema_rs.validator_for(reference, registry=self._registry, **_OPTIONS)
        return found

    def of(self, pointer: str, keywords: dict[str, Any]) -> Any:
        """Return that of some keywords of a part, which are always the same ones; they may name what is in `$defs`."""
        key = f"{pointer}#"  # No pointer is the same.
        found = self._made.get(key)
        if found is None:
            names = {name: self._schema[name] for name in ("$defs", "definitions") if name in self._schema}
            found = self._made[key] = whole({**self._draft(), **names, **keywords})
        return found

    def _draft(self) -> dict[str, Any]:
        return {"$schema": self._schema["$schema"]} if "$schema" in self._schema else {}
