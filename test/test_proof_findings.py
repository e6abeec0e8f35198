"""Every difference between a day and its ledger or its manifest is found, and of many the first are named."""

from __future__ import annotations

import msgspec
import pytest
from recorded import GAPS_DAY, the_entry, write_gaps
from recorded_runs import (
    BEGIN,
    SECOND,
    data_in,
    findings_in,
    ledger_in,
    manifest_in,
    record_day,
)

from ssmd.proof.scan import MOST_FINDINGS
from ssmd.proof.verify import verify
from ssmd.store.ledger import Entry, decode_entry, encode_entry
from ssmd.store.manifest import ClosedTime, Manifest
from ssmd.store.manifest_formats import decode_manifest, encode_manifest


def another_value(value):
    """Return another value of the same kind."""
    if isinstance(value, dict):
        return {**value, "ticker": value["ticker"] + 1}
    if isinstance(value, list) and len(value) == 24:
        return [value[0] + 1, *value[1:]]
    if value is msgspec.UNSET:
        return [ClosedTime("2025-12-22T01:00:00.000000Z", "2025-12-22T02:00:00.000000Z", 3600.0)]
    if isinstance(value, str) and value.endswith("Z"):
        return value.replace("T00:", "T23:")
    if isinstance(value, list):
        return value[:-1] if value else [1]
    return value + 1 if isinstance(value, int | float) else value[:-1] + ("1" if value[-1] != "1" else "2")


FIELDS = set(Manifest.__struct_fields__) - {"format", "block_lines", "sealed", "sealed_by"}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_a_wrong_value_in_any_field_of_a_manifest_is_found(own_storage, field):
    path = manifest_in(own_storage)
    manifest = decode_manifest(path.read_bytes())
    if field == "block_sums":
        wrong = msgspec.structs.replace(manifest, block_sums="AAAA" + manifest.block_sums[4:])
    else:
        wrong = msgspec.structs.replace(manifest, **{field: another_value(getattr(manifest, field))})
    path.write_bytes(encode_manifest(wrong))
    findings = findings_in(own_storage)
    assert any(field in text or "block sums" in text for _, text in findings), findings


def test_a_gap_that_only_the_data_or_only_the_ledger_has_is_found(own_storage):
    path = ledger_in(own_storage)
    text = path.read_bytes()
    [gap] = [line for line in text.splitlines(keepends=True) if b'"gap"' in line]
    line = decode_entry(gap).line + 1
    path.write_bytes(text.replace(gap, b""))
    manifest_in(own_storage).unlink()
    text_of_gap = "sid 1, expected 51, got 52, 1 lost"
    assert findings_in(own_storage) == [(line, f"follows a gap that the ledger does not have: {text_of_gap}")]
    path.write_bytes(text.replace(b'"got":52,"missing":1', b'"got":53,"missing":2'))
    assert [number for number, _ in findings_in(own_storage)] == [line, line]


@pytest.mark.parametrize("unit", ["lines", "bytes"])
def test_a_total_of_a_run_that_is_not_right_is_found_without_a_manifest(own_storage, unit):
    path = ledger_in(own_storage)
    [*before, last] = [decode_entry(line) for line in path.read_bytes().splitlines()]
    wrong = last._replace(fields={**last.fields, unit: last.fields[unit] + 1})
    path.write_bytes(b"".join(map(encode_entry, [*before, wrong])))
    manifest_in(own_storage).unlink()
    [(line, text)] = findings_in(own_storage)
    assert (line, text.endswith(f"{unit}, but the ledger counts {wrong.fields[unit]}")) == (last.line, True)


def test_an_import_of_no_lines_is_no_beginning_of_a_ledger(own_storage):
    path = ledger_in(own_storage)
    path.write_bytes(path.read_bytes().replace(b'"event":"started"', b'"event":"imported"', 1))
    manifest_in(own_storage).unlink()
    expected = "was written by a run that is not in the ledger: the beginning of the ledger is lost"
    assert (1, expected) in findings_in(own_storage)


@pytest.mark.parametrize("removed", ["beginning", "all"])
def test_a_ledger_without_its_beginning_is_found_without_a_manifest(own_storage, removed):
    path = ledger_in(own_storage)
    entries = path.read_bytes().splitlines(keepends=True)
    at_line_0 = [entry for entry in entries if decode_entry(entry).line == 0]
    assert decode_entry(at_line_0[0]).event == "started"
    path.write_bytes(b"".join(entries[len(at_line_0) :]) if removed == "beginning" else b"")
    manifest_in(own_storage).unlink()
    expected = "was written by a run that is not in the ledger: the beginning of the ledger is lost"
    assert (1, expected) in findings_in(own_storage)


def test_an_entry_of_a_line_that_never_reached_the_file_is_no_finding(tmp_path):
    """The run was killed after the entry was written and before its line was. The next run begins at the same place."""
    record_day(tmp_path, count=100)
    ledger = ledger_in(tmp_path)
    size = data_in(tmp_path).stat().st_size
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b'"stopped"' not in line]
    gap = Entry(BEGIN + 200 * SECOND, "gap", size, 100, {"sid": 1, "expected": 82, "got": 84, "missing": 2})
    subscribed = Entry(BEGIN + 200 * SECOND, "subscribed", size, 100, {"sid": 3, "channel": "trade"})
    ledger.write_bytes(b"".join([*kept, encode_entry(subscribed), encode_entry(gap)]))
    assert findings_in(tmp_path) == []
    record_day(tmp_path, first_ns=BEGIN + 300 * SECOND, count=20)
    assert findings_in(tmp_path) == []
    record_day(tmp_path, first_ns=BEGIN + 900 * SECOND, count=0)
    assert findings_in(tmp_path) == []


def test_of_many_gaps_that_the_ledger_lacks_the_first_are_named(own_storage):
    manifest_in(own_storage).unlink()
    ledger = ledger_in(own_storage)
    entries = [entry for entry in ledger.read_bytes().splitlines(True) if b"stopped" not in entry]
    ledger.write_bytes(b"".join(entries))
    data = data_in(own_storage)
    lines = data.read_bytes().splitlines(keepends=True)
    data.write_bytes(b"".join(line for number, line in enumerate(lines) if number < 70 or number % 7))
    gaps = [(number, text) for number, text in findings_in(own_storage) if "gap that the ledger does not have" in text]
    assert len(gaps) == MOST_FINDINGS + 1
    assert gaps[-1][0] is None


COUNT = 100


@pytest.mark.parametrize(
    ("step", "entries", "first", "rest"),
    [
        (2, lambda *_: [], "follows a gap that the ledger does not have: sid 1, expected 2, got 3, 1 lost",
         "and 79 more lines, each of which follows a gap that the ledger does not have"),
        (1, the_entry, "has no gap before it, although the ledger has one there: sid 1, expected 2, got 3, 1 lost",
         "and 79 more gaps that only the ledger has"),
        (1, lambda *_: [b"oops\n"], "line 3 of the ledger is not a ledger entry",
         "and 79 more lines of the ledger are not ledger entries"),
    ],
    ids=["gaps without entries", "entries without gaps", "no entries"],
)  # fmt: skip
def test_of_many_gaps_that_are_wrong_the_first_are_named(tmp_path, step, entries, first, rest):
    findings = verify(write_gaps(tmp_path, COUNT, step=step, entries=entries)).findings
    assert len(findings) == MOST_FINDINGS + 1
    assert findings[0].text == first
    assert tuple(findings[-1]) == (None, rest)
    assert [finding.line for finding in findings[:-1]] in ([None] * MOST_FINDINGS, [*range(2, MOST_FINDINGS + 2)])


def test_a_gap_that_the_ledger_has_twice_or_in_another_place_is_found_among_many(tmp_path):
    def entries(place: int, entry: Entry) -> list[bytes]:
        if place == 40:  # Its number of lines is wrong, its offset is not.
            return [encode_entry(entry._replace(line=60))]
        return [encode_entry(entry)] * (1 + (place == 20))

    found = [tuple(finding) for finding in verify(write_gaps(tmp_path, COUNT, entries=entries)).findings]
    offset = sum(map(len, (tmp_path / GAPS_DAY / "kalshi.jsonl").read_bytes().splitlines(keepends=True)[:40]))
    assert found == [
        (61, f"does not begin at byte {offset}, where the ledger puts `gap`: lines before it are missing, added or "
         "changed"),
        (41, "follows a gap that the ledger does not have: sid 1, expected 80, got 81, 1 lost"),
        (61, "has no gap before it, although the ledger has one there: sid 1, expected 80, got 81, 1 lost"),
    ]  # fmt: skip
