"""The page over several collectors, and its server. It needs no database, and changes nothing."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

from flask import Flask, Response, jsonify

from ssmd.collectors.rows import view
from ssmd.collectors.watch import Watch
from ssmd.server.answers import Answers
from ssmd.server.app import harden
from ssmd.server.health import HealthServer
from ssmd.server.page.rendering import Rendering
from ssmd.server.page.routes import Page, add_page

__all__ = ["make_server"]


class _Source:
    """Where the page has its figures from."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def view(self) -> dict[str, Any]:
        return view(self._watch.collectors, self._watch.problem, time.monotonic(), time.time_ns())


def make_server(watch: Watch, host: str, port: int, *, only_local: bool) -> HealthServer:
    """Return a server that listens already. `only_local`: only this host can reach it. Raises ListenError."""
    rendering = partial(Rendering, "dashboard.html", ("verdict", "collectors"))
    page = Page(_Source(watch), rendering=rendering, share=math.inf)  # There are no messages to receive here.
    app = Flask("ssmd", static_folder=None)
    add_page(app, Answers(), page)

    @app.get("/health", provide_automatic_options=False)
    def health() -> Response:
        return jsonify(status="ok")

    harden(app, only_local=only_local)
    return HealthServer(host, port, app, streams=page.streams)
