"""Checks of an environment's `subscribe` section for Kalshi."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import printable
from ssmd.exchange.kalshi.channels import BOOKS, CHANNELS
from ssmd.exchange.kalshi.follow.checks import problems_of_follow
from ssmd.exchange.kalshi.section import DEFAULT_CHANNELS, FOLLOW
from ssmd.spelling import misspelling, nearest

__all__ = ["problems_of"]

_LISTS = ("channels", "market_tickers", "market_ids", "index_ids", "underlying_tickers")
_NAMES = ("market_ticker", "market_id")
_MARKETS = ("market_tickers", "market_ids")
_NOT_IN_NAMES = re.compile(r"[\s,]")
_TICKER = re.compile(r"[A-Z0-9.-]+")
_NAMED = 3
"""How many of several wrong tickers a warning names."""
_NOT_ONE_NAME = "has white space or a comma, which no market's name has; write each name by itself"
_FLAGS = ("send_initial_snapshot", "skip_ticker_ack", "use_yes_price")
_PARAMETERS = (*_LISTS, *_NAMES, *_FLAGS, FOLLOW, "user_filter", "shard_factor", "shard_key")

_ONLY_FOR = {
    "send_initial_snapshot": ["ticker"],
    "use_yes_price": [BOOKS],
    "user_filter": ["communications"],
    "shard_factor": ["communications"],
    "shard_key": ["communications"],
}
"""Parameters that are no lists, with the channels that take them; the others are for all channels."""


def problems_of(subscribe: Any) -> Iterator[FieldProblem]:
    """Report what is wrong with an environment's `subscribe` section."""
    if not isinstance(subscribe, list):
        yield from _problems_of_one(subscribe)
        return
    if not subscribe:
        yield FieldProblem((), "is empty; name at least one subscription, or leave it out")
    first: dict[str, int] = {}
    for index, section in enumerate(subscribe):
        for problem in _problems_of_one(section):
            yield problem._replace(path=(index, *problem.path))
        for place, channel in _channels_with_places(section):
            if first.setdefault(channel, index) != index:
                message = f"{channel} is in subscription {first[channel] + 1} too; Kalshi would merge both"
                yield FieldProblem((index, *place), f"{message}, so name all its markets in one of them")


def _channels_with_places(section: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the channels of a subscription that may be wrong in detail, with their paths."""
    channels = section.get("channels", DEFAULT_CHANNELS)
    for index, channel in enumerate(channels if isinstance(channels, list | tuple) else ()):
        if isinstance(channel, str):
            yield (("channels", index) if "channels" in section else ()), channel


def _wrong_values(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report parameters whose value is of the wrong kind, or empty.

    Without a name there would be no filter: everything would be collected, where perhaps nothing was meant.
    """
    empty = "is empty; name at least one, or leave it out"
    for name, value in subscribe.items():
        if name in _LISTS:
            if not isinstance(value, list):
                yield FieldProblem((name,), "must be a list of names")
            elif value == []:
                yield FieldProblem((name,), empty)
            else:
                yield from _wrong_entries(name, value)
        elif name in _NAMES and not isinstance(value, str):
            yield FieldProblem((name,), f"must be one name{_quotes(value)}")
        elif name in _NAMES and not value:
            yield FieldProblem((name,), empty)
        elif name in _NAMES and _NOT_IN_NAMES.search(value):
            yield FieldProblem((name,), _NOT_ONE_NAME)
        elif name in _FLAGS and not isinstance(value, bool):
            yield FieldProblem((name,), "must be true or false")


def _wrong_entries(name: str, entries: Sequence[Any]) -> Iterator[FieldProblem]:
    for index, item in enumerate(entries):
        if item in ("", None):
            yield FieldProblem((name, index), "is empty; write a name, or remove it")
        elif not isinstance(item, str):
            yield FieldProblem((name, index), f"must be a name{_quotes(item)}")
        elif name in _MARKETS and _NOT_IN_NAMES.search(item):
            yield FieldProblem((name, index), _NOT_ONE_NAME)


def _quotes(value: Any) -> str:
    """Return what to do about a value that YAML does not take for text."""
    if isinstance(value, bool):
        return "; YAML takes this for true or false, so write it in quotes"
    return "; YAML takes this for a number, so write it in quotes" if isinstance(value, int | float) else ""


def _unusual_tickers(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Warn of names that cannot be tickers: Kalshi may confirm them, and never sends anything of them."""
    for parameter in ("market_tickers", "market_ticker"):
        value = subscribe.get(parameter)
        names = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]
        wrong = [name for name in names if name and not (_TICKER.fullmatch(name) or _NOT_IN_NAMES.search(name))]
        if not wrong or names == ["all"]:
            continue
        shown = ", ".join(f"`{printable(name)}`" for name in wrong[:_NAMED])
        more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
        message = f"a ticker of Kalshi has only capital letters, digits, `-` and `.`, unlike {shown}{more}"
        capitals = wrong[0].upper()
        remedy = "copy the names from Kalshi"
        if _TICKER.fullmatch(capitals):
            remedy = f"write `{printable(capitals)}`" + (" for the first of them" if len(wrong) > 1 else "")
        yield FieldProblem((parameter,), f"{message}; {remedy}", warning=True)


def _problems_of_one(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    yield from _wrong_values(subscribe)
    yield from _unusual_tickers(subscribe)
    channels = subscribe.get("channels")
    if "market_ticker" in subscribe and "market_tickers" in subscribe:
        yield FieldProblem(("market_ticker",), "cannot be used together with market_tickers; keep the list")
    named = "market_tickers" in subscribe or subscribe.get("market_ticker") or FOLLOW in subscribe
    if isinstance(channels, list) and BOOKS in channels and not named:
        message = f"{BOOKS} needs market_tickers or follow: Kalshi sends order books only for markets that are named"
        yield FieldProblem(("channels",), message)
    if FOLLOW in subscribe:
        yield from problems_of_follow(subscribe, [name for _, name in _channels_with_places(subscribe)])
    yield from _unknown_parameters(subscribe)
    if isinstance(channels, list):
        yield from _unknown_channels(channels)
    yield from _without_effect(subscribe)


def _without_effect(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report parameters that none of the channels takes."""
    channels = [name for _, name in _channels_with_places(subscribe)]
    for name in subscribe:
        takers = [channel for channel, rules in CHANNELS.items() if name in rules.lists] or _ONLY_FOR.get(name)
        if takers and channels and all(channel in CHANNELS and channel not in takers for channel in channels):
            message = f"has no effect on {', '.join(channels)}; it is for {', '.join(takers)}"
            yield FieldProblem((name,), message, warning=True, lenient=True)


def _unknown_parameters(subscribe: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Report parameters that Kalshi does not have. A misspelt one is an error: Kalshi would ignore it, and send
    something else than was meant.
    """
    message = "is not a parameter of Kalshi's subscribe command"
    for name in subscribe:
        if name in _PARAMETERS:
            continue
        if hint := misspelling(name, _PARAMETERS, subscribe):
            yield FieldProblem((name,), f"{message}{hint}")
        else:
            yield FieldProblem((name,), f"{message}; it is sent as it is{nearest(name, _PARAMETERS)}", warning=True)


def _unknown_channels(channels: Sequence[Any]) -> Iterator[FieldProblem]:
    message = "is not a channel that ssmd knows"
    for index, channel in enumerate(channels):
        if not isinstance(channel, str) or channel in CHANNELS:
            continue
        if hint := misspelling(channel, CHANNELS):
            yield FieldProblem(("channels", index), f"{message}{hint}")
        else:
            remark = f"; if Kalshi does not know it either, it refuses it{nearest(channel, CHANNELS)}"
            yield FieldProblem(("channels", index), f"{message}{remark}", warning=True)
