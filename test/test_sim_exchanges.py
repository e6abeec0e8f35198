"""Each simulated exchange with a plain client: it connects, subscribes, gets data, and is refused as it should be."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

import gevent
import pytest
import websocket
from patience import PATIENCE

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
        serving.get(timeout=PATIENCE)


class Client:
    """A plain client. Messages are JSON documents, or texts."""

    def __init__(self, endpoint: str) -> None:
        self.ws = websocket.create_connection(endpoint, timeout=PATIENCE)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.ws.shutdown()

    def send(self, message: Any) -> None:
        if isinstance(message, dict) and message.get("time", 0) is None:
            message = message | {"time": int(time.time())}
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


def read_without_answering(client: Client) -> NoReturn:
    """Read frames, but answer no ping. Raises WebSocketConnectionClosedException at the end."""
    while True:
        client.ws.recv_frame()


def address(server: ExchangeServer) -> str:
    """Return where to connect; KuCoin gives a token for it first."""
    if server.rules is not EXCHANGES["kucoin"]:
        return server.endpoint
    with urllib.request.urlopen(f"http://{server.address}/api/v1/bullet-public", b"", timeout=PATIENCE) as response:
        data = json.load(response)["data"]
    return f"{data['instanceServers'][0]['endpoint']}?token={urllib.parse.quote(data['token'])}"


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


def _deribit(number: int, *channels: str) -> Any:
    return {"jsonrpc": "2.0", "id": number, "method": "public/subscribe", "params": {"channels": channels}}


def _gateio(number: int, channel: str, *payload: str) -> Any:
    """`time` is filled in when the message is sent: Gate.io refuses another one than the current one."""
    return {"time": None, "id": number, "channel": channel, "event": "subscribe", "payload": payload}


def _kucoin(number: str, topic: str) -> Any:
    return {"id": number, "type": "subscribe", "topic": topic, "response": True}


SMOKE: dict[str, Smoke] = {
    "binance": Smoke(
        {"method": "SUBSCRIBE", "params": ["btcusdt@depth@100ms"], "id": 7},
        lambda m: m == {"result": None, "id": 7},
        lambda m: m.get("stream") == "btcusdt@depth@100ms" and m["data"]["s"] == "BTCUSDT",
        {"method": "SUBSCRIBE", "params": ["nopeusdt@trade"], "id": 8},
        lambda m: m.get("code") == 2,
        "Invalid request: invalid stream nopeusdt@trade",
    ),
    "bitstamp": Smoke(
        {"event": "bts:subscribe", "data": {"channel": "diff_order_book_btcusd"}},
        lambda m: m == {"event": "bts:subscription_succeeded", "channel": "diff_order_book_btcusd", "data": {}},
        lambda m: m["channel"] == "diff_order_book_btcusd" and m["event"] == "data" and m["data"]["microtimestamp"],
        {"event": "bts:subscribe", "data": {"channel": "live_trades_nope"}},
        lambda m: m["event"] == "bts:error",
        "Bad subscription string",
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
    "deribit": Smoke(
        _deribit(2, "book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms", "ticker.NOPE.100ms"),
        lambda m: m.get("result") == ["book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms"] and m["id"] == 2,
        lambda m: m.get("method") == "subscription" and "prev_change_id" in m["params"]["data"],
        _deribit(3, "book.NOPE.100ms"),
        lambda m: m.get("result") == [],
        "'id': 3",
    ),
    "gateio": Smoke(
        _gateio(1, "spot.obu", "ob.BTC_USDT.50"),
        lambda m: m.get("event") == "subscribe" and m["result"]["status"] == "success" and m["id"] == 1,
        lambda m: m.get("channel") == "spot.obu" and "U" in m["result"],
        _gateio(2, "spot.trades", "NOPE_USDT"),
        lambda m: m.get("error"),
        "unknown currency pair: NOPE_USDT",
    ),
    "htx": Smoke(
        {"sub": "market.btcusdt.trade.detail", "id": "1"},
        lambda m: m.get("subbed") == "market.btcusdt.trade.detail" and m["status"] == "ok" and m["id"] == "1",
        lambda m: m.get("ch") == "market.btcusdt.trade.detail" and m["tick"]["data"],
        {"sub": "market.btcusdt.mbp.150", "id": "2"},
        lambda m: m.get("status") == "error" and m["err-code"] == "bad-request",
        "invalid topic market.btcusdt.mbp.150",
    ),
    "htx-books": Smoke(
        {"sub": "market.btcusdt.mbp.150", "id": "1"},
        lambda m: m.get("subbed") == "market.btcusdt.mbp.150" and m["status"] == "ok",
        lambda m: m.get("ch") == "market.btcusdt.mbp.150" and m["tick"]["prevSeqNum"] < m["tick"]["seqNum"],
        {"req": "market.nopeusdt.mbp.150", "id": "2"},
        lambda m: m.get("status") == "error",
        "invalid topic market.nopeusdt.mbp.150",
    ),
    "kucoin": Smoke(
        _kucoin("1", "/market/level2:BTC-USDT,ETH-USDT"),
        lambda m: m == {"id": "1", "type": "ack"},
        lambda m: m.get("subject") == "trade.l2update" and m["topic"] == "/market/level2:ETH-USDT",
        _kucoin("2", "/market/match:NOPE-USDT"),
        lambda m: m.get("type") == "error" and m["code"] == 404,
        "topic /market/match:NOPE-USDT is not found",
    ),
    "polymarket": Smoke(
        {"type": "market", "assets_ids": list(EXCHANGES["polymarket"].markets), "custom_feature_enabled": True},
        lambda m: isinstance(m, list) and [each["event_type"] for each in m] == ["book"] * 3,
        lambda m: m["event_type"] == "best_bid_ask",
        {"assets_ids": ["NOPE"], "operation": "subscribe"},
        lambda m: "error" in m,
        "invalid asset id: NOPE",
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
    with served(name) as server, Client(address(server)) as client:
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
    with served(name, *(f"refuse={channel}" for channel in channels)) as server, Client(address(server)) as client:
        client.send(smoke.subscribe)
        client.until(smoke.is_refusal)


@pytest.mark.parametrize("name", [name for name in EXCHANGES if "notice-after=N" in faults_of(name)])
def test_after_its_notice_the_connection_ends(name: str) -> None:
    with served(name, "notice-after=20", faster=100) as server, Client(address(server)) as client:
        client.send(SMOKE[name].subscribe)
        client.closed()


# What makes an exchange end a connection on which the client only subscribes, and how it does.
CUT: dict[str, tuple[Any, tuple[int | None, str]]] = {
    "coinbase": ({"type": "subscribe"}, (None, "")),
    "kraken": ({"method": "ping"}, (None, "")),
    "okx": ("ping", (4004, "No data received in 30s")),
    "deribit": (
        {"jsonrpc": "2.0", "id": 1, "method": "public/set_heartbeat", "params": {"interval": 10}},
        (4000, "heartbeat close"),
    ),
    "gateio": (_gateio(1, "spot.trades", "BTC_USDT"), (None, "")),
    "htx": (SMOKE["htx"].subscribe, (1003, "ping check expired")),
    "htx-books": (SMOKE["htx-books"].subscribe, (1003, "ping check expired")),
    "kucoin": (SMOKE["kucoin"].subscribe, (1000, "Bye")),
    "polymarket": (SMOKE["polymarket"].subscribe, (None, "")),
}


@pytest.mark.parametrize("name", CUT)
def test_a_client_that_gives_no_sign_of_life_is_cut(name: str) -> None:
    message, ending = CUT[name]
    with served(name, faster=100) as server, Client(address(server)) as client:
        client.send(message)
        assert client.closed() == ending


def test_bybit_cuts_a_client_that_only_listens() -> None:
    with served("bybit", faster=1000) as server, Client(server.endpoint) as client:
        client.send(SMOKE["bybit"].subscribe)
        assert client.closed() == (None, "")


def test_binance_cuts_a_client_that_does_not_answer_its_pings_or_sends_too_fast() -> None:
    with served("binance", faster=100) as server, Client(server.endpoint) as client:
        client.send(SMOKE["binance"].subscribe)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            read_without_answering(client)
    with served("binance") as server, Client(server.endpoint) as client:
        for _ in range(6):
            client.ws.ping()
        assert client.closed() == (1008, "Too many requests")


def test_binance_goes_on_while_its_pings_are_answered() -> None:
    with served("binance", faster=50) as server, Client(server.endpoint) as client:
        pings = 0
        while pings < 5:
            opcode, _ = client.ws.recv_data(control_frame=True)  # This answers pings.
            pings += opcode == websocket.ABNF.OPCODE_PING
        client.send(SMOKE["binance"].subscribe)
        client.until(SMOKE["binance"].is_data)


def test_coinbase_closes_a_quiet_connection_and_its_heartbeats_keep_it_open() -> None:
    quiet = {"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"]}
    with served("coinbase", "freeze-after=0", faster=100) as server, Client(server.endpoint) as client:
        client.send(quiet)
        assert client.closed() == (None, "")
    with served("coinbase", "freeze-after=0", faster=100) as server, Client(server.endpoint) as client:
        client.send(quiet)
        client.send({"type": "subscribe", "channel": "heartbeats"})
        client.until(lambda m: m["channel"] == "heartbeats" and m["events"][0]["heartbeat_counter"] == "150")


@pytest.mark.parametrize("name", [name for name in EXCHANGES if EXCHANGES[name].connects])
def test_too_many_connections_are_refused(name: str) -> None:
    number, _ = EXCHANGES[name].connects or (0, 0)
    with served(name, faster=0.001) as server:
        where = address(server)
        for _ in range(number):
            Client(where).ws.shutdown()
        with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
            Client(where)


def test_the_book_of_kraken_has_the_right_checksum_at_every_update() -> None:
    with served("kraken", rate=0) as server, Client(server.endpoint) as client:
        client.send(SMOKE["kraken"].subscribe)
        book: dict[str, dict[float, float]] = {"asks": {}, "bids": {}}
        seen = 0
        while seen < 300:
            message = client.until(lambda m: m.get("channel") == "book")
            [data] = message["data"]
            for side in book:
                book[side].update({level["price"]: level["qty"] for level in data[side]})
                best = sorted(((p, q) for p, q in book[side].items() if q), reverse=side == "bids")
                book[side] = dict(best[:10])
            texts = [f"{p:.1f} {q:.4f}" for side in book for p, q in book[side].items()]
            digits = "".join(part.replace(".", "").lstrip("0") for text in texts for part in text.split())
            assert zlib.crc32(digits.encode()) == data["checksum"]
            seen += 1


# For each exchange: what makes it number messages, and the numbers of one: of the message before it, and of its own.
NUMBERED: dict[str, Callable[[Any], tuple[int, int] | None]] = {
    "binance": lambda m: (m["data"]["U"] - 1, m["data"]["u"]) if "stream" in m else None,
    "bybit": lambda m: (m["data"]["u"] - 1, m["data"]["u"]) if m.get("type") == "delta" else None,
    "coinbase": lambda m: (m["sequence_num"] - 1, m["sequence_num"]) if "sequence_num" in m else None,
    "okx": lambda m: (m["data"][0]["prevSeqId"], m["data"][0]["seqId"]) if m.get("action") == "update" else None,
}


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("faults", [(), ("gap-after=50",)])
def test_numbers_show_each_loss_and_nothing_else(name: str, faults: tuple[str, ...]) -> None:
    with served(name, *faults, rate=0) as server, Client(server.endpoint) as client:
        client.send(SMOKE[name].subscribe)
        last, gaps, seen = None, 0, 0
        while seen < 200:
            numbers = NUMBERED[name](client.message())
            if numbers is not None:
                gaps += last not in (None, numbers[0])
                last = numbers[1]
                seen += 1
        assert gaps == len(faults)


def test_okx_shows_a_book_that_does_not_change() -> None:
    with served("okx", rate=0.001, faster=100) as server, Client(server.endpoint) as client:
        client.send(SMOKE["okx"].subscribe)
        client.until(lambda m: m.get("action") == "snapshot")
        message: Any = "pong"
        while message == "pong":
            client.send("ping")
            message = client.message()
        [data] = message["data"]
        assert (data["asks"], data["bids"], data["prevSeqId"]) == ([], [], data["seqId"])


def test_deribit_ends_a_connection_without_any_message() -> None:
    with served("deribit", faster=100) as server, Client(address(server)) as client:
        assert client.closed() == (None, "")


def test_deribit_goes_on_while_its_test_requests_are_answered() -> None:
    with served("deribit", faster=50) as server, Client(address(server)) as client:
        client.send(CUT["deribit"][0])
        for _ in range(5):
            client.until(lambda m: m.get("params") == {"type": "test_request"})
            client.send({"jsonrpc": "2.0", "id": 9, "method": "public/test", "params": {}})
        assert client.until(lambda m: m.get("id") == 9)["result"]["version"]


def test_htx_goes_on_while_its_pings_are_answered() -> None:
    with served("htx", faster=50) as server, Client(address(server)) as client:
        for _ in range(5):
            client.send({"pong": client.until(lambda m: "ping" in m)["ping"]})
        assert "ping" in client.message()


@pytest.mark.parametrize(
    ("name", "message", "code", "text"),
    [
        ("deribit", _deribit(2, "book.BTC-PERPETUAL.raw"), 13778, "raw_subscriptions_not_available_for_unauthorized"),
        ("deribit", _deribit(2, *["book.BTC-PERPETUAL.100ms"] * 501), -32602, "Invalid params"),
        ("gateio", _gateio(1, "spot.trades", "BTC_USDT") | {"time": 123456}, 2, "60 seconds"),
        ("gateio", {"channel": "spot.trades", "event": "subscribe"}, 1, "invalid request body"),
        ("kucoin", _kucoin("1", "/market/match:" + ",".join(["BTC-USDT"] * 101)), 509, "exceed max subscription count"),
    ],
)
def test_what_an_exchange_does_not_allow(name: str, message: Any, code: int, text: str) -> None:
    with served(name) as server, Client(address(server)) as client:
        client.send(message)
        refusal = client.until(lambda m: "error" in str(m))
        error = refusal.get("error", refusal)
        assert (error["code"], text in str(refusal)) == (code, True)


def test_a_limit_of_messages_is_kept() -> None:
    with served("deribit") as server, Client(address(server)) as client:
        for number in range(11):
            client.send({"jsonrpc": "2.0", "id": number, "method": "public/test", "params": {}})
        assert client.until(lambda m: "error" in m)["error"] == {"message": "too_many_requests", "code": 10028}
    with served("kucoin") as server, Client(address(server)) as client:
        for number in range(101):
            client.send({"id": str(number), "type": "ping"})
        assert client.until(lambda m: m["type"] == "error")["code"] == 509
    with served("htx-books") as server, Client(address(server)) as client:
        client.send(SMOKE["htx-books"].subscribe)
        for _ in range(2):
            client.send({"req": "market.btcusdt.mbp.150", "id": "2"})
        assert client.until(lambda m: "rep" in m)["data"]["bids"]
        assert client.until(lambda m: m.get("status") == "error")["err-code"] == "too-many-request"


def test_kucoin_needs_a_token_that_it_has_given() -> None:
    with served("kucoin") as server:
        for query in ("", "?token=wrong"):
            with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
                Client(server.endpoint + query)


def test_kucoin_ends_a_connection_with_its_token() -> None:
    with served("kucoin", faster=10 * 86_400) as server, Client(address(server)) as client:
        assert client.closed() == (1000, "Bye")


def test_polymarket_does_not_know_a_ping_before_a_subscription() -> None:
    with served("polymarket") as server, Client(address(server)) as client:
        client.send("PING")
        assert client.closed() == (1008, "invalid subscription payload")


def test_polymarket_answers_a_ping() -> None:
    with served("polymarket") as server, Client(address(server)) as client:
        client.send(SMOKE["polymarket"].subscribe)
        client.send("PING")
        assert client.until(lambda m: isinstance(m, str)) == "PONG"
        client.send({"assets_ids": list(EXCHANGES["polymarket"].markets)[:1], "operation": "subscribe"})
        assert client.until(lambda m: isinstance(m, str)) == "NO NEW ASSETS"
