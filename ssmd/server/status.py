"""What /status says: the state of a run as JSON. docs/status.md has the fields and the schema.

Unknown is null. No level shows a key, or an endpoint's query, user or substituted parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ssmd import __version__
from ssmd.contracts.companion import SHIP, UPLOAD
from ssmd.contracts.shard import Shard
from ssmd.contracts.strip import Strip
from ssmd.runtime.channel_status import ChannelStatus
from ssmd.runtime.recent import Recent, companion, engine
from ssmd.runtime.shipping import shipping_of
from ssmd.runtime.status import Status
from ssmd.server import present
from ssmd.server.levels import FULL, OFF
from ssmd.server.verdict import verdict
from ssmd.store.asked import ALL
from ssmd.store.timestamps import timestamp

__all__ = ["About", "describe"]

FORMAT = 1
NAMES = 20
"""How many markets of a channel are named."""


@dataclass(frozen=True)
class About:
    """What does not change during a run, and where else its figures are."""

    feed: str
    shard: Shard
    environment: str
    exchange: str
    endpoint: str
    """For people, see metadata/shown.py."""
    started_ns: int
    earlier_errors: Callable[[], Mapping[str, int] | None] = lambda: None
    """Returns how often earlier runs have ended with an error, by type; None when that is not known."""
    recent: Recent | None = None
    """The last minutes; None when nobody takes samples."""
    days: Callable[[], Sequence[Strip] | None] = lambda: None
    """Returns the last days, today as the last one; None when they are not known."""


def describe(status: Status, about: About, level: str, clock: Callable[[], int] = time.time_ns) -> dict[str, Any]:
    """Return what /status says at a level. `clock`: returns ns since the epoch."""
    now_ns = clock()
    state, since_ns = status.state_since(now_ns)
    brief = {"format": FORMAT, "state": state, "since": timestamp(since_ns)}
    if level == OFF:
        return brief
    found = {**brief, **_in_full(status, about, now_ns, level == FULL)}
    said = verdict(found, status.reasons(), status.trouble(), now_ns)
    return {**found, "verdict": {**said._asdict(), "since": _time(said.since)}}


def _in_full(status: Status, about: About, now_ns: int, names: bool) -> dict[str, Any]:
    return {
        "missing": status.not_ready(),
        "notes": status.notes(),
        "feed": about.feed,
        "shard": about.shard.label,
        "environment": about.environment,
        "exchange": about.exchange,
        "endpoint": about.endpoint,
        "version": __version__,
        "started": timestamp(about.started_ns),
        "configuration": status.configuration,
        "reconfigured": _time(status.reconfigured_ns),
        "connected": status.connected,
        "connected_since": _time(status.connected_ns) if status.connected else None,
        "messages": _messages(status, now_ns, names),
        "rates": present.rates(about.recent),
        "age": present.age(about.recent),
        "today": present.today(about.days()),
        "channels": _channels(status, now_ns, names, present.channel_rates(about.recent)),
        "following": _following(status, now_ns, names),
        "schema": _schema(status),
        "queue": present.queue(status, about.recent),
        "disk": {
            "day": status.day or None,
            "free_bytes": status.disk_free,
            "last_write": _seconds(status.last_write),
            "last_sync": _seconds(status.last_sync),
            "waiting_seconds": round(status.disk_waits(), 3),
            **present.disk_rate(about.recent, status.disk_free),
        },
        "schedule": _schedule(status),
        "expected_silence_until": _time(status.silence_until_ns),
        "runs": _runs(status, about, names),
        "drift": present.drift(status.drift, names),
        "companions": _companions(status, about.recent, names),
        "shipping": _shipping(status, about.recent, SHIP, names),
        "uploading": _shipping(status, about.recent, UPLOAD, names),
    }


def _runs(status: Status, about: About, texts: bool) -> dict[str, Any]:
    last_end = present.last_end(status, about.days(), texts)
    return {"starts_today": status.starts, "earlier_errors": about.earlier_errors(), "last_end": last_end}


def _schema(status: Status) -> dict[str, Any] | None:
    counts = status.schema
    if counts is None:
        return None
    return {
        "name": counts.schema,
        "sample": counts.is_sample,
        "checked": counts.checked,
        "not_checked": counts.not_checked,
        "violations": dict(counts.violations),
    }


def _schedule(status: Status) -> dict[str, Any] | None:
    if status.scheduled is None:
        return None
    return {
        "open": status.scheduled,
        "opened": _time(status.opened_ns),
        "closed_until": _time(status.closed_until_ns),
    }


def _messages(status: Status, now_ns: int, names: bool) -> dict[str, Any]:
    read = status.last_read()
    return {
        "written": status.messages,
        "received_bytes": status.received_bytes,
        "written_bytes": status.written_bytes,
        "not_json": status.not_json,
        "not_decompressed": status.not_decompressed(),
        "loss_shown_by": status.loss_shown_by,
        "gaps": status.known_gaps,
        "missed": status.known_missed,
        **present.gaps(status.gap_counts, names),
        "last": _time(status.last_received_ns),
        "age_seconds": _age(status.last_received_ns, now_ns),
        "last_byte_age_seconds": None if read is None else round(time.monotonic() - read, 3),
    }


def _following(status: Status, now_ns: int, errors: bool) -> dict[str, Any] | None:
    state = status.listing
    if state is None:
        return None
    found: dict[str, Any] = {
        "listed": state.listed,
        "subscribed": state.subscribed,
        "not_subscribed": state.not_subscribed,
        "over_limit": state.over_limit,
        "waiting_seconds": _age(_from_ms(state.waiting_since_ms), now_ns),
        "last_listed": _time(_from_ms(state.last_listed_ms)),
        "pause_seconds": state.pause_seconds,
        "responses": {str(status) if status else "none": count for status, count in state.responses.items()},
        "failing": state.error is not None,
    }
    return found | ({"error": state.error} if errors else {})


def _from_ms(ms: int | None) -> int | None:
    return None if ms is None else ms * 1_000_000


def _channels(
    status: Status, now_ns: int, names: bool, rates: Mapping[str, float]
) -> list[dict[str, Any]] | None:
    if status.channels is None:
        return None
    return [
        {**_channel(channel, status, now_ns, names), "messages_per_second": rates.get(channel.channel)}
        for channel in status.channels
    ]


def _channel(channel: ChannelStatus, status: Status, now_ns: int, names: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "channel": channel.channel,
        "asked": ALL if channel.asked is None else channel.asked,
        "confirmed_markets": channel.confirmed_markets,
        "heard": channel.heard,
        "confirmed": channel.confirmed,
        "refused": channel.channel in status.refused,
        "silent": channel.silent,
        "last": _time(channel.last_ns),
        "age_seconds": _age(channel.last_ns, now_ns),
        "books_pending": channel.books_pending,
        "books_missing": channel.books_missing,
        "may_be_silent": channel.may_be_silent,
    }
    if names and not channel.may_be_silent:
        found["unconfirmed"] = _some(status.unconfirmed(channel.channel))
        found["unheard"] = _some(status.unheard(channel.channel))
    return found


def _companions(status: Status, recent: Recent | None, errors: bool) -> list[dict[str, Any]]:
    return [
        {"name": name, "up": state.up, "starts": state.starts, "failures": state.failures}
        | {"down_since": present.late_since(recent, companion(name))}
        | ({"error": state.error} if errors else {})
        for name, state in status.companions.items()
    ]


def _shipping(status: Status, recent: Recent | None, name: str, errors: bool) -> dict[str, Any] | None:
    shipping = shipping_of(status.companions, name)
    if shipping is None:
        return None
    lag = shipping.lag_seconds
    found: dict[str, Any] = {
        "engine": shipping.engine,
        "up": shipping.up,
        "down_since": present.late_since(recent, engine(name)),
        "messages": shipping.messages,
        "failures": shipping.failures,
        "lag_bytes": shipping.lag_bytes,
        "lag_seconds": None if lag is None else round(lag, 3),
        "until": shipping.until,
    }
    for part, seconds in shipping.overdue.items():
        found[f"{part}_overdue_seconds"] = None if seconds is None else round(seconds, 3)
    return found | ({"error": shipping.error} if errors else {})


def _some(names: Sequence[str]) -> list[str]:
    return list(names[:NAMES])


def _time(ns: int | None) -> str | None:
    return None if ns is None else timestamp(ns)


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(int(seconds * 1e9))


def _age(ns: int | None, now_ns: int) -> float | None:
    return None if ns is None else round(max(0, now_ns - ns) / 1e9, 3)
