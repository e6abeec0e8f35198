"""What the tests of what is deployed share."""

from collections.abc import Iterator

import gevent
import pytest

TEST_SECONDS = 240


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Longer than that of the other tests: the tools take their time."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield
