"""`ssmd sim` as someone uses it in a shell: the key and the commands that it prints, once and once more."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from process import KEYS, ROOT, Process, ssmd

from ssmd.commands import sim
from ssmd.commands.serving import how_to_connect
from ssmd.sim.births import BIRTHS
from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.faults import FAULTS
from ssmd.sim.limits import LIMITS
from ssmd.sim.rest_faults import REST_FAULTS

LOCAL = "ws://127.0.0.1:8765/trade-api/ws/v2"


class Shown(Process):
    """`ssmd sim` and what it has printed by the time that it serves."""

    def __init__(self, cwd: Path = ROOT, **variables: str) -> None:
        super().__init__("sim", "--listen", "127.0.0.1:0", cwd=cwd, **(dict.fromkeys(KEYS, "") | variables))
        self.endpoint = self.wait_for("serving")["endpoint"]
        self.printed = "".join(self.other)
        self.exported = dict(re.findall(r"(KALSHI_API_\w+)=(\S+)", self.printed))


def test_the_keys_of_an_earlier_simulator_do_not_stop_the_next_one() -> None:
    with Shown() as first:
        assert first.end() == 0
    assert not Path(first.exported["KALSHI_API_SECRET"]).exists()
    assert "earlier simulator" not in first.printed
    with Shown(**first.exported) as second:
        assert "KALSHI_API_KEY and KALSHI_API_SECRET are those of an earlier simulator that has ended" in second.printed
        assert second.exported["KALSHI_API_KEY"] != first.exported["KALSHI_API_KEY"]
        assert Path(second.exported["KALSHI_API_SECRET"]).exists()
        with Shown(**second.exported) as third:  # The second one still runs, so its key is as good as any.
            assert third.printed == ""


@pytest.mark.parametrize("secret", ["/nonexistent/private-key.pem", "/tmp/ssmd-sim-x/other.pem", "no key"])
def test_a_key_of_ones_own_that_cannot_be_read_is_still_an_error(secret: str) -> None:
    ended = ssmd("sim", "--listen", "127.0.0.1:0", KALSHI_API_KEY="x", KALSHI_API_SECRET=secret)
    assert ended.returncode == 78
    assert "KALSHI_API_SECRET" in ended.stderr


def test_in_a_checkout_the_printed_commands_work_from_any_folder(tmp_path: Path) -> None:
    with Shown() as here, Shown(tmp_path) as elsewhere:
        assert "  bin/ssmd run kalshi-local --config-dir conf\n" in here.printed
        assert f"  {ROOT}/bin/ssmd run kalshi-local --config-dir {ROOT}/conf\n" in elsewhere.printed
        for each in (here, elsewhere):
            assert f"Set `endpoint: {each.endpoint}` in " in each.printed
            [file] = re.findall(r"in (\S+), then:", each.printed)
            assert f"endpoint: {LOCAL}" in (ROOT / file).read_text()


def installed(tmp_path: Path, *, command: bool) -> str:
    """Return what is printed where ssmd is installed: without bin/ and conf/, with or without the command `ssmd`."""
    package = tmp_path / "site packages"
    if not package.exists():
        shutil.copytree(ROOT / "ssmd", package / "ssmd", ignore=shutil.ignore_patterns("__pycache__"))
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "ssmd").write_text("")
    (programs / "ssmd").chmod(0o755)
    code = f"from ssmd.commands.serving import how_to_connect; print(how_to_connect('{LOCAL}'), end='')"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(package), "PATH": str(programs) if command else ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout


def test_an_installed_package_first_makes_an_example_tree(tmp_path: Path) -> None:
    run = "run kalshi-local --config-dir ssmd-example"
    assert installed(tmp_path, command=True) == f"  ssmd init ssmd-example\n  ssmd {run}\n"
    module = f"{sys.executable} -m ssmd"
    assert installed(tmp_path, command=False) == f"  {module} init ssmd-example\n  {module} {run}\n"
    shutil.copytree(ROOT / "conf", tmp_path / "ssmd-example")
    assert installed(tmp_path, command=True) == f"  ssmd {run}\n"


def test_localhost_is_the_address_in_the_example_tree() -> None:
    assert "Set `endpoint" not in how_to_connect(LOCAL.replace("127.0.0.1", "localhost"))
    assert "Set `endpoint" in how_to_connect(LOCAL.replace("8765", "8766"))


@pytest.mark.parametrize(("name", "also"), [("kraken", ""), ("kucoin", "/api/v1/bullet-public")])
def test_an_exchange_says_what_to_write_into_its_feed(name: str, also: str) -> None:
    with Process("sim", "--exchange", name, "--listen", "127.0.0.1:0") as simulator:
        endpoint = simulator.wait_for("serving")["endpoint"]
        printed = "".join(simulator.other)
        assert simulator.end() == 0
    assert f"  cp -R conf conf-sim\nSet in conf-sim/feeds/{name}.yaml `endpoint: {endpoint}`" in printed
    assert f"run {name} --config-dir conf-sim\n" in printed
    prepare = f"`url: http://{endpoint.split('/')[2]}{also}` in `prepare`"
    assert (prepare in printed) is bool(also)


def test_an_exchange_that_is_not_in_conf_names_no_feed_there() -> None:
    with Process("sim", "--exchange", "bitstamp", "--listen", "127.0.0.1:0") as simulator:
        endpoint = simulator.wait_for("serving")["endpoint"]
        assert simulator.end() == 0
    assert f"a feed of your own, with `endpoint: {endpoint}`" in "".join(simulator.other)
    assert "conf" not in "".join(simulator.other)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--exchange", "krakken"], "--exchange is 'krakken'; there are: binance, "),
        (["--exchange", "kraken", "--faster", "0"], "--faster must be more than 0"),
        (["--exchange", "kraken", "--fault", "mute-after=1:book"], "unknown fault 'mute-after=1:book'; there are: "),
        (["--exchange", "kraken", "--fault", "refuse=trades"], "there is no such channel; there are: book, trade, "),
        (["--exchange", "coinbase", "--fault", "notice-after=1"], "unknown fault 'notice-after=1'"),
    ],
)
def test_what_an_exchange_does_not_have_is_an_error(options: list[str], text: str) -> None:
    ended = ssmd("sim", *options)
    assert ended.returncode == 64
    assert text in ended.stderr


def test_the_help_names_every_exchange() -> None:
    assert sim.__doc__
    assert [name for name in EXCHANGES if name not in sim.__doc__] == []


def test_the_help_names_every_fault_and_every_setting() -> None:
    text = sim.__doc__ or ""
    assert [name for name in FAULTS if f"\n  {re.split('[=-]N|=', name)[0]}" not in text] == []
    assert [name for name in (*BIRTHS, *LIMITS) if f"\n  --{name} <" not in text] == []


def test_the_page_has_every_limit_and_the_faults_of_new_markets() -> None:
    rows = [line.split("|")[1] for line in (ROOT / "docs" / "simulator.md").read_text().splitlines() if "|" in line]
    named = {name for row in rows for name in re.findall("`([^`]+)`", row)}
    assert {name for name in LIMITS if name.endswith("limit")} <= named
    faults = {name for name in named if name.startswith(("rest-", "lose-"))}
    assert faults == {"lose-lifecycle=SHARE", *REST_FAULTS}
