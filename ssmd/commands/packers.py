"""What packs a sealed day, by the form that is wanted."""

from __future__ import annotations

from ssmd import extras
from ssmd.proof.pack_zst import ZstPacker
from ssmd.proof.packer import Packer
from ssmd.store.layout import PARQUET

__all__ = ["DEFAULT_LEVEL", "packer_of"]

DEFAULT_LEVEL = 9
"""Of zstd."""


def packer_of(form: str, level: int = DEFAULT_LEVEL) -> Packer:
    """Return what packs days into a form. Raises ConfigError when the library for it is not installed."""
    if form != PARQUET:
        return ZstPacker(level)
    packer: Packer = extras.PARQUET.load("ssmd.tables.packer", "a day in Parquet").ParquetPacker()
    return packer
