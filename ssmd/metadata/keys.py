"""Where an environment's keys come from: their names and places, never their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from ssmd.errors import ConfigError
from ssmd.metadata.fields import Fault, Filled, Model, Prose, Text
from ssmd.metadata.markers import Within
from ssmd.metadata.problem import quoted

__all__ = ["KeySpec"]

_SOURCE = re.compile(r"(?P<scheme>[a-z][a-z0-9-]{0,30})(?P<rest>[:/].+)?", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_ALPHANUMERIC = re.compile("[^A-Z0-9]")


@dataclass(frozen=True, kw_only=True)
class KeySpec(Model):
    """One key, which may be several values that belong together, such as an id and its secret.

    No message here shows the source: sooner or later someone pastes the key itself there.
    """

    type: Text
    description: Prose | None = None
    required: bool = True
    fields: Annotated[tuple[Text, ...], Filled]
    source: Text
    rotation_days: Annotated[int, Within(ge=0)] | None = None

    def faults(self) -> Iterator[Fault]:
        # Two fields whose names differ in punctuation alone would share one variable.
        names: dict[str, int] = {}
        for index, field in enumerate(self.fields):
            if (first := names.setdefault(_upper(field), index)) != index:
                yield ("fields", index), f"is the same name as fields[{first}]; give each field its own"
        scheme = _SOURCE.fullmatch(self.source)
        if scheme is None or (scheme["rest"] is None and self.source != "env"):
            yield ("source",), "must be `env:VARIABLE,...` (one variable for each field), or `env`"
        elif scheme["scheme"] == "env" and scheme["rest"] is not None:
            yield from self._variable_faults(scheme["rest"])

    def _variable_faults(self, rest: str) -> Iterator[Fault]:
        variables = _names(rest)
        if rest[0] != ":" or not all(map(_VARIABLE.fullmatch, variables)):
            yield (
                ("source",),
                "must name environment variables, as in `env:KALSHI_API_KEY,KALSHI_API_SECRET`; never put a key here",
            )
        elif len(set(variables)) != len(variables):
            yield ("source",), "names the same variable twice; each field has a variable of its own"
        elif len(variables) != len(self.fields):
            yield (
                ("source",),
                f"names {len(variables)} variable(s) for {len(self.fields)} field(s) ({quoted(self.fields)}); "
                "name one for each, in the same order",
            )

    @property
    def source_scheme(self) -> str:
        """The kind of place: the text before the first `:` or `/`."""
        return re.split("[:/]", self.source, maxsplit=1)[0]

    def resolved_source(self, key_name: str) -> str:
        """The source with its variables spelt out: `env` becomes `env:SSMD_KALSHI_API_KEY,...`."""
        if self.source_scheme != "env":
            return self.source
        return "env:" + ",".join(self.variables(key_name))

    def variables(self, key_name: str) -> list[str]:
        """The environment variables that hold this key, one for each field and in the fields' order."""
        if self.source_scheme != "env":
            raise ConfigError(f"keys.{key_name}.source: is not in the environment but in `{self.source_scheme}`")
        if self.source == "env":
            return [f"SSMD_{_upper(key_name)}_{_upper(field)}" for field in self.fields]
        return _names(self.source.removeprefix("env"))


def _names(rest: str) -> list[str]:
    return [name.strip() for name in rest[1:].split(",")]


def _upper(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("_", name.upper())
