"""Kalshi's WebSocket API, version 2: signed handshake, subscriptions, replies, sequence numbers.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml, which is also where the names come from:
a command carries an `id`, a subscription is a `sid`, and `seq` counts the messages of one `sid`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.exchange import Acknowledged, Gap, Inspection, Inspector
from ssmd.errors import ConfigError, Disconnected, SsmdError, SubscriptionRefused, printable
from ssmd.exchange.signing import read_private_key, sign
from ssmd.exchange.subscription import commands_of, problems_of

__all__ = ["MOST_SIDS", "Kalshi"]

MOST_SIDS = 100_000
"""An exchange that numbers the messages of more is broken, or means harm: Kalshi gives a connection one sid for each
channel, and so many take up to 12 MB. It would not do to go by those that it has confirmed: data may come before that,
and its gaps count too.
"""

# Errors that are not about the request: the channel broke (10), the exchange failed (17) or was too slow
# (18), the subscription's buffer overflowed (25), too many commands at once (27). A restart helps.
_RESTART_HELPS = frozenset({10, 17, 18, 25, 27})

# What may come unasked and is no data. No command of ssmd's unsubscribes, so whoever did, the messages are over.
_ENDINGS = ("error", "unsubscribed")

_TOO_MANY_SIDS = f"Kalshi has numbered the messages of more than {MOST_SIDS:,} subscriptions"

_LARGEST_REPLY = 1024 * 1024
"""Longer messages are not read for their meaning, beyond their head: it would take seconds."""

_LONGEST_KEY_ID = 63  # It is a UUID, and goes out as it is; the shortest private key, Ed25519, has 64 characters.

# As far as a float counts exactly, so that no sum or metric made of these can overflow.
_LARGEST = 2**53
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]


class _Head(msgspec.Struct, gc=False):
    """What every message says of itself; the rest is skipped, though checked to be JSON."""

    type: str = ""
    sid: _Count = 0
    seq: _Count = 0
    id: _Count = 0


class _Time(msgspec.Struct, gc=False):
    ts_ms: _Count = 0


class _Dated(msgspec.Struct, gc=False):
    msg: _Time


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_time = msgspec.json.Decoder(_Dated).decode


class _Inspector:
    """What is understood of one connection's messages: what was confirmed, and where each sequence stands."""

    def __init__(self) -> None:
        self._pending: dict[int, list[str]] = {}
        self._tickers: dict[int, list[str]] = {}
        self._channels: dict[int, str] = {}
        self._next_seq: dict[int, int] = {}

    def inspect(self, payloads: list[bytes]) -> Inspection:
        decoded = True
        try:
            heads = list(map(_decode_head, payloads))
        except (ValueError, RecursionError):
            decoded = False
            heads = [_head(payload) for payload in payloads]
        events: list[Acknowledged | Gap] = []
        failure: SsmdError | None = None
        next_seq = self._next_seq
        # The hot loop. Replies are numbered like data: `ok`, `unsubscribed` and errors about a subscription
        # use up a number. A message without one (0 here, real ones begin at 1) is of a channel that does
        # not count, such as ticker. Only commands' replies carry an id.
        for index, head in enumerate(heads):
            seq = head.seq
            if seq:
                sid = head.sid
                if next_seq.get(sid) != seq:
                    if sid in next_seq:
                        events.append(Gap(sid, next_seq[sid], seq, index))
                    elif len(next_seq) >= MOST_SIDS:
                        # What these messages bring is still remembered, so that gaps in them show; the run ends here.
                        failure = failure or Disconnected(_TOO_MANY_SIDS)
                next_seq[sid] = seq + 1
            if head.id or head.type in _ENDINGS:
                ending = self._reply(head, payloads[index], index, events)
                failure = failure or ending
        return Inspection(decoded, events, _exchange_ms(payloads[-1]), failure, heads)

    def _reply(self, head: _Head, payload: bytes, index: int, events: list[Acknowledged | Gap]) -> SsmdError | None:
        """Match a reply to its command; return what ends the run, if it does."""
        body = _mapping(_tolerant(payload).get("msg"))
        if head.type == "error":
            return self._error(body, head.sid)
        if head.type == "unsubscribed":
            return Disconnected(f"Kalshi has ended the subscription{self._where(head.sid)}")
        pending = self._pending.get(head.id, [])
        sid: object = head.sid or None
        if head.type == "subscribed":
            channel, sid = str(body.get("channel")), body.get("sid")
            if channel in pending and isinstance(sid, int):
                self._channels[sid] = channel
            confirmed = [channel]
        elif head.type == "ok":
            # The answer to a further list of tickers, for a channel that is subscribed already.
            confirmed = [self._channels[head.sid]] if head.sid in self._channels else list(pending)
        else:
            return None
        for channel in confirmed:
            if channel in pending:
                pending.remove(channel)
                known = sid if isinstance(sid, int) else None
                events.append(Acknowledged(channel, known, index, self._tickers[head.id], _tickers_in(body)))
        return None

    def _error(self, body: Mapping[str, Any], sid: int) -> SsmdError:
        code = body.get("code", "without a code")
        about = [self._told(body[name]) for name in ("market_ticker", "market_tickers") if body.get(name)]
        reason = self._told(body.get("msg", "no reason given"))
        text = f"Kalshi error {self._told(code)}{self._where(sid)}: {reason}" + "".join(f" ({item})" for item in about)
        if isinstance(code, int) and code in _RESTART_HELPS:
            return Disconnected(f"{text}; that subscription is over")
        return SubscriptionRefused(f"{text}; correct the environment's subscribe section")

    def _where(self, sid: int) -> str:
        return f" on {self._channels.get(sid, 'a subscription')} (sid {sid})" if sid else ""

    def _told(self, value: object) -> str:
        """What Kalshi says, for a log."""
        return printable(str(value))


class Kalshi(_Inspector):
    """One connection's dialect: what it asked for, and what _Inspector understands.

    `keys`: `api_key`, the key id, and `api_secret`, the private key; raises ConfigError when one is unfit.
    `subscribe`: the environment's section, the parameters of the `subscribe` command, sent as given.
    """

    tick_seconds: float | None = None

    def __init__(self, keys: Mapping[str, str], subscribe: Mapping[str, Any]) -> None:
        super().__init__()
        missing = [field for field in ("api_key", "api_secret") if not keys.get(field, "").strip()]
        if missing:
            raise ConfigError(f"Kalshi signs every connection, which needs the key fields {' and '.join(missing)}")
        self._key_id = keys["api_key"].strip()
        if not self._key_id.isascii() or not self._key_id.isprintable():
            raise ConfigError("the key id (api_key) is not plain text; it looks like 01234567-89ab-cdef-...")
        if len(self._key_id) > _LONGEST_KEY_ID:
            raise ConfigError("the key id (api_key) is too long for one; is it the private key?")
        self._private_key = read_private_key(keys["api_secret"])
        self._commands: list[bytes] = []
        for params in commands_of(subscribe):
            command_id = len(self._commands) + 1
            self._pending[command_id] = list(dict.fromkeys(params["channels"]))
            self._tickers[command_id] = list(params.get("market_tickers", []))
            command = {"id": command_id, "cmd": "subscribe", "params": params}
            self._commands.append(json.dumps(command, separators=(",", ":")).encode())

    @classmethod
    def check(cls, subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
        return problems_of(subscribe)

    @classmethod
    def inspector(cls) -> Inspector:
        return _Inspector()

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        """Signed is the time in ms, the method and the path, without host or query, joined with nothing."""
        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
            "KALSHI-ACCESS-SIGNATURE": sign(self._private_key, f"{now_ms}GET{path}".encode()),
        }

    def commands(self) -> Sequence[bytes]:
        return self._commands

    def tick(self, now_ms: int) -> Sequence[bytes]:
        return ()

    def _told(self, value: object) -> str:
        """What Kalshi says may name the key."""
        return super()._told(str(value).replace(self._key_id, "(key id)"))

    def unacknowledged(self) -> Sequence[str]:
        return [
            f"{channel} (command {command_id})"
            for command_id, channels in self._pending.items()
            for channel in channels
        ]


def _head(payload: bytes) -> _Head:
    """The head of a message that may be anything: of each field what is fit for use, empty when nothing is."""
    try:
        return _decode_head(payload)
    except (ValueError, RecursionError):
        message = _tolerant(payload)
    kind = message.get("type")
    sid, seq, command_id = (_count(message.get(name)) for name in ("sid", "seq", "id"))
    return _Head(kind if isinstance(kind, str) else "", sid, seq, command_id)


def _tickers_in(body: Mapping[str, Any]) -> int | None:
    tickers = body.get("market_tickers")
    return len(tickers) if isinstance(tickers, list) else None


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value <= _LARGEST else 0


def _tolerant(payload: bytes) -> Mapping[str, Any]:
    """A message read as forgivingly as can be, for its meaning alone; empty when it is no JSON object."""
    if len(payload) > _LARGEST_REPLY:
        return {}
    try:
        return _mapping(json.loads(payload.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _exchange_ms(payload: bytes) -> int | None:
    try:
        return _decode_time(payload).msg.ts_ms or None
    except (ValueError, RecursionError):
        return None
