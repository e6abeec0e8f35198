"""Reading Kalshi's messages: what they confirm or refuse, and where the numbers of a sequence have gaps.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml, and so are the names: a command carries an `id`, a
subscription is a `sid`, and `seq` counts the messages of one `sid`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ssmd.contracts.exchange import Acknowledged, Event, Gap, Inspection
from ssmd.errors import Disconnected, SsmdError, SubscriptionRefused, printable
from ssmd.exchange.kalshi_channels import channel_named

__all__ = ["MOST_SIDS", "KalshiInspector"]

MOST_SIDS = 100_000
"""An exchange that numbers the messages of more subscriptions is broken or malicious, and ends the run: Kalshi gives a
connection one sid for each channel. So many take up to 12 MB. All sids count, not only those that Kalshi has confirmed:
data may arrive before its confirmation, and its gaps count too."""

# Errors that are not about the request: the channel broke (10), the exchange failed (17) or was too slow (18), the
# subscription's buffer overflowed (25), too many commands at once (27). A restart helps.
_RESTART_HELPS = frozenset({10, 17, 18, 25, 27})

# Messages without an id that are not data. ssmd never unsubscribes, so after `unsubscribed` the messages are over.
_ENDINGS = ("error", "unsubscribed")

_TOO_MANY_SIDS = f"Kalshi has numbered the messages of more than {MOST_SIDS:,} subscriptions"

_LARGEST_REPLY = 1024 * 1024
"""Of longer messages only the head is read: more would take seconds."""

# Larger integers are not exact as floats, and sums and metrics made of them could overflow.
_LARGEST = 2**53
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]


class _Head(msgspec.Struct, gc=False):
    """The fields at the top of a message. The decoder skips the rest, after it has checked that it is JSON."""

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


class KalshiInspector:
    """Reads the messages of one connection: follows its subscriptions and the numbers of each sequence."""

    numbered = True

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
        events: list[Event] = []
        failure: SsmdError | None = None
        next_seq = self._next_seq
        # The hot loop. Replies are numbered like data: `ok`, `unsubscribed` and errors about a subscription use up a
        # number. A message without a number (0 here, real ones begin at 1) is of a channel that does not count, such as
        # ticker. Only replies to commands carry an id.
        for index, head in enumerate(heads):
            seq = head.seq
            if seq:
                sid = head.sid
                if next_seq.get(sid) != seq:
                    if sid in next_seq:
                        events.append(Gap(sid, next_seq[sid], seq, index))
                    elif len(next_seq) >= MOST_SIDS:
                        # The sids of these messages are still kept, so that gaps in them show; the run ends after them.
                        failure = failure or Disconnected(_TOO_MANY_SIDS)
                next_seq[sid] = seq + 1
            if head.id or head.type in _ENDINGS:
                ending = self._reply(head, payloads[index], index, events)
                failure = failure or ending
        return Inspection(decoded, events, _exchange_ms(payloads[-1]), failure, heads)

    def _reply(self, head: _Head, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        """Match a reply to its command, and add what it confirms to `events`; return the error that ends the run, if
        it is one.
        """
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
            # The reply to a further list of tickers, for a channel that is subscribed already.
            confirmed = [self._channels[head.sid]] if head.sid in self._channels else list(pending)
        else:
            return None
        for channel in confirmed:
            if channel in pending:
                pending.remove(channel)
                known = sid if isinstance(sid, int) else None
                tickers = self._tickers[head.id] if channel_named(channel).lists else []
                events.append(Acknowledged(channel, known, index, tickers, _tickers_in(body)))
        return None

    def _error(self, body: Mapping[str, Any], sid: int) -> SsmdError:
        code = body.get("code", "without a code")
        about = [self._shown(body[name]) for name in ("market_ticker", "market_tickers") if body.get(name)]
        reason = self._shown(body.get("msg", "no reason given"))
        text = f"Kalshi error {self._shown(code)}{self._where(sid)}: {reason}" + "".join(f" ({item})" for item in about)
        if isinstance(code, int) and code in _RESTART_HELPS:
            return Disconnected(f"{text}; that subscription is over")
        return SubscriptionRefused(f"{text}; correct the environment's subscribe section")

    def _where(self, sid: int) -> str:
        return f" on {self._channels.get(sid, 'a subscription')} (sid {sid})" if sid else ""

    def _shown(self, value: object) -> str:
        """Return a value that Kalshi has sent as text for a log."""
        return printable(str(value))


def _head(payload: bytes) -> _Head:
    """Return the head of a message of any form: the fields that can be used, and the defaults for the others."""
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
    """Return the content of a message that may be invalid in detail; empty when it is not a JSON object at all."""
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
