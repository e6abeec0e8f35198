"""Finds the type and the market of Kalshi's messages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["KalshiReader"]


class _Body(msgspec.Struct, gc=False):
    market_ticker: str | float | bool | None = None


class _Message(msgspec.Struct, gc=False):
    type: str | float | bool | None = None
    msg: _Body | str | float | bool | list[msgspec.Raw] | None = None


_decode = msgspec.json.Decoder(_Message | str | float | bool | list[msgspec.Raw] | None).decode


class KalshiReader:
    """Reads `type` and `msg.market_ticker`."""

    type_field = "type"
    market_field = "msg.market_ticker"

    def read(self, payloads: Sequence[bytes]) -> Sequence[tuple[str, str]]:
        return list(map(_read, payloads))


def _read(payload: bytes) -> tuple[str, str]:
    message = _decode(payload)
    if not isinstance(message, _Message):
        return "", ""
    market = message.msg.market_ticker if isinstance(message.msg, _Body) else ""
    return (
        message.type if isinstance(message.type, str) else "",
        market if isinstance(market, str) else "",
    )
