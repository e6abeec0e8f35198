"""A companion: a process that runs beside the collection, and whose end never ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["CONFIG_DIR", "DAY", "ENVIRONMENT", "RESTORE", "SEAL", "SHIP", "STATUS_FD", "UPLOAD", "Companion"]

DAY = "{day}"
"""Stands in a companion's arguments for the UTC day that is being written, YYYY-MM-DD."""

ENVIRONMENT = "{environment}"
CONFIG_DIR = "{config_dir}"
"""Stand in a companion's arguments for the names of the environment and of its metadata tree."""

STATUS_FD = "SSMD_STATUS_FD"
"""The environment variable of a companion with the descriptor on which it may report its state. A command that finds
it runs beside a collector, and has its keys in variables of their own: see runtime/companions.py."""

SHIP = "ship"
"""The name of the companion that copies what is recorded to an engine, and of its command. /metrics and /status show
what it reports."""

UPLOAD = "upload"
"""The name of the companion that copies finished days, and today's segments, to a bucket. They show its reports too."""


SEAL = "seal"
"""The name of the companion that seals finished days, and of its command. /metrics shows what it reports."""

RESTORE = "restore"
"""The name of the companion that brings back what the bucket has more of today, and of its command."""


class Companion(NamedTuple):
    """Declared by the part that needs it; runtime/companions.py starts, watches, restarts and stops it."""

    name: str
    """For the log and /metrics; one word, such as `seal`."""
    arguments: Sequence[str]
    """The ssmd command that it runs, without `ssmd` itself: ("seal", "data", "--before", DAY)."""
    keys: Sequence[str] = ()
    """The types of the keys that it gets, each field as the environment variable SSMD_KEY_<FIELD>. It gets no other."""
    variables: Sequence[str] = ()
    """Prefixes of further environment variables that it gets, such as `AWS_`."""
    daily: bool = False
    """It does its work and ends, once after the start and once after each change of the day. Otherwise it runs as long
    as the collection does, and is started again when it ends."""
    first: bool = False
    """It does its work and ends before the writer is opened: see runtime/preparing.py."""
