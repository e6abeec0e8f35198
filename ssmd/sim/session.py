"""One client's subscriptions on the simulated Kalshi: commands and market events in, replies and frames out. Pure.

The rules are those of https://docs.kalshi.com/asyncapi.yaml and https://docs.kalshi.com/changelog: a channel has one
sid on a connection; numbers go up by one with every message of a sid, replies included; tickers have no numbers; a
repeated subscribe is merged into the first one (since October 2025).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ssmd.sim.book import moment
from ssmd.sim.command import CHANNELS, Command, Subscription, error, flag, parse, reply, tickers_of
from ssmd.sim.faults import Faults
from ssmd.sim.limits import Limits, Rate
from ssmd.sim.markets import ACTIONS, Markets
from ssmd.sim.refusal import Refusal, text_of

__all__ = ["Session"]


class Session:
    """The subscriptions of one connection to the simulated Kalshi. Keeps the contract of feeds.Source.

    Of `faults`, those about commands are applied here.
    """

    def __init__(self, markets: Markets, limits: Limits | None = None, faults: Faults | None = None) -> None:
        self._markets = markets
        self._limits = limits or Limits()
        self._faults = faults or Faults()
        self._rate = Rate(self._limits.commands_per_second)
        self._by_channel: dict[str, Subscription] = {}
        self._last_sid = 0
        self._pool: list[str] = []
        self._actions: list[str] = []

    @property
    def active(self) -> bool:
        """Whether there is a subscription that market data can be made up for."""
        return bool(self._actions)

    def receive(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Carry out one command; return the replies to it, or the error that refuses it."""
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
            return [error(refusal, command.id if command else None)]
        self._plan()
        return replies

    def produce(self, count: int, now_ns: int) -> list[bytes]:
        """Return about `count` messages of the subscriptions: at most one more, fewer when their channels are quiet."""
        when = moment(now_ns)
        frames: list[bytes] = []
        attempts = 50 * count + 100
        while self._actions and len(frames) < count and attempts:
            attempts -= 1
            for event in self._markets.step(self._pool, self._actions, when):
                subscription = self._by_channel.get(event.channel)
                if subscription is not None and not subscription.muted and subscription.wants(event.ticker):
                    frames.append(subscription.frame(event))
        return frames

    def lose(self, count: int, channel: str) -> None:
        """Lose the next `count` messages of a channel, or of every channel if it is empty: their numbers are missing.

        A lost change of a book has happened all the same: the book is known again only after its next snapshot.
        """
        for subscription in self._by_channel.values():
            if channel in ("", subscription.channel):
                books = list(subscription.tickers or ()) if subscription.channel == "orderbook_delta" else []
                for _ in range(count):
                    if books:
                        self._markets.step(books, ["orderbook_delta"], moment(0))
                    subscription.number()

    def mute(self, channel: str) -> None:
        """Send no more data on a channel; commands about it are still answered."""
        if (subscription := self._by_channel.get(channel)) is not None:
            subscription.muted = True
            self._plan()

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
        tickers = tickers_of(params, channels, self._markets)
        if tickers is None and any(CHANNELS[name].tickers == "required" for name in channels):
            raise Refusal(14)
        merged = {name: self._merged(name, tickers) for name in channels}
        yes_price, terse = flag(params, "use_yes_price"), flag(params, "skip_ticker_ack")
        snapshots = flag(params, "send_initial_snapshot")

        replies: list[bytes] = []
        opening: list[bytes] = []
        for name in channels:
            subscription = self._by_channel.get(name)
            if subscription is None:
                self._last_sid += 1
                subscription = self._by_channel[name] = Subscription(name, self._last_sid, yes_price)
                replies.append(reply("subscribed", command.id, {"channel": name, "sid": subscription.sid}))
                new = list(merged[name] or ())
                subscription.tickers = merged[name]
            else:
                new = [t for t in merged[name] or () if not subscription.wants(t)]
                subscription.tickers = merged[name]
                replies.append(subscription.acknowledge(command.id, terse))
            if name == "ticker" and subscription.tickers is None:
                new = self._markets.tickers
            opening += self._opening(subscription, new, snapshots, now_ns)
        return replies + opening

    def _merged(self, channel: str, tickers: list[str] | None) -> dict[str, None] | None:
        """Return the tickers that the channel's subscription will have; None for all. Raises Refusal 26."""
        if CHANNELS[channel].tickers == "none" or tickers is None:
            return None
        subscription = self._by_channel.get(channel)
        if subscription is not None and subscription.tickers is None:
            return None
        merged = dict(subscription.tickers or {}) if subscription else {}
        merged |= dict.fromkeys(ticker for ticker in tickers if ticker not in self._faults.unknown_markets)
        if len(merged) > self._limits.markets:
            raise Refusal(26)
        return merged

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
        current = subscription.tickers
        new: list[str] = []
        if name == "add_markets":
            merged = self._merged(subscription.channel, tickers)
            new = [t for t in merged or () if not subscription.wants(t)]
            subscription.tickers = merged
        elif current is None:
            raise Refusal(11, "the subscription has no list of markets to delete from")
        else:
            subscription.tickers = {t: None for t in current if t not in tickers}
        acknowledged = subscription.acknowledge(command.id, flag(params, "skip_ticker_ack"))
        return [acknowledged, *self._opening(subscription, new, flag(params, "send_initial_snapshot"), now_ns)]

    def _list(self, command: Command, now_ns: int) -> list[bytes]:
        live = sorted(self._by_channel.values(), key=lambda s: s.sid)
        return [reply("ok", command.id, [{"channel": s.channel, "sid": s.sid} for s in live])]

    def _find(self, sid: Any) -> Subscription:
        for subscription in self._by_channel.values():
            if type(sid) is int and subscription.sid == sid:
                return subscription
        raise Refusal(7)

    def _opening(self, to: Subscription, new: Iterable[str], wanted: bool, now_ns: int) -> list[bytes]:
        """Return the first messages for tickers that are new to a subscription: books, or summaries if `wanted`."""
        if to.channel == "orderbook_delta":
            return self._snapshots(to, new, None)
        if to.channel == "ticker" and wanted:
            when = moment(now_ns)
            return [to.frame(self._markets.ticker(self._markets.market(ticker), when)) for ticker in new]
        return []

    def _snapshots(self, to: Subscription, tickers: Iterable[str], command_id: int | None) -> list[bytes]:
        """Return the books as they are now; with a command's id they answer get_snapshot."""
        if to.muted:
            return []
        numbered = not command_id or self._limits.snapshot_seq == "next"
        books = [self._markets.snapshot(self._markets.market(ticker)) for ticker in tickers]
        return [to.frame(book, command_id, numbered=numbered) for book in books]

    def _plan(self) -> None:
        """Set, after each change of the subscriptions, from which markets and events the next ones are chosen."""
        channels = {name: each for name, each in self._by_channel.items() if not each.muted}
        self._actions = [name for name, weight in ACTIONS.items() if name in channels for _ in range(weight)]
        filtered = [channels[name] for name in channels if CHANNELS[name].tickers != "none"]
        if any(subscription.tickers is None for subscription in filtered):
            self._pool = self._markets.tickers
        else:
            self._pool = list({ticker: None for s in filtered for ticker in s.tickers or ()})
        if not self._pool:
            # A subscription whose last market was deleted stays, without messages.
            self._actions = [name for name in self._actions if CHANNELS[name].tickers == "none"]

