"""How much /status shows by default, and on which addresses."""

import pytest

from ssmd.commands.listen import parse_page
from ssmd.errors import UsageError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_an_address_that_only_this_host_can_reach_everything_is_shown(host):
    assert parse_page(None, {}, host) == "full"
    assert parse_page("off", {}, host) == "off"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "192.168.1.1", "example.com", "localhost.example.com"])
def test_on_any_other_address_no_market_is_named_unless_that_is_asked_for(host):
    assert parse_page(None, {}, host) == "status"
    assert parse_page("full", {}, host) == "full"


@pytest.mark.parametrize("text", ["", "on", "FULL", "full "])
def test_an_unknown_level_is_wrong_usage(text):
    with pytest.raises(UsageError, match="it may be off, status, full"):
        parse_page(text, {}, "127.0.0.1")


def test_the_variable_counts_when_the_option_is_not_given():
    assert parse_page(None, {"SSMD_PAGE": "off"}, "127.0.0.1") == "off"
    assert parse_page("status", {"SSMD_PAGE": "off"}, "127.0.0.1") == "status"
    assert parse_page(None, {"SSMD_PAGE": ""}, "127.0.0.1") == "full"


@pytest.mark.parametrize("text", ["on", "FULL", " "])
def test_an_unknown_level_in_the_variable_is_wrong_usage(text):
    with pytest.raises(UsageError, match=f"^SSMD_PAGE is '{text}'; it may be off, status, full$"):
        parse_page(None, {"SSMD_PAGE": text}, "127.0.0.1")
