"""The deadline of the tests of exchanges."""

from collections.abc import Iterator

import gevent
import pytest
from patience import PATIENCE

TEST_SECONDS = 2 * PATIENCE


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Longer than that of other tests: some of these wait until each exchange has ended a connection by its rules."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield
