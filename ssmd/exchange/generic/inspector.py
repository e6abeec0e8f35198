"""Reads the messages of one connection: their heads, and where the numbers of a sequence have gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ssmd.contracts.exchange import COUNTER, Inspection
from ssmd.contracts.market_finder import Markets
from ssmd.errors import Disconnected
from ssmd.exchange.generic.description import Description, Paths, Pick
from ssmd.exchange.generic.fields import NOTHING, Batch, Fields
from ssmd.exchange.generic.follower import MOST_SCOPES
from ssmd.exchange.generic.numbers import Numbers
from ssmd.exchange.generic.parsing.paths import CHANNEL, CHANNEL_AND_MARKET, MARKET
from ssmd.exchange.generic.pick import Joined, Scope, Texts
from ssmd.exchange.generic.time import unix_ms
from ssmd.field_path import parse_path

__all__ = ["GenericInspector", "Head"]

_TOO_MANY_SCOPES = (
    f"the messages are numbered in more than {MOST_SCOPES:,} sequences; check the `scope` of `sequence` in the feed's "
    "`dialect`"
)

_LOOKED_AT_FOR_TIME = 8
"""How many messages of a batch, the newest ones, are looked at for the exchange's time."""


def _type_of_heads(paths: Paths) -> Pick | None:
    """Return where the type of a head is: at the top where no path leads to it, as for messages without heads."""
    return paths.type or (Pick((parse_path("type"),)) if paths.sequences else None)


class Head(NamedTuple):
    """What a message says of itself."""

    type: str
    sid: int
    seq: int | None


class GenericInspector:
    """Reads the messages of a connection, live or from a file.

    `live`: no heads are returned. After inspect(), `batch` has the messages as they were read, for what was made with
    `fields` before: a Matcher, or texts_of().
    """

    def __init__(self, description: Description, *, live: bool = False) -> None:
        paths = description.paths
        self._recorded = not live
        self._market = paths.market
        self.fields = Fields()
        self.batch = NOTHING
        self._type = self.texts_of(_type_of_heads(paths)) if self._recorded else None
        scopes = [self._scope(paths, rule.scope) for rule in paths.sequences]
        self._numbers = Numbers(paths.sequences, scopes, self.fields, self._recorded) if paths.sequences else None
        # Only the newest message's time counts, so it is not read with the other fields of all messages.
        self._time_fields = Fields()
        self._times = [self._time_fields.column(path) for path in paths.time.paths] if paths.time else []
        self._time_format = paths.time.format if paths.time else ""
        kinds = [rule.kind for rule in paths.sequences]
        self.sequence = next((kind for kind in kinds if kind != COUNTER), kinds[0] if kinds else "")
        """The kind of the sequences; of several kinds, one that does not show how many messages are missing."""

    @property
    def shows_loss(self) -> bool:
        return self._numbers is not None and self._numbers.seen

    def with_markets(self) -> Markets | None:
        """Keep the MarketFinder contract."""
        texts = self.texts_of(self._market)
        return None if texts is None else Markets(lambda payloads: texts.column(self.batch.heads))

    def texts_of(self, pick: Pick | None) -> Texts | None:
        """Return what reads a pick in `batch`; None for None."""
        return None if pick is None else Texts(pick, self.fields)

    def _scope(self, paths: Paths, scope: str | Pick) -> Scope | None:
        if isinstance(scope, Pick):
            return self.texts_of(scope)
        channel = self.texts_of(paths.channel or paths.type) if scope in (CHANNEL, CHANNEL_AND_MARKET) else None
        market = self.texts_of(paths.market) if scope in (MARKET, CHANNEL_AND_MARKET) else None
        return Joined(channel, market) if channel and market else channel or market

    def inspect(self, payloads: list[bytes]) -> Inspection:
        self.batch = batch = self.fields.read(payloads)
        exchange_ms = self._exchange_ms(payloads) if self._times else None
        followed = self._numbers.follow(batch) if self._numbers and batch.heads else None
        if followed is None:
            return Inspection(batch.decoded, exchange_ms=exchange_ms, heads=self._heads(batch, (), ()))
        failure = Disconnected(_TOO_MANY_SCOPES) if self._numbers and self._numbers.too_many else None
        heads = self._heads(batch, followed.sids, followed.numbers)
        return Inspection(batch.decoded, followed.gaps, exchange_ms, failure, heads, uneven=followed.uneven)

    def _heads(self, batch: Batch, sids: Sequence[int], numbers: Sequence[int | None]) -> Sequence[Head]:
        if self._type is None:
            return ()
        count = len(batch.heads)
        types = self._type.column(batch.heads)
        return list(map(Head, types, sids or [0] * count, numbers or [None] * count))

    def _exchange_ms(self, payloads: Sequence[bytes]) -> int | None:
        """Return the time in the newest message that has one."""
        for payload in reversed(payloads[-_LOOKED_AT_FOR_TIME:]):
            (head,) = self._time_fields.read((payload,)).heads
            for column in self._times:
                ms = unix_ms(column.one(head), self._time_format)
                if ms is not None:
                    return ms
        return None

    def sequence_name(self, sid: int) -> str:
        return self._numbers.name(sid) if self._numbers else ""
