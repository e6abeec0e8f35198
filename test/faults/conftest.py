"""What the fault tests share."""

from collections.abc import Iterator

import gevent
import pytest

TEST_SECONDS = 240


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Longer than that of the other tests: these go many rounds."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield
