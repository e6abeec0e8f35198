"""Each fault: how it is written, and what a client gets."""

from __future__ import annotations

import http.client
import json
import math
import re
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import websocket
from patience import PATIENCE
from sim_client import PATH, Client, eventually, served

from ssmd.errors import UsageError
from ssmd.sim.faults import FAULTS, GARBAGE, Fault, Faults
from ssmd.sim.limits import Limits
from ssmd.sim.replay import Recording
from ssmd.sim.rest_faults import RestFaults

ALL = {"market_tickers": ["KXSIM-A", "KXSIM-B", "KXSIM-C"]}


def faulty(*texts: str, **settings: Any) -> Any:
    return served(faults=Faults.parse(texts), **settings)


def test_parse() -> None:
    texts = ["gap-after=9", "close-after=0", " error-after=5:25 ", "status=503", "slow-handshake=1.5"]
    faults = Faults.parse([*texts, "gap-after=10:trade", "mute-after=7:orderbook_delta"])
    assert faults.counted == (
        Fault(0, "close"),
        Fault(5, "error", 25),
        Fault(7, "mute", channel="orderbook_delta"),
        Fault(9, "gap"),
        Fault(10, "gap", channel="trade"),
    )
    assert (faults.status, faults.handshake_delay) == (503, 1.5)
    assert Faults.parse(["slow-handshake"]).handshake_delay == math.inf
    assert Faults.parse([]) == Faults()
    named = Faults.parse(["refuse=trade:9", "refuse=ticker:8", "unknown-market=A", "unknown-market=B", "no-snapshot=C"])
    assert named.refused == {"trade": 9, "ticker": 8}
    assert (sorted(named.unknown_markets), sorted(named.without_snapshot)) == (["A", "B"], ["C"])


def test_parse_faults_of_new_markets_and_of_the_rest_interface() -> None:
    texts = ["lose-lifecycle=0.1", "rest-down=10-40.5", "rest-slow=2", "rest-cut=3", "rest-html=4", "rest-late=0.5"]
    faults = Faults.parse(texts)
    assert (faults.lost_lifecycle, faults.rest) == (0.1, RestFaults((10, 40.5), 2, 3, 4, 0.5))
    assert Faults.parse(["rest-down"]).rest.down == (0, math.inf)


@pytest.mark.parametrize(
    "text",
    ["", "explode", "close-after", "close-after=", "close-after=-1", "close-after=x", "close-after=5:1", "gap-after=٣",
     "error-after=5", "error-after=5:", "error-after=5:0", "error-after=:5", "status=99", "status=ok", "status=600",
     "slow-handshake=", "slow-handshake=-1", "slow-handshake=nan", "slow-handshake=inf", "slow-after=3",
     "close-after=9999999999999999999999", "mute-after=5", "mute-after=5:", "gap-after=5:", "gap-after=x:trade",
     "refuse=trade", "refuse=trade:", "refuse=:9", "refuse=trade:0", "unknown-market", "unknown-market=",
     "no-snapshot", "lose-lifecycle", "lose-lifecycle=2", "lose-lifecycle=-0.1", "rest-down=", "rest-down=5",
     "rest-down=5-", "rest-down=x-5", "rest-slow", "rest-slow=x", "rest-cut", "rest-cut=0", "rest-html=",
     "rest-late=-1", "rest-gone=1"],
)  # fmt: skip
def test_a_fault_that_is_wrong_names_the_forms_that_it_has_or_else_all_faults(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Faults.parse([text])
    forms = [name for name in FAULTS if name.partition("=")[0] == text.partition("=")[0]] or list(FAULTS)
    assert str(caught.value).endswith((f" must have the form {' or '.join(forms)}", f" there are: {', '.join(forms)}"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rest-down=5", "fault 'rest-down=5' must have the form rest-down or rest-down=FROM-UNTIL"),
        ("gap-after", "fault 'gap-after' must have the form gap-after=N or gap-after=N:CHANNEL"),
        ("rest-down=10-5", "fault 'rest-down=10-5': it ends before it begins"),
        ("rest-slo=3", "unknown fault 'rest-slo=3'; there are: close-after=N, "),
    ],
)
def test_an_error_shows_the_form_of_a_fault(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        Faults.parse([text])


@pytest.mark.parametrize("text", ["mute-after=5:trades", "gap-after=5:Trade", "refuse=orderbook:9"])
def test_a_fault_of_a_channel_that_does_not_exist_is_refused(text: str) -> None:
    """Otherwise it would have no effect."""
    with pytest.raises(UsageError, match=f"fault .{text}.: there is no such channel; there are: orderbook_delta, "):
        Faults.parse([text])


def test_close_after() -> None:
    with faulty("close-after=7") as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        assert len(client.messages(7)) == 7
        assert client.close_code() == (1001, "simulated fault: close-after")


def test_close_after_no_frame_at_all() -> None:
    with faulty("close-after=0") as simulator, Client(simulator) as client:
        assert client.close_code()[0] == 1001


def test_reset_after() -> None:
    with faulty("reset-after=7") as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        with pytest.raises(ConnectionResetError):
            # A reset discards what the client has not read yet, so how many messages arrive is chance.
            client.messages(8)
        eventually(lambda: simulator.clients == 0)


def test_truncate_after() -> None:
    with faulty("truncate-after=7") as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        client.messages(7)
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            client.frame()


@pytest.mark.parametrize("kind", ["freeze", "silent"])
def test_freeze_and_silent(kind: str) -> None:
    with faulty(f"{kind}-after=7", heartbeat=0.05) as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        client.messages(7)
        client.ws.ping("still there?")
        client.subscribe("trade")
        seen: list[tuple[int, bytes]] = []
        client.ws.settimeout(0.2)
        end = time.monotonic() + (0.3 if kind == "silent" else 3)
        while time.monotonic() < end and len(seen) < 5:
            try:
                frame = client.ws.recv_frame()
            except websocket.WebSocketTimeoutException:
                continue
            seen.append((frame.opcode, frame.data))
        if kind == "silent":
            assert seen == []
        else:
            assert (websocket.ABNF.OPCODE_PONG, b"still there?") in seen
            assert seen.count((websocket.ABNF.OPCODE_PING, b"heartbeat")) > 2
            assert {opcode for opcode, _ in seen} == {websocket.ABNF.OPCODE_PONG, websocket.ABNF.OPCODE_PING}
        assert simulator.clients == 1
        client.ws.shutdown()
        eventually(lambda: simulator.clients == 0)


def test_gap_after() -> None:
    with faulty("gap-after=20") as simulator, Client(simulator) as client:
        client.subscribe("trade")
        numbers = [message["seq"] for message in client.messages(60)[1:]]
        steps = [b - a for a, b in pairwise(numbers)]
        assert sorted(set(steps)) == [1, 4]
        assert steps.count(4) == 1


def test_a_gap_of_one_channel() -> None:
    with faulty("gap-after=20:trade") as simulator, Client(simulator) as client:
        client.subscribe("trade", "market_lifecycle_v2")
        numbers: dict[int, list[int]] = {1: [], 2: []}
        while min(map(len, numbers.values())) < 20:
            message = client.message()
            if "seq" in message:
                numbers[message["sid"]].append(message["seq"])
        steps = {sid: {b - a for a, b in pairwise(each)} for sid, each in numbers.items()}
        assert steps == {1: {1, 4}, 2: {1}}


@pytest.mark.parametrize("path", [PATH, "/any"])
def test_after_mute_after_a_channel_sends_nothing_and_the_others_go_on(path: str) -> None:
    with faulty("mute-after=40:ticker") as simulator, Client(simulator, path) as client:
        client.subscribe("trade", "ticker")
        before = client.messages(40)
        assert {message["type"] for message in before} >= {"trade", "ticker"}
        client.messages(2)  # One more may have been made already.
        assert {message["type"] for message in client.messages(100)} == {"trade"}


def test_refusals_and_markets_that_are_not_answered() -> None:
    faults = ("refuse=trade:9", "unknown-market=KXSIM-B", "no-snapshot=KXSIM-A")
    with faulty(*faults, limits=Limits(markets=2), rate=1) as simulator, Client(simulator) as client:
        client.subscribe("trade")
        assert client.message()["msg"]["code"] == 9
        client.subscribe("orderbook_delta", market_tickers=["KXSIM-A", "KXSIM-B", "KXSIM-C"])
        assert [message["type"] for message in client.messages(3)] == ["subscribed", *["orderbook_snapshot"] * 2]
        client.send(id=2, cmd="update_subscription", params={"sids": [1], "action": "get_snapshot"} | ALL)
        assert client.until("orderbook_snapshot")[-1]["msg"]["market_ticker"] == "KXSIM-C"
        client.subscribe("orderbook_delta", market_tickers=["KXSIM-D"])
        assert client.until("error")[-1]["msg"]["code"] == 26


@pytest.mark.parametrize("settings", [{"faults": Faults.parse(["refuse=trade:9"])}, {"limits": Limits(markets=2)},
                                      {"faults": Faults.parse(["mute-after=1:trade"])}])  # fmt: skip
def test_what_has_no_effect_on_a_recording_is_refused(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_bytes(b"{}\n")
    with pytest.raises(UsageError, match="made-up"), served(replay=Recording((path,)), **settings):
        pass


def test_error_after() -> None:
    with faulty("error-after=20:25") as simulator, Client(simulator) as client:
        client.subscribe("trade", "ticker")
        seen = client.until("error")
        assert 20 <= len(seen) - 1 <= 22
        assert seen[-1]["sid"] == 1
        assert seen[-1]["msg"] == {"code": 25, "msg": "Subscription buffer overflow"}
        assert {message["sid"] for message in client.messages(50)} == {2}


@pytest.mark.parametrize("status", [200, 302, 403, 429, 503, 599])
def test_status(status: int) -> None:
    with faulty(f"status={status}") as simulator:
        connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=PATIENCE)
        connection.request("GET", "/other", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        response = connection.getresponse()
        body = response.read()
        assert response.status == status
        assert body == b"Forbidden" if status == 403 else "error" in json.loads(body)
        assert (response.getheader("Location") is not None) == (status == 302)
        assert response.getheader("Retry-After") == ("2" if status == 429 else None)


def test_slow_handshake() -> None:
    with faulty("slow-handshake") as simulator:
        with pytest.raises(websocket.WebSocketTimeoutException):
            websocket.create_connection(simulator.endpoint, timeout=0.2)
        eventually(lambda: simulator.clients == 0)
    with faulty("slow-handshake=0.3") as simulator:
        start = time.monotonic()
        with Client(simulator, "/other"):
            assert time.monotonic() - start > 0.28


def test_garbage_after() -> None:
    with faulty("garbage-after=5") as simulator, Client(simulator) as client:
        client.subscribe("ticker")
        client.messages(5)
        frames = [client.frame() for _ in GARBAGE]
        assert [opcode for opcode, _ in frames] == [1, 1, 2, 1, 1, 1]
        assert frames[-1][1] == b""
        for _, data in frames:
            with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
                msgspec.json.decode(data)
        assert {message["type"] for message in client.messages(20)} == {"ticker"}


def test_several_faults_in_order_and_on_each_connection() -> None:
    with faulty("close-after=9", "gap-after=4") as simulator:
        for _ in range(2):
            with Client(simulator) as client:
                client.subscribe("trade")
                numbers = [message["seq"] for message in client.messages(9)[1:]]
                assert numbers[-1] - numbers[0] == 10
                assert client.close_code()[0] == 1001


def test_faults_on_the_generic_path() -> None:
    with faulty("error-after=3:10", "gap-after=4", "close-after=6") as simulator, Client(simulator, "/any") as client:
        assert [message["type"] == "error" for message in client.messages(6)].count(True) == 1
        assert client.close_code()[0] == 1001
