"""Loads an environment for a run that goes on, in a process of its own.

    python -m ssmd.wiring.load <config-dir> <environment> <YYYY-MM-DD>

The libraries that check the metadata take 10 MB that a process never gives back, and a run that has begun cannot fork.
"""

from __future__ import annotations

import os
import pickle  # nosec B403
import sys
from datetime import date
from pathlib import Path

from gevent import subprocess

from ssmd.errors import ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.load_in_child import load_in_process
from ssmd.runtime.companion_variables import passed_on
from ssmd.wiring import parts

__all__ = ["SECONDS", "load_again"]

SECONDS = 60.0
"""How long loading may take."""


def load_again(config_dir: Path, environment: str, today: date) -> Deployment:
    """Return the environment as it is in the metadata tree now. Raises ConfigError, also when it cannot be loaded.

    It waits for the other process; meanwhile, other greenlets run.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ssmd.wiring.load", str(config_dir), environment, today.isoformat()],
        env=passed_on(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        content, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ConfigError(f"the metadata was not loaded within {SECONDS:.0f} s") from None
    if process.returncode:
        raise ConfigError(f"the process that loads the metadata ended with exit code {process.returncode}")
    # Only the process above has written this.
    loaded: Deployment | str = pickle.loads(content)  # nosec B301
    if isinstance(loaded, str):
        raise ConfigError(loaded)
    return loaded


def main(config_dir: str, environment: str, today: str) -> None:
    loaded: Deployment | str
    try:
        loaded = load_in_process(Path(config_dir), environment, date.fromisoformat(today), parts())
    except ConfigError as error:
        loaded = str(error)
    pickle.dump(loaded, sys.stdout.buffer)


if __name__ == "__main__":
    main(*sys.argv[1:])
