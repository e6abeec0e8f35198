"""`ssmd seal` and `ssmd verify` on days that the file writer has written, whole and damaged in every way."""

import errno
import fcntl
import gzip
import itertools
import json
import os
import re
import shutil
import time
import zlib
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from process import ssmd
from prometheus_client import CollectorRegistry

from ssmd.contracts.writer import Batch
from ssmd.errors import UsageError
from ssmd.exchange.kalshi import Kalshi
from ssmd.proof import examine as examining
from ssmd.proof.missing import missing_files
from ssmd.proof.scan import MOST_FINDINGS
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verify import verify
from ssmd.reports.figures import gather
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.inventory import data_files
from ssmd.store.ledger import Entry, decode_entry, encode_entry
from ssmd.store.locks import held
from ssmd.store.manifest import BLOCK_LINES, Manifest, decode_manifest, encode_manifest
from ssmd.writer.file import FileWriter
from ssmd.writer.recovery import repair_older
from ssmd.writer.storage import LocalStorage

SECOND = 1_000_000_000
BEGIN = 1_766_361_600 * SECOND  # 2025-12-22T00:00:00Z
DAY = "2025-12-22"
LINES = 2500


def message(number: int) -> bytes:
    """Numbers 1, 2, ... of sid 1, but 50 is left out; of a ticker, without number; and one that is no JSON."""
    if number == 700:
        return b"oops \xff"
    if number % 5 == 0:
        return b'{"type":"ticker","sid":2,"msg":{"n":%d}}' % number
    seq = number - number // 5 + (number > 62)
    return b'{"type":"trade","sid":1,"seq":%d,"msg":{"text":"na\xc3\xafve"}}' % seq


def record(root: Path, first_ns: int = BEGIN + SECOND, count: int = LINES, step_ns: int = SECOND) -> None:
    """A day, or several, as the runner, the dialect and the writer make them, in reads of one to four messages."""
    status = Status()
    metrics = Metrics(CollectorRegistry(), "kalshi", status)
    journal = Journal(status, metrics, Reporter("kalshi", status))
    inspector = Kalshi.inspector()
    storage = LocalStorage(type="local", path=str(root))
    writer = FileWriter(storage, "kalshi", status=status, metrics=metrics, clock=lambda: first_ns)
    writer.open()
    journal.note("started", first_ns, version="9.9", exchange="kalshi")
    journal.note("connected", first_ns)
    ns, number = first_ns, 0
    while number < count:
        ns += step_ns
        payloads = [message(number + index) for index in range(min(1 + number % 4, count - number))]
        inspection = inspector.inspect(payloads)
        journal.events(inspection.events, ns)
        data = writer.encode(ns, payloads, inspection.decoded)
        writer.write(Batch("kalshi", ns, data, len(payloads), journal.take()))
        number += len(payloads)
    journal.end(ns, "SIGTERM", None)
    writer.write(Batch("kalshi", ns, b"", 0, journal.take()))
    writer.close()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sealed")
    record(root)
    [file] = unsealed(root, "2025-12-23")
    assert seal(file, BEGIN) is not None
    return root


@pytest.fixture
def copy(sealed, tmp_path) -> Path:
    return Path(shutil.copytree(sealed, tmp_path / "data"))


def found(root: Path) -> list[tuple[int | None, str]]:
    [file] = data_files([root])
    return [tuple(finding) for finding in verify(file).findings]


def data(root: Path) -> Path:
    return root / DAY / "kalshi.jsonl"


def test_a_sealed_day_agrees_with_its_manifest(sealed):
    assert found(sealed) == []
    manifest = decode_manifest((sealed / DAY / "kalshi.manifest.json").read_bytes())
    lines = data(sealed).read_bytes().splitlines()
    assert (manifest.lines, manifest.bytes) == (LINES, data(sealed).stat().st_size)
    assert manifest.first == json.loads(lines[0])["ts"]
    assert manifest.last == json.loads(lines[-1])["ts"]
    assert manifest.messages_by_type == {"": 1, "ticker": LINES // 5 - 1, "trade": LINES - LINES // 5}
    assert manifest.messages_by_hour[0] == LINES == sum(manifest.messages_by_hour)
    assert (manifest.not_json, manifest.sequence_gaps, manifest.missing) == (1, 1, 1)
    [session] = manifest.sessions
    [sequence] = session.sequences
    assert (session.cause, session.lines, sequence.sid, sequence.missing) == ("stopped", LINES, 1, 1)
    assert sequence.last - sequence.first + 1 == sequence.messages + 1
    assert [gap.cause for gap in manifest.gaps] == ["not_started", "stopped"]
    covered = 86400 - sum(gap.seconds for gap in manifest.gaps)
    assert manifest.listened_seconds == pytest.approx(covered)
    assert manifest.coverage_percent == pytest.approx(covered / 864, abs=1e-4)


def test_the_command_says_ok_and_exits_with_0(sealed):
    done = ssmd("verify", sealed)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"2025-12-22 +kalshi +2,500 .* ok", done.stdout)


@settings(max_examples=60)
@given(st.data())
def test_any_changed_byte_is_found_with_its_line(sealed, draw):
    path = data(sealed)
    sound = path.read_bytes()
    place = draw.draw(st.integers(0, len(sound) - 1))
    byte = draw.draw(st.integers(0, 255).filter(lambda byte: byte != sound[place]))
    line = sound[:place].count(b"\n") + 1
    try:
        path.write_bytes(sound[:place] + bytes([byte]) + sound[place + 1 :])
        findings = found(sealed)
    finally:
        path.write_bytes(sound)
    # A newline less joins two lines, a newline more makes two of one.
    assert line in [number for number, _ in findings], findings


def moved(lines: list[bytes], one: int, other: int) -> dict[int, str]:
    """What is said, and of which line, when two lines, counted from 0, have changed places.

    Within a block of sums each pair that fits them is named; the sums are worked out anew here, each in full.
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
def test_a_missing_doubled_or_moved_line_is_found_with_its_number(sealed, kind, place, by):
    path = data(sealed)
    sound = path.read_bytes()
    lines = sound.splitlines(keepends=True)
    if kind == "missing":
        told = {place + 1: "is missing; another line is there now (ts "}
        del lines[place]
    elif kind == "twice":
        told = {place + 2: "is there twice (ts "}
        lines.insert(place, lines[place])
    else:
        other = min(place + by, LINES - 1)
        lines[place], lines[other] = lines[other], lines[place]
        told = moved(lines, place, other)
    try:
        path.write_bytes(b"".join(lines))
        findings = found(sealed)
    finally:
        path.write_bytes(sound)
    assert len(told) <= len(findings)
    for (number, text), (at, wanted) in zip(findings, told.items(), strict=False):
        assert (number, text[: len(wanted)]) == (at, wanted)


@pytest.mark.parametrize(("places", "alike"), [((1234, 1235), True), ((1234, 1235, 1236), False)])
def test_other_orders_are_named_by_their_block(copy, places, alike):
    """Where two lines take turns, any two of them may have changed places; and three lines that moved are no pair."""
    path = data(copy)
    lines = path.read_bytes().splitlines(keepends=True)
    if alike:
        lines[1000:2000] = [*lines[1000:1002] * 500]
        path.write_bytes(b"".join(lines))
        (copy / DAY / "kalshi.ledger.jsonl").unlink()
        (copy / DAY / "kalshi.manifest.json").unlink()
        assert seal(data_files([copy])[0], BEGIN) is not None
    moved = [lines[place] for place in (*places[1:], places[0])]
    lines[places[0] : places[-1] + 1] = moved
    path.write_bytes(b"".join(lines))
    assert found(copy)[0] == (
        1001,
        "and the lines up to 2000 are not in the order in which they were sealed; "
        "the block sums do not show which of them have moved",
    )


def test_the_command_names_the_line_and_exits_with_65(copy):
    lines = data(copy).read_bytes().splitlines(keepends=True)
    data(copy).write_bytes(b"".join(lines[:1233] + lines[1234:]))
    done = ssmd("verify", copy / DAY)
    assert done.returncode == 65
    assert "kalshi.jsonl: line 1234 is missing" in done.stdout
    assert "follows a gap that the ledger does not have: sid 1" in done.stdout
    assert "WRONG" in done.stdout


def lies(value):
    """Another value of the same kind."""
    if isinstance(value, dict):
        return {**value, "ticker": value["ticker"] + 1}
    if isinstance(value, list) and len(value) == 24:
        return [value[0] + 1, *value[1:]]
    if isinstance(value, str) and value.endswith("Z"):
        return value.replace("T00:", "T23:")
    if isinstance(value, list):
        return value[:-1] if value else [1]
    return value + 1 if isinstance(value, int | float) else value[:-1] + ("1" if value[-1] != "1" else "2")


NUMBERS = set(Manifest.__struct_fields__) - {"format", "block_lines", "sealed", "sealed_by"}


@pytest.mark.parametrize("field", sorted(NUMBERS))
def test_a_manifest_that_lies_in_any_of_its_numbers_is_found(copy, field):
    path = copy / DAY / "kalshi.manifest.json"
    manifest = decode_manifest(path.read_bytes())
    if field == "block_sums":
        lie = msgspec.structs.replace(manifest, block_sums="AAAA" + manifest.block_sums[4:])
    else:
        lie = msgspec.structs.replace(manifest, **{field: lies(getattr(manifest, field))})
    path.write_bytes(encode_manifest(lie))
    findings = found(copy)
    assert any(field in text or "block sums" in text for _, text in findings), findings


def test_a_manifest_that_is_none_is_found(copy):
    (copy / DAY / "kalshi.manifest.json").write_text('{"format": 1}')
    path = copy / DAY / "kalshi.manifest.json"
    expected = f"has a manifest that cannot be used: {path}: cannot be read: it Object missing"
    assert found(copy)[0][1].startswith(expected)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"cause":"stopped"}\n', b'"cause":"stopped"}\n', ""),
        (b'"to":"2025-', b'"to":"2025+', "'2025+12-22T00:00:01.000000Z' where a time should be"),
        (b'"messages_by_hour": [2500,', b'"messages_by_hour": [', "for each of 24 hours"),
        (b'"messages_by_hour": [2500,', b'"messages_by_hour": [-1,', "for each of 24 hours"),
        (b'"sealed": "2', b'"sealed": "x', "where a time should be"),
    ],
)
def test_a_damaged_manifest_is_one_clear_line_for_verify_and_report(copy, old, new, told):
    path = copy / DAY / "kalshi.manifest.json"
    path.write_bytes(path.read_bytes().replace(old, new))
    for command in ("verify", "report"):
        done = ssmd(command, copy)
        assert (done.returncode, "Traceback" in done.stderr) == (65 if told else 0, False)
        assert told in done.stdout + done.stderr


def test_a_ledger_with_a_subscription_that_is_none_gives_findings(copy):
    path = copy / DAY / "kalshi.ledger.jsonl"
    entry = encode_entry(Entry(BEGIN + SECOND, "subscribed", 0, 0, {"sid": [1], "channel": {}}))
    path.write_bytes(path.read_bytes() + entry)
    done = ssmd("verify", copy)
    assert (done.returncode, "Traceback" in done.stderr) == (65, False)
    assert "ledger_sha256" in done.stdout


@pytest.mark.parametrize("number", [1000, 2000, LINES])
def test_the_last_line_of_a_block_or_of_all_is_there_twice(copy, number):
    lines = data(copy).read_bytes().splitlines(keepends=True)
    lines.insert(number, lines[number - 1])
    data(copy).write_bytes(b"".join(lines))
    at, text = found(copy)[0]
    assert at in (number, number + 1)
    assert text.startswith("is there twice")


def test_bytes_behind_a_sealed_ledger_and_fields_that_were_added_are_found(copy):
    with open(copy / DAY / "kalshi.ledger.jsonl", "ab") as file:
        file.write(b"more")
    assert found(copy) == [(None, "has a ledger that ends with bytes that are not a whole entry")]
    with open(copy / DAY / "kalshi.ledger.jsonl", "r+b") as file:
        file.truncate(file.seek(-4, 2))
    manifest = copy / DAY / "kalshi.manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'{\n"format"', b'{\n"more": 1,\n"format"'))
    assert ["something was added" in text for _, text in found(copy)] == [True]


def test_a_compressed_day_without_a_manifest_is_found(copy):
    plain = data(copy).read_bytes()
    data(copy).with_name("kalshi.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(plain))
    data(copy).unlink()
    (copy / DAY / "kalshi.manifest.json").unlink()
    assert ["has no manifest" in text for _, text in found(copy)] == [True]


@pytest.mark.parametrize(("form", "remedy"), [("zst", "zstd -d --rm"), ("gz", "gunzip")])
def test_a_compressed_ledger_is_no_feed_and_is_told_of(copy, form, remedy):
    path = (copy / DAY / "kalshi.ledger.jsonl").rename(copy / DAY / f"kalshi.ledger.jsonl.{form}")
    assert [file.feed for file in data_files([copy])] == ["kalshi"]
    told = f"is a compressed ledger; unpack it with `{remedy} {path}`"
    assert (None, f"{path.name} {told}") in found(copy)
    with pytest.raises(UsageError, match=re.escape(f"{path}: {told}")):
        data_files([path])


def test_what_may_have_been_put_away_is_a_note(tmp_path):
    record(tmp_path, count=40, step_ns=6 * 3600 * SECOND)
    first, second, *_, last = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    for file in unsealed(tmp_path, last):
        assert seal(file, BEGIN) is not None
    assert "note:" not in ssmd("verify", tmp_path).stdout
    assert "note:" not in ssmd("verify", tmp_path / second, tmp_path / last).stdout  # The others are here.
    shutil.rmtree(tmp_path / first)
    (tmp_path / second / "kalshi.manifest.json").unlink()
    ledger = tmp_path / last / "kalshi.ledger.jsonl"
    line = decode_entry(ledger.read_bytes().splitlines()[-1])
    ledger.write_bytes(ledger.read_bytes() + encode_entry(line._replace(event="torn", fields={"bytes": 3})))
    done = ssmd("verify", tmp_path)
    assert done.returncode == 0
    told = [text for text in done.stdout.splitlines() if text.startswith("note: ")]
    assert len(told) == 3
    assert f"{second}/kalshi.jsonl: has no manifest, but a later day has one" in told[0]
    assert f"{second}/kalshi.jsonl: continues {first}, which is not here" in told[1]
    assert f"{last}/kalshi.jsonl.torn: is not here" in told[2]


def test_a_gap_that_the_ledger_does_not_have_and_one_that_only_it_has(copy):
    path = copy / DAY / "kalshi.ledger.jsonl"
    text = path.read_bytes()
    [gap] = [line for line in text.splitlines(keepends=True) if b'"gap"' in line]
    line = decode_entry(gap).line + 1
    path.write_bytes(text.replace(gap, b""))
    (copy / DAY / "kalshi.manifest.json").unlink()
    assert found(copy) == [(line, "follows a gap that the ledger does not have: sid 1, expected 51, got 52, 1 missing")]
    path.write_bytes(text.replace(b'"got":52,"missing":1', b'"got":53,"missing":2'))
    assert [number for number, _ in found(copy)] == [line, line]


@pytest.mark.parametrize("removed", ["beginning", "all"])
def test_a_ledger_without_its_beginning_is_found_before_it_is_sealed(copy, removed):
    path = copy / DAY / "kalshi.ledger.jsonl"
    entries = path.read_bytes().splitlines(keepends=True)
    at_line_0 = [entry for entry in entries if decode_entry(entry).line == 0]
    assert decode_entry(at_line_0[0]).event == "started"
    path.write_bytes(b"".join(entries[len(at_line_0) :]) if removed == "beginning" else b"")
    (copy / DAY / "kalshi.manifest.json").unlink()
    told = "was written by a run that is not in the ledger: the beginning of the ledger is lost"
    assert (1, told) in found(copy)


@pytest.mark.parametrize("name", ["kalshi.jsonl", "kalshi.ledger.jsonl"])
def test_a_missing_file_is_found(copy, name):
    (copy / DAY / name).unlink()
    done = ssmd("verify", copy)
    assert done.returncode == 65
    assert "kalshi.jsonl: is missing" in done.stdout or "has no ledger" in done.stdout


def test_a_day_without_a_line_agrees_sealed_or_not(tmp_path):
    record(tmp_path, count=0)
    assert data(tmp_path).stat().st_size == 0
    assert found(tmp_path) == []
    [file] = unsealed(tmp_path, "2025-12-23")
    assert seal(file, BEGIN) is not None
    assert found(tmp_path) == []


def test_a_gap_before_a_line_that_never_came_is_no_gap(tmp_path):
    """The entry was written, and the run killed before its line was; the next run goes on at the same place."""
    record(tmp_path, count=100)
    ledger = tmp_path / DAY / "kalshi.ledger.jsonl"
    size = data(tmp_path).stat().st_size
    kept = [line for line in ledger.read_bytes().splitlines(keepends=True) if b'"stopped"' not in line]
    gap = Entry(BEGIN + 200 * SECOND, "gap", size, 100, {"sid": 1, "expected": 82, "got": 84, "missing": 2})
    subscribed = Entry(BEGIN + 200 * SECOND, "subscribed", size, 100, {"sid": 3, "channel": "trade"})
    ledger.write_bytes(b"".join([*kept, encode_entry(subscribed), encode_entry(gap)]))
    assert found(tmp_path) == []
    record(tmp_path, first_ns=BEGIN + 300 * SECOND, count=20)
    assert found(tmp_path) == []
    record(tmp_path, first_ns=BEGIN + 900 * SECOND, count=0)
    assert found(tmp_path) == []


def test_days_without_a_message_are_not_missing_and_were_listened_to(tmp_path):
    """A connection is open from the 22nd to noon of the 24th, and a minute later there is another."""
    day = 86400 * SECOND
    record(tmp_path, count=20)
    ledger = tmp_path / DAY / "kalshi.ledger.jsonl"
    *lines, stopped = ledger.read_bytes().splitlines(keepends=True)
    noon = BEGIN + 2 * day + day // 2
    ledger.write_bytes(b"".join([*lines, encode_entry(decode_entry(stopped)._replace(ts_ns=noon))]))
    record(tmp_path, first_ns=noon + 60 * SECOND, count=20)
    assert ssmd("verify", tmp_path).returncode == 0
    found = gather(tmp_path, 7, BEGIN + 9 * day, trouble=pytest.fail, progress=lambda file: None)
    assert [figures.day for figures in found] == ["2025-12-22", "2025-12-23", "2025-12-24"]
    _, quiet, last = found
    assert (quiet.messages, quiet.coverage, list(quiet.outages)) == (0, 100, [])
    gap = last.outages[0]
    assert (gap.from_[:19], gap.seconds, gap.cause) == ("2025-12-24T12:00:00", 60, "stopped")


def test_what_is_written_while_it_is_verified_is_no_finding(tmp_path, monkeypatch):
    """The rest of the day, with a gap and the end of the run, comes after the size or the ledger was looked at."""
    record(tmp_path)
    ledger = tmp_path / DAY / "kalshi.ledger.jsonl"
    whole, entries = data(tmp_path).read_bytes(), ledger.read_bytes()
    early = b"".join(line for line in entries.splitlines(keepends=True) if decode_entry(line).line < 20)
    read = examining.read_ledger

    def meanwhile(path):
        seen = read(path)
        ledger.write_bytes(entries)
        data(tmp_path).write_bytes(whole)
        return seen

    def before(path):
        ledger.write_bytes(entries)
        data(tmp_path).write_bytes(whole)
        return read(path)

    for writes in (meanwhile, before):
        ledger.write_bytes(early)
        data(tmp_path).write_bytes(b"".join(whole.splitlines(keepends=True)[:20]) + b'{"ts":')
        monkeypatch.setattr(examining, "read_ledger", writes)
        assert found(tmp_path) == []


def test_a_missing_day_is_found_by_the_ledger_of_its_neighbours(tmp_path):
    record(tmp_path, count=40, step_ns=6 * 3600 * SECOND)
    days = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert len(days) > 3
    files = data_files([tmp_path])
    assert missing_files([tmp_path], [verify(file) for file in files]) == []
    shutil.rmtree(tmp_path / days[2])
    verdicts = [verify(file) for file in data_files([tmp_path])]
    [told] = {text.partition(":")[0] for text in missing_files([tmp_path], verdicts)}
    assert told.endswith(f"{days[2]}/kalshi.jsonl")
    shutil.rmtree(tmp_path / days[0])  # Old days may be put away.
    assert missing_files([tmp_path], [verify(file) for file in data_files([tmp_path])])[0].startswith(told)


def test_days_that_one_connection_spans_agree_each_on_its_own(tmp_path):
    record(tmp_path, count=40, step_ns=6 * 3600 * SECOND)
    assert [verify(file).findings for file in data_files([tmp_path])] == [[]] * len(data_files([tmp_path]))
    last = data_files([tmp_path])[-1]
    for file in unsealed(tmp_path, last.day):
        assert seal(file, BEGIN) is not None
    verdicts = [verify(file) for file in data_files([tmp_path])]
    assert [verdict.sealed for verdict in verdicts] == [True] * (len(verdicts) - 1) + [False]
    assert all(not verdict.findings for verdict in verdicts)
    assert verdicts[1].examination.manifest.coverage_percent == 100


def test_a_compacted_day_is_verified_against_the_manifest_of_the_original(copy):
    plain = data(copy).read_bytes()
    data(copy).with_name("kalshi.jsonl.zst").write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(plain))
    assert found(copy) == []
    data(copy).unlink()
    assert found(copy) == []
    lines = plain.splitlines(keepends=True)
    damaged = b"".join(lines[:99] + lines[100:])
    data(copy).with_name("kalshi.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(damaged))
    assert found(copy)[0][0] == 100


def test_a_day_not_sealed_yet_is_verified_up_to_its_last_whole_line(copy):
    (copy / DAY / "kalshi.manifest.json").unlink()
    with open(data(copy), "ab") as file:
        file.write(b'{"ts":"2025-12')
    assert found(copy) == []
    done = ssmd("verify", data(copy))
    assert (done.returncode, "ok, not sealed yet" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b'"feed":"kalshi"', b'"feed":"kraken"', "belongs to the feed kraken"),
        (b'"ts":"2025-12-22T', b'"ts":"2025-12-21T', "belongs to another day"),
        (b'"ts":"2025-12-22T00:0', b'"ts":"2025-12-22T25:0', "is not a line of ssmd"),
        (b'"ts":"2025-12-22T00:', b'"ts":"2025-12-22T01:', "is older than the line before it"),
        (b'"data":{"', b'"data":"', "is not a line of ssmd"),
    ],
)
def test_lines_that_are_not_right_are_named_without_any_manifest(copy, old, new, told):
    (copy / DAY / "kalshi.manifest.json").unlink()
    lines = data(copy).read_bytes().splitlines(keepends=True)
    assert old in lines[1401]
    lines[1401] = lines[1401].replace(old, new)
    data(copy).write_bytes(b"".join(lines))
    wrong = [number for number, text in found(copy) if told in text]
    assert wrong
    assert wrong[0] in (1402, 1403)


def test_a_whole_file_of_another_feed_is_not_told_line_by_line(copy):
    (copy / DAY / "kalshi.manifest.json").unlink()
    data(copy).write_bytes(data(copy).read_bytes().replace(b'"feed":"kalshi"', b'"feed":"kraken"'))
    findings = found(copy)
    assert findings[: MOST_FINDINGS + 1] == [
        *[(number, "belongs to the feed kraken") for number in range(1, MOST_FINDINGS + 1)],
        (None, f"and {LINES - MOST_FINDINGS:,} more lines, each of which belongs to another feed"),
    ]
    assert len(findings) == MOST_FINDINGS + 1


def test_gaps_that_the_ledger_lacks_are_not_all_told(copy):
    (copy / DAY / "kalshi.manifest.json").unlink()
    ledger = copy / DAY / "kalshi.ledger.jsonl"
    entries = [entry for entry in ledger.read_bytes().splitlines(True) if b"stopped" not in entry]
    ledger.write_bytes(b"".join(entries))
    lines = [line for number, line in enumerate(data(copy).read_bytes().splitlines(True)) if number < 70 or number % 7]
    data(copy).write_bytes(b"".join(lines))
    gaps = [(number, text) for number, text in found(copy) if "gap that the ledger does not have" in text]
    assert len(gaps) == MOST_FINDINGS + 1
    assert gaps[-1][0] is None


def test_sealing_again_changes_nothing_and_a_held_file_is_left_alone(copy, status, metrics):
    manifest = copy / DAY / "kalshi.manifest.json"
    before = manifest.read_bytes()
    assert ssmd("seal", copy).returncode == 0
    assert manifest.read_bytes() == before
    manifest.unlink()
    storage = LocalStorage(type="local", path=str(copy))
    writer = FileWriter(storage, "kalshi", status=status, metrics=metrics, clock=lambda: BEGIN + SECOND)
    writer.open()
    done = ssmd("seal", copy)
    assert (done.returncode, "is being written" in done.stdout, manifest.exists()) == (0, True, False)
    writer.close()
    assert "sealed, 2,500 lines" in ssmd("seal", copy).stdout
    assert found(copy) == []


def tear(copy: Path, *, hours_ago: float) -> list[Path]:
    """A data file and a ledger that end in the middle of a line, last written to then."""
    paths = [data(copy), copy / DAY / "kalshi.ledger.jsonl"]
    (copy / DAY / "kalshi.manifest.json").unlink()
    for path in paths:
        with path.open("ab") as file:
            file.write(b'{"ts":"2025')
        os.utime(path, (time.time() - 3600 * hours_ago,) * 2)
    return paths


def test_a_torn_day_is_repaired_and_sealed(copy):
    """No collector may ever start on a day that was copied here."""
    whole = data(copy).read_bytes()
    paths = tear(copy, hours_ago=2)
    told = ssmd("seal", copy).stdout
    assert "kalshi.jsonl: 11 bytes of a torn line set aside, in kalshi.jsonl.torn\n" in told
    assert "sealed, 2,500 lines" in told
    assert data(copy).read_bytes() == whole
    for path in paths:
        assert path.with_name(path.name + ".torn").read_bytes() == b'{"ts":"2025\n'
    assert b'"event":"torn"' in paths[1].read_bytes().splitlines()[-1]
    assert found(copy) == []


def test_a_torn_day_that_was_just_written_to_may_be_a_copy_under_way(copy):
    paths = tear(copy, hours_ago=0.5)
    before = [path.read_bytes() for path in paths]
    done = ssmd("seal", copy)
    assert (done.returncode, done.stderr.count("\n")) == (65, 1)
    assert "it was written to within the last hour, so try again later" in done.stderr
    assert [path.read_bytes() for path in paths] == before


def test_a_torn_day_without_a_ledger_gets_none(copy):
    _, ledger = tear(copy, hours_ago=2)
    ledger.unlink()
    assert ssmd("seal", copy).returncode == 0
    assert not ledger.exists()
    assert [text for _, text in found(copy)] == [
        "has no ledger: it is lost, or the day was recorded by a version that wrote none"
    ]


def test_what_is_locked_is_open_for_writing_as_nfs_wants_it(copy, monkeypatch):
    real = fcntl.flock

    def flock(file, how: int) -> None:
        if how & fcntl.LOCK_EX and fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with held(data(copy)) as ours:
        assert ours
    assert repair_older(copy, "kalshi", copy / "2025-12-23" / "kalshi.jsonl", 0)


def test_a_torn_day_that_is_compressed_is_not_sealed(copy):
    (copy / DAY / "kalshi.manifest.json").unlink()
    packed = data(copy).with_name("kalshi.jsonl.gz")
    packed.write_bytes(gzip.compress(data(copy).read_bytes() + b"{"))
    data(copy).unlink()
    done = ssmd("seal", copy)
    assert (done.returncode, "its last line, or its ledger's, is not whole" in done.stderr) == (65, True)
    assert not (copy / DAY / "kalshi.manifest.json").exists()


def test_a_torn_day_that_cannot_be_repaired_is_told_of(copy):
    tear(copy, hours_ago=2)
    before = data(copy).read_bytes()
    data(copy).with_name("kalshi.jsonl.torn").mkdir()
    done = ssmd("seal", copy)
    assert (done.returncode, done.stderr.count("\n")) == (73, 1)
    assert "kalshi.jsonl.torn: Is a directory" in done.stderr
    assert data(copy).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("verify", "/nowhere/at/all"), 64, "there is no such file or folder"),
        (("verify", "bin"), 64, "bin: no data here, and so nothing to prove"),
        (("verify", "setup.py"), 64, "is not named like data of ssmd"),
        (("seal", ".", "--before", "soon"), 64, "it must be a day"),
        (("verify",), 64, "verify"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments, code, told):
    done = ssmd(*arguments)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
