"""Kalshi's WebSocket API, version 2: the keys and the signed handshake.

What is sent and read after it is in connection.py. Protocol facts are from https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.dialect import USUAL, Terms
from ssmd.contracts.exchange import Inspector, MessageReader, Opening
from ssmd.contracts.http import HttpRequest
from ssmd.contracts.table import Table
from ssmd.errors import ConfigError, SsmdError, printable
from ssmd.exchange.kalshi.channels import BOOKS
from ssmd.exchange.kalshi.checks import problems_of
from ssmd.exchange.kalshi.connection import KalshiConnection
from ssmd.exchange.kalshi.division import part_of
from ssmd.exchange.kalshi.follow.endpoint import rest_endpoint_of
from ssmd.exchange.kalshi.follow.following import Following, Subscribed
from ssmd.exchange.kalshi.follow.make import requests_to, what_to_follow, with_life_cycles
from ssmd.exchange.kalshi.follow.markets import Markets
from ssmd.exchange.kalshi.follow.section import Follow, follows_of
from ssmd.exchange.kalshi.inspector import KalshiInspector
from ssmd.exchange.kalshi.keys import problems_of_fields, read_keys
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.exchange.kalshi.section import channels_of, sections_of

__all__ = ["Kalshi"]


class Kalshi(KalshiConnection):
    """The dialect of one connection.

    `keys`: see keys.py; raises ConfigError when one cannot be used.
    `subscribe`: the environment's section. It has the parameters of Kalshi's `subscribe` command, which are sent as
    they are; or it is a list of such sections.
    """

    knows_markets: ClassVar = True
    can_be_divided: ClassVar = True
    rest_without_keys: ClassVar = True

    def __init__(self, keys: Mapping[str, str], subscribe: Any, terms: Terms = USUAL) -> None:
        part, follows = part_of(subscribe, terms.shard), follows_of(subscribe)
        super().__init__(with_life_cycles(part, follows), terms.snapshots, terms.commands_per_second)
        self._terms = terms
        self._key_id, self._private_key = read_keys(keys)
        self._sent_headers: Mapping[str, str] = {}
        if follows:
            requests = requests_to(terms.rest_endpoint, self._signed)
            self.follow(Following(requests, terms.shard.of, follows, *self._what_to_follow(part, follows)))

    def _what_to_follow(self, part: Any, follows: Mapping[int, Follow]) -> tuple[Markets, Subscribed]:
        return what_to_follow(self.subscriptions, part, follows, self._terms.shard, self._terms.most_markets)

    @classmethod
    def check_description(cls, description: Mapping[str, Any]) -> Iterator[FieldProblem]:
        """Report a description, since Kalshi's messages are known. Existing feeds may have `message_types`."""
        for name in description:
            if name == "message_types":
                message = "has no effect in this version: the dialect `kalshi` knows Kalshi's messages"
                yield FieldProblem((name,), message, warning=True, lenient=True)
            else:
                yield FieldProblem((), "is for the dialect `generic`: `kalshi` knows Kalshi's messages; remove it")
                return

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> type[Kalshi]:
        return cls

    @classmethod
    def needed_to_read(cls, description: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    @classmethod
    def check(cls, subscribe: Any) -> Iterator[FieldProblem]:
        return problems_of(subscribe)

    @classmethod
    def check_endpoint(cls, endpoint: str) -> str | None:
        return "has `${`, and the dialect `kalshi` has no placeholders; write the URL out" if "${" in endpoint else None

    @classmethod
    def rest_endpoint(cls, endpoint: str) -> str:
        return rest_endpoint_of(endpoint)

    @classmethod
    def followed(cls, subscribe: Any) -> Sequence[str]:
        return [str(follow) for follow in follows_of(subscribe).values()]

    @classmethod
    def check_keys(cls, fields: Sequence[str], endpoint: str, subscribe: Any) -> Iterator[FieldProblem]:
        return problems_of_fields(fields)

    @classmethod
    def inspector(cls) -> Inspector:
        return KalshiInspector()

    @classmethod
    def reader(cls) -> MessageReader:
        return KalshiReader()

    @classmethod
    def tables(cls) -> Sequence[Table]:
        from ssmd.exchange.kalshi.tables import TABLES  # Only what makes Parquet needs them.

        return TABLES

    def prepare(self, now_ms: int) -> HttpRequest | None:
        return None

    def prepared(self, answer: bytes) -> None:
        pass

    def expects_text(self, payload: bytes) -> bool:
        return False

    def closed(self, code: int | None, reason: str) -> SsmdError | None:
        return None

    @property
    def idle(self) -> str:
        if self.subscriptions.channels:
            return ""
        return f"nothing of what the environment names is for shard {self._terms.shard}, so no message is expected"

    def reconfigure(self, subscribe: Any) -> None:
        part, follows = part_of(subscribe, self._terms.shard), follows_of(subscribe)
        if self.idle and any(map(channels_of, sections_of(part))):
            # The time-outs of a connection on which no message is expected are off, and stay so.
            raise ConfigError(f"shard {self._terms.shard} has had no market so far; restart the run")
        if follows and self._following is None:
            raise ConfigError("`follow` can be changed on an open connection, but not begun; restart the run")
        super().reconfigure(with_life_cycles(part, follows))
        if self._following is not None:
            self._following.change_to(follows, *self._what_to_follow(part, follows))

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        self.begin(now_ms)
        self._sent_headers = self._signed("GET", urlsplit(endpoint).path or "/", now_ms)
        return Opening(endpoint, self._sent_headers, hidden=self._sent_headers.values(), signed=True)

    def hidden(self) -> Collection[str]:
        return [self._key_id, *self._sent_headers.values()]

    def _signed(self, method: str, path: str, now_ms: int) -> Mapping[str, str]:
        """Return the headers of a signed request. The signature is of the time in ms, the method and the path without
        host or query, joined without separators (https://docs.kalshi.com/getting_started/api_keys).
        """
        from ssmd.exchange.kalshi.signing import sign  # As in read_keys().

        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(now_ms),
            "KALSHI-ACCESS-SIGNATURE": sign(self._private_key, f"{now_ms}{method}{path}".encode()),
        }

    @classmethod
    def channel_names(cls, subscribe: Any) -> Sequence[str]:
        return [channel for section in sections_of(subscribe) for channel in channels_of(section)]

    @classmethod
    def markets(cls, subscribe: Any) -> Collection[str]:
        lists = [section.get("market_tickers") for section in sections_of(subscribe)]
        return {str(name) for tickers in lists if isinstance(tickers, list) for name in tickers}

    @classmethod
    def book_channels(cls, subscribe: Any) -> Sequence[str]:
        return [channel for channel in cls.channel_names(subscribe) if channel == BOOKS]

    def _shown(self, value: object) -> str:
        """Leave out what was sent in the handshake, which Kalshi's errors may repeat."""
        return printable(str(value), hidden=self.hidden())
