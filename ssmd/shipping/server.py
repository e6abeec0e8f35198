"""What a relay that runs by itself shows of itself over HTTP: /metrics for Prometheus, and /health (liveness).

For a process without gevent: each request has a thread, and the server has one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ssmd.errors import ListenError
from ssmd.runtime.companion_state import CompanionState
from ssmd.runtime.shipping import STALE_SECONDS, shipping_metrics
from ssmd.shipping.relays import Relays

__all__ = ["RelayServer"]

Reports = Mapping[str, Mapping[str, Any]]

_REQUEST_SECONDS = 5.0
"""The longest wait for what a client sends."""


class RelayServer:
    """Serves from its construction on, until close(). Raises ListenError.

    `kind`: SHIP or UPLOAD. `reports`: returns what relays report, by the label of a shard.
    """

    def __init__(
        self, address: tuple[str, int], feed: str, kind: str, relays: Relays[Any], reports: Callable[[], Reports]
    ) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Metrics(feed, kind, relays, reports))
        answers: Mapping[str, Callable[[], _Answer]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/health": lambda: _health(relays),
        }
        handler = type("Handler", (_Handler,), {"answers": answers})
        try:
            self._server = ThreadingHTTPServer(address, handler)
        except OSError as error:
            raise ListenError(f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}") from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


_Answer = tuple[int, str, bytes]
"""The status, the type of the content, and the content."""


def _health(relays: Relays[Any]) -> _Answer:
    """Return 200 while the process works, also when the engine does not: to restart the process would be of no use."""
    works = time.monotonic() - relays.looked < STALE_SECONDS
    report = {"status": "ok" if works else "stuck", **relays.report()}
    return (200 if works else 503), "application/json", json.dumps(report).encode() + b"\n"


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    timeout = _REQUEST_SECONDS
    server_version, sys_version = "ssmd", ""
    answers: Mapping[str, Callable[[], _Answer]]

    def do_GET(self) -> None:
        answer = self.answers.get(self.path.partition("?")[0])
        status, kind, content = answer() if answer is not None else (404, "text/plain", b"not found\n")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log nothing: a probe comes every few seconds."""


class _Metrics(Collector):
    """The metrics of the collector about its companion, with the labels `feed` and `shard` as they have there."""

    def __init__(self, feed: str, kind: str, relays: Relays[Any], reports: Callable[[], Reports]) -> None:
        self._feed = feed
        self._kind = kind
        self._relays = relays
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for shard, report in self._reports().items():
            state = CompanionState(up=True, report=dict(report), reported=self._relays.looked)
            labels = {"feed": self._feed, "shard": shard}
            for metric in shipping_metrics({self._kind: state}):
                samples = [one._replace(labels={**labels, **one.labels}) for one in metric.samples]
                metric.samples = []
                found.setdefault(metric.name, metric).samples += samples
        yield from found.values()
