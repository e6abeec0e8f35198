"""Patches first, as `python -m ssmd` does, then the settings and fixtures of all tests."""

from gevent import monkey

monkey.patch_all()

import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
import hypothesis
import pytest
from patience import PATIENCE
from prometheus_client import CollectorRegistry

from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import Status

if TYPE_CHECKING:
    from exchange_server import Authority

pytest_plugins = ["abilities", "recorded_runs", "writer_runs"]

TEST_SECONDS = 1.5 * PATIENCE
"""Longer than each single wait of a test, which says what has not come. Many times what the longest test takes."""
MOST_DESCRIPTORS = 200

# How long an example takes depends on the machine; a test that takes too long meets its own deadline. A test that sets
# `suppress_health_check` itself replaces this list, so the check of fixtures that examples share is here too.
_checks = hypothesis.HealthCheck
hypothesis.settings.register_profile(
    "ssmd", deadline=None, suppress_health_check=[_checks.too_slow, _checks.function_scoped_fixture]
)
# bin/test without arguments uses this one: the same examples each time, so that the result does not depend on luck.
hypothesis.settings.register_profile(
    "ssmd-same-examples", hypothesis.settings.get_profile("ssmd"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ssmd")


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Let a test that hangs fail, with a traceback of where it hangs."""
    # Not a TimeoutError, which the code under test handles.
    with gevent.Timeout(TEST_SECONDS, AssertionError(f"the test took longer than {TEST_SECONDS} s")):
        yield


_spawned: weakref.WeakSet[gevent.Greenlet] = weakref.WeakSet()
gevent.Greenlet.add_spawn_callback(_spawned.add)


@pytest.fixture(autouse=True)
def _no_greenlet_left_behind() -> Iterator[None]:
    """Fail a test whose greenlets have not ended when it ends: they would run on during the next test."""
    before = _running()
    yield
    with gevent.Timeout(5, False):
        while _running() - before:
            gevent.sleep(0.01)
    assert not _running() - before


@pytest.fixture(autouse=True)
def _no_descriptors_pile_up() -> Iterator[None]:
    """Fail the test that leaves descriptors open, before a later test fails because select() allows only 1,024."""
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


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Authority":
    """The only authority that this process trusts."""
    from exchange_server import Authority  # Most tests need no certificates, which take a while to import.

    monkeypatch.delenv("WEBSOCKET_CLIENT_CA_BUNDLE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    return authority
