"""`ssmd verify` over what honest collectors leave: odd days and the days around them, and what is missing between."""

import contextlib
import gzip
import itertools
import random
import re
import shutil
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from process import ssmd
from prometheus_client import CollectorRegistry

from ssmd.contracts.writer import Batch
from ssmd.errors import Disconnected, WriteError
from ssmd.proof.advisories import advisories
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verdict import Verdict
from ssmd.proof.verify import verify
from ssmd.reading.blocks import LineBlocks
from ssmd.runtime.journal import Journal
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.reporter import Reporter
from ssmd.runtime.status import Status
from ssmd.store.head import split
from ssmd.store.inventory import data_files, day_folders
from ssmd.store.layout import DayFile
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins, timestamp
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

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


def over_midnight(storage: Path, *second_day: tuple, sealed: bool = True) -> Path:
    """Two days of one connection; the 20th ends with number 1 of sid 1."""
    rotated = (86400, "rotated", {"to": "2026-09-21"})
    write_day(
        storage, "2026-09-20", (0, "started", KALSHI), (0, "connected", {}), (5, trade(1)), rotated, sealed=sealed
    )
    return write_day(
        storage, "2026-09-21", (0.1, "continued", {"from": "2026-09-20", **KALSHI}), *second_day, sealed=sealed
    )


def gap(second: float, expected: int, got: int, sid: int = 1) -> tuple[float, str, dict]:
    return second, "gap", {"sid": sid, "expected": expected, "got": got, "missing": max(0, got - expected)}


@pytest.mark.parametrize("sealed", [True, False])
def test_a_gap_over_midnight_is_counted_on_the_day_where_it_showed(tmp_path, sealed):
    day = (gap(0.1, 2, 502), (0.1, trade(502)), (1, trade(503)), gap(2, 504, 505), (2, trade(505)))
    over_midnight(tmp_path, *day, (9, "stopped", {}), sealed=sealed)
    found = verdicts(tmp_path)
    assert told(found) == []
    before, after = (verdict.examination.manifest for verdict in found)
    assert (before.sequence_gaps, before.missing, after.sequence_gaps, after.missing) == (0, 0, 2, 501)
    [sequence] = after.sessions[0].sequences
    assert (sequence.first, sequence.messages, sequence.gaps, sequence.missing) == (502, 3, 2, 501)


def test_a_gap_over_a_midnight_that_comes_within_a_file_is_one_too(tmp_path):
    """The clock was ahead once, and has left a file of the day that another run goes over to."""
    ahead = ((0, "started", KALSHI), (0, "connected", {}), (1, trade(1)), (2, "stopped", {}))
    later = ((3, "continued", {"from": "2026-09-20", **KALSHI}), gap(3, 7, 9), (3, trade(9)), (4, "rotated", {}))
    write_day(tmp_path, "2026-09-21", *ahead, *later)
    [verdict] = verdicts(tmp_path)
    assert (verdict.findings, verdict.examination.manifest.missing) == ([], 2)


@pytest.mark.parametrize(
    "entries",
    [
        [gap(0.1, 2, 502), gap(0.1, 3, 502)],
        [gap(0.1, 2, 501)],
        [gap(0.1, 2, 502, sid=2)],
        [(0.1, "gap", {"sid": 1, "expected": 2, "got": 502, "missing": 5})],
        [(0.1, "gap", {"sid": 1, "expected": "2", "got": 502, "missing": 500})],
    ],
)
def test_an_entry_that_cannot_be_of_a_gap_over_midnight_is_found(tmp_path, entries):
    over_midnight(tmp_path, *entries, (0.1, trade(502)), (9, "stopped", {}))
    [(day, line, text)] = told(verdicts(tmp_path))
    assert (day, line) == ("2026-09-21", 1)
    assert text.startswith("has no gap before it, although the ledger has one there: sid ")


def test_a_gap_at_the_beginning_of_a_new_connection_is_none(tmp_path):
    write_day(tmp_path, "2026-09-21", (0, "started", KALSHI), (0, "connected", {}), gap(1, 2, 502), (1, trade(502)))
    [(_, line, text)] = told(verdicts(tmp_path))
    assert line == 1
    assert text == "has no gap before it, although the ledger has one there: sid 1, expected 2, got 502, 500 missing"


@pytest.mark.parametrize("dialects", [(GENERIC, KALSHI), (KALSHI, GENERIC), (KALSHI, GENERIC, KALSHI)])
@pytest.mark.parametrize("sealed", [True, False])
def test_each_connection_of_a_day_is_read_by_the_dialect_it_spoke(tmp_path, dialects, sealed):
    happened: list[tuple] = []
    for number, dialect in enumerate(dialects):
        told_of = [gap(10 * number + 3, 2, 5)] if dialect is KALSHI else []
        happened += [(10 * number, "started", dialect), (10 * number + 1, "connected", {}), (10 * number + 2, trade(1))]
        happened += [*told_of, (10 * number + 3, trade(5))]
    write_day(tmp_path, "2026-09-20", *happened, sealed=sealed)
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    assert verdict.examination.manifest.sequence_gaps == dialects.count(KALSHI)
    numbered = [len(session.sequences) for session in verdict.examination.manifest.sessions]
    assert numbered == [int(dialect is KALSHI) for dialect in dialects]


def test_a_connection_that_went_on_from_the_day_before_is_read_by_its_own_dialect(tmp_path):
    day = [
        (1, trade(2)),
        (2, trade(9)),
        (3, "stopped", {}),
        (4, "started", KALSHI),
        (4, "connected", {}),
        (5, trade(1)),
    ]
    write_day(tmp_path, "2026-09-20", (0, "continued", {"from": "2026-09-19", **GENERIC}), *day)
    assert told(verdicts(tmp_path)) == []


SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
NOON = day_begins("2026-09-20") + DAY // 2


class Collector:
    """Runs of a collector, each on the real writer, with a clock and an end of the test's choosing."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage

    def run(self, begin_ns: int, *messages_ns: int, end: str = "stopped", connected: bool = True) -> None:
        """`end`: `stopped`, `disconnected`, `killed`, `torn` (killed within a line), or `full`: then the folder of the
        day of the last message cannot be made.
        """
        status = Status()
        metrics = Metrics(CollectorRegistry(), "kalshi", status)
        config = LocalStorage(type="local", path=str(self.storage))
        writer = FileWriter(config, "kalshi", status=status, metrics=metrics, clock=lambda: begin_ns)
        writer.open()
        journal = Journal(status, metrics, Reporter("kalshi", status))
        journal.note("started", begin_ns, **KALSHI)
        if connected:
            journal.note("connected", begin_ns)
        for number, ns in enumerate(messages_ns if connected else ()):
            if end == "full" and ns == messages_ns[-1]:
                folder = self.storage / timestamp(ns)[:10]
                folder.write_bytes(b"")
                with pytest.raises(WriteError):
                    self._write(writer, journal, ns, trade(number + 1))
                folder.unlink()
                break
            self._write(writer, journal, ns, trade(number + 1))
        last_ns = max(begin_ns, *messages_ns) if messages_ns else begin_ns
        if end in ("stopped", "disconnected"):
            journal.end(last_ns + SECOND, "SIGTERM", Disconnected("closed") if end == "disconnected" else None)
        if end != "full":
            self._write(writer, journal, last_ns + SECOND)
        location = Path(writer.location)
        with contextlib.suppress(WriteError):
            writer.close()
        if end == "torn":
            with open(location, "ab") as file:
                file.write(b'{"ts":"20')

    @staticmethod
    def _write(writer: FileWriter, journal: Journal, ns: int, *payloads: bytes) -> None:
        data = writer.encode(ns, list(payloads), True) if payloads else b""
        writer.write(Batch("kalshi", ns, data, len(payloads), journal.take()))
        writer.flush()


def seal_all(storage: Path, before: str = "2026-12-01") -> None:
    for file in unsealed(storage, before):
        assert seal(file, NOON) is not None


def missing(storage: Path) -> list[str]:
    return missing_files([storage], verdicts(storage))


def test_a_collector_that_ended_at_midnight_before_it_could_begin_the_new_day_is_a_note(tmp_path):
    collector = Collector(tmp_path)
    collector.run(NOON, NOON + SECOND, NOON + DAY, end="full")
    [text] = missing(tmp_path)  # Nothing tells it from a newest day that was removed.
    assert text == f"{tmp_path}/2026-09-21/kalshi.jsonl: is missing; the ledger of 2026-09-20 mentions it"
    collector.run(NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    seal_all(tmp_path)
    found = verdicts(tmp_path)
    assert (told(found), missing_files([tmp_path], found)) == ([], [])
    [note] = advisories(found)
    day = tmp_path / "2026-09-21" / "kalshi.jsonl"
    assert note.startswith(f"{day}: is not here, although 2026-09-20 should continue in it")
    alone = [tmp_path / "2026-09-20"]
    assert missing_files(alone, verdicts(*alone)) == []


def test_so_it_is_when_the_start_that_told_of_it_was_on_the_same_day_by_a_clock_that_went_back(tmp_path):
    collector = Collector(tmp_path)
    collector.run(NOON, NOON + SECOND, NOON + DAY, end="full")
    collector.run(NOON + HOUR, NOON + HOUR + SECOND)
    assert missing(tmp_path) == []


def test_a_day_that_was_begun_at_midnight_and_removed_is_missing(tmp_path):
    collector = Collector(tmp_path)
    collector.run(NOON, NOON + SECOND, NOON + DAY)
    collector.run(NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == [
        f"{tmp_path}/2026-09-21/kalshi.jsonl: is missing; the ledger of 2026-09-20 mentions it"
    ]


@pytest.mark.parametrize("end", ["stopped", "disconnected", "killed", "torn"])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_day_in_the_middle_that_was_removed_whole_is_missing(tmp_path, end, sealed):
    collector = Collector(tmp_path)
    for day in range(4):
        collector.run(NOON + day * DAY, NOON + day * DAY + HOUR, end=end)
    if sealed:
        seal_all(tmp_path, "2026-09-23")
    assert (told(verdicts(tmp_path)), missing(tmp_path)) == ([], [])
    kept = shutil.copytree(tmp_path / "2026-09-21", tmp_path / "kept")
    shutil.rmtree(tmp_path / "2026-09-21")
    [text] = missing(tmp_path)
    assert text.startswith(f"{tmp_path}/2026-09-22/kalshi.jsonl: begins after an outage from 2026-09-21T13:00:0")
    assert re.search(r"of the days before ends at 2026-09-20T13:00:0[01]\.000000Z, on 2026-09-20: what was", text)
    # It is here, and was not asked for.
    kept.rename(tmp_path / "2026-09-21")
    folders = [tmp_path / "2026-09-20", tmp_path / "2026-09-22"]
    assert missing_files(folders, verdicts(*folders)) == []
    # Old days may be put away.
    shutil.rmtree(tmp_path / "2026-09-20")
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == []


def test_a_connection_that_outlasted_its_file_without_a_message_leaves_no_day_missing(tmp_path):
    collector = Collector(tmp_path)
    collector.run(NOON, NOON + SECOND, end="killed")
    idle = [(0, "started", KALSHI), (0, "connected", {}), (5, trade(1)), (3 * 86400, "stopped", {})]
    write_day(tmp_path, "2026-09-21", *idle, sealed=False)
    collector.run(NOON + 5 * DAY, NOON + 5 * DAY + SECOND)
    [outage] = [entry for entry in verdicts(tmp_path)[-1].entries if entry.event == "outage"]
    assert outage.fields["from"] == "2026-09-24T00:00:00.000000Z"
    assert missing(tmp_path) == []


def test_a_start_that_never_connected_between_leaves_no_day_missing(tmp_path):
    collector = Collector(tmp_path)
    collector.run(NOON, NOON + SECOND)
    collector.run(NOON + DAY, connected=False)
    collector.run(NOON + 2 * DAY, NOON + 2 * DAY + SECOND)
    assert missing(tmp_path) == []
    shutil.rmtree(tmp_path / "2026-09-21")
    assert missing(tmp_path) == []


def test_a_day_that_went_on_after_the_clock_went_back_leaves_no_day_missing(tmp_path):
    """The outage of the 21st counts from an end on the 20th that is not the last in its file any more."""
    for end in ("stopped", "killed"):
        collector = Collector(tmp_path / end)
        collector.run(NOON, NOON + 11 * HOUR, end=end)
        collector.run(NOON + 13 * HOUR, NOON + 14 * HOUR)
        collector.run(NOON + 2 * HOUR, NOON + 3 * HOUR)
        assert missing(tmp_path / end) == []


jumps = st.sampled_from([SECOND, HOUR, 5 * HOUR, DAY, DAY, 3 * DAY, -HOUR, -13 * HOUR, -DAY, -3 * DAY])
ends = st.sampled_from(["stopped", "disconnected", "killed", "torn"])
runs = st.tuples(
    jumps, st.lists(st.sampled_from([1, SECOND, HOUR, 13 * HOUR, 2 * DAY]), max_size=4), ends, st.booleans()
)


@settings(max_examples=40)
@given(st.lists(runs, min_size=2, max_size=6), st.integers(0, 3))
def test_whatever_the_clock_did_an_honest_history_has_no_day_missing(histories, put_away):
    with tempfile.TemporaryDirectory() as folder:
        storage, now = Path(folder), NOON
        for jump, later, end, connected in histories:
            now += jump
            times = list(itertools.accumulate(later, initial=now))[1:]
            Collector(storage).run(now, *times, end=end, connected=connected)
            now = max([now, *times])
        for day in day_folders(storage)[:put_away]:
            shutil.rmtree(day)
        assert missing(storage) == []


def test_a_day_on_another_disk_is_a_day_of_the_storage_that_links_to_it(tmp_path):
    """Its ledger goes on to the next day, and its manifest is older than that of a day that has none."""
    over_midnight(tmp_path / "data", (1, trade(2)), (2, "rotated", {"to": "2026-09-22"}))
    write_day(tmp_path / "data", "2026-09-22", (0, "continued", {"from": "2026-09-21", **KALSHI}), (1, trade(3)))
    (tmp_path / "old").mkdir()
    for day in ("2026-09-20", "2026-09-21"):
        (tmp_path / "data" / day).rename(tmp_path / "old" / day)
        (tmp_path / "data" / day).symlink_to(tmp_path / "old" / day)
    (tmp_path / "old" / "2026-09-21" / "kalshi.manifest.json").unlink()
    found = verdicts(tmp_path / "data")
    assert missing_files([tmp_path / "data"], found) == []
    [note] = advisories(found)
    assert "2026-09-21/kalshi.jsonl: has no manifest, but a later day has one" in note
    (tmp_path / "old" / "2026-09-20" / "kalshi.jsonl").unlink()
    [text] = missing_files([tmp_path / "data"], verdicts(tmp_path / "data"))
    assert text.startswith(f"{tmp_path}/data/2026-09-20/kalshi.jsonl: is missing; kalshi.")


def test_a_link_of_another_name_leads_to_the_day_and_its_storage(tmp_path):
    over_midnight(tmp_path / "data", (1, trade(2)), (2, "rotated", {"to": "2026-09-22"}))
    write_day(tmp_path / "data", "2026-09-22", (0, "continued", {"from": "2026-09-21", **KALSHI}), (1, trade(3)))
    link = tmp_path / "yesterday"
    link.symlink_to(tmp_path / "data" / "2026-09-21")
    assert missing_files([link], verdicts(link)) == []


def test_what_is_told_over_many_days_asks_the_disk_for_their_storage_once(monkeypatch, tmp_path):
    days = [(date(2024, 1, 1) + timedelta(number)).isoformat() for number in range(300)]
    files = [DayFile(day, "kalshi", "jsonl.zst", tmp_path / day / "kalshi.jsonl.zst") for day in days]
    calls: list[Path] = []
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path, *rest, **more: calls.append(path) or resolve(path, *rest, **more))
    found = [Verdict(file, sealed=True, examination=None, findings=[]) for file in files]
    assert list(advisories(found)) == []
    assert len(calls) == 1


def test_a_verdict_keeps_nothing_of_single_lines(tmp_path):
    events = [(number, "gap", {"sid": 1, "expected": 1, "got": 3, "missing": 2}) for number in range(1, 50)]
    write_day(tmp_path, "2026-09-20", (0, "started", KALSHI), (0, "connected", {}), *events, (60, trade(1)))
    [verdict] = verdicts(tmp_path)
    assert verdict.examination.manifest.block_sums == ""
    assert [entry.event for entry in verdict.entries] == ["started", "connected", "gap"]
    assert len(verdict.findings) == 1


def packed_day(storage: Path, count: int = 20_000) -> Path:
    """A sealed day that is compressed, of lines that are not all alike."""
    noise = random.Random(1)
    messages = [(number, b'{"type":"x","n":"%x"}' % noise.getrandbits(400)) for number in range(1, count + 1)]
    path = write_day(storage, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), *messages)
    packed = path.with_name("kalshi.jsonl.zst")
    packed.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(path.read_bytes()))
    path.unlink()
    return packed


def test_a_byte_changed_in_a_compressed_day_is_told_with_a_line(tmp_path):
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
        # A byte of the text itself makes one line another; of the coding, all that follows unreadable.
        if len(readable) - same > 1000:
            assert same + 1 in [number for number, _ in located]
        done = ssmd("verify", tmp_path)
        assert done.returncode == 65
        assert f"{len(readable):,}" in done.stdout


def test_of_a_compressed_day_with_another_checksum_all_comes_but_the_byte_before_that(tmp_path):
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
