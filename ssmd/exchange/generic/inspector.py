"""Reads the messages of one connection: their heads, and where the numbers of a sequence have gaps."""

from __future__ import annotations

import msgspec

from ssmd.contracts.exchange import Inspection
from ssmd.exchange.generic.description import Description

__all__ = ["GenericInspector"]

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode


class GenericInspector:
    """Reads the messages of a connection, live or from a file."""

    sequence = ""

    def __init__(self, description: Description) -> None:
        self._description = description

    def inspect(self, payloads: list[bytes]) -> Inspection:
        try:
            for payload in payloads:
                _check_syntax(payload)
        except (ValueError, RecursionError):
            return Inspection(decoded=False)
        return Inspection(decoded=True)

    def sequence_name(self, sid: int) -> str:
        return ""
