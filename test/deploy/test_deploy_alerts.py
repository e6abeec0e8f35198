"""The rules in deploy/prometheus, by promtool, and without any collector."""

import re
from pathlib import Path

import pytest
import yaml
from monitoring import MINUTE, RULES, Prometheus, promtool, shrink
from process import ROOT

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
