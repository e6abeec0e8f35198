"""Documents compared with their models: all problems at once, unknown keys, and fields without effect."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from metadata_texts import ENVIRONMENT, FEED, KEYS, SCHEMA, SECTIONS, reported, two_versions, version, without_effect

from ssmd.metadata.document import Plain, parse
from ssmd.metadata.model import Environment, Feed, Schema
from ssmd.metadata.validation import validate

PAGE = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text()


def test_all_errors_are_reported_at_once_even_those_that_concern_several_fields():
    text = two_versions("v1 2025-01-01 https://a", "v1 2025-01-01 wss://b", "status: none\n")
    text += "- {version: v3, effective_from: never, endpoint: wss://c}\nverions: []\n"
    found = reported(Feed, text)
    assert [message.split(": ")[1] for message in found] == [
        "status",
        "versions[0].endpoint",
        "versions[1].version",
        "versions[1].effective_from",
        "versions[2].effective_from",
        "verions",
    ]


def test_thousands_of_errors_are_cut_short():
    found = reported(
        Feed, FEED + "status: x\ncapture_locations:\n" + "- 1\n" * 5000 + "".join(f"k{i}: 1\n" for i in range(5000))
    )
    assert len(found) < 300
    assert "only the first 100 are shown" in "".join(found)


def test_a_misspelt_key_is_found_behind_any_number_of_unknown_ones():
    unknown = "".join(f"k{i}: 1\n" for i in range(5000))
    found = reported(Environment, ENVIRONMENT + unknown + "subscrib: {channels: [trade]}\n")
    assert len(found) == 101
    assert found[-1] == "5004: subscrib: ssmd does not know this key; did you mean `subscribe`?"


def test_unknown_keys_are_found_wherever_they_are_and_a_misspelt_one_is_an_error():
    text = ENVIRONMENT.replace("path:", "pth:") + KEYS % "env" + "    requird: true\ncolour: red\n"
    assert reported(Environment, text) == [
        "3: storage.pth: ssmd does not know this key; did you mean `path`?",
        "3: storage.path: is required; add it",
        "9: keys.kalshi.requird: ssmd does not know this key; did you mean `required`?",
        "10: colour: ssmd does not know this key",
    ]
    assert reported(Feed, version("end_point: x")) == [
        "7: versions[0].end_point: ssmd does not know this key; did you mean `endpoint`?"
    ]
    assert reported(Environment, ENVIRONMENT + "subscrib: {channels: [trade]}\n") == [
        "4: subscrib: ssmd does not know this key; did you mean `subscribe`?"
    ]


def test_a_description_beside_the_versions_is_an_error_that_names_its_place():
    assert reported(Feed, FEED + "dialect: {paths: {type: t}}\n") == [
        "7: dialect: ssmd does not know this key here, so the whole description would be ignored; move it into a "
        "version, beside `endpoint`"
    ]


# Keys that other programs may keep in the same files, some of which resemble a known one.
HONEST = [
    "owner", "owners", "team", "teams", "contact", "email", "author", "maintainer", "organization",
    "department", "project", "label", "labels", "tag", "tags", "note", "notes", "comment", "comments",
    "description", "annotation", "annotations", "metadata", "title", "kind", "group", "id", "uuid", "version",
    "api_version", "apiVersion", "$schema", "_comment", "x-team", "created", "created_at", "updated_at",
    "changelog", "deprecated", "sunset", "replaced_by", "env", "stage", "tier", "zone", "state", "enabled",
    "disabled", "active", "priority", "severity", "sla", "slo", "cost", "budget", "pager", "runbook", "docs",
    "documentation", "link", "links", "homepage", "website", "license", "slack", "cluster", "namespace",
    "image", "resources", "replicas", "limits", "host", "port", "user", "account", "token", "credentials",
    "vendor", "venue", "mic", "exchange_id", "exchange_code", "asset_class", "currency", "country", "city",
    "sessions", "trading_hours", "holidays", "market", "markets", "symbols", "tickers", "instruments",
    "short_name", "long_name", "display_order", "data", "dataset", "retention", "retention_days",
    "compression", "backup", "archive", "metrics", "alerts", "log_level", "debug", "test", "timeout",
    "retries", "reconnect", "heartbeat_seconds", "ping_interval", "max_connections", "max_symbols",
    "max_symbols_per_second", "max_messages_per_second", "max_age", "rate_limit", "rate_limit_per_minute",
    "rate_limit_burst", "rest_endpoint", "sandbox_endpoint", "endpoint_backup", "endpoint_url", "auth",
    "auth_url", "auth_type", "supports_quotes", "supports_candles", "supports_tickers", "supports_orders",
    "supports_snapshots", "supports_greeks", "supports_auctions", "parser", "parser_version", "encoding",
    "serialization", "message_format", "schema_version", "schema_registry", "effective_until",
    "valid_from", "valid_to", "start", "end", "start_date", "end_date", "stream_name", "topic", "topics",
    "partitions", "prefix", "acl", "kms_key", "storage_class", "lifecycle", "rack", "interface", "ttl",
    "eviction", "rotated_on", "expires", "expires_at", "last_rotated",
]

WITH_SECTIONS = {
    Environment: f"""\
{ENVIRONMENT}
schedule: {{day_end: 1}}
transport: {{type: memory}}
cache: {{type: redis}}
{KEYS % "env"}""",
    Feed: version("protocol: {version: 1}") + "calendar: {open_time: 1}\ncapture_locations:\n- {provider: a}\n",
    Schema: SCHEMA,
}
PLACES = {
    Environment: ["", "schedule", "transport", "storage", "cache", "keys.kalshi"],
    Feed: ["", "versions[0]", "versions[0].protocol", "calendar", "capture_locations[0]"],
    Schema: ["", "versions[0]"],
}


KNOWN = {("calendar", "holidays"), ("versions[0]", "rest_endpoint"), ("transport", "start"), ("transport", "topic")}
"""Those of HONEST that are fields of ssmd by now."""
KNOWN |= {("storage", "prefix"), ("storage", "format"), ("storage", "region"), ("storage", "endpoint")}
KNOWN |= {("transport", "topics")}
"""And those that are taken for such a field, misspelt."""


def at(data, place: str):
    """The mapping at a place of a document's data."""
    for step in re.findall(r"\w+", place):
        data = data[int(step) if step.isdigit() else step]
    return data


@pytest.mark.parametrize(("model", "place"), [(model, place) for model, places in PLACES.items() for place in places])
def test_an_honest_key_of_another_program_is_a_warning_wherever_it_is(model, place):
    document = parse(WITH_SECTIONS[model].encode(), "x")
    sections = SECTIONS[model](document.data)
    given = at(document.data, place)
    known = {*given, "description"} if place == "keys.kalshi" else set(given)
    for name in (name for name in HONEST if name not in known and (place, name) not in KNOWN):
        given[name] = Plain("x")
        problems = [problem for problem in validate(document, model, sections).problems if not problem.lenient]
        found = [(problem.message, problem.warning) for problem in problems]
        assert found == [("ssmd does not know this key", True)], name
        del given[name]


def test_free_form_sections_have_no_unknown_keys():
    assert reported(Environment, ENVIRONMENT + "subscribe: {anything: {goes: 1}}\n") == []
    assert without_effect(Feed, version("parser_config: {anything: 1}") + "defaults: {a: {b: c}}\n") == [
        "versions[0].parser_config",
        "defaults",
    ]


def test_an_error_and_what_has_no_effect_are_reported_together():
    assert reported(Feed, version("parser_config: {a: 5}\n    colour: red\n    coalesce: 1")) == [
        "7: versions[0].parser_config: has no effect in this version",
        "8: versions[0].colour: ssmd does not know this key",
        "9: versions[0].coalesce: ssmd does not know this key; did you mean `coalesce_seconds`?",
    ]


EVERYTHING = {
    "## Environments": (
        Environment,
        """\
name: x
feed: y
schema: a:b
schema_check: count
keys:
  one: {type: vault, description: d, required: true, fields: [a], source: env, rotation_days: 9}
subscribe: {channels: [trade]}
data_timeout_seconds: 9
channel_timeout_seconds: {trade: 9}
silent_after_seconds: 9
keep_listing: true
drift_check: sample
snapshots: {after_gap: end, daily: false, per_second: 9}
expected_silence: [{timezone: UTC, weekday: monday, from: 00:00, to: 01:00}]
storage: {type: local, path: data, fsync_interval_seconds: 1, bucket: b, prefix: p, region: r,
  endpoint: e, ca_file: f, format: parquet, live_seconds: 9, keep_days: 9}
transport: {type: memory, url: u, path: p, stream: s, topic: t, subject_prefix: p, ca_file: f, sasl_mechanism: m,
  start: now, relay: r}
schedule: {timezone: UTC, day_start: 00:00, day_end: 01:00, weekdays: [monday], auto_roll: true, enforce: true}
cache: {type: redis, max_size: 1GB, url: u}
""",
    ),
    "## Feeds": (
        Feed,
        version("""auth_method: oauth
    effective_to: 2030-01-01
    exchange: kalshi
    rest_endpoint: https://a
    idle_timeout_seconds: 9
    max_message_bytes: 9
    coalesce_seconds: 0
    max_symbols_per_connection: 9
    rate_limit_per_second: 9
    protocol: {transport: wss, message: json, version: 1}
    supports_orderbook: true
    supports_trades: true
    supports_historical: true
    dialect: {a: 1}
    parser_config: {a: 1}""")
        + """\
display_name: d
status: active
capture_locations: [{datacenter: d, provider: p, region: r, site: s, type: t, clock: c}]
calendar: {timezone: UTC, holiday_calendar: us, open_time: 10:30, weekdays: [monday], holidays: [2026-12-25],
  close_time: 16:00}
message_types: {a: {b: c}}
defaults: {a: b}
""",
    ),
    "## Schemas": (
        Schema,
        SCHEMA
        + """\
    effective_to: 2030-01-01
    status: draft
    hash: sha256:0
    schema_file: f
    compatible_with: [v0]
    breaking_changes: none
""",
    ),
}


OF_ONE_TYPE = re.compile("with `type: (rest|file|nats|kafka|s3)`")
"""What the document says of a field of a part, which has no effect with another."""


@pytest.mark.parametrize("heading", EVERYTHING)
def test_the_fields_that_are_reported_to_have_no_effect_are_those_that_the_document_marks(heading):
    lines = PAGE.split(f"{heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [(set(re.findall("`([^`]+)`", row[1])), row[3]) for line in lines if len(row := line.split("|")) == 5]
    documented = set().union(*(names for names, meaning in rows if not OF_ONE_TYPE.search(meaning)))
    marked = set().union(*(names for names, meaning in rows if "*no effect in this version*" in meaning))
    model, text = EVERYTHING[heading]
    data = parse(text.encode(), "x").data
    for name in documented:
        section, _, field = name.replace("<name>", "one").replace("[]", "[0]").rpartition(".")
        assert field in at(data, section), name
    found = [field.replace("[0]", "[]").replace(".one.", ".<name>.") for field in without_effect(model, text)]
    # A section without effect is reported once, as a whole.
    assert {name for name in documented if any(f"{name}.".startswith(f"{field}.") for field in found)} == marked


def test_one_warning_is_enough_for_a_section_and_a_hundred_for_a_file():
    assert without_effect(Environment, ENVIRONMENT + "schedule: {timezone: UTC, day_end: 2}\n") == ["schedule"]
    assert without_effect(Environment, ENVIRONMENT + "schedule: {}\n") == ["schedule"]
    assert without_effect(Environment, ENVIRONMENT + "schedule:\ncache: ''\n") == []
    first = date(2000, 1, 1).toordinal()
    versions = (f"version: v{day}, effective_from: {date.fromordinal(first + day)}" for day in range(500))
    many = "".join(f"- {{{version}, endpoint: wss://a, auth_method: mtls}}\n" for version in versions)
    assert len(without_effect(Feed, FEED.partition("versions")[0] + f"versions:\n{many}")) == 100


def test_a_field_without_effect_is_a_warning_and_passes_strict_validation():
    assert without_effect(Feed, version("auth_method: oauth")) == ["versions[0].auth_method"]
    assert without_effect(Feed, version("auth_method: mtls")) == ["versions[0].auth_method"]
    assert without_effect(Feed, version("auth_method: api_key")) == []
    assert without_effect(Feed, version("auth_method: none")) == []
    assert without_effect(Environment, ENVIRONMENT + (KEYS % "env").replace("type: api_key", "type: vault")) == [
        "keys.kalshi.type"
    ]
    assert without_effect(Environment, ENVIRONMENT.replace("path: data", "path: data, bucket: b")) == ["storage.bucket"]
    # The general model marks `path` as a field without effect, but the part for local storage has it too.
    assert without_effect(Environment, ENVIRONMENT) == []
