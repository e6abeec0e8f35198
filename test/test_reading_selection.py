"""Exactly the wanted lines of a block are selected, whatever the messages look like."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.errors import UsageError
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.reading.selection import ALL, Selection, instant
from ssmd.store.line import LineEncoder

NS = 1_790_000_000_000_000_000
TRADE = b'{"type":"trade","sid":1,"msg":{"market_ticker":"KX-A"}}'
MESSAGES = [
    TRADE,
    b'{"type":"ticker","sid":2,"msg":{"market_ticker":"KX-B"}}',
    # The wanted words are in other places, or are spelled in another way.
    b'{"type":"ticker","note":"trade","msg":{"market_ticker":"KX-B","other":"KX-A"}}',
    b'{"\\u0074ype":"tr\\u0061de","msg":{"market\\u005fticker":"KX\\u002dA"}}',
    b'{"type":"ticker","type":"trade","msg":{"market_ticker":"KX-B","market_ticker":"KX-A"}}',
    b'{"msg":{"market_ticker":"KX-A","type":"trade"}}',
    b'{"type":["trade"],"msg":{"market_ticker":"KX-A"}}',
    b'{"type":"trade","msg":{"market_ticker":{"KX-A":1}}}',
    b'{"type":"trade","msg":[{"market_ticker":"KX-A"}]}',
    b'{"type":"trade","msg":1e999}',
    b'{"type":7,"msg":"KX-A"}',
    b'{"type":null}',
    b'["trade","KX-A"]',
    b'"trade"',
    b"1e999",
    b"null",
    '{"type":"trade","msg":{"market_ticker":"KÜ-Ä"}}'.encode(),
    # Not JSON, so kept as strings.
    b'{"type":"trade","msg":{"market_ticker":"KX-A"}',
    b'{"type":"trade"}\n{"type":"trade"}',
    b'{"type":"trade","msg":"\xff"}',
]


def lines_of(messages: list[bytes]) -> list[bytes]:
    encoder = LineEncoder("kalshi")
    return [encoder.encode(NS + n * 1000, [message]) for n, message in enumerate(messages)]


def is_wanted(line: bytes, types: frozenset[str], markets: frozenset[str]) -> bool:
    """Return whether a line is wanted, as found with Python's json in the simplest way."""
    data = json.loads(line)["data"]
    if not isinstance(data, dict):
        return False
    msg = data.get("msg")
    ticker = msg.get("market_ticker") if isinstance(msg, dict) else None
    right_type = not types or (isinstance(data.get("type"), str) and data["type"] in types)
    return right_type and (not markets or (isinstance(ticker, str) and ticker in markets))


@given(
    st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8),
    st.frozensets(st.sampled_from(["trade", "ticker", "7"])),
    st.frozensets(st.sampled_from(["KX-A", "KX-B", "KÜ-Ä"])),
)
def test_types_and_markets_are_found_as_json_finds_them(messages, types, markets):
    lines = lines_of(messages)
    wanted = [line for line in lines if not (types or markets) or is_wanted(line, types, markets)]
    selected = Selection(types=types, markets=markets).apply(b"".join(lines), KalshiReader())
    assert selected.block == b"".join(wanted)
    assert (selected.lines, list(selected.damaged)) == (len(lines), [])


def test_the_first_time_is_included_and_the_last_one_excluded():
    lines = lines_of(MESSAGES)
    times = [json.loads(line)["ts"][:-1].encode() for line in lines]
    assert Selection(times[2], times[5]).apply(b"".join(lines)).block == b"".join(lines[2:5])
    assert Selection(times[2], times[2]).apply(b"".join(lines)).block == b""


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 50,
        b"{}",
        b"no",
        b'{"ts":"2026-09-21T14:13:20.000000Z","feed":"kalshi","data":{"a":1}',
        b'{"ts":"2026-09-21T14:13:20.000000Z","feed":"kalshi","data":{"a":"\xff"}}',
        b'{"ts":"2026-09-21T14:13:20.000000Z","feed":"kalshi","data":1} {"data":2}',
        b'{"ts":"2026-09-21T14:13:20.000000Z","feed":"kalshi","data":\n1}',
        b' {"ts":"2026-09-21T14:13:20.000000Z","feed":"kalshi","data":1}',
    ],
)
def test_a_line_that_ssmd_did_not_write_is_never_wanted(damage):
    before, after = lines_of([TRADE, TRADE])
    for selection in (ALL, Selection(types=frozenset({"trade"}))):
        selected = selection.apply(before + damage + b"\n" + after, KalshiReader())
        assert selected.block == before + after
        assert selected.damaged == list(range(1, 2 + damage.count(b"\n")))


@pytest.mark.parametrize(
    "spoiled", [b'"!!!","encoding":"base64"', b'"a","encoding":"base64"', b'"a"","encoding":"text"']
)
def test_a_message_that_cannot_be_recovered_makes_its_line_damaged(spoiled):
    head = b'{"ts":"2026-01-02T00:00:00.000000Z","feed":"kalshi","data":'
    sound = head + b'"oops","encoding":"text"}\n'
    selected = ALL.apply(sound + head + spoiled + b"}\n" + sound)
    assert selected == (sound + sound, 3, [1])


def test_an_empty_block_has_no_lines():
    assert ALL.apply(b"") == (b"", 0, [])


def test_a_span_of_time_names_the_days_that_may_hold_it():
    span = Selection(instant("2026-01-02T10:00", "--from"), instant("2026-01-04", "--to"))
    assert [day for day in range(1, 6) if span.may_hold(f"2026-01-0{day}")] == [2, 3]
    assert span.may_hold("")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-02", b"2026-01-02T00:00:00.000000"),
        ("2026-01-02T10:30", b"2026-01-02T10:30:00.000000"),
        ("2026-01-02T10:30:00.5Z", b"2026-01-02T10:30:00.500000"),
        ("2026-01-02 01:30+02:00", b"2026-01-01T23:30:00.000000"),
    ],
)
def test_times_are_utc(text, time):
    assert instant(text, "--from") == time


@pytest.mark.parametrize("text", ["", "yesterday", "10:30", "2026-13-01", "0001-01-01T00:00+05:00"])
def test_a_text_that_is_not_a_time_is_refused(text):
    with pytest.raises(UsageError, match=r"--to is .* must be a time such as"):
        instant(text, "--to")
