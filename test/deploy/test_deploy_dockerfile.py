"""The Dockerfile and its health check, as far as they can be tested without building."""

from __future__ import annotations

import re
import runpy
import subprocess

import pytest
from docopt import docopt
from process import ROOT

from ssmd import __version__
from ssmd.commands import run
from ssmd.commands.listen import parse_listen

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
listen_of = runpy.run_path(str(ROOT / "deploy" / "healthcheck.py"))["listen_of"]


@pytest.mark.needs("hadolint")
def test_hadolint_finds_nothing():
    ended = subprocess.run(["hadolint", ROOT / "deploy" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing_in_what_builds_the_image():
    script = ROOT / "test" / "deploy" / "build_image"
    ended = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_dockerfile_has_the_version_of_ssmd():
    assert re.findall(r'image\.version="(.+)"', DOCKERFILE) == [__version__]
    assert set(re.findall(r"ssmd:(\d[\w.]*)", DOCKERFILE)) == {__version__}


def test_the_files_that_are_copied_exist_and_are_not_ignored():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("127.0.0.1", 8080)),
        (["--listen", "0.0.0.0:9090"], ("127.0.0.1", 9090)),
        (["--listen=:9090"], ("127.0.0.1", 9090)),
        (["--listen=[::]:9090"], ("::1", 9090)),
        (["--lis", "10.0.0.7:80"], ("10.0.0.7", 80)),
        (["--listen=localhost:80"], ("localhost", 80)),
    ],
)
def test_the_health_check_reads_the_arguments_as_the_collector_does(options, expected):
    arguments = ["run", "kalshi-sim", "--config-dir", "conf", *options]
    host, port = parse_listen(docopt(run.__doc__, arguments)["--listen"])
    assert expected[1] == port
    assert expected[0] == host or host in ("0.0.0.0", "::")
    assert listen_of(["/opt/ssmd/bin/python", "/opt/ssmd/bin/ssmd", *arguments, ""]) == expected


def test_a_command_other_than_run_is_not_asked():
    assert listen_of(["/opt/ssmd/bin/python", "/opt/ssmd/bin/ssmd", "sim", "--listen", "0.0.0.0:8765", ""]) is None
