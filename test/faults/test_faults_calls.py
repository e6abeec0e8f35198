"""Each system call on the output fails, one after the other."""

from collections import Counter
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import gevent
import pytest
from gevent.pool import Pool
from numbered_messages import OLD, TORN, numbers, record, today, torn_file
from patience import PATIENCE
from process import Collector, Simulator

from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

CALLS = {
    "writev": True,
    "write": True,
    "fdatasync": True,
    "fsync": True,
    "openat": False,
    "mkdir": False,  # Harmless for a folder that exists.
    "close": False,
    "ftruncate": True,
    "pwrite64": True,
    "flock": True,  # But the first one only asks whether another collector runs.
    "pread64": True,
    "read": False,
    "fstatfs": True,
    "getdents64": False,
}
"""The system calls that open, repair, write, sync and close the output; whether a failure of one must end the run."""
ALSO_WITHOUT_SPACE = ("writev", "write", "fdatasync", "openat", "mkdir")
MESSAGES = 300


def run_with_failing_call(folder: Path, endpoint: str, call: str, number: int, errno: str) -> tuple[Collector, bool]:
    """Run a collector whose `number`-th such call on its output fails; return also whether there was such a call."""
    path = torn_file(folder / "data")
    output = (path.parent.parent, folder / "data" / ".test.lock", path.parent, path, f"{path}.torn")
    prefix: list[str | Path] = ["strace", "-D", "-f", "--seccomp-bpf", "-o", folder / "strace", "-e", f"trace={call}"]
    prefix += ["-e", f"inject={call}:error={errno}:when={number}", *chain(*(("-P", name) for name in output))]
    with Collector(
        folder,
        endpoint,
        exchange="generic",
        prefix=prefix,
        environment=f"storage: {{type: local, path: {folder}/data, fsync_interval_seconds: 0.05}}\n",
    ) as collector:
        collector.wait(PATIENCE)
    return collector, "(INJECTED)" in (folder / "strace").read_text()


def assert_ended_cleanly(collector: Collector, codes: tuple[int, ...], errno: str, what: object) -> None:
    """Check that the run ended with one of these exit codes, and with one line in the log that says why."""
    assert collector.process.returncode in codes, what
    assert collector.other == [], what
    stopped = collector.events[-1]
    assert stopped["event"] == "stopped", what
    assert [event["event"] for event in collector.events].count("stopped") == 1
    if errno == "ENOSPC" and collector.process.returncode in (73, 74):
        assert "No space left on device; free some" in stopped["reason"], what


def assert_repaired_by_the_next_start(collector: Collector, start: Callable[[Path], FileWriter], what: object) -> None:
    """Check that after another start the file has what it had before, and the first messages without a gap."""
    next_start = start(collector.data)
    next_start.open()
    next_start.close()
    content = today(collector.data).read_bytes()
    kept = numbers(content.removeprefix(OLD))
    assert content.startswith(OLD), what
    assert kept == list(range(1, len(kept) + 1)), what
    assert collector.events[-1]["messages"] <= len(kept), what
    assert len(kept) == MESSAGES or collector.process.returncode != 75, what
    assert TORN in Path(f"{today(collector.data)}.torn").read_bytes(), what


@pytest.mark.needs("strace")
def test_whichever_call_on_the_output_fails_the_run_ends_cleanly_and_the_file_is_whole(tmp_path, status, metrics):
    """As SQLite tests it: the first call fails, then the second, and so on until there is no further call."""
    recording = record(tmp_path / "recording.jsonl", MESSAGES, (20, 200))
    ends: Counter[int] = Counter()
    last: dict[str, int] = {}

    def start(data: Path) -> FileWriter:
        return FileWriter(LocalStorage(type="local", path=str(data)), "test", status=status)

    def check(call: str, number: int, errno: str) -> bool:
        folder = tmp_path / f"{call}-{number}-{errno}"
        collector, injected = run_with_failing_call(folder, simulator.generic, call, number, errno)
        what = (call, number, errno, collector.events, collector.other)
        harmless = not CALLS[call] or (call, number) == ("flock", 1)
        assert_ended_cleanly(collector, (73, 74, 75) if harmless or not injected else (73, 74), errno, what)
        assert_repaired_by_the_next_start(collector, start, what)
        if injected:
            ends[collector.process.returncode] += 1
            last[call] = number
        return injected

    def check_all(call: str, errno: str) -> None:
        number = 1
        while check(call, number, errno):
            number += 1 if number < 8 else 12

    with Simulator("--replay", recording, "--rate", "1000") as simulator:
        pool = Pool(3)
        loops = [pool.spawn(check_all, call, "EIO") for call in CALLS]
        loops += [pool.spawn(check_all, call, "ENOSPC") for call in ALSO_WITHOUT_SPACE]
        for loop in gevent.iwait(loops):
            if not loop.successful():
                pool.kill()
                raise loop.exception
    print(f"{ends.total()} calls failed; runs by exit code: {dict(ends)}; the last of each: {last}")
    assert ends[73] > 10
    assert ends[74] > 20
