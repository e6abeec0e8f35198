"""What was meant to be a placeholder is reported where a text would be sent as it is."""

from __future__ import annotations

import pytest

from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.generic.parsing.lookalikes import lookalikes_of


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("{message.id}", "${message.id}"),
        ("{{message.id}}", "${message.id}"),
        ("{{ key.token }}", "${key.token}"),
        ("a=$message.data[0].id", "${message.data[0].id}"),
        ("$key.api_key", "${key.api_key}"),
        ("{now_ms}", "${now_ms}"),
        ("$now_s", "${now_s}"),
        ("${now_s} {prepared.token}", "${prepared.token}"),
    ],
)
def test_a_placeholder_with_a_sign_missing_is_found_wherever_it_is(text, meant):
    [(path, doubt)] = lookalikes_of({"a": ["x", text]})
    assert path == ("a", 1)
    assert doubt.endswith(f"which is sent as it is; did you mean `{meant}`?")


@pytest.mark.parametrize(
    "text", ["${message.id}", "$${message.id}", "$now_second", "message.id", "{id}", "$id", "{message}", "{}", "$5"]
)
def test_other_texts_are_left_alone(text):
    assert list(lookalikes_of([text])) == []


def test_one_in_a_message_that_is_sent_is_a_warning_and_one_in_the_endpoint_an_error():
    [found] = Generic().check({"messages": [{"a": "{key.token}"}]})
    assert (found.path, found.warning, found.lenient) == (("messages", 0, "a"), True, False)
    assert found.message == "has `{key.token}`, which is sent as it is; did you mean `${key.token}`?"
    assert Generic().check_endpoint("wss://h/?t={key.token}") == found.message
    assert Generic().check_endpoint("wss://h/?t=${key.token}") is None
