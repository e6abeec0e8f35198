"""The manifest is read back as it was written, by the rules of its format, and only one that makes sense is read."""

from __future__ import annotations

import json

import msgspec
import pytest
from recorded import DAY, GENERIC, KALSHI, make_day, trade, write_day
from recorded_runs import manifest_in

from ssmd.proof.examine import examine
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.manifest import BLOCK_LINES, Manifest
from ssmd.store.manifest_formats import FORMAT, decode_manifest, encode_manifest, known
from ssmd.store.timestamps import day_begins


@pytest.fixture
def manifest(sealed_storage) -> Manifest:
    return decode_manifest(manifest_in(sealed_storage).read_bytes())


def test_a_manifest_comes_back_and_has_one_field_a_line(manifest):
    written = encode_manifest(manifest)
    assert decode_manifest(written) == manifest
    lines = written.decode().splitlines()
    assert (lines[0], lines[-1]) == ("{", "}")
    assert [json.loads("{" + line.removesuffix(",") + "}") for line in lines[1:-1]] == [
        {name: value} for name, value in msgspec.to_builtins(manifest).items()
    ]


@pytest.mark.parametrize("field", sorted({*Manifest.__struct_fields__} - {"closed", "schema_violations"}))
def test_a_manifest_without_one_of_its_fields_is_refused(manifest, field):
    values = msgspec.to_builtins(manifest)
    del values[field]
    with pytest.raises(ValueError, match=f"`{field}`"):
        decode_manifest(json.dumps(values).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"no manifest", b'{"format":1'])
def test_data_that_is_not_a_manifest_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is that of the decoder
        decode_manifest(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 3}, "is of format 3, which this ssmd does not read"),
        ({"block_lines": BLOCK_LINES + 1}, "is of format 2, which this ssmd does not read"),
        ({"lines": 3 * BLOCK_LINES + 1}, "has too few or too many block sums for its lines"),
        ({"lines": 2 * BLOCK_LINES}, "has too few or too many block sums for its lines"),
        ({"block_sums": "AAAA"}, "has block sums that are cut off"),
        ({"block_sums": "!"}, ""),
        ({"messages_by_hour": [0] * 23}, "does not have a number of messages for each of 24 hours"),
        ({"messages_by_hour": [0] * 23 + [-1]}, "does not have a number of messages for each of 24 hours"),
        ({"sealed": "yesterday"}, "has 'yesterday' where a time should be"),
        ({"first": "2025-12-22"}, "has '2025-12-22' where a time should be"),
        ({"last": "\x1b[31m"}, "where a time should be"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_with_the_reason(manifest, change, reason):
    values = msgspec.to_builtins(msgspec.structs.replace(manifest, **change))
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared below
        decode_manifest(json.dumps(values).encode())
    assert reason in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_wrong_time_of_a_session_or_an_outage_is_found_too(manifest):
    [session] = manifest.sessions
    assert manifest.gaps is not None
    for name in ("began", "ended"):
        wrong = msgspec.structs.replace(manifest, sessions=[msgspec.structs.replace(session, **{name: ""})])
        with pytest.raises(ValueError, match="has '' where a time should be"):
            decode_manifest(encode_manifest(wrong))
    for name in ("from_", "to"):
        gaps = [msgspec.structs.replace(gap, **{name: ""}) for gap in manifest.gaps]
        with pytest.raises(ValueError, match="has '' where a time should be"):
            decode_manifest(encode_manifest(msgspec.structs.replace(manifest, gaps=gaps)))


SEALED = "2026-09-22T00:00:00.000000Z"


def in_both_formats(storage, *happened) -> list[Manifest]:
    """Return the manifests of a day in format 1 and in format 2."""
    [file] = data_files([write_day(storage, "2026-09-20", *happened, sealed=False)])
    found = [msgspec.structs.replace(examine(file, format=number).manifest, sealed=SEALED) for number in (1, 2)]
    assert [decode_manifest(encode_manifest(manifest)) for manifest in found] == found
    return found


def test_format_2_is_written(manifest):
    assert (FORMAT, manifest.format, known(manifest)) == (2, 2, manifest)
    assert b'"peak_second"' in encode_manifest(manifest)


def test_only_format_2_has_the_peak_second(tmp_path):
    first, second = in_both_formats(tmp_path, (0, "started", KALSHI), (0, "connected", {}), (1, trade(1)))
    assert b"peak_second" not in encode_manifest(first)
    assert (first.peak_second, second.peak_second) == (msgspec.UNSET, 1)
    # A field that the format does not have is left out again, so that the file is not byte for byte as ssmd writes it.
    added = json.dumps({**json.loads(encode_manifest(first)), "peak_second": 1})
    assert b"peak_second" not in encode_manifest(decode_manifest(added.encode()))


def test_without_sequence_numbers_loss_is_unknown_and_0_in_format_1(tmp_path):
    first, second = in_both_formats(tmp_path, (0, "started", GENERIC), (0, "connected", {}), (1, b"{}"))
    assert (first.sequence_gaps, first.missing) == (0, 0)
    assert (second.sequence_gaps, second.missing) == (None, None)
    # A day of format 1 without any number may be of any dialect.
    assert (known(first).sequence_gaps, known(first).missing) == (None, None)


def test_with_sequence_numbers_0_is_0(tmp_path):
    first, second = in_both_formats(tmp_path, (0, "started", KALSHI), (0, "connected", {}), (1, trade(1)))
    assert (known(first).missing, known(second).missing, second.sequence_gaps) == (0, 0, 0)


@pytest.mark.parametrize("ledger", [None, b"", encode_entry(Entry(day_begins("2026-09-21"), "x", 0, 0, {}))])
def test_without_a_ledger_of_a_run_coverage_is_unknown_and_0_in_format_1(tmp_path, ledger):
    path = make_day(tmp_path, "2026-09-21", sealed=False)
    beside = path.with_name("kalshi.ledger.jsonl")
    beside.unlink()
    if ledger is not None:
        beside.write_bytes(ledger)
    [file] = data_files([path])
    first, second = (examine(file, format=number).manifest for number in (1, 2))
    [gap] = first.gaps or []
    assert (gap.seconds, gap.cause, first.listened_seconds, first.coverage_percent) == (DAY, "not_started", 0, 0)
    assert (second.gaps, second.listened_seconds, second.coverage_percent) == (None, None, None)
    if not ledger:
        assert known(first).gaps is None


def test_an_empty_day_of_a_collector_that_only_began_it_has_no_coverage(tmp_path):
    path = tmp_path / "2026-09-21" / "kalshi.jsonl"
    path.parent.mkdir()
    path.touch()
    path.with_name("kalshi.ledger.jsonl").touch()
    [file] = data_files([path])
    for number in (1, 2):
        manifest = known(examine(file, format=number).manifest)
        assert (manifest.coverage_percent, manifest.missing) == (0, None)


@pytest.mark.parametrize(
    ("seconds", "of_1", "of_2"),
    [(0, 100.0, 100.0), (1e-6, 100.0, 99.9999), (0.04, 100.0, 99.9999), (3, 99.9965, 99.9965), (4, 99.9954, 99.9953)],
)
def test_coverage_is_rounded_in_format_1_and_rounded_down_in_format_2(tmp_path, seconds, of_1, of_2):
    runs = [(0, 40_000, "stopped"), (40_000 + seconds, DAY, "stopped")] if seconds else [(0, DAY, "stopped")]
    [file] = data_files([make_day(tmp_path, "2026-09-21", connected=runs, sealed=False)])
    assert [examine(file, format=number).manifest.coverage_percent for number in (1, 2)] == [of_1, of_2]


def test_a_field_that_the_format_does_not_have_is_reported_by_verify(own_storage):
    path = manifest_in(own_storage)
    path.write_bytes(path.read_bytes().replace(b'"format": 2,', b'"format": 1,'))
    [file] = data_files([own_storage])
    assert "has a manifest that is not as ssmd writes it: something was added to it" in [
        finding.text for finding in verify(file).findings
    ]


def test_a_day_is_verified_by_the_format_with_which_it_was_sealed(tmp_path):
    path = make_day(tmp_path, "2026-09-21")
    manifest = path.with_name("kalshi.manifest.json")
    [file] = data_files([path])
    old = msgspec.structs.replace(examine(file, format=1).manifest, sealed=SEALED)
    manifest.write_bytes(encode_manifest(old))
    verdict = verify(file)
    assert verdict.findings == []
    assert verdict.examination is not None
    assert verdict.examination.manifest.format == 1
    new = seal(file, 0)
    assert new is not None
    assert new.format == 2
