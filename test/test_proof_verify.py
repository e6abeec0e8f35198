"""A day is verified: whole, damaged in every way, without a manifest, and compressed."""

from __future__ import annotations

import itertools
import json
import random
import re
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from process import ssmd
from recorded import GENERIC, write_day
from recorded_runs import (
    BEGIN,
    HOUR,
    LINES,
    all_findings,
    data_in,
    findings_in,
    ledger_in,
    manifest_in,
    record_day,
    seal_all,
    verdicts,
)

from ssmd.proof.seal import seal
from ssmd.reading.blocks import LineBlocks
from ssmd.store.head import split
from ssmd.store.inventory import data_files
from ssmd.store.manifest import BLOCK_LINES
from ssmd.store.manifest_formats import decode_manifest


def test_a_sealed_day_agrees_with_its_manifest(sealed_storage):
    assert findings_in(sealed_storage) == []
    manifest = decode_manifest(manifest_in(sealed_storage).read_bytes())
    lines = data_in(sealed_storage).read_bytes().splitlines()
    assert (manifest.lines, manifest.bytes) == (LINES, data_in(sealed_storage).stat().st_size)
    assert manifest.first == json.loads(lines[0])["ts"]
    assert manifest.last == json.loads(lines[-1])["ts"]
    assert manifest.messages_by_type == {"": 1, "ticker": LINES // 5 - 1, "trade": LINES - LINES // 5}
    assert manifest.messages_by_hour[0] == LINES == sum(manifest.messages_by_hour)
    assert (manifest.not_json, manifest.sequence_gaps, manifest.missing) == (1, 1, 1)
    [session] = manifest.sessions
    [sequence] = session.sequences
    assert (session.cause, session.lines, sequence.sid, sequence.missing) == ("stopped", LINES, 1, 1)
    assert sequence.last - sequence.first + 1 == sequence.messages + 1
    assert manifest.gaps is not None
    assert [gap.cause for gap in manifest.gaps] == ["not_started", "stopped"]
    covered = 86400 - sum(gap.seconds for gap in manifest.gaps)
    assert manifest.listened_seconds == pytest.approx(covered)
    assert manifest.coverage_percent == pytest.approx(covered / 864, abs=1e-4)


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_is_found_with_its_line(sealed_storage, draw):
    path = data_in(sealed_storage)
    sound = path.read_bytes()
    place = draw.draw(st.integers(0, len(sound) - 1))
    byte = draw.draw(st.integers(0, 255).filter(lambda byte: byte != sound[place]))
    line = sound[:place].count(b"\n") + 1
    try:
        path.write_bytes(sound[:place] + bytes([byte]) + sound[place + 1 :])
        findings = findings_in(sealed_storage)
    finally:
        path.write_bytes(sound)
    # Without a newline two lines become one, with one more a line becomes two.
    assert line in [number for number, _ in findings], findings


def moved(lines: list[bytes], one: int, other: int) -> dict[int, str]:
    """Return what verify reports, by line, when two lines, counted from 0, have changed places.

    Within a block, each pair that fits the sums is named. Here the sums of each pair are worked out in full.
    """
    if one // BLOCK_LINES != other // BLOCK_LINES:
        return dict.fromkeys((one + 1, other + 1), "is not what was sealed (ts ")
    first = one // BLOCK_LINES * BLOCK_LINES
    marks = [zlib.crc32(line[:-1]) for line in lines[first : first + BLOCK_LINES]]
    effect = (other - one) * (marks[other - first] - marks[one - first])
    (place, last), *others = [
        (first + sooner + 1, first + later + 1)
        for sooner, later in itertools.combinations(range(len(marks)), 2)
        if (later - sooner) * (marks[later] - marks[sooner]) == effect
    ]
    if not others:
        return {place: f"has changed places with line {last} (ts "}
    more = "".join(f", or line {sooner} with line {later}" for sooner, later in others)
    return {place: f"has changed places with line {last}{more}: the block sums fit each of these"}


@settings(max_examples=40)
@given(kind=st.sampled_from(["missing", "twice", "places"]), place=st.integers(0, LINES - 2), by=st.integers(1, 600))
@example(kind="places", place=LINES - 2, by=1)
@example(kind="places", place=1031, by=1)  # Two other lines fit as well.
def test_a_missing_doubled_or_moved_line_is_found_with_its_number(sealed_storage, kind, place, by):
    path = data_in(sealed_storage)
    sound = path.read_bytes()
    lines = sound.splitlines(keepends=True)
    if kind == "missing":
        expected = {place + 1: "is missing; another line is there now (ts "}
        del lines[place]
    elif kind == "twice":
        expected = {place + 2: "is there twice (ts "}
        lines.insert(place, lines[place])
    else:
        other = min(place + by, LINES - 1)
        lines[place], lines[other] = lines[other], lines[place]
        expected = moved(lines, place, other)
    try:
        path.write_bytes(b"".join(lines))
        findings = findings_in(sealed_storage)
    finally:
        path.write_bytes(sound)
    assert len(expected) <= len(findings)
    for (number, text), (at, wanted) in zip(findings, expected.items(), strict=False):
        assert (number, text[: len(wanted)]) == (at, wanted)


def test_lines_that_are_missing_or_added_at_the_end_are_found_with_their_numbers(own_storage):
    path = data_in(own_storage)
    sound = path.read_bytes()
    lines = sound.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert findings_in(own_storage)[0] == (LINES, "is missing")
    path.write_bytes(b"".join(lines[:-3]))
    assert findings_in(own_storage)[0] == (LINES - 2, f"is missing, and so are the lines up to {LINES}")
    path.write_bytes(sound + b"".join(lines[-3:-1]))
    number, text = findings_in(own_storage)[0]
    assert number == LINES + 1
    assert text.startswith("was not there when the day was sealed (ts ")
    assert text.endswith(f"), nor were the lines up to {LINES + 2}")


@pytest.mark.parametrize(("places", "alike"), [((1234, 1235), True), ((1234, 1235, 1236), False)])
def test_another_order_that_no_single_swap_explains_is_found_with_its_block(own_storage, places, alike):
    """Where two equal lines alternate, any two may have changed places. Three lines that moved are not a pair."""
    path = data_in(own_storage)
    lines = path.read_bytes().splitlines(keepends=True)
    if alike:
        lines[1000:2000] = [*lines[1000:1002] * 500]
        path.write_bytes(b"".join(lines))
        ledger_in(own_storage).unlink()
        manifest_in(own_storage).unlink()
        assert seal(data_files([own_storage])[0], BEGIN) is not None
    moved = [lines[place] for place in (*places[1:], places[0])]
    lines[places[0] : places[-1] + 1] = moved
    path.write_bytes(b"".join(lines))
    assert findings_in(own_storage)[0] == (
        1001,
        "and the lines up to 2000 are not in the order in which they were sealed; "
        "the block sums do not show which of them have moved",
    )


def test_a_file_that_is_not_a_manifest_is_found(own_storage):
    path = manifest_in(own_storage)
    expected = f"has a manifest that cannot be used: {path}: cannot be read: it is not a manifest: "
    for text, why in (('{"format": 1}', "Object missing"), ('{"x": ' + 100_000 * "[", "maximum recursion depth")):
        path.write_text(text)
        assert findings_in(own_storage)[0][1].startswith(expected + why)


@pytest.mark.parametrize("number", [1000, 2000, LINES])
def test_the_last_line_of_a_block_or_of_the_file_that_is_there_twice_is_found(own_storage, number):
    lines = data_in(own_storage).read_bytes().splitlines(keepends=True)
    lines.insert(number, lines[number - 1])
    data_in(own_storage).write_bytes(b"".join(lines))
    at, text = findings_in(own_storage)[0]
    assert at in (number, number + 1)
    assert text.startswith("is there twice")


def test_bytes_after_a_sealed_ledger_and_fields_added_to_a_manifest_are_found(own_storage):
    with open(ledger_in(own_storage), "ab") as file:
        file.write(b"more")
    assert findings_in(own_storage) == [(None, "has a ledger that ends with bytes that are not a whole entry")]
    with open(ledger_in(own_storage), "r+b") as file:
        file.truncate(file.seek(-4, 2))
    manifest = manifest_in(own_storage)
    manifest.write_bytes(manifest.read_bytes().replace(b'{\n"format"', b'{\n"more": 1,\n"format"'))
    assert ["something was added" in text for _, text in findings_in(own_storage)] == [True]


def test_a_compressed_day_without_a_manifest_is_found(own_storage):
    plain = data_in(own_storage)
    plain.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(plain.read_bytes()))
    plain.unlink()
    manifest_in(own_storage).unlink()
    assert ["has no manifest" in text for _, text in findings_in(own_storage)] == [True]


@pytest.mark.parametrize(("form", "remedy"), [("zst", "zstd -d --rm"), ("gz", "gunzip")])
def test_a_compressed_ledger_is_found_with_the_command_that_unpacks_it(own_storage, form, remedy):
    path = ledger_in(own_storage).rename(data_in(own_storage).with_name(f"kalshi.ledger.jsonl.{form}"))
    expected = f"{path.name} is a compressed ledger; unpack it with `{remedy} {path}`"
    assert (None, expected) in findings_in(own_storage)


def test_a_day_without_a_line_is_verified_sealed_or_not(tmp_path):
    record_day(tmp_path, count=0)
    assert data_in(tmp_path).stat().st_size == 0
    assert findings_in(tmp_path) == []
    seal_all(tmp_path)
    assert manifest_in(tmp_path).exists()
    assert findings_in(tmp_path) == []


def test_days_of_one_connection_are_each_verified_on_their_own(tmp_path):
    record_day(tmp_path, count=40, step_ns=6 * HOUR)
    before = verdicts(tmp_path)
    assert (len(before) > 2, all_findings(before)) == (True, [])
    seal_all(tmp_path, before[-1].file.day)
    after = verdicts(tmp_path)
    assert [verdict.sealed for verdict in after] == [True] * (len(before) - 1) + [False]
    assert all_findings(after) == []
    assert after[1].examination.manifest.coverage_percent == 100


def test_a_compacted_day_is_verified_against_the_manifest_of_the_original(own_storage):
    plain = data_in(own_storage)
    packed = plain.with_name("kalshi.jsonl.zst")
    content = plain.read_bytes()
    packed.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(content))
    assert findings_in(own_storage) == []
    plain.unlink()
    assert findings_in(own_storage) == []
    lines = content.splitlines(keepends=True)
    packed.write_bytes(zstandard.compress(b"".join(lines[:99] + lines[100:])))
    assert findings_in(own_storage)[0][0] == 100


def test_a_day_that_is_not_sealed_is_verified_up_to_its_last_whole_line(own_storage):
    manifest_in(own_storage).unlink()
    with open(data_in(own_storage), "ab") as file:
        file.write(b'{"ts":"2025-12')
    assert findings_in(own_storage) == []
    done = ssmd("verify", data_in(own_storage))
    assert (done.returncode, "ok, not sealed yet" in done.stdout) == (0, True)


def packed_day(storage: Path, count: int = 20_000) -> Path:
    """Write a sealed day that is compressed, of lines that are all different."""
    noise = random.Random(1)
    messages = [(number, b'{"type":"x","n":"%x"}' % noise.getrandbits(400)) for number in range(1, count + 1)]
    path = write_day(storage, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), *messages)
    packed = path.with_name("kalshi.jsonl.zst")
    packed.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(path.read_bytes()))
    path.unlink()
    return packed


def test_a_changed_byte_of_a_compressed_day_is_found_with_a_line(tmp_path):
    packed = packed_day(tmp_path)
    sound = packed.read_bytes()
    lines = b"".join(LineBlocks(packed)).splitlines(keepends=True)
    for place in (len(sound) // 3, len(sound) // 2, len(sound) - 20_000, len(sound) - 1):
        packed.write_bytes(sound[:place] + bytes([sound[place] ^ 0x10]) + sound[place + 1 :])
        readable = list(itertools.chain.from_iterable(split(block) for block in LineBlocks(packed, partial=True)))
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(lines, readable, strict=False)))
        [verdict] = verdicts(tmp_path)
        assert verdict.examination.manifest.lines == len(readable) > 6000
        *located, (line, text) = verdict.findings
        assert line == len(readable)
        assert re.match(r"is the last whole line before the file cannot be read: \w+", text)
        # A changed byte of the text changes one line. One of the coding makes everything after it unreadable.
        if len(readable) - same > 1000:
            assert same + 1 in [number for number, _ in located]
        done = ssmd("verify", tmp_path)
        assert done.returncode == 65
        assert f"{len(readable):,}" in done.stdout


def test_a_compressed_day_with_a_wrong_checksum_is_read_up_to_its_last_line(tmp_path):
    packed = packed_day(tmp_path, 50)
    sound = packed.read_bytes()
    packed.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    [verdict] = verdicts(tmp_path)
    [(line, text)] = verdict.findings
    assert line == 49
    assert text.startswith("is the last whole line before the file cannot be read: ")


def test_a_compressed_file_that_cannot_be_read_at_all_is_one_finding(tmp_path):
    packed = packed_day(tmp_path, 50)
    packed.write_bytes(b"no zst")
    [verdict] = verdicts(tmp_path)
    assert verdict.examination is None
    assert [finding.line for finding in verdict.findings] == [None]
