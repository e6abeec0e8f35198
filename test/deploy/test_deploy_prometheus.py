"""The rules in deploy/prometheus, by promtool and by a real Prometheus that scrapes real collectors."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from monitoring import HEALTHY, MINUTE, ON_A_DEAD_DISK, RULES, Monitored, Prometheus, shrink
from patience import PATIENCE
from process import ROOT
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

HERE = Path(__file__).parent
FOLDER = ROOT / "deploy" / "prometheus"
ON_KUBERNETES = FOLDER / "kubernetes.yaml"
ALERTS = {
    rule["alert"]: rule
    for path in (FOLDER / "alerts.yaml", ON_KUBERNETES)
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
}
UNIT_TESTS = [HERE / f"{name}_test.yaml" for name in ("alerts", "alerts_day", "kubernetes")]


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """Run promtool, which must find nothing wrong; return its output."""
    ended = subprocess.run(
        ["promtool", *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.needs("promtool")
def test_promtool_accepts_rules_and_configuration():
    assert f"{len(ALERTS) - 1} rules found" in promtool("check", "config", FOLDER / "prometheus.yaml")
    assert "1 rules found" in promtool("check", "rules", ON_KUBERNETES)


@pytest.mark.needs("promtool")
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_each_alert_fires_when_it_should_and_not_before(path):
    assert "SUCCESS" in promtool("test", "rules", path)


def test_every_alert_has_a_unit_test():
    text = "".join(path.read_text() for path in UNIT_TESTS)
    assert set(re.findall(r'alertname="(\w+)"', text)) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_severity_a_summary_a_description_and_a_chapter(name):
    rule = ALERTS[name]
    assert re.fullmatch(r"Ssmd[A-Z]\w+", name)
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["summary"].endswith(".")
    assert len(rule["annotations"]["description"].split()) > 12
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_the_operators_page_has_a_chapter_for_each_alert():
    headings = re.findall(r"^#+ (Ssmd\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)


UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_shrinking_changes_nothing_but_durations(path):
    before, after = path.read_text(), shrink(path.read_text())

    def durations(text: str) -> list[float]:
        found = re.findall(r"(?:\[|offset |for: )(\d+)(ms|[smhd])\b", text)
        return [int(number) * UNITS[unit] for number, unit in found]

    def rest(text: str) -> str:
        return re.sub(r"(\[|offset |for: |\* )\d+(ms|[smhd])?\b", r"\1", text)

    assert rest(before) == rest(after)
    assert durations(after) == pytest.approx([seconds / 60 * MINUTE for seconds in durations(before)])
    # Everything that looks like a duration was found. Names of recorded series contain some too, after a letter.
    assert len(durations(before)) == len(re.findall(r"(?<![\w.])\d+[smhd]\b", re.sub("#.*", "", before)))


@pytest.mark.needs("prometheus")
def test_without_any_collector_the_alert_is_that_it_is_missing(tmp_path):
    with Prometheus(tmp_path / "prometheus", []) as prometheus:
        assert prometheus.wait_for(prometheus.alerts)
        [alert] = prometheus.alerts()
    assert alert["labels"] == {"alertname": "SsmdMissing", "job": "ssmd", "severity": "critical"}


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
    ("SsmdShipDown", "unshipped"),
    ("SsmdShipDown", "unuploaded"),
}
ON_DISK = {
    ("SsmdWriterStuck", "stuck"),
    ("SsmdBackpressure", "stuck"),
    ("SsmdQueueGrowing", "stuck"),
    ("SsmdNotSynced", "unsynced"),
}


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
