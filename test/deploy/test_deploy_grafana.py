"""The dashboard in deploy/grafana: Grafana's own model accepts it, and a real Prometheus has data for its queries."""

import json
import re
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from monitoring import RULES, SCRAPE, Monitored, shrink
from process import ROOT
from prometheus_client.parser import text_string_to_metric_families as parse

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "ssmd.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
ANNOTATIONS = [(annotation["name"], annotation["expr"]) for annotation in DASHBOARD["annotations"]["list"]]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
RECORDED = {
    rule["record"]: rule["expr"]
    for path in RULES
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
PROMETHEUS_OWN = {"ALERTS", "up", "scrape_duration_seconds"}

# Fields of Grafana's Prometheus data source, which the general model of a dashboard does not have.
OF_THE_DATA_SOURCE = {"titleFormat", "step", "definition"}


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Return the paths of values of `before` that are missing in `after` or differ."""
    if isinstance(before, dict):
        keys = [key for key in before if key not in OF_THE_DATA_SOURCE]
        inside = after if isinstance(after, dict) else {}
        return [found for key in keys for found in lost(before[key], inside.get(key, ...), f"{path}.{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [found for index, (old, new) in pairs for found in lost(old, new, f"{path}[{index}]")]
    return [] if before == after else [path]


def test_grafanas_own_model_of_a_dashboard_keeps_every_field():
    """The model drops fields that it does not know, such as misspelt ones, down to the options of the panels."""
    register_default_plugins()
    assert lost(DASHBOARD, json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))) == []


def test_a_misspelt_option_would_be_noticed():
    register_default_plugins()
    wrong = json.loads(json.dumps(DASHBOARD).replace('"showPoints"', '"showPoint"'))
    assert lost(wrong, json.loads(JSONEncoder().encode(Dashboard.from_json(wrong))))


def test_the_panels_fill_the_grid_without_overlap():
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not own & cells, panel["title"]
        cells |= own
    assert cells == {(x, y) for x in range(24) for y in range(max(y for _, y in cells) + 1)}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_description_and_uses_the_chosen_data_source(panel):
    assert len(panel["description"].split()) > 3
    assert panel["fieldConfig"]["defaults"]["unit"]
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_variable_that_is_used_exists():
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - {"__all", "__rate_interval"}
    assert used == set(VARIABLES)


def names(expression: str) -> set[str]:
    """Return the metrics that an expression names."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(without|by|ignoring|on) \([^)]*\)', " ", expression)
    words = re.findall(r"[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)
    return set(words) - {"or", "and", "unless", "without", "by", "bool", "offset"}


def test_every_metric_of_ssmd_is_on_the_dashboard(monitored: Monitored):
    queries = " ".join(expr for _, expr in [*QUERIES, *ANNOTATIONS])
    shown = names(queries)
    shown |= {name for record in shown & set(RECORDED) for name in names(RECORDED[record])}
    # Each of them names all metrics but those of followed markets, shipping, uploading, a schema and drift.
    names_of = ("healthy", "kalshi-sim", "shipped", "uploaded", "damaged", "muted")
    scraped = [parse(monitored.collectors[name].metrics()) for name in names_of]
    real = {family.name for families in scraped for family in families}
    missing = {name for name in real if name.startswith("ssmd_")} - {
        re.sub(r"_(total|bucket|count)$", "", n) for n in shown
    }
    assert missing == set()


@pytest.mark.parametrize(("title", "expression"), QUERIES + ANNOTATIONS)
def test_a_query_names_existing_metrics_and_returns_data(monitored: Monitored, title, expression):
    # Only a collector with a schedule has its metrics, and so it is with what else only some environments ask for.
    names_of = ("healthy", "muted", "kalshi-sim", "shipped", "uploaded", "damaged")
    scraped = [parse(monitored.collectors[name].metrics()) for name in names_of]
    real = {sample.name for families in scraped for family in families for sample in family.samples}
    assert names(expression) <= real | set(RECORDED) | PROMETHEUS_OWN
    query = shrink(expression.replace("[$__rate_interval]", f"[{4 * SCRAPE * 1000:.0f}ms]"))
    for name in VARIABLES:
        query = query.replace(f"${name}", ".+")
    assert "$" not in query
    # A rare event must have happened at some time, so this looks at all the time of this Prometheus.
    ever = f"max_over_time(({query})[10m:{SCRAPE * 1000:.0f}ms])"
    assert monitored.prometheus.wait_for(lambda: monitored.prometheus.query(ever)), query


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable["type"] == "query"])
def test_a_variable_has_values_to_choose_from(monitored: Monitored, name):
    metric, label = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", VARIABLES[name]["definition"]).groups()
    assert VARIABLES[name]["query"]["query"] == VARIABLES[name]["definition"]
    assert len(monitored.prometheus.labels(metric, label) - {("",)}) >= 1
