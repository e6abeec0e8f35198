"""The answers to one request so far, page by page: which page to ask for now, and whether it has changed. Pure."""

from __future__ import annotations

import hashlib
import http
import json
from collections.abc import Mapping
from dataclasses import dataclass

from ssmd.connector.place import headers_fault
from ssmd.connector.rest.section import RequestSpec
from ssmd.contracts.http import HttpAnswer
from ssmd.errors import ConnectError
from ssmd.field_path import value_at

__all__ = ["MOST_PAGES", "Pages"]

MOST_PAGES = 10_000
"""A list with more pages is taken for one without an end."""

LONGEST_CURSOR = 4096
"""A longer one, in characters, makes a URL that servers do not take."""


@dataclass
class _Page:
    """The last answer to a page."""

    target: str = ""
    digest: bytes = b""
    etag: str = ""
    modified: str = ""
    cursor: str | None = None
    """Of the page after it; None when there is none."""


class Pages:
    """Goes through the pages of one request, from the first to the last, and then begins again."""

    def __init__(self, spec: RequestSpec) -> None:
        self._spec = spec
        self._pages: list[_Page] = []
        self._at = 0
        self._cursor: str | None = None
        self._seen: set[str] = set()
        """The cursors since the first page."""
        self._digest = b""
        """Of the last answer, where it matters whether it has changed."""
        self.fault: str | None = None
        """Why there is no next page, although the last answer names one; None when nothing is wrong."""

    @property
    def target(self) -> str:
        """What stands in the URL after the endpoint, for the page to ask for now."""
        return self._spec.target(self._cursor)

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by which the server may answer that the page has not changed (RFC 9110, 13.1)."""
        page = self._page()
        if self._spec.keep_all or page is None or page.target != self.target:
            return {}
        headers = {"If-None-Match": page.etag, "If-Modified-Since": page.modified}
        # The server may have sent a value that no header of a request may have.
        return {name: value for name, value in headers.items() if value and headers_fault({name: value}) is None}

    def keeps(self, answer: HttpAnswer) -> bool:
        """Return whether an answer with the status 2xx or 304 is kept; called before take()."""
        if answer.status == http.HTTPStatus.NOT_MODIFIED or self._spec.keep_all:
            return answer.status != http.HTTPStatus.NOT_MODIFIED
        page, self._digest = self._page(), hashlib.sha256(answer.body).digest()
        return page is None or page.digest != self._digest

    def take(self, answer: HttpAnswer) -> None:
        """Take the answer that keeps() was called with, and go on to the next page.

        Raises ConnectError for a 304 that makes no sense.
        """
        known, self.fault = self._page(), None
        if answer.status == http.HTTPStatus.NOT_MODIFIED:
            if known is None:
                raise ConnectError("it answered 304 Not Modified to a request that was not conditional")
            self._go_on(known.cursor)
            return
        cursor = self._next_cursor(answer.body)
        headers = answer.headers
        page = _Page(self.target, self._digest, headers.get("etag", ""), headers.get("last-modified", ""), cursor)
        self._pages[self._at : self._at + 1] = [page]
        if cursor is None:
            del self._pages[self._at + 1 :]
        self._go_on(cursor)

    @property
    def is_at_beginning(self) -> bool:
        """Whether the first page is asked for next."""
        return self._at == 0

    def begin_again(self) -> None:
        """Ask for the first page next, and without conditions: a cursor may have become invalid, or an ETag."""
        self._go_on(None)
        for page in self._pages:
            page.etag = page.modified = ""

    def _page(self) -> _Page | None:
        return self._pages[self._at] if self._at < len(self._pages) else None

    def _next_cursor(self, body: bytes) -> str | None:
        if self._spec.next is None:
            return None
        try:
            cursor = value_at(json.loads(body), self._spec.next.source)
        except LookupError:
            return None
        except (ValueError, RecursionError):
            self.fault = "an answer is not JSON, so it has no cursor of a next page"
            return None
        if isinstance(cursor, bool | dict | list) or cursor in (None, ""):
            return None
        text = str(cursor)
        if text in self._seen:
            self.fault = f"the cursor at `{self._spec.next.source}` leads to the same page again"
        elif len(text) > LONGEST_CURSOR or not text.isprintable():
            self.fault = f"the cursor at `{self._spec.next.source}` cannot be in a URL"
        elif self._at + 1 >= MOST_PAGES:
            self.fault = f"there are more than {MOST_PAGES:,} pages"
        return None if self.fault else text

    def _go_on(self, cursor: str | None) -> None:
        self._at, self._cursor = (0, None) if cursor is None else (self._at + 1, cursor)
        if cursor is None:
            self._seen.clear()
        else:
            self._seen.add(cursor)
