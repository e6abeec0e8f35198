"""Reads the messages of one connection: their heads, and where the numbers of a sequence have gaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ssmd.contracts.exchange import COUNTER, Inspection
from ssmd.errors import Disconnected
from ssmd.exchange.generic.description import Description, Match, Paths, Pick
from ssmd.exchange.generic.fields import Batch, Fields
from ssmd.exchange.generic.follower import MOST_SCOPES
from ssmd.exchange.generic.match import paths_of
from ssmd.exchange.generic.numbers import Numbers
from ssmd.exchange.generic.parsing.paths import CHANNEL_AND_MARKET
from ssmd.exchange.generic.pick import Joined, Scope, Texts
from ssmd.exchange.generic.time import unix_ms
from ssmd.field_path import EVERY, FieldPath

__all__ = ["GenericInspector", "Head"]

_TOO_MANY_SCOPES = (
    f"The messages are numbered in more than {MOST_SCOPES:,} sequences; check the `scope` of `sequence` in the feed's "
    "`dialect`"
)


_LOOKED_AT_FOR_TIME = 20


class Head(NamedTuple):
    """What a message says of itself."""

    type: str
    sid: int
    seq: int | None


class GenericInspector:
    """Reads the messages of a connection, live or from a file.

    `matches`: what else is looked for, live. `picks`: what else is read, live. With them no heads are returned. After
    inspect(), `batch` has the messages as they were read, for Matcher(..., inspector.fields) and texts_of().
    """

    def __init__(
        self, description: Description, matches: Sequence[Match] | None = None, picks: Iterable[Pick | None] = ()
    ) -> None:
        paths = description.paths
        self._recorded = matches is None
        rules = [match for rule in paths.sequences for match in (rule.restart_when, rule.when)]
        self.fields = _fields(paths, [*(matches or ()), *rules], picks)
        self.batch = Batch((), (), True)
        self._type = self.texts_of(paths.type)
        scopes = [self._scope(paths, rule.scope) for rule in paths.sequences]
        self._numbers = Numbers(paths.sequences, scopes, self.fields, self._recorded) if paths.sequences else None
        self._times = [self.fields.getter(path) for path in paths.time.paths] if paths.time else []
        self._time_format = paths.time.format if paths.time else ""
        self._has_heads = self._recorded and bool(self._type or self._numbers)
        kinds = [rule.kind for rule in paths.sequences]
        self.sequence = next((kind for kind in kinds if kind != COUNTER), kinds[0] if kinds else "")
        """Of several kinds one that does not say how many messages are missing."""

    def texts_of(self, pick: Pick | None) -> Texts | None:
        """Return what reads a pick of the description's paths, or of `picks`; None for None."""
        return None if pick is None else Texts(pick, self.fields)

    def _scope(self, paths: Paths, scope: str | Pick) -> Scope | None:
        if isinstance(scope, Pick):
            return self.texts_of(scope)
        channel, market = self.texts_of(paths.channel or paths.type), self.texts_of(paths.market)
        if scope == CHANNEL_AND_MARKET and channel and market:
            return Joined(channel, market)
        return {"channel": channel, "market": market}.get(scope)

    def inspect(self, payloads: list[bytes]) -> Inspection:
        self.batch = batch = self.fields.read(payloads)
        if not batch.heads:
            return Inspection(batch.decoded)
        followed = self._numbers.follow(batch) if self._numbers else None
        exchange_ms = self._exchange_ms(batch) if self._times else None
        if followed is None:
            return Inspection(batch.decoded, exchange_ms=exchange_ms, heads=self._heads(batch, (), ()))
        failure = Disconnected(_TOO_MANY_SCOPES) if self._numbers and self._numbers.too_many else None
        heads = self._heads(batch, followed.sids, followed.numbers)
        return Inspection(batch.decoded, followed.gaps, exchange_ms, failure, heads, uneven=followed.uneven)

    def _heads(self, batch: Batch, sids: Sequence[int], numbers: Sequence[int | None]) -> Sequence[Head]:
        if not self._has_heads:
            return ()
        count = len(batch.heads)
        types = self._type.column(batch.heads) if self._type else [""] * count
        return list(map(Head, types, sids or [0] * count, numbers or [None] * count))

    def _exchange_ms(self, batch: Batch) -> int | None:
        """Return the time in the newest message that has one. Only the last ones are looked at, one by one."""
        for head in reversed(batch.heads[-_LOOKED_AT_FOR_TIME:]):
            for getter in self._times:
                ms = unix_ms(getter(head), self._time_format)
                if ms is not None:
                    return ms
        return None

    def sequence_name(self, sid: int) -> str:
        return self._numbers.name(sid) if self._numbers else ""


def _fields(paths: Paths, matches: Sequence[Match], picks: Iterable[Pick | None]) -> Fields:
    """Return what reads everything that counts in a message."""
    values, presence = paths_of(matches)
    all_picks = [paths.type, paths.channel, paths.market, paths.time, *picks]
    all_picks += [rule.scope for rule in paths.sequences if isinstance(rule.scope, Pick)]
    values += [path for pick in all_picks if pick is not None for path in pick.every_path()]
    values += [path for rule in paths.sequences for path in (rule.first, rule.last)]
    return Fields(filter(_is_of_one_place, values), filter(_is_of_one_place, presence))


def _is_of_one_place(path: FieldPath) -> bool:
    return EVERY not in path.steps
