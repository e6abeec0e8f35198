"""deploy/systemd: systemd's own checks find nothing in the unit, and a real systemd starts, restarts and stops it."""

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from abilities import need
from patience import PATIENCE
from process import KEYS, ROOT
from recorded import make_day
from systemd_machine import Machine, why_not

from ssmd.runtime.runner import DRAIN_SECONDS

UNIT = ROOT / "deploy" / "systemd" / "ssmd@.service"
SIMULATED = "ssmd@kalshi-sim.service"
LOCAL = "ssmd@kalshi-local.service"


NIGHTLY = ("compact", "export", "prune")
"""The commands that a timer starts, by the names of their units: ssmd-compact.service and so on."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    need("systemd-analyze")
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_systemd_finds_nothing_wrong_in_the_unit(tmp_path):
    # Only the path of the program is another: verify checks that it exists.
    unit = tmp_path / "ssmd@try.service"
    unit.write_text(UNIT.read_text().replace("/opt/ssmd/bin/ssmd", str(ROOT / "bin" / "ssmd")))
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_finds_nothing_wrong_in_the_units_of_the_night(tmp_path):
    shutil.copytree(UNIT.parent, tmp_path / "units")
    units = sorted((tmp_path / "units").glob("ssmd-*.*"))
    for unit in units:
        if unit.is_file():
            unit.write_text(unit.read_text().replace("/opt/ssmd/bin/ssmd", str(ROOT / "bin" / "ssmd")))
    named = [unit for unit in units if unit.suffix in (".service", ".timer")]
    assert {unit.name for unit in named} == {f"ssmd-{name}.{kind}" for name in NIGHTLY for kind in ("service", "timer")}
    done = analyze("verify", "--man=no", *named)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for name in NIGHTLY:
        done = analyze("security", "--offline=true", "--threshold=15", tmp_path / "units" / f"ssmd-{name}.service")
        assert done.returncode == 0, done.stdout


def test_the_timers_go_off_one_after_the_other_every_night():
    times = []
    for name in NIGHTLY:
        text = (UNIT.parent / f"ssmd-{name}.timer").read_text()
        [calendar] = re.findall(r"^OnCalendar=(.+)$", text, re.MULTILINE)
        done = analyze("calendar", "--iterations=2", "--base-time=2026-11-28 12:00:00 UTC", calendar)
        assert done.returncode == 0, done.stderr
        first, second = re.findall(r"(?:elapse|#2): \w+ (\S+ \S+) UTC$", done.stdout, re.MULTILINE)
        assert (first[:10], second[:10]) == ("2026-11-29", "2026-11-30")
        times.append(first)
    assert times == sorted(set(times))


def test_the_exposure_of_the_unit_is_low():
    # From 0, the best, to 10. The rest is for the network and /proc/stat, which a collector needs.
    done = analyze("security", "--offline=true", "--threshold=15", UNIT)
    assert done.returncode == 0, done.stdout


def test_a_stop_outlasts_the_drain():
    [seconds] = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert int(seconds) >= DRAIN_SECONDS + 10


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A host that is set up as docs/operations.md says, with every environment of conf/."""
    if reason := why_not():
        pytest.skip(reason)
    with Machine(tmp_path_factory.mktemp("machine")) as machine:
        machine.run("systemd-sysusers", "/opt/ssmd/deploy/systemd/ssmd-sysusers.conf", check=True)
        machine.run("install", "-d", "/etc/ssmd/exchanges", check=True)
        machine.run("cp", "-rT", "/opt/ssmd/conf", "/etc/ssmd/exchanges", check=True)
        machine.run("cp", "/opt/ssmd/deploy/systemd/ssmd@.service", "/etc/systemd/system/", check=True)
        for name in ("ssmd-.service.d", *(f"ssmd-{name}.{kind}" for name in NIGHTLY for kind in ("service", "timer"))):
            machine.run("cp", "-r", f"/opt/ssmd/deploy/systemd/{name}", "/etc/systemd/system/", check=True)
        # A Python from elsewhere, as that of the tests may be, looks for its library at the path where it was built.
        for units in ("ssmd@.service.d", "ssmd-.service.d"):
            extra = machine.path(f"/etc/systemd/system/{units}/python.conf")
            extra.parent.mkdir(exist_ok=True)
            extra.write_text("[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n")
        machine.run("systemctl", "daemon-reload", check=True)
        yield machine


@pytest.fixture(autouse=True)
def _stopped(request):
    yield
    if "machine" in request.fixturenames:
        machine = request.getfixturevalue("machine")
        machine.run("systemctl", "stop", "ssmd@*.service", "exchange.service")
        for file in [*machine.path("/etc/ssmd").glob("*.env"), *machine.path("/etc/ssmd").glob("*.pem")]:
            file.unlink()


def configure(machine: Machine, environment: str, *lines: str) -> None:
    file = machine.path(f"/etc/ssmd/{environment}.env")
    file.touch(mode=0o600)
    file.write_text("".join(line + "\n" for line in lines))


def is_ready(machine: Machine, listen: str) -> bool:
    ask = f"import urllib.request as u; u.urlopen('http://{listen}/ready', timeout=60)"
    return machine.run("/opt/python/bin/python3", "-c", ask).returncode == 0


def data(machine: Machine, feed: str) -> Path:
    [file] = machine.path("/var/lib/ssmd/data").glob(f"*/{feed}.jsonl")
    return file


def events(machine: Machine, unit: str) -> list[dict]:
    return [json.loads(line) for line in machine.journal(unit).splitlines() if line.startswith("{")]


def test_a_reload_takes_a_changed_section_and_the_process_stays(machine):
    environment = machine.path("/etc/ssmd/exchanges/environments/kalshi-sim.yaml")
    before = environment.read_text()
    try:
        machine.run("systemctl", "start", SIMULATED, check=True)
        machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8080"))
        process = machine.show(SIMULATED, "MainPID")
        environment.write_text(re.sub(r"send_initial_snapshot: .*", "skip_ticker_ack: true", before))
        machine.run("systemctl", "reload", SIMULATED, check=True)
        taken = "reloaded: the new subscribe section is in force"
        machine.wait_for(lambda: any(each["event"] == taken for each in events(machine, SIMULATED)))
        assert machine.show(SIMULATED, "MainPID") == process
    finally:
        environment.write_text(before)


def test_a_collector_runs_with_few_rights_and_is_started_again_and_stopped_in_order(machine):
    # The port of the unit without one in the .env file.
    machine.run("systemctl", "start", SIMULATED, check=True)
    machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8080"))
    first = machine.show(SIMULATED, "MainPID")
    state = dict(line.split(":\t", 1) for line in machine.path(f"/proc/{first}/status").read_text().splitlines())
    assert set(state["Uid"].split()) == {machine.run("id", "-u", "ssmd", check=True).stdout.strip()} != {"0"}
    assert int(state["CapEff"], 16) == int(state["CapBnd"], 16) == 0
    assert (state["NoNewPrivs"], state["Seccomp"]) == ("1", "2")
    file = data(machine, "kalshi-sim")
    assert (file.stat().st_uid, oct(file.stat().st_mode)) == (int(state["Uid"].split()[0]), "0o100640")
    scrape = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
    assert "\nprocess_start_time_seconds{" in machine.run("/opt/python/bin/python3", "-c", scrape, check=True).stdout

    machine.run("systemctl", "kill", "--signal=KILL", SIMULATED, check=True)
    machine.wait_for(lambda: machine.show(SIMULATED, "NRestarts") == "1" and is_ready(machine, "127.0.0.1:8080"))
    assert machine.show(SIMULATED, "MainPID") not in ("0", first)

    machine.run("systemctl", "stop", SIMULATED, check=True)
    assert machine.show(SIMULATED, "Result") == "success"
    assert machine.show(SIMULATED, "ExecMainStatus") == "0"
    last = events(machine, SIMULATED)[-1]
    assert (last["event"], last["reason"], last["exit_code"]) == ("stopped", "SIGTERM", 0)
    lines = file.read_bytes().splitlines()
    assert all(json.loads(line) for line in lines)
    assert len(lines) >= last["messages"] > 0


def test_it_is_started_again_however_often_it_ends(machine):
    configure(machine, "kalshi-sim", "SSMD_LISTEN=not an address")
    machine.run("systemctl", "start", SIMULATED)
    machine.wait_for(lambda: int(machine.show(SIMULATED, "NRestarts")) >= 2)
    machine.wait_for(lambda: machine.show(SIMULATED, "ExecMainStatus") == "64")
    assert machine.show(SIMULATED, "StartLimitIntervalUSec") == "0"
    configure(machine, "kalshi-sim", "SSMD_LISTEN=127.0.0.1:8083")
    machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8083"))


def test_two_environments_run_beside_each_other_and_the_key_comes_as_a_credential(machine):
    configure(machine, "kalshi-sim", "SSMD_LISTEN=127.0.0.1:8081")
    configure(machine, "kalshi-local", "SSMD_LISTEN=localhost:8082", f"KALSHI_API_KEY={KEYS['KALSHI_API_KEY']}")
    key = machine.path("/etc/ssmd/kalshi-local.pem")
    variables = [f"--setenv={name}={value}" for name, value in KEYS.items()]
    exchange = ["systemd-run", "--unit=exchange", *variables, "/opt/ssmd/bin/ssmd", "sim"]
    machine.run(*exchange, check=True)
    machine.run("systemctl", "start", SIMULATED, LOCAL, check=True)
    machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8081"))
    # Without the file it reports what is missing, and is started again.
    machine.wait_for(lambda: machine.show(LOCAL, "ExecMainStatus") == "78")
    machine.wait_for(lambda: "KALSHI_API_SECRET names a file that is empty" in machine.journal(LOCAL), 10)
    key.touch(mode=0o600)
    key.write_text(KEYS["KALSHI_API_SECRET"])
    machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8082"))
    assert is_ready(machine, "127.0.0.1:8081")
    machine.wait_for(lambda: data(machine, "kalshi-local").stat().st_size)
    process = machine.show(LOCAL, "MainPID")
    environ = machine.path(f"/proc/{process}/environ").read_text().split("\0")
    assert "KALSHI_API_SECRET=/run/credentials/ssmd@kalshi-local.service/private-key" in environ
    assert not any("BEGIN PRIVATE KEY" in variable for variable in environ)


SITE = f"/opt/ssmd/.venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
ENGINES = {
    "nats": (
        ["/opt/ssmd/nats-server", "-js", "-a", "127.0.0.1", "-sd", "/tmp/streams"],
        "url: 'nats://127.0.0.1:4222', stream: ssmd",
    ),
    "kafka": (
        [f"{SITE}/noida_db/noida-db", "start", "--data-dir", "/tmp/broker", "--only", "kafka", "--kafka-port", "9092"],
        "url: 'kafka://127.0.0.1:9092'",
    ),
    "mqtt": (["/usr/sbin/mosquitto", "-p", "1883"], "url: 'mqtt://127.0.0.1'"),
}
"""How to start the server of each engine in the machine, and what the environment says of it."""


STREAM = """
import asyncio, nats
from nats.js.api import StreamConfig
async def main():
    client = await nats.connect("nats://127.0.0.1:4222")
    await client.jetstream().add_stream(StreamConfig(name="ssmd", subjects=["kalshi-sim.>"], allow_atomic=True))
    await client.close()
asyncio.run(main())
"""


@pytest.mark.parametrize("engine", ["nats", "kafka", pytest.param("mqtt", marks=pytest.mark.needs("mosquitto"))])
def test_a_relay_ships_with_the_rights_of_the_unit(machine, engine):
    server, fields = ENGINES[engine]
    environment = machine.path("/etc/ssmd/exchanges/environments/kalshi-sim.yaml")
    before = environment.read_text()
    stamp = machine.path(f"/opt/ssmd/.venv/.installed-deploy-extras-{engine}.txt")
    try:
        environment.write_text(f"{before}\ntransport: {{type: {engine}, {fields}}}\n")
        machine.run("systemctl", "start", SIMULATED)
        # The unit may not install the library, and the journal has the command that does.
        machine.wait_for(lambda: machine.show(SIMULATED, "ExecMainStatus") == "78")
        command = "/opt/ssmd/bin/extras kalshi-sim --config-dir /etc/ssmd/exchanges\n"
        machine.wait_for(lambda: command in machine.journal(SIMULATED), 10)
        shutil.copy(ROOT / "deploy" / "extras" / f"{engine}.txt", stamp)  # It is among the libraries of the tests.
        # The collector does not wait for the engine, which is started later.
        machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8080"))
        if engine == "nats":
            shutil.copy(Path(sys.executable).parent / "nats-server", machine.path("/opt/ssmd"))
        machine.run("systemd-run", "--unit=exchange", *server, check=True)
        if engine == "nats":
            machine.wait_for(lambda: machine.run("/opt/ssmd/.venv/bin/python", "-P", "-c", STREAM).returncode == 0)
        machine.wait_for(lambda: shipping(machine)["messages"] > 0 and shipping(machine)["up"])
        collector = int(machine.show(SIMULATED, "MainPID"))
        children = machine.path(f"/proc/{collector}/task/{collector}/children").read_text().split()
        [relay] = [each for each in children if b"ship" in machine.path(f"/proc/{each}/cmdline").read_bytes()]
        states = [machine.path(f"/proc/{each}/status").read_text() for each in (collector, relay)]
        for name in ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"):
            own, theirs = (re.search(rf"^{name}:\t(.+)$", state, re.MULTILINE).group(1) for state in states)
            assert own == theirs
        machine.run("systemctl", "stop", SIMULATED, check=True)
        assert machine.show(SIMULATED, "ExecMainStatus") == "0"
        ended = {each["logger"]: each for each in events(machine, SIMULATED) if each["event"] == "stopped"}
        assert ended["ssmd.companions"]["exit_code"] == 0
    finally:
        environment.write_text(before)
        stamp.unlink(missing_ok=True)


BUCKET = """
storage: {type: s3, bucket: market-data, prefix: sim, region: us-east-1, endpoint: "http://127.0.0.1:8333", path: data,
  format: parquet, live_seconds: 1}
"""
WEED = ["/opt/ssmd/weed", "mini", "-dir=/tmp/buckets", "-bucket=market-data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]


def test_days_are_uploaded_with_the_rights_of_the_unit(machine):
    environment = machine.path("/etc/ssmd/exchanges/environments/kalshi-sim.yaml")
    before = environment.read_text()
    stamps = {name: machine.path(f"/opt/ssmd/.venv/.installed-deploy-extras-{name}.txt") for name in ("s3", "parquet")}
    folder = recorded(machine, "2025-12-20")
    try:
        environment.write_text(re.sub(r"^storage:.*\n(?: .*\n)*", BUCKET, before, flags=re.MULTILINE))
        configure(machine, "kalshi-sim", "AWS_ACCESS_KEY_ID=collector", "AWS_SECRET_ACCESS_KEY=try-it-here")
        for name, stamp in stamps.items():
            shutil.copy(ROOT / "deploy" / "extras" / f"{name}.txt", stamp)  # They are among the libraries of the tests.
        shutil.copy(Path(sys.executable).parent / "weed", machine.path("/opt/ssmd"))
        machine.run("mkdir", "-p", "/tmp/buckets", check=True)
        variables = ("AWS_ACCESS_KEY_ID=collector", "AWS_SECRET_ACCESS_KEY=try-it-here", "HOME=/root")
        machine.run("systemd-run", "--unit=exchange", *(f"--setenv={each}" for each in variables), *WEED, check=True)
        machine.run("systemctl", "start", SIMULATED, check=True)
        machine.wait_for(lambda: is_ready(machine, "127.0.0.1:8080"))
        # A segment of today, and the day that is over, which the companion of the collector has sealed.
        machine.wait_for(lambda: shipping(machine, "uploading")["messages"] > 0)
        machine.wait_for(lambda: '"event": "day uploaded"' in machine.journal(SIMULATED))
        machine.wait_for(lambda: shipping(machine, "uploading").get("day_overdue_seconds") == 0)
        assert (folder / "2025-12-20" / "kalshi-sim.jsonl").exists()
    finally:
        environment.write_text(before)
        for stamp in stamps.values():
            stamp.unlink(missing_ok=True)


def shipping(machine: Machine, what: str = "shipping") -> dict:
    """What /status says of shipping, or of uploading; nothing has been copied as long as it says nothing."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/status', timeout=60).read().decode())"
    asked = machine.run("/opt/python/bin/python3", "-c", ask)
    found = json.loads(asked.stdout)[what] if asked.returncode == 0 else None
    return found or {"messages": 0, "up": False}


def recorded(machine: Machine, *days: str, sealed: bool = False) -> Path:
    """Write days into the storage folder of the services, as their user owns it; return the folder."""
    folder = machine.path("/var/lib/ssmd/data")
    shutil.rmtree(folder, ignore_errors=True)
    for day in days:
        make_day(folder, day, feed="kalshi-sim", sealed=sealed)
    machine.run("chown", "-R", "ssmd:ssmd", "/var/lib/ssmd", check=True)
    return folder


def nightly(machine: Machine, name: str, *settings: str) -> str:
    """Let a service of the night run to its end, and return its result: `success` or `exit-code`."""
    configure(machine, "nightly", *settings)
    machine.run("systemctl", "start", f"ssmd-{name}.service")
    return machine.show(f"ssmd-{name}.service", "Result")


def test_the_service_of_the_night_seals_and_compresses_with_few_rights(machine):
    folder = recorded(machine, "2025-12-20", "2025-12-21")
    assert nightly(machine, "compact") == "success", machine.journal("ssmd-compact.service")
    user = int(machine.run("id", "-u", "ssmd", check=True).stdout)
    for day in ("2025-12-20", "2025-12-21"):
        names = {path.name: path.stat() for path in (folder / day).iterdir()}
        kept = ("jsonl.zst", "ledger.jsonl", "manifest.json", "shape.json")
        assert set(names) == {f"kalshi-sim.{rest}" for rest in kept}
        assert {stat.st_uid for stat in names.values()} == {user}
    # The drop-in is for the services of the night alone.
    assert machine.show("ssmd-compact.service", "MemoryMax") == str(2**30)
    assert machine.show(SIMULATED, "MemoryMax") == str(2**29)


def test_a_day_that_cannot_be_sealed_makes_the_service_of_the_night_fail_and_stops_no_other(machine):
    folder = recorded(machine, "2025-12-20", "2025-12-21")
    other = folder / "2025-12-20" / "kalshi-sim.jsonl"
    other.with_name("kalshi-sim.jsonl.gz").write_bytes(gzip.compress(other.read_bytes()))
    assert nightly(machine, "compact") == "exit-code"
    assert machine.show("ssmd-compact.service", "ExecMainStatus") == "65"
    assert not other.with_name("kalshi-sim.manifest.json").exists()
    assert (folder / "2025-12-21" / "kalshi-sim.jsonl.zst").exists()


def test_a_timer_starts_its_service(machine):
    folder = recorded(machine, "2025-12-20")
    soon = machine.path("/etc/systemd/system/ssmd-compact.timer.d/soon.conf")
    soon.parent.mkdir()
    try:
        soon.write_text("[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nAccuracySec=1us\n")
        machine.run("systemctl", "daemon-reload", check=True)
        machine.run("systemctl", "start", "ssmd-compact.timer", check=True)
        machine.wait_for((folder / "2025-12-20" / "kalshi-sim.jsonl.zst").exists)
    finally:
        machine.run("systemctl", "stop", "ssmd-compact.timer", "ssmd-compact.service")
        shutil.rmtree(soon.parent)
        machine.run("systemctl", "daemon-reload", check=True)


def test_parquet_is_made_and_exported_with_the_rights_of_the_services_of_the_night(machine):
    folder = recorded(machine, "2025-12-20", "2025-12-21")
    stamp = machine.path("/opt/ssmd/.venv/.installed-deploy-extras-parquet.txt")
    settings = ("SSMD_COMPACT=--parquet", "SSMD_EXPORT_TO=/var/lib/ssmd/lake")
    try:
        # The service may not install the library, and the journal has the command that does.
        assert nightly(machine, "compact", *settings) == "exit-code"
        assert machine.show("ssmd-compact.service", "ExecMainStatus") == "78"
        assert "/opt/ssmd/bin/extras parquet\n" in machine.journal("ssmd-compact.service")
        shutil.copy(ROOT / "deploy" / "extras" / "parquet.txt", stamp)  # It is among the libraries of the tests.
        for name in ("compact", "export"):
            assert nightly(machine, name, *settings) == "success", machine.journal(f"ssmd-{name}.service")
        assert {path.name for path in (folder / "2025-12-20").iterdir()} == {
            f"kalshi-sim.{rest}" for rest in ("parquet", "ledger.jsonl", "manifest.json", "shape.json")
        }
        exported = machine.path("/var/lib/ssmd/lake").glob("feed=kalshi-sim/type=trade/date=*/part-0000.parquet")
        assert sorted(path.parent.name for path in exported) == ["date=2025-12-20", "date=2025-12-21"]
    finally:
        stamp.unlink(missing_ok=True)


def test_an_export_without_a_place_fails_and_says_so(machine):
    recorded(machine, "2025-12-20")
    stamp = machine.path("/opt/ssmd/.venv/.installed-deploy-extras-parquet.txt")
    shutil.copy(ROOT / "deploy" / "extras" / "parquet.txt", stamp)
    assert nightly(machine, "export") == "exit-code"
    assert "--to is empty" in machine.journal("ssmd-export.service")
