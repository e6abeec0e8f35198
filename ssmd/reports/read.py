"""Reads the figures of one day of one feed: from its manifest when it is sealed, otherwise by counting its messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ssmd.errors import DataError
from ssmd.proof.examine import examine
from ssmd.reports.figures import Figures, figures_of
from ssmd.shape.file import read_shape
from ssmd.shape.markets import MarketCount
from ssmd.store.inventory import bytes_on_disk, in_any_form
from ssmd.store.layout import DayFile, feed_of, manifest_path, shape_path
from ssmd.store.manifest_file import read_manifest

__all__ = ["read_figures"]


def read_figures(
    folder: Path,
    day: str,
    stem: str,
    file: DayFile | None,
    now_ns: int,
    progress: Callable[[DayFile], None],
    *,
    connected: bool,
    markets: bool = False,
) -> Figures:
    """Return the figures of a day that has data or a manifest in `folder`. Raises DataError.

    `file`: the data, None when only the manifest is here. `progress` is called with it before it is read, which only a
    day without a manifest needs. `connected`: see figures_of(). `markets`: look for those of its messages too.
    """
    try:
        stored = in_any_form(file.path, bytes_on_disk) if file is not None else 0
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from None
    path = manifest_path(folder, stem)
    manifest = read_manifest(path)
    if manifest is not None and (manifest.day, manifest.feed) != (day, feed_of(stem)):
        raise DataError(f"{path}: is the manifest of {manifest.feed} on {manifest.day}")
    if manifest is not None:
        shape = read_shape(shape_path(folder, stem)) if markets else None
        known = shape.markets if shape is not None and shape.sha256 == manifest.sha256 else None
        return replace(figures_of(manifest, now_ns, stored_bytes=stored, sealed=True), markets=known)
    if file is None:  # Its manifest was there a moment ago.
        raise DataError(f"{path}: has been removed")
    progress(file)
    counted = MarketCount() if markets else None
    manifest = examine(file, markets=counted).manifest
    figures = figures_of(manifest, now_ns, stored_bytes=stored, sealed=False, connected=connected)
    return figures if counted is None else replace(figures, markets=counted.found())
