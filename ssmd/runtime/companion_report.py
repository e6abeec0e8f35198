"""How a companion reports its state to the collector that it runs beside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

__all__ = ["StatusLines"]


class StatusLines:
    """Reports the state as JSON lines on a descriptor, as companions.py reads them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        os.set_blocking(fd, False)

    def write(self, report: Mapping[str, Any]) -> bool:
        """Write a line; return False when nobody reads them any longer. One for which there is no room is left out."""
        try:
            os.write(self._fd, json.dumps(report).encode() + b"\n")
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True
