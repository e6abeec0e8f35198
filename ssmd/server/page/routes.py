"""The page at `/`, its files, and its live stream. It changes nothing, and loads nothing from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from flask import Flask, Response, abort, request

from ssmd.contracts.strip import ShardToday, Strip
from ssmd.contracts.tail import EVERYTHING, Tail, Wish
from ssmd.runtime.recent import Recent
from ssmd.server.answers import LIVE, STREAM, Answers
from ssmd.server.page.report import Report
from ssmd.server.streams import SHARE, Streams

if TYPE_CHECKING:
    from ssmd.server.page.live import Live
    from ssmd.server.page.rendering import Rendering

__all__ = ["FILES", "Page", "PageSource", "ViewSource", "add_page"]

MOST_WISHES = 8
"""So many different selections of messages are looked for at the same time: each costs a look at every message."""
LONGEST_WISH = 200

_FOLDER = Path(__file__).parent / "static"
FILES = {"page.css": "text/css", "page.js": "text/javascript", "page.svg": "image/svg+xml"}
"""The files that the page loads, with their types."""


class ViewSource(Protocol):
    """Where a page has its figures from."""

    def view(self) -> dict[str, Any]:
        """Return the variables of the templates, as of now."""


class PageSource(NamedTuple):
    """Where the page of a run has its figures from; keeps the ViewSource contract."""

    describe: Callable[[], Mapping[str, Any]]
    """Returns what /status says, at the level of the page."""
    days: Callable[[], Sequence[Strip] | None]
    """See About.days."""
    recent: Recent | None
    shards: Callable[[], Sequence[ShardToday] | None] = lambda: None
    """Returns the other shards of the feed; None when they are not known."""
    clock: Callable[[], int] = time.time_ns

    def view(self) -> dict[str, Any]:
        """Return the variables of the templates, as of now."""
        from ssmd.server.page.view import view

        steps = self.recent.chart() if self.recent is not None else []
        return view(self.describe(), self.days(), steps, self.shards(), self.clock())


class Page:
    """The page and its live streams. What renders them is imported when it is needed first: most runs show none.

    `tail`: shows some of the messages that are received; None for none. `rendering`: makes what renders the page; None
    for that of a run. `report`: the one to which the page links; None for none. `share`: see Streams.
    """

    def __init__(
        self,
        source: ViewSource,
        tail: Tail | None = None,
        rendering: Callable[[], Rendering] | None = None,
        report: Report | None = None,
        share: float = SHARE,
    ) -> None:
        self._rendering = rendering
        self._source = source
        self._tail = tail
        self.report = report
        self._kept: tuple[Rendering, Live] | None = None
        self.streams = Streams(
            lambda kinds: self._made()[1].begin(kinds), lambda *kind: self._made()[1].event(*kind), share=share
        )

    def _made(self) -> tuple[Rendering, Live]:
        if self._kept is None:
            from ssmd.server.page.live import Live
            from ssmd.server.page.rendering import Rendering

            rendering = (self._rendering or Rendering)()
            self._kept = rendering, Live(self._view, rendering, self._tail)
        return self._kept

    def _view(self) -> dict[str, Any]:
        return {**self._source.view(), "has_tail": self._tail is not None, "has_report": self.report is not None}

    def html(self) -> bytes:
        """Return the whole document, as of now."""
        return self._made()[0].page(self._view()).encode("utf-8", "replace")

    def wish(self, type: str, market: str) -> Wish | None:
        """Return which messages a new stream is to show; None when there is no room for it."""
        wish = Wish(type[:LONGEST_WISH], market[:LONGEST_WISH]) if self._tail is not None else EVERYTHING
        if not self._has_room(wish):
            self.streams.drop_left()
        return wish if self._has_room(wish) else None

    def _has_room(self, wish: Wish) -> bool:
        others = self.streams.kinds - {wish, EVERYTHING}
        return self.streams.has_room and (wish == EVERYTHING or len(others) < MOST_WISHES)


def add_page(app: Flask, answers: Answers, page: Page) -> None:
    """Add the page to an app, with its files and its stream."""

    @app.get("/", provide_automatic_options=False)
    def document() -> Response:
        return Response(answers.text("text/html", page.html), content_type="text/html; charset=utf-8")

    @app.get(LIVE, provide_automatic_options=False)
    def live() -> Response:
        wish = page.wish(request.args.get("type", ""), request.args.get("market", ""))
        if wish is None:
            abort(503)
        if request.method == "GET":
            request.environ[STREAM] = wish
        return Response(content_type="text/event-stream")

    if page.report is not None:
        app.add_url_rule("/report", "report", page.report.answer, methods=["GET"], provide_automatic_options=False)

    def file(name: str) -> Response:
        return Response((_FOLDER / name).read_bytes(), content_type=f"{FILES[name]}; charset=utf-8")

    for name in FILES:
        app.add_url_rule(
            f"/{name}", name, lambda name=name: file(name), methods=["GET"], provide_automatic_options=False
        )
