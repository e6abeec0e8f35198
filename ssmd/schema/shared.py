"""One decoding of each message for two purposes: for the dialect, and for the check against a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ssmd.schema.compiled import Compiled

__all__ = ["SharedDecoding"]

_FEW = 64
"""A read of so many messages has no large one: connectors hand over large messages alone."""


class SharedDecoding:
    """Decodes messages for a dialect, and remembers which of them may not be valid.

    `compiled`: for the dialect's `head`, which is what messages become that it refuses. Those of more than `largest`
    bytes are not checked, because that would take too long.
    """

    def __init__(self, compiled: Compiled, head: type[msgspec.Struct], largest: int) -> None:
        self._compiled = compiled
        self._plain = msgspec.json.Decoder(head).decode
        self._largest = largest
        self._payloads: Sequence[bytes] = ()
        self._decoded: Sequence[Any] = ()
        self._refused: Sequence[int] = ()

    def decode(self, payloads: list[bytes]) -> list[Any]:
        """Return what the dialect reads of each message. Raises ValueError or RecursionError for what is not JSON."""
        self._payloads = ()
        if len(payloads) < _FEW and max(map(len, payloads), default=0) > self._largest:
            decoded, refused = list(map(self._plain, payloads)), list(range(len(payloads)))
        else:
            decoded, refused = self._compiled.decode_all(payloads, self._plain)
        self._payloads, self._decoded, self._refused = payloads, decoded, refused
        return decoded

    def doubtful(self, payloads: list[bytes]) -> Sequence[int]:
        """Return the indexes of those messages that may not be valid: of all, unless they are those decoded last."""
        if self._payloads is not payloads:
            return range(len(payloads))
        refused, decoded = self._refused, self._decoded
        self._payloads = self._decoded = ()  # Nothing is kept while the next messages are received.
        found = self._compiled.doubtful(decoded)
        return sorted({*refused, *found}) if found else refused
