"""A JSON Schema compiled to one decoder of msgspec, which checks a message while it decodes it.

What the decoder accepts, and whose patterns match, is valid. What it refuses may be valid all the same, so the judge
decides about it.
"""

from __future__ import annotations

import contextlib
import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import msgspec

from ssmd.schema.forms import Default, Form, Forms
from ssmd.schema.rules import Inexpressible, gather
from ssmd.schema.variants import Variants, variants_of

__all__ = ["Compiled", "compile_schema"]


class Compiled:
    """Accepts messages that are valid, though perhaps not all of them."""

    def __init__(self, forms: Mapping[str | None, Form]) -> None:
        """`forms`: by the constant that messages of the form have; None for a schema without variants."""
        self._checks = {form.type: form.check for form in forms.values()}
        self.tags = [tag for tag in forms if tag is not None]
        """The constants by which it tells messages apart."""
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(reduce(operator.or_, self._checks)).decode
        """Decode one message. Raises msgspec.ValidationError when it may not be valid, and ValueError or RecursionError
        when it is not JSON. It does not look whether what it skips is UTF-8."""

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

    def doubtful(self, decoded: Sequence[Any]) -> list[int]:
        """Return the indexes of those messages whose patterns do not match. What decode() has not made is not one."""
        found: list[int] = []
        of_kinds: defaultdict[type, list[Any]] = defaultdict(list)
        for value in decoded:
            of_kinds[type(value)].append(value)
        for kind, values in of_kinds.items():
            check = self._checks.get(kind)
            if check is not None and not check(values):
                found += [at for at, value in enumerate(decoded) if type(value) is kind and not check([value])]
        return sorted(found)


def compile_schema(schema: Any, head: type[msgspec.Struct] | None = None) -> Compiled | None:
    """Return a JSON Schema compiled; None when nothing can be made of it.

    `head`: a Struct of whose fields each decoded message has the attributes, with the values that decoding it as a
    `head` would give.
    """
    try:
        variants = variants_of(schema)
    except Inexpressible:
        return None
    forms: dict[str | None, Form] = {}
    for tag in variants.tags:
        with contextlib.suppress(Inexpressible):
            forms[tag] = _form(schema, variants, tag, head, is_alone=False)
    if len(forms) == 1:  # msgspec would not demand the field that has the constant.
        [tag] = forms
        forms[tag] = _form(schema, variants, tag, head, is_alone=True)
    return Compiled(forms) if forms else None


def _form(
    root: Mapping[str, Any], variants: Variants, tag: str | None, head: type[msgspec.Struct] | None, *, is_alone: bool
) -> Form:
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
    return Forms(root).structure(rules, defaults=defaults, **options)


def _properties(head: type[msgspec.Struct]) -> dict[str, Any]:
    """Return what a Struct demands of its fields, as a JSON Schema."""
    _, described = msgspec.json.schema_components([head])
    properties: dict[str, Any] = described[head.__name__]["properties"]
    return properties
