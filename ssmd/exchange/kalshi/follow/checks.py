"""Checks of the parameter `follow` of a subscription. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import printable
from ssmd.exchange.kalshi.channels import CHANNELS, channel_named
from ssmd.exchange.kalshi.follow.section import ALL, STATUSES, WILDCARD
from ssmd.spelling import misspelling, nearest

__all__ = ["problems_of_follow"]

_NAMES = ("series", "events", "tickers")
_KEYS = (*_NAMES, "status")
_OTHER_WORDS = {"initialized": "unopened", "active": "open", "inactive": "paused", "determined": "closed"}
"""The words for a status in Kalshi's answers, each with that of the filter where it is another one."""

_NOT_A_NAME = re.compile(r"[^A-Z0-9.-]")
_NOT_IN_PATTERN = re.compile(r"[^A-Z0-9.*-]")
_EXAMPLE = {"series": "KXBTC", "events": "KXBTC-26DEC3117", "tickers": "KXHIGHNY-*"}

_Path = tuple[str | int, ...]


def problems_of_follow(section: Mapping[str, Any], channels: Sequence[str]) -> Iterator[FieldProblem]:
    """Report what is wrong with the `follow` of a subscription. `channels`: those of the subscription."""
    for problem in _problems_of_value(section["follow"]):
        yield problem._replace(path=("follow", *problem.path))
    takers = [name for name, rules in CHANNELS.items() if "market_tickers" in rules.lists]
    if channels and not any("market_tickers" in channel_named(name).lists for name in channels):
        message = f"has no effect on {', '.join(channels)}: Kalshi sends these for all markets"
        yield FieldProblem(("follow",), f"{message}; add one of {', '.join(takers)} to `channels`, or remove it")
    for name in ("market_ids", "market_id"):
        if name in section:
            message = "cannot be used together with follow, which adds markets by their tickers; use market_tickers"
            yield FieldProblem((name,), message)


def _problems_of_value(value: Any) -> Iterator[FieldProblem]:
    if value == ALL:
        return
    if not isinstance(value, Mapping):
        yield FieldProblem((), f"must be `{ALL}` or a mapping with {', '.join(_NAMES)} or status{_meant(value)}")
        return
    if not value:
        yield FieldProblem((), f"is empty; write `{ALL}`, or name {', '.join(_NAMES)} or status")
    for key, entries in value.items():
        if key not in _KEYS:
            message = f"is not known in `follow`, which has {', '.join(_KEYS)}{_similar(key, _KEYS, value)}"
            yield FieldProblem((key,), message)
        elif not isinstance(entries, list):
            example = f"[{_EXAMPLE.get(key, 'open, unopened')}]"
            yield FieldProblem((key,), f"must be a list, such as {example}")
        elif not entries:
            yield FieldProblem((key,), "is empty; name at least one, or leave it out")
        else:
            for index, entry in enumerate(entries):
                if fault := _fault(key, entry):
                    yield FieldProblem((key, index), fault)


def _meant(value: Any) -> str:
    """Return what to write in place of a value that is not a mapping."""
    if isinstance(value, str) and value.lower() == ALL:
        return f"; write `{ALL}` in small letters"
    if isinstance(value, bool):
        return f"; for all markets write `{ALL}`, for none leave it out"
    names = value if isinstance(value, list) else [value]
    if names and all(isinstance(name, str) and name for name in names):
        shown = ", ".join(printable(name, 40) for name in names[:3])
        return f"; for series, for example, write `{{series: [{shown}{', ...' if len(names) > 3 else ''}]}}`"
    return ""


def _fault(key: str, entry: Any) -> str:
    """Return what is wrong with one entry of a list; empty for nothing."""
    if entry in ("", None):
        return "is empty; write a name, or remove it"
    if not isinstance(entry, str):
        remedy = "write it in quotes, so that YAML takes it for text"
        return f"must be a name, such as {_EXAMPLE.get(key, 'open')}; {remedy}"
    if key == "status":
        return _fault_of_status(entry)
    return _fault_of_ticker(entry) if key == "tickers" else _fault_of_name(key, entry)


def _fault_of_status(entry: str) -> str:
    if entry in STATUSES:
        return ""
    if entry in ("settled", "finalized"):
        return "cannot be followed: Kalshi sends nothing more about a settled market; remove it"
    known = ", ".join(STATUSES)
    if entry in _OTHER_WORDS:
        return f"must be one of {known}; did you mean `{_OTHER_WORDS[entry]}`?"
    return f"must be one of {known}{nearest(entry, STATUSES)}"


def _fault_of_name(key: str, entry: str) -> str:
    what = "a series" if key == "series" else "an event"
    if WILDCARD in entry:
        return f"is a pattern, but {what} must be named in full; patterns are for `tickers`"
    return _wrong_letters(entry, _NOT_A_NAME, f"{what} of Kalshi")


def _fault_of_ticker(entry: str) -> str:
    if not entry.strip(WILDCARD):
        return f"matches all markets; write `follow: {ALL}` for that"
    if fault := _wrong_letters(entry, _NOT_IN_PATTERN, "a ticker of Kalshi"):
        return fault
    if "-" not in entry and WILDCARD not in entry:
        message = "matches no market, because every market's ticker has a `-`"
        return f"{message}; for a series write `series: [{entry}]`, for a pattern `{entry}-{WILDCARD}`"
    return ""


def _wrong_letters(entry: str, wrong: re.Pattern[str], what: str) -> str:
    """Return the fault of a name with letters that no such name has; empty for none."""
    if not (found := wrong.search(entry)):
        return ""
    remedy = "copy the name from Kalshi"
    if not wrong.search(entry.upper()):
        remedy = f"write `{entry.upper()}`"
    elif found[0] in "?[%":
        remedy = f"the only wildcard is `{WILDCARD}`, for any text"
    elif found[0] in ", ":
        remedy = "write each name by itself"
    return f"matches nothing: {what} has only capital letters, digits, `-` and `.`; {remedy}"


def _similar(word: object, known: Sequence[str], given: Mapping[str, Any]) -> str:
    if word in ("market_tickers", "market_ticker"):
        return "; market_tickers belongs beside `follow`, not into it"
    return misspelling(str(word), known, given) or nearest(str(word), known)
