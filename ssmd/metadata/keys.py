"""The keys of an environment: their names and where their values are kept, never the values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from ssmd.contracts.resolver import KeySource
from ssmd.metadata.fields import Fault, Filled, Model, Prose, Text
from ssmd.metadata.markers import Within
from ssmd.spelling import misspelling

__all__ = [
    "ENGINE_KEYS",
    "EXCHANGE_KEY",
    "SOURCE_FAULT",
    "STORAGE_KEYS",
    "TRANSPORT_KEYS",
    "KeySpec",
    "is_for_exchange",
]

EXCHANGE_KEY = "api_key"
"""The type of the keys that the exchange's dialect gets."""

TRANSPORT_KEYS = ("nats", "kafka", "mqtt")
STORAGE_KEYS = ("s3",)
ENGINE_KEYS = (*TRANSPORT_KEYS, *STORAGE_KEYS)
"""The types of the keys that an engine gets: the `transport.type`, or the `storage.type`, of that engine."""

_TYPES = (EXCHANGE_KEY, *ENGINE_KEYS)
"""The types of keys that ssmd knows."""

SOURCE_FAULT = (
    "must be `env:VARIABLE,...` or `file:<path>,...`, with one for each field, `env`, `vault:<mount>/<path>` or "
    "`exec:<command>`"
)
"""What is wrong with a source that may be the key itself: it does not repeat it."""

_SOURCE = re.compile(r"[a-z][a-z0-9-]{0,30}([:/].+)?", re.DOTALL)


def is_for_exchange(kind: str) -> bool:
    """Return whether a key of this type is for the exchange's dialect, or would be if the type were not misspelt."""
    return kind == EXCHANGE_KEY or bool(misspelling(kind, (EXCHANGE_KEY,)))


@dataclass(frozen=True, kw_only=True)
class KeySpec(Model):
    """One key: one value or several that belong together, such as an id and its secret.

    No message shows the source: sooner or later someone pastes the key itself there.
    """

    type: Text
    description: Prose | None = None
    required: bool = True
    fields: Annotated[tuple[Text, ...], Filled]
    """The names of the values."""
    source: Text
    rotation_days: Annotated[int, Within(ge=0)] | None = None

    def faults(self) -> Iterator[Fault]:
        if _SOURCE.fullmatch(self.source) is None:
            yield ("source",), SOURCE_FAULT
        if hint := misspelling(self.type, _TYPES):
            yield ("type",), f"is not a type that ssmd knows{hint}"

    @classmethod
    def without_effect(cls, data: Mapping[str, Any]) -> Iterator[Fault]:
        kind = data.get("type")
        if isinstance(kind, str) and kind.strip() not in ("", *_TYPES) and not misspelling(kind, _TYPES):
            known = f"{', '.join(_TYPES[:-1])} and {_TYPES[-1]}"
            yield ("type",), f"has no effect in this version: only keys of the types {known} are used"

    @property
    def source_scheme(self) -> str:
        """The name of the resolver: the text of the source before the first `:` or `/`."""
        return re.split("[:/]", self.source, maxsplit=1)[0]

    def at(self, name: str) -> KeySource:
        """Return the source of the key, which has this name in the environment, for a resolver."""
        return KeySource(name, self.source, self.fields)
