"""Finds the type and the market of recorded messages."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.exchange.generic.description import Description, Pick
from ssmd.exchange.generic.fields import Fields
from ssmd.exchange.generic.pick import Texts

__all__ = ["GenericReader"]


class GenericReader:
    """Reads what the description's paths say."""

    def __init__(self, description: Description) -> None:
        picks = [description.paths.type, description.paths.market]
        self._fields = Fields()
        self._type, self._market = (None if pick is None else Texts(pick, self._fields) for pick in picks)
        self.type_field, self.market_field = map(_field, picks)
        self.type_path = _names(picks[0])

    def read(self, payloads: Sequence[bytes]) -> Sequence[tuple[str, str]]:
        batch = self._fields.read(payloads)
        if not batch.decoded:
            raise ValueError("not JSON")
        nothing = [""] * len(payloads)
        types = self._type.column(batch.heads) if self._type else nothing
        markets = self._market.column(batch.heads) if self._market else nothing
        return list(zip(types, markets, strict=True))


def _names(pick: Pick | None) -> Sequence[str]:
    """Return the names of the fields that lead to the whole text; none where it is found in another way."""
    if pick is None or pick.split or pick.otherwise is not None or len(pick.paths) > 1:
        return ()
    names = [step for step in pick.paths[0].steps if isinstance(step, str)]
    return names if len(names) == len(pick.paths[0].steps) else ()


def _field(pick: Pick | None) -> str:
    """Return the paths of a pick, for people."""
    return "" if pick is None else " or ".join(map(str, pick.every_path()))
