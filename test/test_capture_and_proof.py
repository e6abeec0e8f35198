"""What a real collector records of an exchange that misbehaves: its ledger, the sealed day, and the proof of both."""

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest
from patience import PATIENCE
from process import Collector, Simulator, ssmd

from ssmd.proof.verify import verify as prove
from ssmd.reading.seek import ranges
from ssmd.store.inventory import data_files
from ssmd.store.layout import ledger_path
from ssmd.store.ledger import Entry, decode_entry, encode_entry
from ssmd.store.line import decode_line

pytestmark = pytest.mark.one_day

STORAGE = Path(__file__).parent / "fixtures" / "0.1.0" / "storages" / "good"


def entries(collector: Collector) -> list[dict]:
    return [json.loads(line) for path in sorted(collector.data.glob("*/test.ledger.jsonl")) for line in open(path)]


def verify(path: Path) -> tuple[int, str]:
    ended = ssmd("verify", path)
    return ended.returncode, ended.stdout


def move_to(day: str, data: Path) -> Path:
    """Make the only recorded day look as if it had been recorded on `day`; return its folder."""
    [folder] = data.iterdir() if not list(data.glob(".*")) else [path for path in data.iterdir() if path.is_dir()]
    for path in folder.glob("test.*"):
        path.write_bytes(path.read_bytes().replace(b'{"ts":"' + folder.name.encode(), b'{"ts":"' + day.encode()))
    return Path(shutil.move(folder, data / day))


def test_gaps_and_the_disconnect_are_in_the_ledger_at_their_lines(tmp_path):
    faults = ("--fault", "gap-after=200", "--fault", "close-after=600")
    with Simulator("--rate", "0", *faults) as simulator, Collector(tmp_path, simulator.endpoint) as collector:
        assert collector.wait() == 75
    lines = collector.lines()
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    found = entries(collector)
    assert [entry["offset"] for entry in found] == [offsets[entry["line"]] for entry in found]
    gaps = [entry for entry in found if entry["event"] == "gap"]
    assert gaps
    for gap in gaps:
        message = json.loads(lines[gap["line"]])["data"]
        assert (message["sid"], message["seq"]) == (gap["sid"], gap["got"])
    for entry in [entry for entry in found if entry["event"] == "subscribed"]:
        assert json.loads(lines[entry["line"]])["data"]["type"] == "subscribed"
        assert json.loads(lines[entry["line"]])["data"]["msg"] == {"channel": entry["channel"], "sid": entry["sid"]}
    started, connected, *_, disconnected, stopped = found
    assert (started["event"], connected["event"], connected["line"]) == ("started", "connected", 0)
    assert (started["exchange"], started["environment"], started["pid"]) == ("kalshi", "test", collector.process.pid)
    assert (disconnected["event"], disconnected["code"], disconnected["line"]) == ("disconnected", 1001, len(lines))
    assert (stopped["lines"], stopped["bytes"]) == (len(lines), offsets[-1])
    assert verify(collector.data)[0] == 0


def test_a_kill_is_an_outage_and_the_next_start_seals_and_proves_the_day(tmp_path):
    with Simulator("--rate", "500") as simulator:
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.wait_for_lines(200)
            collector.process.kill()
            collector.wait()
        day = move_to("2026-01-05", collector.data)
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.wait_for_lines(400)
            until = time.monotonic() + PATIENCE
            while not (day / "test.manifest.json").exists():
                assert time.monotonic() < until
                time.sleep(0.1)
            code, output = verify(collector.data)  # Beside the running collector.
            assert (code, "ok, not sealed yet" in output) == (0, True), output
            assert collector.end() == 0
    [outage] = [entry for entry in entries(collector) if entry["event"] == "outage"]
    assert outage["cause"] == "killed"
    assert outage["from"] >= json.loads((day / "test.jsonl").read_bytes().splitlines()[-1])["ts"]
    assert outage["seconds"] > 86400
    manifest = json.loads((day / "test.manifest.json").read_bytes())
    assert [session["cause"] for session in manifest["sessions"]] == ["killed"]
    assert manifest["gaps"][-1]["cause"] == "killed"
    assert manifest["gaps"][-1]["to"] == "2026-01-06T00:00:00.000000Z"
    code, output = verify(collector.data)
    assert code == 0, output


def with_entries_of_a_later_version(data: list[bytes], ledger: list[bytes]) -> list[bytes]:
    """A ledger with an entry of an unknown event behind each of its entries, and before each 20th line of the data."""
    offsets = [0, *itertools.accumulate(map(len, data))]
    known = [decode_entry(line) for line in ledger]
    places = {entry.line for entry in known}
    fields = {"subscription": "1", "markets": ["KX-A"], "commands": [{"id": 1, "params": {}}], "why": None}
    found = []
    for entry in known:
        found += [entry, Entry(entry.ts_ns, "asked", entry.offset, entry.line, fields)]
    for line in range(0, len(data), 20):
        if line not in places:
            ts_ns = decode_line(data[line]).received_ns
            found.append(Entry(ts_ns, "heard-again/2", offsets[line], line, {"channel": "x"}))
    return [encode_entry(entry) for entry in sorted(found, key=lambda entry: entry.offset)]


def test_entries_that_a_later_version_wrote_are_passed_over(tmp_path):
    faults = ("--fault", "gap-after=100", "--fault", "freeze-after=200")
    with Simulator("--rate", "1000", *faults) as simulator:
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.wait_for_lines(200)
            collector.process.kill()  # Nothing is being written any more that could be torn.
            collector.wait()
        day = move_to("2026-01-05", collector.data)
        file, path = day / "test.jsonl", day / "test.ledger.jsonl"
        data, ledger = (each.read_bytes().splitlines(keepends=True) for each in (file, path))
        middle = json.loads(data[len(data) // 2])["ts"].removesuffix("Z")
        reads = [("verify",), ("cat", "--from", middle), ("report", "--days", "9999")]
        before = [ssmd(*arguments, collector.data) for arguments in reads]
        assert before[0].returncode == 0
        assert before[1].stdout.count("\n") == sum(json.loads(line)["ts"] >= middle for line in data)
        later = with_entries_of_a_later_version(data, ledger)
        assert len(later) >= 2 * len(ledger) + 5
        path.write_bytes(b"".join(later))
        after = [ssmd(*arguments, collector.data) for arguments in reads]
        assert after[1:] == before[1:]
        count = sum(decode_entry(line).event == "heard-again/2" for line in later)
        note = (
            f"note: {file}: has {count} entries in its ledger whose events this version does not know; a later version "
            f"may have written them: heard-again/2 ({count})\n"
        )
        assert after[0] == before[0]._replace(stdout=before[0].stdout + note)
        [found] = data_files([file])
        assert ranges(found, middle.encode(), b"9") is not None  # They do not make a search read the whole file.
        with Collector(tmp_path, simulator.endpoint) as collector:
            collector.wait_for("connected")
            assert collector.end() == 0
    assert path.read_bytes() == b"".join(later)
    assert not list(day.glob("*.torn"))
    [outage] = [entry for entry in entries(collector) if entry["event"] == "outage"]
    assert (outage["from"], outage["cause"]) == (json.loads(data[-1])["ts"], "killed")
    assert ssmd("seal", collector.data).returncode == 0
    manifest = json.loads((day / "test.manifest.json").read_bytes())
    gaps = sum(decode_entry(line).event == "gap" for line in ledger)
    assert (manifest["sequence_gaps"], manifest["ledger_entries"]) == (gaps, len(later))
    assert verify(collector.data)[0] == 0


def test_an_entry_of_a_later_version_may_stand_behind_any_other(tmp_path):
    """One at a time: behind each entry that a run, a gap, a midnight, a kill or a start after it has written."""
    storage = tmp_path / "data"
    shutil.copytree(STORAGE, storage)
    for path in storage.glob("*/*.manifest.json"):
        path.unlink()
    tried = set()
    # A compressed day without a manifest is a finding in itself.
    for file in [file for file in data_files([storage]) if file.form == "jsonl"]:
        path = ledger_path(file.path.parent, file.feed)
        ledger = path.read_bytes().splitlines(keepends=True)
        for place, line in enumerate(ledger, 1):
            before = decode_entry(line)
            tried.add(before.event)
            asked = encode_entry(before._replace(event="asked", fields={"channel": "x"}))
            path.write_bytes(b"".join([*ledger[:place], asked, *ledger[place:]]))
            assert prove(file).findings == [], (path, place)
        path.write_bytes(b"".join(ledger))
    assert tried >= {"torn", "outage", "started", "connected", "subscribed", "gap", "rotated", "continued", "stopped"}
