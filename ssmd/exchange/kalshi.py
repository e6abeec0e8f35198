"""Kalshi's WebSocket API, version 2: the signed handshake and the subscriptions.

The messages are read in kalshi_inspector.py. Protocol facts are from https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.exchange import Asked, ChannelState, Inspection, Inspector, SnapshotPolicy
from ssmd.errors import printable
from ssmd.exchange.kalshi_channels import BOOKS
from ssmd.exchange.kalshi_inspector import KalshiInspector
from ssmd.exchange.kalshi_keys import problems_of_fields, read_keys
from ssmd.exchange.signing import sign
from ssmd.exchange.subscription import channels_of, commands_of, problems_of, sections_of

__all__ = ["Kalshi"]


class Kalshi(KalshiInspector):
    """The dialect of one connection: what it sends; its inspector reads what arrives.

    `keys`: see kalshi_keys.py; raises ConfigError when one cannot be used.
    `subscribe`: the environment's section. It has the parameters of Kalshi's `subscribe` command, which are sent as
    they are; or it is a list of such sections.
    """

    tick_seconds: float | None = None

    def __init__(self, keys: Mapping[str, str], subscribe: Any, snapshots: SnapshotPolicy | None = None) -> None:
        super().__init__()
        self._key_id, self._private_key = read_keys(keys)
        self._sent_headers: dict[str, str] = {}
        self._commands: list[bytes] = []
        for params in [params for section in sections_of(subscribe) for params in commands_of(section)]:
            command_id = len(self._commands) + 1
            self._pending[command_id] = list(dict.fromkeys(params["channels"]))
            self._tickers[command_id] = list(params.get("market_tickers", []))
            command = {"id": command_id, "cmd": "subscribe", "params": params}
            self._commands.append(json.dumps(command, separators=(",", ":")).encode())

    @classmethod
    def check(cls, subscribe: Any) -> Iterator[FieldProblem]:
        return problems_of(subscribe)

    @classmethod
    def check_keys(cls, fields: Sequence[str]) -> Iterator[FieldProblem]:
        return problems_of_fields(fields)

    @classmethod
    def inspector(cls) -> Inspector:
        return KalshiInspector()

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        """The signature is of the time in ms, the method and the path without host or query, joined without separators
        (https://docs.kalshi.com/getting_started/api_keys).
        """
        self._sent_headers = {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
            "KALSHI-ACCESS-SIGNATURE": sign(self._private_key, f"{now_ms}GET{path}".encode()),
        }
        return self._sent_headers

    def commands(self) -> Sequence[bytes]:
        return self._commands

    @classmethod
    def channel_names(cls, subscribe: Any) -> Sequence[str]:
        return [channel for section in sections_of(subscribe) for channel in channels_of(section)]

    @classmethod
    def book_channels(cls, subscribe: Any) -> Sequence[str]:
        return [channel for channel in cls.channel_names(subscribe) if channel == BOOKS]

    def asked(self) -> Sequence[Asked]:
        return ()

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True)

    def channels(self) -> Sequence[ChannelState]:
        return ()

    def unheard(self, channel: str) -> Sequence[str]:
        return ()

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return ()

    def unacknowledged(self) -> Sequence[str]:
        return [
            f"{channel} (command {command_id})"
            for command_id, channels in self._pending.items()
            for channel in channels
        ]

    def _shown(self, value: object) -> str:
        """Leave out what was sent in the handshake, which Kalshi's errors may repeat."""
        return printable(str(value), hidden=[self._key_id, *self._sent_headers.values()])
