"""The fields of an environment about silence and order books: what is accepted, refused, or has no effect."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest
from process import KEYS, make_tree, ssmd

from ssmd import wiring
from ssmd.errors import ConfigError
from ssmd.metadata.loader import check, load

BOOKS = "subscribe: {channels: [orderbook_delta, trade], market_tickers: [A]}\n"
TRADES = "subscribe: {channels: [trade]}\n"
LIVE, SIMULATED = "wss://example.com/ws", "sim://kalshi"


def loaded(folder: Path, environment: str, endpoint: str = SIMULATED, exchange: str = "kalshi"):
    tree = make_tree(folder, endpoint, exchange, "", environment)
    return load(tree, "test", date(2026, 1, 1), wiring.parts())


def problems(folder: Path, *arguments: str, **more: str) -> list[str]:
    """What is wrong with an environment, warnings included, without the name of its file."""
    try:
        found = [str(problem) for problem in loaded(folder, *arguments, **more).warnings]
    except ConfigError as error:
        found = str(error).split("\n")
    return [text.partition(": ")[2] for text in found]


def test_the_fields_are_given_to_the_run(tmp_path):
    environment = loaded(
        tmp_path,
        "channel_timeout_seconds: {trade: 600, orderbook_delta: 0.5}\nsilent_after_seconds: 60\n"
        f"snapshots: {{after_gap: end, daily: false, per_second: 50}}\n{BOOKS}",
    ).environment
    assert environment.channel_timeout_seconds == {"trade": 600, "orderbook_delta": 0.5}
    limits = wiring._limits(environment)
    assert (limits.silent_seconds, limits.timeout_seconds["trade"]) == (60, 600)
    assert (environment.snapshots.after_gap, environment.snapshots.daily) == ("end", False)
    assert environment.snapshots.per_second == 50


def test_the_defaults(tmp_path):
    environment = loaded(tmp_path, BOOKS).environment
    assert wiring._limits(environment)[:2] == (900, {})
    assert (environment.snapshots.after_gap, environment.snapshots.daily) == ("request", True)
    assert environment.snapshots.per_second == 200


def test_0_switches_the_report_of_silence_off(tmp_path):
    assert wiring._limits(loaded(tmp_path, f"silent_after_seconds: 0\n{BOOKS}").environment).silent_seconds == math.inf


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("silent_after_seconds: -1", "silent_after_seconds: must be at least 0, not `-1`"),
        ("silent_after_seconds: never", "silent_after_seconds: must be a number, not `never`"),
        ("channel_timeout_seconds: 5", "channel_timeout_seconds: must be a mapping (`key: value` lines), not `5`"),
        ("channel_timeout_seconds: {trade: 0}", "channel_timeout_seconds.trade: must be more than 0, not `0`"),
        (
            "channel_timeout_seconds: {ticker: 5}",
            "channel_timeout_seconds.ticker: this channel is not subscribed; there are `orderbook_delta`, `trade`",
        ),
        (
            "channel_timeout_seconds: {trades: 5}",
            "channel_timeout_seconds.trades: this channel is not subscribed; did you mean `trade`?",
        ),
        ("snapshots: {after_gap: stop}", "snapshots.after_gap: must be one of request, end, not `stop`"),
        ("snapshots: {per_second: 0}", "snapshots.per_second: must be more than 0, not `0`"),
        ("snapshots: {dayly: true}", "snapshots.dayly: ssmd does not know this key; did you mean `daily`?"),
    ],
)
def test_an_impossible_value_is_an_error_that_names_the_field(tmp_path, text, problem):
    assert problems(tmp_path, f"{text}\n{BOOKS}") == [problem]


def test_without_books_snapshots_have_no_effect(tmp_path):
    [problem] = problems(tmp_path, f"snapshots: {{daily: false}}\n{TRADES}")
    assert problem == "snapshots: has no effect: it acts for Kalshi's order books only, and none are subscribed"
    assert problems(tmp_path / "unset", TRADES) == []


def test_with_a_dialect_that_knows_no_channels_the_fields_about_silence_have_no_effect(tmp_path):
    text = "channel_timeout_seconds: {trade: 5}\nsilent_after_seconds: 900\nsnapshots: {daily: true}\n"
    assert problems(tmp_path, text, endpoint=LIVE, exchange="generic") == [
        "channel_timeout_seconds: has no effect: the exchange's dialect does not know channels",
        "silent_after_seconds: has no effect: the exchange's dialect does not know channels",
        "snapshots: has no effect: it acts for Kalshi's order books only, and none are subscribed",
        "versions[0].dialect: has no `paths.sequence`, so lost messages cannot be detected on this feed",
    ]


@pytest.mark.parametrize("exchange", ["kalshi", "generic"])
def test_a_live_environment_without_a_data_timeout_is_a_warning_that_says_what_to_set(tmp_path, exchange):
    subscribe = TRADES if exchange == "kalshi" else ""
    tree = make_tree(tmp_path, LIVE, exchange, "", subscribe)
    environment = tree / "environments" / "test.yaml"
    assert "data_timeout_seconds: 3600\n" in environment.read_text()
    assert ssmd("validate", "--strict", "--config-dir", tree).returncode == 0
    environment.write_text(environment.read_text().replace("data_timeout_seconds: 3600\n", ""))
    done = ssmd("validate", "--config-dir", tree)
    assert done.returncode == 0
    [warning] = [line for line in done.stdout.splitlines() if line.startswith("warning: environments/")]
    assert "data_timeout_seconds: is not set" in warning
    assert "set it to 300, or to more seconds than this feed is ever silent" in warning
    assert ssmd("validate", "--strict", "--config-dir", tree).returncode == 78


@pytest.mark.parametrize("key", ["data_timeout", "data_timeout_second", "data-timeout-seconds"])
def test_a_misspelt_data_timeout_is_one_error(tmp_path, key):
    tree = make_tree(tmp_path, LIVE, "kalshi", "", TRADES)
    environment = tree / "environments" / "test.yaml"
    environment.write_text(environment.read_text().replace("data_timeout_seconds: 3600", f"{key}: 3600"))
    with pytest.raises(ConfigError) as refused:
        load(tree, "test", date(2026, 1, 1), wiring.parts())
    [problem] = str(refused.value).split("\n")
    assert problem.endswith(f"{key}: ssmd does not know this key; did you mean `data_timeout_seconds`?")
    assert "is not set" not in ssmd("validate", "--config-dir", tree).stdout


def test_a_run_logs_that_warning_too(tmp_path):
    tree = make_tree(tmp_path, "ws://127.0.0.1:1/trade-api/ws/v2", "kalshi", "", TRADES)
    environment = tree / "environments" / "test.yaml"
    environment.write_text(environment.read_text().replace("data_timeout_seconds: 3600\n", ""))
    done = ssmd("run", "test", "--config-dir", tree, "--listen", "127.0.0.1:0", **KEYS)
    assert done.returncode == 69
    assert done.stderr.count("data_timeout_seconds: is not set") == 1


def test_a_simulated_exchange_needs_no_data_timeout(tmp_path):
    tree = make_tree(tmp_path, SIMULATED, "kalshi", "", TRADES)
    environment = tree / "environments" / "test.yaml"
    environment.write_text(environment.read_text().replace("data_timeout_seconds: 3600\n", ""))
    assert ssmd("validate", "--strict", "--config-dir", tree).returncode == 0


@pytest.mark.parametrize("subscribe", [TRADES, "subscribe: [{channels: [trade]}, {channels: [ticker]}]\n"])
def test_keep_listing_has_no_effect_where_no_markets_are_followed(tmp_path, subscribe):
    [problem] = problems(tmp_path, f"keep_listing: true\n{subscribe}")
    assert problem.endswith("has no effect: nothing in `subscribe` has a `follow`")
    assert problems(tmp_path / "without", subscribe) == []


FOLLOW = "subscribe: {channels: [trade], follow: all}\n"


def followed(folder: Path, endpoint: str, version: str = "") -> list[str]:
    """What is wrong about `follow` and `rest_endpoint` where markets are followed at this endpoint."""
    tree = make_tree(folder, endpoint, "kalshi", version, FOLLOW)
    report = check(tree, date(2026, 1, 1), wiring.parts())
    return [str(problem) for problem in report.problems if not problem.warning]


def test_markets_are_followed_where_it_is_known_where_they_are_listed(tmp_path):
    for number, endpoint in enumerate((SIMULATED, "wss://demo-api.kalshi.co/trade-api/ws/v2", "ws://127.0.0.1:1/x")):
        assert followed(tmp_path / str(number), endpoint) == []
    [problem] = followed(tmp_path, LIVE)
    assert "follows markets, and where the exchange lists them is not known for this endpoint" in problem
    assert problem.endswith("set `rest_endpoint` beside `endpoint` in feeds/test.yaml:7")
    assert followed(tmp_path, LIVE, "  rest_endpoint: https://example.com/v2\n") == []


def test_a_recording_lists_no_markets_to_follow(tmp_path):
    (tmp_path / "frames.jsonl").write_text('{"type":"trade"}\n')
    endpoint = f"sim://kalshi?replay={tmp_path / 'frames.jsonl'}"
    [problem] = followed(tmp_path, endpoint)
    where = "leave `replay` out of the endpoint in feeds/test.yaml:7, or name the markets"
    assert problem.endswith(f"follows markets, and a replayed recording has no list of them; {where}")
    assert followed(tmp_path, endpoint, "  rest_endpoint: http://127.0.0.1:1/v2\n") == []


@pytest.mark.parametrize("url", ["example.com/v2", "wss://example.com/v2", "https://", "https://example.com/?a=1"])
def test_a_rest_endpoint_is_a_url_of_http(tmp_path, url):
    _, problem = followed(tmp_path, LIVE, f"  rest_endpoint: {url}\n")
    assert "versions[0].rest_endpoint" in problem
    assert "must be a URL that begins with https:// or http://" in problem
