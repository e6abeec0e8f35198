"""The addresses of NATS servers."""

import pytest

from ssmd.shipping.nats.address import Server, servers_of


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("a", [Server("a", 4222, False)]),
        ("nats://a:1, tls://b", [Server("a", 1, False), Server("b", 4222, True)]),
        ("tls://[::1]:7", [Server("::1", 7, True)]),
        ("10.0.0.1:4333/", [Server("10.0.0.1", 4333, False)]),
    ],
)
def test_servers_of_a_list(text, servers):
    assert servers_of(text) == servers


@pytest.mark.parametrize("text", ["", ",", "nats://", "http://a", "a:b", "a:70000", "a?b", "a#b", "u:p@a", "[::1"])
def test_what_is_no_list_of_servers(text):
    with pytest.raises(ValueError, match="has a server"):
        servers_of(text)


def test_a_server_as_a_url_for_the_library():
    assert [server.url for server in servers_of("a,tls://[::1]:7")] == ["nats://a:4222", "tls://[::1]:7"]
