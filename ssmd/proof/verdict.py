"""The results of verifying days, and the days of one feed, or shard, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from ssmd.proof.day_count import Finding
from ssmd.proof.examine import Examination
from ssmd.proof.gaps import Gaps
from ssmd.store.layout import DayFile, day_of
from ssmd.store.ledger import (
    CLOSED,
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    FIRST_OF_A_RUN,
    OPENED,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
)
from ssmd.store.packed_entries import Entries

__all__ = ["Days", "Feed", "Verdict", "by_feed", "slim", "storage_and_day"]

_OF_RUNS = (*FIRST_OF_A_RUN, CLOSED, OPENED, CONNECTED, CONTINUED, DISCONNECTED, ROTATED, STOPPED)
"""The entries that are about runs, other days, or files beside this one."""


class Verdict(NamedTuple):
    """The result of verifying one day of one feed, or of one shard."""

    file: DayFile
    sealed: bool
    examination: Examination | None
    """As slim() leaves it; None when the data could not be read at all."""
    findings: list[Finding]
    """What is wrong; empty when everything agrees."""
    duplicates: Sequence[DayFile] = ()
    """The other forms of the day that contain the same lines."""
    notes: Sequence[str] = ()
    """What its ledger says that people should know, as ledger_notes() yields it. slim() would take it away."""

    @property
    def entries(self) -> list[Entry]:
        """The entries of its ledger that are about runs, and the last entry of each run."""
        ledger = self.examination.ledger if self.examination is not None else None
        return list(ledger.entries) if ledger is not None else []


Feed = tuple[Path, str]
"""A storage folder, and the stem of files in it: each shard is proved by itself."""
Days = Mapping[str, Verdict]
"""The verdicts on the days of one stem, by day, oldest first."""


def slim(found: Examination) -> Examination:
    """Return an examination without its details about single lines: those of years of days must fit into memory."""
    ledger = found.ledger
    if ledger is not None:
        entries = ledger.entries.outline()
        following = [*(entry.event for entry in entries[1:]), STARTED]
        of_runs = (
            _without_description(entry)
            for entry, after in zip(entries, following, strict=False)
            if entry.event in _OF_RUNS or after in FIRST_OF_A_RUN
        )
        ledger = ledger._replace(entries=Entries(of_runs))
    # Of the sequences, it only matters whether there are any.
    sessions = [replace(session, sequences=session.sequences[:1]) for session in found.manifest.sessions]
    manifest = replace(found.manifest, block_sums="", sessions=sessions)
    return found._replace(manifest=manifest, ledger=ledger, findings=[], gaps=Gaps(), misplaced=None)


def _without_description(entry: Entry) -> Entry:
    fields = {name: value for name, value in entry.fields.items() if name != "description"}
    return entry._replace(fields=fields)


def by_feed(verdicts: Iterable[Verdict]) -> dict[Feed, Days]:
    """Return the verdicts on files in a day's folder, by stem and by day."""
    resolve = cache(Path.resolve)  # It reads from the disk, and a storage folder has thousands of days.
    found: dict[Feed, dict[str, Verdict]] = {}
    for verdict in sorted((one for one in verdicts if one.file.day), key=lambda one: one.file.day):
        storage, _ = storage_and_day(verdict.file.path.parent, resolve)
        found.setdefault((storage, verdict.file.stem), {})[verdict.file.day] = verdict
    return dict(sorted(found.items()))


def storage_and_day(folder: Path, resolve: Callable[[Path], Path] = Path.resolve) -> tuple[Path, str]:
    """Return the storage folder of a day's folder, and the day.

    A link that is named after a day, as to another disk, belongs to the storage folder that it is in. A link with any
    other name is followed.
    """
    whole = folder.absolute()
    if day_of(whole) is None:
        whole = resolve(whole)
    return resolve(whole.parent), whole.name
