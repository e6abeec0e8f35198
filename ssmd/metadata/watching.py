"""Checks the fields of an environment about silence, order books and listings."""

from __future__ import annotations

from typing import Any

from ssmd.contracts.dialect import Dialect
from ssmd.metadata.folder import MetadataFile
from ssmd.metadata.model import Environment
from ssmd.metadata.problem import quoted
from ssmd.spelling import misspelling, nearest

__all__ = ["check_books", "check_channels", "check_data_timeout", "check_keep_listing"]

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


def check_keep_listing(environment: MetadataFile[Environment], subscribe: Any) -> None:
    """Warn of `keep_listing` when no markets are followed."""
    sections = subscribe if isinstance(subscribe, list) else [subscribe]
    if not any("follow" in section for section in sections):
        _warn_if_given(environment, "keep_listing", "has no effect: nothing in `subscribe` has a `follow`")


def _warn_if_given(environment: MetadataFile[Environment], name: str, message: str) -> None:
    if environment.value(name) not in (None, "", {}):
        environment.report((name,), message, warning=True)
