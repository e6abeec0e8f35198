"""The numbers of Kalshi's messages when answers to `get_snapshot` are among them, whatever numbers those have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kalshi_messages import (
    COUNTS,
    HAS_NONE,
    IS_NEXT,
    REPEATS,
    USES_ONE_UP,
    WAYS,
    connection,
    delta,
    snapshot,
    subscribed,
)

from ssmd.contracts.events import Gap
from ssmd.exchange.kalshi.inspector import KalshiInspector
from ssmd.proof.tally import Tally


def numbered(way: str, kinds: str) -> Iterator[tuple[str, int]]:
    """Yield the number of each message: d is a delta, a an answer, x a delta that is lost."""
    last, answers = 0, 5_000_000
    for kind in kinds:
        if kind == "a":
            answers += 1
            last += way == USES_ONE_UP
            yield "a", {USES_ONE_UP: last, REPEATS: last, IS_NEXT: last + 1, COUNTS: answers, HAS_NONE: 0}[way]
        else:
            last += 1
            yield kind, last


def frames(way: str, kinds: str) -> list[bytes]:
    return [
        snapshot("KXA-1", seq, id=7) if kind == "a" else delta("KXA-1", seq)
        for kind, seq in numbered(way, kinds)
        if kind != "x"
    ]


def gaps_in(payloads: list[bytes], size: int) -> list[Gap]:
    inspector = KalshiInspector()
    batches = [payloads[first : first + size] for first in range(0, len(payloads), size)]
    events = [event for batch in batches for event in inspector.inspect(batch).events]
    return [event for event in events if isinstance(event, Gap)]


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kinds", ["ddadd", "dada", "aad", "daaaaad", "ddaddaaddad"])
def test_an_answer_is_no_gap(way, kinds, size):
    assert gaps_in(frames(way, kinds), size) == []


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("kinds", "missing"),
    [("daxd", [1]), ("dxad", [1]), ("dxxaad", [2]), ("daaxxd", [2]), ("dxaxd", [2]), ("dxdad", [1])],
)
def test_a_message_that_is_lost_beside_answers_is_counted(way, kinds, missing, size):
    """The first answers show how their numbers are to be understood."""
    assert [gap.missing for gap in gaps_in(frames(way, f"dadad{kinds}"), size)] == missing


@pytest.mark.parametrize("kinds", ["daxd", "dxad", "dxxaad", "daaxxd", "dxaxd", "dxdad"])
def test_answers_that_repeat_a_number_among_themselves_show_it_at_once(kinds):
    payloads = frames(REPEATS, kinds.replace("a", "aa"))
    assert sum(gap.missing or 0 for gap in gaps_in(payloads, 100)) == kinds.count("x")


def test_a_gap_is_found_live_as_in_a_recording():
    payloads = [subscribed(1, "orderbook_delta", 1), *frames(USES_ONE_UP, "ddaxaddaadxd")]
    live = connection({"channels": ["orderbook_delta"], "market_tickers": ["KXA-1"]})
    gaps = [event for event in live.inspect(payloads).events if isinstance(event, Gap)]
    assert {gap.books for gap in gaps} == {"orderbook_delta"}
    assert [gap._replace(books="") for gap in gaps] == KalshiInspector().inspect(payloads).events
    assert [gap.missing for gap in gaps] == [1, 1]


MIDNIGHT_MS = 20_000 * 86_400_000


@settings(max_examples=300)
@example(REPEATS, "daadxad", 2)
@example(IS_NEXT, "dadadddaxd", 5)
@example(COUNTS, "dadadddaxd", 5)
@example(IS_NEXT, "daddaddaxd", 2)
@given(st.sampled_from(WAYS), st.text("dddax", min_size=1, max_size=30), st.integers(0, 30))
def test_in_the_file_of_a_further_day_a_recording_shows_the_gaps_that_were_found_live(way, kinds, place):
    """Except at the first number of the file, which only the run can compare with the one before."""
    payloads = frames(way, kinds)
    before, after = payloads[:place], payloads[place:]
    live = connection({"channels": ["orderbook_delta"], "market_tickers": ["KXA-1"]})
    live.opening("wss://host/ws", MIDNIGHT_MS - 1000)
    for payload in before:
        live.inspect([payload])
    live.tick(MIDNIGHT_MS)
    first = next((number for number, payload in enumerate(after) if b'"id"' not in payload), None)
    found = [
        [
            (number, event.expected, event.got)
            for number, payload in enumerate(after)
            for event in inspector.inspect([payload]).events
            if isinstance(event, Gap) and number != first
        ]
        for inspector in (live, KalshiInspector())
    ]
    assert found[0] == found[1]


@settings(max_examples=200)
@given(st.sampled_from(WAYS), st.text("ddddax", min_size=1, max_size=30), st.integers(1, 8))
def test_the_manifest_counts_the_same_in_blocks_of_any_size(way, kinds, size):
    """The numbers of answers are left out of the count, so that it does not depend on what they are."""
    payloads = frames(way, kinds)
    counts = []
    for each in (size, len(payloads) or 1):
        tally = Tally(KalshiInspector)
        for first in range(0, len(payloads), each):
            tally.take(payloads[first : first + each], first, 0)
        [session] = tally.last_sessions(1)
        counts.append({sid: (one.first, one.last, one.messages) for sid, one in session.sequences.items()})
    assert counts[0] == counts[1]
    deltas = kinds.count("d")
    assert counts[0].get(1, (0, 0, 0))[2] == deltas
