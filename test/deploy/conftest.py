"""Fixtures of the tests of deploy/."""

import shutil
from collections.abc import Iterator

import gevent
import pytest
from monitoring import Monitored, monitor

TEST_SECONDS = 240


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """A longer time limit than that of the other tests, because the tools are slow."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield


@pytest.fixture(scope="session")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """A Prometheus with the rules of deploy/, its minutes shortened, and collectors in trouble of all kinds."""
    if shutil.which("prometheus") is None:
        pytest.skip("needs prometheus")
    with monitor(tmp_path_factory.mktemp("monitored")) as monitored:
        yield monitored
