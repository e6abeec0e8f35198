"""What a real collector records of an exchange that misbehaves: its ledger, the sealed day, and the proof of both."""

import json
import shutil
import time
from pathlib import Path

from process import Collector, Simulator, ssmd


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
            until = time.monotonic() + 30
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
