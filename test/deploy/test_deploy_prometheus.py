"""A real Prometheus with the rules of deploy/prometheus, which scrapes real collectors."""

import re

import pytest
import yaml
from monitoring import HEALTHY, MINUTE, ON_A_DEAD_DISK, Monitored, promtool
from process import ROOT
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

# The alerts that must fire, with the feeds of the collectors in trouble.
EXPECTED = {
    ("SsmdFeedSilent", "frozen"),
    ("SsmdFeedSilent", "deaf"),
    ("SsmdSubscriptionUnacknowledged", "deaf"),
    ("SsmdRestarting", "silent"),
    ("SsmdChannelSilent", "muted"),
    ("SsmdFeedSilent", "stopped"),
    ("SsmdNotConnected", "stopped"),
    ("SsmdDown", "refused"),
    ("SsmdDown", "killed"),
    ("SsmdFeedSilent", "killed"),
    ("SsmdWriteFailed", "full"),
    ("SsmdSequenceGaps", "damaged"),
    ("SsmdNotJson", "damaged"),
    ("SsmdSchemaViolations", "damaged"),
    ("SsmdDrift", "muted"),
    ("SsmdShipDown", "unshipped"),
    ("SsmdShipDown", "unuploaded"),
}
ON_DISK = {
    ("SsmdWriterStuck", "stuck"),
    ("SsmdBackpressure", "stuck"),
    ("SsmdQueueGrowing", "stuck"),
    ("SsmdNotSynced", "unsynced"),
}


def test_the_page_names_the_alerts_that_only_promtool_has_tested():
    files = ("alerts.yaml", "kubernetes.yaml")
    rules = [yaml.safe_load((ROOT / "deploy" / "prometheus" / name).read_text()) for name in files]
    alerts = {rule["alert"] for file in rules for group in file["groups"] for rule in group["rules"]}
    named = (ROOT / "docs" / "monitoring.md").read_text().split("\nSome alerts were tested only with promtool: ")[1]
    assert sorted(re.findall(r"\bSsmd\w+", named)) == sorted(alerts - {alert for alert, _ in EXPECTED | ON_DISK})


def test_the_alerts_fire_for_real_collectors_in_trouble(monitored: Monitored):
    expected = EXPECTED | (ON_DISK if set(ON_A_DEAD_DISK) <= set(monitored.collectors) else set())
    monitored.prometheus.wait_for(lambda: monitored.firing() >= expected)
    assert expected - monitored.firing() == set()


def test_a_frozen_exchange_is_reported_although_the_collector_is_connected(monitored: Monitored):
    prometheus = monitored.prometheus
    assert prometheus.wait_for(lambda: ("SsmdFeedSilent", "frozen") in monitored.firing())
    [sample] = prometheus.query('ssmd_connected{feed="frozen"}')
    assert sample["value"][1] == "1"
    assert ("SsmdNotConnected", "frozen") not in monitored.firing()


def test_a_healthy_collector_has_no_alert_about_its_feed(monitored: Monitored):
    assert monitored.prometheus.wait_for(lambda: ("SsmdFeedSilent", "frozen") in monitored.firing())
    # The alerts about the disk are left out: a minute lasts only seconds here, and the disk may be slow for so long.
    of_the_disk = {alert for alert, _ in ON_DISK}

    def wrong(firing: set[tuple[str, str]]) -> set[tuple[str, str]]:
        return {(alert, feed) for alert, feed in firing if feed in HEALTHY and alert not in of_the_disk}

    # A busy machine may stop a collector for some seconds, which are minutes here. With longer minutes such a stall is
    # short, as it is for the real rules. An alert that is wrong fires with all of them.
    found = wrong(monitored.firing())
    for minute in (5 * MINUTE, 15 * MINUTE):
        if found:
            found = wrong(monitored.firing_for(HEALTHY, minute))
    assert not found


def test_the_texts_of_the_alerts_are_filled_in(monitored: Monitored):
    assert monitored.prometheus.wait_for(monitored.prometheus.alerts)
    for alert in monitored.prometheus.alerts():
        for text in alert["annotations"].values():
            assert not re.search(r"\{\{|no value|error|%!", text.replace("ssmd_errors_total", "")), alert


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_wrong_in_a_live_scrape(monitored: Monitored):
    for feed in ("kalshi-sim", "damaged"):
        assert promtool("check", "metrics", stdin=monitored.collectors[feed].get("/metrics")) == ""


def test_prometheus_accepts_openmetrics_from_a_collector(monitored: Monitored):
    text = monitored.collectors["damaged"].get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert {"ssmd_messages", "ssmd_message_age_seconds"} <= {family.name for family in parse_openmetrics(text)}
    # Prometheus requests OpenMetrics by default, so everything here came in that form.
    assert ("damaged",) in monitored.prometheus.labels("ssmd_messages_total > 0", "feed")
