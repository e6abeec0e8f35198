"""Reads a manifest from the disk. Every reader of manifests uses it."""

from __future__ import annotations

from pathlib import Path

from ssmd.errors import DataError
from ssmd.store.manifest import Manifest
from ssmd.store.manifest_formats import decode_manifest, encode_manifest
from ssmd.store.on_demand import present

__all__ = ["read_exact_manifest", "read_manifest"]


def read_manifest(path: Path) -> Manifest | None:
    """Return a manifest, None when there is none. Raises DataError, naming `path`, for one that cannot be read."""
    found = read_exact_manifest(path)
    return None if found is None else found[0]


def read_exact_manifest(path: Path) -> tuple[Manifest, bool] | None:
    """Return a manifest and whether the file is byte for byte as ssmd writes it. Otherwise like read_manifest()."""
    try:
        data = present(path).read_bytes()
        manifest = decode_manifest(data)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: cannot be read: it {error}") from None
    return manifest, encode_manifest(manifest) == data
