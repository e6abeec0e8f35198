"""The documents say what the code does: every command, field, metric and exit code, in both directions."""

import dataclasses
import os
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from ssmd import errors, wiring
from ssmd.commands import COMMANDS
from ssmd.connector import CONNECTORS
from ssmd.connector.config import WebSocketConfig
from ssmd.contracts.listing import ListingState
from ssmd.exchange.generic.description import Description
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.generic.template import KEY, MESSAGE, NOW_MS, NOW_S, PREPARED
from ssmd.exchange.kalshi.section import DEFAULT_CHANNELS, TICKERS_PER_COMMAND
from ssmd.metadata.document import freeform
from ssmd.metadata.document import parse as parse_yaml
from ssmd.metadata.keys import KeySpec
from ssmd.metadata.loader import check, load
from ssmd.metadata.model import Environment, Feed, FeedVersion, Schema, SchemaVersion
from ssmd.metadata.sections import Cache, Calendar, ExpectedSilence, Schedule, Snapshots, Storage, Transport
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.drift import DriftState
from ssmd.runtime.metrics import ERROR_TYPES, Metrics
from ssmd.runtime.schema_counts import SchemaCounts
from ssmd.runtime.status import Status
from ssmd.shipping import TRANSPORTS
from ssmd.store.file_kinds import DAY_FILES
from ssmd.store.manifest_formats import FORMAT
from ssmd.writer import WRITERS
from ssmd.writer.storage import LocalStorage

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def section(text: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading of the same level."""
    level = heading.split()[0]
    return text.split(f"\n{heading}\n")[1].split(f"\n{level} ")[0]


def table(text: str, column: int = 0) -> list[str]:
    """Return one column of the table in a text, without its head."""
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [row[column].strip() for row in rows[2:]]


def named(cells: list[str]) -> set[str]:
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


LISTING = ListingState(0, 0, 0, 0, 0, None)
REPORT = {"engine": "nats", "up": False, "messages": 0, "failures": 0, "shipped_until": None, "error": None}
SHIP = CompanionState(report={**REPORT, "lag_bytes": None, "lag_seconds": None})
S3 = {"engine": "s3", "day_overdue_seconds": 0}
UPLOAD = CompanionState(up=True, report=SHIP.report | S3, reported=time.monotonic())
SEAL = CompanionState(report={"drift": {"counts": [["new_type", "trade", 1]]}})


def test_the_readme_has_every_metric_and_no_other():
    registry = CollectorRegistry()
    companions = {"ship": SHIP, "upload": UPLOAD, "seal": SEAL}
    status = Status(not_decompressed=lambda: 0, unchanged=lambda: 0, listing=LISTING, companions=companions)
    status.schema = SchemaCounts("kalshi:v2", is_sample=False)
    status.drift = DriftState("all")
    Metrics(registry, "kalshi", status)
    # The library appends _total to the names of counters only when it prints them.
    real = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in registry.collect()
        if metric.name.startswith("ssmd_")
    }
    assert {name.partition("{")[0] for name in named(table(section(README, "## Metrics")))} == real


def test_the_readme_has_every_type_of_error_and_no_other():
    [row] = [line for line in README.splitlines() if line.startswith("| `ssmd_errors_total")]
    assert sorted(re.search(r"run: (.+) \|", row).group(1).split(", ")) == sorted(ERROR_TYPES)


def test_the_exit_codes_of_the_readme_are_those_of_the_errors():
    def below(error: type[errors.SsmdError]) -> set[type[errors.SsmdError]]:
        return {error}.union(*map(below, error.__subclasses__()))

    real = {error.exit_code for error in below(errors.SsmdError) - {errors.SsmdError}} | {0, errors.EXIT_BUG}
    assert {int(code) for code in table(section(README, "## Exit codes"))} == real


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme_with_its_usage(command):
    rows = re.findall(rf"^\| `(ssmd {command} [^`]+)` \|", README, re.MULTILINE)
    help_text = __import__(COMMANDS[command], fromlist=["main"]).__doc__ or ""
    usage = help_text.split("Usage:\n")[1].split("\n\n")[0]
    uses = [re.sub(r"\s+", " ", use) for use in re.findall(r"ssmd (?:.|\n(?!  ssmd))+", usage)]
    assert rows == [use for use in uses if "--help" not in use]


def fields(model: type, prefix: str = "") -> set[str]:
    return {prefix + field.name for field in dataclasses.fields(model)}


@pytest.mark.parametrize(
    ("heading", "real"),
    [
        (
            "## Environments",
            (fields(Environment) - {"keys", "storage", "transport", "schedule", "cache", "snapshots"})
            - {"expected_silence"}
            | fields(KeySpec, "keys.<name>.")
            | fields(Storage, "storage.").union(*(fields(part.Config, "storage.") for part in WRITERS.values()))
            | fields(Transport, "transport.")
            | set().union(*(fields(part.Config, "transport.") for part in TRANSPORTS.values()))
            | fields(Schedule, "schedule.")
            | {f"expected_silence[].{name}" for name in ExpectedSilence.keys_known()}
            | fields(Cache, "cache.")
            | fields(Snapshots, "snapshots."),
        ),
        (
            "## Feeds",
            (fields(Feed) - {"versions", "calendar"})
            | fields(Calendar, "calendar.")
            | fields(FeedVersion, "versions[].").union(
                *(fields(part.Config, "versions[].") for part in CONNECTORS.values())
            ),
        ),
        ("## Schemas", (fields(Schema) - {"versions"}) | fields(SchemaVersion, "versions[].")),
    ],
)
def test_every_field_is_documented_and_no_other(heading, real):
    assert named(table(section(CONFIGURATION, heading))) == real


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("`idle_timeout_seconds`", WebSocketConfig.idle_timeout_seconds),
        ("`coalesce_seconds`", WebSocketConfig.coalesce_seconds),
        ("`max_message_bytes`", WebSocketConfig.max_message_bytes),
        ("`storage.fsync_interval_seconds`", LocalStorage.fsync_interval_seconds),
    ],
)
def test_the_defaults_in_the_readme_are_the_real_ones(field, default):
    rows = [line.split("|") for line in README.splitlines() if line.startswith("|")]
    [shown] = [row[3].strip() for row in rows if row[2].strip() == field]
    assert float(shown) == default


def test_the_facts_about_kalshi_are_those_of_the_code():
    for channel in DEFAULT_CHANNELS:
        assert f"`{channel}`" in CONFIGURATION
    assert f"more than {TICKERS_PER_COMMAND} " in CONFIGURATION


def test_the_forms_on_disk_are_in_the_page_on_formats():
    text = (ROOT / "docs" / "formats.md").read_text()
    rows = table(section(text, "## The forms"))
    assert rows.count(f"manifest, format {FORMAT}") == 1
    files = named(table(section(text, "## The forms"), 1))
    in_days = {name for name in files if "/" in name and "/live/" not in name}  # Segments are in buckets only.
    assert in_days == {f"{{date}}/{{feed}}{kind.suffix}" for kind in DAY_FILES}


def test_every_test_that_a_document_names_exists():
    tests = {path.name for path in (ROOT / "test").rglob("test_*.py")}
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        assert set(re.findall(r"\btest_\w+\.py", document.read_text())) <= tests, document.name


def test_every_script_is_in_the_page_for_contributors():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"`(bin/[\w.-]+)", text)) == {f"bin/{path.name}" for path in (ROOT / "bin").iterdir()}


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_between_documents_has_a_target():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", document.read_text()):
            path = document.parent / target if target else document
            assert path.exists(), f"{document.name}: {target}"
            assert not anchor or anchor in anchors(path), f"{document.name}: {target}#{anchor}"


def importing_examples() -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the files that docs/importing.md shows, and its commands with what they print."""
    text = (ROOT / "docs" / "importing.md").read_text()
    files = re.findall(r"`([\w.]+)`:\n\n```(?:json|log)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(files) + len(commands) == len(re.findall(r"^```(?:json|log|sh)$", text, re.MULTILINE))
    return dict(files), commands


def test_the_examples_of_importing_print_what_is_shown(tmp_path):
    files, commands = importing_examples()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    program = tmp_path / "bin" / "ssmd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ssmd "$@"\n')
    program.chmod(0o755)
    environ = os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    assert len(commands) >= 4
    for code, shown in commands:
        ended = subprocess.run(
            ["sh", "-e", "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (0, shown), ended.stderr


DIALECT = (ROOT / "docs" / "dialect.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DIALECT, re.DOTALL)


def described(example: str) -> tuple[dict, dict]:
    """Return the description in an example of the page on dialects, and the environment's `subscribe` in it."""
    data = freeform(parse_yaml(example.encode(), "example").data)
    if "versions" in data:
        return data["versions"][0]["dialect"], {}
    return ({}, data["subscribe"]) if "storage" in data else (data, {})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.split(":")[0])
def test_every_example_of_a_dialect_is_valid(example):
    description, subscribe = described(example)
    assert list(Generic().check_description(description)) == []
    if subscribe:
        assert list(Generic().described(description).check(subscribe)) == []


def test_the_complete_example_of_a_dialect_is_a_tree_that_works(tmp_path):
    feed, environment = EXAMPLES[-2:]
    for folder, text in (("feeds", feed), ("environments", environment)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "example.yaml").write_text(text)
    assert check(tmp_path, date(2026, 6, 1), wiring.parts()).problems == []


def test_every_field_of_a_dialect_has_an_example_and_a_word_of_explanation():
    used = set().union(*(described(example)[0] for example in EXAMPLES))
    assert used == {field.name for field in dataclasses.fields(Description)} | {"message_types"}
    text = re.sub(r"```yaml\n.*?```", "", DIALECT, flags=re.DOTALL)
    assert {name for name in used if name not in text} == set()


def test_every_placeholder_is_in_the_page_on_dialects_and_no_other():
    real = {f"${{{kind}" for kind in (KEY, NOW_S, NOW_MS, PREPARED, MESSAGE)}
    rows = named(table(section(DIALECT, "## Placeholders")))
    assert {re.split(r"[.}]", name)[0] for name in rows} == real


def test_the_example_of_an_exchange_is_a_tree_that_works(tmp_path):
    text = section((ROOT / "docs" / "exchanges.md").read_text(), "## Add one: an example")
    for path, content in re.findall(r"^cat > try/(\S+) <<'END'\n(.*?)^END$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content)
    [description] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    with (tmp_path / "feeds" / "bitstamp.yaml").open("a") as feed:
        feed.write(description)
    [problem] = check(tmp_path, date(2026, 6, 1), wiring.parts()).problems
    assert problem.warning
    assert "has no `paths.sequence`" in str(problem)
    deployment = load(tmp_path, "bitstamp", date(2026, 6, 1), wiring.parts())
    dialect = Generic().described(deployment.description)
    assert list(dialect.channel_names(deployment.environment.subscribe)) == ["trades", "diff"]
    assert set(dialect.markets(deployment.environment.subscribe)) == {"btcusd"}
