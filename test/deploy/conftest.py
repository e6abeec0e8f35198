"""Fixtures of the tests of deploy/."""

import shutil
from collections.abc import Iterator

import gevent
import pytest
from abilities import need
from monitoring import Monitored, monitor
from process import ROOT

TEST_SECONDS = 900


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """A longer time limit than that of the other tests, because the tools are slow."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield


@pytest.fixture(scope="session")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A Prometheus with the rules of deploy/, its minutes shortened, and collectors in trouble of all kinds."""
    need("prometheus")
    with monitor(tmp_path_factory.mktemp("monitored")) as monitored:
        yield monitored


@pytest.fixture
def checkout(tmp_path):
    """A checkout after its first use."""
    root = tmp_path / "a checkout"
    root.mkdir()
    for name in ("bin", "ssmd", "conf", "deploy"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", root)
    (root / ".venv").symlink_to(ROOT / ".venv")
    return root
