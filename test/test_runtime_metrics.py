"""The names and labels that dashboards and alerts rely on."""

from __future__ import annotations

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from ssmd import __version__, errors
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.metrics import ERROR_TYPES, Metrics
from ssmd.runtime.status import Status

CHANNEL = ChannelStatus(
    "trade",
    asked=3,
    confirmed_markets=2,
    heard=1,
    confirmed=False,
    silent=False,
    last_ns=None,
    books_pending=None,
    books_missing=None,
    may_be_silent=False,
)


def scrape(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"feed": "kalshi", "shard": "", **labels})


def test_the_first_scrape_has_the_four_names_with_their_labels(metrics):
    lines = scrape(metrics).splitlines()
    assert 'ssmd_messages_total{feed="kalshi",shard=""} 0.0' in lines
    assert 'ssmd_errors_total{feed="kalshi",shard="",type="write"} 0.0' in lines
    assert 'ssmd_connected{feed="kalshi",shard=""} 0.0' in lines
    assert "# TYPE ssmd_last_message_timestamp gauge" in lines


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ssmd_messages_total", "counter"),
        ("ssmd_errors_total", "counter"),
        ("ssmd_connected", "gauge"),
        ("ssmd_last_message_timestamp", "gauge"),
    ],
)
def test_the_four_are_of_their_kind(metrics, name, kind):
    assert f"# TYPE {name} {kind}\n" in scrape(metrics)


def test_every_type_of_error_is_there_from_the_first_scrape(metrics):
    series = r'^ssmd_errors_total\{feed="kalshi",shard="",type="(\w+)"\} 0\.0$'
    found = re.findall(series, scrape(metrics), re.MULTILINE)
    assert found == ERROR_TYPES
    assert {"auth", "connect", "disconnect", "output", "subscribe", "write"} < set(found)


def test_every_error_has_its_type(metrics):
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.SsmdError)}
    kinds -= {errors.SsmdError}
    ending_others = {errors.UsageError, errors.DataError, errors.EngineError}  # These end other commands than `run`.
    ending_others |= {kind for kind in kinds if issubclass(kind, errors.EngineError)}
    assert {kind.label for kind in kinds - ending_others} | {"bug"} == set(metrics.errors)


def test_every_family_has_help_and_every_sample_a_family(metrics):
    text = scrape(metrics)
    helped = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    families = list(parse(text))
    assert len(families) > 20
    for family in families:
        assert family.documentation.strip()
        assert family.type != "unknown"
        for sample in family.samples:
            assert {sample.name, re.sub(r"_(bucket|sum|count)$", "", sample.name)} & set(helped)


@pytest.mark.parametrize("expose", [generate_latest, generate_openmetrics])
def test_there_is_no_series_of_creation_times(metrics, expose):
    assert b"_created" not in expose(metrics.registry)


def test_openmetrics_can_be_had_too(metrics):
    families = {family.name: family for family in parse_openmetrics(generate_openmetrics(metrics.registry).decode())}
    assert families["ssmd_messages"].type == "counter"
    assert [sample.name for sample in families["ssmd_messages"].samples] == ["ssmd_messages_total"]


def test_facts_of_the_moment_are_read_when_scraped():
    status = Status()
    metrics = Metrics(CollectorRegistry(), "kalshi", status)
    status.connected = True
    status.last_received_ns = 1_790_000_000_250_000_000
    status.unacknowledged = 2
    status.queue_messages = lambda: 7.0
    status.queue_bytes = lambda: 900.0
    assert value(metrics, "ssmd_connected") == 1
    assert value(metrics, "ssmd_last_message_timestamp") == pytest.approx(1_790_000_000.25, rel=0, abs=1e-6)
    assert value(metrics, "ssmd_unacknowledged_subscriptions") == 2
    assert value(metrics, "ssmd_queue_messages") == 7
    assert value(metrics, "ssmd_queue_bytes") == 900
    status.connected = False
    assert value(metrics, "ssmd_connected") == 0


@pytest.mark.parametrize(
    ("loss_shown_by", "missed", "series"), [("chain", 0, (2, 0)), ("chain", None, (2, None)), (None, 0, (None, None))]
)
def test_what_is_not_known_of_lost_messages_has_no_series(metrics, status, loss_shown_by, missed, series):
    status.loss_shown_by, status.gaps, status.missed = loss_shown_by, 2, missed
    names = ("ssmd_sequence_gaps_total", "ssmd_missed_messages_total")
    assert tuple(value(metrics, name) for name in names) == series


def test_gaps_have_no_series_until_a_message_has_had_a_number(metrics, status):
    seen = []
    for status.shows_loss in (lambda: False, lambda: True):
        seen.append([value(metrics, f"ssmd_{name}_total") for name in ("sequence_gaps", "missed_messages")])
    assert seen == [[None, None], [0, 0]]


def test_what_could_not_be_decompressed_is_counted_where_messages_are_compressed(metrics, status):
    assert "ssmd_messages_not_decompressed" not in scrape(metrics)
    counts = iter([0, 7])
    status.not_decompressed = lambda: next(counts)
    assert value(metrics, "ssmd_messages_not_decompressed_total") == 0
    assert value(metrics, "ssmd_messages_not_decompressed_total") == 7


def test_counts_are_counted(metrics, status):
    status.messages, status.received_bytes, status.written_bytes = 3, 300, 480
    status.not_json, status.gaps, status.missed = 1, 2, 5
    metrics.errors["disconnect"].inc()
    metrics.age.observe(-0.05)
    metrics.age.observe(0.02)
    assert value(metrics, "ssmd_messages_total") == 3
    assert value(metrics, "ssmd_received_bytes_total") == 300
    assert value(metrics, "ssmd_written_bytes_total") == 480
    assert value(metrics, "ssmd_messages_not_json_total") == 1
    assert value(metrics, "ssmd_sequence_gaps_total") == 2
    assert value(metrics, "ssmd_missed_messages_total") == 5
    assert value(metrics, "ssmd_errors_total", type="disconnect") == 1
    assert value(metrics, "ssmd_errors_total", type="write") == 0
    assert value(metrics, "ssmd_message_age_seconds_count") == 2
    assert value(metrics, "ssmd_message_age_seconds_bucket", le="0.001") == 1


def test_build_and_process_are_told(metrics):
    text = scrape(metrics)
    version = re.escape(__version__)
    assert re.search(
        rf'^ssmd_build_info\{{feed="kalshi",python="3\.\d+\.\d+\S*",shard="",version="{version}"\}} 1\.0$', text, re.M
    )
    assert re.search(r'^process_resident_memory_bytes\{feed="kalshi",shard=""\} [1-9]', text, re.MULTILINE)


def test_two_runs_in_one_process_do_not_collide():
    first = Metrics(CollectorRegistry(), "kalshi", Status(messages=5))
    second = Metrics(CollectorRegistry(), "kalshi", Status(connected=True))
    assert value(first, "ssmd_messages_total") == 5
    assert value(second, "ssmd_messages_total") == 0
    assert (value(first, "ssmd_connected"), value(second, "ssmd_connected")) == (0, 1)


def test_labels_hold_the_feed_and_nothing_of_the_endpoint(metrics):
    names = {name for family in metrics.registry.collect() for sample in family.samples for name in sample.labels}
    assert names == {"feed", "shard", "type", "le", "version", "python"}


@pytest.mark.parametrize(("shard", "label"), [(WHOLE, ""), (Shard(2, 4), "2of4")])
def test_every_series_has_the_feed_and_the_shard(shard, label):
    status = Status(not_decompressed=lambda: 0, companions={"seal": CompanionState()}, channels=[CHANNEL])
    metrics = Metrics(CollectorRegistry(), "kalshi", status, shard)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert {(sample.labels["feed"], sample.labels["shard"]) for sample in samples} == {("kalshi", label)}
    names = {sample.name for sample in samples}
    assert names >= {"ssmd_connected", "ssmd_channel_silent", "ssmd_companion_up", "process_resident_memory_bytes"}
