"""One client's subscriptions: every command, every refusal, and the sequence numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from books import Books

from ssmd.sim.births import Births
from ssmd.sim.faults import Faults
from ssmd.sim.limits import Limits
from ssmd.sim.markets import Markets
from ssmd.sim.session import Session
from ssmd.sim.universe import FIXED, Universe

NOW = 1_790_000_000_000_000_000


class Talk:
    """A session whose commands and replies are dicts."""

    def __init__(self, births: Births | None = None, **settings: Any) -> None:
        self.markets = Markets(11, Universe(11, births, NOW // 1000))
        self.session = Session(self.markets, **settings)

    def say(self, cmd: str, params: Any = None, id: Any = 5) -> list[dict[str, Any]]:
        command = {"id": id, "cmd": cmd} | ({} if params is None else {"params": params})
        return self.raw(json.dumps(command).encode())

    def raw(self, payload: bytes) -> list[dict[str, Any]]:
        return [json.loads(reply) for reply in self.session.receive(payload, NOW)]

    def subscribe(self, *channels: str, **params: Any) -> list[dict[str, Any]]:
        return self.say("subscribe", {"channels": list(channels)} | params)

    def update(self, action: str, *tickers: str, sid: int = 1, **params: Any) -> list[dict[str, Any]]:
        return self.say("update_subscription", {"sid": sid, "action": action, "market_tickers": list(tickers)} | params)

    def produce(self, count: int) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.session.produce(count, NOW)]


    def wait(self, seconds: float) -> list[dict[str, Any]]:
        """Return what comes by itself in this time after NOW."""
        return [json.loads(frame) for frame in self.session.announce(NOW + int(seconds * 1e9))]


BOOKS = ["KXSIM-A", "KXSIM-B", "KXSIM-C"]


def code(replies: list[dict[str, Any]]) -> int:
    (reply,) = replies
    assert reply["type"] == "error"
    return int(reply["msg"]["code"])


def test_each_channel_is_acknowledged_before_the_snapshots() -> None:
    talk = Talk()
    replies = talk.subscribe("orderbook_delta", "trade", market_tickers=["KXSIM-A", "KXSIM-B"])
    assert replies[:2] == [
        {"type": "subscribed", "id": 5, "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"type": "subscribed", "id": 5, "msg": {"channel": "trade", "sid": 2}},
    ]
    assert [(r["type"], r["sid"], r["seq"], r["msg"]["market_ticker"]) for r in replies[2:]] == [
        ("orderbook_snapshot", 1, 1, "KXSIM-A"),
        ("orderbook_snapshot", 1, 2, "KXSIM-B"),
    ]
    assert [list(r) for r in replies[2:]] == [["type", "sid", "seq", "msg"]] * 2


def test_a_repeated_subscribe_merges_into_the_same_sid() -> None:
    talk = Talk()
    talk.subscribe("orderbook_delta", market_ticker="KXSIM-A")
    ok, snapshot = talk.subscribe("orderbook_delta", market_tickers=["KXSIM-A", "KXSIM-C"])
    assert ok == {"type": "ok", "id": 5, "sid": 1, "seq": 2, "msg": {"market_tickers": ["KXSIM-A", "KXSIM-C"]}}
    assert (snapshot["seq"], snapshot["msg"]["market_ticker"]) == (3, "KXSIM-C")
    (ok,) = talk.subscribe("orderbook_delta", market_ticker="KXSIM-A", skip_ticker_ack=True)
    assert ok == {"type": "ok", "id": 5, "sid": 1, "seq": 4, "msg": {}}


def test_tickers_have_a_snapshot_only_on_request() -> None:
    talk = Talk()
    assert len(talk.subscribe("ticker", market_ticker="KXSIM-A")) == 1
    ok, ticker = talk.subscribe("ticker", market_ticker="KXSIM-B", send_initial_snapshot=True)
    assert ok["type"] == "ok"
    assert "seq" not in ok
    assert list(ticker) == ["type", "sid", "msg"]
    assert ticker["msg"]["market_ticker"] == "KXSIM-B"
    assert len(Talk().subscribe("ticker", send_initial_snapshot=True)) == 9


def test_tickers_may_be_subscribed_to_by_market_id() -> None:
    talk = Talk()
    talk.subscribe("ticker", market_id=talk.markets.market("KXSIM-D").id)
    assert {frame["msg"]["market_ticker"] for frame in talk.produce(20)} == {"KXSIM-D"}


def test_use_yes_price_mirrors_the_no_side() -> None:
    plain, mirrored = Talk(), Talk()
    (_, a) = plain.subscribe("orderbook_delta", market_ticker="KXSIM-A")
    (_, b) = mirrored.subscribe("orderbook_delta", market_ticker="KXSIM-A", use_yes_price=True)
    assert a["msg"]["yes_dollars_fp"] == b["msg"]["yes_dollars_fp"]

    def mirror(price: str) -> str:
        return f"{(10_000 - int(price.replace('.', ''))) / 10_000:.4f}"

    assert [[mirror(p), s] for p, s in a["msg"]["no_dollars_fp"]] == b["msg"]["no_dollars_fp"]
    sides = set()
    for one, other in zip(plain.produce(200), mirrored.produce(200), strict=True):
        sides.add(one["msg"]["side"])
        price = one["msg"]["price_dollars"]
        assert other["msg"]["price_dollars"] == (mirror(price) if one["msg"]["side"] == "no" else price)
    assert sides == {"yes", "no"}


def test_unsubscribe_takes_a_number_and_ends_the_sid() -> None:
    talk = Talk()
    talk.subscribe("orderbook_delta", "ticker", market_ticker="KXSIM-A")
    assert talk.say("unsubscribe", {"sids": [1, 2]}) == [
        {"type": "unsubscribed", "id": 5, "sid": 1, "seq": 2},
        {"type": "unsubscribed", "id": 5, "sid": 2},
    ]
    assert not talk.session.active
    assert talk.produce(5) == []
    assert talk.subscribe("trade")[0]["msg"]["sid"] == 3


def test_markets_are_added_and_deleted_and_snapshots_sent() -> None:
    talk = Talk()
    talk.subscribe("orderbook_delta", market_ticker="KXSIM-A")
    ok, snapshot = talk.update("add_markets", "KXSIM-B", "KXSIM-A")
    assert ok["msg"]["market_tickers"] == ["KXSIM-A", "KXSIM-B"]
    assert (ok["seq"], snapshot["seq"], snapshot["msg"]["market_ticker"]) == (2, 3, "KXSIM-B")
    (ok,) = talk.update("delete_markets", "KXSIM-A")
    assert ok["msg"]["market_tickers"] == ["KXSIM-B"]
    assert ok["seq"] == 4
    (snapshot,) = talk.say(
        "update_subscription", {"sids": [1], "action": "get_snapshot", "market_tickers": ["KXSIM-B"]}, id=9
    )
    assert list(snapshot) == ["type", "id", "sid", "seq", "msg"]
    assert (snapshot["id"], snapshot["seq"]) == (9, 5)
    assert {frame["msg"]["market_ticker"] for frame in talk.produce(30)} == {"KXSIM-B"}
    talk.update("delete_markets", "KXSIM-B")
    assert not talk.session.active, "a subscription with no market left is quiet, not one for all markets"


def test_list_subscriptions() -> None:
    talk = Talk()
    talk.subscribe("ticker", "trade")
    assert talk.say("list_subscriptions", id=3) == [
        {"type": "ok", "id": 3, "msg": [{"channel": "ticker", "sid": 1}, {"channel": "trade", "sid": 2}]}
    ]


def test_an_id_of_zero_or_none_is_not_repeated() -> None:
    talk = Talk()
    assert "id" not in talk.say("list_subscriptions", id=0)[0]
    assert "id" not in talk.raw(b'{"cmd":"nothing"}')[0]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[]", b"1", b"null", b'{"id":"1","cmd":"subscribe"}', b'{"id":true,"cmd":"subscribe"}', b'{"cmd":7}',
     b'{"id":1}', b"\xff\xfe", b'{"id":NaN,"cmd":"subscribe"}', b"[" * 100_000,
     b'{"id":1,"cmd":"subscribe","params":[]}'],
)  # fmt: skip
def test_a_message_that_is_no_command_gets_error_1(payload: bytes) -> None:
    assert code(Talk().raw(payload)) == 1


@pytest.mark.parametrize(
    ("expected", "cmd", "params"),
    [
        (2, "subscribe", None),
        (2, "unsubscribe", None),
        (3, "subscribe", {}),
        (3, "subscribe", {"channels": []}),
        (4, "unsubscribe", {}),
        (4, "unsubscribe", {"sids": []}),
        (5, "sing", {}),
        (7, "unsubscribe", {"sids": [99]}),
        (7, "unsubscribe", {"sids": [1, 99]}),
        (7, "update_subscription", {"sid": "1", "action": "add_markets", "market_tickers": ["X"]}),
        (8, "subscribe", {"channels": ["ticker_v2"]}),
        (9, "subscribe", {"channels": ["trade", "fill"]}),
        (11, "subscribe", {"channels": "trade"}),
        (11, "subscribe", {"channels": ["trade"], "market_ticker": "A", "market_tickers": ["B"]}),
        (11, "subscribe", {"channels": ["trade"], "market_tickers": "A"}),
        (11, "subscribe", {"channels": ["trade"], "market_tickers": ["\ud800"]}),
        (11, "subscribe", {"channels": ["trade"], "market_id": "x"}),
        (11, "subscribe", {"channels": ["ticker"], "market_id": "x"}),
        (11, "subscribe", {"channels": ["ticker"], "send_initial_snapshot": 1}),
        (11, "unsubscribe", {"sids": ["1"]}),
        (12, "update_subscription", {"action": "add_markets", "market_tickers": ["X"]}),
        (12, "update_subscription", {"sids": [1, 2], "action": "add_markets", "market_tickers": ["X"]}),
        (12, "update_subscription", {"sid": 1, "sids": [1], "action": "add_markets", "market_tickers": ["X"]}),
        (13, "update_subscription", {"sid": 1, "action": "polish", "market_tickers": ["X"]}),
        (13, "update_subscription", {"sid": 2, "action": "get_snapshot", "market_tickers": ["X"]}),
        (13, "update_subscription", {"sid": 3, "action": "add_markets", "market_tickers": ["X"]}),
        (14, "subscribe", {"channels": ["orderbook_delta"]}),
        (14, "subscribe", {"channels": ["orderbook_delta"], "market_tickers": []}),
        (14, "update_subscription", {"sid": 1, "action": "add_markets"}),
        (15, "update_subscription", {"sid": 1, "market_tickers": ["X"]}),
        (26, "subscribe", {"channels": ["orderbook_delta"], "market_tickers": ["A", "B", "C", "D"]}),
        (26, "update_subscription", {"sid": 1, "action": "add_markets", "market_tickers": ["A", "B", "C"]}),
        (11, "update_subscription", {"sid": 2, "action": "delete_markets", "market_tickers": ["A"]}),
    ],
)
def test_refusals_carry_the_id_and_change_nothing(expected: int, cmd: str, params: Any) -> None:
    talk = Talk(limits=Limits(markets=3))
    talk.subscribe("orderbook_delta", market_ticker="KXSIM-A")
    talk.subscribe("ticker")
    talk.subscribe("market_lifecycle_v2")
    before = talk.say("list_subscriptions")
    (reply,) = talk.say(cmd, params, id=77)
    assert (reply["type"], reply["id"], reply["msg"]["code"]) == ("error", 77, expected)
    assert reply["msg"]["msg"]
    assert talk.say("list_subscriptions") == before
    (ok,) = talk.subscribe("orderbook_delta", market_ticker="KXSIM-A")
    assert (ok["seq"], ok["msg"]["market_tickers"]) == (2, ["KXSIM-A"])


def test_sequences_have_no_gaps_whatever_commands_come_in_between() -> None:
    talk = Talk()
    frames = talk.subscribe("orderbook_delta", market_tickers=["KXSIM-A", "KXSIM-B"])
    frames += talk.subscribe("trade", "ticker", "market_lifecycle_v2")
    for i in range(40):
        frames += talk.produce(100)
        frames += talk.update("add_markets", f"KXMORE-{i % 7}")
        frames += talk.update("get_snapshot", "KXSIM-A")
        frames += talk.update("delete_markets", f"KXMORE-{(i + 3) % 7}")
        frames += talk.say("subscribe", {})
    last: dict[int, int] = {}
    for frame in frames:
        if "seq" in frame:
            assert frame["seq"] == last.get(frame["sid"], 0) + 1
            last[frame["sid"]] = frame["seq"]
        else:
            assert frame["type"] in ("ticker", "subscribed", "error")
    assert set(last) == {1, 2, 4}
    assert min(last.values()) > 10


def test_as_many_messages_are_produced_as_were_requested() -> None:
    talk = Talk()
    talk.subscribe("trade", market_ticker="KXSIM-A")
    assert len(talk.produce(50)) in (50, 51)
    talk.subscribe("multivariate_market_lifecycle")
    talk.say("unsubscribe", {"sids": [1]})
    assert talk.produce(50) == [], "the simulator has no such market"


@pytest.mark.parametrize("how", ["next", "current"])
def test_every_snapshot_is_the_book_that_the_messages_before_it_give(how: str) -> None:
    talk = Talk(limits=Limits(snapshot_seq=how))
    books = Books().take_all(talk.subscribe("orderbook_delta", "trade", market_tickers=BOOKS))
    books.take_all(talk.subscribe("trade"))
    for _ in range(40):
        books.take_all(talk.produce(100))
        books.take_all(talk.update("get_snapshot", *BOOKS))
    assert (books.agreed, books.wrong, books.gaps) == (BOOKS * 40, [], 0)


@pytest.mark.parametrize("how", ["next", "current"])
def test_whether_an_answer_to_get_snapshot_uses_up_a_number_can_be_chosen(how: str) -> None:
    talk = Talk(limits=Limits(snapshot_seq=how))
    talk.subscribe("orderbook_delta", market_tickers=BOOKS)
    numbers = [(reply["id"], reply["seq"]) for reply in talk.update("get_snapshot", "KXSIM-A", "KXSIM-B")]
    (delta,) = talk.produce(1)
    assert numbers == [(5, 4), (5, 5)] if how == "next" else [(5, 3), (5, 3)]
    assert delta["seq"] == numbers[-1][1] + 1


def test_what_a_gap_loses_is_missing_in_the_books_until_the_next_snapshots() -> None:
    talk = Talk()
    opening, kept = talk.subscribe("orderbook_delta", market_ticker="KXSIM-A"), talk.produce(20)
    talk.session.lose(1, "")
    (snapshot,) = talk.update("get_snapshot", "KXSIM-A")
    without_numbers = [{**message, "seq": None} for message in [*opening, *kept, snapshot]]
    assert Books().take_all(without_numbers).wrong == ["KXSIM-A"]
    books = Books().take_all([*opening, *kept, snapshot])
    assert (books.gaps, books.wrong) == (1, [])
    books.take_all([*talk.produce(20), *talk.update("get_snapshot", "KXSIM-A")])
    assert (books.gaps, books.wrong, books.agreed) == (1, [], ["KXSIM-A"])


def test_a_gap_and_silence_of_one_channel_leave_the_others_as_they_are() -> None:
    talk = Talk()
    talk.subscribe("orderbook_delta", "trade", "ticker", market_tickers=BOOKS)
    before = {frame["sid"]: frame["seq"] for frame in talk.produce(200) if frame["type"] != "ticker"}
    talk.session.lose(3, "trade")
    after = talk.produce(200)
    first = {sid: next(f["seq"] for f in after if f["sid"] == sid) for sid in (1, 2)}
    assert first == {1: before[1] + 1, 2: before[2] + 4}
    talk.session.mute("orderbook_delta")
    assert len(talk.produce(200)) >= 200
    assert {frame["type"] for frame in talk.produce(200)} == {"trade", "ticker"}
    assert talk.update("get_snapshot", "KXSIM-A") == []
    assert talk.update("add_markets", "KXSIM-D")[0]["type"] == "ok"
    for channel in ("trade", "ticker", "market_lifecycle_v2"):
        talk.session.mute(channel)
    assert not talk.session.active


def test_a_refused_channel_has_the_code_and_the_others_are_subscribed() -> None:
    talk = Talk(faults=Faults(refused={"trade": 9}))
    assert code(talk.subscribe("trade")) == 9
    assert code(talk.subscribe("ticker", "trade")) == 9
    assert talk.subscribe("ticker")[0]["type"] == "subscribed"


def test_an_unknown_market_is_neither_confirmed_nor_sent() -> None:
    talk = Talk(faults=Faults(unknown_markets=frozenset({"KXSIM-B", "KXSIM-C"})))
    opening = talk.subscribe("orderbook_delta", market_tickers=["KXSIM-A", "KXSIM-B"])
    (ok,) = talk.subscribe("orderbook_delta", market_tickers=["KXSIM-B"])
    (more,) = talk.update("add_markets", "KXSIM-C")
    assert ok["msg"]["market_tickers"] == more["msg"]["market_tickers"] == ["KXSIM-A"]
    assert talk.update("get_snapshot", "KXSIM-B", "KXSIM-C") == []
    data = [*opening[1:], *talk.produce(100)]
    assert {message["msg"]["market_ticker"] for message in data} == {"KXSIM-A"}


def test_a_market_may_never_answer_get_snapshot() -> None:
    talk = Talk(faults=Faults(without_snapshot=frozenset({"KXSIM-B"})))
    assert len(talk.subscribe("orderbook_delta", market_tickers=BOOKS)) == 4
    answers = talk.update("get_snapshot", *BOOKS)
    assert [answer["msg"]["market_ticker"] for answer in answers] == ["KXSIM-A", "KXSIM-C"]


def test_commands_beyond_the_limit_of_a_second_get_error_27_and_change_nothing() -> None:
    talk = Talk(limits=Limits(commands_per_second=2))
    talk.subscribe("trade")
    talk.subscribe("ticker")
    refused = [talk.subscribe("market_lifecycle_v2") for _ in range(3)]
    assert [code(replies) for replies in refused] == [27] * 3
    command = json.dumps({"id": 8, "cmd": "list_subscriptions"}).encode()
    for later_ns, kind in ((999_999_999, "error"), (1_000_000_000, "ok")):
        (reply,) = talk.session.receive(command, NOW + later_ns)
        assert (json.loads(reply)["id"], json.loads(reply)["type"]) == (8, kind)
    assert [each["channel"] for each in json.loads(reply)["msg"]] == ["trade", "ticker"]


def test_ten_thousand_books_are_subscribed_to_and_confirmed_in_portions() -> None:
    talk = Talk()
    tickers = [f"KXMANY-{number:05d}" for number in range(10_000)]
    replies = []
    for first in range(0, len(tickers), 200):
        replies.append(talk.subscribe("orderbook_delta", market_tickers=tickers[first : first + 200]))
    assert [len(each) for each in replies] == [201] * 50
    assert replies[-1][0]["msg"]["market_tickers"] == tickers
    assert code(talk.subscribe("orderbook_delta", market_ticker="KXMANY-TOO-MANY")) == 26
    terse = Talk()
    terse.subscribe("orderbook_delta", market_tickers=tickers[:5000])
    assert terse.subscribe("orderbook_delta", market_tickers=tickers, skip_ticker_ack=True)[0]["msg"] == {}


def test_lose_skips_numbers_and_fail_ends_one_sid() -> None:
    talk = Talk()
    talk.subscribe("trade", "market_lifecycle_v2")
    before = [f for f in talk.produce(30) if f["sid"] == 1][-1]["seq"]
    talk.session.lose(3, "")
    after = next(f for f in talk.produce(30) if f["sid"] == 1)["seq"]
    assert after == before + 4
    error = json.loads(talk.session.fail(25))
    assert (error["type"], error["sid"], error["msg"]["code"]) == ("error", 1, 25)
    assert error["seq"] > after
    assert {f["sid"] for f in talk.produce(30)} == {2}
    assert code(talk.update("add_markets", "KXSIM-A", sid=1)) == 7
    assert talk.subscribe("trade")[0]["msg"]["sid"] == 3
    assert json.loads(Talk().session.fail(10)) == {"type": "error", "msg": {"code": 10, "msg": "Channel error"}}


BORN = Births(per_hour=3600, open_after=10, life=60)


def created(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame["msg"] for frame in frames if frame["msg"].get("event_type") == "created"]


def test_a_born_market_has_data_between_its_opening_and_its_closing() -> None:
    talk = Talk(BORN)
    talk.subscribe("market_lifecycle_v2")
    market = created(talk.wait(5))[0]
    ticker, opens = market["market_ticker"], market["open_ts"] - NOW // 10**9
    replies = talk.subscribe("orderbook_delta", "trade", "ticker", market_ticker=ticker, send_initial_snapshot=True)
    assert [reply["type"] for reply in replies] == [*["subscribed"] * 3, "orderbook_snapshot"]
    assert list(replies[3]["msg"]) == ["market_ticker", "market_id"], "the book is empty"
    books = Books().take_all(replies)
    talk.wait(opens - 0.1)
    assert talk.produce(50) == []
    talk.wait(opens)
    data = talk.produce(300)
    assert {frame["type"] for frame in data} == {"orderbook_delta", "trade", "ticker"}
    assert {frame["msg"]["market_ticker"] for frame in data} == {ticker}
    books.take_all(data + talk.update("get_snapshot", ticker, sid=2))
    assert (books.agreed, books.wrong, books.gaps) == ([ticker], [], 0)
    closes = talk.markets.universe.markets[ticker].close_ts - NOW // 10**9
    closing = [frame for frame in talk.wait(closes) if frame["type"] == "orderbook_snapshot"]
    assert [frame["msg"] for frame in closing] == [replies[3]["msg"]], "an empty book comes unasked"
    assert talk.produce(50) == []
    assert talk.update("get_snapshot", ticker, sid=2)[0]["msg"] == replies[3]["msg"]


def test_a_market_that_is_open_has_orders_from_the_start() -> None:
    talk = Talk(BORN)
    ticker = next(each for each in talk.markets.universe.open.open if each not in FIXED)
    snapshot = talk.subscribe("orderbook_delta", market_ticker=ticker)[1]
    assert {"yes_dollars_fp", "no_dollars_fp"} <= set(snapshot["msg"])


def test_all_markets_means_those_that_are_open_now() -> None:
    talk = Talk(BORN)
    talk.subscribe("ticker")
    seen = set()
    for second in range(120):
        talk.wait(second)
        tickers = {frame["msg"]["market_ticker"] for frame in talk.produce(20)}
        assert all(map(talk.markets.universe.is_open, tickers))
        seen |= tickers
    assert len(seen - set(FIXED)) > 100


def test_the_life_cycle_is_the_same_on_all_connections_and_has_its_own_time() -> None:
    talk = Talk(BORN)
    other = Session(Markets(11, talk.markets.universe))
    talk.subscribe("market_lifecycle_v2")
    other.receive(b'{"id":1,"cmd":"subscribe","params":{"channels":["market_lifecycle_v2"]}}', NOW)
    assert talk.produce(100) == []
    quiet = talk.session.quiet_seconds(NOW)
    assert 0 < quiet < 5
    assert talk.wait(quiet - 0.001) == []
    frames = talk.wait(200)
    assert [json.loads(frame) for frame in other.announce(NOW + 200 * 10**9)] == frames
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    kinds = {frame["msg"].get("event_type", frame["type"]) for frame in frames}
    paused = {"deactivated", "activated"}
    assert kinds == {"event_lifecycle", "created", "close_date_updated", "determined", "settled"} | paused


def test_lost_life_cycle_messages_are_the_same_on_all_connections_and_leave_no_gap() -> None:
    whole, lossy, again = Talk(BORN), *[Talk(BORN, faults=Faults(lost_lifecycle=0.3)) for _ in range(2)]
    found = []
    for talk in (whole, lossy, again):
        talk.subscribe("market_lifecycle_v2")
        found.append(talk.wait(600))
    assert found[1] == found[2]
    assert [frame["seq"] for frame in found[1]] == list(range(1, len(found[1]) + 1))
    assert 0.6 < len(found[1]) / len(found[0]) < 0.8


def test_a_client_that_was_too_slow_has_the_right_markets_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssmd.sim.universe._KEPT_STEPS", 10)
    talk = Talk(BORN)
    talk.subscribe("market_lifecycle_v2")
    universe = talk.markets.universe
    opened = [each for each in universe.open.open if each not in FIXED]
    later = [market.ticker for market in universe.markets.values() if market.status == "initialized"]
    talk.subscribe("trade", market_tickers=opened + later)
    universe.advance(NOW // 1000 + 30_000_000)
    assert talk.wait(30) == [], "these are not kept for it"
    data = {frame["msg"]["market_ticker"] for frame in talk.produce(500)}
    assert data == {each for each in opened + later if universe.is_open(each)}


def test_a_hundred_thousand_markets_are_added_and_deleted_in_portions() -> None:
    talk = Talk(limits=Limits(markets=100_000))
    tickers = [f"KXMANY-{number}" for number in range(100_000)]
    talk.subscribe("trade", market_ticker=tickers[0])
    for first in range(0, len(tickers), 1000):
        (ok,) = talk.update("add_markets", *tickers[first : first + 1000], skip_ticker_ack=True)
        assert ok["msg"] == {}
    assert code(talk.update("add_markets", "KXMANY-TOO-MANY")) == 26
    for first in range(1000, len(tickers), 1000):
        talk.update("delete_markets", *tickers[first : first + 1000], skip_ticker_ack=True)
    (ok,) = talk.update("add_markets", tickers[0])
    assert ok["msg"]["market_tickers"] == tickers[:1000]
    assert {frame["msg"]["market_ticker"] for frame in talk.produce(100)} <= set(tickers[:1000])
