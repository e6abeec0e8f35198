"""Keys from every source, as the commands use them: looked up once by a run, and only when a command needs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from exchange_server import Peer, eventually, serving
from process import KEYS, ROOT, Collector, Simulator, make_tree, ssmd
from vault_server import PROGRAM, VaultServer

KEY_ID, SECRET = KEYS["KALSHI_API_KEY"], KEYS["KALSHI_API_SECRET"]
VALUES = {"api_key": KEY_ID, "api_secret": SECRET}
READ = 'path "secret/data/kalshi" { capabilities = ["read"] }'
DAY = 86400


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    server = VaultServer(tmp_path_factory.mktemp("vault"), tls=True)
    try:
        server.put("kalshi", VALUES)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator("--rate", "200") as server:
        yield server


def keys(source: str, more: str = "") -> str:
    return f"keys: {{test: {{type: api_key, fields: [api_key, api_secret], source: '{source}'{more}}}}}\n"


def files(folder: Path, age_days: float = 0, mode: int = 0o600) -> str:
    """Write the key to files of that age; return its source."""
    for name, value in VALUES.items():
        path = folder / name
        path.write_text(value)
        path.chmod(mode)
        os.utime(path, (time.time(), time.time() - age_days * DAY))
    return "file:" + ",".join(str(folder / name) for name in VALUES)


def command(folder: Path) -> str:
    """Write a program that prints the key, and leaves a mark; return its source."""
    (folder / "key.json").write_text(json.dumps(VALUES))
    program = folder / "print-key"
    program.write_text(f"#!/bin/sh\ntouch '{folder}/asked'\ncat '{folder}/key.json'\n")
    program.chmod(0o755)
    return f"exec:{program}"


def source_of(kind: str, folder: Path) -> str:
    return {"vault": "vault:secret/kalshi", "file": files(folder), "exec": command(folder)}[kind]


@pytest.mark.parametrize("kind", ["vault", "file", "exec"])
def test_a_run_gets_its_keys_from_each_source(
    tmp_path: Path, vault: VaultServer, simulator: Simulator, kind: str
) -> None:
    environment = keys(source_of(kind, tmp_path))
    with Collector(tmp_path, simulator.endpoint, environment=environment, variables=vault.environ) as collector:
        collector.wait_for_lines(10)
        assert collector.end() == 0


def test_a_run_reads_once_and_a_restart_reads_again(tmp_path: Path, vault: VaultServer, simulator: Simulator) -> None:
    once = vault.environ | {"VAULT_TOKEN": vault.token(READ, num_uses=1)}
    environment = keys("vault:secret/kalshi")
    with Collector(tmp_path, simulator.endpoint, environment=environment, variables=once) as collector:
        collector.wait_for_lines(10)
        assert collector.end() == 0
    with Collector(tmp_path, simulator.endpoint, environment=environment, variables=once) as collector:
        assert collector.wait() == 78
        [error] = [event for event in collector.events if event["level"] == "error"]
        assert re.fullmatch(
            r"environments/test.yaml:3: keys.test: Vault at 127.0.0.1:\d+ refuses the token: it is wrong, or has "
            r"expired, or is of another namespace; renew VAULT_TOKEN; to see ssmd at work without keys, run kalshi-sim",
            error["event"],
        )
    vault.put("kalshi", VALUES | {"api_key": "00000000-0000-0000-0000-000000000000"})
    try:
        with Collector(tmp_path, simulator.endpoint, environment=environment, variables=vault.environ) as collector:
            assert collector.wait() == 77
    finally:
        vault.put("kalshi", VALUES)


def test_a_vault_that_is_down_ends_a_run_with_69(tmp_path: Path, simulator: Simulator) -> None:
    away = {"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": "t"}
    environment = keys("vault:secret/kalshi")
    with Collector(tmp_path, simulator.endpoint, environment=environment, variables=away) as collector:
        assert collector.wait() == 69
    assert "cannot be reached: Connection refused" in collector.events[-1]["event"]


def validated(tree: Path, *arguments: str, **variables: str) -> tuple[int, list[str]]:
    done = ssmd("validate", "--config-dir", tree, *arguments, **variables)
    assert done.stderr == ""
    return done.returncode, [line for line in done.stdout.splitlines() if not line.startswith("ok: feeds")]


OK = "ok: environments/test.yaml"


@pytest.mark.parametrize("kind", ["vault", "file", "exec"])
def test_validate_tries_each_source(tmp_path: Path, vault: VaultServer, kind: str) -> None:
    tree = make_tree(tmp_path, "wss://exchange.test/", "kalshi", "", keys(source_of(kind, tmp_path)))
    assert validated(tree, "--keys", "--strict", **vault.environ) == (0, [OK])
    for name in (*VALUES, "key.json"):
        (tmp_path / name).unlink(missing_ok=True)
    variables = vault.environ | {"VAULT_TOKEN": "s.wrong"}
    code, [line] = validated(tree, "--keys", **variables)
    assert code == 78
    assert line.startswith("error: environments/test.yaml:3: keys.test: ")


def test_validate_alone_asks_nothing(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.drained()

    with serving(script) as server:
        environ = {"VAULT_ADDR": f"http://127.0.0.1:{server.port}", "VAULT_TOKEN": "t"}
        for number, source in enumerate((command(tmp_path), "vault:secret/kalshi", "file:/nowhere/a,/nowhere/b")):
            folder = tmp_path / str(number)
            tree = make_tree(folder, "wss://exchange.test/", "kalshi", "", keys(source))
            assert validated(tree, "--strict", **environ) == (0, [OK])
        assert server.connections == 0
    assert not (tmp_path / "asked").exists()


def test_a_command_without_gevent_looks_them_up_too(tmp_path: Path, vault: VaultServer) -> None:
    """`ssmd ship` asks Vault, and then the engine, which is not there."""
    vault.put("nats", {"token": "the-token"})
    environment = "transport: {type: nats, url: 'nats://127.0.0.1:9', stream: S}\n"
    environment += "keys: {test: {type: nats, fields: [token], source: 'vault:secret/nats'}}\n"
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", environment)
    ship = ("ship", "test", "--config-dir", tree, "--check")
    done = ssmd(*ship, **vault.environ)
    assert (done.returncode, "keys.test" in done.stderr) == (69, False), done.stderr
    done = ssmd(*ship, **vault.environ | {"VAULT_TOKEN": "s.wrong"})
    assert done.returncode == 78
    assert "keys.test: Vault at" in done.stderr


def test_a_companion_gets_its_key_and_nothing_with_which_it_was_looked_up(tmp_path: Path, vault: VaultServer) -> None:
    vault.put("nats", {"token": "the-token"})
    environment = "transport: {type: nats, url: 'nats://127.0.0.1:9', stream: S}\n"
    environment += "keys: {test: {type: nats, fields: [token], source: 'vault:secret/nats'}}\n"
    with Collector(tmp_path, "sim://kalshi", environment=environment, variables=vault.environ) as collector:
        collector.start_up()
        begun: list[set[str]] = []
        eventually(lambda: begun.extend(environments_of_children(collector.process.pid)) or begun)
        assert all("SSMD_KEY_TOKEN=the-token" in variables for variables in begun)
        assert not any(variable.startswith("VAULT") for variables in begun for variable in variables)
        assert collector.end() == 0


def environments_of_children(pid: int) -> list[set[str]]:
    """Return the environment variables of the processes that run `ssmd ship`, and that a process has started."""
    found = []
    for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):
            if b"\0ship\0" in Path("/proc", number, "cmdline").read_bytes():
                found.append(set(Path("/proc", number, "environ").read_text().split("\0")))
    return found


PAGE = (ROOT / "docs" / "keys.md").read_text()


def commands(heading: str) -> str:
    """Return the commands of a chapter of docs/keys.md."""
    found = re.search(rf"^### {heading}\n.*?^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def administrate(vault: VaultServer, folder: Path, script: str, **variables: str) -> None:
    """Run commands of Vault's command line, which OpenBao's understands too."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "vault").unlink(missing_ok=True)
    (folder / "bin" / "vault").symlink_to(PROGRAM)
    environ = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), **vault.environ, **variables}
    done = subprocess.run(["sh", "-eu"], input=script, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_commands_for_an_approle_give_a_host_its_key(tmp_path: Path, vault: VaultServer) -> None:
    (tmp_path / "kalshi.pem").write_text(SECRET)
    administrate(vault, tmp_path, commands("An AppRole"))
    role = {"VAULT_ROLE_ID": str(tmp_path / "role-id"), "VAULT_SECRET_ID": str(tmp_path / "secret-id")}
    tree = make_tree(tmp_path, "wss://exchange.test/", "kalshi", "", keys("vault:secret/kalshi"))
    environ = {name: value for name, value in vault.environ.items() if name != "VAULT_TOKEN"}
    try:
        assert validated(tree, "--keys", "--strict", **environ, **role) == (0, [OK])
    finally:
        vault.put("kalshi", VALUES)


def test_the_commands_for_kubernetes_are_accepted(tmp_path: Path, vault: VaultServer) -> None:
    (tmp_path / "cluster-ca.pem").write_text(vault.authority.read_text())
    (tmp_path / "reviewer-token").write_text("reviewer")
    administrate(vault, tmp_path, commands("Kubernetes"), KUBERNETES_API="https://127.0.0.1:9")
    role = vault.call("GET", "auth/kubernetes/role/ssmd")[1]["data"]
    assert (role["bound_service_account_names"], role["token_policies"], role["token_ttl"]) == (
        ["kalshi-collector"],
        ["ssmd"],
        300,
    )


def test_every_message_about_vault_is_in_the_page() -> None:
    """And the other way round: each row of its table quotes what a message says."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", PAGE.partition("### What goes wrong")[2], re.MULTILINE)
    source = " ".join(path.read_text() for path in (ROOT / "ssmd" / "resolver" / "vault").glob("*.py"))
    source = re.sub(r'"\s+f?"', "", source)
    for row in rows[2:14]:
        for words in row.replace("`api_key`", "").replace(" another address", "").split("; "):
            assert words.strip() in source, words


def metric(text: str, name: str) -> dict[str, float]:
    """Return the values of a metric by the name of the key."""
    return {key: float(value) for key, value in re.findall(rf'^{name}{{.*key="([^"]+)".*}} (\S+)$', text, re.MULTILINE)}


def started(collector: Collector) -> list[dict[str, Any]]:
    """Wait until it has started; return its warnings."""
    collector.start_up()
    return [event for event in collector.events if event["level"] == "warning"]


def test_an_old_key_gives_a_warning_and_a_metric_that_goes_on(tmp_path: Path, simulator: Simulator) -> None:
    environment = keys(files(tmp_path, age_days=100.5), ", rotation_days: 90")
    with Collector(tmp_path, simulator.endpoint, environment=environment) as collector:
        [warning] = started(collector)
        assert warning["event"] == (
            "environments/test.yaml:3: keys.test.rotation_days: is 90, and the key is 100 days old; replace the key"
        )
        first = metric(collector.get("/metrics")[1], "ssmd_key_age_seconds")["test"]
        assert first >= 100.5 * DAY
        eventually(lambda: metric(collector.get("/metrics")[1], "ssmd_key_age_seconds")["test"] > first)
        assert metric(collector.get("/metrics")[1], "ssmd_key_rotation_seconds") == {"test": 90 * DAY}
        assert collector.end() == 0
    code, lines = validated(tmp_path / "conf", "--keys")
    assert (code, lines) == (0, [f"warning: {warning['event']}"])


def test_a_key_that_is_not_too_old_gives_none(tmp_path: Path, vault: VaultServer, simulator: Simulator) -> None:
    environment = keys("vault:secret/kalshi", ", rotation_days: 90")
    with Collector(tmp_path, simulator.endpoint, environment=environment, variables=vault.environ) as collector:
        assert started(collector) == []
        assert 0 <= metric(collector.get("/metrics")[1], "ssmd_key_age_seconds")["test"] < DAY
        assert collector.end() == 0


def test_where_the_age_is_not_known_rotation_days_has_no_effect(tmp_path: Path, simulator: Simulator) -> None:
    place = "environments/test.yaml:3: keys.test.rotation_days"
    text = f"{place}: has no effect here: the key's source does not say how old the key is"
    environment = keys("env:KALSHI_API_KEY,KALSHI_API_SECRET", ", rotation_days: 90")
    with Collector(tmp_path, simulator.endpoint, environment=environment) as collector:
        [warning] = started(collector)
        assert warning["event"] == text
        scraped = collector.get("/metrics")[1]
        assert (metric(scraped, "ssmd_key_age_seconds"), metric(scraped, "ssmd_key_rotation_seconds")) == (
            {},
            {"test": 90 * DAY},
        )
        assert collector.end() == 0
    assert validated(tmp_path / "conf", "--keys", "--strict") == (0, [f"warning: {text}"])
    tree = make_tree(tmp_path / "never", "wss://exchange.test/", "kalshi", "", environment.replace("90", "0"))
    assert validated(tree, "--keys", "--strict") == (0, [OK])


def test_other_warnings_about_keys_are_logged_and_printed(tmp_path: Path, simulator: Simulator) -> None:
    files(tmp_path, mode=0o644)
    environment = keys(files(tmp_path, mode=0o644))
    extra = "extra: {type: api_key, fields: [x], source: 'exec:false', required: false}"
    environment = environment.replace("keys: {", f"keys: {{{extra}, ")
    expected = [
        "keys.extra: is not used, because it is not required: its command has failed: it has ended with exit code 1; "
        "run it by hand, as the user that ssmd runs as and with the variables that docs/keys.md lists",
        "keys.test: every user of this host may read the files of `api_key`, `api_secret`; remove that right: chmod "
        "o-r",
    ]
    no_field = "keys.extra.fields[0]: is not a key field of Kalshi, and has no effect; remove it"
    with Collector(tmp_path, simulator.endpoint, environment=environment) as collector:
        found = [event["event"].partition(": ")[2] for event in started(collector)]
        assert found == [no_field, *expected]
        assert collector.end() == 0
    code, lines = validated(tmp_path / "conf", "--keys")
    assert (code, [line.split(": ", 2)[2] for line in lines]) == (0, [no_field, *expected])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "exec:false",
            "its command has failed: it has ended with exit code 1; run it by hand, as the user that ssmd runs as and "
            "with the variables that docs/keys.md lists",
        ),
        ("exec:no-such-command", "its command is not found; name a program of PATH, or an absolute path"),
        ("env:NONE", ""),
    ],
)
def test_where_a_run_ends_for_want_of_a_key_that_is_not_required_the_log_says_why_it_is_not_there(
    tmp_path: Path, simulator: Simulator, source: str, reason: str
) -> None:
    """Only that a variable is not set is an ordinary thing to happen to such a key."""
    environment = "keys: {test: {type: api_key, fields: [api_key, api_secret], source: 'SOURCE', required: false}}\n"
    environment = environment.replace("SOURCE", "env:NONE,NO" if source == "env:NONE" else source)
    with Collector(tmp_path, simulator.endpoint, environment=environment) as collector:
        assert collector.wait() == 78
        shown = [(event["level"], event["event"]) for event in collector.events]
    expected = [("warning", f"environments/test.yaml:3: keys.test: is not used, because it is not required: {reason}")]
    assert shown[:-1] == (expected if reason else [])
    assert shown[-1][0] == "error"


def test_commands_that_are_started_by_hand_log_the_same_warnings(tmp_path: Path) -> None:
    """Of the keys of their engine, once, before they connect to it."""
    password = tmp_path / "password"
    password.write_text("canary-of-the-engine")
    password.chmod(0o644)
    os.utime(password, (time.time(), time.time() - 100 * DAY))
    fields = "type: nats, fields: [token], rotation_days: 90"
    environment = (
        "transport: {type: nats, url: 'nats://127.0.0.1:9', stream: S}\n"
        f"keys: {{engine: {{{fields}, source: 'env:ENGINE_PASSWORD'}}}}\n"
    )
    tree = make_tree(tmp_path, "sim://kalshi", "kalshi", "", environment)
    (tmp_path / "data").mkdir()
    for arguments in (("ship", "test", "--once"), ("verify", "--engine", "test")):
        ended = ssmd(*arguments, "--config-dir", tree, ENGINE_PASSWORD=str(password), SSMD_LOG_FORMAT="text")
        assert "canary" not in ended.stdout + ended.stderr
        for text in (
            "keys.engine: every user of this host may read the files of `ENGINE_PASSWORD`; remove that right: chmod",
            "keys.engine.rotation_days: is 90, and the key is 100 days old; replace the key",
        ):
            assert ended.stderr.count(text) == 1, ended
