"""Patches before anything else is imported, as `python -m ssmd` does; then what every test shares."""

from gevent import monkey

monkey.patch_all()

import os
import weakref
from collections.abc import Iterator

import gevent
import hypothesis
import pytest
from prometheus_client import CollectorRegistry

from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import Status

pytest_plugins = ["abilities"]

TEST_SECONDS = 120
"""Several times what the longest takes, since a busy machine takes that too."""
MOST_DESCRIPTORS = 200

# How long an example takes is the machine's affair; what takes too long meets the deadline of its test. A test that
# names a health check of its own would have the other back, so that of the folder that examples share is here too.
_checks = hypothesis.HealthCheck
hypothesis.settings.register_profile(
    "ssmd", deadline=None, suppress_health_check=[_checks.too_slow, _checks.function_scoped_fixture]
)
# The same examples each time, so that the outcome never depends on luck: bin/test without arguments takes this one.
hypothesis.settings.register_profile(
    "ssmd-same-examples", hypothesis.settings.get_profile("ssmd"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ssmd")


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """A test that hangs fails instead, with a traceback of where it hung."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield


_spawned: weakref.WeakSet[gevent.Greenlet] = weakref.WeakSet()
gevent.Greenlet.add_spawn_callback(_spawned.add)


@pytest.fixture(autouse=True)
def _no_greenlet_left_behind() -> Iterator[None]:
    """What a test has started must have ended when it ends, or it would work on during the next."""
    before = _running()
    yield
    with gevent.Timeout(5, False):
        while _running() - before:
            gevent.sleep(0.01)
    assert not _running() - before


@pytest.fixture(autouse=True)
def _no_descriptors_pile_up() -> Iterator[None]:
    """A test, or what it tests, that leaves them open fails here, not a later one whose select() knows 1,024."""
    yield
    assert len(os.listdir("/proc/self/fd")) < MOST_DESCRIPTORS


def _running() -> set[gevent.Greenlet]:
    return {greenlet for greenlet in _spawned if not greenlet.dead}


@pytest.fixture
def status() -> Status:
    return Status()


@pytest.fixture
def metrics(status: Status) -> Metrics:
    return Metrics(CollectorRegistry(), "kalshi", status)
