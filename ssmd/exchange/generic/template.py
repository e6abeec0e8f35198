"""Messages, headers and URLs with placeholders: `${key.token}`, `${now_ms}`, `${prepared.token}`, `${message.ping}`.

Placeholders within a value are not filled in. So a message of the exchange that has `${key.secret}` gets no key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ssmd.errors import printable
from ssmd.field_path import FieldPath, parse_path, value_at

__all__ = [
    "KEY",
    "LONGEST",
    "MESSAGE",
    "NOW_MS",
    "NOW_S",
    "PREPARED",
    "Fault",
    "NoValueError",
    "Placeholder",
    "TemplateError",
    "Values",
    "faults_of",
    "fill",
    "fill_url",
    "holds_one",
    "placeholders_of",
    "sent",
    "texts_of",
]

KEY, NOW_S, NOW_MS, PREPARED, MESSAGE = "key", "now_s", "now_ms", "prepared", "message"
"""The kinds of placeholders. `key`, `prepared` and `message` have a name after a dot."""

LONGEST = 64 * 1024
"""The most characters of a text that is filled in: a message of the exchange must not make ssmd send a longer one."""

_PLACEHOLDER = re.compile(r"\$(?P<escape>\$)\{|\$\{(?P<inside>[^{}]*)\}")
_OPENING = re.compile(r"\$\$\{|(\$\{)")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_DEEPEST = 50
_FORMS = {
    KEY: "${key.<field>}",
    NOW_S: "${now_s}",
    NOW_MS: "${now_ms}",
    PREPARED: "${prepared.<name>}",
    MESSAGE: "${message.<path>}",
}

Fault = tuple[tuple[str | int, ...], str]
"""The path of a text within a value, and what is wrong with its placeholders."""


class TemplateError(ValueError):
    """A placeholder has no value here, or its value is too long. The text of the error never has the value."""


class NoValueError(TemplateError):
    """A placeholder has no value: the message that is replied to has no such field."""


class Placeholder(NamedTuple):
    """What stands between `${` and `}`."""

    kind: str
    name: str = ""
    """The field of a key, or what `prepare` calls its value."""
    path: FieldPath | None = None
    """In the message that is replied to."""


class Values(NamedTuple):
    """The values of placeholders."""

    now_ms: int
    keys: Mapping[str, str] = {}
    prepared: Mapping[str, Any] = {}
    message: Any = None
    """The message that is replied to, decoded."""


def fill(value: Any, values: Values) -> Any:
    """Return a JSON value with its placeholders filled in.

    A text that is one placeholder and nothing else becomes the value itself, with its type. Raises TemplateError.
    """
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    if placeholder := holds_one(value):
        found = _look_up(placeholder, values)
        _check_length(_as_text(found))
        return found
    return _filled(value, values, encode=False)


def fill_url(url: str, values: Values) -> str:
    """Return a URL with its placeholders filled in and percent-encoded; one at its very beginning is put in as it is.

    Raises TemplateError.
    """
    return _filled(url, values, encode=True)


def sent(message: Any) -> bytes:
    """Return a message as it is sent: a text as it is, anything else as compact JSON. Raises TemplateError."""
    return (message if isinstance(message, str) else _json(message)).encode()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):  # JSON has no infinite numbers, and Python does not write very long ones.
        raise TemplateError("a number too large, or a value with thousands of levels, cannot be filled in") from None


def placeholders_of(value: Any) -> Iterator[Placeholder]:
    """Yield the placeholders of a JSON value that faults_of() finds nothing wrong with."""
    for _, text in texts_of(value):
        for match in _PLACEHOLDER.finditer(text):
            if not match["escape"] and isinstance(found := _parse(match["inside"]), Placeholder):
                yield found


def faults_of(value: Any, kinds: Collection[str], prepared: Collection[str] = ()) -> Iterator[Fault]:
    """Yield what is wrong with the placeholders of a JSON value, in which those of `kinds` may stand.

    `prepared`: the names that ${prepared.<name>} may have.
    """
    for path, text in texts_of(value):
        if path and path[-1] is None:
            if _OPENING.search(text):
                yield path[:-1], "has a placeholder in the name of a field; only values may have some"
            continue
        opened = sum(match[1] is not None for match in _OPENING.finditer(text))
        found = [_parse(match["inside"]) for match in _PLACEHOLDER.finditer(text) if not match["escape"]]
        if opened > len(found):
            yield path, "has a `${` without a `}`; for a `${` in the text itself, write `$${`"
        if found and len(text) > LONGEST:
            yield path, f"has a placeholder and more than {LONGEST:,} characters; shorten it"
        for placeholder in found:
            if fault := _fault(placeholder, kinds, prepared):
                yield path, fault


def holds_one(text: str) -> Placeholder | None:
    """Return the placeholder of a text that is one and nothing else."""
    match = _PLACEHOLDER.fullmatch(text)
    found = _parse(match["inside"]) if match and not match["escape"] else None
    return found if isinstance(found, Placeholder) else None


def _fault(found: Placeholder | str, kinds: Collection[str], prepared: Collection[str]) -> str | None:
    if isinstance(found, str):
        return found
    if found.kind not in kinds:
        return f"cannot have {_FORMS[found.kind]} here, only {', '.join(_FORMS[kind] for kind in kinds)}"
    if found.kind == PREPARED and found.name not in prepared:
        known = ", ".join(f"`{name}`" for name in prepared)
        there = f"which takes {known}" if known else "which the description does not have"
        return f"has ${{prepared.{printable(found.name)}}}, a name that is not in `take` of `prepare`, {there}"
    return None


def _parse(inside: str) -> Placeholder | str:
    """Return the placeholder of this text between the braces, or what is wrong with it."""
    kind, dot, name = inside.partition(".")
    if kind in (NOW_S, NOW_MS) and not dot:
        return Placeholder(kind)
    if kind in (KEY, PREPARED) and _NAME.fullmatch(name):
        return Placeholder(kind, name)
    if kind == MESSAGE and dot:
        try:
            return Placeholder(kind, path=parse_path(name))
        except ValueError as error:
            return f"has a placeholder without a valid path: {error}"
    return f"has `${{{printable(inside, 60)}}}`, which is no placeholder; there are {', '.join(_FORMS.values())}"


def texts_of(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield each text of a JSON value with its path; the name of a field with None at the end of its path."""
    if isinstance(value, str):
        yield at, value
    elif len(at) > _DEEPEST:
        return
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*at, key, None), key
            yield from texts_of(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, (*at, index))


def _filled(text: str, values: Values, *, encode: bool) -> str:
    def replaced(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        found = _parse(match["inside"])
        if isinstance(found, str):
            return match[0]
        put_in = _as_text(_look_up(found, values))
        return quote(put_in, safe="") if encode and match.start() else put_in

    return _check_length(_PLACEHOLDER.sub(replaced, text))


def _look_up(placeholder: Placeholder, values: Values) -> Any:
    kind, name, path = placeholder
    try:
        if path is not None:
            return value_at(values.message, path)
        if kind in (NOW_S, NOW_MS):
            return values.now_ms // (1000 if kind == NOW_S else 1)
        return (values.keys if kind == KEY else values.prepared)[name]
    except LookupError:
        raise NoValueError(f"there is no value for ${{{kind}.{path or name}}}") from None


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _check_length(text: str) -> str:
    if len(text) > LONGEST:
        raise TemplateError(f"a text has more than {LONGEST:,} characters with its values filled in")
    return text
