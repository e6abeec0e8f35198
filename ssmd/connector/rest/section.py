"""The `subscribe` section of a REST feed's environment: which requests are made, and how often."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ssmd.contracts.configuration import FieldProblem
from ssmd.field_path import FieldPath, parse_path
from ssmd.spelling import misspelling

__all__ = ["ALL", "CHANGED", "Next", "RequestSpec", "problems_of", "read_requests", "texts_of"]

ALL, CHANGED = "all", "changed"

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 7 * 24 * 3600
"""The bounds of `every`."""

_REQUESTS = "requests"
_KEYS = ("path", "params", "every", "next", "keep")
_NEXT_KEYS = ("param", "from")
_SPAN = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?) ?(?P<unit>ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_PLACEHOLDER = re.compile(r"(\$\{[^{}]*\})")
_PLAIN = re.compile(r"[A-Za-z0-9._~:@!$&'()*+,;=/%{}-]*")
"""What a path may consist of, placeholders included."""


class Next(NamedTuple):
    """How the next page of an answer is asked for."""

    param: str
    """The parameter that gets the cursor."""
    source: FieldPath
    """Where an answer has the cursor; on the last page it is empty, or missing."""


class RequestSpec(NamedTuple):
    """One request, which is made again and again."""

    path: str
    query: str
    """As it stands in the URL; may have placeholders."""
    every_seconds: float
    next: Next | None
    keep_all: bool
    """Whether an answer that is the same as the one before is kept too."""

    def target(self, cursor: str | None) -> str:
        """Return what stands in the URL after the endpoint. `cursor`: of the page; None for the first one."""
        cursor = "" if cursor is None or self.next is None else f"{quote(self.next.param)}={quote(cursor, safe='')}"
        query = "&".join(filter(None, [self.query, cursor]))
        return self.path + (f"?{query}" if query else "")


def read_requests(subscribe: Mapping[str, Any]) -> list[RequestSpec]:
    """Return the requests of a valid section."""
    return [_read(request) for request in subscribe[_REQUESTS]]


def _read(request: Mapping[str, Any]) -> RequestSpec:
    follow = request.get("next")
    return RequestSpec(
        request["path"],
        _query(request.get("params") or {}),
        _seconds(request["every"]) or LONGEST_SECONDS,
        Next(follow["param"], parse_path(follow["from"])) if follow else None,
        request.get("keep", ALL) == ALL,
    )


def _query(params: Mapping[str, Any]) -> str:
    pairs = [(name, item) for name, value in params.items() for item in (value if isinstance(value, list) else [value])]
    return "&".join(f"{_encoded(name)}={_encoded(_text(value))}" for name, value in pairs)


def _encoded(text: str) -> str:
    """Return a text percent-encoded, except for its placeholders."""
    return "".join(
        part if _PLACEHOLDER.fullmatch(part) else quote(part, safe=",:") for part in _PLACEHOLDER.split(text)
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seconds(value: Any) -> float | None:
    """Return the seconds of a span such as `60s` or `5m`; None for what is none, or out of bounds."""
    match = _SPAN.fullmatch(str(value).strip()) if not isinstance(value, bool | list | dict) else None
    seconds = float(match["number"]) * _UNITS[match["unit"]] if match is not None else math.nan
    return seconds if SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS else None


def texts_of(subscribe: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the texts of a section that may have placeholders, each with its path."""
    requests = subscribe.get(_REQUESTS) if isinstance(subscribe, dict) else None
    for index, request in enumerate(requests if isinstance(requests, list) else ()):
        if not isinstance(request, dict):
            continue
        if isinstance(request.get("path"), str):
            yield (_REQUESTS, index, "path"), request["path"]
        params = request.get("params")
        for name, value in params.items() if isinstance(params, dict) else ():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str):
                    yield (_REQUESTS, index, "params", name), item


def problems_of(subscribe: Any) -> Iterator[FieldProblem]:
    """Report what is wrong with a section."""
    if not isinstance(subscribe, dict):
        yield FieldProblem((), "must be one mapping with `requests`, not a list")
        return
    for name in subscribe:
        if name != _REQUESTS:
            remedy = misspelling(name, [_REQUESTS], subscribe) or "; it has `requests` only"
            yield FieldProblem((name,), f"is not known to a feed of the type rest{remedy}")
    requests = subscribe.get(_REQUESTS)
    if not isinstance(requests, list) or not requests:
        yield FieldProblem((_REQUESTS,), "must be a list (`- ` lines) with at least one request: {path, every}")
        return
    for index, request in enumerate(requests):
        for path, message in _faults(request):
            yield FieldProblem((_REQUESTS, index, *path), message)
        if request in requests[:index]:
            message = "is the same as an earlier one; remove it"
            yield FieldProblem((_REQUESTS, index), message, warning=True)


def _faults(request: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not isinstance(request, dict):
        yield (), "must be a mapping, such as {path: /markets, every: 60s}"
        return
    for name in request:
        if name not in _KEYS:
            known = ", ".join(_KEYS)
            yield (name,), f"is not known{misspelling(name, _KEYS, request) or f'; a request has {known}'}"
    path = request.get("path")
    if not isinstance(path, str) or not path.startswith("/") or not _PLAIN.fullmatch(path):
        yield ("path",), "must be a path below the feed's endpoint, such as /markets, without a query (`?...`)"
    if "every" not in request:
        yield ("every",), "is required: the time from one request to the next, such as 60s"
    elif _seconds(request["every"]) is None:
        yield ("every",), "must be a time from 100ms to 7d, such as 60s, 5m or 1h"
    params = request.get("params")
    if params is not None and not isinstance(params, dict):
        yield ("params",), "must be a mapping, such as {status: open, limit: 1000}"
    for name, value in params.items() if isinstance(params, dict) else ():
        if not all(isinstance(item, str | int | float) for item in (value if isinstance(value, list) else [value])):
            yield ("params", name), "must be a text, a number, true or false, or a list of them"
    if request.get("keep", ALL) not in (ALL, CHANGED):
        yield ("keep",), f"must be {ALL} or {CHANGED}"
    if request.get("next") is not None:
        yield from _faults_of_next(request["next"])


def _faults_of_next(follow: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if not isinstance(follow, dict):
        yield ("next",), "must be a mapping, such as {param: cursor, from: cursor}"
        return
    for name in follow:
        if name not in _NEXT_KEYS:
            hint = misspelling(name, _NEXT_KEYS, follow) or "; it has `param` and `from`"
            yield ("next", name), f"is not known{hint}"
    if not isinstance(follow.get("param"), str) or not follow["param"]:
        yield ("next", "param"), "must be the name of the parameter that gets the cursor, such as cursor"
    source = follow.get("from")
    if not isinstance(source, str):
        yield ("next", "from"), "must be the path of the field that has the cursor, such as cursor"
        return
    try:
        parse_path(source)
    except ValueError as error:
        yield ("next", "from"), str(error)
