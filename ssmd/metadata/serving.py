"""Whether the parts can serve what the metadata asks for; each part checks what concerns it alone."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from ssmd.contracts.configuration import FieldProblem
from ssmd.metadata.folder import Part
from ssmd.metadata.model import Environment, Feed, FeedVersion
from ssmd.metadata.parts import Parts
from ssmd.metadata.problem import Path

__all__ = ["check_environment", "check_feed", "check_subscription"]

_MOST = 100
"""More problems of one section help nobody."""


def check_environment(environment: Part[Environment], parts: Parts) -> None:
    """Report what no part can serve of an environment by itself."""
    model = environment.model
    if model is None:
        return
    for catalog, name, path in (
        (parts.writers, model.storage.type, ("storage", "type")),
        (parts.transports, model.transport.type, ("transport", "type")),
    ):
        for where, message in parts.not_in(catalog, name, path):
            environment.report(where, message)
    for name, key in model.keys.items():
        for where, message in parts.not_in(parts.resolvers, key.source_scheme, ("keys", name, "source")):
            environment.report(where, message)
        if resolver := parts.resolvers.get(key.source_scheme):
            _report(environment, ("keys", name), resolver.check(key.at(name)))


def check_feed(feed: Part[Feed], version: FeedVersion, parts: Parts) -> None:
    """Report what no part can serve of a feed and its version in force."""
    if feed.model is None:
        return
    at = ("versions", feed.model.versions.index(version))
    for where, message in parts.not_in(parts.connectors, feed.model.type, ("type",)):
        feed.report(where, message)
    dialect = parts.dialect_name(feed.model.name, version.exchange)
    for where, message in parts.not_in(parts.exchanges, dialect, (*at, "exchange")):
        feed.report(where, message)
    check = parts.endpoints.get(urlsplit(version.endpoint).scheme)
    if check is not None and (fault := check(version.endpoint)):
        feed.report((*at, "endpoint"), fault)


def check_subscription(environment: Part[Environment], feed: Feed, version: FeedVersion, parts: Parts) -> None:
    """Report what is wrong with what an environment subscribes to on a feed."""
    if environment.model is None:
        return
    subscribe = environment.model.subscribe
    tickers = subscribe.get("market_tickers")
    most = version.max_symbols_per_connection
    if isinstance(tickers, list) and most is not None and len(tickers) > most:
        message = f"has {len(tickers)} entries; the feed allows {most} (max_symbols_per_connection)"
        environment.report(("subscribe", "market_tickers"), message)
    dialect = parts.exchanges.get(parts.dialect_name(feed.name, version.exchange))
    if dialect is not None:
        _report(environment, ("subscribe",), dialect.check(subscribe))


def _report(environment: Part[Environment], at: Path, problems: Iterable[FieldProblem]) -> None:
    """Report what a part has found in the section at a path."""
    for count, problem in enumerate(problems):
        if count == _MOST:
            environment.report(at, f"has more problems; only the first {_MOST} are shown", problem.warning)
            return
        environment.report((*at, *problem.path), problem.message, problem.warning)
