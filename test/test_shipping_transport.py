"""What the transports of all engines have in common: their fields, their companion, and how their library is loaded."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from metadata_texts import ENVIRONMENT

from ssmd import wiring
from ssmd.contracts.companion import Companion
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import ConfigError
from ssmd.metadata.document import parse
from ssmd.metadata.model import Environment
from ssmd.metadata.sections import Transport
from ssmd.metadata.validation import validate
from ssmd.shipping import TRANSPORTS
from ssmd.shipping.transport import EngineTransport, ServerConfig


@dataclass(frozen=True, kw_only=True)
class ToyConfig(ServerConfig):
    topic: str


class ToyTransport(EngineTransport):
    Config = ToyConfig
    library = "toy-client"
    module = "toy_sink"
    credentials = (("token",),)


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    monkeypatch.setitem(TRANSPORTS, "toy", ToyTransport)


def toy(**fields: Any) -> ToyTransport:
    return ToyTransport(ToyConfig(type="toy", url="toy://host", topic="t", **fields), "here", "my conf")


def problems(**fields: str) -> list[str]:
    return reported("toy", **{"url": "toy://host", "topic": "t", **fields})


def reported(kind: str, **fields: str) -> list[str]:
    section = "".join(f", {name}: '{value}'" for name, value in fields.items())
    document = parse(f"{ENVIRONMENT}transport: {{type: {kind}{section}}}\n".encode(), "x")
    found = validate(document, Environment, wiring.parts().of_environment(document.data)).problems
    return [f"{problem.field}: {problem.message}" for problem in found]


@pytest.mark.parametrize("start", ["today", "now", "oldest", "2026-11-28"])
def test_the_fields_have_defaults_and_values(start):
    assert (toy().config.start, toy().config.relay, toy().config.ca_file) == ("today", "companion", None)
    more = {"start": start, "relay": "external", "ca_file": "/etc/ca.pem"}
    assert problems(**more) == []


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (
            "start",
            "yesterday",
            "transport.start: must be one of today, now, oldest, or a day such as 2025-12-22, not `yesterday`",
        ),
        ("start", "2026-02-30", "transport.start: `2026-02-30` is not a day of the calendar"),
        (
            "relay",
            "extern",
            "transport.relay: must be one of companion, external, not `extern`; did you mean `external`?",
        ),
        (
            "ca_file",
            "~/ca.pem",
            "transport.ca_file: has a `$` or begins with `~`, but neither is replaced here; write the whole path",
        ),
        ("strat", "now", "transport.strat: ssmd does not know this key; did you mean `start`?"),
    ],
)
def test_a_wrong_field_is_an_error_that_names_it(field, value, expected):
    assert problems(**{field: value}) == [expected]


@pytest.mark.parametrize(
    "url", ["toy://me:secret@host", "me:secret@host:1", "host:1,me:secret@host:2", "toy://a,toy://b@c"]
)
def test_a_url_with_a_user_is_an_error_that_does_not_repeat_it(url):
    [problem] = problems(url=url)
    assert problem == (
        "transport.url: has a user in it; write only the address, and put user and password into a key of the engine's "
        "type"
    )


def test_fields_of_engines_have_no_effect_with_memory():
    assert reported("memory", start="now") == ["transport.start: has no effect with `type: memory`"]


def test_the_general_model_knows_the_fields_of_all_engines():
    assert fields(ToyConfig) <= fields(Transport)


def fields(model: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(model)}


def test_the_companion_ships_one_shard_with_the_keys_of_its_engine():
    command = ("ship", "here", "--config-dir", "my conf", "--engine", "toy", "--shard")
    assert toy().companions(WHOLE) == (Companion("ship", (*command, "1/1"), keys=("toy",)),)
    assert toy().companions(Shard(2, 4)) == (Companion("ship", (*command, "2/4"), keys=("toy",)),)


def test_an_external_relay_is_no_companion():
    assert toy(relay="external").companions(WHOLE) == ()


def test_a_missing_library_is_an_error_that_names_both_ways_to_install_it():
    with pytest.raises(ConfigError) as refused:
        toy().open("kalshi", WHOLE, {})
    assert str(refused.value) == (
        "the transport `toy` needs the Python package toy-client, which is not installed; run `bin/extras toy` in a "
        "checkout, and elsewhere `pip install 'ssmd[toy]'`"
    )


def test_it_says_where_messages_go_and_what_has_to_be_installed(monkeypatch):
    assert toy().described() == "toy, url toy://host, topic t"
    lack = toy().lack()
    assert lack is not None
    assert lack.startswith("the transport `toy` needs the Python package toy-client, which is not installed; run")
    monkeypatch.setitem(sys.modules, "toy_sink", ModuleType("toy_sink"))
    assert toy().lack() is None


def test_the_sink_is_made_by_the_module_that_imports_the_library(monkeypatch):
    module = ModuleType("toy_sink")
    module.connect = lambda *arguments: arguments  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_sink", module)
    transport = toy()
    made: Any = transport.open("kalshi", Shard(2, 4), {"token": "t"})
    assert made == (transport.config, "here", "kalshi", Shard(2, 4), {"token": "t"})
