"""Checks that there is a part for everything the metadata names, and lets each part check what concerns it alone.

Each section is checked even when another one has errors, so that all problems are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.dialect import Dialect
from ssmd.metadata.engine_keys import engine_key_problems
from ssmd.metadata.fields import Freeform, Name, Subscribe, Text
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.keys import SOURCE_FAULT, KeySpec, is_for_exchange
from ssmd.metadata.model import MESSAGE_TYPES, Environment, FeedVersion
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Path, excerpt, quoted
from ssmd.metadata.references import FeedInUse
from ssmd.metadata.watching import check_books, check_channels, check_data_timeout, check_following
from ssmd.metadata.written_out import written_out
from ssmd.spelling import nearest

__all__ = ["check_environment", "check_feed", "check_for_exchange"]

_MOST = 100
"""How many problems of one section are reported."""

_DIALECT = "dialect"
"""The field of a feed's version that describes its exchange."""

_WEB = re.compile(r"https?://[^/\s?#]+[^\s?#]*$", re.IGNORECASE)
"""The URL of a REST interface: without a query, which the requests have."""

_OF_NUMBERS = ((), ("paths",), (MESSAGE_TYPES,))
"""Where a description says how messages are numbered."""

_FIELDS = tuple[Text, ...]
"""The type of a key's `fields`."""


def check_environment(environment: MetadataFile[Environment], parts: Parts) -> None:
    """Report the fields of an environment that no part supports."""
    for section, catalog in (("storage", parts.writers), ("transport", parts.transports)):
        _require(environment, catalog, environment.field(Text, section, "type"), (section, "type"))
    keys = _keys(environment)
    for name, key in keys.items():
        _check_source(environment, name, key, parts)
    _report(environment, ("keys",), _shared_fields(keys))
    # Without a valid type it is not known which keys are used.
    transport = environment.field(Text, "transport", "type") if environment.value("transport") else "memory"
    storage = environment.field(Text, "storage", "type")
    engines = (("transport", transport, parts.transports), ("storage", storage, parts.writers))
    for section, engine, catalog in engines:
        if engine is not None and engine in catalog:
            ways = parts.credentials.get(engine, ())
            _report(environment, ("keys",), engine_key_problems(keys, section, engine, ways))


def _keys(environment: MetadataFile[Environment]) -> dict[str, KeySpec]:
    """Return the keys of an environment that are valid, by name."""
    section = environment.value("keys")
    names = section if isinstance(section, dict) else ()
    found = {name: environment.field(KeySpec, "keys", name) for name in names}
    return {name: key for name, key in found.items() if key is not None}


def _check_source(environment: MetadataFile[Environment], name: str, key: KeySpec, parts: Parts) -> None:
    if resolver := parts.resolvers.get(key.source_scheme):
        _report(environment, ("keys", name), resolver.check(key.at(name)))
    elif key.source == key.source_scheme:
        environment.report(("keys", name, "source"), SOURCE_FAULT)
    else:
        _require(environment, parts.resolvers, key.source_scheme, ("keys", name, "source"))


def _shared_fields(keys: Mapping[str, KeySpec]) -> Iterator[FieldProblem]:
    """Yield the fields that two keys of one type have: only one of the two values could be used."""
    owners: dict[tuple[str, str], str] = {}
    for name, key in keys.items():
        for index, field in enumerate(key.fields):
            if (first := owners.setdefault((key.type, field), name)) != name:
                message = f"`{excerpt(field)}` is also a field of the key `{first}`, which has the same type"
                remedy = "give each its own name, or remove one of the keys"
                yield FieldProblem((name, "fields", index), f"{message}; {remedy}")


def check_feed(feed: FeedInUse, parts: Parts) -> None:
    """Report the fields of a feed and of its version in force that no part supports."""
    file, version = feed.file, feed.version
    _require(file, parts.connectors, file.field(Text, "type"), ("type",))
    if version is None:
        return
    at = ("versions", feed.index or 0)
    name = parts.dialect_name(file.name, version.exchange)
    _require(file, parts.exchanges, name, (*at, "exchange"))
    _report(file, at, written_out({"endpoint": version.endpoint, _DIALECT: version.dialect}))
    check = parts.endpoints.get(version.endpoint_scheme)
    if check is not None and (fault := check(version.endpoint, name)):
        file.report((*at, "endpoint"), fault)
    kind = file.field(Text, "type")
    dialect = parts.dialect(name, kind) if kind in parts.connectors else None
    if dialect is not None:
        _check_description(feed, version, dialect, is_numbered=kind not in parts.dialects)


def _check_description(feed: FeedInUse, version: FeedVersion, dialect: Dialect, *, is_numbered: bool) -> None:
    """Report what is wrong with what a feed says of its exchange's messages.

    `is_numbered`: whether they may have numbers that show lost ones.
    """
    file, at = feed.file, ("versions", feed.index or 0)
    section = (*at, _DIALECT)
    if MESSAGE_TYPES in version.dialect:
        file.report((*section, MESSAGE_TYPES), "stands beside `versions`, not in `dialect`; move it there")
    problems = list(dialect.check_description(feed.description))
    of_types = [problem for problem in problems if problem.path[:1] == (MESSAGE_TYPES,)]
    _report(file, (), of_types)
    _report(file, section, [problem for problem in problems if problem not in of_types])
    described = dialect.described(feed.description)
    if fault := described.check_endpoint(version.endpoint):
        file.report((*at, "endpoint"), fault)
    if version.rest_endpoint is not None and not _WEB.match(version.rest_endpoint):
        message = "must be a URL that begins with https:// or http://, such as https://host/trade-api/v2"
        file.report((*at, "rest_endpoint"), message)
    # An error there may be the reason that there is no sequence.
    mistaken = any(not each.warning and each.path[:1] in _OF_NUMBERS for each in problems)
    if is_numbered and not described.inspector().sequence and not mistaken and file.value(_DIALECT) is None:
        message = "has no `paths.sequence`, so lost messages cannot be detected on this feed"
        file.report(section, message, warning=True, lenient=True)


def check_for_exchange(environment: MetadataFile[Environment], feed: FeedInUse, parts: Parts) -> None:
    """Report what is wrong with an environment's `subscribe` and `keys` for the exchange of its feed."""
    dialect = _dialect(feed, parts)
    subscribe = environment.field(Subscribe, "subscribe")
    if subscribe is None and environment.value("subscribe") in (None, ""):
        subscribe = {}
    if subscribe is not None and dialect is not None:
        if feed.version is not None and feed.version.max_symbols_per_connection is not None:
            _check_number_of_markets(environment, subscribe, dialect, feed.version.max_symbols_per_connection)
        _check_subscriptions(environment, feed, dialect, subscribe, parts)
    if feed.version is not None and feed.version.endpoint_scheme not in parts.endpoints:
        check_data_timeout(environment)
    if dialect is not None and feed.version is not None:
        _report(environment, ("keys",), _key_fields_problems(environment, feed.version, dialect, parts))
        _check_auth_method(feed, feed.version, dialect, subscribe)


def _check_auth_method(feed: FeedInUse, version: FeedVersion, dialect: Dialect, subscribe: Any) -> None:
    if version.auth_method == "api_key" and not list(dialect.check_keys((), version.endpoint, subscribe)):
        message = "has no effect in this version: nothing that is sent to the exchange uses a key"
        path = ("versions", feed.index or 0, "auth_method")
        feed.file.report(path, message, warning=True, lenient=True)


def _check_subscriptions(
    environment: MetadataFile[Environment], feed: FeedInUse, dialect: Dialect, subscribe: Any, parts: Parts
) -> None:
    problems = list(dialect.check(subscribe))
    _report(environment, ("subscribe",), [*problems, *written_out(subscribe)])
    # With an error in the description, what it says of channels and markets is not known.
    if all(problem.warning for problem in [*problems, *dialect.check_description(feed.description)]):
        check_channels(environment, dialect, subscribe)
        check_books(environment, dialect, subscribe)
        lists = parts.lists.get(feed.version.endpoint_scheme) if feed.version is not None else None
        check_following(environment, feed, dialect, subscribe, lists)
        if feed.version and feed.version.max_symbols_per_connection and not dialect.knows_markets:
            message = "has no effect in this version: the exchange's dialect does not know markets"
            path = ("versions", feed.index or 0, "max_symbols_per_connection")
            feed.file.report(path, message, warning=True, lenient=True)


def _dialect(feed: FeedInUse, parts: Parts) -> Dialect | None:
    """Return the dialect of the version in force; when that is not known, the one that all versions name."""
    kind = feed.file.field(Text, "type")
    if kind not in parts.connectors:
        return None
    if feed.version is not None:
        found: Dialect | None = parts.dialect(parts.dialect_name(feed.file.name, feed.version.exchange), kind)
        return found and found.described(feed.description)
    versions = feed.file.value("versions")
    count = len(versions) if isinstance(versions, list) else 0
    names = {parts.dialect_name(feed.file.name, feed.file.field(Name, "versions", i, "exchange")) for i in range(count)}
    dialect = parts.dialect(names.pop(), kind) if len(names) == 1 else None
    return dialect and dialect.described(feed.file.field(Freeform, "versions", count - 1, _DIALECT) or {})


def _check_number_of_markets(
    environment: MetadataFile[Environment], subscribe: Any, dialect: Dialect, most: int
) -> None:
    """Report more markets than the feed allows on one connection: those of all subscriptions together.

    Where they may be divided, that is a warning: each shard counts its own part at the start.
    """
    count = len(dialect.markets(subscribe))
    if count > most:
        path: Path = ("subscribe", "market_tickers") if "market_tickers" in subscribe else ("subscribe",)
        what = "subscriptions have" if isinstance(subscribe, list) else "has"
        message = f"{what} {count} markets; the feed allows {most} (max_symbols_per_connection)"
        if dialect.can_be_divided:
            shards = -(-count // most)
            message += f"; remove some, or divide them among at least {shards} shards with --shard"
            environment.report(path, message, warning=True)
        else:
            environment.report(path, f"{message}; remove some")


def _key_fields_problems(
    environment: MetadataFile[Environment], version: FeedVersion, dialect: Dialect, parts: Parts
) -> Iterator[FieldProblem]:
    """Yield the key fields that the exchange's dialect does not use, and those that it needs; paths within `keys`."""
    section = environment.value("keys")
    names = section if isinstance(section, dict) else ()
    found = {
        name: (environment.field(Text, "keys", name, "type"), environment.field(_FIELDS, "keys", name, "fields"))
        for name in names
    }
    if any(kind is None or fields is None for kind, fields in found.values()):
        return  # A key with errors may have a field that would be reported as missing.
    used = {name: fields for name, (kind, fields) in found.items() if is_for_exchange(kind)}
    places = [(name, "fields", index) for name, fields in used.items() for index in range(len(fields))]
    whole: Path = (*used, "fields") if len(used) == 1 else ()
    if version.endpoint_scheme in parts.endpoints:
        if places:
            yield FieldProblem(whole, "have no effect on this feed, whose exchange is simulated", True, True)
        return
    given = [field for fields in used.values() for field in fields]
    for problem in dialect.check_keys(given, version.endpoint, environment.field(Subscribe, "subscribe")):
        yield problem._replace(path=places[int(problem.path[0])] if problem.path else whole)


def _require(file: MetadataFile[Any], catalog: Mapping[str, Any], name: str | None, path: Path) -> None:
    """Report a name that a catalog does not have."""
    if name is not None and name not in catalog:
        message = f"`{excerpt(name)}` is not supported in this version, which has {quoted(catalog)}"
        file.report(path, message + nearest(name, catalog))


def _report(file: MetadataFile[Any], at: Path, problems: Iterable[FieldProblem]) -> None:
    """Report what a part has found in the section at a path."""
    for count, problem in enumerate(problems):
        if count == _MOST:
            file.report(at, f"has more problems; only the first {_MOST} are shown", problem.warning)
            return
        file.report((*at, *problem.path), problem.message, problem.warning, problem.lenient)
