"""What Kalshi's replies to commands mean.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ssmd.contracts.events import Event, Refused
from ssmd.errors import Disconnected, SsmdError, SubscriptionRefused
from ssmd.exchange.kalshi.channels import BOOKS
from ssmd.exchange.kalshi.confirmed import Confirmation
from ssmd.exchange.kalshi.connection_channel import ChannelOfConnection
from ssmd.exchange.kalshi.errors import KalshiError, read_error
from ssmd.exchange.kalshi.inspector import MessageHead, content, mapping
from ssmd.exchange.kalshi.sending import Sending
from ssmd.exchange.kalshi.snapshots import Snapshots
from ssmd.exchange.kalshi.subscriptions import Subscriptions
from ssmd.exchange.kalshi.switches import Switch
from ssmd.exchange.kalshi.updates import REMOVE, Update

__all__ = ["Replies"]

_CONFIRMATIONS = ("subscribed", "ok", "unsubscribed")


class Replies:
    """Reads the replies on one connection.

    `shown`: returns a value that Kalshi has sent as text for a log. `confirmed`: is called with each sid that a reply
    confirms.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        snapshots: Snapshots | None,
        sending: Sending,
        shown: Callable[[object], str],
        confirmed: Callable[[int], object],
    ) -> None:
        self._subscriptions = subscriptions
        self.snapshots = snapshots
        self._sending = sending
        self._shown = shown
        self._confirmed = confirmed

    def read(self, head: MessageHead, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        """Match a reply to its command, and add what it means to `events`; return the error that ends the run, if it
        is one.
        """
        message = content(payload)
        body = mapping(message.get("msg"))
        if head.type == "error":
            return self._read_error(head, read_error(body, self._where(head.sid), self._shown), index, events)
        if head.type == "unsubscribed" and self._subscriptions.switches.get(head.id) is None:
            return self._read_ending(head)
        found: Iterable[Confirmation] = ()
        # Until February 2026 the lists were at the top level.
        whole = {**message, **body}
        if head.type in _CONFIRMATIONS and (switch := self._subscriptions.switches.take(head.id)):
            found = self._subscriptions.switched(switch, whole)
        elif head.type in _CONFIRMATIONS and (update := self._subscriptions.updates.take_confirmed(head.id)):
            found = self._subscriptions.updated(update, whole)
        elif head.type == "subscribed":
            found = self._subscriptions.subscribed(head.id, body)
        elif head.type == "ok":
            found = self._subscriptions.ok(head.id, head.sid, whole)
        if head.type in _CONFIRMATIONS:
            self._sending.confirmed()
        for confirmation in found:
            event = confirmation.event
            events.append(event._replace(place=index))
            if event.sid is not None:
                self._confirmed(event.sid)
            self._report_limit(confirmation.channel, index, events)
            if self.snapshots is not None and self.snapshots.are_of(confirmation.channel):
                self.snapshots.confirmed(confirmation.new, confirmation.gone)
                events += self.snapshots.report(index + 1)
        return None

    def _read_ending(self, head: MessageHead) -> Disconnected | None:
        """Read an `unsubscribed` that answers no command: nobody has asked for it, or the answer comes very late."""
        channel = self._subscriptions.channel_of(head.sid)
        if channel is None or not channel.is_closing:
            return Disconnected(f"Kalshi has ended the subscription{self._where(head.sid)}")
        list(self._subscriptions.switched(Switch(head.id, channel, opens=False, sent_ms=0), {}))
        return None

    def _read_error(self, head: MessageHead, error: KalshiError, index: int, events: list[Event]) -> SsmdError | None:
        if error.is_too_many_commands:
            self._send_again(head, error, index, events)
        if error.is_over:
            return Disconnected(f"{error.text}; {error.remedy}")
        if self.snapshots is not None and self.snapshots.has_asked(head.id):
            found = self.snapshots.refused(head.id, error, index)
            if isinstance(found, SsmdError):
                return found
            if found is not None:
                _add(events, found)
            return None
        if switch := self._subscriptions.switches.take(head.id):
            self._read_switch_error(switch, error, index, events)
            return None
        if update := self._subscriptions.updates.take_refused(head.id):
            return self._read_update_error(update, error, index, events)
        if error.is_too_many_commands or self._subscriptions.is_later(head.id):
            return None
        if error.is_timeout:
            return Disconnected(f"{error.text}; {error.remedy}")
        if error.is_too_many_markets:
            return self._too_many_markets(head, error, index, events)
        text = error.refusal(self._channels_about(head))
        for name in self._channels_about(head):
            _add(events, Refused(name, error.code, text, index))
        return SubscriptionRefused(text)

    def _read_switch_error(self, switch: Switch, error: KalshiError, index: int, events: list[Event]) -> None:
        """Read the error that refuses to open or to close a channel. The others go on."""
        if error.is_too_many_commands or error.is_timeout:
            return
        if not switch.opens and error.is_unknown_sid:
            list(self._subscriptions.switched(switch, {}))
            return
        self._subscriptions.switches.refused(switch)
        what = "it is not collected" if switch.opens else "its messages go on"
        text = f"{error.text}; {switch.channel.name}: {what}: {error.remedy}"
        _add(events, Refused(switch.channel.name, error.code, text, index))

    def _read_update_error(
        self, update: Update, error: KalshiError, index: int, events: list[Event]
    ) -> Disconnected | None:
        """Read the error that refuses to change a channel. What was confirmed goes on, and the rest is tried again."""
        updates, channel = self._subscriptions.updates, update.channel
        if error.is_unknown_sid:
            return Disconnected(f"{error.text}; Kalshi has ended that subscription")
        remedy, for_now = "the command is sent again", True
        kept: Sequence[str] = ()
        if error.is_timeout:
            updates.not_answered(update)
        elif error.is_too_many_commands:
            kept, remedy = updates.not_done(update), ""  # See _send_again().
        elif error.is_too_many_markets and update.action != REMOVE:
            channel.room.refused(len(update.portion.markets))
            channel.limit, remedy = error, ""
            updates.not_done(update)
            self._report_limit(channel, index, events)
        elif error.is_bad_command:
            channel.is_given_up = True
            kept = updates.not_done(update)
            remedy, for_now = f"the markets of {channel.name} are not changed: {error.remedy}", False
        else:
            kept = updates.refused(update, error.named)
            remedy = f"asking again for fewer markets of {channel.name} at a time"
        if remedy:
            _add(events, Refused(channel.name, error.code, f"{error.text}; {remedy}", index, for_now))
        if self.snapshots is not None and self.snapshots.are_of(channel):
            self.snapshots.confirmed(kept, ())
        return None

    def _report_limit(self, channel: ChannelOfConnection, index: int, events: list[Event]) -> None:
        """Report, once it is found out, how many markets are left out because of a limit."""
        if channel.limit is None or not channel.room.is_full:
            return
        error, channel.limit = channel.limit, None
        if channel.left_out == channel.over_limit:
            return
        channel.left_out = channel.over_limit
        count = f"{channel.over_limit:,} of {len(channel.markets or ()):,} markets of {channel.name} are not collected"
        text = f"{error.text}; {count}: {error.remedy}"
        _add(events, Refused(channel.name, error.code, text, index, channel.followed))

    def _send_again(self, head: MessageHead, error: KalshiError, index: int, events: list[Event]) -> None:
        """Send a command again after a pause: Kalshi says that there are too many at once."""
        again = [head.id] if self._subscriptions.waiting_for(head.id) else []
        if not head.id:
            again = [command_id for _, command_id in self._subscriptions.unanswered()]
        if self._sending.refused(again):
            text = f"{error.text}; the command is sent again, after a pause of {self._sending.pause_seconds} s"
            for name in self._channels_about(head):
                _add(events, Refused(name, error.code, text, index, for_now=True))

    def _too_many_markets(
        self, head: MessageHead, error: KalshiError, index: int, events: list[Event]
    ) -> SubscriptionRefused | None:
        """Go on with the markets that are confirmed; when nothing is subscribed, end the run."""
        remedy = error.remedy
        refused = list(self._subscriptions.refused(head.id, head.sid))
        for channel, missing in refused:
            channel.limit, channel.left_out = error, missing
            asked = len(channel.markets or ())
            count = f"{missing:,} of {asked:,} markets of {channel.name} are" if asked else f"{channel.name} is"
            _add(events, Refused(channel.name, error.code, f"{error.text}; {count} not collected: {remedy}", index))
        if not refused:
            for name in self._channels_about(head):
                _add(events, Refused(name, error.code, f"{error.text}; {remedy}", index))
        if self.snapshots is not None:
            events += self.snapshots.report(index + 1)
        channels = self._subscriptions.channels.values()
        if any(channel.sid is not None or channel.pending for channel in channels):
            return None
        return SubscriptionRefused(f"{error.text}; nothing is subscribed: {remedy}")

    def _channels_about(self, head: MessageHead) -> Sequence[str]:
        """Return the channels that an error is about, as far as that is known; an empty name when it is not."""
        channel = self._subscriptions.channel_of(head.sid)
        if channel is not None:
            return [channel.name]
        if self.snapshots is not None and self.snapshots.has_asked(head.id):
            return [BOOKS]
        return self._subscriptions.about(head.id) or [""]

    def _where(self, sid: int) -> str:
        channel = self._subscriptions.channel_of(sid)
        return f" on {channel.name if channel else 'a subscription'} (sid {sid})" if sid else ""


def _add(events: list[Event], refused: Refused) -> None:
    """Add a refusal in place of an earlier one of the same channel and code, which counts fewer markets."""
    for index, event in enumerate(events):
        if isinstance(event, Refused) and (event.channel, event.code) == (refused.channel, refused.code):
            del events[index]  # Its place is before those of later events, so it cannot just be changed.
            break
    events.append(refused)
