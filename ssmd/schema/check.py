"""The check of messages against a schema.

    checker = make_checker(definition, "schemas/kalshi.json")
    for violation in checker.check(payloads):
        print(violation.index, violation.type, violation.path, violation.reason)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ssmd.errors import ConfigError, printable
from ssmd.schema.judge import Judge, judge_of

__all__ = ["Checker", "TypeOf", "Violation", "make_checker", "type_field"]

TypeOf = Callable[[bytes], str]
"""Returns the type of a message, empty when it has none. It is asked only for messages that are not valid, and may
raise ValueError."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A message that is not as the schema says. No text of it holds a value of the message, except its type."""

    index: int
    """Its place among the payloads."""
    type: str
    """The type of the message; empty when it has none."""
    path: str
    """Where the first thing is that is wrong, such as `msg.levels[0]`; empty for the whole message."""
    reason: str
    """What is wrong there, at most 200 characters, such as `is not of type "string"`."""


class Checker(Protocol):
    """Checks messages against one schema."""

    def check(self, payloads: list[bytes]) -> list[Violation]:
        """Return a Violation for each message that is not valid, in order. Never raises, whatever the bytes are."""


class _JsonChecker:
    def __init__(self, judge: Judge, type_of: TypeOf) -> None:
        self._judge = judge
        self._type_of = type_of

    def check(self, payloads: list[bytes]) -> list[Violation]:
        violations = []
        for index, payload in enumerate(payloads):
            if (reason := self._judge.reason(payload)) is not None:
                violations.append(Violation(index, _type(self._type_of, payload), *reason))
        return violations


def type_field(payload: bytes) -> str:
    """Return the text that a message has in the field `type`; empty without it. Raises ValueError."""
    message = msgspec.json.decode(payload)
    kind = message.get("type") if isinstance(message, dict) else ""
    return kind if isinstance(kind, str) else ""


def make_checker(definition: bytes, name: str, type_of: TypeOf = type_field) -> Checker:
    """Return what checks messages against a JSON Schema. `name`: what errors call its file.

    Raises ConfigError with what is wrong with the definition.
    """
    return _JsonChecker(judge_of(_schema(definition, name), name), type_of)


def _schema(definition: bytes, name: str) -> Any:
    try:
        return msgspec.json.decode(definition)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not JSON: {printable(str(error))}; correct it") from None


def _type(type_of: TypeOf, payload: bytes) -> str:
    try:
        return type_of(payload)
    except (ValueError, RecursionError):
        return ""
