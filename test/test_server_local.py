"""Which addresses and names mean this host alone."""

from __future__ import annotations

import pytest

from ssmd.server.local import is_loopback, names_this_host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LocalHost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com", ""])
def test_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("field", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", ""])
def test_these_fields_name_this_host(field):
    assert names_this_host(field)


@pytest.mark.parametrize(
    "field",
    ["evil.example:8080", "evil.example", "localhost.evil.example:8080", "10.0.0.1:80", "[::2]:1", "a:b:c", ":80"],
)
def test_these_fields_do_not(field):
    assert not names_this_host(field)
