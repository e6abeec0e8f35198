"""The verdict on one message by JSON Schema, of whatever draft: jsonschema-rs, which decides every question.

It is exact and takes a few microseconds a message, most of them to decode it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec

from ssmd.errors import ConfigError, printable
from ssmd.schema.budget import Budget
from ssmd.schema.explaining import Explainer, Reason, path_of, text_of
from ssmd.schema.steps import MOST_STEPS, most_steps
from ssmd.schema.validators import whole
from ssmd.store.json_limits import is_json

__all__ = ["NOT_EXPLAINED", "NOT_JSON", "UNKNOWN", "Judge", "Reason", "judge_of"]

NOT_JSON = "is not valid JSON"
"""The reason for a message that is not JSON at all."""

UNKNOWN = "is not as the schema says"
"""The reason where none is found."""

NOT_EXPLAINED = f"{UNKNOWN}; `ssmd check` finds out where"
"""The reason where there is no time to find it out."""

_LONGEST_REASON = 200

_LOOK_AROUND = "a pattern may have neither look-around nor back-references, and must be a regular expression"
_TOO_MANY = f"correct it, such that it takes at most {MOST_STEPS:,}"
_REFERENCE = "put what it names under `$defs` of the same file: nothing is fetched"


class Judge:
    """Decides by one schema, as decoded JSON. `validator`: that of the schema."""

    def __init__(self, schema: Any, validator: Any) -> None:
        self._explainer = Explainer(schema, UNKNOWN)
        self.is_valid = validator.is_valid
        """Whether a decoded JSON value is valid. Raises ValueError for one that cannot be checked."""
        self.budget: Budget | None = None
        """What limits the time for reasons; None where that does not matter."""

    def reason(self, payload: bytes, is_sought: Callable[[], bool] = lambda: True) -> Reason | None:
        """Return why a message is not valid; None when it is. Never raises, whatever the bytes are.

        `is_sought`: returns whether to find out why; otherwise the reason is NOT_EXPLAINED.
        """
        payload = payload.strip(b" \t\r\n")
        if not is_json(payload):
            return Reason("", NOT_JSON)
        try:
            document = _decode(payload)
            if self.is_valid(document):
                return None
            if not is_sought():
                return Reason("", NOT_EXPLAINED)
            if self.budget is None:
                return self._explainer.reason(document)
            explained = self.budget.spend(payload, lambda: self._explainer.reason(document))
            return explained or Reason("", NOT_EXPLAINED)
        except (ValueError, RecursionError) as error:
            return Reason("", printable(f"cannot be checked: {error}", _LONGEST_REASON))


def judge_of(schema: Any, name: str) -> Judge:
    """Return the judge of a decoded JSON Schema; `name` is what errors call its file.

    Nothing that the schema refers to is fetched. Raises ConfigError.
    """
    try:
        validator = whole(schema)
        if (steps := most_steps(schema)) <= MOST_STEPS:
            return Judge(schema, validator)
        many = f"{steps:,}" if steps < 10**12 else "more than a trillion"
        problem = f"one value may take {many} steps, because alternatives are within alternatives; {_TOO_MANY}"
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
    at = f"at `{path_of(steps)}`: " if steps else ""
    if error.kind.name == "$ref":
        return f"{at}{printable(error.message)}; {_REFERENCE}"
    if steps and steps[-1] in ("pattern", "patternProperties"):
        return f"{at}{_LOOK_AROUND}; correct it"
    return f"{at}{text_of(error)}; correct it"
