"""Which placeholders a description, an endpoint and an environment's messages have, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ssmd.exchange.generic.description import Description
from ssmd.exchange.generic.template import KEY, Placeholder, placeholders_of

__all__ = ["key_fields", "placeholders_in"]


def placeholders_in(description: Description, endpoint: str, subscribe: Any) -> Iterator[tuple[str, Placeholder]]:
    """Yield each placeholder with its place for people, such as `subscribe.messages[0]`."""
    places: list[tuple[str, Any]] = [("the feed's endpoint", endpoint)]
    if prepare := description.prepare:
        places.append(("dialect.prepare of the feed", [prepare.url, dict(prepare.headers), prepare.body]))
    places += [(f"dialect.headers.{name} of the feed", value) for name, value in description.headers.items()]
    for name in ("keep_alive", "replies"):
        sent = [each.send for each in getattr(description, name)]
        places += [(f"dialect.{name}[{index}].send of the feed", each) for index, each in enumerate(sent)]
    for name in ("messages", "requests") if isinstance(subscribe, dict) else ():
        given = subscribe.get(name)
        for index, message in enumerate(given if isinstance(given, list) else ()):
            places.append((f"subscribe.{name}[{index}]", message))
    for place, value in places:
        for placeholder in placeholders_of(value):
            yield place, placeholder


def key_fields(description: Description, endpoint: str, subscribe: Any) -> dict[str, str]:
    """Return the key fields that are used, each with the first place that uses it."""
    found: dict[str, str] = {}
    for place, placeholder in placeholders_in(description, endpoint, subscribe):
        if placeholder.kind == KEY:
            found.setdefault(placeholder.name, place)
    return found
