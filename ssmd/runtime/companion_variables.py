"""Which environment variables a companion gets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import ssmd
from ssmd.contracts.companion import Companion

__all__ = ["passed_on", "variables_of"]

_PASSED_ON = ("LANG", "LC_", "LD_", "PATH", "PYTHON", "SSMD_LOG_", "TZ")
"""Prefixes of the environment variables passed to a companion. It gets no key that it has not declared."""


def variables_of(
    companion: Companion, keys: Mapping[str, Mapping[str, str]], environ: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment variables of a companion, with the keys that it has declared."""
    found = passed_on(environ, companion.variables)
    found["SSMD_LOG_FORMAT"] = "json"  # Its log lines become lines of ours: CompanionLog.
    for kind in companion.keys:
        found |= {f"SSMD_KEY_{name.upper()}": value for name, value in keys.get(kind, {}).items()}
    return found


def passed_on(environ: Mapping[str, str], further: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment variables for another process of this program: no keys, and where its modules are.

    `further`: prefixes of others that it gets.
    """
    found = {name: value for name, value in environ.items() if name.startswith((*_PASSED_ON, *further))}
    folder = str(Path(ssmd.__file__).parent.parent)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, found.get("PYTHONPATH"))))
    return found
