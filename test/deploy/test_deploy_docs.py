"""docs/operations.md: its blocks of commands are run as they are, and its lists are complete."""

import json
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml
from patience import PATIENCE
from process import KEYS, ROOT
from systemd_machine import Machine, why_not

from ssmd import errors

PAGE = (ROOT / "docs" / "operations.md").read_text()
ALERTS = [ROOT / "deploy" / "prometheus" / name for name in ("alerts.yaml", "kubernetes.yaml")]


def blocks(heading: str) -> list[str]:
    """The blocks of commands in a section. A block that cannot run here, or needs an account, is not marked as `sh`."""
    [text] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)]


def test_every_block_of_commands_is_run_here():
    run_here = ("Going live on Kalshi", "systemd", "A plain host", "Shards", "Reload", "Backups")
    assert len(re.findall(r"^ *```sh$", PAGE, re.MULTILINE)) == sum(len(blocks(heading)) for heading in run_here) > 8


def test_every_link_leads_to_a_heading():
    for name, anchor in re.findall(r"\]\(([\w/.]*)#([\w-]+)\)", PAGE):
        page = ROOT / "docs" / name if name else ROOT / "docs" / "operations.md"
        headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        real = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in real, f"{name}#{anchor}"


def test_every_exit_code_is_on_the_page():
    def below(error: type[errors.SsmdError]) -> set[type[errors.SsmdError]]:
        return {error}.union(*map(below, error.__subclasses__()))

    real = {error.exit_code for error in below(errors.SsmdError) - {errors.SsmdError}} | {0, errors.EXIT_BUG, 137}
    section = PAGE.split("\n## Exit codes\n")[1].split("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == real


def test_every_alert_is_on_the_page_with_its_severity():
    groups = [group for path in ALERTS for group in yaml.safe_load(path.read_text())["groups"]]
    rules = [rule for group in groups for rule in group["rules"]]
    section = PAGE.split("\n## Alerts\n")[1].split("\n## ")[0]
    described = re.findall(r"^### (\w+)\n\n(Critical|Warning)\. ", section, re.MULTILINE)
    assert sorted(described) == sorted((rule["alert"], rule["labels"]["severity"].title()) for rule in rules)


def sh(script: str, cwd: Path, home: Path, prefix: tuple[str, ...] = ()) -> str:
    """Run a block as a reader would, with hardly any environment variables; return its output."""
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home)}
    done = subprocess.run(
        [*prefix, "sh", "-eu", "-c", script],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def home(tmp_path):
    """A home directory with a key that was just downloaded."""
    home = tmp_path / "home"
    (home / "Downloads").mkdir(parents=True)
    (home / "Downloads" / "kalshi-demo.txt").write_text(KEYS["KALSHI_API_SECRET"])
    return home


def test_going_live(checkout, home):
    output = sh("".join(blocks("Going live on Kalshi")), checkout, home)
    assert "kalshi-demo" in output
    assert oct((home / ".ssmd" / "kalshi-demo.pem").stat().st_mode) == "0o100600"
    assert not (home / "Downloads" / "kalshi-demo.txt").exists()


@pytest.mark.needs("network namespaces")
def test_a_plain_host(checkout, home):
    # In a network of its own: the page uses fixed ports, and kalshi-demo must not reach the real exchange.
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
    sh(blocks("Going live on Kalshi")[0], checkout, home)
    simulated, demo, several = blocks("A plain host")
    try:
        output = sh(simulated, checkout, home, alone)
        assert output.count("is connected, and nothing that was asked for is missing") == 2
        assert "messages/s" in output
        assert output.endswith("kalshi-sim has stopped\n")
        output = sh(demo, checkout, home, alone)
        assert "kalshi-demo is starting" in output
        assert "kalshi-demo has stopped" in output
        [reload] = blocks("Reload")
        output = sh(f"bin/start kalshi-sim\n{reload}bin/stop kalshi-sim\n", checkout, home, alone)
        assert "kalshi-sim loads the metadata again" in output
        output = sh(several, checkout, home, alone)
        assert output.count(": running\n") == 2
        assert output.endswith("ssmd: kalshi-sim has stopped\nssmd: kalshi-sim-2 has stopped\n")
        assert list((checkout / "data-2").glob("*/kalshi-sim.jsonl"))
    finally:
        sh("bin/stop --force kalshi-sim; bin/stop --force kalshi-demo", checkout, home)


@pytest.mark.needs("network namespaces")
def test_shards_on_a_plain_host(checkout, home):
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
    try:
        output = sh(blocks("Shards")[0], checkout, home, alone)
        assert output.count("is connected, and nothing that was asked for is missing") == 2 + 2 + 1 + 3
        assert "kalshi-sim: 2 of 2 shards running" in output
        assert output.count("kalshi-sim shard 3/3 has stopped\n") == 1
    finally:
        sh("bin/stop --force kalshi-sim", checkout, home)
    stems = {path.name.partition(".")[0] for path in (checkout / "data").glob("*/*.jsonl")}
    assert stems == {f"kalshi-sim+{each}of{of}" for of in (2, 3) for each in range(1, of + 1)}


def until(command: str) -> str:
    return f"until {command} 2>/dev/null; do sleep 0.1; done\n"


def test_systemd(tmp_path):
    if reason := why_not():
        pytest.skip(reason)
    install, simulated, live, timers = blocks("systemd")
    (tmp_path / "machine").mkdir()
    with Machine(tmp_path / "machine") as machine:
        machine.run("sh", "-eu", "-c", install, check=True)
        python = machine.path("/etc/systemd/system/ssmd@.service.d/python.conf")
        python.parent.mkdir()
        python.write_text("[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\n")
        machine.run("systemctl", "daemon-reload", check=True)
        # As a reader does, wait between the start and the look at the status: until there is what they look for.
        connected = until("journalctl --unit ssmd@kalshi-sim | grep -q connected")
        recorded = until("grep -q . /var/lib/ssmd/data/*/kalshi-sim.jsonl")
        waiting = simulated.replace("systemctl status", f"{connected}{recorded}systemctl status", 1)
        output = machine.run("sh", "-eu", "-c", waiting, check=True).stdout
        assert "active (running)" in output
        assert '"event": "connected"' in output
        assert "kalshi-sim.jsonl" in output

        recorded = "".join(until(f"grep -q . /var/lib/ssmd/data/*/kalshi-sim+{each}of2.jsonl") for each in (1, 2))
        shards = blocks("Shards")[1].replace("systemctl status", f"{recorded}systemctl status", 1)
        output = machine.run("sh", "-eu", "-c", shards, check=True).stdout
        assert output.count("active (running)") == 2
        names = {path.name for path in machine.path("/var/lib/ssmd/data").glob("*/*of2.jsonl")}
        assert names == {"kalshi-sim+1of2.jsonl", "kalshi-sim+2of2.jsonl"}

        key = machine.path("/root/.ssmd/kalshi-dev.pem")
        key.parent.mkdir()
        key.write_text(KEYS["KALSHI_API_SECRET"])
        machine.run("env", "HOME=/root", "sh", "-eu", "-c", live, check=True)
        # The key is accepted; only the exchange cannot be reached, because the machine has no network.
        machine.wait_for(lambda: machine.show("ssmd@kalshi-dev.service", "ExecMainStatus") == "69")
        assert machine.run("systemctl", "is-enabled", "ssmd@kalshi-dev").stdout == "enabled\n"
        machine.run("systemctl", "disable", "--now", "ssmd@kalshi-dev", check=True)

        machine.run("sh", "-eu", "-c", timers, check=True)
        assert "ssmd-compact.service" in machine.run("systemctl", "list-timers", "ssmd-*", check=True).stdout
        machine.run("systemctl", "start", "ssmd-compact.service", check=True)
        assert "kalshi-sim" not in machine.run("systemctl", "--failed").stdout


@pytest.mark.needs("rsync")
def test_backups(checkout, home):
    copy, compress, prove = blocks("Backups")
    today, yesterday = sh("date -u +%F; date -u -d yesterday +%F", checkout, home).split()

    def line(day: str) -> str:
        return f'{{"ts":"{day}T00:00:00.123456Z","feed":"kalshi","data":{{}}}}\n'

    for day in ("2025-12-22", yesterday, today):
        folder = checkout / "data" / day
        folder.mkdir(parents=True)
        (folder / "kalshi.jsonl").write_text(line(day) * 3)
        place = {"offset": 0, "line": 0}
        began = {"ts": f"{day}T00:00:00.000000Z", "event": "started", **place, "exchange": "kalshi"}
        connected = {"ts": f"{day}T00:00:00.000000Z", "event": "connected", **place}
        (folder / "kalshi.ledger.jsonl").write_text(f"{json.dumps(began)}\n{json.dumps(connected)}\n")
    sh(copy, checkout, home)
    with (checkout / "data" / today / "kalshi.jsonl").open("a") as file:
        file.write(line(today))
    sh(copy, checkout, home)
    assert (checkout / "backup" / today / "kalshi.jsonl").read_text() == line(today) * 4
    sh(prove, checkout, home)
    sh(compress, checkout, home)
    left = {str(path.relative_to(checkout / "data")) for path in (checkout / "data").glob("*/*")}
    forms = ("jsonl.zst", "manifest.json", "shape.json")
    finished = {f"{day}/kalshi.{form}" for day in ("2025-12-22", yesterday) for form in forms}
    ledgers = {f"{day}/kalshi.ledger.jsonl" for day in ("2025-12-22", yesterday, today)}
    assert left == finished | ledgers | {f"{today}/kalshi.jsonl"}
    assert sh("bin/ssmd cat --raw data/2025-12-22", checkout, home) == "{}\n" * 3
    # The copy then has both forms, and is proved all the same; a day that is not whole is found.
    sh(copy, checkout, home)
    output = sh(prove, checkout, home)
    assert "2025-12-22" in output
    assert today in output
    (checkout / "backup" / yesterday / "kalshi.jsonl").write_text(line(yesterday) * 2)
    assert sh("bin/ssmd verify backup >&2 || echo $?", checkout, home) == "65\n"
