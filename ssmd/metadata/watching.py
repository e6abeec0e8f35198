"""Checks the fields of an environment about silence, order books and listings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ssmd.contracts.dialect import Dialect
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.model import Environment
from ssmd.metadata.problem import quoted
from ssmd.metadata.references import FeedInUse
from ssmd.spelling import misspelling, nearest

__all__ = ["check_books", "check_channels", "check_data_timeout", "check_following"]

DATA_TIMEOUT_SECONDS = 300
"""The value that the warning proposes."""


def check_data_timeout(environment: MetadataFile[Environment]) -> None:
    """Warn of an environment without `data_timeout_seconds`, unless it is misspelt: that is an error of its own."""
    data, name = environment.value(), "data_timeout_seconds"
    others = [key for key in data or () if key not in Environment.keys_known()]
    if environment.value(name) in (None, "") and not any(misspelling(key, [name], data) for key in others):
        environment.report(
            (name,),
            "is not set: an exchange that answers pings and sends no data would look healthy for ever; set it to "
            f"{DATA_TIMEOUT_SECONDS}, or to more seconds than this feed is ever silent in normal times",
            warning=True,
        )


def check_channels(environment: MetadataFile[Environment], dialect: Dialect, subscribe: Any) -> None:
    """Report the time-outs of channels that are not subscribed. Call it when `subscribe` is valid."""
    channels = dialect.channel_names(subscribe)
    if not channels:
        for name in ("channel_timeout_seconds", "silent_after_seconds"):
            _warn_if_given(environment, name, "has no effect: the exchange's dialect does not know channels")
        return
    timeouts = environment.value("channel_timeout_seconds")
    for name in timeouts if isinstance(timeouts, dict) else ():
        if name not in channels:
            hint = nearest(name, channels) or f"; there are {quoted(channels)}"
            environment.report(("channel_timeout_seconds", name), f"this channel is not subscribed{hint}")


def check_books(environment: MetadataFile[Environment], dialect: Dialect, subscribe: Any) -> None:
    """Warn of `snapshots` when no order books of Kalshi are collected. Call it when `subscribe` is valid."""
    if not dialect.book_channels(subscribe):
        message = "has no effect: it acts for Kalshi's order books only, and none are subscribed"
        _warn_if_given(environment, "snapshots", message)


def check_following(
    environment: MetadataFile[Environment],
    feed: FeedInUse,
    dialect: Dialect,
    subscribe: Any,
    lists: Callable[[str], bool] | None,
) -> None:
    """Report markets that cannot be followed, and warn of `keep_listing` when none are. Call it when `subscribe` is
    valid. `lists`: see Parts, for the scheme of the feed's endpoint; None for an exchange.
    """
    if not dialect.followed(subscribe):
        _warn_if_given(environment, "keep_listing", "has no effect: nothing in `subscribe` has a `follow`")
        return
    version = feed.version
    if version is None or version.rest_endpoint:
        return
    if lists(version.endpoint) if lists is not None else dialect.rest_endpoint(version.endpoint):
        return
    where = f"{feed.file.file}:{feed.file.line_map().line(('versions', feed.index or 0, 'endpoint'))}"
    if lists is not None:
        message = "follows markets, and a replayed recording has no list of them; leave `replay` out of the endpoint"
        environment.report(("subscribe",), f"{message} in {where}, or name the markets")
        return
    message = "follows markets, and where the exchange lists them is not known for this endpoint"
    environment.report(("subscribe",), f"{message}; set `rest_endpoint` beside `endpoint` in {where}")


def _warn_if_given(environment: MetadataFile[Environment], name: str, message: str) -> None:
    if environment.value(name) not in (None, "", {}):
        environment.report((name,), message, warning=True)
