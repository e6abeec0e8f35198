"""Where Kalshi's REST interface is, and requests to it."""

from __future__ import annotations

import pytest

from ssmd.exchange.kalshi.follow.endpoint import Requests, rest_endpoint_of


@pytest.mark.parametrize(
    ("endpoint", "rest"),
    [
        ("wss://external-api-ws.kalshi.com/trade-api/ws/v2", "https://external-api.kalshi.com/trade-api/v2"),
        ("wss://api.elections.kalshi.com/trade-api/ws/v2", "https://api.elections.kalshi.com/trade-api/v2"),
        ("wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2", "https://external-api.demo.kalshi.co/trade-api/v2"),
        ("wss://demo-api.kalshi.co/trade-api/ws/v2", "https://demo-api.kalshi.co/trade-api/v2"),
        ("ws://127.0.0.1:8765/trade-api/ws/v2", "http://127.0.0.1:8765/trade-api/v2"),
        ("ws://[::1]:8765/trade-api/ws/v2", "http://[::1]:8765/trade-api/v2"),
        ("wss://localhost:8765/x", "https://localhost:8765/trade-api/v2"),
        ("ws://user:secret@localhost:1/x", "http://localhost:1/trade-api/v2"),
        ("wss://exchange.example/trade-api/ws/v2", ""),
        ("ws://demo-api.kalshi.co/trade-api/ws/v2", ""),
        ("wss://[::1/x", ""),
        ("", ""),
    ],
)
def test_the_rest_interface_belongs_to_the_endpoint(endpoint, rest):
    assert rest_endpoint_of(endpoint) == rest


def test_a_request_is_signed_without_its_query():
    signed = []

    def headers(method, path, now_ms):
        signed.append((method, path, now_ms))
        return {"KALSHI-ACCESS-SIGNATURE": "s3cret"}

    request = Requests("https://host.example/trade-api/v2/", headers).get("/markets", {"status": "open", "limit": 5}, 7)
    assert signed == [("GET", "/trade-api/v2/markets", 7)]
    assert request.url == "https://host.example/trade-api/v2/markets?status=open&limit=5"
    assert request.signed
    assert list(request.hidden) == ["s3cret"]
