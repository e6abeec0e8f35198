"""The pages of a listing, and which lists there are."""

from __future__ import annotations

from itertools import pairwise

from ssmd.exchange.kalshi.follow.answers import Page, Row
from ssmd.exchange.kalshi.follow.pages import LIMIT, MOST_FAILURES, Pages, Query
from ssmd.exchange.kalshi.follow.plan import NEWS_MS, OVERLAP_SECONDS, WHOLE_MS, Plan, queries
from ssmd.exchange.kalshi.follow.section import read_follow

OPEN = Query({"status": "open"})


def page(names, cursor=""):
    return Page([Row(name) for name in names], cursor)


def test_pages_are_asked_for_by_their_cursor_until_there_is_none():
    pages = Pages([OPEN, Query({"series_ticker": "KXB"}, "KXB")])
    assert pages.parameters() == {"status": "open", "limit": LIMIT}
    assert pages.take(page("AB", "c1")) is None
    assert pages.parameters() == {"status": "open", "limit": LIMIT, "cursor": "c1"}
    assert pages.take(page([], "c2")) is None
    assert pages.take(page("CD")) is None
    assert (pages.series, pages.are_over) == ("KXB", False)
    assert pages.parameters() == {"series_ticker": "KXB", "limit": LIMIT}
    assert pages.take(Page([], None)) is None
    assert pages.are_over


def test_a_cursor_that_is_answered_with_the_first_page_begins_the_list_again():
    pages = Pages([OPEN])
    pages.take(page("ABCD", "c1"))
    pages.take(page("EFGH", "c2"))
    # A market was created since, so that the page is not quite the same.
    assert "a cursor was answered with the first page again" in str(pages.take(page("NABC", "c1")))
    assert pages.parameters() == {"status": "open", "limit": LIMIT}
    assert pages.take(page("NABC", "c1")) is None


def test_a_page_that_comes_again_begins_the_list_again_and_a_few_markets_of_it_do_not():
    pages = Pages([OPEN])
    pages.take(page("ABCD", "c1"))
    assert pages.take(page("DEFG", "c2")) is None
    assert "with the page before again" in str(pages.take(page("EFGH", "c2")))


def test_empty_pages_with_the_same_cursor_end():
    pages = Pages([OPEN])
    pages.take(page("AB", "c1"))
    assert pages.take(page([], "c2")) is None
    assert "empty pages with a cursor do not end" in str(pages.take(page([], "c2")))
    pages.take(page("AB", "c0"))
    faults = [pages.take(page([], f"c{number}")) for number in range(1, 20)]
    assert any(faults)


def test_a_page_that_fails_again_and_again_begins_its_list_again():
    pages = Pages([OPEN])
    pages.take(page("AB", "c1"))
    for _ in range(MOST_FAILURES - 1):
        pages.failed()
    assert pages.parameters()["cursor"] == "c1"
    pages.failed()
    assert "cursor" not in pages.parameters()


def parameters(*values):
    return [query.parameters for query in queries([read_follow(value) for value in values])]


def test_the_lists_have_all_that_may_be_followed():
    assert parameters({"status": ["closed"]}) == [{"status": "closed", "mve_filter": "exclude"}]
    assert [each["status"] for each in parameters("all")] == ["open", "unopened", "paused"]
    assert [each["status"] for each in parameters({"status": ["open"]})] == ["open", "unopened"]
    series = parameters({"series": ["KXB", "KXA"], "status": ["paused"]})
    assert series == [{"status": "paused", "series_ticker": name} for name in ("KXA", "KXB")]
    assert parameters({"events": ["KXA-1"]}) == [{"event_ticker": "KXA-1"}]
    lists = parameters({"tickers": [f"KXA-{number}" for number in range(51)]})
    assert [len(each["tickers"].split(",")) for each in lists] == [50, 1]
    assert parameters({"tickers": ["KXA-*"], "status": ["paused"]}) == [{"status": "paused", "mve_filter": "exclude"}]
    combos = parameters({"tickers": ["KXMVE*"], "status": ["paused"]})
    assert [each["mve_filter"] for each in combos] == ["exclude", "only"]


def test_with_all_markets_only_the_series_are_listed_besides():
    # A market in an answer does not name its series.
    lists = parameters({"tickers": ["KXA-*"], "status": ["open"]}, {"series": ["KXB"], "events": ["KXC-1"]})
    assert [each.get("series_ticker") for each in lists if "series_ticker" in each] == ["KXB"] * 3
    assert not [each for each in lists if "event_ticker" in each]


def finish(plan):
    while not plan.pages.are_over:
        plan.pages.take(page([]))


def test_new_markets_are_listed_after_the_whole_listing_until_all_are_known():
    plan = Plan([read_follow({"series": ["KXA"], "status": ["open"]})])
    assert plan.next_pages(0, 1_000_000_000)
    finish(plan)
    assert not plan.ended(has_news=True, passed_ms=5000, now_ms=1_000_005_000)
    assert not plan.next_pages(5000, 1_000_005_000)
    assert plan.pages.parameters()["min_created_ts"] == 1_000_000 - OVERLAP_SECONDS
    finish(plan)
    assert not plan.ended(has_news=True, passed_ms=5100, now_ms=1_000_005_100)
    assert not plan.next_pages(5100, 1_000_005_100)
    assert plan.pages.parameters()["min_created_ts"] == 1_000_005 - OVERLAP_SECONDS
    finish(plan)
    assert plan.ended(has_news=False, passed_ms=5200, now_ms=1_000_005_200)


def test_the_lists_are_repeated():
    plan = Plan([read_follow("all")])
    passed_ms, complete, whole, news = 0, 0, [], []
    while passed_ms < 3 * WHOLE_MS:
        if plan.pages.are_over and plan.next_pages(passed_ms, passed_ms):
            whole.append(passed_ms)
        elif not plan.pages.are_over and not plan.is_whole:
            news.append(passed_ms)
        if not plan.pages.are_over:
            finish(plan)
            complete += plan.ended(has_news=False, passed_ms=passed_ms, now_ms=passed_ms)
        passed_ms += 1000
    assert complete == len(whole)
    assert all(WHOLE_MS <= later - earlier <= 1.1 * WHOLE_MS + 2000 for earlier, later in pairwise(whole))
    assert len(news) > 2 * WHOLE_MS / NEWS_MS


def test_a_busy_exchange_does_not_keep_a_listing_from_its_end():
    plan = Plan([read_follow("all")])
    assert plan.next_pages(0, 0)
    finish(plan)
    plan.ended(has_news=True, passed_ms=0, now_ms=0)
    for _ in range(100):
        plan.next_pages(0, 0)
        finish(plan)
        if plan.ended(has_news=True, passed_ms=0, now_ms=0):
            return
    raise AssertionError("the listing has no end")
