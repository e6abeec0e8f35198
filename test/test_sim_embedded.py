"""`sim://` endpoints: their parameters, and the keys that the simulator accepts."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

import gevent
import pytest
import websocket
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from patience import PATIENCE
from sim_client import Client, headers

from ssmd.errors import ConfigError
from ssmd.sim.embedded import embedded, read_settings
from ssmd.sim.exchanges.server import ExchangeServer
from ssmd.sim.server import Simulator


def connected(endpoint: str) -> tuple[Client, Simulator]:
    started = embedded(endpoint)
    assert isinstance(started.service, Simulator)
    assert started.endpoint == started.service.endpoint
    assert started.rest_endpoint == started.service.rest_endpoint
    gevent.spawn(started.service.serve)
    private = load_pem_private_key(started.keys["api_secret"].encode(), None)
    return Client(started.service, signed=headers(None, started.keys["api_key"], private)), started.service


def test_its_own_keys_are_accepted_and_no_others() -> None:
    client, simulator = connected("sim://kalshi")
    with client:
        client.subscribe("ticker")
        assert client.message()["type"] == "subscribed"
        with pytest.raises(Exception, match="401"):
            Client(simulator)
    simulator.stop()


def test_rate_seed_and_faults() -> None:
    client, simulator = connected("sim://kalshi/?rate=0&seed=5&close-after=20&fault=gap-after=10")
    with client:
        client.subscribe("trade")
        numbers = [message["seq"] for message in client.messages(20)[1:]]
        assert numbers[-1] - numbers[0] == 18 + 3
        assert client.close_code()[0] == 1001
    simulator.stop()


def test_limits_and_faults_of_channels() -> None:
    client, simulator = connected("sim://kalshi?market-limit=2&command-limit=10&snapshot-seq=current&refuse=trade:9")
    with client:
        client.subscribe("trade")
        assert client.message()["msg"]["code"] == 9
        client.subscribe("orderbook_delta", market_tickers=["A", "B", "C"])
        assert client.message()["msg"]["code"] == 26
        client.subscribe("orderbook_delta", market_tickers=["A", "B"])
        assert [message.get("seq") for message in client.messages(3)] == [None, 1, 2]
        client.send(id=2, cmd="update_subscription", params={"sid": 1, "action": "get_snapshot", "market_ticker": "A"})
        for _ in range(300):
            client.send(id=3, cmd="list_subscriptions")
        found = client.until("error")
        assert found[-1]["msg"]["code"] == 27
        [place] = [index for index, message in enumerate(found) if message.get("id") == 2]
        assert found[place]["seq"] == max([2, *(message["seq"] for message in found[:place])])
    simulator.stop()


def test_births_and_the_rest_interface() -> None:
    client, simulator = connected("sim://kalshi?births=3600&faster=10&rest-html=2&request-limit=3")
    with client:
        client.subscribe("market_lifecycle_v2")
        assert client.until("market_lifecycle_v2")[-1]["msg"]["event_type"]
    answers = []
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=PATIENCE)
        connection.request("GET", f"{urlsplit(simulator.rest_endpoint).path}/markets?status=unopened")
        answers.append(connection.getresponse().read())
        connection.close()
    assert [answer[:9] for answer in answers] == [b'{"markets', b"<!DOCTYPE", b'{"markets']
    simulator.stop()


def test_replay(tmp_path: Path) -> None:
    path = tmp_path / "some frames.jsonl"
    path.write_bytes(b'{"n":1}\n{"n":2}\n')
    client, simulator = connected(f"sim://kalshi?replay={path}")
    with client:
        client.subscribe("trade")
        assert client.messages(2) == [{"n": 1}, {"n": 2}]
        assert client.close_code() == (1000, "end of recording")
    simulator.stop()


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("sim://", "sim://kalshi"),
        ("sim://nasdaq", "sim://kalshi"),
        ("sim://kalshi/deeper", "sim://kalshi"),
        ("sim://[", "sim://kalshi"),
        ("sim://kalshi?speeed=1", "speed"),
        ("sim://kalshi?rate=fast", "rate"),
        ("sim://kalshi?rate=-1", "rate"),
        ("sim://kalshi?rate=nan", "rate"),
        ("sim://kalshi?seed=x", "seed"),
        ("sim://kalshi?close-after=x", "close-after=N"),
        ("sim://kalshi?fault=explode", "slow-handshake"),
        ("sim://kalshi?market-limit=0", "market-limit must be a whole number, 1 or more, not '0'"),
        ("sim://kalshi?command-limit=many", "command-limit must be"),
        ("sim://kalshi?request-limit=0", "request-limit must be"),
        ("sim://kalshi?births=many", "births must be a number, 0 or more, not 'many'"),
        ("sim://kalshi?births=1&life=0", "life must be a number above 0, not '0'"),
        ("sim://kalshi?births=1000000&life=36000", "would make 11,022,222 markets at once; at most 1,000,000"),
        ("sim://kalshi?lose-lifecycle=1.5", "fault 'lose-lifecycle=1.5' must have the form lose-lifecycle=SHARE"),
        (f"sim://kalshi?births=3&replay={__file__}", "made-up"),
        (f"sim://kalshi?rest-down&replay={__file__}", "made-up"),
        ("sim://kalshi?snapshot-seq=last", "snapshot-seq must be next or current, not 'last'"),
        (f"sim://kalshi?market-limit=3&replay={__file__}", "made-up"),
        ("sim://kalshi?replay=/nonexistent.jsonl", "there is no such file"),
        ("sim://kraken?replay=x", "sim://kraken: unknown parameter 'replay'; there are: rate, seed, faster, fault, "),
        ("sim://kraken?faster=0", "sim://kraken: faster must be more than 0"),
        ("sim://coinbase?notice-after=1", "unknown parameter 'notice-after'"),
        ("sim://kucoin", "sim://kucoin: a client asks it for a token .* `ssmd sim --exchange kucoin`"),
        ("sim://kraken?refuse=trades", "there is no such channel"),
    ],
)
def test_an_error_names_what_exists(endpoint: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        embedded(endpoint)


def test_another_exchange_needs_no_key_and_the_generic_dialect() -> None:
    started = embedded("sim://kraken?rate=0&faster=10&close-after=9")
    assert started.keys == {}
    assert isinstance(started.service, ExchangeServer)
    gevent.spawn(started.service.serve)
    client = websocket.create_connection(started.endpoint, timeout=PATIENCE)
    client.send('{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD"]}}')
    assert [json.loads(client.recv()) for _ in range(9)][-1]["channel"] == "trade"
    assert client.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    client.shutdown()
    started.service.stop()
    assert read_settings("sim://kraken").dialect == "generic"
    assert read_settings("sim://kalshi").dialect == "kalshi"
