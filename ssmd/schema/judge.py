"""The verdict on one message by JSON Schema, of whatever draft: jsonschema-rs, which decides every question.

It is exact and takes a few microseconds a message, most of them to decode it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jsonschema_rs
import msgspec

from ssmd.errors import ConfigError, printable
from ssmd.schema.budget import Budget
from ssmd.store.json_limits import is_json

__all__ = ["NOT_EXPLAINED", "NOT_JSON", "Judge", "Reason", "judge_of"]

NOT_JSON = "is not valid JSON"
"""The reason for a message that is not JSON at all."""

NOT_EXPLAINED = "is not as the schema says; `ssmd check` finds out where"
"""The reason where there is no time to find it out."""

_LONGEST_REASON = 200
_LONGEST_PATH = 200
_VALUE = "value"
"""What stands in the reasons of jsonschema-rs in place of what the message has: a log may hold them."""

# A regular expression of this kind takes time in proportion to the text, whatever the pattern and the text are. Those
# that could take for ever, with look-around and back-references, are errors of the schema.
_LINEAR = jsonschema_rs.RegexOptions()

_LOOK_AROUND = "a pattern may have neither look-around nor back-references, and must be a regular expression"
_REFERENCE = "put what it names under `$defs` of the same file: nothing is fetched"


class Reason(NamedTuple):
    """Why a message is not valid. Neither text holds a value of the message."""

    path: str
    """Where, such as `msg.levels[0]`; empty for the whole message."""
    text: str
    """What is wrong there, at most 200 characters, such as `is not of type "string"`."""


class Judge:
    """Decides by one schema."""

    def __init__(self, validator: Any) -> None:
        self._validator = validator
        self.is_valid = validator.is_valid
        """Whether a decoded JSON value is valid. Raises ValueError for one that cannot be checked."""
        self.budget: Budget | None = None
        """What limits the time for reasons; None where that does not matter."""

    def reason(self, payload: bytes) -> Reason | None:
        """Return why a message is not valid; None when it is. Never raises, whatever the bytes are."""
        payload = payload.strip(b" \t\r\n")
        if not is_json(payload):
            return Reason("", NOT_JSON)
        try:
            document = _decode(payload)
            if self.is_valid(document):
                return None
            if self.budget is None:
                return self._explain(document)
            return self.budget.spend(payload, lambda: self._explain(document)) or Reason("", NOT_EXPLAINED)
        except (ValueError, RecursionError) as error:
            return Reason("", printable(f"cannot be checked: {error}", _LONGEST_REASON))


    def _explain(self, document: Any) -> Reason:
        return _reason(next(self._validator.iter_errors(document)))


def judge_of(schema: Any, name: str) -> Judge:
    """Return the judge of a decoded JSON Schema; `name` is what errors call its file.

    Nothing that the schema refers to is fetched. Raises ConfigError.
    """
    try:
        return Judge(jsonschema_rs.validator_for(schema, offline=True, mask=_VALUE, pattern_options=_LINEAR))
    except jsonschema_rs.ValidationError as error:
        problem = _problem(error)
    except (ValueError, RecursionError) as error:
        problem = f"{printable(str(error))}; correct it"
    raise ConfigError(f"{name} is not a JSON Schema that can be used: {problem}")


def _decode(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except ValueError:  # It has a number beyond the range of a double, which JSON may have.
        return json.loads(payload, parse_float=_within_range)


def _within_range(number: str) -> float:
    """Return the nearest double that is not infinite."""
    return max(-sys.float_info.max, min(sys.float_info.max, float(number)))


def _problem(error: Any) -> str:
    """Return what is wrong with a schema, where, and what to do."""
    steps = list(error.instance_path)
    at = f"at `{_path(steps)}`: " if steps else ""
    if error.kind.name == "$ref":
        return f"{at}{printable(error.message)}; {_REFERENCE}"
    if steps and steps[-1] in ("pattern", "patternProperties"):
        return f"{at}{_LOOK_AROUND}; correct it"
    return f"{at}{_text(error)}; correct it"


def _reason(error: Any) -> Reason:
    error = _meant(error)
    steps = list(error.instance_path)
    if error.kind.name == "required":
        return Reason(_path([*steps, error.kind.property]), "is missing")
    return Reason(_path(steps), _text(error))


def _text(error: Any) -> str:
    if error.kind.name == "falseSchema":
        return "is not allowed"
    message = error.message if len(error.message) <= 4 * _LONGEST_REASON else error.message[: 4 * _LONGEST_REASON]
    return printable(message.removeprefix(f"{_VALUE} "), _LONGEST_REASON)


def _meant(error: Any) -> Any:
    """Return the error of the alternative that the message was most likely meant to be, when it is none of several.

    Where alternatives have constants, such as their types, a message has those of its own alternative. When that does
    not say which one it is, the error stays the one of all of them.
    """
    while error.kind.name in ("oneOf", "anyOf") and hasattr(error.kind, "context"):
        alternatives = error.kind.context
        differing = _places(alternatives, "const") or _places(alternatives, "enum")
        meant = [errors for errors in alternatives if errors and differing.isdisjoint(map(_place, errors))]
        if len(meant) != 1:
            return error
        error = meant[0][0]
    return error


def _places(alternatives: Sequence[Sequence[Any]], kind: str) -> set[tuple[str | int, ...]]:
    """Return where alternatives have errors of a kind."""
    return {_place(error) for errors in alternatives for error in errors if error.kind.name == kind}


def _place(error: Any) -> tuple[str | int, ...]:
    return tuple(error.instance_path)


def _path(steps: Sequence[str | int]) -> str:
    return printable("".join(_steps(steps)).removeprefix("."), _LONGEST_PATH)


def _steps(steps: Sequence[str | int]) -> Iterator[str]:
    for step in steps:
        yield f"[{step}]" if isinstance(step, int) else f".{step}"
