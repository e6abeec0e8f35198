"""The fields of the transport `mqtt`."""

from __future__ import annotations

import pytest
from metadata_texts import ENVIRONMENT

from ssmd import wiring
from ssmd.metadata.document import parse
from ssmd.metadata.model import Environment
from ssmd.metadata.validation import validate
from ssmd.shipping.mqtt.transport import address_of


def problems(**fields: str) -> list[str]:
    section = "".join(f", {name}: '{value}'" for name, value in fields.items())
    document = parse(f"{ENVIRONMENT}transport: {{type: mqtt{section}}}\n".encode(), "x")
    found = validate(document, Environment, wiring.parts().of_environment(document.data)).problems
    return [f"{problem.field}: {problem.message}" for problem in found]


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("mqtt://broker", ("broker", 1883, False), "broker:1883"),
        ("mqtts://broker.example", ("broker.example", 8883, True), "broker.example:8883"),
        ("mqtt://10.0.0.7:2000", ("10.0.0.7", 2000, False), "10.0.0.7:2000"),
        ("mqtts://[::1]:2000", ("::1", 2000, True), "[::1]:2000"),
    ],
)
def test_addresses(url, address, shown):
    assert (address_of(url), str(address_of(url))) == (address, shown)
    assert problems(url=url) == []


@pytest.mark.parametrize(
    "url", ["broker:1883", "tcp://broker:1883", "mqtt://a,b", "mqtt://a:0", "mqtt://a:65536", "mqtt://a/b"]
)
def test_what_is_no_address_of_a_broker(url):
    assert problems(url=url) == [
        f"transport.url: `{url}` is not the address of a broker; write one such as `mqtt://broker:1883`, with TLS "
        "`mqtts://broker:8883`"
    ]


def test_a_prefix_has_words_with_slashes_between():
    assert problems(url="mqtt://a", subject_prefix="site-1/feeds") == []
    for wrong in ("a/+/b", "/a", "a b", "$a"):
        (problem,) = problems(url="mqtt://a", subject_prefix=wrong)
        assert problem.startswith(f"transport.subject_prefix: `{wrong}` ")


def test_a_file_of_authorities_is_for_tls():
    assert problems(url="mqtts://a", ca_file="ca.pem") == []
    assert problems(url="mqtt://a", ca_file="ca.pem") == [
        "transport.ca_file: is for TLS, so the url must begin with `mqtts://`"
    ]
