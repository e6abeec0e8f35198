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


def take(listing: Pages, answer: HttpAnswer) -> bool:
    """Return whether the answer is kept."""
    kept = listing.keeps(answer)
    listing.take(answer)
    return kept


def page(cursor: Any, **more: Any) -> HttpAnswer:
    return answer({"meta": {"next": cursor}, **more})


def test_pages_are_compared_each_with_its_own_last_answer() -> None:
    listing = made(next=NEXT)
    first = [take(listing, page("a")), take(listing, page("b")), take(listing, page("", n=1))]
    assert (first, listing.is_at_beginning) == ([True, True, True], True)
    second = [take(listing, page("a")), take(listing, page("b")), take(listing, page("", n=2))]
    assert second == [False, False, True]
    assert [take(listing, page("")), listing.is_at_beginning] == [True, True]  # It has one page now.
    assert [take(listing, page("a")), take(listing, page("b"))] == [True, True]


def test_the_next_page_after_one_that_has_not_changed() -> None:
    listing = made(next=NEXT)
    assert listing.headers == {}
    take(listing, answer({"meta": {"next": "a"}}, etag='"1"', last_modified="Mon, 22 Dec 2025 12:00:00 GMT"))
    assert (listing.target, listing.headers) == ("/m?cursor=a", {})
    take(listing, page(None))
    assert listing.headers == {"If-None-Match": '"1"', "If-Modified-Since": "Mon, 22 Dec 2025 12:00:00 GMT"}
    assert not take(listing, answer(b"", 304))
    assert listing.target == "/m?cursor=a"
    listing.begin_again()
    assert listing.target == "/m"


def test_a_page_that_is_reached_by_another_cursor_is_asked_for_as_a_whole() -> None:
    listing = made(next=NEXT)
    take(listing, page("a"))
    take(listing, answer({}, etag='"1"'))
    take(listing, page("b"))
    assert (listing.target, listing.headers) == ("/m?cursor=b", {})


def test_a_304_that_nobody_has_asked_for() -> None:
    with pytest.raises(ConnectError, match="it answered 304 Not Modified to a request that was not conditional"):
        take(made(), answer(b"", 304))


@pytest.mark.parametrize("cursor", [None, "", [], {}, True, False])
def test_what_is_no_cursor_is_the_end(cursor: Any) -> None:
    listing = made(next=NEXT)
    assert (take(listing, page(cursor)), listing.is_at_beginning, listing.fault) == (True, True, None)


@pytest.mark.parametrize("body", [b"[1]", b'{"meta":1}', b"{}"])
def test_an_answer_without_the_field_is_the_last_page(body: bytes) -> None:
    listing = made(next=NEXT)
    assert (take(listing, answer(body)), listing.is_at_beginning, listing.fault) == (True, True, None)


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"[" * 100_000, b""])
def test_an_answer_that_is_not_json_ends_a_listing_with_a_warning(body: bytes) -> None:
    listing = made(next=NEXT)
    take(listing, page("a"))
    assert (take(listing, answer(body)), listing.is_at_beginning) == (True, True)
    assert listing.fault == "an answer is not JSON, so it has no cursor of a next page"


@pytest.mark.parametrize("cursor", ["\ud800", "a\nb", "x" * 4097])
def test_a_cursor_that_no_url_may_have_ends_a_listing_with_a_warning(cursor: str) -> None:
    listing = made(next=NEXT)
    assert (take(listing, page(cursor)), listing.target) == (True, "/m")
    assert listing.fault == "the cursor at `meta.next` cannot be in a URL"


@pytest.mark.parametrize("headers", [{"etag": "\xe9"}, {"etag": "a\tb", "last_modified": "\x7f"}])
def test_what_no_request_may_have_is_not_sent_back(headers: dict[str, str]) -> None:
    listing = made()
    take(listing, answer({}, 200, **headers))
    assert listing.headers == {}


def test_after_a_refusal_nothing_depends_on_what_the_server_said_before() -> None:
    listing = made(next=NEXT)
    take(listing, answer({}, etag='"1"'))
    listing.begin_again()
    assert (listing.target, listing.headers) == ("/m", {})
    assert not take(listing, answer({}, etag='"2"')), "it is compared all the same"
    assert listing.headers == {"If-None-Match": '"2"'}


def test_a_number_is_a_cursor_and_a_circle_ends_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = made(next=NEXT)
    take(listing, page(7))
    assert listing.target == "/m?cursor=7"
    assert take(listing, page("7"))
    assert (listing.is_at_beginning, listing.fault) == (True, "the cursor at `meta.next` leads to the same page again")
    for cursor in ("a", "b"):
        take(listing, page(cursor))
        assert listing.fault is None
    take(listing, page("a"))
    assert (listing.is_at_beginning, listing.fault) == (True, "the cursor at `meta.next` leads to the same page again")
    monkeypatch.setattr(pages, "MOST_PAGES", 3)
    for number in range(2):
        take(listing, page(number))
        assert listing.fault is None
    take(listing, page(2))
    assert (listing.is_at_beginning, listing.fault) == (True, "there are more than 3 pages")


def test_keep_all_keeps_every_answer() -> None:
    listing = made(keep="all")
    assert [take(listing, answer({}, etag='"1"')) for _ in range(3)] == [True] * 3
    assert listing.headers == {}
