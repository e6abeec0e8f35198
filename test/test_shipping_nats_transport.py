"""The fields of the transport `nats`."""

from __future__ import annotations

import pytest
from metadata_texts import ENVIRONMENT

from ssmd import wiring
from ssmd.metadata.document import parse
from ssmd.metadata.model import Environment
from ssmd.metadata.validation import validate


def problems(**fields: str) -> list[str]:
    section = "".join(f", {name}: '{value}'" for name, value in {"url": "nats://a", "stream": "S", **fields}.items())
    document = parse(f"{ENVIRONMENT}transport: {{type: nats{section}}}\n".encode(), "x")
    found = validate(document, Environment, wiring.parts().of_environment(document.data)).problems
    return [f"{problem.field}: {problem.message}" for problem in found if not problem.warning]


@pytest.mark.parametrize("url", ["nats://a", "a", "a:4333", "tls://a:1", "nats://a,nats://b:2,c", "[::1]:4222"])
def test_addresses(url):
    assert problems(url=url, subject_prefix="prod.kalshi-1") == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (
            "url",
            "ws://a",
            "transport.url: has a server whose scheme is not `nats` or `tls`; write nats://host:4222 or tls://host:4222",
        ),
        ("url", "nats://a:x", "transport.url: has a server whose port or address cannot be read; write nats://host:4222"),
        (
            "url",
            "nats://a,",
            "transport.url: has a server that is not just a host and a port; write nats://host:4222",
        ),
        (
            "url",
            "nats://a/b",
            "transport.url: has a server that is not just a host and a port; write nats://host:4222",
        ),
        (
            "stream",
            "a.b",
            "transport.stream: `a.b` is no valid stream: it may not have spaces or any of `. * > / \\`",
        ),
        (
            "subject_prefix",
            "a.*",
            "transport.subject_prefix: `a.*` may have letters, digits, `_` and `-` only, and `.` between its parts",
        ),
        (
            "ca_file",
            "/etc/ca.pem",
            "transport.ca_file: is for TLS, so each server in the url must begin with `tls://`",
        ),
    ],
)
def test_a_wrong_field_is_an_error_that_names_it(field, value, expected):
    assert problems(**{field: value}) == [expected]


def test_a_stream_need_not_be_named():
    assert problems(stream="") == []


def test_ways_to_log_in():
    assert wiring.parts().credentials["nats"] == (("user", "password"), ("token",), ("nkey_seed",), ("creds",))
