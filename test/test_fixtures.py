"""What earlier versions recorded and accepted is still read, proved and loaded: the days and trees in test/fixtures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from process import ROOT, Process, Simulator, ssmd

from ssmd import wiring
from ssmd.metadata.loader import check
from ssmd.proof.examine import examine
from ssmd.store.inventory import data_files
from ssmd.store.layout import manifest_path
from ssmd.store.manifest_formats import decode_manifest
from ssmd.store.timestamps import parse_timestamp

FIXTURES = Path(__file__).parent / "fixtures" / "0.1.0"
STORAGES = FIXTURES / "storages"
VERSIONS = sorted(FIXTURES.parent.iterdir())
FOLDERS = {path.name: path.parent for version in VERSIONS for path in (version / "storages").iterdir()}
EXPECTED: dict[str, Any] = {}
for version in VERSIONS:
    EXPECTED |= json.loads((version / "expected.json").read_text())


def in_storages(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """`ssmd` beside the storage, which is the last argument, so that the paths in its output are short."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "ssmd", *arguments]
    return subprocess.run(argv, cwd=FOLDERS[arguments[-1]], env=environ, capture_output=True, check=False)


@pytest.fixture
def copy(tmp_path) -> Path:
    """The storage `good` where it may be written to."""
    return Path(shutil.copytree(STORAGES / "good", tmp_path / "data"))


def test_git_keeps_every_byte():
    attributes = subprocess.run(
        ["git", "check-attr", "text", "test/fixtures/0.1.0/storages/good/2025-12-31/kalshi.jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if attributes.returncode:
        pytest.skip("needs git and a checkout")
    assert attributes.stdout.endswith(": text: unset\n")


@pytest.mark.parametrize("storage", EXPECTED)
def test_verify_finds_what_it_found(storage):
    done = in_storages("verify", storage)
    # A file or a folder that is missing is named by its whole path.
    named = re.findall(rf"^(?:\S*/)?{storage}/(\S+?):(?: line (\d+))? ", done.stdout.decode(), re.MULTILINE)
    found = [[path, int(line) if line else None] for path, line in dict.fromkeys(named)]
    expected = EXPECTED[storage]["verify"]
    assert sorted(map(str, found)) == sorted(map(str, expected["findings"]))
    assert (done.returncode, done.stderr) == (expected["exit_code"], b"")


@pytest.mark.parametrize("storage", EXPECTED)
@pytest.mark.parametrize("command", ["cat", "cat --raw"])
def test_cat_prints_what_it_printed(storage, command):
    done = in_storages(*command.split(), storage)
    printed = {
        "exit_code": done.returncode,
        "sha256": hashlib.sha256(done.stdout).hexdigest(),
        "lines": done.stdout.count(b"\n"),
    }
    assert printed == EXPECTED[storage][command]


@pytest.mark.parametrize("storage", EXPECTED)
@pytest.mark.parametrize("options", [(), ("--html",)])
def test_every_day_has_its_row_in_the_report(storage, options):
    done = in_storages("report", "--days", "9999", *options, storage)
    assert (done.returncode, done.stderr) == (0, b"")
    days = {path.name.encode() for path in (FOLDERS[storage] / storage).iterdir() if path.is_dir()}
    assert days <= set(re.findall(rb"\d{4}-\d\d-\d\d", done.stdout))


def test_the_manifests_of_0_1_0_are_still_worked_out_as_0_1_0_did():
    """Format 1 is verified by the rules of format 1, whatever is written today."""
    sealed = [file for file in data_files([STORAGES / "good"]) if manifest_path(file.path.parent, file.feed).exists()]
    assert len(sealed) == 7
    for file in sealed:
        kept = decode_manifest(manifest_path(file.path.parent, file.feed).read_bytes())
        assert kept.format == 1
        again = examine(file, format=1).manifest
        assert again == msgspec.structs.replace(kept, sealed=again.sealed, sealed_by=again.sealed_by), file.path


def test_days_of_0_1_0_can_be_sealed_again(copy):
    removed = sorted(path.relative_to(copy) for path in copy.glob("*/*.manifest.json"))
    for path in removed:
        (copy / path).unlink()
    done = ssmd("seal", copy, "--before", "2026-01-02")
    assert (done.returncode, done.stderr, done.stdout.count(": sealed, ")) == (0, "", len(removed))
    # A compressed day is sealed too: that it has no manifest is found before, and not after.
    assert sorted(path.relative_to(copy) for path in copy.glob("*/*.manifest.json")) == removed
    assert ssmd("verify", copy).returncode == 0


@pytest.mark.parametrize("feed", EXPECTED["good"]["outages"])
def test_a_collector_goes_on_where_0_1_0_ended(copy, tmp_path, feed):
    """The torn end is set aside, and the outage begins where nobody listened any more."""
    days = {path.name for path in copy.iterdir() if path.is_dir()}
    with Simulator() as simulator:
        kalshi = feed == "kalshi"
        endpoint, exchange = ("sim://kalshi", "kalshi") if kalshi else (simulator.generic, "generic")
        tree = make_tree(tmp_path, feed, endpoint, exchange)
        with Process("run", feed, "--config-dir", tree, "--listen", "127.0.0.1:0") as collector:
            collector.wait_for("connected")
            assert collector.end() == 0
    new = min(path.name for path in copy.iterdir() if path.is_dir() and path.name not in days)
    entries = [json.loads(line) for line in (copy / new / f"{feed}.ledger.jsonl").read_bytes().splitlines()]
    outage = entries[0]
    assert [entry["event"] for entry in entries[:3]] == ["outage", "started", "connected"]
    assert {name: outage[name] for name in ("from", "cause")} == EXPECTED["good"]["outages"][feed]
    lasted = (parse_timestamp(outage["to"]) - parse_timestamp(outage["from"])) / 1e9
    assert outage["seconds"] == pytest.approx(lasted, abs=2e-6)
    torn = copy / "2026-01-02" / f"{feed}.jsonl.torn"
    assert torn.exists() == kalshi
    last = [json.loads(line)["event"] for line in (copy / "2026-01-02" / f"{feed}.ledger.jsonl").open()][-1]
    assert last == ("torn" if kalshi else "stopped")
    assert ssmd("verify", copy).returncode == 0
    assert ssmd("report", copy).returncode == 0


def make_tree(folder: Path, feed: str, endpoint: str, exchange: str) -> Path:
    tree = folder / "conf"
    for name in ("feeds", "environments"):
        (tree / name).mkdir(parents=True)
    version = f"{{version: v1, effective_from: 2025-01-01, endpoint: '{endpoint}', exchange: {exchange}}}"
    (tree / "feeds" / f"{feed}.yaml").write_text(f"name: {feed}\ntype: websocket\nversions: [{version}]\n")
    storage = f"storage: {{type: local, path: {folder / 'data'}}}"
    (tree / "environments" / f"{feed}.yaml").write_text(f"name: {feed}\nfeed: {feed}\n{storage}\n")
    return tree


# Of each tree: the exit code of `ssmd validate`, and each problem as its level, file and field. What 0.1.0 did not
# serve and a later version does leaves this list; a field that loaded goes on loading. That
# `data_timeout_seconds` is not set, that a parameter is for other channels, and that loss cannot be detected, are
# warnings of 0.2.0.
NO_EFFECT = "no effect"
"""The level of a warning about a field that loads and on which nothing acts yet; 0.1.0 had none of these."""


def untimed(*environments: str) -> set[tuple[str, str, str]]:
    """The warnings of environments that do not say how long their feed may be silent."""
    return {("warning", f"environments/{name}.yaml", "data_timeout_seconds") for name in environments}


def unnumbered(feed: str) -> set[tuple[str, str, str]]:
    """The warning of a feed of whose messages no numbers are known."""
    return {("warning", f"feeds/{feed}.yaml", "versions[0].dialect")}


PROBLEMS = {
    "conf": (0, untimed("kalshi-demo", "kalshi-dev", "kalshi-local", "kraken") | unnumbered("kraken")),
    "full": (
        0,
        untimed("kalshi", "one-market", "plain")
        | unnumbered("plain")
        | {
            ("warning", "environments/one-market.yaml", "schema"),
            ("warning", "environments/plain.yaml", "feed"),
            ("warning", "environments/plain.yaml", "x-team"),
            ("warning", "schemas/everything.yaml", "versions[2].hash"),
            ("warning", "environments/everything.yaml", "subscribe.shard_factor"),
            ("warning", "environments/everything.yaml", "subscribe.shard_key"),
            ("warning", "environments/one-market.yaml", "subscribe.market_id"),
            ("warning", "environments/one-market.yaml", "subscribe.user_filter"),
            (NO_EFFECT, "environments/everything.yaml", "schedule"),
            (NO_EFFECT, "environments/everything.yaml", "keys.spare.key-2.type"),
            (NO_EFFECT, "environments/everything.yaml", "transport.url"),
            (NO_EFFECT, "environments/everything.yaml", "transport.stream"),
            (NO_EFFECT, "environments/everything.yaml", "transport.subject_prefix"),
            (NO_EFFECT, "environments/everything.yaml", "storage.bucket"),
            (NO_EFFECT, "environments/everything.yaml", "storage.region"),
            (NO_EFFECT, "environments/everything.yaml", "cache"),
            (NO_EFFECT, "environments/plain.yaml", "cache"),
            (NO_EFFECT, "feeds/everything.yaml", "calendar"),
            (NO_EFFECT, "feeds/everything.yaml", "defaults"),
            (NO_EFFECT, "feeds/everything.yaml", "versions[1].parser_config"),
            (NO_EFFECT, "feeds/plain.yaml", "versions[0].parser_config"),
            (NO_EFFECT, "feeds/simulated.yaml", "versions[0].parser_config"),
            (NO_EFFECT, "feeds/everything.yaml", "versions[0].auth_method"),
            (NO_EFFECT, "feeds/everything.yaml", "versions[2].auth_method"),
            (NO_EFFECT, "feeds/plain.yaml", "calendar"),
        },
    ),
    "existing": (
        78,
        untimed("direct", "kalshi-dev", "kalshi-prod", "rates")
        | {
            ("error", "environments/direct.yaml", "feed"),
            ("error", "environments/kalshi-prod.yaml", "keys.s3.source"),
            ("error", "environments/rates.yaml", "keys.rates.source"),
            ("error", "feeds/direct.yaml", "type"),
            ("error", "environments/rates.yaml", "subscribe.requests"),
            (NO_EFFECT, "feeds/rates.yaml", "versions[0].auth_method"),
            (NO_EFFECT, "environments/kalshi-dev.yaml", "schedule"),
            (NO_EFFECT, "environments/kalshi-dev.yaml", "cache"),
            (NO_EFFECT, "environments/kalshi-prod.yaml", "cache"),
            (NO_EFFECT, "environments/rates.yaml", "keys.rates.type"),
            (NO_EFFECT, "feeds/kalshi.yaml", "calendar"),
            (NO_EFFECT, "feeds/kalshi.yaml", "versions[0].parser_config"),
        },
    ),
}


@pytest.mark.parametrize("tree", PROBLEMS)
def test_a_tree_has_the_problems_that_it_had(tree):
    done = ssmd("validate", "--config-dir", FIXTURES / "trees" / tree)
    code, expected = PROBLEMS[tree]
    lines = [line for line in done.stdout.splitlines() if not line.startswith("ok: ")]
    assert sorted(map(problem, lines)) == sorted(expected)
    assert (done.returncode, done.stderr) == (code, "")


def problem(line: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"(error|warning): ([^:]+):\d+: ([\w.\[\]-]+): (.*)", line)
    assert found, line
    level, file, field, message = found.groups()
    no_effect = message.startswith(("has no effect in this version", "has no effect with"))
    return (NO_EFFECT if no_effect else level, file, field)


def test_what_has_no_form_of_its_own_is_read_as_it_was():
    """In `subscribe` and `parser_config` the unquoted values are what YAML 1.2 and JSON take them for."""
    report = check(FIXTURES / "trees" / "full", date(2026, 1, 2), wiring.parts())
    plain, everything = (report.deployments[name] for name in ("plain", "everything"))
    assert plain.environment.subscribe == {
        "messages": [
            {"method": "subscribe", "params": {"channel": "book", "symbol": ["BTC/USD", "ETH/USD"], "depth": 10}},
            {
                "op": "sub",
                "args": ["5", 5, 5.5, 1000.0, True, False, None, None, "true", "yes", "10:30", "2025-12-22"],
                "text": "folded text\n",
            },
            {},
        ]
    }
    assert everything.version.version == "v2"
    assert everything.version.parser_config == {
        "depth": 10,
        "zone": "5",
        "when": "2025-01-01",
        "off": "no",
        "nested": [1, 2.5, True, None, {"deep": "x"}],
    }
