"""gevent's HTTP server, which finds a free port also when others take ports at the same time."""

from __future__ import annotations

import errno
from typing import Any

from gevent.pywsgi import WSGIServer

__all__ = ["TRIES", "Listener"]

TRIES = 10


class Listener(WSGIServer):  # type: ignore[misc]
    """For port 0 the system chooses a free one. Before this process listens there, another that wants just this port
    may do so. Then there is another free one.
    """

    @classmethod
    def get_listener(cls, address: Any, backlog: int | None = None, family: Any = None) -> Any:
        tries = TRIES if address[1] == 0 else 1
        while True:
            tries -= 1
            try:
                return super().get_listener(address, backlog, family)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or not tries:
                    raise
