"""Finds the time and the message in a line of another program's recording. Pure.

A message is never encoded again: an embedded JSON value is cut out of its line byte for byte.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import msgspec

from ssmd.errors import printable
from ssmd.field_path import FieldPath
from ssmd.importing.times import parse_time
from ssmd.store.line import decode_line

__all__ = ["Condition", "Found", "Layout"]

_objects = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_lists = msgspec.json.Decoder(list[msgspec.Raw]).decode
_strings = msgspec.json.Decoder(str).decode
_documents = msgspec.json.Decoder(msgspec.Raw).decode


class Condition(NamedTuple):
    """A field and the value that it must have."""

    path: FieldPath
    value: str

    def holds(self, line: bytes) -> bool:
        """Return whether the field is there and has the value: as a string, or as it is written in JSON."""
        found = _value_at(line, self.path)
        if found is None:
            return False
        return _text(found) == self.value


class Found(NamedTuple):
    """What a line contains."""

    ns: int | None
    """The time, in ns since the epoch; None when the line has none."""
    message: bytes


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the lines of a recording have their parts.

    Each line is a JSON document with one of `time_fields`; or text: the time, `separator`, the message; or, with
    `of_ssmd`, a line of a data file of ssmd.
    """

    time_format: str
    """One of times.FORMATS."""
    time_fields: Sequence[FieldPath] = ()
    """The time is in the first of these that a line has."""
    message_field: FieldPath | None = None
    """None when the line itself is the message."""
    base64: bool = False
    """The message field has the bytes of a binary message as base64."""
    separator: str | None = None
    of_ssmd: bool = False
    where: Sequence[Condition] = ()
    """Lines for which one of these does not hold are left out."""

    def described(self) -> dict[str, object]:
        """Return the layout for the ledger: the fields that are set, as text."""
        if self.of_ssmd:
            return {"of_ssmd": True}
        values = {name: value for name, value in asdict(self).items() if value not in (None, (), False)}
        if self.time_fields:
            values["time_fields"] = [path.text for path in self.time_fields]
        if self.message_field is not None:
            values["message_field"] = self.message_field.text
        if self.where:
            values["where"] = [f"{path.text}={value}" for path, value in self.where]
        return values

    def read(self, line: bytes, now_ns: int) -> Found | None:
        """Return what a line contains; None when `where` leaves it out.

        Raises ValueError for a line that does not have this layout. Its text says what is wrong and what may help; it
        is to be read after the file and the number of the line.
        """
        if self.separator is not None:
            return self._read_text(line, self.separator, now_ns)
        if self.of_ssmd:
            return _read_own(line)
        try:
            _documents(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"is not JSON ({error}); correct it or remove it, or see --separator") from None
        if not all(condition.holds(line) for condition in self.where):
            return None
        return Found(self._time(line, now_ns), self._message(line))

    def _read_text(self, line: bytes, separator: str, now_ns: int) -> Found:
        time, found, message = line.partition(separator.encode())
        if not found:
            raise ValueError(f"has no {separator!r} after its time; correct it or remove it")
        return Found(self._parsed("its time", time.decode("utf-8", "replace").strip(), now_ns), message)

    def _time(self, line: bytes, now_ns: int) -> int | None:
        for path in self.time_fields:
            value = _value_at(line, path)
            if value is not None and value != b"null":
                return self._parsed(f"`{path}`", _text(value), now_ns)
        return None

    def _parsed(self, what: str, text: str, now_ns: int) -> int:
        try:
            return parse_time(text, self.time_format, now_ns)
        except ValueError as error:
            raise ValueError(f"{what} is {printable(text, 60)!r}, which {error}") from None

    def _message(self, line: bytes) -> bytes:
        if self.message_field is None:
            return line
        value = _value_at(line, self.message_field)
        if value is None:
            raise ValueError(
                f"has no `{self.message_field}`; name the field of the message with --message-field, or the lines that "
                "have one with --where"
            )
        if value.startswith(b'"'):
            return self._bytes(_text(value))
        if not value.startswith((b"{", b"[")):
            raise ValueError(
                f"has {printable(value, 60)} in `{self.message_field}`, which is no message: "
                "it must be an object, a list or a string"
            )
        return value


    def _bytes(self, text: str) -> bytes:
        if not self.base64:
            return text.encode("utf-8")
        try:
            return b64decode(text, validate=True)
        except ValueError:
            raise ValueError(f"has no base64 in `{self.message_field}`; correct the line or remove it") from None


def _read_own(line: bytes) -> Found:
    try:
        record = decode_line(line)
    except ValueError:
        raise ValueError("is not a line of ssmd; remove it, or say with --time-field what the lines have") from None
    return Found(record.received_ns, record.payload)


def _text(value: bytes) -> str:
    """Return the text of a JSON string, or of any other value as it is written. Raises ValueError."""
    if not value.startswith(b'"'):
        return value.decode("utf-8", "replace")
    try:
        return _strings(value)
    except ValueError as error:
        raise ValueError(f"has a string that cannot be decoded ({error}); correct it or remove the line") from None


def _value_at(document: bytes, path: FieldPath) -> bytes | None:
    """Return the bytes of the value at a path of a JSON document, None when there is none."""
    value = document
    for step in path.steps:
        try:
            if isinstance(step, str):
                found = _objects(value).get(step)
            else:
                items = _lists(value)
                found = items[step] if step < len(items) else None
        except msgspec.ValidationError:  # It is of another type.
            return None
        if found is None:
            return None
        value = bytes(found)
    return value
