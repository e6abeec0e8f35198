"""Several keys are looked up together: in one time, with one login, and what cannot be found is said of each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import pytest

from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.metadata.keys import KeySpec
from ssmd.resolver import RESOLVERS
from ssmd.resolver.lookup import SECONDS, KeyWarning, LookedUp, Lookup, gravest


def spec(source: str, *fields: str, kind: str = "api_key", required: bool = True) -> KeySpec:
    return KeySpec(type=kind, fields=fields or ("a",), source=source, required=required)


class Toy:
    """A resolver whose sources say what becomes of a key; it counts how often it was made."""

    made: ClassVar[list[float]] = []

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        Toy.made.append(until)

    def resolve(self, key: KeySource) -> Found:
        outcome = key.source.removeprefix("toy:")
        if outcome == "down":
            raise SourceUnavailable("it is down")
        if outcome == "wrong":
            raise ResolveError("it is wrong")
        return Found(dict.fromkeys(key.fields, outcome), 7.0)


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Toy, "made", [])
    monkeypatch.setitem(RESOLVERS, "toy", Toy)


def test_values_are_found_by_type_and_keys_by_name() -> None:
    keys = {
        "one": spec("toy:1", "a", "b"),
        "two": spec("toy:2", "c"),
        "three": spec("toy:3", kind="nats"),
        "four": spec("env:A"),
    }
    assert Lookup({"A": "4"}).look_up(keys) == LookedUp(
        values={"api_key": {"a": "4", "b": "1", "c": "2"}, "nats": {"a": "3"}},
        found={
            "one": Found({"a": "1", "b": "1"}, 7.0),
            "two": Found({"c": "2"}, 7.0),
            "three": Found({"a": "3"}, 7.0),
            "four": Found({"a": "4"}),
        },
    )


def test_a_key_that_is_not_required_may_be_missing_and_an_outage_is_reported() -> None:
    keys = {
        "needed": spec("toy:wrong"),
        "down": spec("toy:down"),
        "absent": spec("env:NONE", required=False),
        "unknown": spec("toy:down", required=False),
        "refused": spec("toy:wrong", required=False),
    }
    result = Lookup({}).look_up(keys)
    assert {name: str(each) for name, each in result.missing.items()} == {"needed": "it is wrong", "down": "it is down"}
    assert result.warnings == [
        KeyWarning("unknown", "is not used, because it is not required: it is down"),
        KeyWarning("refused", "is not used, because it is not required: it is wrong"),
    ]
    assert gravest(result.missing) is ResolveError
    assert gravest({"down": result.missing["down"]}) is SourceUnavailable


def test_one_resolver_and_one_time_serve_all_keys_of_a_lookup() -> None:
    begin = time.monotonic()
    lookup = Lookup({})
    lookup.look_up({"one": spec("toy:1"), "two": spec("toy:2")})
    lookup.look_up({"three": spec("toy:3")})
    [until] = Toy.made
    assert begin + SECONDS <= until <= time.monotonic() + SECONDS


def test_a_source_that_takes_all_the_time_leaves_none_to_the_next() -> None:
    keys = {"one": spec("exec:sleep 600"), "two": spec("exec:sleep 601")}
    begin = time.monotonic()
    result = Lookup({"PATH": "/usr/bin:/bin"}, seconds=1.0).look_up(keys)
    assert time.monotonic() - begin >= 1.0
    assert set(result.missing) == {"one", "two"}
    assert gravest(result.missing) is SourceUnavailable


@pytest.mark.parametrize("character", ["\\u0000", "\\ud800"])
def test_a_value_that_no_process_can_be_given_is_refused(character: str) -> None:
    """Such a value ended the greenlet that starts the uploader, with a traceback."""
    source = f"""exec:printf '%s' '{{"a":"CANARY{character}"}}'"""
    for required in (True, False):
        result = Lookup({"PATH": "/usr/bin:/bin"}).look_up({"one": spec(source, kind="s3", required=required)})
        assert result.values == {}
        text = "`a` has a character that no key has: NUL, or half a surrogate pair"
        assert [str(each) for each in result.missing.values()] == required * [text]
        expected = KeyWarning("one", f"is not used, because it is not required: {text}")
        assert result.warnings == (not required) * [expected]
