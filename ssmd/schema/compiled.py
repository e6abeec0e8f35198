"""A JSON Schema compiled to one decoder of msgspec, which checks a message while it decodes it.

What the decoder accepts, and whose patterns match, is valid. What it refuses may be valid all the same, so the judge
decides about it.
"""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec

from ssmd.schema.forms import Bucket, Default, Forms
from ssmd.schema.rules import Inexpressible, gather
from ssmd.schema.variants import Variants, variants_of

__all__ = ["Compiled", "Structure", "compile_schema"]

_PORTION = 16
"""Where a text does not match its pattern, so many messages are given to the judge."""


class Structure(NamedTuple):
    """A form of messages."""

    type: Any
    """For msgspec."""
    buckets: Sequence[Bucket]


class Compiled:
    """Accepts messages that are valid, though perhaps not all of them."""

    def __init__(self, forms: Mapping[str | None, Structure]) -> None:
        """`forms`: by the constant that messages of the form have; None for a schema without variants."""
        self._buckets = [bucket for form in forms.values() for bucket in form.buckets]
        self.tags = [tag for tag in forms if tag is not None]
        """The constants by which it tells messages apart."""
        union = reduce(operator.or_, (form.type for form in forms.values()))
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(union).decode
        """Decode one message, whose texts patterns_match() will look at. Raises msgspec.ValidationError when it may not
        be valid, and ValueError or RecursionError when it is not JSON. It does not look whether what it skips is UTF-8.
        """

    def decode_all(self, payloads: Sequence[bytes], instead: Callable[[bytes], Any]) -> tuple[list[Any], list[int]]:
        """Decode messages, in order; return them, and the indexes of those that decode() has refused.

        A refused one becomes what `instead` returns for it. Raises only what that raises.
        """
        decoded: list[Any] = []
        refused: list[int] = []
        rest = iter(payloads)
        while True:
            try:
                decoded.extend(map(self.decode, rest))  # What was decoded before an exception stays in the list.
                return decoded, refused
            except (ValueError, RecursionError):
                at = len(decoded)
                decoded.append(instead(payloads[at]))
                refused.append(at)

    def patterns_match(self) -> bool:
        """Return whether all texts match their patterns, in the messages that were decoded since the last call."""
        match = True
        for bucket, check in self._buckets:
            if bucket:
                match = match and check(bucket)
                bucket.clear()
        return match

    def forget(self) -> None:
        """Let go of the texts that patterns_match() has not looked at."""
        for bucket, _ in self._buckets:
            bucket.clear()

    def doubtful(self, payloads: Sequence[bytes]) -> list[int]:
        """Return the indexes of those messages that may not be valid, and of a few beside them. They are decoded again.

        No other messages may have been decoded since the last patterns_match().
        """
        found: list[int] = []
        for first in range(0, len(payloads), _PORTION):
            portion = payloads[first : first + _PORTION]
            _, refused = self.decode_all(portion, lambda payload: None)
            found += range(first, first + len(portion)) if not self.patterns_match() else (first + at for at in refused)
        return found


def compile_schema(schema: Any, head: type[msgspec.Struct] | None = None) -> Compiled | None:
    """Return a JSON Schema compiled; None when nothing can be made of it.

    `head`: a Struct of whose fields each decoded message has the attributes, with the values that decoding it as a
    `head` would give.
    """
    try:
        variants = variants_of(schema)
    except Inexpressible:
        return None
    forms: dict[str | None, Structure] = {}
    for tag in variants.tags:
        with contextlib.suppress(Inexpressible):
            forms[tag] = _form(schema, variants, tag, head, is_alone=False)
    if len(forms) == 1:  # msgspec would not demand the field that has the constant.
        [tag] = forms
        forms[tag] = _form(schema, variants, tag, head, is_alone=True)
    return Compiled(forms) if forms else None


def _form(
    root: Mapping[str, Any], variants: Variants, tag: str | None, head: type[msgspec.Struct] | None, *, is_alone: bool
) -> Structure:
    """Return the form of messages with one tag; None is for messages of a schema without tags.

    `is_alone`: whether there is no other form.
    """
    applying = variants.schemas(tag)
    options: dict[str, Any] = {}
    defaults: dict[str, Default] = {}
    if head is not None:
        defaults = {each.encode_name: Default(each.name, each.default) for each in msgspec.structs.fields(head)}
        applying = [*applying, {"properties": _properties(head)}]
    rules = gather(applying, root)
    if "object" not in rules.types or rules.values is not None:
        raise Inexpressible("type")
    if tag is not None:
        allowed = gather(rules.properties.pop(variants.field, ()), root)
        is_allowed = allowed.values is None or tag in allowed.values
        if "string" not in allowed.types or not is_allowed or allowed.patterns or allowed.bounds:
            raise Inexpressible(variants.field)
        if is_alone:
            rules.properties = {variants.field: [{"const": tag}], **rules.properties}
            rules.required.add(variants.field)
        else:
            rules.required.discard(variants.field)
            options = {"tag": tag, "tag_field": variants.field}
            if variants.field in defaults:
                options["namespace"] = {defaults.pop(variants.field).name: tag}
    places = Forms(root)
    return Structure(places.structure(rules, defaults=defaults, **options), places.buckets)


def _properties(head: type[msgspec.Struct]) -> dict[str, Any]:
    """Return what a Struct demands of its fields, as a JSON Schema."""
    _, described = msgspec.json.schema_components([head])
    properties: dict[str, Any] = described[head.__name__]["properties"]
    return properties
