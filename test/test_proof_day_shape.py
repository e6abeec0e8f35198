"""The shape beside a sealed day: made when the day is sealed, compared with the days before, and verified."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drifting import PLANTED, Message, messages
from process import ssmd
from recorded import GENERIC, KALSHI, write_day

from ssmd.proof.day_shape import drifts_of
from ssmd.proof.verify import verify
from ssmd.shape.file import DAYS_BEFORE, read_shape, shapes_before
from ssmd.store.inventory import data_files
from ssmd.store.layout import shape_path

DAYS = [f"2026-01-{day:02}" for day in range(1, 12)]
MESSAGES = 12_000


def record(storage: Path, day: str, found: list[Message], *, sealed: bool = True) -> Path:
    """Write a day of messages whose types are at the top."""
    dialect = {**GENERIC, "description": {"paths": {"type": "type"}}}
    payloads = [(1 + number / 1000, json.dumps(one).encode()) for number, one in enumerate(found)]
    ends = [(3600.0, "stopped", {"reason": "SIGTERM"})]
    return write_day(storage, day, (0, "started", dialect), (0, "connected", {}), *payloads, *ends, sealed=sealed)


def planted(name: str, seed: int = 9) -> list[Message]:
    change, _ = PLANTED[name]
    return [change(one) for one in messages(MESSAGES, seed=seed)]


@pytest.fixture(scope="module")
def days(tmp_path_factory) -> Path:
    """Two ordinary days."""
    storage = tmp_path_factory.mktemp("days")
    for seed, day in enumerate(DAYS[:2]):
        record(storage, day, list(messages(MESSAGES, seed=seed)))
    return storage


def test_a_sealed_day_has_a_shape_of_its_lines(days):
    folder = days / DAYS[1]
    shape = read_shape(shape_path(folder, "kalshi"))
    manifest = json.loads((folder / "kalshi.manifest.json").read_bytes())
    assert shape is not None
    assert (shape.feed, shape.day, shape.lines, shape.sha256) == ("kalshi", DAYS[1], MESSAGES, manifest["sha256"])
    assert shape.exchanges == ["generic"]
    assert {name: one.messages for name, one in shape.types.items()} == manifest["messages_by_type"]
    assert drifts_of(folder, "kalshi") == drifts_of(days / DAYS[0], "kalshi") == []
    assert [verify(file).findings for file in data_files([days])] == [[], []]


HALF_A_PAIR = {
    "type": b'{"type":"\\ud800","a":1}',
    "type beside another": b'{"type":1e999,"type":"\\ud800"}',
    "name": b'{"type":"trade","a":1e999,"\\ud800":1}',
    "encoded name": b'{"type":"trade","a":1e999,"\xed\xa0\x80":1}',
}
"""Python's json reads half a surrogate pair, and no file can hold it."""
DIALECTS = {"kalshi": KALSHI, "generic": {**GENERIC, "description": {"paths": {"type": "type"}}}}


@pytest.mark.parametrize("payload", HALF_A_PAIR.values(), ids=HALF_A_PAIR)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_no_message_keeps_a_day_from_being_sealed(tmp_path, dialect, payload):
    ends = [(3600.0, "stopped", {"reason": "SIGTERM"})]
    write_day(tmp_path, DAYS[0], (0, "started", dialect), (0, "connected", {}), (1, payload), *ends, sealed=True)
    [file] = data_files([tmp_path])
    assert verify(file).findings == []
    assert ssmd("shape", tmp_path, "--json").stderr == ""


def test_sealing_several_days_at_once_names_what_has_changed(days, tmp_path):
    for seed, day in enumerate(DAYS[:2]):
        record(tmp_path, day, list(messages(MESSAGES, seed=seed)), sealed=False)
    path = record(tmp_path, DAYS[2], planted("text to number"), sealed=False)
    ended = ssmd("seal", tmp_path, "--jobs", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    what = "messages of type trade: the field msg.price was decimal text, and is number; line 10"
    assert ended.stdout.splitlines()[3:] == [f"{path}: drift: {what}"]


def test_a_collector_logs_a_warning_for_what_has_changed(days, tmp_path):
    """As a companion, `ssmd seal` writes into the log, and the collector passes that on."""
    record(tmp_path, DAYS[0], list(messages(MESSAGES)))
    path = record(tmp_path, DAYS[1], planted("new type"), sealed=False)
    ended = ssmd("seal", tmp_path, SSMD_STATUS_FD="2")
    assert ended.returncode == 0
    [entry] = [json.loads(line) for line in ended.stderr.splitlines()]
    expected = {"level": "warning", "event": "drift: messages of type trade2 are new", "file": str(path), "line": 10}
    assert {**entry, **expected} == entry


@pytest.mark.parametrize("name", ["shape of nothing", "of other lines"])
def test_verify_finds_a_shape_that_is_not_of_the_day(tmp_path, name):
    record(tmp_path, DAYS[0], list(messages(1000)))
    path = shape_path(tmp_path / DAYS[0], "kalshi")
    shape = path.read_bytes()
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]]
    path.write_bytes(b"{}" if name == "shape of nothing" else shape.replace(b'"lines": 1000', b'"lines": 999'))
    [verdict] = map(verify, data_files([tmp_path]))
    texts = [finding.text for finding in verdict.findings]
    if name == "shape of nothing":
        assert texts == [
            f"has a shape file that cannot be used: {path}: is not a shape: Object missing required field `format`"
        ]
    else:
        assert texts == [f"has a shape file of other lines, of kalshi on {DAYS[0]}"]
    path.unlink()
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]]


def test_a_day_is_compared_with_the_newest_days_that_have_a_shape(tmp_path):
    for day in DAYS[:-1]:
        record(tmp_path, day, list(messages(20)))
    shape_path(tmp_path / DAYS[8], "kalshi").unlink()
    shape_path(tmp_path / DAYS[7], "kalshi").write_bytes(b"damaged")
    (tmp_path / DAYS[9] / "kalshi2.shape.json").write_bytes((tmp_path / DAYS[9] / "kalshi.shape.json").read_bytes())
    found = shapes_before(tmp_path, "kalshi", DAYS[10])
    assert [shape.day for shape in found] == [DAYS[9], *reversed(DAYS[1:7])]
    assert len(found) == DAYS_BEFORE


def test_all_shards_of_the_days_before_count(tmp_path, days):
    for part in (1, 2):
        for path in (days / DAYS[0]).iterdir():
            target = tmp_path / DAYS[0] / path.name.replace("kalshi.", f"kalshi+{part}of2.")
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    record(tmp_path, DAYS[1], planted("new field"))
    assert [drift.path for drift in drifts_of(tmp_path / DAYS[1], "kalshi")] == ["msg.spread"]
    assert sum(shape.lines for shape in shapes_before(tmp_path, "kalshi", DAYS[1])) == 2 * MESSAGES


@pytest.mark.parametrize("gone", [["jsonl", "manifest.json"], ["jsonl", "manifest.json", "ledger.jsonl"]])
def test_a_shape_counts_for_the_days_after_it_without_its_data_and_its_manifest(tmp_path, gone):
    record(tmp_path, DAYS[0], list(messages(MESSAGES, seed=1)))
    for kind in gone:
        (tmp_path / DAYS[0] / f"kalshi.{kind}").unlink()
    record(tmp_path, DAYS[1], planted("new field"))
    kind, type, path, *_ = PLANTED["new field"][1][0]
    assert [(drift.kind, drift.type, drift.path) for drift in drifts_of(tmp_path / DAYS[1], "kalshi")] == [
        (kind, type, path)
    ]
    shape_path(tmp_path / DAYS[0], "kalshi").unlink()
    assert drifts_of(tmp_path / DAYS[1], "kalshi") == []
