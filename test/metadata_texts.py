"""Small metadata files, and what the models make of them."""

from __future__ import annotations

import re

from ssmd import wiring
from ssmd.metadata.document import parse
from ssmd.metadata.model import Environment, Feed, Schema
from ssmd.metadata.validation import Validated, validate

FEED = """\
name: kalshi
type: websocket
versions:
  - version: v1
    effective_from: 2025-12-22
    endpoint: wss://example.com/ws
"""
ENVIRONMENT = """\
name: kalshi-dev
feed: kalshi
storage: {type: local, path: data}
"""
KEYS = """\
keys:
  kalshi:
    type: api_key
    fields: [api_key, api_secret]
    source: %s
"""
SCHEMA = """\
name: trade
format: capnp
schema_file: trade.capnp
versions:
  - version: v1
    effective_from: 2025-12-22
"""


PARTS = wiring.parts()
SECTIONS = {Environment: PARTS.of_environment, Feed: PARTS.of_feed, Schema: lambda data: {}}
MISSPELT = re.compile(r"ssmd does not know this key(; did you mean `\w+`\?| here, so .*)")
"""Of a key that is misspelt, or in the wrong place."""


def validated(model, text) -> Validated:
    document = parse(text.encode(), "x")
    return validate(document, model, SECTIONS[model](document.data))


def load(model, text):
    instance, _, problems = validated(model, text)
    assert [str(problem) for problem in problems] == []
    return instance


def section(model, text, *path):
    """A part's own configuration, from its section of a text."""
    _, sections, problems = validated(model, text)
    assert [str(problem) for problem in problems] == []
    return sections[path]


def reported(model, text) -> list[str]:
    """The problems of a text, in order, without the name of its file."""
    instance, _, problems = validated(model, text)
    misspelt = [problem for problem in problems if MISSPELT.fullmatch(problem.message)]
    errors = [problem for problem in problems if not problem.warning]
    assert set(misspelt) <= set(errors)
    # A misspelt key is no reason not to check the rest.
    assert (instance is None) == (set(errors) > set(misspelt))
    return [str(problem).removeprefix("x:") for problem in problems]


def without_effect(model, text) -> list[str]:
    """The fields of a text that are reported to have no effect; it must have no other problem."""
    instance, _, problems = validated(model, text)
    assert instance is not None
    for problem in problems:
        assert (problem.warning, problem.lenient) == (True, True)
        assert "has no effect" in problem.message
    return [problem.field for problem in problems]


def version(extra: str) -> str:
    return FEED + f"    {extra}\n"


def two_versions(first: str, second: str, extra: str = "") -> str:
    head = FEED.partition("versions")[0]
    return f"{head}{extra}versions:\n" + "".join(
        f"- {{version: {label}, effective_from: {day}, endpoint: {url}}}\n"
        for label, day, url in (first.split(), second.split())
    )
