"""The fields of the transport `kafka`."""

from __future__ import annotations

import pytest
from metadata_texts import ENVIRONMENT

from ssmd import wiring
from ssmd.metadata.document import parse
from ssmd.metadata.model import Environment
from ssmd.metadata.validation import validate
from ssmd.shipping.kafka.transport import KafkaConfig, is_tls, servers_of


def problems(**fields: str) -> list[str]:
    section = "".join(f", {name}: '{value}'" for name, value in fields.items())
    document = parse(f"{ENVIRONMENT}transport: {{type: kafka{section}}}\n".encode(), "x")
    found = validate(document, Environment, wiring.parts().of_environment(document.data)).problems
    return [f"{problem.field}: {problem.message}" for problem in found]


@pytest.mark.parametrize(
    "url", ["kafka://localhost:9092", "kafka+ssl://a-1.example:9093,10.0.0.7:9093", "kafka://[::1]:9092,[fe80::1]:9092"]
)
def test_addresses_of_brokers(url):
    assert problems(url=url) == []


@pytest.mark.parametrize(
    "url", ["localhost:9092", "kafka://localhost", "kafka://a:9092/", "kafka://a:9092,", "kafka://a:9092, b:9092", "http://a:1"]
)
def test_what_is_no_address_of_a_broker(url):
    (problem,) = problems(url=url)
    assert problem.startswith(f"transport.url: `{url}` is not a list of brokers; write `kafka://`")


@pytest.mark.parametrize("topic", ["a/b", "..", ".", "x" * 241, "a b"])
def test_what_is_no_name_of_a_topic(topic):
    (problem,) = problems(url="kafka://a:1", topic=topic)
    assert "is no valid topic" in problem


def test_the_mechanisms_of_sasl():
    assert problems(url="kafka://a:1", sasl_mechanism="SCRAM-SHA-512") == []
    (problem,) = problems(url="kafka://a:1", sasl_mechanism="OAUTH")
    assert "SCRAM-SHA-256" in problem


def test_a_file_of_authorities_is_for_tls():
    assert problems(url="kafka+ssl://a:1", ca_file="ca.pem") == []
    assert problems(url="kafka://a:1", ca_file="ca.pem") == [
        "transport.ca_file: is for TLS, so the url must begin with `kafka+ssl://`"
    ]


def test_the_parts_of_a_url():
    assert servers_of("kafka+ssl://a:1,b:2") == "a:1,b:2"
    assert is_tls("kafka+ssl://a:1")
    assert not is_tls("kafka://a:1")


def test_the_topic_is_named_after_the_environment_and_the_feed_by_default():
    assert KafkaConfig(type="kafka", url="kafka://a:1").topic is None
