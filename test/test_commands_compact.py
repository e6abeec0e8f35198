"""`ssmd compact` as a process: beside a collector, on a terminal, and for cron."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import pty
import select
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
import zstandard
from patience import PATIENCE
from process import ROOT, Collector, Simulator, make_tree, ssmd, start

from ssmd.store.line import LineEncoder

pytestmark = pytest.mark.one_day

NOON_NS = 1_790_000_000_000_000_000


def make_day(storage: Path, ago: int, *, lines: int = 1000, sealed: bool = True) -> Path:
    """Write the day `ago` days before today, and return its plain file."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=ago)
    path = storage / f"{noon:%Y-%m-%d}" / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(LineEncoder("test").encode(int(noon.timestamp()) * 10**9, [b'{"n":1}'] * lines))
    if sealed:
        assert ssmd("seal", storage)[0] == 0
    return path


def test_days_that_are_old_enough_are_compacted_with_a_line_for_each(tmp_path):
    old, new = make_day(tmp_path, 3), make_day(tmp_path, 1)
    unsealed = make_day(tmp_path, 2, sealed=False)
    size = old.stat().st_size
    code, out, err = ssmd("compact", tmp_path, "--older-than", "2d", "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{old}: would be compacted, {size:,} bytes",
        f"{unsealed}: is not sealed; `ssmd seal` does that; left as it is",
    ]
    code, out, err = ssmd("compact", tmp_path, "--older-than=2d")
    assert (code, err) == (0, "")
    assert out.startswith(f"{old}: compacted, {size:,} bytes to ")
    assert (old.exists(), unsealed.exists(), new.exists()) == (False, True, True)
    assert ssmd("compact", tmp_path)[1].startswith(f"{unsealed}: is not sealed")
    assert not new.exists()
    assert ssmd("cat", old.parent)[1].count("\n") == 1000


@pytest.mark.parametrize(
    ("format", "option", "made"),
    [("", (), "jsonl.zst"), ("format: parquet", (), "parquet"), ("format: jsonl.zst", ("--parquet",), "parquet")],
)
def test_an_environment_says_where_its_days_are_and_what_they_become(tmp_path, format, option, made):
    day = make_day(tmp_path / "data", 2, lines=10)
    for name in ("test.listing", "other"):
        day.with_name(f"{name}.jsonl").write_bytes(LineEncoder(name).encode(NOON_NS, [b'{"n":1}']))
    assert ssmd("seal", tmp_path / "data")[0] == 0
    storage = f"storage: {{type: local, path: {tmp_path}/data, {format}}}\n"
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", storage)
    code, out, err = ssmd("compact", "test", "--config-dir", tree, *option)
    assert (code, err, out.count(": compacted, ")) == (0, "", 2)
    names = {path.name for path in day.parent.iterdir() if path.suffix != ".json"}
    assert names == {"other.jsonl", f"test.{made}", f"test.listing.{made}"}
    assert ssmd("cat", day.parent, "--feed", "test")[1].count("\n") == 10


@pytest.mark.parametrize(
    ("storage", "code", "text"),
    [
        ("type: local, path: data, format: zip", 78, "test.yaml:3: storage.format: must be one of jsonl.zst, parquet"),
        ("type: local, path: none", 64, "none: there is no such file or folder"),
    ],
)
def test_an_environment_whose_days_cannot_be_found(tmp_path, storage, code, text):
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", f"storage: {{{storage}}}\n")
    ended = ssmd("compact", "test", "--config-dir", tree)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert text in ended.stderr


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_plain_and_compressed_days_become_parquet(tmp_path, jobs):
    first, second = make_day(tmp_path, 3, lines=500), make_day(tmp_path, 2, lines=500)
    whole = first.read_bytes() + second.read_bytes()
    assert ssmd("compact", tmp_path, "--older-than", "3d")[0] == 0
    packed = first.with_name("test.jsonl.zst")
    dry = ssmd("compact", tmp_path, "--parquet", "--dry-run", "--jobs", jobs)
    would = [f"{path}: would be compacted, {path.stat().st_size:,} bytes" for path in (packed, second)]
    assert (dry.returncode, dry.stdout.splitlines(), dry.stderr) == (0, would, "")
    code, out, err = ssmd("compact", tmp_path, "--parquet", "--jobs", jobs)
    assert (code, err) == (0, "")
    assert [line.partition(", ")[0] for line in out.splitlines()] == [f"{path}: compacted" for path in (packed, second)]
    assert [path.name for path in sorted(tmp_path.glob("*/*")) if path.is_dir()] == ["test.parquet"] * 2
    assert ssmd("cat", tmp_path)[1].encode() == whole
    assert ssmd("compact", tmp_path, "--parquet") == (0, "", "")


def test_a_day_that_was_changed_since_it_was_sealed_does_not_stop_the_others(tmp_path):
    wrong, right = make_day(tmp_path, 3), make_day(tmp_path, 2)
    wrong.write_bytes(wrong.read_bytes().replace(b'"n":1', b'"n":2', 1))
    code, _, err = ssmd("compact", tmp_path)
    assert code == 65
    assert err == f"ssmd: {wrong}: does not match its manifest; nothing is removed. `ssmd verify` reports the details\n"
    assert (wrong.exists(), right.exists()) == (True, False)
    names = sorted(path.name for path in wrong.parent.iterdir())
    assert names == ["test.jsonl", "test.manifest.json", "test.shape.json"]


def test_compacting_beside_a_running_collector(tmp_path):
    old = make_day(tmp_path / "data", 1)
    with Simulator("--rate", "500") as exchange, Collector(tmp_path, exchange.generic, exchange="generic") as collector:
        collector.wait_for_lines(1100)
        code, out, _ = ssmd("compact", tmp_path / "data")
        assert (code, len(out.splitlines())) == (0, 1)
        assert [path.name for path in old.parent.glob("test.jsonl*")] == ["test.jsonl.zst"]
        collector.wait_for_lines(500)  # Of today alone.
        assert collector.end() == 0
        today = [path for path in collector.data.glob("*/test.jsonl") if path != old]
        assert len(today) == 1
    code, out, _ = ssmd("cat", tmp_path / "data")
    assert code == 0
    assert out.encode() == zstandard.decompress(old.with_suffix(".jsonl.zst").read_bytes()) + today[0].read_bytes()


def test_three_runs_at_once_and_readers_beside_them(tmp_path):
    days = [make_day(tmp_path, ago, lines=3000, sealed=False) for ago in range(8, 0, -1)]
    assert ssmd("seal", tmp_path)[0] == 0
    whole = b"".join(day.read_bytes() for day in days).decode()
    runs = [start("compact", tmp_path) for _ in range(3)]
    while any(run.poll() is None for run in runs):
        assert ssmd("cat", tmp_path)[:2] == (0, whole)
        assert ssmd("report", tmp_path)[0] == 0
        verified = ssmd("verify", tmp_path)
        assert "Traceback" not in verified[2]
    for run in runs:
        assert (run.communicate(), run.returncode)[0][1] == ""
        assert run.returncode == 0
    assert not any(day.exists() for day in days)
    assert ssmd("cat", tmp_path)[:2] == (0, whole)


def test_a_collector_waits_while_another_program_locks_todays_file(tmp_path):
    """`ssmd seal --before` with a day in the future does that."""
    today = make_day(tmp_path / "data", 0, sealed=False)
    with Simulator("--rate", "500") as exchange, today.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with Collector(tmp_path, exchange.generic, exchange="generic") as collector:
            time.sleep(4)
            assert (collector.process.poll(), len(collector.lines())) == (None, 1000)
            fcntl.flock(held, fcntl.LOCK_UN)
            collector.wait_for_lines(1100)
            assert collector.end() == 0


def test_a_collector_whose_clock_went_back_does_not_begin_a_compacted_day_again(tmp_path, faketime_library):
    old = make_day(tmp_path / "data", 3)
    assert ssmd("compact", tmp_path / "data")[0] == 0
    back = {"FAKETIME": f"@{old.parent.name} 13:00:00", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    back["LD_PRELOAD"] = str(faketime_library)
    with (
        Simulator("--rate", "500") as exchange,
        Collector(tmp_path, exchange.generic, exchange="generic", variables=back) as collector,
    ):
        assert collector.wait() == 73
    assert "this day is compressed already" in str(collector.events + collector.other)
    names = sorted(path.name for path in old.parent.iterdir())
    assert names == ["test.jsonl.zst", "test.manifest.json", "test.shape.json"]
    assert ssmd("cat", tmp_path / "data")[1].count("\n") == 1000


def test_a_day_in_two_forms_is_reported_and_not_sealed(tmp_path):
    plain = make_day(tmp_path, 1, sealed=False)
    plain.with_name("test.jsonl.zst").write_bytes(zstandard.compress(plain.read_bytes()[:-1]))
    code, _, err = ssmd("seal", tmp_path)
    assert (code, "exists in two forms" in err) == (65, True)
    assert not plain.with_name("test.manifest.json").exists()
    for command in ("cat", "report"):
        code, out, err = ssmd(command, tmp_path)
        assert (code, bool(out)) == (0, True)
        assert f"{plain}: is read, and test.jsonl.zst beside it is not" in err


def test_a_terminal_shows_the_progress(tmp_path):
    path = make_day(tmp_path, 1, lines=200_000)
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ssmd", "compact", tmp_path, "--level", "19"],
        cwd=ROOT, env=os.environ | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=terminal,
    )  # fmt: skip
    os.close(terminal)
    shown = b""
    while process.poll() is None:
        if select.select([controller], [], [], 0.2)[0]:
            with contextlib.suppress(OSError):  # On Linux, reading fails when the terminal has been closed.
                shown += os.read(controller, 4096)
    os.close(controller)
    assert process.stdout is not None
    assert process.stdout.read().startswith(f"{path}: compacted, ".encode())
    assert process.wait(PATIENCE) == 0
    process.stdout.close()
    assert f"{path.parent.name} test".encode() in shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["none"], "none: there is no such file or folder"),
        ([".", "--older-than", "0d"], "--older-than is '0d'; it must be a number of days, such as 7d, 1d at least"),
        ([".", "--older-than", "soon"], "--older-than is 'soon'"),
        ([".", "--level", "22"], "--level is '22'; it must be a number from 1 to 19"),
    ],
)
def test_wrong_usage(arguments, text):
    code, out, err = ssmd("compact", *arguments)
    assert (code, out) == (64, "")
    assert text in err


@pytest.mark.parametrize("form", ["jsonl.zst", "parquet"])
@pytest.mark.parametrize("twice", [False, True])
def test_the_job_of_kubernetes_seals_and_then_compacts(tmp_path, twice, form):
    job = yaml.safe_load((ROOT / "deploy/k8s/components/compact/cronjob.yaml").read_text())
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    [script] = container["args"]
    if form == "parquet":
        component = yaml.safe_load((ROOT / "deploy/k8s/components/compact-parquet/kustomization.yaml").read_text())
        changes = yaml.safe_load(component["patches"][0]["patch"])
        [script] = [each["value"] for each in changes if "args" in each["path"]]
    assert script.count("/opt/ssmd/bin/ssmd ") == script.count("/var/lib/ssmd/data") == 2
    for deployed, here in (("/opt/ssmd/bin/ssmd", f"{sys.executable} -m ssmd"), ("/var/lib/ssmd/data", str(tmp_path))):
        script = script.replace(deployed, here)
    old, other = make_day(tmp_path, 3, sealed=False), make_day(tmp_path, 2, sealed=False)
    if twice:
        other.with_name("test.jsonl.gz").write_bytes(gzip.compress(other.read_bytes()))
    ended = subprocess.run([*container["command"], script], cwd=ROOT, capture_output=True, check=False)
    # A day that cannot be sealed does not stop the others, and makes the job fail.
    assert ended.returncode == (65 if twice else 0), ended.stderr
    assert (old.exists(), other.exists()) == (False, twice)
    assert old.with_name(f"test.{form}").exists()


def test_the_cron_line_uses_options_that_exist():
    commands = (ROOT / "deploy/cron/ssmd-compact").read_text().splitlines()[-1].split(" ssmd ", 1)[1]
    for command in commands.replace("/var/lib/ssmd/data", str(ROOT / "conf")).split("; "):
        assert ssmd(*command.split()[1:])[0] == 0
