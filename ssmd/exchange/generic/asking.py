"""Finds out what the messages that ssmd sends ask for, and what an answer of the exchange names. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ssmd.exchange.generic.description import Asking, Match, Pick
from ssmd.exchange.generic.fields import Fields
from ssmd.exchange.generic.match import Matcher
from ssmd.exchange.generic.pick import part_of, text_of
from ssmd.exchange.generic.template import sent
from ssmd.field_path import EVERY, FieldPath, Step, value_at

__all__ = ["EVERYTHING", "LONGEST_ANSWER", "Wish", "decoded", "groups_in", "pairs_in", "value_in", "wishes_of"]

EVERYTHING = "all"
"""The name of the channel when a description does not divide what is asked for into channels."""

LONGEST_ANSWER = 1 << 20
"""Bytes of a message that confirms or refuses something; nothing else happens while one is read. An answer that repeats
ten thousand markets has a third of that."""

Pair = tuple[str, str]
"""A channel and a market; each is empty where it is not named."""


class Wish(NamedTuple):
    """What one message asks for."""

    place: int
    """The index of the message among those that are sent at the beginning."""
    channel: str
    markets: Sequence[str] | None
    """None for all."""


def wishes_of(asking: Asking, messages: Sequence[Any]) -> Iterator[Wish]:
    """Yield what messages ask for, each channel of a message once. They are read before placeholders are filled in."""
    for place in _those_that_ask(asking.when, messages):
        markets: dict[str, dict[str, None]] = {}
        for channel, market in pairs_in(messages[place], asking.channel, asking.market):
            if channel or asking.channel is None:
                names = markets.setdefault(channel or EVERYTHING, {})
                names |= {market: None} if market else {}
        for channel, names in markets.items():
            yield Wish(place, channel, list(names) or None)


def _those_that_ask(when: Match, messages: Sequence[Any]) -> Sequence[int]:
    if not when:
        return range(len(messages))
    fields = Fields()
    matcher = Matcher([when], fields)
    return [found.place for found in matcher.find(fields.read([sent(message) for message in messages]))]


def pairs_in(message: Any, channel: Pick | None, market: Pick | None) -> Iterator[Pair]:
    """Yield the channels and markets that a message names."""
    for channels, markets in groups_in(message, channel, market):
        yield from (pair for pair in itertools.product(channels, markets) if any(pair))


def groups_in(message: Any, channel: Pick | None, market: Pick | None) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the channels that a message names, each time with the markets that go with each of them.

    Where none is named there is the empty name. Two picks that pass the same `[*]` go together, item by item.
    """
    shared = _shared(channel.paths[0].steps, market.paths[0].steps) if channel and market else ()
    for item in _values(message, shared):
        channels, markets = ((_texts(item, pick, shared) if pick else []) or [""] for pick in (channel, market))
        yield channels, markets


def _shared(one: Sequence[Step], other: Sequence[Step]) -> Sequence[Step]:
    """Return the steps up to the last `[*]` that two paths have in common."""
    common = [step for step, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]
    while common and common[-1] != EVERY:
        common.pop()
    return common


def _texts(value: Any, pick: Pick, within: Sequence[Step]) -> list[str]:
    """Return the texts of the first path of a pick that names some, each once.

    `within`: the steps that lead to the value.
    """
    for each in pick.chain():
        for path in each.paths:
            if list(path.steps[: len(within)]) == list(within):
                texts = [part_of(text_of(found), each) for found in _values(value, path.steps[len(within) :])]
                if any(texts):
                    return list(dict.fromkeys(filter(None, texts)))
    return []


def _values(value: Any, steps: Sequence[Step]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] == EVERY:
        for item in value if isinstance(value, list) else ():
            yield from _values(item, steps[1:])
    elif isinstance(value, dict) and steps[0] in value:
        yield from _values(value[str(steps[0])], steps[1:])
    elif isinstance(value, list) and isinstance(steps[0], int) and steps[0] < len(value):
        yield from _values(value[steps[0]], steps[1:])


def value_in(message: Any, path: FieldPath) -> Any:
    """Return the value at a path; None when there is none."""
    try:
        return value_at(message, path)
    except LookupError:
        return None


def decoded(payload: bytes) -> Any:
    """Return a message as Python has it; None for one that is not JSON, or longer than any answer of an exchange.

    A value that cannot be read, such as a text that is not UTF-8, does not hide the other fields.
    """
    if len(payload) > LONGEST_ANSWER:
        return None
    try:
        return json.loads(payload.decode("utf-8", "replace"), parse_int=_number)
    except (ValueError, RecursionError):
        return None


def _number(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # Python refuses to read thousands of digits.
        return float(digits)
