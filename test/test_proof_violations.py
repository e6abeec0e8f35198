"""proof/violations.py and reports/violations.py: `schema_violations` of the manifest."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from process import ssmd
from recorded import KALSHI, trade, write_day

from ssmd.proof.examine import examine
from ssmd.store.inventory import data_files
from ssmd.store.layout import manifest_path
from ssmd.store.manifest_file import read_manifest

DAY = "2026-09-20"
CHECKING = {**KALSHI, "schema": "kalshi:v2"}
FOUND = {"path": "msg.side", "reason": "is missing", "first": "2026-09-20T00:00:01.000000Z"}


def violations(kind: str, count: int) -> tuple[str, dict[str, Any]]:
    return "violations", {"type": kind, "count": count, **FOUND}


def run(began: int, *happened: tuple[str, dict[str, Any]], schema: bool = True, ended: str = "stopped") -> list[Any]:
    """Return the entries of one run, which has one message; `ended`: its last entry, empty when it was killed."""
    return [
        (began, "started", CHECKING if schema else KALSHI),
        (began, "connected", {}),
        (began + 1, trade(1)),
        *((began + 2, event, fields) for event, fields in happened),
        *([(began + 3, ended, {"reason": "SIGTERM"})] if ended else []),
    ]


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (run(0, schema=False), UNSET),
        (run(0), {}),
        (run(0, violations("trade", 2), violations("", 1), violations("trade", 3)), {"": 1, "trade": 5}),
        ([*run(0, violations("trade", 2)), *run(9, schema=False)], {"trade": 2}),
        (run(0, violations("trade", 2), ended=""), None),
        ([*run(0, violations("trade", 2), ended=""), *run(9)], None),
        ([*run(0, schema=False, ended=""), *run(9, violations("trade", 2))], {"trade": 2}),
        (run(0, ("violations", {"type": 1, "count": "x"})), {}),
        (run(0, violations("trade", 2), ("observer_failed", {"observer": "SchemaCheck"})), None),
        (run(0, violations("trade", 2), ("observer_failed", {"observer": "Tap"})), {"trade": 2}),
        (run(0, ("observer_failed", {"observer": "SchemaCheck"}), schema=False), UNSET),
    ],
    ids=[
        *("off", "none", "some", "off later", "killed", "killed before", "killed without", "damaged", "failed"),
        *("another failed", "failed without"),
    ],
)
@pytest.mark.parametrize("format", [1, 2])
def test_the_manifest_has_the_sums_of_the_ledger(tmp_path, happened, expected, format):
    [file] = data_files([write_day(tmp_path, DAY, *happened, sealed=False)])
    assert examine(file, format=format).manifest.schema_violations == (UNSET if format == 1 else expected)


def test_verify_reports_a_manifest_that_says_something_else(tmp_path):
    write_day(tmp_path, DAY, *run(0, violations("trade", 2)))
    path = manifest_path(tmp_path / DAY, "kalshi")
    manifest = read_manifest(path)
    assert manifest is not None
    assert manifest.schema_violations == {"trade": 2}
    assert ssmd("verify", tmp_path).returncode == 0
    path.write_bytes(path.read_bytes().replace(b'{"trade":2}', b'{"trade":1}'))
    ended = ssmd("verify", tmp_path)
    assert ended.returncode == 65
    assert 'the manifest says schema_violations is {"trade":1}, but it is {"trade":2}' in ended.stdout


def report(storage: Path) -> list[str]:
    ended = ssmd("report", storage, "--days", "99999")
    assert ended.returncode == 0, ended
    lines = ended.stdout.splitlines()
    title = "messages that are not as their schema says, by type (docs/schemas.md):"
    found = lines[lines.index(title) + 1 :] if title in lines else []
    page = ssmd("report", storage, "--days", "99999", "--html").stdout
    assert [line for line in found if f"<li>{line}</li>" not in page] == []
    return found


FIRST = "the first at 2026-09-20T00:00:01.000000Z: msg.side is missing"


def test_the_report_has_a_line_for_each_type_of_a_day_with_violations(tmp_path):
    write_day(tmp_path, DAY, *run(0, violations("trade", 1999), violations("", 1), violations("trade", 1)))
    write_day(tmp_path, "2026-09-21", *run(0))
    write_day(tmp_path, "2026-09-22", *run(0, schema=False))
    shown = [f"{DAY} kalshi: trade: 2,000 messages, {FIRST}", f"{DAY} kalshi: without a type: 1 message, {FIRST}"]
    assert report(tmp_path) == shown
    (tmp_path / DAY / "kalshi.ledger.jsonl").unlink()
    assert report(tmp_path) == [f"{DAY} kalshi: trade: 2,000 messages", f"{DAY} kalshi: without a type: 1 message"]


def test_of_a_day_on_which_a_collector_was_killed_the_report_has_what_is_known(tmp_path):
    write_day(tmp_path, DAY, *run(0, violations("trade", 3), ended=""))
    assert report(tmp_path) == [
        f"{DAY} kalshi: not all are known: a collector that checked messages was killed, or its check failed",
        f"{DAY} kalshi: trade: at least 3 messages, {FIRST}",
    ]


def test_a_hundred_types_of_a_day_are_not_a_hundred_lines(tmp_path):
    write_day(tmp_path, DAY, *run(0, *(violations(f"t{number:02}", 100 - number) for number in range(23))))
    found = report(tmp_path)
    assert (len(found), found[-1]) == (21, f"{DAY} kalshi: and 3 more types")
    assert found[0] == f"{DAY} kalshi: t00: 100 messages, {FIRST}"


def test_a_day_that_was_not_checked_has_no_such_field(tmp_path):
    write_day(tmp_path, DAY, *run(0, schema=False))
    assert "schema_violations" not in json.loads(manifest_path(tmp_path / DAY, "kalshi").read_bytes())
