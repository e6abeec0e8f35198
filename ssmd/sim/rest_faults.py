"""How the REST interface of the simulated Kalshi fails. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["REST_FAULTS", "RestFaults"]

REST_FAULTS: dict[str, str] = {
    "rest-down": "every request to the REST interface is answered with 503",
    "rest-down=FROM-UNTIL": "those of this time are, in seconds since the start, such as 10-40",
    "rest-slow=SECONDS": "every answer of the REST interface takes that long",
    "rest-cut=N": "every Nth answer ends in the middle",
    "rest-html=N": "every Nth answer is an HTML page, with status 200",
    "rest-late=SECONDS": "a new market or event is in the answers only so long after its creation",
}
"""Each fault as a user writes it, and what it does."""


class RestFaults(NamedTuple):
    """The faults of the REST interface."""

    down: tuple[float, float] | None = None
    """From when until when it is down, in seconds since the start."""
    slow_seconds: float = 0
    cut: int = 0
    """Every so many answers one is cut off; 0 for none."""
    html: int = 0
    """Every so many answers one is HTML; 0 for none."""
    late_seconds: float = 0

    def is_down(self, seconds: float) -> bool:
        """Return whether it is down so long after the start."""
        return self.down is not None and self.down[0] <= seconds < self.down[1]
