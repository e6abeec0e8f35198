"""The names of an environment's key fields are checked for its exchange, without looking for their values."""

from __future__ import annotations

from datetime import date

import pytest

from ssmd import wiring
from ssmd.metadata.loader import check

TODAY = date(2026, 3, 1)
ENVIRONMENT = "name: x\nfeed: x\nstorage: {type: local, path: data}\ndata_timeout_seconds: 60\n"
KEY = "{{type: {}, fields: [{}], source: env}}"
RIGHT = KEY.format("api_key", "api_key, api_secret")


def problems(
    folder, keys: str, endpoint: str = "wss://example.com/ws", exchange: str = "kalshi", version: str = ""
) -> list[str]:
    """The problems of an environment with these keys, without the name of the file; `version` has further fields."""
    for name in ("environments", "feeds"):
        (folder / name).mkdir(exist_ok=True)
    version = f"{{version: v1, effective_from: 2025-01-01, endpoint: '{endpoint}', exchange: {exchange}{version}}}"
    (folder / "feeds/x.yaml").write_text(f"name: x\ntype: websocket\nversions: [{version}]\n")
    (folder / "environments/x.yaml").write_text(f"{ENVIRONMENT}{keys}\n")
    found = check(folder, TODAY, wiring.parts()).problems
    return [
        f"{'warning' if problem.warning else 'error'}{' (lenient)' if problem.lenient else ''}: "
        f"{problem.field}: {problem.message}"
        for problem in found
    ]


def test_valid_key_fields_have_no_problem(tmp_path):
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}") == []
    two = f"{{id: {KEY.format('api_key', 'api_key')}, secret: {KEY.format('api_key', 'private_key')}}}"
    assert problems(tmp_path, f"keys: {two}") == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "api_key, api_secrt",
            ["error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?"],
        ),
        (
            "id, secret",
            [
                "warning: keys.one.fields[0]: is not a key field of Kalshi, and has no effect; remove it",
                "error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?",
                "error: keys.one.fields: Kalshi signs every connection; a key of the type api_key must have `api_key` "
                "(the key's id) in `fields`",
            ],
        ),
        (
            "api_key, api_secret, passphrase",
            ["warning: keys.one.fields[2]: is not a key field of Kalshi, and has no effect; remove it"],
        ),
        (
            "api_key, api_secret, private_key",
            ["error: keys.one.fields[2]: is another name of `api_secret`; keep one of the two"],
        ),
    ],
)
def test_wrong_fields_are_found_without_looking_for_the_values(tmp_path, fields, expected):
    assert problems(tmp_path, f"keys: {{one: {KEY.format('api_key', fields)}}}") == expected


@pytest.mark.parametrize("keys", ["", "keys:", f"keys: {{one: {KEY.format('oauth', 'api_key, api_secret')}}}"])
def test_an_environment_without_the_keys_that_its_exchange_demands_is_an_error(tmp_path, keys):
    assert problems(tmp_path, keys)[-1] == (
        "error: keys: Kalshi signs every connection; a key of the type api_key must have `api_key` (the key's id) and "
        "`api_secret` (its private key) in `fields`"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [(("type: api_key", "type: api-key"), "type"), (("source: env", "source: 5, rotation_days: x"), "rotation_days")],
)
def test_the_fields_are_checked_whatever_else_is_wrong_with_the_key(tmp_path, change, field):
    key = KEY.format("api_key", "api_key, api_secrt").replace(*change)
    found = problems(tmp_path, f"keys: {{one: {key}}}")
    assert f"error: keys.one.{field}: " in "".join(found)
    assert "error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?" in found


def test_two_keys_of_one_type_may_not_share_a_field(tmp_path):
    assert problems(tmp_path, f"keys: {{one: {RIGHT}, two: {KEY.format('api_key', 'api_key')}}}") == [
        "error: keys.two.fields[0]: `api_key` is also a field of the key `one`, which has the same type; give each its "
        "own name, or remove one of the keys"
    ]
    other = KEY.format("nats", "api_key")
    assert [line for line in problems(tmp_path, f"keys: {{one: {RIGHT}, two: {other}}}") if "error" in line] == []


def test_a_key_of_an_unknown_type_is_a_warning_and_a_misspelt_type_is_an_error(tmp_path):
    for kind in ("nats", "oauth"):
        assert problems(tmp_path, f"keys: {{one: {RIGHT}, two: {KEY.format(kind, 'x')}}}") == [
            "warning (lenient): keys.two.type: has no effect in this version: only keys of the type api_key are used"
        ]
    found = problems(tmp_path, f"keys: {{one: {KEY.format('api-key', 'api_key, api_secret')}}}")
    assert found[0] == "error: keys.one.type: is not a type that ssmd knows; did you mean `api_key`?"
    assert problems(tmp_path, f"keys: {{one: {KEY.format('', 'api_key, api_secret')}}}") == [
        "error: keys.one.type: is required; add it"
    ]


@pytest.mark.parametrize(
    ("endpoint", "exchange", "message"),
    [
        ("wss://example.com", "generic", "have no effect in this version: the generic dialect does not sign"),
        ("sim://kalshi", "kalshi", "have no effect on this feed, whose exchange is simulated"),
    ],
)
def test_keys_that_nobody_uses_are_a_warning(tmp_path, endpoint, exchange, message):
    expected = [f"warning (lenient): keys.one.fields: {message}"]
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}", endpoint, exchange) == expected
    assert problems(tmp_path, "", endpoint, exchange) == []


def test_a_simulated_exchange_needs_its_own_dialect(tmp_path):
    assert problems(tmp_path, "", "sim://kalshi", "generic")[-1:] == [
        "error: versions[0].endpoint: simulates kalshi, and the feed's dialect is `generic`; set `exchange: kalshi` "
        "beside it"
    ]
    assert [line for line in problems(tmp_path, "", "sim://kalshi", "kalshy") if "simulates" in line] == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("auth_method: api_key", "the dialect `generic` demands no keys, and does not sign"),
        ("max_symbols_per_connection: 5", "the exchange's dialect does not know markets"),
    ],
)
def test_a_field_of_a_feed_that_its_dialect_does_not_heed_is_a_warning(tmp_path, field, message):
    name = field.partition(":")[0]
    found = problems(tmp_path, "", exchange="generic", version=f", {field}")
    assert found == [f"warning (lenient): versions[0].{name}: has no effect in this version: {message}"]
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}", version=f", {field}") == []
