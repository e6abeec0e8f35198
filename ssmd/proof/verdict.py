"""What became of a kept day, and the days of one feed beside each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from ssmd.proof.examine import Examination, Finding
from ssmd.proof.gaps import Gaps
from ssmd.store.entries import Entries
from ssmd.store.layout import DayFile, day_of
from ssmd.store.ledger import (
    CONNECTED,
    CONTINUED,
    DISCONNECTED,
    FIRST_OF_A_RUN,
    ROTATED,
    STARTED,
    STOPPED,
    Entry,
)

__all__ = ["Days", "Feed", "Verdict", "by_feed", "place_of", "slim"]

_OF_RUNS = (*FIRST_OF_A_RUN, CONNECTED, CONTINUED, DISCONNECTED, ROTATED, STOPPED)
"""The entries that tell of other days, or of files beside this one."""


class Verdict(NamedTuple):
    """What became of one day of one feed."""

    file: DayFile
    sealed: bool
    examination: Examination | None
    """None when the data could not be read at all; as slim() leaves it."""
    findings: list[Finding]
    """Empty when everything agrees."""
    notes: Sequence[str] = ()
    """What is worth knowing, and nothing wrong."""

    @property
    def entries(self) -> list[Entry]:
        """Of its ledger, those that tell of runs, and the last one of each."""
        ledger = self.examination.ledger if self.examination is not None else None
        return list(ledger.entries) if ledger is not None else []


Feed = tuple[Path, str]
"""A storage folder, and a feed that is kept in it."""
Days = Mapping[str, Verdict]
"""The days of one feed that were looked at, by their names, oldest first."""


def slim(found: Examination) -> Examination:
    """Without what tells of single lines: the verdicts on years of days are in memory together."""
    ledger = found.ledger
    if ledger is not None:
        entries = ledger.entries.outline()
        following = [*(entry.event for entry in entries[1:]), STARTED]
        of_runs = (
            entry
            for entry, after in zip(entries, following, strict=False)
            if entry.event in _OF_RUNS or after in FIRST_OF_A_RUN
        )
        ledger = ledger._replace(entries=Entries(of_runs))
    manifest = msgspec.structs.replace(found.manifest, block_sums="")
    return found._replace(manifest=manifest, ledger=ledger, findings=[], gaps=Gaps(), misplaced=None)


def by_feed(verdicts: Iterable[Verdict]) -> dict[Feed, Days]:
    """The verdicts on files that lie in a day's folder."""
    resolve = cache(Path.resolve)  # It asks the disk, and a storage folder has thousands of days.
    found: dict[Feed, dict[str, Verdict]] = {}
    for verdict in sorted((one for one in verdicts if one.file.day), key=lambda one: one.file.day):
        storage, _ = place_of(verdict.file.path.parent, resolve)
        found.setdefault((storage, verdict.file.feed), {})[verdict.file.day] = verdict
    return dict(sorted(found.items()))


def place_of(folder: Path, resolve: Callable[[Path], Path] = Path.resolve) -> tuple[Path, str]:
    """The storage folder of a day's folder, and the day.

    The folder may be a link to one on another disk, and then lies where the link does. A link of another name only
    leads to it.
    """
    whole = folder.absolute()
    if day_of(whole) is None:
        whole = resolve(whole)
    return resolve(whole.parent), whole.name
