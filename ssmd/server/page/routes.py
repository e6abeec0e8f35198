"""The page at `/` and its files. It changes nothing, and loads nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Response

from ssmd.contracts.strip import Strip
from ssmd.runtime.recent import Recent
from ssmd.server.answers import Answers

if TYPE_CHECKING:
    from ssmd.server.page.rendering import Rendering

__all__ = ["FILES", "PageSource", "add_page"]

_FOLDER = Path(__file__).parent / "static"
FILES = {"page.css": "text/css", "page.js": "text/javascript", "page.svg": "image/svg+xml"}
"""The files that the page loads, with their types."""


class PageSource(NamedTuple):
    """Where the page has its figures from."""

    describe: Callable[[], Mapping[str, Any]]
    """Returns what /status says, at the level of the page."""
    days: Callable[[], Sequence[Strip] | None]
    """See About.days."""
    recent: Recent | None
    clock: Callable[[], int] = time.time_ns

    def view(self) -> dict[str, Any]:
        """Return the variables of the templates, as of now."""
        from ssmd.server.page.view import view

        steps = self.recent.chart() if self.recent is not None else []
        return view(self.describe(), self.days(), steps, self.clock())


def add_page(app: Flask, answers: Answers, source: PageSource) -> None:
    """Add the page to an app. What renders it is imported with the first request: most runs have none."""
    kept: list[Rendering] = []

    def rendering() -> Rendering:
        if not kept:
            from ssmd.server.page.rendering import Rendering

            kept.append(Rendering())
        return kept[0]

    @app.get("/", provide_automatic_options=False)
    def page() -> Response:
        text = answers.text("text/html", lambda: rendering().page(source.view()).encode("utf-8", "replace"))
        return Response(text, content_type="text/html; charset=utf-8")

    def file(name: str) -> Response:
        return Response((_FOLDER / name).read_bytes(), content_type=f"{FILES[name]}; charset=utf-8")

    for name in FILES:
        app.add_url_rule(
            f"/{name}", name, lambda name=name: file(name), methods=["GET"], provide_automatic_options=False
        )
