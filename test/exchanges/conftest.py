"""The deadline of the tests of exchanges."""

from collections.abc import Iterator

import gevent
import pytest

TEST_SECONDS = 240


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """Longer than that of other tests: some of these wait for a rule of an exchange to bite, and for all exchanges."""
    with gevent.Timeout(TEST_SECONDS, TimeoutError(f"the test took longer than {TEST_SECONDS} s")):
        yield
