"""Makes what the options of `ssmd export` name: a target, and a layout."""

from __future__ import annotations

from pathlib import Path

from ssmd.bucket.address import is_address
from ssmd.errors import UsageError, visible
from ssmd.extras import PARQUET
from ssmd.tables.export.layout import Layout
from ssmd.tables.export.target import Target

__all__ = ["LAYOUTS", "open_layout", "open_target"]

LAYOUTS = ("hive", "ssmd")
_WHAT = "`ssmd export`"


def open_target(text: str) -> Target:
    """Return the target that an address names: a folder, or a bucket. Raises UsageError, ConfigError."""
    if is_address(text):
        from ssmd.tables.export.in_bucket import BucketTarget  # Only an export to a bucket needs it.

        return BucketTarget(text)
    if "://" in text:
        raise UsageError(f"--to is '{visible(text)}'; it must be a folder, or a bucket such as s3://bucket/lake")
    from ssmd.tables.export.folder import FolderTarget

    return FolderTarget(Path(text))


def open_layout(name: str, stream: str) -> Layout:
    """Return a layout. `stream`: a part of the paths of the layout ssmd. Raises UsageError, ConfigError."""
    if name not in LAYOUTS:
        raise UsageError(f"--layout is '{visible(name)}'; it must be {' or '.join(LAYOUTS)}")
    layout: Layout
    if name == "ssmd":
        layout = PARQUET.load("ssmd.tables.upstream.layout", _WHAT).UpstreamLayout(stream)
    else:
        layout = PARQUET.load("ssmd.tables.export.hive", _WHAT).HiveLayout()
    return layout
