"""The fixtures of the tests with a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a file: it takes a second to start."""
    with Browser() as browser:
        yield browser
