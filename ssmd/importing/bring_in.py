"""Brings recordings of other programs into a storage folder: each message becomes a line of the day of its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ssmd import __version__
from ssmd.contracts.exchange import Inspector
from ssmd.errors import DataError, OutputError
from ssmd.exchange.readers import inspector_of
from ssmd.importing.days import Day, ImportedDay, begin_day
from ssmd.importing.source import Source, merged
from ssmd.store.sessions import RecordedDialect
from ssmd.store.timestamps import DAY_NS, day_begins, day_of_ns

__all__ = ["Target", "bring_in"]


class Target(NamedTuple):
    """Where the messages go."""

    storage: Path
    stem: str
    """The feed or, with a shard, `kalshi+2of4`."""
    dialect: Callable[[str], RecordedDialect | None] = lambda day: None
    """Returns the dialect of the messages of a day, YYYY-MM-DD; None when it is not known. May raise SsmdError."""


def bring_in(sources: Sequence[Source], target: Target, now_ns: int) -> list[tuple[Path, int]]:
    """Import all messages; return the data file and the number of lines of each day. All of them are durable.

    No day appears before every line of every source was read. So an error, other than one of the disk at the very end,
    leaves the storage as it was. After a kill there may be whole days and files with temporary names; the same import
    then adds the days that are not there. Memory depends on the sources' windows, not on their sizes.

    Raises DataError for a line that cannot be imported, or two files with the same bytes; OutputError for a day that
    exists, that is not over or that cannot be created; WriteError.
    """
    days: list[Day] = []
    published = 0
    try:
        _write(sources, target, now_ns, days)
        _require_different([source for number, source in enumerate(sources) if any(day.lines[number] for day in days)])
        if not days:
            raise DataError(f"{sources[0].path}: has no message to import{_left_out(sources)}")
        all_imported_before = all(isinstance(day, ImportedDay) for day in days)
        for place, day in enumerate(days):
            day.publish([*_imported(day, sources, target.dialect(day.folder.name))], now_ns)
            published = place + 1
        if all_imported_before:
            raise OutputError(f"{days[0].path}: this day exists already, and so do all days of this import")
        return [(day.path, day.lines.total()) for day in days]
    finally:
        for day in days[published:]:
            day.discard()


def _write(sources: Sequence[Source], target: Target, now_ns: int, days: list[Day]) -> None:
    """Write the lines of all days under temporary names; append each day to `days` when it begins."""
    numbers = {id(source): number for number, source in enumerate(sources)}
    day_ends_ns = 0
    for message, source in merged(sources):
        if message.ns >= day_ends_ns:
            if days:
                days[-1].finish()
            name = day_of_ns(message.ns)
            if name >= day_of_ns(now_ns):
                raise OutputError(
                    f"{source.path}:{message.line}: is of {name}, a day that is not over, which a collector may be "
                    "writing; import it when it is over"
                )
            days.append(begin_day(target.storage, name, target.stem, _inspector(target.dialect(name))))
            day_ends_ns = day_begins(name) + DAY_NS
        days[-1].add(message.ns, message.payload, numbers[id(source)])
    if days:
        days[-1].finish()


def _inspector(dialect: RecordedDialect | None) -> Callable[[], Inspector] | None:
    """Return what makes an inspector of a dialect, None when no dialect is known."""
    return None if dialect is None else inspector_of(dialect.exchange, dialect.description)


def _require_different(sources: Sequence[Source]) -> None:
    """Raise DataError for two files with the same bytes, all of which are read: their messages would be there twice."""
    seen: dict[str, Source] = {}
    for source in sources:
        if (first := seen.setdefault(source.sha256, source)) is not source:
            raise DataError(f"{source.path}: has the same bytes as {first.path}; leave one of them out")


def _imported(day: Day, sources: Sequence[Source], dialect: RecordedDialect | None) -> Iterator[Mapping[str, object]]:
    """Yield the fields of the ledger's `imported`, for each source that has lines of the day."""
    for number, source in enumerate(sources):
        if lines := day.lines[number]:
            fields: dict[str, object] = {"source": source.path.name, "sha256": source.sha256, "lines": lines}
            if dialect is not None:
                fields["exchange"] = dialect.exchange
                if dialect.description:
                    fields["description"] = dialect.description
            yield fields | {"layout": source.layout.described(), "version": __version__}


def _left_out(sources: Sequence[Source]) -> str:
    left_out = sum(source.left_out for source in sources)
    return f"; --where leaves out all of its {left_out:,} lines" if left_out else ""
