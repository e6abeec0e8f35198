"""The signature is checked as Kalshi checks it, and each mistake is answered with 401 and its reason."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sim_client import CREDENTIALS, ED_KEY, ED_KEY_ID, KEY_ID, PATH, headers, sign

from ssmd.sim.handshake import SKEW_MS, verify

NOW = 1_790_000_000_000


def reason(signed: dict[str, str], path: str = PATH) -> str | None:
    refused = verify(signed, path, NOW, CREDENTIALS)
    if refused is None:
        return None
    assert refused.status == 401
    error = json.loads(refused.body)["error"]
    return str(error["details"])


@pytest.mark.parametrize("path", [PATH, PATH + "?token=1"])
@pytest.mark.parametrize("skew", [0, -SKEW_MS, SKEW_MS])
def test_a_good_signature_is_accepted(path: str, skew: int) -> None:
    assert reason(headers(NOW + skew), path) is None
    assert reason(headers(NOW + skew, ED_KEY_ID, ED_KEY), path) is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"KALSHI-ACCESS-KEY": ""}, "MISSING_KALSHI_ACCESS_KEY"),
        ({"KALSHI-ACCESS-TIMESTAMP": ""}, "MISSING_KALSHI_ACCESS_TIMESTAMP"),
        ({"KALSHI-ACCESS-SIGNATURE": ""}, "MISSING_KALSHI_ACCESS_SIGNATURE"),
        ({"KALSHI-ACCESS-KEY": "somebody"}, "NOT_FOUND"),
        ({"KALSHI-ACCESS-TIMESTAMP": "noon"}, "INVALID_TIMESTAMP"),
        ({"KALSHI-ACCESS-TIMESTAMP": "9" * 5000}, "INVALID_TIMESTAMP"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW + 1)}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-TIMESTAMP": str(NOW // 1000)}, "HEADER_TIMESTAMP_EXPIRED"),
        ({"KALSHI-ACCESS-SIGNATURE": "not base64!"}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": "AAAA"}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": sign(f"{NOW}POST{PATH}")}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": sign(f"{NOW}GET{PATH}/margin")}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": sign(f"{NOW}GET{PATH}", salt=20)}, "INCORRECT_API_KEY_SIGNATURE"),
        ({"KALSHI-ACCESS-SIGNATURE": sign(f"{NOW}GET{PATH}", ED_KEY)}, "INCORRECT_API_KEY_SIGNATURE"),
    ],
)
def test_each_mistake_has_its_reason(change: dict[str, str], expected: str) -> None:
    assert reason(headers(NOW) | change) == expected


@pytest.mark.parametrize("skew", [-SKEW_MS - 1, SKEW_MS + 1])
def test_a_stale_timestamp_has_its_own_code(skew: int) -> None:
    refused = verify(headers(NOW + skew), PATH, NOW, CREDENTIALS)
    assert refused is not None
    assert json.loads(refused.body)["error"]["code"] == "header_timestamp_expired"


def test_the_signature_of_another_key_is_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert reason(headers(NOW, KEY_ID, other)) == "INCORRECT_API_KEY_SIGNATURE"
