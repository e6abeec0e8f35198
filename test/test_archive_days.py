"""`ssmd verify` over what honest collectors leave: odd days and the days around them, and what is missing between."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from ssmd.archive.coverage import day_begins
from ssmd.archive.layout import data_files
from ssmd.archive.ledger import Entry, encode_entry
from ssmd.archive.seal import seal
from ssmd.archive.verify import Verdict, verify
from ssmd.envelope import LineEncoder

KALSHI = {"version": "9.9", "exchange": "kalshi"}
GENERIC = {"version": "9.9", "exchange": "generic"}


def trade(seq: int, sid: int = 1) -> bytes:
    return b'{"type":"trade","sid":%d,"seq":%d,"msg":{}}' % (sid, seq)


def write_day(
    storage: Path, day: str, *happened: tuple[float, bytes] | tuple[float, str, dict], sealed: bool = True
) -> Path:
    """Write a day from what happened at which second of it: a message, or an event with its fields.

    The totals of `stopped` are of all the day's lines, as those of `rotated` are.
    """
    folder = storage / day
    folder.mkdir(parents=True, exist_ok=True)
    encoder = LineEncoder("kalshi")
    lines: list[bytes] = []
    entries: list[bytes] = []
    size = 0
    for second, what, *fields in happened:
        ns = day_begins(day) + int(second * 1e9)
        if isinstance(what, bytes):
            lines.append(encoder.encode(ns, [what]))
            size += len(lines[-1])
            continue
        totals = {"lines": len(lines), "bytes": size} if what in ("stopped", "rotated") else {}
        entries.append(encode_entry(Entry(ns, what, size, len(lines), {**fields[0], **totals})))
    path = folder / "kalshi.jsonl"
    path.write_bytes(b"".join(lines))
    (folder / "kalshi.ledger.jsonl").write_bytes(b"".join(entries))
    if sealed:
        [file] = data_files([path])
        assert seal(file, day_begins(day)) is not None
    return path


def verdicts(*paths: Path) -> list[Verdict]:
    return [verify(file) for file in data_files(paths)]


def told(found: Sequence[Verdict]) -> list[tuple[str, int | None, str]]:
    return [(verdict.file.day, *finding) for verdict in found for finding in verdict.findings]


@pytest.mark.parametrize("form", ["zst", "gz"])
def test_types_beyond_those_counted_by_name_are_the_same_in_any_form(tmp_path, form):
    messages = [(number / 10, b'{"type":"t%d","x":"%b"}' % (number % 1500, b"y" * 100)) for number in range(9000)]
    path = write_day(tmp_path, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), *messages)
    [plain] = verdicts(tmp_path)
    types = plain.examination.manifest.messages_by_type
    assert (len(types), types["t999"], types["(others)"], plain.findings) == (1001, 6, 3000, [])
    packed = zstandard.compress(path.read_bytes()) if form == "zst" else gzip.compress(path.read_bytes())
    path.with_name(f"kalshi.jsonl.{form}").write_bytes(packed)
    path.unlink()
    assert told(verdicts(tmp_path)) == []
