"""Checks that there is a part for everything the metadata names, and lets each part check what concerns it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.keys import SOURCE_FAULT, KeySpec
from ssmd.metadata.model import Environment, Feed, FeedVersion
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Path, excerpt, quoted
from ssmd.metadata.watching import check_books, check_channels, check_data_timeout

__all__ = ["check_environment", "check_feed", "check_subscription"]

_MOST = 100
"""How many problems of one section are reported."""


def check_environment(environment: MetadataFile[Environment], parts: Parts) -> None:
    """Report the fields of an environment that no part supports."""
    model = environment.model
    if model is None:
        return
    _require(environment, parts.writers, model.storage.type, ("storage", "type"))
    _require(environment, parts.transports, model.transport.type, ("transport", "type"))
    for name, key in model.keys.items():
        _check_key(environment, name, key, parts)


def _check_key(environment: MetadataFile[Environment], name: str, key: KeySpec, parts: Parts) -> None:
    if resolver := parts.resolvers.get(key.source_scheme):
        _report(environment, ("keys", name), resolver.check(key.at(name)))
    elif key.source == key.source_scheme:
        environment.report(("keys", name, "source"), SOURCE_FAULT)
    else:
        _require(environment, parts.resolvers, key.source_scheme, ("keys", name, "source"))


def check_feed(feed: MetadataFile[Feed], version: FeedVersion, parts: Parts) -> None:
    """Report the fields of a feed and of its version in force that no part supports."""
    if feed.model is None:
        return
    at = ("versions", feed.model.versions.index(version))
    _require(feed, parts.connectors, feed.model.type, ("type",))
    _require(feed, parts.exchanges, parts.dialect_name(feed.model.name, version.exchange), (*at, "exchange"))
    check = parts.endpoints.get(version.endpoint_scheme)
    if check is not None and (fault := check(version.endpoint)):
        feed.report((*at, "endpoint"), fault)


def check_subscription(
    environment: MetadataFile[Environment], feed: Feed, version: FeedVersion, parts: Parts
) -> None:
    """Report what is wrong with an environment's `subscribe` section for a version of a feed."""
    if environment.model is None:
        return
    subscribe = environment.model.subscribe
    if version.max_symbols_per_connection is not None:
        _check_number_of_markets(environment, subscribe, version.max_symbols_per_connection)
    if version.endpoint_scheme not in parts.endpoints:
        check_data_timeout(environment)
    dialect = parts.exchanges.get(parts.dialect_name(feed.name, version.exchange))
    if dialect is not None:
        problems = list(dialect.check(subscribe))
        _report(environment, ("subscribe",), problems)
        if all(problem.warning for problem in problems):
            check_channels(environment, dialect)
            check_books(environment, dialect)


def _check_number_of_markets(environment: MetadataFile[Environment], subscribe: Any, most: int) -> None:
    """Report more markets than the feed allows on one connection: those of all subscriptions together."""
    sections = subscribe if isinstance(subscribe, list) else [subscribe]
    lists = [section["market_tickers"] for section in sections if isinstance(section.get("market_tickers"), list)]
    names = {repr(name) for tickers in lists for name in tickers}
    if len(names) > most:
        path: Path = ("subscribe",) if isinstance(subscribe, list) else ("subscribe", "market_tickers")
        what = "subscriptions have" if isinstance(subscribe, list) else "has"
        environment.report(path, f"{what} {len(names)} markets; the feed allows {most} (max_symbols_per_connection)")


def _require(file: MetadataFile[Any], catalog: Mapping[str, Any], name: str, path: Path) -> None:
    """Report a name that a catalog does not have."""
    if name not in catalog:
        file.report(path, f"`{excerpt(name)}` is not supported in this version, which has {quoted(catalog)}")


def _report(file: MetadataFile[Any], at: Path, problems: Iterable[FieldProblem]) -> None:
    """Report what a part has found in the section at a path."""
    for count, problem in enumerate(problems):
        if count == _MOST:
            file.report(at, f"has more problems; only the first {_MOST} are shown", problem.warning)
            return
        file.report((*at, *problem.path), problem.message, problem.warning)
