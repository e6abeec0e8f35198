"""The container: its image is built, and run by runc under the same restrictions as on Kubernetes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from patience import PATIENCE
from process import ROOT

from ssmd import __version__

pytestmark = [pytest.mark.needs_root, pytest.mark.needs("mount", "buildah", "debootstrap", "runc")]

UID = 10001
DATA = "/var/lib/ssmd"
SIM = ("run", "kalshi-sim", "--config-dir", "/etc/ssmd/exchanges")


class Image(NamedTuple):
    """The outcome of build_image."""

    rootfs: Path
    config: dict[str, Any]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built once. That takes one to three minutes, without the time limit of the tests."""
    folder = tmp_path_factory.mktemp("image")
    try:
        built = subprocess.run(
            [ROOT / "test" / "deploy" / "build_image", folder],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if built.returncode == 69:
            pytest.skip(built.stderr.strip().splitlines()[-1])
        assert built.returncode == 0, built.stderr[-5000:]
        config = json.loads((folder / "image.json").read_text())["Docker"]["config"]
        yield Image((folder / "rootfs").resolve(), config)
    finally:
        shutil.rmtree(folder)


class Container:
    """One container of the image, as `docker run --read-only -v data:/var/lib/ssmd ssmd <arguments>` makes it, and the
    Deployment's securityContext: nothing writable but the volume, no capability, no new privileges. It has a network
    of its own with nothing in it but the loopback interface.
    """

    def __init__(
        self, image: Image, folder: Path, arguments: Sequence[str], volume: bool, entrypoint: Sequence[str] = ()
    ) -> None:
        self.data = folder / "volume"
        self.data.mkdir()
        os.chown(self.data, UID, UID)  # As fsGroup does, or Docker with the folder in the image.
        self.health = image.config["Healthcheck"]["Test"][1:]
        self._id = f"ssmd-test-{uuid.uuid4()}"
        self._runc = ["runc", "--root", str(folder / "runc")]
        bundle = folder / "bundle"
        bundle.mkdir()
        subprocess.run([*self._runc, "spec", "--bundle", bundle], check=True)
        spec = json.loads((bundle / "config.json").read_text())
        user, group = map(int, image.config["User"].split(":"))
        spec["process"] |= {
            "terminal": False,
            "user": {"uid": user, "gid": group},
            "cwd": image.config["WorkingDir"],
            "env": image.config["Env"],
            "args": [*(entrypoint or image.config["Entrypoint"]), *(arguments or image.config["Cmd"])],
            "capabilities": {},
            "noNewPrivileges": True,
        }
        spec["root"] = {"path": str(image.rootfs), "readonly": True}
        if volume:
            mount = {"destination": DATA, "type": "bind", "source": str(self.data), "options": ["rbind", "rw"]}
            spec["mounts"].append(mount)
        (bundle / "config.json").write_text(json.dumps(spec))
        self.process = subprocess.Popen(
            [*self._runc, "run", "--bundle", bundle, self._id],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the running container to its end."""
        return subprocess.run(
            [*self._runc, "exec", self._id, *command], capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def signal(self, name: str) -> None:
        subprocess.run([*self._runc, "kill", self._id, name], check=True)

    def wait(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err

    def file(self) -> Path | None:
        return next(self.data.glob("data/*/kalshi-sim.jsonl"), None)

    def wait_for_lines(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while not (file := self.file()) or file.read_bytes().count(b"\n") < count:
            assert self.process.poll() is None, self.wait()
            assert time.monotonic() < until
            time.sleep(0.1)

    def remove(self) -> None:
        subprocess.run([*self._runc, "delete", "--force", self._id], capture_output=True, check=False)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def start(image, tmp_path):
    """Start a container of the image; it is removed after the test."""
    if subprocess.run(["runc", "--root", tmp_path / "runc", "list"], capture_output=True, check=False).returncode:
        pytest.skip("needs a runc that works")
    started: list[Container] = []

    def start(*arguments: str, volume: bool = True, entrypoint: Sequence[str] = ()) -> Container:
        folder = tmp_path / f"container-{len(started)}"
        folder.mkdir()
        started.append(Container(image, folder, arguments, volume, entrypoint))
        return started[-1]

    yield start
    for container in started:
        container.remove()


def test_it_collects_and_answers_probes_and_ends_in_order(start):
    container = start(*SIM)
    container.wait_for_lines(100)
    health = container.inside(*container.health)
    assert (health.returncode, health.stdout) == (0, '200 {"status":"ok"}\n')
    container.signal("TERM")
    code, out, err = container.wait()
    assert code == 0, err
    assert out == ""
    stopped = json.loads(err.splitlines()[-1])
    assert (stopped["event"], stopped["reason"]) == ("stopped", "SIGTERM")
    lines = container.file().read_bytes().splitlines()
    assert len([json.loads(line) for line in lines]) == stopped["messages"] >= 100
    for path in container.data.rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (UID, UID)


def test_it_has_no_rights_and_can_write_nothing_but_the_volume(start):
    container = start(*SIM)
    container.wait_for_lines(1)
    status = container.inside("cat", "/proc/1/status").stdout
    assert f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n" in status
    assert "CapBnd:\t0000000000000000\n" in status
    assert "NoNewPrivs:\t1\n" in status
    # /proc and /dev belong to the kernel, in every container.
    find = "find / -path /proc -prune -o -path /dev -prune -o -path /var/lib/ssmd -prune -o ! -type l -writable -print"
    assert container.inside("sh", "-c", find).stdout == ""
    assert container.inside("touch", "/tmp/x").stderr.endswith("Read-only file system\n")
    assert container.inside("touch", f"{DATA}/x").returncode == 0


def test_the_health_check_uses_the_address_of_the_collector(start):
    container = start(*SIM, "--listen=127.0.0.1:9090")
    container.wait_for_lines(1)
    assert container.inside(*container.health).returncode == 0


def test_a_collector_that_does_not_answer_is_not_healthy(start):
    container = start(*SIM)
    container.wait_for_lines(1)
    container.signal("STOP")
    health = container.inside(*container.health)
    assert health.returncode == 1
    assert "does not answer" in health.stdout
    container.signal("CONT")


def test_without_a_volume_there_is_one_clear_line(start):
    code, _, err = start(*SIM, volume=False).wait()
    assert code == 73
    assert json.loads(err.splitlines()[-1])["reason"] == "/var/lib/ssmd/data: Read-only file system"


def test_without_arguments_it_prints_the_help(start):
    code, out, err = start().wait()
    assert code == 0, err
    assert "ssmd <command>" in out


def test_the_example_tree_is_in_it(start):
    code, out, err = start("validate", "--strict", "--config-dir", "/etc/ssmd/exchanges").wait()
    assert code == 0, err
    assert "ok: environments/kalshi-sim.yaml" in out


def test_the_image_states_its_version_and_contains_no_build_tools(image):
    assert image.config["Labels"]["org.opencontainers.image.version"] == __version__
    assert image.config["Env"] == [next(each for each in image.config["Env"] if each.startswith("PATH=/opt/ssmd/bin:"))]
    assert not (image.rootfs / "opt/ssmd/bin/pip").exists()
    assert not (image.rootfs / "build").exists()
    assert {path.name for path in (image.rootfs / "etc/ssmd/exchanges").iterdir()} == {
        "environments",
        "feeds",
        "schemas",
    }


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["-m", "ssmd", "run", "--help"], "ssmd.runtime.runner"),
        (["-c", "import boto3, confluent_kafka, nats, paho.mqtt.client, pyarrow.parquet"], "nats.js.client"),
    ],
)
def test_nothing_is_compiled_at_the_start(start, arguments, module):
    """Under a read-only root the bytecode could not be kept, so every start would compile all modules again.

    The libraries of the engines are in the image too.
    """
    code, _, err = start("-v", *arguments, entrypoint=["/opt/ssmd/bin/python"]).wait()
    assert code == 0
    assert f"import '{module}'" in err
    assert [line for line in err.splitlines() if re.match(r"# code object from /.+[.]py$", line)] == []


def test_a_stop_that_comes_before_the_run_is_not_lost(start):
    """For the first process of a container the kernel ignores SIGTERM unless there is a handler."""
    code = "import ssmd.__main__, time; print('started', flush=True); time.sleep(60)"
    container = start(code, entrypoint=["/opt/ssmd/bin/python", "-c"])
    assert container.process.stdout.readline() == "started\n"
    container.signal("TERM")
    assert container.wait()[0] == 128 + signal.SIGTERM
