"""Finds the type and the market of Kalshi's messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["KalshiReader"]


class _Body(msgspec.Struct, gc=False):
    market_ticker: str = ""


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    msg: _Body | None = None


class _AnyBody(msgspec.Struct, gc=False):
    market_ticker: str | float | bool | None = None


class _AnyMessage(msgspec.Struct, gc=False):
    type: str | float | bool | None = None
    msg: _AnyBody | str | float | bool | list[msgspec.Raw] | None = None


_decode = msgspec.json.Decoder(_Message).decode
_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_decode_any = msgspec.json.Decoder(_AnyMessage | str | float | bool | list[msgspec.Raw] | None).decode


class KalshiReader:
    """Reads `type` and `msg.market_ticker`."""

    type_field = "type"
    type_path: Sequence[str] = ("type",)
    market_field = "msg.market_ticker"

    def read(self, payloads: Sequence[bytes]) -> Sequence[tuple[str, str]]:
        try:
            # Nearly all messages are objects with a `msg`; any other raises one of these.
            return [(found.type, found.msg.market_ticker) for found in map(_decode, payloads)]  # type: ignore[union-attr]
        except (ValueError, AttributeError):
            return list(map(_read, payloads))


def _read(payload: bytes) -> tuple[str, str]:
    try:
        message = _decode_any(payload)
    except msgspec.ValidationError:  # A number that no float can hold, in place of a text or an object.
        _check_syntax(payload)  # Python's json also reads half surrogate pairs, which no file can hold, and NaN.
        return _read_slowly(json.loads(payload.decode()))
    if not isinstance(message, _AnyMessage):
        return "", ""
    return _text(message.type), _text(message.msg.market_ticker if isinstance(message.msg, _AnyBody) else None)


def _read_slowly(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict):
        return "", ""
    body = message.get("msg")
    return _text(message.get("type")), _text(body.get("market_ticker") if isinstance(body, dict) else None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
