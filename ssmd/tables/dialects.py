"""How the messages of a recorded day are read, and the tables that they fit into."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.table import Table
from ssmd.exchange.catalog import dialect_of
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.exchange.readers import KALSHI, reader_of
from ssmd.reading.ledger_parts import Part
from ssmd.tables.learned import Learner

__all__ = ["Dialects"]


class Dialects:
    """The dialects of a day: each with the description that was in force, and made once. `parts`: all of its ledger."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = {_name(part): part for part in parts}
        self._readers: dict[str, MessageReader] = {}

    def reader(self, part: Part) -> MessageReader:
        """Return what finds the types of messages. Where nothing says how, they are read as Kalshi's: many other
        exchanges have a `type` too.
        """
        name = _name(part)
        if name not in self._readers:
            reader = reader_of(part.exchange, part.description)
            self._readers[name] = reader if reader.type_field else KalshiReader()
        return self._readers[name]

    def declares(self, part: Part) -> bool:
        """Return whether the dialect of a part declares its tables."""
        return bool(_declared(part))

    def tables(self, blocks: Iterable[tuple[bytes, Part]]) -> list[Table]:
        """Return the tables that the dialects declare, and those that are learned from messages of other dialects. Of
        two for one type, the first.

        `blocks`: the lines of the day. It is not touched when all dialects declare their tables.
        """
        tables: dict[str, Table] = {}
        for part in self._parts.values():
            for table in _declared(part):
                tables.setdefault(table.type, table)
        if not all(map(self.declares, self._parts.values())):
            learners: dict[str, Learner] = {}
            for block, part in blocks:
                if not self.declares(part):
                    learners.setdefault(_name(part), Learner(self.reader(part))).add(block)
            for learner in learners.values():
                for table in learner.tables():
                    tables.setdefault(table.type, table)
        return list(tables.values())


def _declared(part: Part) -> Sequence[Table]:
    return dialect_of(part.exchange or KALSHI, part.description).tables()


def _name(part: Part) -> str:
    """Return a text that is equal for parts whose messages are read in the same way: see RecordedDialect.is_like()."""
    return repr((part.exchange, part.description))
