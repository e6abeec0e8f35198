"""Reads what is sent: headers, the request before the connection, keep-alives and replies; and what ends a run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ssmd.errors import printable
from ssmd.exchange.generic.description import Ending, KeepAlive, Prepare, Reply
from ssmd.exchange.generic.parsing.circles import would_match
from ssmd.exchange.generic.parsing.field import Field, Read, choice, flag, path, shown, template, text
from ssmd.exchange.generic.parsing.match import match
from ssmd.exchange.generic.template import KEY, MESSAGE, NOW_MS, NOW_S, PREPARED, placeholders_of
from ssmd.field_path import FieldPath
from ssmd.spelling import misspelling

__all__ = ["ending", "handshake_headers", "keep_alive", "prepare", "reply", "token"]

SHORTEST_SECONDS, LONGEST_SECONDS = 0.05, 86_400
_FIRST_CODE, _LAST_CODE = 1000, 4999
_NEVER_SENT = (1004, 1005, 1006, 1015)
"""Close codes that no frame has (RFC 6455, section 7.4.1)."""

_BEFORE = (KEY, NOW_S, NOW_MS)
_ANY_TIME = (*_BEFORE, PREPARED)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A name in HTTP (RFC 9110, section 5.6.2)."""
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_OF_THE_HANDSHAKE = re.compile(r"host|connection|upgrade|content-length|transfer-encoding|sec-websocket-.*", re.I)
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def token(field: Field) -> str | None:
    value = text(field)
    if value is not None and not _TOKEN.fullmatch(value):
        field.report(f"must be one name without spaces, not {shown(value)}")
        return None
    return value


def _headers(*kinds: str) -> Read:
    def read(field: Field) -> dict[str, str] | None:
        if not isinstance(field.value, dict) or not field.value:
            field.report(f"must be a mapping of headers to texts, not {shown(field.value)}")
            return None
        found = {name: value for name in field.value if (value := _header(name, field.at(name), kinds)) is not None}
        firsts: dict[str, str] = {}
        for name in found:
            if (first := firsts.setdefault(name.lower(), name)) != name:
                field.report(f"is the same header as `{first}`; keep one of them", name)
        return found

    return read


def _header(name: str, field: Field, kinds: tuple[str, ...]) -> str | None:
    if not _TOKEN.fullmatch(name):
        field.report("is not the name of a header: it has letters, digits and `-`")
    elif _OF_THE_HANDSHAKE.fullmatch(name):
        instead = "; use `subprotocol`" if name.lower() == "sec-websocket-protocol" else "; remove it"
        field.report(f"is a header that ssmd sets itself{instead}")
    elif not isinstance(field.value, str):
        # The value is not shown: it may be a key.
        field.report("must be a text on one line; put it in quotes")
    elif (value := text(field)) is not None:
        if not _HEADER_VALUE.fullmatch(value):
            field.report("must be plain ASCII on one line, without spaces around it")
        else:
            read: str | None = template(*kinds)(field)
            return read
    return None


handshake_headers = _headers(*_ANY_TIME)


def prepare(field: Field) -> Prepare | None:
    known: Mapping[str, Read] = {
        "url": _request_url,
        "method": choice("POST", "GET"),
        "headers": _headers(*_BEFORE),
        "body": template(*_BEFORE),
        "take": _take,
    }
    fields = field.mapping(known, ["url", "take"])
    if fields is None:
        return None
    method = fields.get("method", "POST")
    if method == "GET" and "body" in fields:
        field.report("cannot go with `method: GET`; remove it, or use POST", "body")
        return None
    return Prepare(fields["url"], method, fields.get("headers", {}), fields.get("body"), fields["take"])


def _request_url(field: Field) -> str | None:
    url = text(field)
    if url is None or template(*_BEFORE)(field) is None:
        return None
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or not url.isprintable() or " " in url or "${" in parts.netloc:
        field.report("must be a URL like https://host/path, in plain ASCII without spaces")
        return None
    if "@" in parts.netloc or "#" in url:
        field.report("must not have a user name, a password or a fragment (`#...`)")
        return None
    return url


def _take(field: Field) -> dict[str, FieldPath] | None:
    if not isinstance(field.value, dict) or not field.value:
        field.report("must be a mapping of names to paths in the answer, such as `{token: data.token}`")
        return None
    found = {}
    for name in field.value:
        if not _NAME.fullmatch(name):
            field.report("must be a name of letters, digits, `_` and `-`, for use in ${prepared.<name>}", name)
        elif (where := path(field.at(name))) is not None:
            found[name] = where
    return found if len(found) == len(field.value) else None


def _message(*kinds: str) -> Read:
    read_template = template(*kinds)

    def read(field: Field) -> Any:
        if field.value == "":
            field.report("is an empty text; write what is to be sent")
            return None
        return read_template(field)

    return read


def keep_alive(field: Field) -> KeepAlive | None:
    known = {"every_seconds": _seconds, "send": _message(*_ANY_TIME), "only_when_quiet": flag}
    fields = field.mapping(known, ["every_seconds", "send"])
    return None if fields is None else KeepAlive(**fields)


def _seconds(field: Field) -> float | None:
    value = field.value
    if isinstance(value, int | float) and not isinstance(value, bool) and SHORTEST_SECONDS <= value <= LONGEST_SECONDS:
        return float(value)
    field.report(f"must be a number of seconds from {SHORTEST_SECONDS} to {LONGEST_SECONDS:,}, not {shown(value)}")
    return None


def reply(field: Field) -> Reply | None:
    fields = field.mapping({"when": match, "send": _message(*_ANY_TIME, MESSAGE)}, ["when", "send"])
    if fields is None:
        return None
    if all(each.path is None for conditions in fields["when"] for each in conditions):
        for placeholder in placeholders_of(fields["send"]):
            if placeholder.kind == MESSAGE:
                message = f"has ${{message.{placeholder.path}}}, but `when` is for a text, which has no fields"
                field.report(f"{message}; remove it", "send")
                return None
    if would_match(fields["when"], fields["send"]):
        message = "matches what it sends itself: if the exchange repeats that, there would be replies without end"
        field.report(f"{message}; name a field in `when` that only the exchange's message has", "when", warning=True)
    return Reply(**fields)


def ending(field: Field) -> Ending | None:
    known = {"when": match, "close_code": _close_code, "as": choice("refused", "disconnected")}
    given = field.value if isinstance(field.value, dict) else {}
    others = [name for name in given if name not in known]
    if others and "when" not in given and not any(misspelling(name, known) for name in others):
        names = ", ".join(f"`{printable(name, 60)}`" for name in others)
        field.report(f"needs `when` for the fields of the message; put {names} below it, as in `when: {{a: b}}`")
        return None
    fields = field.mapping(known, ["as"])
    if fields is None:
        return None
    if ("when" in fields) == ("close_code" in fields):
        remedy = "keep one of them" if "when" in fields else "add one of them"
        field.report(f"must have either `when`, for a message, or `close_code`; {remedy}")
        return None
    refused = fields["as"] == "refused"
    if "close_code" in fields and not refused:
        message = "has no effect with `close_code`: any other end of the connection ends the run in the same way"
        field.report(message, "as", warning=True, lenient=True)
    return Ending(fields.get("when", ()), fields.get("close_code"), refused)


def _close_code(field: Field) -> int | None:
    value = field.value
    valid = isinstance(value, int) and not isinstance(value, bool) and _FIRST_CODE <= value <= _LAST_CODE
    if valid and value not in _NEVER_SENT:
        code: int = value
        return code
    message = f"must be the code of a close frame, from {_FIRST_CODE} to {_LAST_CODE}"
    if isinstance(value, str) and value.isdigit():
        field.report(f"{message}, and a number, not a text; write it without quotes")
    else:
        field.report(f"{message}, not {shown(value)}")
    return None
