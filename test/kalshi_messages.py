"""Messages as Kalshi sends them, for the tests of its dialect."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ssmd.contracts.dialect import Terms
from ssmd.contracts.exchange import SnapshotPolicy
from ssmd.exchange.kalshi.dialect import Kalshi

__all__ = [
    "COUNTS",
    "HAS_NONE",
    "IS_NEXT",
    "KEYS",
    "REPEATS",
    "USES_ONE_UP",
    "WAYS",
    "connection",
    "delta",
    "error",
    "frame",
    "ok",
    "snapshot",
    "subscribed",
    "ticker",
]

USES_ONE_UP, REPEATS, IS_NEXT, COUNTS, HAS_NONE = WAYS = [
    "uses up a number",
    "repeats the last number",
    "has the number that comes next",
    "counts on its own",
    "has none",
]
"""What number an answer to `get_snapshot` may have."""

_PEM = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
KEYS = {"api_key": "test", "api_secret": _PEM}


def connection(
    subscribe: Any, commands_per_second: float | None = None, most_markets: int | None = None, **policy: Any
) -> Kalshi:
    """Return the dialect of a connection. `policy`: what differs from the usual SnapshotPolicy."""
    terms = Terms(
        SnapshotPolicy(**policy), commands_per_second, rest_endpoint="http://host/v2", most_markets=most_markets
    )
    return Kalshi(KEYS, subscribe, terms)


def frame(**fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def subscribed(id: int, channel: str, sid: int) -> bytes:
    return frame(type="subscribed", id=id, msg={"channel": channel, "sid": sid})


def ok(id: int, sid: int, seq: int, **msg: Any) -> bytes:
    return frame(id=id, sid=sid, seq=seq, type="ok", msg=msg)


def error(code: int, text: str = "no such thing", *, head: dict[str, Any] | None = None, **more: Any) -> bytes:
    return frame(type="error", **(head or {}), msg={"code": code, "msg": text, **more})


def snapshot(market: str, seq: int, id: int | None = None, sid: int = 1, **sides: Any) -> bytes:
    """A snapshot; `id`: that of the request that it answers."""
    answers = {} if id is None else {"id": id}
    return frame(type="orderbook_snapshot", **answers, sid=sid, seq=seq, msg={"market_ticker": market, **sides})


def delta(market: str, seq: int, sid: int = 1, **change: Any) -> bytes:
    return frame(type="orderbook_delta", sid=sid, seq=seq, msg={"market_ticker": market, **change})


def ticker(market: str, sid: int = 2) -> bytes:
    return frame(type="ticker", sid=sid, msg={"market_ticker": market})
