"""The pages of one request: what is asked for, what has changed, and where a listing ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ssmd.connector.rest import pages
from ssmd.connector.rest.pages import Pages
from ssmd.connector.rest.section import read_requests
from ssmd.contracts.http import HttpAnswer
from ssmd.errors import ConnectError

NEXT = {"param": "cursor", "from": "meta.next"}


def made(**fields: Any) -> Pages:
    [spec] = read_requests({"requests": [{"path": "/m", "every": "1s", "keep": "changed", **fields}]})
    return Pages(spec)


def answer(body: Any, status: int = 200, **headers: str) -> HttpAnswer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, {name.replace("_", "-"): value for name, value in headers.items()}, text, 0.1)


def page(cursor: Any, **more: Any) -> HttpAnswer:
    return answer({"meta": {"next": cursor}, **more})


def test_pages_are_compared_each_with_its_own_last_answer() -> None:
    listing = made(next=NEXT)
    first = [listing.take(page("a")), listing.take(page("b")), listing.take(page("", n=1))]
    assert (first, listing.is_at_beginning) == ([True, True, True], True)
    second = [listing.take(page("a")), listing.take(page("b")), listing.take(page("", n=2))]
    assert second == [False, False, True]
    assert [listing.take(page("")), listing.is_at_beginning] == [True, True]  # It has one page now.
    assert [listing.take(page("a")), listing.take(page("b"))] == [True, True]


def test_the_next_page_after_one_that_has_not_changed() -> None:
    listing = made(next=NEXT)
    assert listing.headers == {}
    listing.take(answer({"meta": {"next": "a"}}, etag='"1"', last_modified="Mon, 22 Dec 2025 12:00:00 GMT"))
    assert (listing.target, listing.headers) == ("/m?cursor=a", {})
    listing.take(page(None))
    assert listing.headers == {"If-None-Match": '"1"', "If-Modified-Since": "Mon, 22 Dec 2025 12:00:00 GMT"}
    assert not listing.take(answer(b"", 304))
    assert listing.target == "/m?cursor=a"
    listing.begin_again()
    assert listing.target == "/m"


def test_a_page_that_is_reached_by_another_cursor_is_asked_for_as_a_whole() -> None:
    listing = made(next=NEXT)
    listing.take(page("a"))
    listing.take(answer({}, etag='"1"'))
    listing.take(page("b"))
    assert (listing.target, listing.headers) == ("/m?cursor=b", {})


def test_a_304_that_nobody_has_asked_for() -> None:
    with pytest.raises(ConnectError, match="it answered 304 Not Modified to a request that was not conditional"):
        made().take(answer(b"", 304))


@pytest.mark.parametrize("cursor", [None, "", [], {}, True, False])
def test_what_is_no_cursor_is_the_end(cursor: Any) -> None:
    listing = made(next=NEXT)
    assert (listing.take(page(cursor)), listing.is_at_beginning, listing.fault) == (True, True, None)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"meta":1}', b"\xff", b"[" * 100_000, b""])
def test_an_answer_without_the_field_is_the_last_page(body: bytes) -> None:
    listing = made(next=NEXT)
    assert (listing.take(answer(body)), listing.is_at_beginning) == (True, True)


def test_a_number_is_a_cursor_and_a_circle_ends_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = made(next=NEXT)
    listing.take(page(7))
    assert listing.target == "/m?cursor=7"
    assert listing.take(page("7"))
    assert (listing.is_at_beginning, listing.fault) == (True, "the cursor at `meta.next` leads to the same page again")
    monkeypatch.setattr(pages, "MOST_PAGES", 3)
    for number in range(2):
        listing.take(page(number))
        assert listing.fault is None
    listing.take(page(2))
    assert (listing.is_at_beginning, listing.fault) == (True, "there are more than 3 pages")


def test_keep_all_keeps_every_answer() -> None:
    listing = made(keep="all")
    assert [listing.take(answer({}, etag='"1"')) for _ in range(3)] == [True] * 3
    assert listing.headers == {}
