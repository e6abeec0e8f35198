"""The keys of engines: only one of the transport's type has an effect, and its fields are one way to log in."""

from __future__ import annotations

import pytest

from ssmd.metadata.engine_keys import engine_key_problems
from ssmd.metadata.keys import KeySpec

WAYS = (("user", "password"), ("token",))


def problems(engine: str, section: str = "transport", **keys: tuple[str, ...]) -> list[str]:
    specs = {name: KeySpec(type=kind, fields=tuple(fields), source="env") for name, (kind, *fields) in keys.items()}
    found = engine_key_problems(specs, section, engine, WAYS)
    return [
        f"{'warning' if problem.warning else 'error'}{' (lenient)' if problem.lenient else ''} "
        f"{problem.path}: {problem.message}"
        for problem in found
    ]


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"one": ("nats", "token")},
        {"one": ("nats", "password", "user")},
        {"one": ("nats", "user"), "two": ("nats", "password")},
        {"one": ("api_key", "anything"), "two": ("s3", "anything")},
    ],
)
def test_the_fields_of_one_way_to_log_in_are_right(keys):
    assert problems("nats", **keys) == []


@pytest.mark.parametrize("transport", ["memory", "kafka"])
def test_a_key_of_another_engine_has_no_effect_whatever_its_fields_are(transport):
    assert problems(transport, one=("nats", "x")) == [
        f"warning (lenient) ('one', 'type'): has no effect: `transport.type` is `{transport}`, and only a key of that "
        "type is used"
    ]


def test_a_key_for_a_bucket_has_an_effect_where_the_storage_is_one():
    assert problems("s3", "storage", one=("s3", "token"), two=("nats", "x")) == []
    assert problems("local", "storage", one=("s3", "token")) == [
        "warning (lenient) ('one', 'type'): has no effect: `storage.type` is `local`, and only a key of that type is "
        "used"
    ]
    assert problems("s3", "storage", one=("s3", "user")) == [
        "error ('one', 'fields'): are not the fields of one way to log in; the storage `s3` takes `user` and "
        "`password`, or `token`"
    ]


def test_a_field_that_the_engine_does_not_use_is_an_error():
    takes = "it takes `user` and `password`, or `token`"
    assert problems("nats", one=("nats", "tokn")) == [
        "error ('one', 'fields', 0): `tokn` is not a field that the transport `nats` uses; did you mean `token`?"
    ]
    assert problems("nats", one=("nats", "user", "xyz")) == [
        f"error ('one', 'fields', 1): `xyz` is not a field that the transport `nats` uses; {takes}"
    ]


def test_half_of_a_way_to_log_in_and_two_of_them_are_errors():
    message = (
        "are not the fields of one way to log in; the transport `nats` takes `user` and `password`, or `token`"
    )
    assert problems("nats", one=("nats", "user")) == [f"error ('one', 'fields'): {message}"]
    assert problems("nats", one=("nats", "user", "password", "token")) == [f"error ('one', 'fields'): {message}"]
    assert problems("nats", one=("nats", "user"), two=("nats", "token")) == [f"error (): {message}"]
