"""Loads where an environment keeps its days. It imports the libraries of a run, so this is for another process."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

from ssmd.errors import ConfigError
from ssmd.metadata.load_in_child import load_in_process
from ssmd.wiring import parts

__all__ = ["Kept", "load_kept"]


class Kept(NamedTuple):
    """Where the days of an environment are kept; plain data, which a process can use without the libraries of a run."""

    folder: Path
    feed: str
    format: str
    """In which form sealed days are packed: one of FORMS."""


def load_kept(config_dir: Path, environment: str, today: date) -> Kept:
    """Return where the days are. Raises ConfigError, also for an environment that keeps none in a folder."""
    deployment = load_in_process(config_dir, environment, today, parts())
    path, form = getattr(deployment.storage, "path", None), getattr(deployment.storage, "format", None)
    if path is None or form is None:
        raise ConfigError(str(deployment.problem(("storage", "type"), "keeps no days in a folder of this host")))
    return Kept(Path(path), deployment.feed.name, form)
