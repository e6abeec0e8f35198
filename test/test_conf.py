"""The example tree: every file works, says what it is for, and gives a first run what it needs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest

from ssmd import wiring
from ssmd.metadata.loader import check, load
from ssmd.resolver.env import variables
from ssmd.sim.exchanges import EXCHANGES

CONF = Path(__file__).parent.parent / "conf"
TODAY = datetime.now(UTC).date()
PARTS = wiring.parts()
DESCRIBED = [
    "binance", "bybit", "coinbase", "deribit", "gateio", "htx", "htx-books", "kraken", "kucoin", "okx", "polymarket",
]  # fmt: skip
"""The exchanges that a feed's `dialect` section describes."""
OVER_HTTP = ["deribit-instruments", "kalshi-markets", "kalshi-status"]
KALSHI = ["kalshi-demo", "kalshi-dev", "kalshi-local", "kalshi-prod", "kalshi-sim"]
ENVIRONMENTS = sorted([*KALSHI, *DESCRIBED, *OVER_HTTP])
FILES = sorted(CONF.glob("*/*.yaml"))


def unexpected(problems):
    """Leave out the warning that no exchange's environment can mend: its messages have no numbers."""
    return [str(problem) for problem in problems if "has no `paths.sequence`" not in problem.message]


def test_the_tree_has_neither_errors_nor_warnings():
    report = check(CONF, TODAY, PARTS)
    assert unexpected(report.problems) == []
    assert list(report.deployments) == ENVIRONMENTS
    assert sorted(report.files) == [str(file.relative_to(CONF)) for file in FILES]


def test_every_feed_and_schema_is_used():
    deployments = check(CONF, TODAY, PARTS).deployments.values()
    assert {deployment.feed.name for deployment in deployments} == {file.stem for file in CONF.glob("feeds/*")}
    used = {deployment.schema.name for deployment in deployments if deployment.schema}
    assert used == {file.stem for file in CONF.glob("schemas/*.yaml")}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_tree_still_works_in_ten_years(name):
    assert unexpected(load(CONF, name, date(2036, 1, 1), PARTS).warnings) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_file_begins_with_a_comment(file):
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# ")
    assert max(map(len, [first, *rest])) <= 120


def test_the_simulator_needs_no_keys():
    deployment = load(CONF, "kalshi-sim", TODAY, PARTS)
    assert deployment.version.endpoint == "sim://kalshi?births=1440&open-after=20&life=120"
    assert (deployment.version.exchange, deployment.version.auth_method) == ("kalshi", "none")
    assert deployment.environment.keys == {}
    assert deployment.storage.path == "data"
    assert deployment.environment.subscribe == {
        "channels": ["orderbook_delta", "ticker", "trade", "market_lifecycle_v2"],
        "market_tickers": [f"KXSIM-{letter}" for letter in "ABCDEFGH"],
        "follow": {"series": ["KXSIMBTC", "KXSIMETH"]},
        "send_initial_snapshot": True,
        "use_yes_price": False,
    }


@pytest.mark.parametrize(
    ("name", "endpoint", "source"),
    [
        ("kalshi-dev", "wss://external-api-ws.kalshi.com/trade-api/ws/v2", "env:KALSHI_API_KEY,KALSHI_API_SECRET"),
        ("kalshi-prod", "wss://external-api-ws.kalshi.com/trade-api/ws/v2", "env:KALSHI_API_KEY,KALSHI_API_SECRET"),
        (
            "kalshi-demo",
            "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
            "env:KALSHI_DEMO_API_KEY,KALSHI_DEMO_API_SECRET",
        ),
    ],
)
def test_kalshi_with_keys(name, endpoint, source):
    deployment = load(CONF, name, TODAY, PARTS)
    assert deployment.version.endpoint == endpoint
    key = deployment.environment.keys["kalshi"]
    assert (key.type, key.fields, key.required) == ("api_key", ("api_key", "api_secret"), True)
    assert key.source == source
    assert (deployment.storage.path, deployment.environment.subscribe) == ("data", {})
    assert (deployment.schema.name, deployment.schema_version.version) == ("kalshi", "v2")


def test_the_keys_of_demo_and_real_exchange_are_kept_apart():
    dev, prod, demo = (
        set(variables(load(CONF, name, TODAY, PARTS).environment.keys["kalshi"].at("kalshi")))
        for name in ("kalshi-dev", "kalshi-prod", "kalshi-demo")
    )
    assert dev == prod
    assert not dev & demo


def test_production_collects_as_development_does():
    dev, prod = (load(CONF, name, TODAY, PARTS).environment for name in ("kalshi-dev", "kalshi-prod"))
    assert replace(prod, name=dev.name) == dev


def test_the_messages_for_kraken_have_the_right_types():
    deployment = load(CONF, "kraken", TODAY, PARTS)
    assert (deployment.version.endpoint, deployment.version.exchange) == ("wss://ws.kraken.com/v2", "generic")
    symbols = ["BTC/USD", "ETH/USD"]
    assert deployment.environment.subscribe["messages"] == [
        {"method": "subscribe", "params": {"channel": "book", "symbol": symbols, "depth": 10}},
        {"method": "subscribe", "params": {"channel": "trade", "symbol": symbols}},
        {"method": "subscribe", "params": {"channel": "ticker", "symbol": symbols}},
    ]


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_described_exchange_can_be_tried_on_its_simulator(name):
    deployment = load(CONF, name, TODAY, PARTS)
    endpoint, rules = urlsplit(deployment.version.endpoint), EXCHANGES[name]
    assert (deployment.dialect, deployment.feed.name, endpoint.scheme) == ("generic", name, "wss")
    assert endpoint.path.rstrip("/") == rules.path.rstrip("/")
    assert deployment.environment.data_timeout_seconds
    assert deployment.environment.subscribe["messages"]
    assert deployment.description


def test_every_simulated_exchange_is_described():
    # Bitstamp is the example of docs/exchanges.md, which a reader describes.
    assert sorted(EXCHANGES) == sorted([*DESCRIBED, "bitstamp"])


def test_the_commented_example_works_when_uncommented(tmp_path):
    text = (CONF / "environments/kalshi-dev.yaml").read_text(encoding="utf-8")
    example = text[text.index("# subscribe:") :]
    tree = tmp_path / "conf"
    tree.mkdir()
    for folder in ("feeds", "schemas"):
        (tree / folder).symlink_to(CONF / folder)
    (tree / "environments").mkdir()
    uncommented = "".join(line.removeprefix("# ") for line in example.splitlines(keepends=True))
    (tree / "environments/kalshi-dev.yaml").write_text(text.replace(example, uncommented))
    deployment = load(tree, "kalshi-dev", TODAY, PARTS)
    assert deployment.warnings == []
    assert [each["channels"] for each in deployment.environment.subscribe] == [
        ["orderbook_delta"],
        ["ticker", "trade", "market_lifecycle_v2"],
    ]


@pytest.mark.parametrize("file", ["kalshi.json", "kalshi-v2.json"])
def test_a_definition_is_a_json_schema(file):
    definition = json.loads((CONF / "schemas" / file).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(definition)
