"""Which markets a subscription follows."""

from __future__ import annotations

import pytest

from ssmd.exchange.kalshi.follow.matcher import Matcher
from ssmd.exchange.kalshi.follow.section import read_follow

COMBO = "KXMVESPORTS-S1-2"


@pytest.mark.parametrize(
    ("value", "names", "follows"),
    [
        ("all", ("KXA-1",), True),
        ("all", (COMBO,), False),
        ({"status": ["open"]}, ("KXA-1",), True),
        ({"tickers": ["KXHIGHNY-*"]}, ("KXHIGHNY-26DEC31-T50",), True),
        ({"tickers": ["KXHIGHNY-*"]}, ("KXHIGHNYX-26DEC31-T50",), False),
        ({"tickers": ["*-T69499.99"]}, ("KXBTCD-26MAR1213-T69499.99",), True),
        ({"tickers": ["*-T69499.99"]}, ("KXBTCD-26MAR1213-T69499x99",), False),
        ({"tickers": ["KXA-1"]}, ("KXA-1",), True),
        ({"tickers": ["KXA-1"]}, ("KXA-12",), False),
        ({"tickers": ["KX*"]}, (COMBO,), False),
        ({"tickers": ["KXMVE*"]}, (COMBO,), True),
        ({"series": ["KXBTC"]}, ("KXBTC-26-T1",), None),
        ({"series": ["KXBTC"]}, ("KXBTC-26-T1", "KXBTC-26", ""), None),
        ({"series": ["KXBTC"]}, ("KXBTC-26-T1", "KXBTC-26", "KXBTC"), True),
        ({"series": ["KXBTC"]}, ("KXBTC-26-T1", "KXBTC-26", "KXBTC-26"), False),
        ({"events": ["KXBTC-26"]}, ("KXBTC-26-T1",), None),
        ({"events": ["KXBTC-26"]}, ("KXBTC-26-T1", "KXBTC-26"), True),
        ({"events": ["KXBTC-26"]}, ("KXBTC-26-T1", "KXBTC-27"), False),
        ({"events": ["KXBTC-26"], "series": ["KXETH"]}, ("KXBTC-26-T1", "KXBTC-27"), None),
        ({"series": ["KXBTC"], "tickers": ["*-T1"]}, ("KXBTC-26-T1",), True),
    ],
)
def test_a_market_is_followed_by_its_names(value, names, follows):
    assert Matcher(read_follow(value)).follows(*names) is follows


def test_many_wildcards_take_no_time():
    pattern = "*A" * 30 + "-B"
    assert Matcher(read_follow({"tickers": [pattern]})).follows("A" * 60 + "-C") is False
