"""The metrics of each channel. Their only further label is `channel`: there may be thousands of markets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from ssmd.runtime.channel_status import ChannelStatus

__all__ = ["channel_metrics"]

_GAUGES: tuple[tuple[str, str, Callable[[ChannelStatus], float | None]], ...] = (
    (
        "ssmd_channel_asked_markets",
        "Markets asked for on a channel; missing when all are.",
        lambda channel: channel.asked,
    ),
    (
        "ssmd_channel_confirmed_markets",
        "How many of them the exchange has confirmed; missing when it does not say, or when all are asked for.",
        lambda channel: channel.confirmed_markets,
    ),
    (
        "ssmd_channel_heard_markets",
        "From how many of them a message has come; missing when all are asked for.",
        lambda channel: channel.heard,
    ),
    (
        "ssmd_channel_confirmed",
        "1 when the exchange has confirmed all that was asked for on a channel, else 0; missing when that is unknown.",
        lambda channel: channel.confirmed,
    ),
    (
        "ssmd_channel_silent",
        "1 while a channel has had no message for `silent_after_seconds`, else 0.",
        lambda channel: channel.silent,
    ),
    (
        "ssmd_channel_last_message_timestamp",
        "When the last message of a channel was received, Unix seconds; missing before the first.",
        lambda channel: None if channel.last_ns is None else channel.last_ns / 1e9,
    ),
    (
        "ssmd_books_pending",
        "Markets whose order book is not known, because a snapshot has not come yet; missing without books.",
        lambda channel: channel.books_pending,
    ),
    (
        "ssmd_books_missing",
        "Markets whose order book the exchange does not send, although it was asked; missing without books.",
        lambda channel: channel.books_missing,
    ),
)


def channel_metrics(channels: Sequence[ChannelStatus]) -> Iterator[Metric]:
    """Yield the metrics of all channels. One that is not known has no series."""
    for name, text, value in _GAUGES:
        gauge = GaugeMetricFamily(name, text, labels=["channel"])
        for channel in channels:
            if (number := value(channel)) is not None:
                gauge.add_metric([channel.channel], float(number))
        yield gauge
