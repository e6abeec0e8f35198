"""The `asked` entries of a ledger, and the state that a connection has reached after some entries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.store.ledger import (
    ASKED,
    CONNECTED,
    FOLLOWED,
    HEARD,
    RECONFIGURED,
    REFUSED,
    SILENT,
    SUBSCRIBED,
    UNFOLLOWED,
)

__all__ = ["ADD", "ALL", "MOST_MARKETS", "REMOVE", "SUBSCRIBE", "ConnectionState", "asked_fields", "followed_fields"]

SUBSCRIBE, ADD, REMOVE = "subscribe", "add", "remove"
"""The values of `action`."""
ALL = "all"
"""The value of `markets` when all markets are asked for."""
MOST_MARKETS = 2000
"""How many markets one entry names. More are divided among several entries."""


def asked_fields(
    subscription: int,
    channel: str,
    action: str,
    markets: Sequence[str] | None,
    commands: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Yield the fields of one entry, or of several for a long list of markets; the commands are divided too, in order.

    `markets`: None for all.
    """
    head = {"subscription": subscription, "channel": channel, "action": action}
    names = ALL if markets is None else list(markets)
    parts = 1 if markets is None else max(1, -(-len(names) // MOST_MARKETS))
    for part in range(parts):
        first, last = (len(commands) * place // parts for place in (part, part + 1))
        some = names if parts == 1 else names[part * MOST_MARKETS : (part + 1) * MOST_MARKETS]
        yield {**head, "markets": some, "commands": list(commands[first:last])}


def followed_fields(channels: Sequence[str], markets: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the fields of one entry `followed`, or of several for many markets. `markets`: each with its times."""
    names = list(markets)
    for first in range(0, len(names), MOST_MARKETS):
        some = {name: markets[name] for name in names[first : first + MOST_MARKETS]}
        yield {"channels": list(channels), "markets": some}


class _Channel(NamedTuple):
    """What is asked for on one channel of one subscription."""

    markets: dict[str, bool] | None
    """In the order in which they were asked for, each with whether the exchange has confirmed it; None for all."""
    commands: list[Mapping[str, Any]]
    """The commands of the subscription, without those of later additions and removals."""


class ConnectionState:
    """What is asked for, with the sids that the exchange has given; what it has refused; which channels are silent."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._channels: dict[tuple[int, str], _Channel] = {}
        self._sids: dict[tuple[str, int], None] = {}
        self._refused: dict[tuple[str, object], Mapping[str, Any]] = {}
        self._silent: dict[str, Mapping[str, Any]] = {}
        self._followed: dict[tuple[str, ...], dict[str, Any]] = {}
        """By the channels on which they are to be collected: the followed markets, each with its times."""

    def take(self, event: str, fields: Mapping[str, Any]) -> None:
        """Take the next event of a ledger, of any kind."""
        if event == CONNECTED:
            self._begin()
        elif event == RECONFIGURED:
            self._refused.clear()  # What was refused is asked for again, unless it is not wanted any more.
        elif event == SUBSCRIBED and isinstance(sid := fields["sid"], int):
            self._sids[fields["channel"], sid] = None
            self._confirmed(fields)
        elif event == ASKED:
            self._asked(fields)
        elif event == REFUSED and not fields.get("for_now"):
            self._refused[fields["channel"], fields["code"]] = fields
        elif event == SILENT:
            self._silent[fields["channel"]] = fields
        elif event == HEARD:
            self._silent.pop(fields["channel"], None)
        elif event == FOLLOWED:
            self._followed.setdefault(tuple(fields["channels"]), {}).update(fields["markets"])
        elif event == UNFOLLOWED:
            self._unfollowed(fields["markets"])

    def _confirmed(self, fields: Mapping[str, Any]) -> None:
        for (_, name), channel in self._channels.items():
            if name == fields["channel"] and channel.markets is not None:
                # An addition may be confirmed before its entry is written.
                channel.markets.update(dict.fromkeys(fields.get("tickers") or channel.markets, True))
                channel.markets.update(dict.fromkeys(fields.get("unconfirmed") or (), False))

    def _unfollowed(self, names: Sequence[str] | str) -> None:
        if names == ALL:
            self._followed.clear()
            return
        for markets in self._followed.values():
            for name in names:
                markets.pop(name, None)

    def _asked(self, fields: Mapping[str, Any]) -> None:
        at = fields["subscription"], fields["channel"]
        markets, commands, action = fields["markets"], fields["commands"], fields["action"]
        if markets == ALL and action == REMOVE:
            self._channels.pop(at, None)
            self._sids = {known: None for known in self._sids if known[0] != at[1]}
            return
        known = self._channels.get(at)
        if known is None:
            known = self._channels[at] = _Channel({}, [])
        if action == SUBSCRIBE:
            known.commands.extend(commands)
        if markets == ALL:
            self._channels[at] = _Channel(None, known.commands)
        elif known.markets is not None and action == REMOVE:
            for market in markets:
                known.markets.pop(market, None)
        elif known.markets is not None:
            for market in markets:
                known.markets.setdefault(market, False)

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the events, with their fields, from which a reader gets the same state without any earlier event."""
        for (subscription, channel), known in self._channels.items():
            markets = None if known.markets is None else list(known.markets)
            for fields in asked_fields(subscription, channel, SUBSCRIBE, markets, known.commands):
                yield ASKED, fields
        for channel, sid in self._sids:
            waiting = self._unconfirmed(channel)
            yield SUBSCRIBED, {"channel": channel, "sid": sid, **({"unconfirmed": waiting} if waiting else {})}
        for channels, markets_of in self._followed.items():
            for fields in followed_fields(channels, markets_of):
                yield FOLLOWED, fields
        yield from ((REFUSED, dict(fields)) for fields in self._refused.values())
        yield from ((SILENT, dict(fields)) for fields in self._silent.values())

    def _unconfirmed(self, channel: str) -> list[str]:
        known = (each.markets or {} for (_, name), each in self._channels.items() if name == channel)
        return [market for markets in known for market, is_confirmed in markets.items() if not is_confirmed]
