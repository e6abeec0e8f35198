"""The check of messages against a schema.

    checker = make_checker(definition, "schemas/kalshi.json")
    for violation in checker.check(payloads):
        print(violation.index, violation.type, violation.path, violation.reason)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ssmd.errors import ConfigError, printable
from ssmd.schema.budget import Budget
from ssmd.schema.compiled import Compiled, compile_schema
from ssmd.schema.judge import Judge, judge_of
from ssmd.schema.shared import are_surely_json

__all__ = ["Checker", "IsSought", "JsonChecker", "TypeOf", "Violation", "make_checker", "type_field"]

TypeOf = Callable[[bytes], str]
"""Returns the type of a message, empty when it has none. It is asked only for messages that are not valid, and may
raise ValueError."""


IsSought = Callable[[int], bool]
"""Asked once for each message that is not valid, by its place among the payloads: whether to find out why."""


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

    def check(self, payloads: list[bytes], is_sought: IsSought = lambda index: True) -> list[Violation]:
        """Return a Violation for each message that is not valid, in order. Never raises, whatever the bytes are."""


class JsonChecker:
    """Checks by a JSON Schema: what its compiled form accepts is valid, and the judge decides the rest.

    `schema`: as decoded JSON, which `judge` decides by.
    """

    def __init__(self, schema: Any, judge: Judge, type_of: TypeOf) -> None:
        self._schema = schema
        self._judge = judge
        self._compiled = compile_schema(schema)
        self._type_of = type_of

    @property
    def types(self) -> Sequence[str]:
        """The types of messages that the compiled form knows; empty when the schema does not tell types apart."""
        return () if self._compiled is None else self._compiled.tags

    def compiled_for(self, head: type[msgspec.Struct]) -> Compiled | None:
        """Return the schema compiled such that messages have the attributes of a `head`; None when that cannot be."""
        return compile_schema(self._schema, head)

    def limit(self, budget: Budget) -> None:
        """Find out why a message is not valid only while there is time; the verdict stays the same."""
        self._judge.budget = budget

    def check(self, payloads: list[bytes], is_sought: IsSought = lambda index: True) -> list[Violation]:
        return self.judged(payloads, self._doubtful(payloads), is_sought)

    def judged(
        self, payloads: Sequence[bytes], indexes: Iterable[int], is_sought: IsSought = lambda index: True
    ) -> list[Violation]:
        """Do what check() does for the payloads with these indexes, one by one."""
        violations = []
        for index in indexes:
            if (reason := self._judge.reason(payloads[index], functools.partial(is_sought, index))) is not None:
                violations.append(Violation(index, _type(self._type_of, payloads[index]), *reason))
        return violations

    def _doubtful(self, payloads: list[bytes]) -> Iterable[int]:
        """Return the indexes of those messages that are not surely valid."""
        if self._compiled is None or not payloads:
            return range(len(payloads))
        _, refused = self._compiled.decode_all(payloads, lambda payload: None)
        match = self._compiled.patterns_match()
        if not are_surely_json(payloads):
            return range(len(payloads))
        return refused if match else self._compiled.doubtful(payloads)


def type_field(payload: bytes) -> str:
    """Return the text that a message has in the field `type`; empty without it. Raises ValueError."""
    message = msgspec.json.decode(payload)
    kind = message.get("type") if isinstance(message, dict) else ""
    return kind if isinstance(kind, str) else ""


def make_checker(definition: bytes, name: str, type_of: TypeOf = type_field) -> JsonChecker:
    """Return what checks messages against a JSON Schema. `name`: what errors call its file.

    Raises ConfigError with what is wrong with the definition.
    """
    schema = _schema(definition, name)
    return JsonChecker(schema, judge_of(schema, name), type_of)


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
