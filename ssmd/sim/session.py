"""One client's subscriptions on the simulated Kalshi: commands and market events in, replies and frames out. Pure.

The rules are those of https://docs.kalshi.com/asyncapi.yaml and https://docs.kalshi.com/changelog: a channel has one
sid on a connection; numbers go up by one with every message of a sid, replies included; tickers have no numbers; a
repeated subscribe is merged into the first one (since October 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ssmd.sim.command import Command, error, flag, parse, tickers_of
from ssmd.sim.faults import Faults
from ssmd.sim.following import Following
from ssmd.sim.limits import Limits, Rate
from ssmd.sim.markets import Markets
from ssmd.sim.pool import Pool
from ssmd.sim.refusal import Refusal, text_of
from ssmd.sim.subscription import CHANNELS, Subscription, reply

__all__ = ["Session"]


class Session(Following):
    """The subscriptions of one connection to the simulated Kalshi. Keeps the contract of feeds.Source.

    Of `faults`, those about commands are applied here.
    """

    def __init__(self, markets: Markets, limits: Limits | None = None, faults: Faults | None = None) -> None:
        super().__init__(markets, faults or Faults())
        self._limits = limits or Limits()
        self._rate = Rate(self._limits.commands_per_second)
        self._last_sid = 0

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Carry out one command; return the replies to it, or the error that refuses it.

        What has happened before the command comes first.
        """
        earlier = self.announce(now_ns)
        command: Command | None = None
        try:
            command = parse(payload)
            if not self._rate.allows(now_ns):
                raise Refusal(27)
            action = {
                "subscribe": self._subscribe,
                "unsubscribe": self._unsubscribe,
                "update_subscription": self._update,
                "list_subscriptions": self._list,
            }.get(command.name)
            if action is None:
                raise Refusal(5)
            replies = action(command, now_ns)
        except Refusal as refusal:
            return [*earlier, error(refusal, command.id if command else None)]
        self._plan()
        return earlier + replies

    def fail(self, code: int) -> bytes:
        """End the oldest subscription; return the error message. The connection and the others go on.

        "Channel errors are terminal and the user must resubscribe": asyncapi.yaml, "Terminal Errors".
        """
        if not self._by_channel:
            return error(Refusal(code), None)
        subscription = min(self._by_channel.values(), key=lambda s: s.sid)
        del self._by_channel[subscription.channel]
        self._plan()
        return subscription.reply("error", None, {"code": code, "msg": text_of(code)})

    def _subscribe(self, command: Command, now_ns: int) -> list[bytes]:
        params = command.require_params()
        channels = self._channels_of(params)
        tickers = tickers_of(params, channels, self._markets)
        if tickers is None and any(CHANNELS[name].tickers == "required" for name in channels):
            raise Refusal(14)
        new = {name: self._new(name, tickers) for name in channels}
        yes_price, terse = flag(params, "use_yes_price"), flag(params, "skip_ticker_ack")
        snapshots = flag(params, "send_initial_snapshot")

        replies: list[bytes] = []
        opening: list[bytes] = []
        for name in channels:
            subscription = self._by_channel.get(name)
            if subscription is None:
                self._last_sid += 1
                subscription = self._by_channel[name] = Subscription(name, self._last_sid, yes_price)
                subscription.tickers = None if new[name] is None else Pool()
                replies.append(reply("subscribed", command.id, {"channel": name, "sid": subscription.sid}))
                self._add(subscription, new[name])
            else:
                self._add(subscription, new[name])
                replies.append(subscription.acknowledge(command.id, terse))
            first = new[name]
            if name == "ticker" and first is None:
                first = self._markets.tickers
            opening += self._opening(subscription, first or (), snapshots, now_ns)
        return replies + opening

    def _channels_of(self, params: dict[str, Any]) -> list[str]:
        """Return the channels that a command names, each once. Raises Refusal."""
        channels = params.get("channels")
        if channels is None or channels == []:
            raise Refusal(3)
        if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
            raise Refusal(11, "channels must be a list of names")
        channels = list(dict.fromkeys(channels))
        for name in channels:
            if name not in CHANNELS:
                raise Refusal(8)
            if CHANNELS[name].private:
                raise Refusal(9)
            if name in self._faults.refused:
                raise Refusal(self._faults.refused[name])
        return channels

    def _new(self, channel: str, tickers: list[str] | None) -> list[str] | None:
        """Return the tickers, each once, that a channel's subscription will have in addition; None when it then is for
        all markets. Raises Refusal 26 for more than one subscription may have.
        """
        subscription = self._by_channel.get(channel)
        current = subscription.tickers if subscription else Pool()
        if CHANNELS[channel].tickers == "none" or tickers is None or current is None:
            return None
        unknown = self._faults.unknown_markets
        new = [each for each in dict.fromkeys(tickers) if each not in current and each not in unknown]
        if len(current) + len(new) > self._limits.markets:
            raise Refusal(26)
        return new

    def _add(self, to: Subscription, new: Iterable[str] | None) -> None:
        if new is None:
            to.tickers = None
        elif to.tickers is not None:
            for ticker in new:
                to.tickers.add(ticker, is_open=self._universe.is_open(ticker))

    def _unsubscribe(self, command: Command, now_ns: int) -> list[bytes]:
        sids = command.require_params().get("sids")
        if sids is None or sids == []:
            raise Refusal(4)
        if not isinstance(sids, list) or not all(type(sid) is int for sid in sids):
            raise Refusal(11, "sids must be a list of numbers")
        found = [self._find(sid) for sid in dict.fromkeys(sids)]
        for subscription in found:
            del self._by_channel[subscription.channel]
        return [subscription.reply("unsubscribed", command.id) for subscription in found]

    def _update(self, command: Command, now_ns: int) -> list[bytes]:
        params = command.require_params()
        sids = params.get("sids", [])
        sids = [*sids, params["sid"]] if isinstance(sids, list) and "sid" in params else sids
        if not isinstance(sids, list) or len(sids) != 1:
            raise Refusal(12)
        subscription = self._find(sids[0])
        name, channel = params.get("action"), CHANNELS[subscription.channel]
        if name is None:
            raise Refusal(15)
        if name not in ("add_markets", "delete_markets", "get_snapshot") or channel.tickers == "none":
            raise Refusal(13)
        if name == "get_snapshot" and subscription.channel != "orderbook_delta":
            raise Refusal(13)
        tickers = tickers_of(params, [subscription.channel], self._markets)
        if tickers is None:
            raise Refusal(14)
        if name == "get_snapshot":
            ignored = self._faults.unknown_markets | self._faults.without_snapshot
            return self._snapshots(subscription, [t for t in tickers if t not in ignored], command.id)
        terse, snapshots = flag(params, "skip_ticker_ack"), flag(params, "send_initial_snapshot")
        new: list[str] = []
        if name == "add_markets":
            new = self._new(subscription.channel, tickers) or []
            self._add(subscription, new)
        elif subscription.tickers is None:
            raise Refusal(11, "the subscription has no list of markets to delete from")
        else:
            for ticker in tickers:
                subscription.tickers.remove(ticker)
        return [subscription.acknowledge(command.id, terse), *self._opening(subscription, new, snapshots, now_ns)]

    def _list(self, command: Command, now_ns: int) -> list[bytes]:
        live = sorted(self._by_channel.values(), key=lambda s: s.sid)
        return [reply("ok", command.id, [{"channel": s.channel, "sid": s.sid} for s in live])]

    def _find(self, sid: Any) -> Subscription:
        for subscription in self._by_channel.values():
            if type(sid) is int and subscription.sid == sid:
                return subscription
        raise Refusal(7)

    def _snapshots(self, to: Subscription, tickers: Iterable[str], command_id: int | None) -> list[bytes]:
        """Return the books as they are now; with a command's id they answer get_snapshot."""
        if to.muted:
            return []
        numbered = not command_id or self._limits.snapshot_seq == "next"
        return [to.frame(self._markets.snapshot_of(ticker), command_id, numbered=numbered) for ticker in tickers]

    def _opening(self, to: Subscription, new: Iterable[str], wanted: bool, now_ns: int) -> list[bytes]:
        """Return the first messages for tickers that are new to a subscription: books, or summaries if `wanted`."""
        if to.channel == "orderbook_delta":
            return self._snapshots(to, new, None)
        return self._summaries(to, new, now_ns) if to.channel == "ticker" and wanted else []
