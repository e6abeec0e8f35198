"""Fixtures of the tests of engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from s3_server import S3Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with an empty bucket, for all tests of a file."""
    from s3_server import S3Server  # The tests of the other engines need no client of S3.

    server = S3Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()
