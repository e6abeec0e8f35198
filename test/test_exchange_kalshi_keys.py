"""Kalshi's key fields: which names they have, and which values they may have."""

from __future__ import annotations

import pytest
from process import KEYS

from ssmd.errors import ConfigError
from ssmd.exchange.kalshi.keys import problems_of_fields, read_key_id, read_keys

ID, PEM = KEYS["KALSHI_API_KEY"], KEYS["KALSHI_API_SECRET"]


@pytest.mark.parametrize("name", ["api_secret", "private_key"])
def test_the_private_key_has_two_names(name):
    key_id, private = read_keys({"api_key": ID, name: PEM})
    assert key_id == ID
    assert private.sign
    assert list(problems_of_fields(["api_key", name])) == []
    # An empty value is none, so that the other name counts.
    assert read_keys({"api_key": ID, "api_secret": " ", "private_key": PEM})[0] == ID


@pytest.mark.parametrize("text", [f'"{ID}"', f"'{ID}'", f" {ID}\r\n", f'" {ID} "\n'])
def test_white_space_and_quotes_around_the_key_id_are_not_part_of_it(text):
    assert read_key_id(text) == ID


@pytest.mark.parametrize("text", ['""', "canary\nid", "canary-" + "x" * 60, "canary-é", "/canary/id", "~/canary"])
def test_what_cannot_be_a_key_id_is_refused_and_not_shown(text):
    with pytest.raises(ConfigError, match="key id") as refused:
        read_key_id(text)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [({}, "api_key and api_secret"), ({"api_key": ID}, "api_secret"), ({"private_key": PEM}, "api_key")],
)
def test_a_missing_value_is_named(keys, expected):
    with pytest.raises(ConfigError) as refused:
        read_keys(keys)
    assert str(refused.value) == f"Kalshi signs every connection; give a value to {expected}"
