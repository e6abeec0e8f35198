"""The names under which engines have messages."""

import re
from urllib.parse import unquote

import pytest

from ssmd.contracts.sink import Position
from ssmd.shipping.subjects import LONGEST, Subjects, default_prefix, fault_of_prefix, token

SUBJECTS = Subjects("prod.kalshi")

HOSTILE = [
    "", "_", "__", ".", "..", "a.b", "a..b", ".a", "a.", "*", ">", "#", "+", "$SYS", "a b", "a/b", "a\tb", "a\r\nb",
    "%", "%5F", "~", "é", "日本", "\x00", "\ud800", "💰", "BTC/USD", "BTC-USD", "KXBTC-26NOV28.5",
]  # fmt: skip


def read_back(subject: str) -> tuple[str, str, str]:
    """Return section, name and market of a subject, as a consumer would."""
    section, name, *market = subject.removeprefix("prod.kalshi.").split(".")
    return section, text_of(name), ".".join(map(text_of, market))


def text_of(part: str) -> str:
    return "" if part == "_" else unquote(part, errors="surrogatepass")


@pytest.mark.parametrize(
    ("type", "market", "subject"),
    [
        ("trade", "KXBTC-26NOV28", "prod.kalshi.json.trade.KXBTC-26NOV28"),
        ("orderbook_delta", "KXHIGHNY-26JUN24-B82.5", "prod.kalshi.json.orderbook.KXHIGHNY-26JUN24-B82.5"),
        ("event_lifecycle", "", "prod.kalshi.json.event_lifecycle"),
        ("ok", "", "prod.kalshi.control.ok"),
        ("fill", "KXBTC-26NOV28", "prod.kalshi.private.fill.KXBTC-26NOV28"),
        ("", "", "prod.kalshi.private._"),
    ],
)
def test_subjects_of_kalshi(type, market, subject):
    assert SUBJECTS.of("kalshi", [(type, market)]) == [subject]


def test_the_market_of_another_exchange_is_one_token():
    assert SUBJECTS.of("generic", [("trades", "BTC/USD"), ("book.L2", "BTC.P")]) == [
        "prod.kalshi.json.trades.BTC%2FUSD",
        "prod.kalshi.json.book%2EL2.BTC%2EP",
    ]


@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
@pytest.mark.parametrize("market", HOSTILE)
def test_a_market_is_read_back_from_its_subject_whatever_its_characters(exchange, market):
    subject = SUBJECTS.of_one(exchange, "trade", market)
    assert read_back(subject) == ("json", "trade", market)
    assert all(re.fullmatch("[A-Za-z0-9_%-]+", part) for part in subject.split("."))


@pytest.mark.parametrize("type", HOSTILE)
def test_a_type_is_read_back_from_its_subject_whatever_its_characters(type):
    assert read_back(SUBJECTS.of_one("generic", type, "BTC")) == ("json", type, "BTC")


@pytest.mark.parametrize("letter", ["x", "é", "/", "x."])
@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
def test_a_name_that_no_server_takes_is_cut_and_stays_its_own(exchange, letter):
    markets = [letter * length for length in range(LONGEST // 4, LONGEST + 20)] + [letter * 100_000 + "y"]
    subjects = SUBJECTS.of(exchange, [("trade", market) for market in markets])
    names = [subject.removeprefix("prod.kalshi.json.trade.") for subject in subjects]
    assert len(set(names)) == len(markets)
    assert max(map(len, names)) <= LONGEST
    whole = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+(?:%-[0-9a-f]{32})?|%-[0-9a-f]{32}")
    assert all(whole.fullmatch(part) for name in names for part in name.split("."))


def test_names_are_made_once_and_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr("ssmd.shipping.subjects._MOST_CACHED", 3)
    subjects = Subjects("p")
    first = subjects.of("kalshi", [("trade", "A")])[0]
    assert subjects.of("kalshi", [("trade", "A")])[0] is first
    subjects.of("kalshi", [("trade", str(number)) for number in range(3)])
    assert subjects.of("kalshi", [("trade", "A")])[0] is not first


def test_a_slash_is_between_the_tokens_of_mqtt():
    subjects = Subjects("prod/kalshi", "/")
    assert subjects.of("kalshi", [("trade", "KXBTC-B82.5")]) == ["prod/kalshi/json/trade/KXBTC-B82.5"]
    assert subjects.of("generic", [("a/b", "#")]) == ["prod/kalshi/json/a%2Fb/%23"]


def test_each_shard_has_a_subject_for_its_positions():
    position = Position("kalshi.v2", "", "2026-01-31", 0, 0)
    assert SUBJECTS.position(position) == "prod.kalshi.position.kalshi%2Ev2"
    assert SUBJECTS.position(position._replace(shard="2of4")) == "prod.kalshi.position.kalshi%2Ev2.2of4"


def test_an_environment_without_a_prefix_has_its_name_and_its_feeds():
    assert default_prefix("prod", "kalshi") == "prod.kalshi"
    assert default_prefix("kalshi.prod", "kalshi", "/") == "kalshi%2Eprod/kalshi"
    assert fault_of_prefix(default_prefix("kalshi.prod", "kalshi")) == ""


def test_a_token_alone():
    assert token("BTC/USD") == "BTC%2FUSD"
    assert token("") == "_"


@pytest.mark.parametrize("prefix", ["prod.kalshi.crypto", "md", "a-b_c.d%2E"])
def test_a_prefix_of_a_user(prefix):
    assert fault_of_prefix(prefix) == ""


@pytest.mark.parametrize(
    ("prefix", "fault"),
    [
        ("", "has an empty part"), (".a", "has an empty part"), ("a.", "has an empty part"), ("a..b", "an empty part"),
        ("a.*", "letters, digits"), (">", "letters, digits"), ("$JS.a", "letters, digits"), ("a b", "letters, digits"),
        ("é", "letters, digits"), ("a/b", "letters, digits"), ("a" * 256, "longer than 255"),
    ],
)  # fmt: skip
def test_a_prefix_that_no_engine_takes(prefix, fault):
    assert fault in fault_of_prefix(prefix)


def test_a_prefix_of_mqtt_may_have_dots():
    assert fault_of_prefix("prod.v2/kalshi", "/") == ""
    assert "empty part" in fault_of_prefix("/kalshi", "/")
