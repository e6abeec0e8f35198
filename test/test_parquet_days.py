"""Every command reads a day in Parquet as it reads any other, and `ssmd verify` finds whatever is wrong with it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from process import ROOT, Collector, Simulator, ssmd
from recorded import make_day
from ship_runs import FEED, Site

from ssmd.parquet.checksum import problems_in
from ssmd.reading.blocks import LineBlocks
from ssmd.sim.replay import Recording

DAY, NEXT = "2026-09-21", "2026-09-22"
PARTS = [f"type={name}/part-0000.parquet" for name in ("orderbook_delta", "ticker", "trade")]


def in_parquet(storage: Path) -> Path:
    code, out, err = ssmd("compact", storage, "--parquet", "--jobs", "1")
    assert (code, err) == (0, "")
    assert out.count(": compacted, ") == len(out.splitlines())
    return storage


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """Two days, each with a few thousand messages and two connections."""
    storage = tmp_path_factory.mktemp("plain")
    for day in (DAY, NEXT):
        make_day(storage, day, connected=((0, 40_000, "disconnected"), (41_000, 86_400, "stopped")), lost_after=500)
    return storage


@pytest.fixture(scope="module")
def packed(plain, tmp_path_factory) -> Path:
    """The same days in Parquet."""
    storage = tmp_path_factory.mktemp("packed") / "data"
    shutil.copytree(plain, storage)
    return in_parquet(storage)


@pytest.mark.parametrize(
    "options",
    [
        (), ("--raw",), ("--jobs", "2"), ("--from", f"{DAY}T11:00", "--to", f"{NEXT}T03:30"), ("--type", "trade"),
        ("--market", "KX-3", "--type", "ticker"), ("--feed", "kalshi", "--from", f"{NEXT}T11:10"),
    ],
)  # fmt: skip
def test_cat_prints_the_same(plain, packed, options):
    printed = ssmd("cat", packed, *options)
    assert printed.stdout
    assert printed == ssmd("cat", plain, *options)
    day = ssmd("cat", packed / DAY / "kalshi.parquet", *options)
    assert day == ssmd("cat", plain / DAY / "kalshi.jsonl", *options)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_verify_says_the_same(plain, packed, jobs):
    proved = ssmd("verify", packed, "--jobs", jobs)
    assert (proved.returncode, proved.stdout.count(" ok")) == (0, 2)
    assert proved == ssmd("verify", plain)


def test_the_report_is_the_same_apart_from_the_size_on_the_disk(plain, packed):
    words, others = (ssmd("report", storage).stdout.split() for storage in (packed, plain))
    different = [word for word, other in zip(words, others, strict=True) if word != other]
    sizes = [sum(path.stat().st_size for path in (packed / day).rglob("part-*")) for day in (DAY, NEXT)]
    assert different == [f"{size / 1000:.1f}" for size in sizes]


def test_a_day_in_parquet_whose_manifest_is_gone_is_reported_and_sealed_again(plain, packed, tmp_path):
    shutil.copytree(packed, tmp_path / "data")
    manifest = tmp_path / "data" / DAY / "kalshi.manifest.json"
    sealed = json.loads(manifest.read_text())
    manifest.unlink()
    proved = ssmd("verify", tmp_path / "data").stdout
    assert "is compressed but has no manifest: only sealed days are compacted" in proved
    ended = ssmd("seal", tmp_path / "data")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(f"{manifest.parent}/kalshi.parquet: sealed, {sealed['lines']:,} lines, ")
    assert {**json.loads(manifest.read_text()), "sealed": sealed["sealed"]} == sealed
    assert ssmd("verify", tmp_path / "data") == ssmd("verify", plain)


def test_an_unsealed_day_in_parquet_has_a_report(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "data")
    (tmp_path / "data" / DAY / "kalshi.manifest.json").unlink()
    rows = [line for line in ssmd("report", tmp_path / "data").stdout.splitlines() if line.startswith(DAY)]
    assert rows[0].endswith("not sealed")
    assert "?" not in rows[0]


def test_both_forms_at_once_are_noted_and_compared(plain, packed, tmp_path):
    shutil.copytree(packed, tmp_path / "data")
    data = tmp_path / "data" / DAY / "kalshi.jsonl"
    shutil.copy(plain / DAY / "kalshi.jsonl", data)
    printed = ssmd("cat", tmp_path / "data")
    assert f"{data}: is read, and kalshi.parquet beside it is not" in printed.stderr
    proved = ssmd("verify", tmp_path / "data")
    assert (proved.returncode, "kalshi.parquet" in proved.stdout) == (0, True)
    shutil.rmtree(data.parent / "kalshi.parquet")
    shutil.copytree(packed / NEXT / "kalshi.parquet", data.parent / "kalshi.parquet")
    assert "is also here as kalshi.parquet, which has other lines" in ssmd("verify", tmp_path / "data").stdout


def test_replay_sends_the_same(plain, packed):
    def sent(storage: Path) -> list[bytes]:
        return [message for batch in Recording([storage]).batches() for message in batch.sent]

    assert sent(packed) == sent(plain)


def test_a_relay_goes_on_in_days_that_have_become_parquet(tmp_path):
    site = Site(tmp_path, ", start: oldest")
    make_day(site.data, DAY, feed=FEED)
    assert site.ship("--once").returncode == 0
    make_day(site.data, NEXT, feed=FEED)
    data = site.recorded()
    in_parquet(site.data)
    for _ in range(2):
        assert site.ship("--once").returncode == 0
        assert site.copied() == data


def test_an_import_never_adds_to_a_day_in_parquet(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "data")
    source = tmp_path / "frames.jsonl"
    source.write_text(f'{{"at":"{DAY}T10:00:00Z","m":{{"type":"trade"}}}}\n')
    fields = ("--time-field", "at", "--message-field", "m", "--time-format", "iso")
    ended = ssmd("import", "--feed", "kalshi", "--to", tmp_path / "data", *fields, source)
    assert ended.returncode == 73
    assert f"{tmp_path}/data/{DAY}/kalshi.parquet: this day exists already" in ended.stderr


@pytest.mark.one_day
def test_a_collector_does_not_begin_a_day_in_parquet_again(tmp_path, faketime_library, without_pyarrow):
    """It says how to get the plain file back, which works, and needs no pyarrow for any of it."""
    make_day(tmp_path / "data", DAY, feed="test", per_hour=5)
    in_parquet(tmp_path / "data")
    back = {"FAKETIME": f"@{DAY} 13:00:00", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    back["LD_PRELOAD"] = str(faketime_library)
    with (
        Simulator("--rate", "500") as exchange,
        Collector(tmp_path, exchange.generic, exchange="generic", variables={**back, **without_pyarrow}) as collector,
    ):
        assert collector.wait() == 73
    [error] = {text for entry in collector.events for text in map(str, entry.values()) if "compressed" in text}
    assert "this day is compressed already, as test.parquet, and cannot be continued" in error
    before = b"".join(LineBlocks(tmp_path / "data" / DAY / "test.parquet"))
    command = error.partition("`")[2].rpartition("`")[0].replace("ssmd cat", f"{sys.executable} -m ssmd cat")
    subprocess.run(["sh", "-ec", command], cwd=ROOT, check=True)
    assert sorted(path.name for path in (tmp_path / "data" / DAY).iterdir()) == [
        "test.jsonl", "test.ledger.jsonl", "test.manifest.json", "test.shape.json",
    ]  # fmt: skip
    assert (tmp_path / "data" / DAY / "test.jsonl").read_bytes() == before


@pytest.fixture(scope="module")
def without_pyarrow(tmp_path_factory) -> dict[str, str]:
    """Environment variables with which a process of ssmd has no pyarrow."""
    folder = tmp_path_factory.mktemp("without")
    (folder / "pyarrow.py").write_text("raise ModuleNotFoundError('No module named pyarrow', name='pyarrow')\n")
    return {"PYTHONPATH": f"{folder}:{ROOT}"}


@pytest.mark.parametrize("command", ["cat", "verify", "compact"])
def test_where_pyarrow_is_missing_one_line_says_so(plain, packed, without_pyarrow, command, tmp_path):
    shutil.copytree(plain, tmp_path / "data")
    arguments = ("compact", tmp_path / "data", "--parquet") if command == "compact" else (command, packed)
    code, out, err = ssmd(*arguments, **without_pyarrow)
    assert (code, out) == (78, "")
    assert len(err.splitlines()) == 1
    assert "needs the Python package pyarrow, which is not installed; run `bin/extras parquet` in a checkout" in err
    assert sorted(path.name for path in (tmp_path / "data" / DAY).iterdir())[0] == "kalshi.jsonl"


def test_the_report_of_sealed_days_needs_no_pyarrow(packed, without_pyarrow):
    assert ssmd("report", packed, **without_pyarrow) == ssmd("report", packed)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{DAY}/kalshi.parquet/{PARTS[0]}", "is a file, but a day in Parquet is a folder; name that folder"),
        ("other/kalshi.parquet", "is a file, but a day in Parquet is a folder; name that folder"),
    ],
)
def test_a_path_that_is_no_day_in_parquet(packed, tmp_path, name, text):
    shutil.copytree(packed, tmp_path / "data")
    (tmp_path / "data" / "other").mkdir()
    (tmp_path / "data" / "other" / "kalshi.parquet").write_bytes(b"PAR1")
    code, _, err = ssmd("cat", tmp_path / "data" / name)
    assert (code, err) == (64, f"ssmd: {tmp_path}/data/{name}: {text}\n")


def change(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def exchange(one: Path, other: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte": (
        lambda day: change(day / PARTS[1], 2000), "type=ticker/part-0000.parquet is not as ssmd wrote it: its bytes"
    ),
    "a flipped byte in the footer": (
        lambda day: change(day / PARTS[1], -100), "type=ticker/part-0000.parquet is not as ssmd wrote it: its bytes"
    ),
    "a part that is cut off": (
        lambda day: (day / PARTS[2]).write_bytes((day / PARTS[2]).read_bytes()[:-10]),
        "type=trade/part-0000.parquet: cannot be read: Parquet magic bytes not found",
    ),
    "an empty part": (
        lambda day: (day / PARTS[2]).write_bytes(b""),
        "type=trade/part-0000.parquet: cannot be read: Parquet file size is 0 bytes",
    ),
    "a missing part": (
        lambda day: (day / PARTS[2]).unlink(), "type=trade/part-0000.parquet: cannot be read: it is missing"
    ),
    "a part of another day": (
        lambda day: shutil.copy(day.parent.parent / NEXT / "kalshi.parquet" / PARTS[2], day / PARTS[2]),
        "type=trade/part-0000.parquet: cannot be read: it belongs to another day than ",
    ),
    "exchanged parts": (
        lambda day: exchange(day / PARTS[1], day / PARTS[2]),
        "type=ticker/part-0000.parquet: cannot be read: it is that of type=trade",
    ),
    "a foreign file": (lambda day: (day / "README").write_text("x"), "README is no file of ssmd, so move it away"),
    "a foreign table": (
        lambda day: shutil.copytree(day / "type=trade", day / "type=other"),
        "type=other/part-0000.parquet: cannot be read: it is that of type=trade",
    ),
    "a second part": (
        lambda day: shutil.copy(day / PARTS[2], day / "type=trade" / "part-0001.parquet"),
        "type=trade/part-0001.parquet is no file of ssmd, so move it away",
    ),
    "no part": (
        lambda day: [shutil.rmtree(path) for path in day.iterdir()],
        "cannot be read: there is no part-0000.parquet in it",
    ),
    "all of another day": (
        lambda day: (shutil.rmtree(day), shutil.copytree(day.parent.parent / NEXT / "kalshi.parquet", day)),
        "which belongs to another day",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_what_is_wrong(packed, tmp_path, damage):
    shutil.copytree(packed, tmp_path / "data")
    apply, text = DAMAGES[damage]
    apply(tmp_path / "data" / DAY / "kalshi.parquet")
    proved = ssmd("verify", tmp_path / "data")
    assert (proved.returncode, proved.stderr) == (65, "")
    assert f"{tmp_path}/data/{DAY}/kalshi.parquet: " in proved.stdout
    assert text in proved.stdout
    assert f"{NEXT}/kalshi" not in proved.stdout  # The other day is all right.
    printed = ssmd("cat", tmp_path / "data" / DAY)
    assert "Traceback" not in printed.stderr
    assert printed.returncode in ((65,) if "cannot be read" in text else (0, 65))


def test_any_flipped_bit_is_found_and_none_is_a_bug(packed, tmp_path):
    shutil.copytree(packed / DAY, tmp_path / DAY)
    folder = tmp_path / DAY / "kalshi.parquet"
    numbers = random.Random(17)
    for _ in range(150):
        name = numbers.choice(PARTS)
        shutil.copy(packed / DAY / "kalshi.parquet" / name, folder / name)
        data = bytearray((folder / name).read_bytes())
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        (folder / name).write_bytes(data)
        assert list(problems_in(folder)) == [f"{name} is not as ssmd wrote it: its bytes have changed"]
        for _ in LineBlocks(folder, partial=True):
            pass
        shutil.copy(packed / DAY / "kalshi.parquet" / name, folder / name)
    assert list(problems_in(folder)) == []


def test_the_progress_of_reading_ends_at_the_size_on_the_disk(packed):
    folder = packed / DAY / "kalshi.parquet"
    blocks = LineBlocks(folder)
    seen = [blocks.bytes_read for _ in blocks]
    assert seen == sorted(seen)
    assert blocks.bytes_read == sum(path.stat().st_size for path in folder.rglob("part-*"))
