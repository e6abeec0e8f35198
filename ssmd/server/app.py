"""The app of the HTTP server: /health (liveness), /ready (readiness), /metrics (Prometheus), /status and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry
from werkzeug.exceptions import HTTPException

from ssmd.runtime.status import CLOSED, Status
from ssmd.server.answers import Answers
from ssmd.server.local import names_this_host
from ssmd.server.page.routes import Page, add_page

__all__ = ["DESCRIBING", "PROBES", "harden", "make_app"]

PROBES = ("/health", "/ready")
"""The paths whose answers may not wait for any other."""
DESCRIBING = ("/", "/status")
"""The paths whose answers need more than what is in memory."""
FOR_SCRAPERS = (*PROBES, "/metrics")
"""The paths that may be asked for under any name. They name no market."""

_HEADERS = {
    # Everything that a page loads is one of the server's own files.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(
    status: Status,
    registry: CollectorRegistry,
    describe: Callable[[], Mapping[str, Any]],
    page: Page | None = None,
    *,
    only_local: bool = False,
) -> Flask:
    """Return the app with its routes. Every other request is answered with a JSON error.

    `describe`: returns what /status says. `page`: None for no page. `only_local`: only this host can reach the address.
    """
    app = Flask("ssmd", static_folder=None)
    answers = Answers()
    if page is not None:
        add_page(app, answers, page)
    _add_probes(app, status)
    _add_figures(app, answers, registry, describe)
    harden(app, only_local=only_local)
    return app


def harden(app: Flask, *, only_local: bool) -> None:
    """Let an app send the headers that protect a page, answer errors in JSON, refuse requests that pages of other sites
    make and, with `only_local`, those under names that may not mean this host.
    """
    app.before_request(_require_own_site)
    if only_local:
        app.before_request(_require_local_name)
    app.errorhandler(HTTPException)(_other)
    app.after_request(_close)


def _add_probes(app: Flask, status: Status) -> None:
    @app.get("/health", provide_automatic_options=False)
    def health() -> tuple[Response, int]:
        reason = status.trouble()
        if reason is None:
            return jsonify(status="ok"), 200
        return jsonify(status="error", reason=reason), 503

    @app.get("/ready", provide_automatic_options=False)
    def ready() -> tuple[Response, int]:
        reasons = status.not_ready()
        if status.closed_until_ns is not None:
            return jsonify(status="ready", state=CLOSED), 200
        if not reasons:
            return jsonify(status="ready"), 200
        return jsonify(status="not_ready", reason="; ".join(reasons)), 503


def _add_figures(
    app: Flask, answers: Answers, registry: CollectorRegistry, describe: Callable[[], Mapping[str, Any]]
) -> None:
    @app.get("/status", provide_automatic_options=False)
    def describe_run() -> Response:
        text = answers.text("application/json", lambda: jsonify(describe()).get_data())
        return Response(text, content_type="application/json")

    @app.get("/metrics", provide_automatic_options=False)
    def metrics() -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (TypeError, ValueError):  # An invalid version. RFC 9110 allows a server to ignore the field.
            encode, content_type = choose_encoder("")
        return Response(answers.text(content_type, lambda: encode(registry)), content_type=content_type)


def _other(error: HTTPException) -> Response:
    """Answer a request that has no route."""
    response = jsonify(error=error.name)
    response.status_code = error.code or 500
    if response.status_code == 405:
        response.headers["Allow"] = "GET, HEAD"
    return response


def _require_local_name() -> None:
    """Refuse a request under a name that may not mean this host, except for what every scraper asks for."""
    if request.path not in FOR_SCRAPERS and not names_this_host(request.headers.get("Host", "")):
        abort(403)


def _require_own_site() -> None:
    """Refuse what a page of another site loads, also in a frame, as far as the browser says so. A link on it may lead
    here.

    Such a page could not read the answer, but its streams would take the places of others.
    """
    fields = request.headers
    origin = fields.get("Origin")
    is_foreign = origin is not None and origin.partition("://")[2] != fields.get("Host")
    is_elsewhere = fields.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    is_link = fields.get("Sec-Fetch-Mode") == "navigate" and fields.get("Sec-Fetch-Dest", "document") == "document"
    if request.path not in FOR_SCRAPERS and (is_foreign or (is_elsewhere and not is_link)):
        abort(403)


def _close(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    # Probes do not need keep-alive, and idle connections would crowd out others.
    response.headers["Connection"] = "close"
    return response
