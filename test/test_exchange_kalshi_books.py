"""Which order books are known, which are asked for again, and that what is known is right."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from ssmd.exchange.kalshi.book_requests import Request
from ssmd.exchange.kalshi.books import LEAST_INTERVAL_MS, MOST_TRIES, PORTIONS, RETRY_MS, Books
from ssmd.exchange.kalshi.command import CommandIds

NAMES = [f"KX-{number}" for number in range(1000)]
SECOND_MS = 1000
INTERVAL = LEAST_INTERVAL_MS // SECOND_MS


class Clock:
    """Asks the books what is due, once a second."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.seconds = 0
        self.due()

    def due(self) -> list[Request]:
        return list(self.books.due(self.seconds * SECOND_MS))

    def pass_seconds(self, seconds: int) -> list[Request]:
        """Return what was due in this time."""
        found: list[Request] = []
        for _ in range(seconds):
            self.seconds += 1
            found += self.due()
        return found


def following(names: list[str], per_second: int = 200) -> tuple[Books, Clock]:
    """Return books that are all known."""
    books = Books(CommandIds(10), per_second)
    books.follow(names)
    clock = Clock(books)
    for name in names:
        books.receive(name)
    assert books.take_report()
    return books, clock


def names_in(requests: list[Request]) -> list[str]:
    return [market for request in requests for market in request.markets]


def answer(books: Books, requests: list[Request]) -> None:
    for request in requests:
        for market in request.markets:
            books.receive(market, request.id, in_place=False)


def test_a_book_is_known_once_its_snapshot_has_come():
    books = Books(CommandIds(10), 200)
    books.follow(["A", "B"])
    assert (books.pending, books.known, books.take_report()) == (2, 0, False)
    books.receive("A")
    books.receive("a")
    assert (books.pending, books.known, books.take_report()) == (1, 1, False)
    books.receive("B")
    assert (books.pending, books.known) == (0, 2)
    assert (books.take_report(), books.take_report()) == (True, False)


def test_what_is_known_is_not_asked_for():
    _, clock = following(NAMES)
    assert clock.pass_seconds(2 * INTERVAL) == []


@pytest.mark.parametrize(("per_second", "seconds"), [(200, 5), (100, 10), (1000, 1), (90, 12)])
def test_after_a_gap_all_books_are_asked_for_at_a_pace(per_second, seconds):
    books, clock = following(NAMES, per_second)
    books.lost()
    assert books.pending == len(NAMES)
    requests = []
    for _ in range(seconds):
        found = clock.pass_seconds(1)
        assert len(names_in(found)) <= per_second
        assert books.why == "gap"
        requests += found
    assert names_in(requests) == NAMES
    assert max(len(request.markets) for request in requests) <= PORTIONS[0]
    assert [request.id for request in requests] == list(range(10, 10 + len(requests)))
    answer(books, requests)
    assert books.take_report()
    assert clock.pass_seconds(3 * INTERVAL) == []


def test_ten_thousand_books_are_asked_for_within_a_minute_of_midnight():
    names = [f"KX-{number}" for number in range(10_000)]
    books, clock = following(names)
    books.begin_day()
    assert books.why == "day"
    asked = []
    for _ in range(50):
        requests = clock.pass_seconds(1)
        answer(books, requests)
        asked += names_in(requests)
    assert asked == names
    assert books.take_report()


@pytest.mark.parametrize("count", [24, 3000, 10_000])
@pytest.mark.parametrize("before", [1, 15, INTERVAL, 40])
def test_a_day_that_begins_soon_after_a_gap_takes_the_same_time_or_half_a_minute(count, before):
    names = [f"KX-{number}" for number in range(count)]
    books, clock = following(names)
    books.lost()
    for _ in range(before):
        answer(books, clock.pass_seconds(1))
    books.begin_day()
    seconds = max(-(-count // 200), INTERVAL if before <= INTERVAL else 0)
    for _ in range(seconds):
        answer(books, clock.pass_seconds(1))
    assert (books.known, books.take_report()) == (count, True)


def test_a_market_is_not_asked_for_twice_within_half_a_minute():
    books, clock = following(NAMES[:3])
    books.lost()
    answer(books, clock.pass_seconds(1))
    books.lost()
    assert clock.pass_seconds(INTERVAL - 1) == []
    assert names_in(clock.pass_seconds(1)) == NAMES[:3]


def test_a_further_gap_asks_again_for_books_that_had_come():
    books, clock = following(NAMES[:400])
    books.lost()
    answer(books, clock.pass_seconds(1))
    assert books.pending == 200
    books.lost()
    assert books.pending == 400
    # First those that were not asked for yet, the others when half a minute has passed.
    assert names_in(clock.pass_seconds(1)) == NAMES[200:400]
    assert names_in(clock.pass_seconds(INTERVAL - 1)) == NAMES[:200]


def test_an_answer_that_was_on_its_way_when_the_gap_came_proves_nothing():
    books, clock = following(["A", "B", "C"])
    books.lost()
    [request] = clock.pass_seconds(1)
    books.lost()
    books.receive("A", request.id, in_place=False)
    assert clock.pass_seconds(1) == []
    books.receive("A", request.id, in_place=False)
    assert books.pending == 3
    # Unless its number belongs to its place. And what nobody asked for is numbered like any message.
    books.receive("B", request.id, in_place=True)
    books.receive("C")
    assert books.pending == 1
    [request] = clock.pass_seconds(INTERVAL - 1)
    assert request.markets == ["A"]
    books.receive("A", request.id, in_place=False)
    assert books.take_report()


def test_a_gap_takes_no_time_for_each_market():
    """A broken feed may have a gap at each message."""
    books, clock = following([f"KX-{number}" for number in range(10_000)])
    began = time.process_time()
    for _ in range(1000):
        books.lost()
    gaps = time.process_time() - began
    clock.pass_seconds(1)
    assert gaps < time.process_time() - began - gaps


def test_asking_for_first_snapshots_takes_no_longer_for_each_market_when_there_are_many():
    names = [f"KX-{number}" for number in range(100_000)]
    books = Books(CommandIds(10), 200)
    began = time.process_time()
    books.follow(names)
    clock = Clock(books)
    for name in names:
        books.receive(name)
        books.receive(name)
    answers = time.process_time() - began
    books.follow([], names)
    books.follow(names)
    began = time.process_time()
    assert len(names_in(clock.pass_seconds(INTERVAL + 2))) == 400
    assert time.process_time() - began < 5 * answers


def test_on_a_new_day_an_answer_to_an_earlier_request_counts():
    books, clock = following(["A"])
    books.lost()
    [request] = clock.pass_seconds(1)
    books.begin_day()
    books.receive("A", request.id, in_place=False)
    assert books.take_report()


def test_a_market_that_never_answers_is_given_up_after_three_requests_each_with_fewer_markets():
    books, clock = following(NAMES[:400])
    books.lost()
    silent = {"KX-7", "KX-300"}
    sizes: dict[str, list[int]] = {name: [] for name in silent}
    for _ in range(4 * INTERVAL):
        for request in clock.pass_seconds(1):
            for name in silent.intersection(request.markets):
                sizes[name].append(len(request.markets))
            for market in request.markets:
                if market not in silent:
                    books.receive(market, request.id, in_place=False)
    assert all(len(found) == MOST_TRIES and found[0] == PORTIONS[0] for found in sizes.values())
    assert sorted(books.missing) == sorted(silent)
    assert (books.pending, books.known) == (0, 398)
    assert (books.take_report(), books.take_report()) == (True, False)
    # The next time it is asked for once, alone.
    books.begin_day()
    requests = clock.pass_seconds(2 * INTERVAL)
    assert [request.markets for request in requests if silent.intersection(request.markets)] == [["KX-7"], ["KX-300"]]
    assert Counter(names_in(requests)).most_common(1)[0][1] == 2  # The others had no answer in this test.


def test_a_market_that_was_given_up_is_known_once_it_sends_a_snapshot():
    books, clock = following(["A", "B"])
    books.lost()
    clock.pass_seconds(4 * INTERVAL)
    assert (books.missing, books.take_report()) == (("A", "B"), True)
    books.receive("A")
    assert (books.missing, books.known) == (("B",), 1)
    # Others may follow at once, so that this is reported with the next second.
    assert not books.take_report()
    clock.pass_seconds(1)
    assert (books.take_report(), books.take_report()) == (True, False)


def test_a_market_that_was_given_up_is_asked_for_now_and_then():
    books, clock = following(["A"])
    books.lost()
    clock.pass_seconds(4 * INTERVAL)
    assert books.take_report()
    requests = clock.pass_seconds(2 * RETRY_MS // SECOND_MS)
    assert [request.markets for request in requests] == [["A"], ["A"]]
    assert (books.pending, books.take_report()) == (0, False)


def test_the_first_snapshots_are_asked_for_when_they_do_not_come():
    books = Books(CommandIds(10), 200)
    books.follow(["A", "B"])
    clock = Clock(books)
    books.receive("A")
    assert clock.pass_seconds(INTERVAL - 1) == []
    [request] = clock.pass_seconds(1)
    assert (request.markets, books.why) == (["B"], "start")


@pytest.mark.parametrize("named", [[], ["KX-3"], NAMES[:200]])
def test_a_refused_request_is_made_again_for_fewer_markets(named):
    books, clock = following(NAMES[:200])
    books.lost()
    sizes = []
    for _ in range(4 * INTERVAL):
        for request in clock.pass_seconds(1):
            sizes.append(len(request.markets))
            if "KX-3" in request.markets:
                assert books.refused(request.id, named) == (request.tries == 0)
            else:
                answer(books, [request])
    assert list(books.missing) == ["KX-3"]
    assert books.take_report()
    assert sizes[0] == 200
    assert set(sizes[1:]) <= {1, 9, 10}


def test_a_request_that_was_not_carried_out_is_made_again_and_does_not_count_as_a_try():
    books, clock = following(["A"])
    books.lost()
    for _ in range(2 * MOST_TRIES):
        [request] = clock.pass_seconds(1)
        assert request.tries == 0
        books.repeat(request.id)
    assert books.pending == 1


def test_an_exchange_that_serves_no_snapshots_is_not_asked_again():
    books, clock = following(["A", "B"])
    books.lost()
    clock.pass_seconds(1)
    books.receive("A")
    assert (books.give_up(), books.give_up()) == (True, False)
    assert (list(books.missing), books.pending, books.take_report()) == (["B"], 0, False)
    books.lost()
    assert clock.pass_seconds(4 * INTERVAL) == []
    assert sorted(books.missing) == ["A", "B"]


def test_books_that_are_not_followed_any_more_are_not_waited_for():
    books = Books(CommandIds(10), 200)
    books.follow(["A", "B"])
    books.receive("A")
    books.follow([], ["B"])
    assert books.take_report()
