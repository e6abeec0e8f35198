"""An import is whole days or nothing, wherever it ends, and what it writes is sealed and verified like any day."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from process import ROOT
from recorded import fail

from ssmd.errors import DataError, OutputError, WriteError
from ssmd.field_path import parse_path
from ssmd.importing import days as days_module
from ssmd.importing import found_gaps
from ssmd.importing.bring_in import Target, bring_in
from ssmd.importing.fields import Layout
from ssmd.importing.source import Source
from ssmd.proof.missing import missing_files
from ssmd.proof.seal import seal, unsealed
from ssmd.proof.verify import verify
from ssmd.reading.merge import merged
from ssmd.reading.messages import raw
from ssmd.store.inventory import data_files
from ssmd.store.ledger_file import read_ledger, readable_entries
from ssmd.store.sessions import RecordedDialect
from ssmd.store.timestamps import day_begins

NOW = day_begins("2026-11-27")
NOON = day_begins("2026-09-20") // 10**9 + 43_200
DAY = 86_400
LAYOUT = Layout(time_format="s", time_fields=(parse_path("t"),), message_field=parse_path("m"))


def line(second: int, message: bytes = b'{"a" : 1.50}') -> bytes:
    return b'{"t":%d,"m":%b}\n' % (NOON + second, message)


def recording(path: Path, *lines: bytes, window: int = 100) -> Source:
    path.write_bytes(b"".join(lines))
    return Source(path, LAYOUT, window, carry_time=False, now_ns=NOW)


def target(storage: Path, exchange: str | None = None, feed: str = "other") -> Target:
    return Target(storage, feed, lambda day: RecordedDialect(exchange, {}) if exchange else None)


SEALED = [f"2026-09-20/other.{kind}" for kind in ("jsonl", "ledger.jsonl", "manifest.json", "shape.json")]
"""The files of a day that is brought in, as names() returns them."""


def names(storage: Path) -> list[str]:
    return sorted(str(path.relative_to(storage)) for path in storage.rglob("*") if path.is_file())


def messages(storage: Path) -> list[bytes]:
    return b"".join(map(raw, merged(data_files([storage]), trouble=fail))).splitlines()


def wrong(storage: Path) -> list[str]:
    """Seal all days; return what verify finds."""
    for file in unsealed(storage, "2026-11-27"):
        assert seal(file, NOW) is not None
    verdicts = [verify(file) for file in data_files([storage])]
    found = [finding.text for verdict in verdicts for finding in verdict.findings]
    return found + missing_files([storage], verdicts)


def test_messages_go_to_the_days_of_their_times(tmp_path):
    storage = tmp_path / "data"
    lines = [line(43_199, b'{"seq":1}'), line(43_200, b'{"seq":2}'), line(4 * DAY, b'"PONG \\u00e9\\n"')]
    source = recording(tmp_path / "a.jsonl", *lines)
    assert bring_in([source], target(storage), NOW) == [
        (storage / "2026-09-20" / "other.jsonl", 1),
        (storage / "2026-09-21" / "other.jsonl", 1),
        (storage / "2026-09-24" / "other.jsonl", 1),
    ]
    assert messages(storage) == [b'{"seq":1}', b'{"seq":2}', "PONG é".encode(), b""]
    assert not wrong(storage)


def test_the_ledger_says_what_was_imported(tmp_path):
    storage = tmp_path / "data"
    sources = [recording(tmp_path / "a", line(0), line(DAY)), recording(tmp_path / "b", line(1), line(2))]
    bring_in(sources, target(storage, "generic"), NOW)
    entries = list(readable_entries(storage / "2026-09-20" / "other.ledger.jsonl"))
    assert [(entry.event, entry.ts_ns, entry.offset, entry.line) for entry in entries] == [("imported", NOW, 0, 0)] * 2
    for entry, source, lines in zip(entries, sources, (1, 2), strict=True):
        assert entry.fields["source"] == source.path.name
        assert entry.fields["sha256"] == hashlib.sha256(source.path.read_bytes()).hexdigest()
        assert entry.fields["lines"] == lines
        assert entry.fields["exchange"] == "generic"
        assert entry.fields["layout"] == {"time_format": "s", "time_fields": ["t"], "message_field": "m"}
    [of_a] = readable_entries(storage / "2026-09-21" / "other.ledger.jsonl")
    assert of_a.fields["source"] == "a"


def test_with_a_dialect_the_ledger_has_the_gaps_of_the_recording(tmp_path):
    storage = tmp_path / "data"
    sent = [b'{"type":"trade","sid":1,"seq":%d,"msg":{}}' % seq for seq in (7, 8, 11, 12, 14)]
    source = recording(tmp_path / "a", *(line(second, message) for second, message in enumerate(sent)))
    bring_in([source], target(storage, "kalshi"), NOW)
    ledger = read_ledger(storage / "2026-09-20" / "other.ledger.jsonl")
    gaps = [entry for entry in ledger.entries if entry.event == "gap"]
    assert [(gap.line, *gap.fields.values()) for gap in gaps] == [(2, 1, 9, 11, 2), (4, 1, 13, 14, 1)]
    assert not wrong(storage)
    assert names(storage) == SEALED


def test_many_gaps_wait_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(found_gaps, "_GATHERED_BYTES", 300)
    storage = tmp_path / "data"
    sent = [b'{"type":"trade","sid":1,"seq":%d,"msg":{}}' % seq for seq in range(1, 200, 2)]
    bring_in([recording(tmp_path / "a", *(line(0, message) for message in sent))], target(storage, "kalshi"), NOW)
    assert not wrong(storage)
    assert names(storage) == SEALED


@pytest.mark.parametrize(("exchange", "missing"), [(None, None), ("generic", None), ("kalshi", 0)])
def test_what_is_not_known_of_an_imported_day_is_not_shown_as_0(tmp_path, exchange, missing):
    storage = tmp_path / "data"
    bring_in([recording(tmp_path / "a", line(0))], target(storage, exchange), NOW)
    [file] = unsealed(storage, "2026-11-27")
    manifest = seal(file, NOW)
    assert manifest is not None
    assert (manifest.coverage_percent, manifest.listened_seconds, manifest.missing) == (None, None, missing)


def test_a_day_with_more_or_fewer_lines_than_were_imported_is_not_sound(tmp_path):
    storage = tmp_path / "data"
    bring_in([recording(tmp_path / "a", *map(line, range(9)))], target(storage), NOW)
    path = storage / "2026-09-20" / "other.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    [file] = data_files([storage])
    [finding] = verify(file).findings
    assert finding.line == 8
    assert "the ledger has 9 imported lines" in finding.text


@pytest.mark.parametrize(
    "there", ["other.jsonl", "other.jsonl.zst", "other.jsonl.gz", "other.ledger.jsonl", "other.manifest.json",
              "other.jsonl.torn", "other.ledger.jsonl.zst"],
)  # fmt: skip
def test_a_day_that_exists_in_any_form_is_never_added_to(tmp_path, there):
    storage = tmp_path / "data"
    existing = storage / "2026-09-21" / there
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b"kept")
    with pytest.raises(OutputError, match=rf"2026-09-21/{there}: this day exists already") as caught:
        bring_in([recording(tmp_path / "a", line(0), line(DAY), line(2 * DAY))], target(storage), NOW)
    assert caught.value.exit_code == 73
    assert names(storage) == [f"2026-09-21/{there}"]
    assert existing.read_bytes() == b"kept"
    assert [path.name for path in storage.iterdir()] == ["2026-09-21"]


@pytest.mark.parametrize("place", ["data", "data/2026-09-20"])
@pytest.mark.parametrize("dangling", [False, True])
def test_what_is_in_the_way_of_a_folder_is_named(tmp_path, place, dangling):
    obstacle = tmp_path / place
    obstacle.parent.mkdir(exist_ok=True)
    if dangling:
        obstacle.symlink_to("nowhere")
    else:
        obstacle.write_bytes(b"kept")
    with pytest.raises(OutputError, match=f"^{obstacle}: is in the way: it is not a folder; move it away, or give"):
        bring_in([recording(tmp_path / "a", line(0))], target(tmp_path / "data"), NOW)
    assert dangling or obstacle.read_bytes() == b"kept"


def test_another_feed_of_the_day_does_not_matter(tmp_path):
    storage = tmp_path / "data"
    for feed in ("one", "one.two", "two"):
        bring_in([recording(tmp_path / "a", line(0))], target(storage, feed=feed), NOW)
    assert len(data_files([storage])) == 3
    assert not wrong(storage)


def test_the_same_import_again_adds_nothing(tmp_path):
    storage = tmp_path / "data"
    source = recording(tmp_path / "a", line(0), line(DAY))
    bring_in([source], target(storage), NOW)
    with pytest.raises(OutputError, match=r"2026-09-20/other\.jsonl: this day exists already, and so do all days of"):
        bring_in([source], target(storage), NOW)
    assert len(messages(storage)) == 2


def test_a_day_that_is_not_over_belongs_to_its_collector(tmp_path):
    storage = tmp_path / "data"
    later = (NOW // 10**9) - NOON + 5
    with pytest.raises(OutputError, match="a:2: is of 2026-11-27, a day that is not over"):
        bring_in([recording(tmp_path / "a", line(0), line(later))], target(storage), NOW)
    assert not names(storage)


def test_a_bad_line_at_the_very_end_imports_nothing(tmp_path):
    storage = tmp_path / "data"
    source = recording(tmp_path / "a", line(0), line(DAY), line(DAY)[:-5], window=0)
    with pytest.raises(DataError, match="a:3: is not JSON"):
        bring_in([source], target(storage), NOW)
    assert not list(storage.iterdir())


def test_a_file_without_messages_is_an_error(tmp_path):
    with pytest.raises(DataError, match="a: has no message to import"):
        bring_in([recording(tmp_path / "a", b"\n\n")], target(tmp_path / "data"), NOW)


def test_a_full_disk_imports_nothing(tmp_path, monkeypatch):
    storage = tmp_path / "data"

    def full(fd: int, pieces: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(days_module, "write_pieces", full)
    with pytest.raises(WriteError, match=r"other\.jsonl: No space left on device; this day was not imported"):
        bring_in([recording(tmp_path / "a", line(0))], target(storage), NOW)
    assert not list(storage.iterdir())


def test_two_imports_of_a_day_do_not_mix(tmp_path):
    storage = tmp_path / "data"
    folder = storage / "2026-09-20"
    folder.mkdir(parents=True)
    with open(folder / "other.jsonl.new", "wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another import is writing this day; wait for its end"):
            bring_in([recording(tmp_path / "a", line(0))], target(storage), NOW)
    assert names(storage) == ["2026-09-20/other.jsonl.new"]


def test_what_another_import_has_written_meanwhile_is_not_published(tmp_path):
    storage = tmp_path / "data"

    class Slow(Source):
        """A source during which another import of the day begins and ends."""

        def messages(self):
            yield from super().messages()
            (storage / "2026-09-20" / "other.jsonl.new").unlink(missing_ok=True)
            (storage / "2026-09-20" / "other.jsonl.new").write_bytes(b"of the other")

    slow = Slow(tmp_path / "a", LAYOUT, 100, carry_time=False, now_ns=NOW)
    slow.path.write_bytes(line(0))
    with pytest.raises(OutputError, match="another import has written this day meanwhile"):
        bring_in([slow], target(storage), NOW)
    assert not data_files([storage])


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refused(source: Path, name: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    storage = tmp_path / "data"
    bring_in([recording(tmp_path / "a", line(0))], target(storage), NOW)
    assert not wrong(storage)
    assert names(storage) == SEALED


STEPS = """
import itertools, shutil, sys
from pathlib import Path
sys.path.insert(0, "test")
from kills import killed_at
from test_importing_bring_in import *
from ssmd.proof.advisories import advisories

folder = Path(sys.argv[1])
storage = folder / "data"
others = [recording(folder / "z", line(0), line(DAY))]
source = recording(folder / "a", line(0), line(1), line(DAY), line(2 * DAY))

def run():
    bring_in([source], target(storage, "kalshi"), NOW)

whole = {"2026-09-20": 2, "2026-09-21": 1, "2026-09-22": 1}
FILES = ("importing/days.py", "durable.py", "unfinished.py", "found_gaps.py", "locks.py")
seen = set()
advised = 0
for step in itertools.count():
    shutil.rmtree(storage, ignore_errors=True)
    if sys.argv[2] == "beside":
        bring_in(others, target(storage, feed="beside"), NOW)
    killed = killed_at(step, run, *FILES)
    files = data_files([storage], "other") if storage.exists() else []
    for file in files:
        assert file.path.read_bytes().count(b"\\n") == whole[file.day], file
        assert len(readable_entries(storage / file.day / "other.ledger.jsonl")) == 1
    if storage.exists():
        verdicts = [verify(file) for file in data_files([storage])]
        assert not [finding for verdict in verdicts for finding in verdict.findings]
        assert not missing_files([storage], verdicts)
        advised += any("the same `ssmd import` finishes it" in text for text in advisories(verdicts, [storage]))
    seen.add(len(files))
    if len(files) < len(whole):
        run()
    else:
        try:
            run()
        except OutputError as error:
            assert "all days of this import" in str(error), error
    assert {file.day for file in data_files([storage], "other")} == whole.keys()
    assert not wrong(storage)
    assert not [path for path in names(storage) if path.endswith(".new")]
    if not killed:
        break
print(step, advised, *sorted(seen))
"""


@pytest.mark.parametrize("folders", ["none", "beside"])
def test_a_kill_at_any_step_leaves_whole_days_and_the_same_import_finishes_them(tmp_path, folders):
    ended = subprocess.run(
        [sys.executable, "-c", STEPS, tmp_path, folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    steps, advised, *seen = map(int, ended.stdout.split())
    assert steps > 100
    assert advised >= 3  # Between the two names of each day.
    assert seen == [0, 1, 2, 3]


def test_two_files_with_the_same_bytes_are_an_error_and_nothing_is_imported(tmp_path):
    storage = tmp_path / "data"
    sources = [recording(tmp_path / name, line(1), line(2)) for name in ("a.jsonl", "copy of a.jsonl")]
    with pytest.raises(DataError) as caught:
        bring_in(sources, target(storage), NOW)
    first, second = (source.path for source in sources)
    assert str(caught.value) == f"{second}: has the same bytes as {first}; leave one of them out"
    assert names(tmp_path) == ["a.jsonl", "copy of a.jsonl"]


def test_two_files_without_a_message_are_no_copies(tmp_path):
    sources = [recording(tmp_path / "a"), recording(tmp_path / "b"), recording(tmp_path / "c", line(1))]
    [(_, lines)] = bring_in(sources, target(tmp_path / "data"), NOW)
    assert lines == 1
