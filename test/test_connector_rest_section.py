"""The `subscribe` section of a REST feed: what is accepted, what is refused, and the URLs that come of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from process import make_tree, ssmd

from ssmd import wiring
from ssmd.connector.rest.section import problems_of, read_requests
from ssmd.errors import ConfigError
from ssmd.metadata.loader import load

GOOD = {"path": "/markets", "every": "60s"}


def found(*requests: Any) -> list[tuple[str, str]]:
    """Return the problems of these requests: the path within the request, and the message."""
    problems = list(problems_of({"requests": list(requests)}))
    return [(".".join(map(str, problem.path[2:])), problem.message) for problem in problems]


def target(cursor: str | None = None, **fields: Any) -> str:
    assert found(GOOD | fields) == []
    [spec] = read_requests({"requests": [GOOD | fields]})
    return spec.target(cursor)


@pytest.mark.parametrize(
    ("every", "seconds"),
    [("60s", 60), ("5m", 300), ("1.5h", 5400), ("1d", 86400), ("500ms", 0.5), ("7 s", 7), (30, 30), (0.5, 0.5)],
)
def test_how_often(every: Any, seconds: float) -> None:
    assert found(GOOD | {"every": every}) == []
    assert read_requests({"requests": [GOOD | {"every": every}]})[0].every_seconds == seconds


@pytest.mark.parametrize("every", ["", "fast", "-1s", "0s", "99ms", "8d", "1e3s", True, None, [1], "60 sec"])
def test_times_that_are_none(every: Any) -> None:
    [(path, message)] = found(GOOD | {"every": every})
    assert (path, message) == ("every", "must be a time from 100ms to 7d, such as 60s, 5m or 1h")


def test_the_url_of_a_request() -> None:
    assert target() == "/markets"
    assert target(params={"a": "x y&=/é", "b": True, "c": 1.5, "d": ["1", 2]}) == (
        "/markets?a=x%20y%26%3D%2F%C3%A9&b=true&c=1.5&d=1&d=2"
    )
    assert target(params={"t": "${now_ms}:${key.a b}&", "u": "$"}) == "/markets?t=${now_ms}:${key.a b}%26&u=%24"
    follow = {"param": "page[after]", "from": "meta.next"}
    assert target("a/b=", params={"limit": 1}, next=follow) == "/markets?limit=1&page%5Bafter%5D=a%2Fb%3D"
    assert target(None, next=follow) == "/markets"


@pytest.mark.parametrize(
    ("request_", "path", "expected"),
    [
        ("/markets", "", "must be a mapping, such as {path: /markets, every: 60s}"),
        ({"every": "1s"}, "path", "must be a path below the feed's endpoint"),
        (GOOD | {"path": "markets"}, "path", "must be a path below the feed's endpoint"),
        (GOOD | {"path": "/markets?x=1"}, "path", "such as /markets, without a query"),
        (GOOD | {"path": "/a b"}, "path", "must be a path below the feed's endpoint"),
        (GOOD | {"path": "/a\r\nX: y"}, "path", "must be a path below the feed's endpoint"),
        ({"path": "/a"}, "every", "is required: the time from one request to the next"),
        (GOOD | {"parms": {}}, "parms", "is not known; did you mean `params`?"),
        (GOOD | {"method": "POST"}, "method", "is not known; a request has path, params, every, next, keep"),
        (GOOD | {"params": ["a"]}, "params", "must be a mapping, such as {status: open, limit: 1000}"),
        (GOOD | {"params": {"a": {"b": 1}}}, "params.a", "must be a text, a number, true or false, or a list of them"),
        (GOOD | {"params": {"a": None}}, "params.a", "must be a text, a number, true or false, or a list of them"),
        (GOOD | {"keep": "some"}, "keep", "must be all or changed"),
        (GOOD | {"next": "cursor"}, "next", "must be a mapping, such as {param: cursor, from: cursor}"),
        (GOOD | {"next": {"param": "c", "from": "$.c"}}, "next.from", "is not the path of a field; write it without"),
        (GOOD | {"next": {"param": "c", "from": 1}}, "next.from", "must be the path of the field that has the cursor"),
        (GOOD | {"next": {"param": "", "from": "c"}}, "next.param", "must be the name of the parameter"),
        (GOOD | {"next": {"param": "c", "from": "c", "form": "c"}}, "next.form", "is not known; did you mean `from`?"),
    ],
)
def test_what_is_wrong_in_a_request(request_: Any, path: str, expected: str) -> None:
    [(where, message)] = found(request_)
    assert where == path
    assert expected in message


@pytest.mark.parametrize(
    ("subscribe", "expected"),
    [
        ([], "must be one mapping with `requests`, not a list"),
        ({}, "must be a list (`- ` lines) with at least one request: {path, every}"),
        ({"requests": []}, "must be a list (`- ` lines) with at least one request: {path, every}"),
        ({"requests": [GOOD], "messages": []}, "is not known to a feed of the type rest; it has `requests` only"),
        ({"requests": [GOOD, GOOD]}, "is the same as an earlier one; remove it"),
    ],
)
def test_what_is_wrong_in_the_section(subscribe: Any, expected: str) -> None:
    assert expected in [problem.message for problem in problems_of(subscribe)]


def problems(folder: Path, endpoint: str, exchange: str, environment: str, version: str = "") -> list[str]:
    tree = make_tree(folder, endpoint, exchange, version, environment, "rest")
    try:
        return [str(problem) for problem in load(tree, "test", date(2026, 1, 1), wiring.parts()).warnings]
    except ConfigError as error:
        return str(error).split("\n")


REQUESTS = "subscribe: {requests: [{path: /markets, every: 60s}]}\n"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("wss://host/path", "must be the URL of a REST interface, such as https://host/path"),
        ("host", "must be the URL of a REST interface, such as https://host/path"),
        ("https://user:secret@host/", "must not hold a user name or a password"),
        ("https://host/a?b=1", "must not have a query (`?...`); write it into `params` of the requests"),
        ("https://host/#a", "must not have a fragment (`#...`): a REST interface's URL has none"),
        ("sim://kalshi", "must be the URL of a REST interface, such as https://host/path"),
    ],
)
def test_an_endpoint_that_is_no_rest_interface(tmp_path: Path, endpoint: str, expected: str) -> None:
    found = problems(tmp_path, f"'{endpoint}'", "generic", REQUESTS)
    assert found[0].startswith(f"feeds/test.yaml:7: versions[0].endpoint: {expected}")
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("exchange", "environment", "expected"),
    [
        ("generic", "subscribe: {messages: [a]}\n", "subscribe.messages: is not known to a feed of the type rest"),
        ("kalshi", f"keys: {{}}\n{REQUESTS}snapshots: {{daily: true}}\n", "snapshots: has"),
        ("kalshi", "keys: {}\nsubscribe: {channels: [trade]}\n", "subscribe.requests: must be a list"),
        ("generic", REQUESTS.replace("/markets", "'/${key.a}'"), "lack the field `a`, which subscribe"),
        ("generic", REQUESTS.replace("/markets", "'/${kay.a}'"), "subscribe.requests[0].path: "),
        ("kalshi", "keys: {}\n" + REQUESTS.replace("/markets", "'/${key.a}'"), "has no placeholders; write"),
        ("generic", f"{REQUESTS}keep_listing: true\n", "keep_listing: has no effect"),
    ],
)
def test_the_loader_checks_the_section_of_the_feeds_type(
    tmp_path: Path, exchange: str, environment: str, expected: str
) -> None:
    assert any(expected in problem for problem in problems(tmp_path, "https://host/v1", exchange, environment))


def test_what_has_no_effect_in_the_description_of_a_rest_feed(tmp_path: Path) -> None:
    version = '  dialect: {headers: {X-A: "1"}, paths: {type: kind}, decompress: gzip}\n'
    [problem] = problems(tmp_path, "https://host/v1", "generic", REQUESTS, version)
    assert problem.endswith("versions[0].dialect.decompress: has no effect on a feed of the type rest")
    version = '  dialect: {prepare: {url: "https://host/token", take: {a: a}}, headers: {X-A: "${prepared.a}"}}\n'
    [problem] = problems(tmp_path, "https://host/v1", "generic", REQUESTS, version)
    assert "versions[0].dialect.prepare: cannot be used by a feed of the type rest" in problem


@pytest.mark.parametrize("exchange", ["generic", "kalshi"])
def test_a_good_feed_has_no_problems_and_validate_says_so(tmp_path: Path, exchange: str) -> None:
    environment = f"keys: {{}}\n{REQUESTS}"
    assert problems(tmp_path, "https://host/v1", exchange, environment) == []
    assert ssmd("validate", "--strict", "--config-dir", tmp_path / "conf").returncode == 0
