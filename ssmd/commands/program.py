"""How to call ssmd where this process runs: for messages that say what to type next."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["CHECKOUT", "program"]

_ROOT = Path(__file__).resolve().parents[2]

CHECKOUT = _ROOT if (_ROOT / "bin" / "ssmd").is_file() and (_ROOT / "conf").is_dir() else None
"""The checkout that this is run from; None where ssmd is installed as a package."""


def program() -> str:
    """Return the beginning of a command line for a shell in the working directory."""
    if CHECKOUT is not None:
        return "bin/ssmd" if Path.cwd() == CHECKOUT else shlex.quote(str(CHECKOUT / "bin" / "ssmd"))
    return "ssmd" if shutil.which("ssmd") else f"{shlex.quote(sys.executable)} -m ssmd"
