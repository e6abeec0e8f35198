"""Reading Kalshi's messages: their heads, and where the numbers of a sequence have gaps.

Protocol facts are from https://docs.kalshi.com/asyncapi.yaml, and so are the names: a command carries an `id`, a
subscription is a `sid`, and `seq` counts the messages of one `sid`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ssmd.contracts.events import Event, Gap
from ssmd.contracts.exchange import COUNTER, HeadDecoder, Inspection
from ssmd.errors import Disconnected, SsmdError

__all__ = ["MOST_SIDS", "SNAPSHOT", "KalshiInspector", "MessageHead", "content", "mapping", "whole"]

MOST_SIDS = 100_000
"""An exchange that numbers the messages of more subscriptions is broken or malicious, and ends the run: Kalshi gives a
connection one sid for each channel. So many take up to 12 MB. All sids count, not only those that Kalshi has confirmed:
data may arrive before its confirmation, and its gaps count too."""

SNAPSHOT = "orderbook_snapshot"
"""The type of a message that holds a whole order book. With an `id` it is an answer to `get_snapshot`."""

_TOO_MANY_SIDS = f"Kalshi has numbered the messages of more than {MOST_SIDS:,} subscriptions"

_LARGEST_REPLY = 1024 * 1024
"""Of longer messages only the head is read: more would take seconds."""

# Larger integers are not exact as floats, and sums and metrics made of them could overflow.
_LARGEST = 2**53
_Count = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=_LARGEST)]


class MessageHead(msgspec.Struct, gc=False):
    """The fields at the top of a message. The decoder skips the rest, after it has checked that it is JSON."""

    type: str = ""
    sid: _Count = 0
    seq: _Number | None = None
    id: _Count = 0


class _Time(msgspec.Struct, gc=False):
    ts_ms: _Count = 0


class _Dated(msgspec.Struct, gc=False):
    msg: _Time


_HALF_A_PAIR = re.compile("[\ud800-\udfff]")

_decode_head = msgspec.json.Decoder(MessageHead).decode
_decode_time = msgspec.json.Decoder(_Dated).decode


class KalshiInspector:
    """Reads the messages of one connection and follows the numbers of each sequence.

    An answer to `get_snapshot` is left out of the sequence. Whether it uses up a number is not documented: it may have
    the next one, repeat the last one, or have one of its own. So the number of the message after answers may follow the
    message before them, or the answers; neither is a gap. Once an answer has shown that answers use up no numbers, the
    second is a gap. Until then, messages lost just before or after answers may not show when they are as many.
    """

    sequence = COUNTER
    shows_loss = True

    _special: Sequence[str] = ()
    """The types of messages without an id that _read_special() is to get too."""

    def __init__(self) -> None:
        self.heads = HeadDecoder(MessageHead)
        self._next_seq: dict[int, int] = {}
        self._last_batch: dict[int, int] = {}
        """For each confirmed sid the number of the batch that had its last message without a number."""
        self._batch = 0
        self._uneven = False
        self._answers: dict[int, tuple[int, int, int]] = {}
        """By sid: the number that was expected when answers came, how many of them may have used up a number, and the
        highest number that they had. It is removed when that is found out."""
        self._use_no_numbers = False
        """Whether an answer has shown that answers use up no numbers."""
        self._expected_at_file_start: dict[int, int] = {}
        """By sid: the number that was expected when the file of this day began."""

    def begin_file(self) -> None:
        """Forget what answers on the day before have shown, because a reader of this day's file does not know it.
        So both find the same gaps in the file, after the first number of each sid.
        """
        self._use_no_numbers = False
        self._expected_at_file_start = dict(self._next_seq)
        self._answers = {sid: found for sid, found in self._answers.items() if found[0] == self._next_seq[sid]}

    def sequence_name(self, sid: int) -> str:
        return ""

    def inspect(self, payloads: list[bytes]) -> Inspection:
        decoded = True
        try:
            heads = self.heads.decode(payloads)
        except (ValueError, RecursionError):
            decoded = False
            heads = [_head(payload) for payload in payloads]
        events: list[Event] = []
        failure: SsmdError | None = None
        next_seq, last_batch, special = self._next_seq, self._last_batch, self._special
        self._uneven = False
        self._batch += 1
        # The hot loop. A message without a number (0 here, real ones begin at 1) is of a channel that does not count,
        # such as ticker. Only replies to commands carry an id.
        for index, head in enumerate(heads):
            if head.id or head.type in special:
                ending = self._read_special(head, payloads[index], index, events)
                failure = failure or ending
            elif seq := head.seq:
                sid = head.sid
                if next_seq.get(sid) == seq:
                    next_seq[sid] = seq + 1
                else:
                    ending = self._count(head, index, events)
                    failure = failure or ending
            elif head.sid in last_batch:
                last_batch[head.sid] = self._batch
        return Inspection(decoded, events, _exchange_ms(payloads[-1]), failure, heads, uneven=self._uneven)

    def _read_special(self, head: MessageHead, payload: bytes, index: int, events: list[Event]) -> SsmdError | None:
        """Read a reply, or a message of a special type; return the error that ends the run, if it is one.

        Replies are numbered like data: `ok`, `unsubscribed` and errors about a subscription use up a number.
        """
        if head.id and head.type == SNAPSHOT:
            self._leave_out(head)
            return None
        return self._count(head, index, events) if head.seq else None

    def _leave_out(self, answer: MessageHead) -> None:
        """Leave an answer to `get_snapshot` out of the sequence, and note whether it may have used up a number."""
        expected = self._next_seq.get(answer.sid)
        if expected is not None and answer.seq and not self._use_no_numbers:
            at_file_start = self._expected_at_file_start.get(answer.sid)
            none = expected, 0, expected - 1
            before, count, highest = self._answers.get(answer.sid, none)
            if before == at_file_start != expected:
                before, count, highest = none
            # It has an old number, or that of another answer; or the message after earlier answers had `before` itself.
            uses_no_number = answer.seq <= highest or before != expected
            if not uses_no_number:
                self._answers[answer.sid] = expected, count + 1, answer.seq
            elif expected == at_file_start:
                self._answers[answer.sid] = expected, 0, _LARGEST
            else:
                self._use_no_numbers = True
                self._answers.clear()
        answer.seq = None

    def _count(self, head: MessageHead, index: int, events: list[Event]) -> SsmdError | None:
        """Follow a number, which may be any; return the error that ends the run, if there are too many sids."""
        sid, seq = head.sid, head.seq or 0
        expected = self._next_seq.get(sid)
        failure: SsmdError | None = None
        if expected is None:
            if len(self._next_seq) >= MOST_SIDS:
                # The sids of these messages are still kept, so that gaps in them show; the run ends after them.
                failure = Disconnected(_TOO_MANY_SIDS)
        elif seq != expected:
            self._expected_at_file_start.pop(sid, None)
            before, count, highest = self._answers.pop(sid, (0, 0, 0))
            expected += count if before == expected and highest < seq else 0
            if seq != expected:
                gap = Gap(sid, expected, seq, index, self._books_of(sid))
                events.append(gap)
                failure = self._read_gap(gap)
            else:
                self._uneven = True
        self._next_seq[sid] = seq + 1
        return failure

    def _books_of(self, sid: int) -> str:
        """Return the channel of a subscription whose order books are followed; empty for any other."""
        return ""

    def _read_gap(self, gap: Gap) -> SsmdError | None:
        """Act on a gap; return the error that ends the run, if it is one."""
        return None


def _head(payload: bytes) -> MessageHead:
    """Return the head of a message of any form: the fields that can be used, and the defaults for the others."""
    try:
        return _decode_head(payload)
    except (ValueError, RecursionError):
        message = content(payload)
    kind = message.get("type")
    sid, seq, command_id = (whole(message.get(name)) for name in ("sid", "seq", "id"))
    if not isinstance(kind, str) or _HALF_A_PAIR.search(kind):  # Which no manifest can hold.
        kind = ""
    return MessageHead(kind, sid, seq or None, command_id)


def whole(value: object) -> int:
    """Return a whole number from outside; 0 for one that is negative or too large, and for any other value."""
    return value if type(value) is int and 0 <= value <= _LARGEST else 0


def content(payload: bytes) -> Mapping[str, Any]:
    """Return the content of a message that may be invalid in detail; empty when it is not a JSON object at all."""
    if len(payload) > _LARGEST_REPLY:
        return {}
    try:
        return mapping(json.loads(payload.decode("utf-8", "replace")))
    except (ValueError, RecursionError):
        return {}


def mapping(value: object) -> Mapping[str, Any]:
    """Return a value from outside if it is a mapping, and an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def _exchange_ms(payload: bytes) -> int | None:
    try:
        return _decode_time(payload).msg.ts_ms or None
    except (ValueError, RecursionError):
        return None
