"""Each simulated exchange with a plain client: it connects, subscribes, gets data, and is refused as it should be."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import gevent
import pytest
import websocket

from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.rules import Setting
from ssmd.sim.exchanges.server import ExchangeServer, faults_of, read_faults


@contextmanager
def served(name: str, *faults: str, **setting: Any) -> Iterator[ExchangeServer]:
    server = ExchangeServer(name, "127.0.0.1", 0, Setting(**setting), read_faults(name, faults))
    serving = gevent.spawn(server.serve)
    try:
        yield server
    finally:
        server.stop()
        serving.get(timeout=5)


class Client:
    """A plain client. Messages are JSON documents, or texts."""

    def __init__(self, endpoint: str) -> None:
        self.ws = websocket.create_connection(endpoint, timeout=10)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.shutdown()

    def send(self, message: Any) -> None:
        self.ws.send(message if isinstance(message, str) else json.dumps(message))

    def message(self) -> Any:
        """Return the next message. Raises WebSocketConnectionClosedException when the exchange has ended it."""
        data = self.ws.recv()
        if isinstance(data, bytes):
            data = zlib.decompress(data, 31).decode()
        try:
            return json.loads(data)
        except ValueError:
            return data

    def until(self, condition: Callable[[Any], Any]) -> Any:
        """Return the first message for which the condition holds."""
        while not condition(message := self.message()):
            pass
        return message

    def closed(self) -> tuple[int | None, str]:
        """Read up to the end of the connection; return the close code and the reason, None for a bare end."""
        while True:
            try:
                opcode, data = self.ws.recv_data(control_frame=True)
            except websocket.WebSocketConnectionClosedException:
                return None, ""
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big"), data[2:].decode()


class Smoke(NamedTuple):
    """What to send to an exchange, and how to know its answers."""

    subscribe: Any
    is_confirmed: Callable[[Any], Any]
    is_data: Callable[[Any], Any]
    unknown: Any
    """A subscription to something that does not exist."""
    is_refusal: Callable[[Any], Any]
    quote: str
    """What the refusal of `unknown` says."""


SMOKE: dict[str, Smoke] = {
    "binance": Smoke(
        {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 7},
        lambda m: m == {"result": None, "id": 7},
        lambda m: m.get("stream") == "btcusdt@depth@100ms" and m["data"]["s"] == "BTCUSDT",
        {"method": "SUBSCRIBE", "params": ["nopeusdt@trade"], "id": 8},
        lambda m: m.get("code") == 2,
        "Invalid request: invalid stream nopeusdt@trade",
    ),
    "bybit": Smoke(
        {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"], "req_id": "7"},
        lambda m: m.get("op") == "subscribe" and m["success"] and m["req_id"] == "7",
        lambda m: m.get("topic") == "orderbook.50.BTCUSDT" and m["type"] == "delta" and m["data"]["s"] == "BTCUSDT",
        {"op": "subscribe", "args": ["publicTrade.NOPEUSDT"]},
        lambda m: m.get("success") is False,
        "Invalid topic: publicTrade.NOPEUSDT",
    ),
    "coinbase": Smoke(
        {"type": "subscribe", "channel": "level2", "product_ids": ["BTC-USD"]},
        lambda m: m["channel"] == "subscriptions" and m["events"] == [{"subscriptions": {"level2": ["BTC-USD"]}}],
        lambda m: m["channel"] == "l2_data" and m["events"][0]["product_id"] == "BTC-USD",
        {"type": "subscribe", "channel": "ticker", "product_ids": ["NOPE-USD"]},
        lambda m: m.get("type") == "error",
        "NOPE-USD",
    ),
    "kraken": Smoke(
        {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD"]}, "req_id": 1},
        lambda m: m.get("success") is True and m["result"]["symbol"] == "BTC/USD" and m["req_id"] == 1,
        lambda m: m.get("channel") == "book" and m["type"] == "update" and m["data"][0]["symbol"] == "BTC/USD",
        {"method": "subscribe", "params": {"channel": "book", "symbol": ["NOPE/USD"]}},
        lambda m: m.get("success") is False,
        "Currency pair not supported NOPE/USD",
    ),
    "okx": Smoke(
        {"op": "subscribe", "args": [{"channel": "books", "instId": "BTC-USDT"}], "id": "7"},
        lambda m: m.get("event") == "subscribe" and m["arg"] == {"channel": "books", "instId": "BTC-USDT"},
        lambda m: m.get("action") == "update" and m["arg"]["instId"] == "BTC-USDT",
        {"op": "subscribe", "args": [{"channel": "books", "instId": "NOPE-USDT"}]},
        lambda m: m.get("event") == "error" and m["code"] == "60018",
        "channel:books,instId:NOPE-USDT doesn't exist",
    ),
}


@pytest.mark.parametrize("name", SMOKE)
def test_it_confirms_sends_data_and_refuses_an_unknown_market(name: str) -> None:
    smoke = SMOKE[name]
    with served(name) as server, Client(server.endpoint) as client:
        client.send(smoke.subscribe)
        client.until(smoke.is_confirmed)
        client.until(smoke.is_data)
        client.send(smoke.unknown)
        assert smoke.quote in str(client.until(smoke.is_refusal))


def test_every_exchange_is_tried() -> None:
    assert set(SMOKE) == set(EXCHANGES)


@pytest.mark.parametrize("name", SMOKE)
def test_the_same_seed_gives_the_same_markets(name: str) -> None:
    rules = EXCHANGES[name]
    one, other, third = (rules(Setting(seed=seed), {}, {}) for seed in (1, 1, 2))
    channel, market = next(channel for channel, weight in rules.channels.items() if weight), next(iter(rules.markets))
    books = [each.subscribe(channel, market).market.book() for each in (one, other, third)]
    assert books[0] == books[1] != books[2]


@pytest.mark.parametrize("name", SMOKE)
def test_a_channel_can_be_refused(name: str) -> None:
    smoke = SMOKE[name]
    channels = [channel for channel, weight in EXCHANGES[name].channels.items() if weight]
    with served(name, *(f"refuse={channel}" for channel in channels)) as server, Client(server.endpoint) as client:
        client.send(smoke.subscribe)
        client.until(smoke.is_refusal)


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "notice-after=N" in faults_of(name)])
def test_after_its_notice_the_connection_ends(name: str) -> None:
    with served(name, "notice-after=20", faster=100) as server, Client(server.endpoint) as client:
        client.send(SMOKE[name].subscribe)
        client.closed()
