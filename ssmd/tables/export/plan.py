"""What an export has to do: which days are missing in the target, and which have changed since they were exported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ssmd.errors import DataError, OutputError
from ssmd.store.inventory import in_any_form
from ssmd.store.layout import DayFile, manifest_path
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_file import read_manifest
from ssmd.tables.export.layout import Layout
from ssmd.tables.export.receipt import Receipt, Source, begun_name, decode_receipt, receipt_name
from ssmd.tables.export.target import Target

__all__ = ["Job", "Plan"]

_UNSEALED = "is not sealed; `ssmd seal` does that, and --unsealed exports the lines that it has so far"


class _NotOurs(OutputError):
    """The target has files that another program has written."""


class Job(NamedTuple):
    """A day to export."""

    file: DayFile
    types: frozenset[str] | None
    """The types to export, None for all."""
    present: tuple[str, ...]
    """The names that the day has in the target."""
    old: Receipt | None = None
    """What the target had before; its files are replaced or removed."""
    kept: Receipt | None = None
    """What the target has and keeps; this job adds further types."""


class Plan:
    """The jobs of an export, found by jobs(); and what it found about the other days.

    `types`: only these, None for all. `again`: also what is there already.
    """

    def __init__(self, target: Target, layout: Layout, types: frozenset[str] | None, *, again: bool = False) -> None:
        self._target = target
        self._layout = layout
        self._types = types
        self._again = again
        self._sizes: dict[str, Mapping[str, int]] = {}
        self.done = 0
        """How many days are in the target already, as they should be."""
        self.seen: set[str] = set()
        """The types that the manifests of all these days name."""

    def jobs(
        self, files: Iterable[DayFile], *, unsealed: bool, left: Callable[[DayFile, str, int], None]
    ) -> Iterator[Job]:
        """Yield what has to be done for these days. Raises what Target raises.

        `unsealed`: also for days without a manifest. `left` is called with a day for which nothing can be done, and
        why, and with the exit code, which is 0 when nothing is wrong.
        """
        for file in files:
            try:
                manifest = read_manifest(manifest_path(file.path.parent, file.stem))
            except DataError as error:
                left(file, str(error), error.exit_code)
                continue
            if manifest is None and not unsealed:
                left(file, _UNSEALED, 0)
                continue
            self.seen |= set(manifest.messages_by_type) if manifest is not None else set()
            try:
                job = self._job(file, manifest)
            except _NotOurs as error:
                left(file, str(error), error.exit_code)
                continue
            if job is None:
                self.done += 1
            else:
                yield job

    def _job(self, file: DayFile, manifest: Manifest | None) -> Job | None:
        data = self._target.read(receipt_name(file.day, file.stem, self._layout.name))
        receipt = decode_receipt(data) if data is not None else None
        sizes = self._sizes_of(file.feed)
        present = tuple(name for name in sizes if self._layout.is_of(name, file))
        if receipt is None:
            if data is None and present and not self._again:
                self._require_begun(file, present[0])
            return Job(file, self._types, present)
        whole = all(sizes.get(made.name) == made.bytes for made in receipt.files)
        if whole and not self._again and _is_same(file, manifest, receipt.source):
            if receipt.has(self._types):
                return None
            if self._layout.divisible and self._types is not None and receipt.types is not None:
                return Job(file, self._types - set(receipt.types), present, kept=receipt)
        return Job(file, _united(self._types, receipt.types), present, old=receipt)

    def _require_begun(self, file: DayFile, name: str) -> None:
        """Raise _NotOurs unless an export that was killed has left the file `name`: other programs, such as that from
        which the layout `ssmd` comes, may keep their own files under such names.
        """
        if self._target.read(begun_name(file.day, file.stem, self._layout.name)) is None:
            raise _NotOurs(
                f"{file.path}: is not exported: the target has {name}, which no export of ssmd has written; use "
                "another target or, to replace what the target has of this day, --again"
            )

    def _sizes_of(self, feed: str) -> Mapping[str, int]:
        if feed not in self._sizes:
            self._sizes[feed] = self._target.sizes(self._layout.prefix(feed))
        return self._sizes[feed]


def _is_same(file: DayFile, manifest: Manifest | None, source: Source) -> bool:
    """Return whether a day still has the lines from which it was exported."""
    if manifest is not None:
        return (manifest.bytes, manifest.sha256) == (source.bytes, source.sha256)
    # Lines are only appended. How many lines a compressed file has cannot be seen without reading it.
    try:
        return file.form == "jsonl" and in_any_form(file.path, lambda path: path.stat().st_size) == source.bytes
    except OSError:
        return False


def _united(one: Collection[str] | None, other: Collection[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else frozenset({*one, *other})
