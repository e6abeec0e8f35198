"""What people may see of an endpoint."""

from __future__ import annotations

import pytest

from ssmd.metadata.shown import shown_endpoint


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("wss://example.com/ws?token=canary", "wss://example.com/ws"),
        ("wss://user:canary@example.com:8443/a/b", "wss://example.com:8443/a/b"),
        ("wss://example.com/${key.token}/ws#canary", "wss://example.com/.../ws"),
        ("wss://example.com/a${key.token}b/ws?x=${key.token}", "wss://example.com/.../ws"),
        ("wss://${key.host}/ws", "wss://.../ws"),
        ("${prepared.endpoint}?token=${prepared.token}", "..."),
        ("sim://kalshi?rate=5", "sim://kalshi"),
    ],
)
def test_an_endpoint_is_shown_without_what_may_be_secret(endpoint, shown):
    assert shown_endpoint(endpoint) == shown
