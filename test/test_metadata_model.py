"""The models: what each field accepts, what it becomes, and what is reported about a wrong value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import date

import pytest
from metadata_texts import (
    ENVIRONMENT,
    FEED,
    KEYS,
    SCHEMA,
    load,
    reported,
    section,
    two_versions,
    validated,
    version,
    without_effect,
)

from ssmd.contracts.resolver import KeySource
from ssmd.metadata.model import Environment, Feed, Schema


def test_a_feed_of_the_existing_model_loads_unchanged():
    text = """\
name: kalshi
display_name: Kalshi Exchange
type: websocket
status: active
capture_locations:
  - {datacenter: aws-us-east-1, provider: aws, region: us-east-1}
  - {site: nj2, type: colo, clock: ptp}
calendar: {timezone: America/New_York, holiday_calendar: us, open_time: 10:30, close_time: 09:00}
versions:
    - version: 1.10
      effective_from: "2025-12-22"
      effective_to: ""
      protocol: {transport: wss, message: json}
      endpoint: wss://api.elections.kalshi.com/trade-api/ws/v2
      auth_method: api_key
      rate_limit_per_second: 10
      max_symbols_per_connection: 256
      supports_orderbook: yes
      supports_trades: true
      supports_historical: no
      parser_config: {depth: 010, zone: "5", when: 2025-01-01, off: no}
defaults:
  connector: {image: x, resources: {limits: {cpu: 500m}}}
"""
    no_effect = ["versions[0].parser_config", "defaults"]
    assert without_effect(Feed, text) == no_effect
    feed = validated(Feed, text).instance
    (only,) = feed.versions
    assert (feed.calendar.open_time, feed.calendar.close_time) == ("10:30", "09:00")
    assert (only.version, only.effective_from, only.effective_to) == ("1.10", date(2025, 12, 22), None)
    assert (only.protocol.transport, only.protocol.message) == ("wss", "json")
    assert (only.rate_limit_per_second, only.max_symbols_per_connection) == (10, 256)
    assert (only.supports_orderbook, only.supports_trades, only.supports_historical) == (True, True, False)
    assert only.parser_config == {"depth": 10, "zone": "5", "when": "2025-01-01", "off": "no"}


def test_an_environment_of_the_existing_model_loads_unchanged():
    text = """\
name: kalshi-dev
feed: kalshi
schema: trade:v1
schedule: {timezone: UTC, day_start: 00:10, day_end: 23:50, auto_roll: true}
keys:
    kalshi:
        type: api_key
        description: Kalshi trading API credentials
        required: true
        fields:
            - api_key
            - api_secret
        source: env:KALSHI_API_KEY,KALSHI_API_SECRET
        rotation_days: 90
transport:
    type: nats
    url: nats://localhost:4222
    stream: PROD
    subject_prefix: prod.kalshi
storage:
    type: s3
    bucket: archive
    region: us-east-1
cache: {type: redis, url: redis://localhost, max_size: 1GB}
"""
    assert without_effect(Environment, text) == ["schedule", "cache"]
    text = text.replace("type: nats", "type: memory").replace("type: s3", "type: local\n    path: data")
    ineffective = ["transport.url", "transport.stream", "transport.subject_prefix", "storage.bucket", "storage.region"]
    assert without_effect(Environment, text) == ["schedule", *ineffective, "cache"]
    environment = validated(Environment, text).instance
    assert environment.schema == "trade:v1"
    assert environment.schedule.day_start == "00:10"
    assert environment.keys["kalshi"].required is True
    assert environment.keys["kalshi"].rotation_days == 90
    assert environment.storage.bucket == "archive"


def test_what_is_left_out_or_left_empty_has_its_default():
    text = ENVIRONMENT + "keys:\nsubscribe:\ntransport:\ndata_timeout_seconds:\nschema: ''\n"
    assert load(Environment, text) == load(Environment, ENVIRONMENT)
    environment = load(Environment, text)
    assert (environment.transport.type, environment.keys, environment.subscribe) == ("memory", {}, {})
    assert environment.data_timeout_seconds is None
    assert section(Environment, text, "storage").fsync_interval_seconds == 1.0
    (only,) = load(Feed, version("exchange:")).versions
    assert (only.exchange, only.auth_method, only.protocol) == (None, "none", None)
    connection = section(Feed, version("exchange:"), "versions", 0)
    assert (connection.idle_timeout_seconds, connection.max_message_bytes) == (30.0, 16 * 1024 * 1024)
    assert load(Feed, FEED + "status:\n").status == "active"


def test_the_fields_that_ssmd_adds_to_the_existing_model():
    text = (
        "name: x\nfeed: y\ndata_timeout_seconds: 90\n"
        "storage: {type: local, path: data, fsync_interval_seconds: 0.25}\n"
        "subscribe: {channels: [ticker], id: 5, text: '5', use_yes_price: false}\n"
    )
    environment = load(Environment, text)
    assert environment.data_timeout_seconds == 90
    assert section(Environment, text, "storage").fsync_interval_seconds == 0.25
    assert environment.subscribe == {"channels": ["ticker"], "id": 5, "text": "5", "use_yes_price": False}
    text = version("idle_timeout_seconds: 12.5\n    max_message_bytes: 1024\n    exchange: kalshi\n    protocol: wss")
    (only,) = load(Feed, text).versions
    connection = section(Feed, text, "versions", 0)
    assert (connection.idle_timeout_seconds, connection.max_message_bytes) == (12.5, 1024)
    assert (only.exchange, only.protocol.transport) == ("kalshi", "wss")
    assert only.protocol.transport == "wss"


def test_subscribe_may_be_a_list_of_sections():
    text = ENVIRONMENT + "subscribe:\n- {channels: [ticker], use_yes_price: true}\n- {id: 5}\n"
    assert load(Environment, text).subscribe == [{"channels": ["ticker"], "use_yes_price": True}, {"id": 5}]


@pytest.mark.parametrize("value", ["5", "[5]", "[{channels: [ticker]}, trade]", "[[]]"])
def test_subscribe_of_another_form_is_refused(value):
    [message] = reported(Environment, ENVIRONMENT + f"subscribe: {value}\n")
    assert message.endswith("subscribe: must be a mapping (`key: value` lines), or a list of mappings")


def test_models_are_frozen():
    with pytest.raises(FrozenInstanceError):
        load(Environment, ENVIRONMENT).name = "y"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("supports_trades: maybe", "must be true or false, not `maybe`"),
        ("supports_trades: [true]", "must be true or false, not a list"),
        ("idle_timeout_seconds: 0", "must be more than 0, not `0`"),
        ("idle_timeout_seconds: -1", "must be more than 0, not `-1`"),
        ("idle_timeout_seconds: .nan", "must be a number, not `.nan`"),
        ("idle_timeout_seconds: nan", "must be a finite number, not `nan`"),
        ("idle_timeout_seconds: inf", "must be a finite number, not `inf`"),
        ("idle_timeout_seconds: 1e300", "must be at most 604800, not `1e300`"),
        ("coalesce_seconds: -0.001", "must be at least 0, not `-0.001`"),
        ("coalesce_seconds: 2", "must be at most 1, not `2`"),
        ("coalesce_seconds: nan", "must be a finite number, not `nan`"),
        ("idle_timeout_seconds: 30s", "must be a number, not `30s`"),
        ("idle_timeout_seconds: {a: 1}", "must be a number, not a mapping"),
        ("max_message_bytes: 16MiB", "must be a whole number, not `16MiB`"),
        ("max_message_bytes: 0", "must be more than 0, not `0`"),
        ("max_message_bytes: 1.5", "must be a whole number, not `1.5`"),
        ("max_message_bytes: " + "9" * 5000, "must be a whole number, not `999999999999…`"),
        ("effective_to: 20261231", "must be a date such as 2025-12-22, not `20261231`"),
        ("effective_to: 2026-02-30", "`2026-02-30` is not a day of the calendar"),
        ("effective_to: 2026-12-31T00:00:00Z", "must be a date such as 2025-12-22"),
        ("effective_to: [2026-12-31]", "must be a date such as 2025-12-22, not a list"),
        ("effective_to: 2025-12-21", "2025-12-21 is before effective_from (2025-12-22)"),
        ("exchange: ../kalshi", "`../kalshi` is not a valid name"),
        ("parser_config: 5", "must be a mapping (`key: value` lines), not `5`"),
        ("protocol: [wss]", "must be a mapping (`key: value` lines), not a list"),
        ("auth_method: '  '", "is blank; give it a value"),
    ],
)
def test_a_wrong_value_is_refused_in_plain_words(line, expected):
    field = line.partition(":")[0]
    (message,) = reported(Feed, version(line))
    assert message.startswith(f"7: versions[0].{field}: {expected}")


def test_a_wrong_choice_is_answered_with_all_of_them_and_the_nearest():
    assert reported(Feed, FEED + "status: actve\n") == [
        "7: status: must be one of active, deprecated, disabled, not `actve`; did you mean `active`?"
    ]
    assert reported(Schema, SCHEMA.replace("capnp\n", "capn\n", 1))[0].endswith("not `capn`; did you mean `capnp`?")


def test_a_required_field_that_is_missing_is_an_error():
    assert reported(Feed, "type: websocket\nversions:\n- version: v1\n") == [
        "1: name: is required; add it",
        "3: versions[0].effective_from: is required; add it",
        "3: versions[0].endpoint: is required; add it",
    ]
    assert reported(Feed, FEED.partition("versions")[0] + "versions: []\n") == [
        "3: versions: is an empty list; add at least one entry"
    ]
    assert reported(Environment, "storage: {type: local}\nname:\nfeed: ''\n") == [
        "1: storage.path: is required; add it",
        "2: name: is required; add it",
        "3: feed: is required; add it",
    ]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("storage: {type: s3}", ["storage.bucket: is required; add it"]),
        ("storage: {type: local}", ["storage.path: is required; add it"]),
        ("storage: {type: local, path: ~/data}", ["storage.path: begins with `~`"]),
        ("storage: {type: local, path: $HOME/data}", ["storage.path: has a `$`"]),
        ("storage: {type: local, path: s3://bucket/data}", ["storage.path: is an address"]),
        ("storage: {path: data}", ["storage.type: is required"]),
        ("storage: data", ["storage: must be a mapping (`key: value` lines), not `data`"]),
        ("storage: {type: kafka}", []),
        ("storage: {type: local, path: a}\ntransport: {type: pigeon, anything: 1}", []),
        ("storage: {type: local, path: a}\ntransport: {type: memory}", []),
        ('storage: {type: local, path: "a\\0b"}', ["storage.path: contains a line break or another control character"]),
        ("storage: {type: local, path: a}\nschema: trade", ["schema: must be `name:version`, such as trade:v1"]),
        ("storage: {type: local, path: a}\nschema: 'trade:'", ["schema: must be `name:version`"]),
    ],
)
def test_fields_that_depend_on_other_fields(section, expected):
    found = reported(Environment, f"name: x\nfeed: y\n{section}\n")
    assert len(found) == len(expected)
    assert all(words in message for words, message in zip(expected, found, strict=True))


@pytest.mark.parametrize("name", ["a/b", "../x", ".hidden", "-x", "a b", "é", "a\\nb", "x" * 101])
def test_a_name_cannot_be_a_path(name):
    found = reported(Environment, ENVIRONMENT.replace("kalshi-dev", f'"{name}"'))
    assert len(found) == 1
    assert "is not a valid name: use letters" in found[0]


@pytest.mark.parametrize(
    ("endpoint", "fault"),
    [
        ("wss://example.com/ws?x=1", None),
        ("ws://127.0.0.1:8080", None),
        ("ws://[::1]:8080/", None),
        ("sim://kalshi", None),
        ("https://example.com", "must be the URL of a websocket"),
        ("example.com/ws", "must be the URL of a websocket"),
        ("wss:///ws", "must be the URL of a websocket"),
        ("wss://", "must be the URL of a websocket"),
        ("wss://user:hunter2@example.com/", "must not hold a user name"),
        ("wss://@example.com/", "must not hold a user name"),
        ("wss://example.com:0/", "a port from 1 to 65535"),
        ("wss://example.com:65536/", "a port from 1 to 65535"),
        ("wss://example.com:x/", "a port from 1 to 65535"),
        ("wss://[::1/", "must have a valid host"),
        ("wss://example.com/a b", "must be a URL in plain ASCII"),
        ("wss://exämple.com/", "must be a URL in plain ASCII"),
        ("wss://example.com/#hunter2", "must not have a fragment"),
    ],
)
def test_the_endpoint_of_a_websocket(endpoint, fault):
    found = reported(Feed, FEED.replace("wss://example.com/ws", f"'{endpoint}'"))
    assert len(found) == (fault is not None)
    if fault:
        assert found[0].startswith("6: versions[0].endpoint: ")
        assert fault in found[0]
        assert "hunter2" not in found[0]


def test_the_endpoint_of_another_type_is_not_checked():
    multicast = FEED.replace("websocket", "multicast").replace("wss://example.com/ws", "239.1.1.1:5000")
    assert reported(Feed, multicast) == []


def test_two_versions_differ_in_label_and_first_day():
    found = reported(Feed, two_versions("v1 2025-01-01 wss://a", "v1 2025-01-01 wss://b"))
    assert found == [
        "5: versions[1].version: `v1` is already versions[0]; give each version its own label",
        "5: versions[1].effective_from: 2025-01-01 is also when versions[0] begins; "
        "give each version its own first day",
    ]


def test_the_version_in_force_is_the_latest_that_includes_the_day():
    feed = load(
        Feed,
        FEED.partition("versions")[0]
        + """\
versions:
- {version: old, effective_from: 2025-01-01, endpoint: wss://a}
- {version: new, effective_from: 2026-01-01, effective_to: 2026-06-30, endpoint: wss://b}
- {version: pilot, effective_from: 2026-03-01, effective_to: 2026-03-01, endpoint: wss://c}
""",
    )
    in_force = {
        day: (version := feed.version_in_force(date.fromisoformat(day))) and version.version
        for day in ("2024-12-31", "2025-01-01", "2025-12-31", "2026-01-01", "2026-03-01", "2026-03-02", "2026-07-01")
    }
    assert list(in_force.values()) == [None, "old", "old", "new", "pilot", "new", "old"]


@pytest.mark.parametrize(
    ("source", "scheme"),
    [("env:A,B", "env"), ("env", "env"), ("vault/secret/kalshi", "vault"), ("sealed-secret/kalshi", "sealed-secret")],
)
def test_the_source_of_a_key_is_handed_to_its_resolver(source, scheme):
    spec = load(Environment, ENVIRONMENT + KEYS % source).keys["kalshi"]
    assert (spec.required, spec.source_scheme) == (True, scheme)
    assert spec.at("kalshi") == KeySource("kalshi", source, ("api_key", "api_secret"))


@pytest.mark.parametrize(
    ("source", "fields", "at", "expected"),
    [
        ("'env:'", "[a, b]", "source", "must be `env:VARIABLE,...`"),
        ("Hunter2hunter2", "[a]", "source", "must be `env:VARIABLE,...`"),
        ('"-----BEGIN hunter2-----\\nhunter2"', "[a]", "source", "contains a line break"),
        ("env", "[]", "fields", "is an empty list"),
        ("env", "a", "fields", "must be a list (`- ` lines), not `a`"),
        ("env", "hunter2-hunter2-hunter2", "fields", "must be a list (`- ` lines), not this"),
    ],
)
def test_a_problem_with_a_key_never_shows_its_source(source, fields, at, expected):
    found = reported(Environment, ENVIRONMENT + (KEYS % source).replace("[api_key, api_secret]", fields))
    assert len(found) == 1
    assert f"keys.kalshi.{at}: {expected}" in found[0]
    assert "hunter2" not in found[0].lower()


def test_a_schema_of_the_existing_model_loads_unchanged():
    schema = load(
        Schema,
        """\
name: trade
format: capnp
schema_file: trade.capnp
versions:
    - version: v1
      effective_from: "2025-12-22"
      effective_to: 2026-01-31
      status: deprecated
      schema_file: trade-v1.capnp
      hash: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    - version: v2
      effective_from: 2026-02-01
      status: active
      compatible_with: [v1]
      breaking_changes: |
        prices are text
        sizes too
""",
    )
    assert schema.version("v2").compatible_with == ("v1",)
    assert schema.version("v2").breaking_changes == "prices are text\nsizes too\n"
    assert schema.version("v3") is None
    assert schema.latest().version == "v2"
