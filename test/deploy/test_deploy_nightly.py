"""What runs every night by cron, by systemd or on Kubernetes runs here as it is written there, on a storage folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from process import ROOT, ssmd
from recorded import make_day
from s3_runs import FEED, VARIABLES, Site
from s3_server import S3Server
from s3_storage import put_day

from ssmd.store.inventory import data_files

DEPLOY = ROOT / "deploy"
STORAGE = "/var/lib/ssmd/data"


def by_cron(command: str) -> list[str]:
    """The arguments of the line that cron runs."""
    line = (DEPLOY / "cron" / f"ssmd-{command}").read_text().splitlines()[-1]
    time, user, program = re.fullmatch(r"(\d+ \d+ \* \* \*) (\w+) ssmd (.+)", line).groups()
    assert (user, bool(time)) == ("ssmd", True)
    return shlex.split(program)


def by_systemd(command: str) -> list[str]:
    """The arguments of the service, with the settings that it has by itself."""
    shared = (DEPLOY / "systemd" / "ssmd-.service.d" / "nightly.conf").read_text()
    [settings] = re.findall(r"^Environment=(SSMD_.*)$", shared, re.MULTILINE)
    set_there = dict(word.split("=", 1) for word in shlex.split(settings))
    text = (DEPLOY / "systemd" / f"ssmd-{command}.service").read_text()
    [program] = re.findall(r"^ExecStart=/opt/ssmd/bin/ssmd (.+)$", text, re.MULTILINE)
    return [set_there.get(word[2:-1], word) if word.startswith("${") else word for word in shlex.split(program)]


def on_kubernetes(command: str) -> list[str]:
    """The arguments of the CronJob."""
    job = yaml.safe_load((DEPLOY / "k8s" / "components" / command / "cronjob.yaml").read_text())
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return container["args"]


@pytest.mark.parametrize("of", [by_cron, by_systemd, on_kubernetes])
def test_the_export_of_the_night_exports_what_is_missing(tmp_path, of):
    make_day(tmp_path / "data", "2025-12-20")
    arguments = of("export")
    place = arguments.index("--to") + 1
    assert arguments[place] in ("/srv/lake", "${SSMD_EXPORT_TO}", "s3://set-your-bucket/lake")
    arguments[place] = str(tmp_path / "lake")
    arguments = [str(tmp_path / "data") if word == STORAGE else word for word in arguments]
    code, out, err = ssmd(*arguments)
    assert (code, err) == (0, "")
    assert list(Path(tmp_path, "lake").glob("feed=kalshi/type=trade/date=2025-12-20/*.parquet"))
    code, again, err = ssmd(*arguments)
    assert (code, err) == (0, "")
    assert again != out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.mark.parametrize("of", [by_cron, by_systemd, on_kubernetes])
def test_the_pruning_of_the_night_removes_what_the_bucket_has(server, tmp_path, of):
    folder = tmp_path / of.__name__
    folder.mkdir()
    site = Site(folder, server, keep_days=2)
    day = make_day(site.data, "2025-12-20", feed=FEED, per_hour=5)
    other = make_day(site.data, "2025-12-21", feed=FEED, per_hour=5)
    put_day(site.bucket, next(file for file in data_files([site.data]) if file.path == day))
    command, environment, option, tree = of("prune")
    assert environment in ("kalshi-prod", "kalshi-dev", "${SSMD_PRUNE}")
    assert (command, option, tree) == ("prune", "--config-dir", "/etc/ssmd/exchanges")
    pruned = ssmd(command, "test", option, site.tree, **VARIABLES)
    assert pruned.returncode == 0, pruned.stderr
    assert (day.exists(), other.exists()) == (False, True)
