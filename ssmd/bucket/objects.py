"""What is known of an object in a bucket. Pure."""

from __future__ import annotations

from typing import NamedTuple

from ssmd.errors import EngineMismatch

__all__ = ["Found", "ObjectDiffers"]


class ObjectDiffers(EngineMismatch):
    """An object is there already, and is another one."""


class Found(NamedTuple):
    """An object that is there."""

    name: str
    """Its name within the storage: its key without the prefix."""
    size: int
    """Bytes."""
    sha256: str | None = None
    """The SHA-256 of its content, in hex, as the server has it; None when it does not say. A listing never says."""
    modified: int = 0
    """When it was put, in seconds since the epoch; 0 when that is not known. A listing always says."""
