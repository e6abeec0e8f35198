"""`ssmd ship` as a process: what it copies, and how it ends."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from patience import PATIENCE
from process import ssmd
from ship_runs import Site, wait_until

from ssmd.shipping.shipped import LOCK_SECONDS

TODAY_ONLY = pytest.mark.one_day


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def events(stderr: str) -> list[dict]:
    return [json.loads(line) for line in stderr.splitlines()]


def error(ended) -> str:
    """The error with which it has ended."""
    [last] = [entry for entry in events(ended.stderr) if entry["level"] == "error"]
    assert last["exit_code"] == ended.returncode
    return last["event"]


@pytest.mark.parametrize("options", [(), ("--engine", "file"), ("--shard", "1/1")])
@TODAY_ONLY
def test_once_copies_what_is_there_and_ends(site, options):
    site.write(1000)
    ended = site.ship("--once", *options)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert site.copied() == site.recorded()
    last = events(ended.stderr)[-1]
    assert (last["event"], last["reason"], last["messages"], last["failures"]) == ("stopped", "all is shipped", 1000, 0)
    [shipped] = [json.loads(path.read_text()) for path in site.data.glob(".*.shipped")]
    [data] = site.recorded().values()
    assert (shipped["offset"], shipped["line"]) == (len(data), 1000)
    again = site.ship("--once")
    assert events(again.stderr)[-1]["messages"] == 0
    site.write(5)
    assert events(site.ship("--once").stderr)[-1]["messages"] == 5
    assert site.copied() == site.recorded()


@pytest.mark.parametrize(
    ("start", "expected"),
    [("today", [7]), ("oldest", [3, 5, 7]), ("2025-12-22", [5, 7]), ("now", [])],
)
@TODAY_ONLY
def test_the_copy_begins_where_the_environment_says(tmp_path, start, expected):
    site = Site(tmp_path, f", start: {start}")
    site.write(3, "2025-12-01")
    site.write(5, "2025-12-22")
    site.write(7)
    assert site.ship("--once").returncode == 0
    assert [data.count(b"\n") for data in site.copied().values()] == expected


@TODAY_ONLY
def test_it_follows_what_is_recorded_until_it_is_stopped(site):
    site.write(10)
    with site.shipping() as ship:
        site.wait_for_copy()
        for _ in range(20):
            site.write(10)
        site.wait_for_copy()
        site.write(10)
        ship.process.send_signal(signal.SIGTERM)
        assert ship.wait() == 0
    assert site.copied() == site.recorded()
    assert (ship.events[-1]["event"], ship.events[-1]["reason"]) == ("stopped", "SIGTERM")
    assert ship.events[-1]["messages"] == 220


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_end_it_too(site, number):
    site.write(1)
    with site.shipping() as ship:
        ship.wait_for("connected to the engine")
        ship.process.send_signal(number)
        assert ship.wait() == 0
    assert ship.events[-1]["reason"] == number.name


@TODAY_ONLY
def test_killed_at_any_moment_it_goes_on_where_the_copy_ends(site):
    random.seed(16)
    site.write(written := 1)
    for _ in range(12):
        with site.shipping() as ship:
            ship.wait_for("connected to the engine")
            for _ in range(random.randrange(40)):
                site.write(50, first=written)
                written += 50
            ship.process.kill()
            ship.wait()
    assert site.ship("--once").returncode == 0
    assert site.copied() == site.recorded()
    assert written > 1000


@TODAY_ONLY
def test_every_shard_is_shipped_also_one_that_begins_later(site):
    site.write(5, stem="test+1of2")
    site.write(6, stem="test+2of2")
    site.write(7, stem="test.listing")
    site.write(8, stem="other")
    with site.shipping() as ship:
        wait_until(lambda: len(site.copied()) == 2)
        site.write(9, stem="test")
        wait_until(lambda: len(site.copied()) == 3)
        wait_until(lambda: sum(data.count(b"\n") for data in site.copied().values()) == 20)
        assert ship.end() == 0
    for name in ("test", "test+1of2", "test+2of2"):
        [data] = [data for path, data in site.copied().items() if path.endswith(f"/{name}.jsonl")]
        assert data == site.recorded()[next(path for path in site.recorded() if path.endswith(f"/{name}.jsonl"))]


@TODAY_ONLY
def test_one_shard_can_be_shipped_alone(site):
    site.write(5, stem="test+1of2")
    site.write(6, stem="test+2of2")
    assert site.ship("--once", "--shard", "2/2").returncode == 0
    assert [path.rpartition("/")[2] for path in site.copied()] == ["test+2of2.jsonl"]


@pytest.mark.parametrize(
    ("shard", "shipped"),
    [
        ("2/5", ["test+2of4", "test+2of5"]),
        ("1/3", ["test", "test+1of3", "test+1of4", "test+4of4"]),
        ("1/1", ["test", "test+1of3", "test+1of4", "test+2of4", "test+2of5", "test+3of3", "test+4of4"]),
    ],
)
@TODAY_ONLY
def test_what_shards_of_another_number_have_left_is_shipped_by_one_of_those_that_run(site, shard, shipped):
    stems = ("test", "test+1of3", "test+3of3", "test+1of4", "test+2of4", "test+4of4", "test+2of5")
    for count, stem in enumerate(stems, 1):
        site.write(count, stem=stem)
    assert site.ship("--once", "--shard", shard).returncode == 0
    assert sorted(Path(name).stem for name in site.copied()) == shipped
    assert site.copied().items() <= site.recorded().items()
    again = events(site.ship("--once", "--shard", shard).stderr)
    # The engine is not asked for what is shipped already.
    assert len([entry for entry in again if entry["event"] == "connected to the engine"]) == 1


@TODAY_ONLY
@pytest.mark.parametrize("holds", ["its data", "its lock"])
def test_a_shard_of_another_number_that_is_still_collected_or_shipped_is_left_to_its_own_relay(site, holds):
    site.write(5, stem="test+2of4")
    site.write(6, stem="test+2of5")
    [data] = site.data.glob("*/test+2of4.jsonl")
    with open(data if holds == "its data" else site.data / ".test+2of4.file.relay", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert site.ship("--once", "--shard", "2/5").returncode == 0
        assert [Path(name).stem for name in site.copied()] == ["test+2of5"]
    assert site.ship("--once", "--shard", "2/5").returncode == 0
    assert site.copied() == site.recorded()


@TODAY_ONLY
@pytest.mark.parametrize("once", [True, False])
def test_a_shard_that_cannot_be_shipped_does_not_hold_up_the_others(site, once):
    site.write(5, stem="test+1of2")
    site.write(6, stem="test+2of2")
    (site.data / ".test+1of2.file.relay").mkdir()
    with site.shipping(*["--once"][:once]) as ship:
        if not once:
            failed = ship.wait_for("the relay of a shard has failed, and is started again in 60 s; the others go on")
            assert (failed["level"], failed["shard"]) == ("error", "1of2")
            assert "cannot be opened: Is a directory" in failed["reason"]
            site.write(7, stem="test+2of2")
            wait_until(lambda: [data.count(b"\n") for data in site.copied().values()] == [13])
            ship.process.send_signal(signal.SIGTERM)
        assert ship.wait() == 73
    assert [Path(name).stem for name in site.copied()] == ["test+2of2"]


@TODAY_ONLY
def test_what_it_reports_of_each_shard_is_served(site):
    site.write(5, stem="test+1of2")
    site.write(6, stem="test+2of2")
    with site.shipping("--listen", "127.0.0.1:0") as ship:
        url = f"http://{ship.wait_for('listening')['address']}"

        def metrics() -> set[str]:
            return {line for line in fetched(f"{url}/metrics").splitlines() if not line.startswith("#")}

        def expected(shard: str, messages: int) -> set[str]:
            labels = f'{{engine="file",feed="test",shard="{shard}"}}'
            values = {"up": 1.0, "lag_bytes": 0.0, "lag_seconds": 0.0, "failures_total": 0.0}
            lines = {f"ssmd_ship_{name}{labels} {value}" for name, value in values.items()}
            return lines | {f"ssmd_shipped_messages_total{labels} {float(messages)}"}

        wait_until(lambda: metrics() == expected("1of2", 5) | expected("2of2", 6))
        health = json.loads(fetched(f"{url}/health"))
        assert (health["status"], health["engine"], health["up"], health["messages"]) == ("ok", "file", True, 11)
        site.copy.rename(site.folder / "away")
        site.write(1, stem="test+1of2")
        wait_until(lambda: not json.loads(fetched(f"{url}/health"))["up"])
        with pytest.raises(HTTPError, match="404"):
            fetched(f"{url}/status")
        second = site.ship("--once", "--listen", url.removeprefix("http://"))
        assert second.returncode == 78
        assert "Address already in use" in error(second)
        assert ship.end() == 0


def fetched(url: str) -> str:
    with urlopen(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


def test_a_relay_that_waits_for_the_end_of_another_one_ends_at_once(site):
    site.write(1)
    with site.shipping() as first:
        first.wait_for("connected to the engine")
        with site.shipping() as second:
            second.wait_for("starting")
            second.process.send_signal(signal.SIGTERM)
            assert second.wait() == 0
            assert second.events[-1]["reason"] == "SIGTERM"
            assert second.lasted() < LOCK_SECONDS  # After which it would have given up by itself.


def test_a_second_relay_to_the_same_engine_is_refused(site):
    site.write(1)
    with site.shipping() as ship:
        ship.wait_for("connected to the engine")
        ended = site.ship("--once")
        assert ended.returncode == 73
        assert error(ended) == (
            f"{site.data}/.test.file.relay: process {ship.process.pid} ships this feed to the same engine already; "
            "stop one of the two"
        )


def test_a_relay_waits_for_the_end_of_the_one_before(site):
    site.write(1)
    with site.shipping() as first:
        first.wait_for("connected to the engine")
        with site.shipping() as second:
            second.wait_for("starting")
            first.process.kill()
            second.wait_for("connected to the engine")


@TODAY_ONLY
def test_while_the_engine_is_away_it_tries_again_and_then_goes_on(site):
    site.write(100)
    site.copy.rename(site.folder / "away")
    with site.shipping() as ship:
        failed = ship.wait_for("the engine failed")
        assert (failed["level"], failed["next_attempt_seconds"]) == ("warning", 1.0)
        assert "is its disk mounted?" in failed["reason"]
        assert ship.wait_for("the engine failed")["next_attempt_seconds"] == 2.0
        (site.folder / "away").rename(site.copy)
        ship.wait_for("connected to the engine")
        site.wait_for_copy()
        assert ship.end() == 0
    assert ship.events[-1]["failures"] >= 2


def test_with_once_the_first_failure_of_the_engine_ends_it(site):
    site.write(100)
    site.copy.rmdir()
    ended = site.ship("--once")
    assert ended.returncode == 69
    assert error(ended).startswith(f"{site.copy}: No such file or directory")


@TODAY_ONLY
def test_an_engine_that_has_no_room_gets_the_rest_when_it_has(site):
    """A limit of the size of files stands for a full disk; test/faults has a real one."""
    site.write(5000)
    with site.shipping(prefix=("prlimit", "--fsize=200000")) as ship:
        assert "File too large" in ship.wait_for("the engine failed")["reason"]
        assert ship.end() == 0
    [copied], [recorded] = site.copied().values(), site.recorded().values()
    assert recorded.startswith(copied)
    assert recorded != copied
    assert site.ship("--once").returncode == 0
    assert site.copied() == site.recorded()


@TODAY_ONLY
def test_what_is_doubtful_in_the_environment_is_a_warning(tmp_path):
    site = Site(tmp_path, ", start: 9999-01-01, anything: 1")
    site.write(1)
    ended = site.ship("--check")
    assert ended.returncode == 0
    unknown, future, _ = ended.stdout.splitlines()
    assert "transport.anything: ssmd does not know this key" in unknown
    assert future == "warning: transport.start is 9999-01-01, and nothing is shipped before that day"
    warned = [entry["event"] for entry in events(site.ship("--once").stderr) if entry["level"] == "warning"]
    assert [f"warning: {event}" for event in warned] == [unknown, future]


def test_a_copy_into_the_storage_itself_is_refused_before_anything_is_done(tmp_path):
    site = Site(tmp_path)
    site.write(1)
    site.copy.rmdir()
    site.copy.symlink_to(site.data)
    for option in ("--check", "--once"):
        ended = site.ship(option)
        assert ended.returncode == 78
        assert "the folder of the storage itself; name another one for the copy" in error(ended)


@pytest.mark.parametrize("options", [("--once",), ("--resume-at", "2026-01-31/0")])
def test_check_refuses_options_of_what_it_does_not_do(site, options):
    ended = site.ship("--check", *options)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "Usage:" in ended.stderr


def test_check_says_that_the_engine_can_be_used_and_sends_nothing(site):
    site.write(5)
    ended = site.ship("--check")
    assert (ended.returncode, ended.stdout) == (0, "ok: test can be shipped to file\n")
    assert site.copied() == {}
    site.copy.rmdir()
    assert site.ship("--check").returncode == 69


@TODAY_ONLY
def test_an_engine_that_was_emptied_is_no_place_to_begin(site):
    site.write(100)
    assert site.ship("--once").returncode == 0
    [(name, data)] = site.recorded().items()
    shutil.rmtree(site.copy)
    site.copy.mkdir()
    refused = site.ship("--once")
    assert refused.returncode == 78
    assert error(refused) == (
        "the engine has nothing of this feed, although its copy ended at "
        f"{name[:10]}/{len(data)}, after line 100: it was emptied, or this is another engine; choose where to go on "
        "with `ssmd ship --resume-at <day>/<offset>`"
    )
    assert site.copied() == {}
    assert site.ship("--once", "--resume-at", f"{name[:10]}/0").returncode == 0
    assert site.copied() == site.recorded()


@TODAY_ONLY
@pytest.mark.parametrize("noted", [True, False], ids=["all but the data", "all"])
def test_a_file_that_was_put_back_and_has_grown_since_is_not_taken_for_the_one_that_was_shipped(site, noted):
    """Also when what is noted beside it was put back with it: the engine knows with which line its copy ends."""
    site.write(10, first=1000)
    [path] = site.data.glob("*/test.jsonl")
    assert site.ship("--once").returncode == 0
    [note] = site.data.glob(".*.shipped")
    backup, old_note = path.read_bytes(), note.read_bytes()
    site.write(10, first=1010)
    assert site.ship("--once").returncode == 0
    path.write_bytes(backup)
    if not noted:
        note.write_bytes(old_note)
    site.write(15, first=2000)  # Lines of the same length: one ends where the copy ends.
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert f"{path}: the line that ends at byte {2 * len(backup):,} was received at " in error(ended)
    [copied] = site.copied().values()
    assert copied.count(b"\n") == 20


def test_a_place_to_go_on_leaves_out_what_is_before_it_and_sends_nothing_twice(site):
    first = site.write(10)
    assert site.ship("--once").returncode == 0
    [day] = [name[:10] for name in site.recorded()]
    left_out, rest = site.write(10), site.write(10)
    end = len(first) + len(left_out)
    refused = site.ship("--once", "--resume-at", f"{day}/0")
    assert refused.returncode == 64
    assert f"--resume-at is {day}/0, and the engine's copy ends at {day}/{len(first)}" in error(refused)
    refused = site.ship("--once", "--resume-at", f"{day}/{end - 1}")
    assert refused.returncode == 64
    assert error(refused).startswith(f"--resume-at is {day}/{end - 1}, and no line of ")
    assert site.ship("--once", "--resume-at", f"{day}/{end}").returncode == 0
    assert list(site.copied().values()) == [first + rest]


@TODAY_ONLY
def test_a_day_that_is_gone_is_skipped_only_when_a_person_says_so(tmp_path):
    site = Site(tmp_path, ", start: oldest")
    site.write(10, "2025-12-22")
    assert site.ship("--once").returncode == 0
    shutil.rmtree(site.data / "2025-12-22")
    site.write(5)
    [day] = [name[:10] for name in site.recorded()]
    refused = site.ship("--once")
    assert refused.returncode == 78
    assert "--resume-at" in error(refused)
    assert site.ship("--once", "--resume-at", f"{day}/0").returncode == 0
    assert site.copied()[f"{day}/test.jsonl"] == site.recorded()[f"{day}/test.jsonl"]


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (("--engine", "nats"), 64, "--engine is 'nats', and the environment test ships to `file`"),
        (("--shard", "3/2"), 64, "--shard is '3/2'; it must be a shard from 1/2 to 2/2"),
        (("--resume-at", "today"), 64, "--resume-at is 'today'; it must be a day and how many bytes of its lines"),
        (("--resume-at", "2026-02-30/0"), 64, "--resume-at is '2026-02-30/0'; it must be a day and"),
        (("--resume-at", "2026-01-31/7"), 64, "--resume-at is 2026-01-31/7, and no line of "),
    ],
)
def test_wrong_options_are_errors(site, options, code, expected):
    site.write(1)
    ended = site.ship("--once", *options)
    assert ended.returncode == code
    assert error(ended).startswith(expected)


def test_a_place_to_go_on_is_for_one_shard(site):
    site.write(1, stem="test+1of2")
    site.write(1, stem="test+2of2")
    ended = site.ship("--once", "--resume-at", "2026-01-31/0")
    assert ended.returncode == 64
    assert error(ended) == "--resume-at is for one shard, and the feed has 1/2, 2/2; name one with --shard"


def test_validate_says_where_an_environment_ships_to(site):
    done = ssmd("validate", "--config-dir", site.tree)
    assert f"ok: environments/test.yaml: ships to file, path {site.copy}" in done.stdout.splitlines()


def test_an_environment_that_ships_nothing_is_an_error_that_names_its_line(tmp_path):
    site = Site(tmp_path)
    file = site.tree / "environments" / "test.yaml"
    file.write_text(file.read_text().replace("type: file", "type: memory"))
    ended = site.ship("--once")
    assert ended.returncode == 78
    assert error(ended) == (
        "environments/test.yaml:3: transport.type: is `memory`, which hands nothing on; name an engine to ship to"
    )


def test_without_a_storage_folder_there_is_nothing_to_ship(site):
    ended = site.ship("--once")
    assert ended.returncode == 73
    assert error(ended) == f"{site.data}: there is no such folder; `ssmd run` makes it, so start that first"


def test_a_lock_that_cannot_be_used_is_an_error(site):
    site.write(1)
    (site.data / ".test.file.relay").mkdir()
    ended = site.ship("--once")
    assert ended.returncode == 73
    assert error(ended) == (
        f"{site.data}/.test.file.relay: cannot be opened: Is a directory; let the user that ssmd runs as write to the "
        "folder"
    )


def test_a_place_that_cannot_be_noted_is_no_reason_to_stop(site):
    site.write(1)
    (site.data / ".test.file.shipped.new").mkdir()
    ended = site.ship("--once")
    assert ended.returncode == 0
    assert site.copied() == site.recorded()
    assert [entry["event"] for entry in events(ended.stderr) if entry["level"] == "warning"] == ["cannot be written"]


@TODAY_ONLY
def test_its_memory_does_not_grow_with_what_it_has_shipped(site):
    site.write(50_000)
    with site.shipping() as ship:
        site.wait_for_copy()
        before = most_memory(ship.process.pid)
        for count in range(1, 9):
            site.write(50_000, first=count * 50_000)
        site.wait_for_copy()
        grown = most_memory(ship.process.pid) - before
        assert ship.end() == 0
    assert grown < 4 * 1024  # KiB. It shipped eight times as much as before, 400,000 lines more.


@TODAY_ONLY
def test_when_nothing_is_recorded_it_takes_hardly_any_cpu(site):
    site.write(10)
    with site.shipping() as ship:
        site.wait_for_copy()
        before = cpu_seconds(ship.process.pid)
        time.sleep(3)
        took = cpu_seconds(ship.process.pid) - before
        assert ship.end() == 0
    assert took < 0.15  # 5 percent. A loop that does not wait would take all that it gets.


def cpu_seconds(pid: int) -> float:
    """Return how long a process has used a CPU."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def most_memory(pid: int) -> int:
    """Return the most memory that a process has had, in KiB."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def test_it_needs_neither_gevent_nor_the_libraries_that_check_the_metadata(site):
    site.write(1)
    with site.shipping("--listen", "127.0.0.1:0") as ship:
        ship.wait_for("connected to the engine")
        maps = Path(f"/proc/{ship.process.pid}/maps")
        loaded = maps.read_text() if maps.exists() else ""
        assert not [name for name in ("gevent", "greenlet", "pydantic", "yaml", "cryptography") if name in loaded]
        assert ship.end() == 0
