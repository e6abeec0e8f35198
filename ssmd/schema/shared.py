"""One decoding of each message for two purposes: for the dialect, and for the check against a schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ssmd.schema.compiled import Compiled
from ssmd.store.json_limits import are_within_limits, is_utf8

__all__ = ["SharedDecoding", "are_surely_json"]


def are_surely_json(payloads: Sequence[bytes]) -> bool:
    """Return whether all messages that a Compiled has accepted, or an empty list, are JSON within the limits.

    What it skips need not be UTF-8, and may be nested too deep. What it accepts begins and ends with ASCII, so all can
    be looked at together.
    """
    return not payloads or (are_within_limits(payloads) and is_utf8(b"".join(payloads)))


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
        self._refused: Sequence[int] = ()

    def decode(self, payloads: list[bytes]) -> list[Any]:
        """Return what the dialect reads of each message. Raises ValueError or RecursionError for what is not JSON."""
        refused: Sequence[int] = ()
        self._payloads = ()
        if payloads and len(payloads[-1]) > self._largest:  # A read ends with its large message.
            decoded, refused = list(map(self._plain, payloads)), range(len(payloads))
        else:
            try:
                decoded = list(map(self._compiled.decode, payloads))
            except (ValueError, RecursionError):
                decoded, refused = self._compiled.decode_all(payloads, self._plain)
        self._payloads, self._refused = payloads, refused
        return decoded

    def refused(self, payloads: list[bytes]) -> Sequence[int]:
        """Return the indexes of those messages that decode() has refused: of all, unless they are those decoded last.

        The others are valid unless doubtful() returns them.
        """
        found, refused = self._payloads, self._refused
        self._payloads = ()  # Nothing is kept while the next messages are received.
        return refused if found is payloads else range(len(payloads))

    def forget(self) -> None:
        """Let go of what was decoded last, which is not to be checked."""
        self._payloads = ()
        self._compiled.forget()

    def doubtful(self, payloads: Sequence[bytes]) -> list[int]:
        """Return the indexes of those messages that may not be valid, and of a few beside them.

        They must be all that refused() was called for since the last call, except for those that it has returned.
        """
        match = self._compiled.patterns_match()
        if not match:  # What was decoded last and is not asked for yet may be what does not match.
            self._refused = range(len(self._payloads))
        if not are_surely_json(payloads):
            return list(range(len(payloads)))
        return [] if match else self._compiled.doubtful(payloads)
