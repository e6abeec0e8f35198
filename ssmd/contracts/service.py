"""The contract of a service, which runs in the collector's own process."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Service"]


class Service(Protocol):
    """Runs beside the collection and must not end before it: the probes, a simulator."""

    def serve(self) -> str | None:
        """Serve until stop(). Returning earlier, or raising, ends the run.

        A text that it returns is a reason that is no error: the run then ends in order, as after SIGTERM. Returning
        None before stop() is a failure.
        """

    def stop(self) -> None:
        """Stop serving. Idempotent; may be called from another greenlet."""
