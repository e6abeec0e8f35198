"""Types, numbers and gaps of a day's messages are counted, in blocks of any size and over midnight."""

from __future__ import annotations

import gzip
import itertools
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from recorded import GENERIC, KALSHI, Happened, gap, over_midnight, trade, write_day
from recorded_runs import all_findings, verdicts

from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.proof import tally as tally_module
from ssmd.proof.coverage import OpenTime
from ssmd.proof.tally import Tally
from ssmd.store.ledger import CONNECTED, SUBSCRIBED, Entry, gap_fields
from ssmd.store.sessions import Session

# A sid, and how much larger its number is than the one before: mostly by one. None: a message without a number.
steps = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1] * 12 + [None, None, 3, 0, -2])), max_size=60)


@given(steps, st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_numbers_are_counted_the_same_however_the_messages_are_divided(steps, sizes):
    numbers: dict[int, list[int]] = {}
    payloads = []
    for sid, step in steps:
        if step is None:
            payloads.append(b'{"type":"ticker","sid":%d,"msg":{}}' % sid)
            continue
        known = numbers.setdefault(sid, [])
        known.append(max(1, (known[-1] if known else 9) + step))
        payloads.append(b'{"type":"trade","sid":%d,"seq":%d,"msg":{}}' % (sid, known[-1]))
    tally = Tally(Kalshi.inspector)
    before = 0
    while before < len(payloads):
        size = sizes[before % len(sizes)]
        assert tally.take(payloads[before : before + size], before, 0)
        before += size
    [session] = tally.last_sessions(1)
    found = {sid: (one.first, one.last, one.messages, one.gaps) for sid, one in session.sequences.items()}
    assert found == {
        sid: (known[0], known[-1], len(known), sum(b != a + 1 for a, b in itertools.pairwise(known)))
        for sid, known in numbers.items()
    }
    assert sum(tally.types.values()) == len(payloads)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "(others)", ""]), max_size=60), st.integers(1, 20))
def test_the_first_types_are_counted_by_name_however_the_messages_are_divided(names, size):
    payloads = [b'{"type":"%b"}' % name.encode() for name in names]
    tally = Tally(Generic().inspector)
    with mock.patch.object(tally_module, "_MOST_TYPES", 3):
        for before in range(0, len(payloads), size):
            tally.take(payloads[before : before + size], before, 0)
    known = list(dict.fromkeys(names))[:3]
    assert tally.types == Counter(name if name in known else "(others)" for name in names)


@pytest.mark.parametrize("form", ["zst", "gz"])
def test_types_after_the_first_thousand_are_counted_together_in_any_form(tmp_path, form):
    messages = [(number / 10, b'{"type":"t%d","x":"%b"}' % (number % 1500, b"y" * 100)) for number in range(9000)]
    path = write_day(tmp_path, "2026-09-20", (0, "started", GENERIC), (0, "connected", {}), *messages)
    [plain] = verdicts(tmp_path)
    types = plain.examination.manifest.messages_by_type
    assert (len(types), types["t999"], types["(others)"], plain.findings) == (1001, 6, 3000, [])
    packed = zstandard.compress(path.read_bytes()) if form == "zst" else gzip.compress(path.read_bytes())
    path.with_name(f"kalshi.jsonl.{form}").write_bytes(packed)
    path.unlink()
    assert all_findings(verdicts(tmp_path)) == []


@pytest.mark.parametrize("sealed", [True, False])
def test_a_gap_over_midnight_is_counted_on_the_second_day(tmp_path, sealed):
    day = (gap(0.1, 2, 502), (0.1, trade(502)), (1, trade(503)), gap(2, 504, 505), (2, trade(505)))
    over_midnight(tmp_path, *day, (9, "stopped", {}), sealed=sealed)
    found = verdicts(tmp_path)
    assert all_findings(found) == []
    before, after = (verdict.examination.manifest for verdict in found)
    assert (before.sequence_gaps, before.missing, after.sequence_gaps, after.missing) == (0, 0, 2, 501)
    [sequence] = after.sessions[0].sequences
    assert (sequence.first, sequence.messages, sequence.gaps, sequence.missing) == (502, 3, 2, 501)


def test_a_gap_over_a_midnight_that_lies_within_a_file_counts_too(tmp_path):
    """The clock was ahead once, and left a file of the day in which a later run continues at midnight."""
    ahead: Happened = ((0, "started", KALSHI), (0, "connected", {}), (1, trade(1)), (2, "stopped", {}))
    continued = (3, "continued", {"from": "2026-09-20", **KALSHI})
    later: Happened = (continued, gap(3, 7, 9), (3, trade(9)), (4, "rotated", {}))
    write_day(tmp_path, "2026-09-21", *ahead, *later)
    [verdict] = verdicts(tmp_path)
    assert (verdict.findings, verdict.examination.manifest.missing) == ([], 2)


CHAIN = {"paths": {"market": "s", "sequence": {"previous": ["p", "n"], "scope": "market"}}}


def chained_over_midnight(storage: Path, *second_day: Any) -> None:
    """Write two days of one connection, the first with the number 5 of A, and the second with what is given."""
    fields = {"version": "9.9", "exchange": "generic", "description": CHAIN}
    rotated = (86400, "rotated", {"to": "2026-09-21"})
    begin: list[Any] = [(0, "started", fields), (0, "connected", {}), (5, b'{"s":"A","p":-1,"n":5}'), rotated]
    write_day(storage, "2026-09-20", *begin)
    continued = (0.1, "continued", {"from": "2026-09-20", **fields})
    write_day(storage, "2026-09-21", continued, *second_day, (9, "stopped", {}))


def chain_gap(second: float, expected: int, got: int) -> tuple[float, str, dict]:
    return second, "gap", gap_fields(sid_of("A"), expected, got, None, "A")


def test_a_gap_over_midnight_whose_size_nobody_knows_is_counted_on_the_second_day(tmp_path):
    others = [(1, b'{"s":"B","p":1,"n":2}'), (2, b'{"s":"A","p":9,"n":12}')]
    chained_over_midnight(tmp_path, (0.1, b"{}"), chain_gap(0.1, 5, 7), (0.1, b'{"s":"A","p":7,"n":9}'), *others)
    found = verdicts(tmp_path)
    assert all_findings(found) == []
    after = found[1].examination.manifest
    assert (after.sequence_gaps, after.missing) == (1, None)
    day = json.loads((tmp_path / "2026-09-21" / "kalshi.manifest.json").read_text())
    rows = {row["name"]: (row["gaps"], row["missing"]) for row in day["sessions"][0]["sequences"]}
    assert rows == {"A": (1, None), "B": (0, 0)}


def test_a_gap_whose_size_nobody_knows_is_not_counted_behind_the_first_message(tmp_path):
    chained_over_midnight(tmp_path, (0.1, b'{"s":"A","p":5,"n":9}'), chain_gap(1, 5, 9), (1, b'{"s":"A","p":9,"n":12}'))
    [(day, line, text)] = all_findings(verdicts(tmp_path))
    assert (day, line) == ("2026-09-21", 2)
    assert text.endswith("expected 5, got 9, an unknown number lost")


@pytest.mark.parametrize(
    "entries",
    [
        [gap(0.1, 2, 502), gap(0.1, 3, 502)],
        [gap(0.1, 2, 501)],
        [gap(0.1, 2, 502, sid=2)],
        [(0.1, "gap", {"sid": 1, "expected": 2, "got": 502, "missing": 5})],
        [(0.1, "gap", {"sid": 1, "expected": "2", "got": 502, "missing": 500})],
    ],
)
def test_an_entry_that_cannot_be_of_a_gap_over_midnight_is_found(tmp_path, entries):
    over_midnight(tmp_path, *entries, (0.1, trade(502)), (9, "stopped", {}))
    [(day, line, text)] = all_findings(verdicts(tmp_path))
    assert (day, line) == ("2026-09-21", 1)
    assert text.startswith("has no gap before it, although the ledger has one there: sid ")


def test_an_entry_of_a_gap_at_the_beginning_of_a_new_connection_is_found(tmp_path):
    write_day(tmp_path, "2026-09-21", (0, "started", KALSHI), (0, "connected", {}), gap(1, 2, 502), (1, trade(502)))
    [(_, line, text)] = all_findings(verdicts(tmp_path))
    assert line == 1
    assert text == "has no gap before it, although the ledger has one there: sid 1, expected 2, got 502, 500 lost"


def sid_of(market: str) -> int:
    """Return the sid that a described feed gives the sequence of a market."""
    description = {"paths": {"market": "s", "sequence": {"plus_one": "n", "scope": "market"}}}
    [head] = Generic().described(description).inspector().inspect([b'{"s":"%b","n":1}' % market.encode()]).heads
    return head.sid


def of_markets(markets: int, *, lost: int, first: int = 0) -> list[bytes]:
    """Return two messages of each market, with a gap between them for the last `lost` markets."""
    numbers = [(market, n) for n in (1, 2) for market in range(first, first + markets)]
    since = first + markets - lost
    return [b'{"s":"M%d","n":%d}' % (market, n + (n == 2 and market >= since)) for market, n in numbers]


def test_of_many_sequences_of_a_session_those_with_gaps_are_counted_by_themselves(tmp_path):
    paths = {"market": "s", "sequence": {"plus_one": "n", "scope": "market"}}
    started = {"version": "9.9", "exchange": "generic", "description": {"paths": paths}}
    messages = of_markets(1003, lost=2)
    gaps = [
        (2, "gap", {"sid": sid_of(f"M{market}"), "expected": 2, "got": 3, "missing": 1, "name": f"M{market}"})
        for market in (1001, 1002)
    ]
    before, last = [(1.0, message) for message in messages[:-2]], [(2.0, message) for message in messages[-2:]]
    happened: list[Any] = [*before, gaps[0], last[0], gaps[1], last[1]]
    write_day(tmp_path, "2026-09-20", (0, "started", started), (0, "connected", {}), *happened, (9, "stopped", {}))
    [verdict] = verdicts(tmp_path)
    assert verdict.findings == []
    manifest = json.loads((tmp_path / "2026-09-20" / "kalshi.manifest.json").read_text())
    [session] = manifest["sessions"]
    assert len(session["sequences"]) == 1000
    assert {one["name"] for one in session["sequences"] if one["gaps"]} == {"M1001", "M1002"}
    assert session["other_sequences"] == {"sequences": 3, "messages": 6, "gaps": 0, "missing": 0}
    assert sum(one["messages"] for one in session["sequences"]) == 2000


def test_connections_that_are_over_take_little_memory_however_many_markets_they_had():
    description = {"paths": {"market": "s", "sequence": {"plus_one": "n", "scope": "market"}}}
    inspector = Generic().described(description).inspector
    payloads = of_markets(3000, lost=0)
    tally = Tally(inspector, 1000)

    def connect(times: int) -> int:
        tracemalloc.start()
        try:
            for _ in range(times):
                tally.begin_session(0, inspector)
                tally.take(payloads, 0, 0)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()

    one, more = connect(1), connect(5)
    # Only the present connection has all of its markets. Of the others a thousand are kept, at 300 bytes each.
    assert more - one < 4 * 1000 * 400


class CountedEntry(Entry):
    """Counts how often its line is looked at."""

    looks = 0

    @property
    def line(self) -> int:
        CountedEntry.looks += 1
        return self[3]


def test_a_day_with_thousands_of_connections_costs_little_for_each_of_them():
    """Their confirmations are found at once, and not among those of all connections."""

    def looks(count: int) -> int:
        tally = Tally(Kalshi.inspector)
        found: list[Session] = []
        entries: list[Entry] = []
        for number in range(count):
            found.append(Session(Entry(number, CONNECTED, number * 100, number, {})))
            entries.append(CountedEntry(number, SUBSCRIBED, number * 100, number, {"sid": 1, "channel": f"c{number}"}))
            tally.begin_session(number, Kalshi.inspector)
            tally.take([b'{"type":"trade","sid":1,"seq":5,"msg":{}}'], number, number)
        times = [OpenTime(number, number + 1, "") for number in range(count)]
        CountedEntry.looks = 0
        records = tally.records(found, times, reversed(entries), count)
        assert [record.sequences[0].channel for record in records] == [f"c{number}" for number in range(count)]
        return CountedEntry.looks

    assert 0 < looks(6000) < 20 * looks(1000)


@pytest.mark.parametrize(
    ("paths", "types"),
    [
        ({}, {"a": 2, "": 2}),
        ({"market": "s"}, {"a": 2, "": 2}),
        ({"sequence": {"plus_one": "n", "scope": "connection"}}, {"a": 2, "": 2}),
        ({"type": "e"}, {"b": 1, "": 3}),
        ({"type": "e", "sequence": {"plus_one": "n", "scope": "connection"}}, {"b": 1, "": 3}),
    ],
)
def test_messages_are_counted_by_the_top_level_type_where_no_path_leads_to_another(paths, types):
    payloads = [b'{"type":"a","n":1}', b'{"type":"a","n":2}', b'{"e":"b","n":3}', b"text"]
    tally = Tally(Generic().described({"paths": paths}).inspector)
    tally.take(payloads, 0, 0)
    assert tally.types == types


NUMBERED, ANOTHER = (
    {**GENERIC, "description": {"paths": {"sequence": {"plus_one": name, "scope": "connection"}}}} for name in "nm"
)
NONE, NUMBER = b'{"a":1}', b'{"n":5}'


def session(second: float, started: dict[str, Any], *payloads: bytes) -> list[Any]:
    """Return a run with one connection, for write_day()."""
    return [(second, "started", started), (second, "connected", {}), *((second, payload) for payload in payloads)]


@pytest.mark.parametrize(
    ("sessions", "gaps"),
    [
        ([(NUMBERED, NUMBER)], 0),
        ([(NUMBERED, NONE)], None),
        ([(NUMBERED,)], 0),  # Nothing came, so nothing is lost.
        ([(NUMBERED,), (NUMBERED, NONE)], None),
        # A connection that ended after the confirmations hides nothing: the description is right.
        ([(NUMBERED, NONE), (NUMBERED, NONE, NUMBER)], 0),
        ([(NUMBERED, NUMBER), (NUMBERED, NONE)], 0),
        ([(NUMBERED, NUMBER), (ANOTHER, NUMBER)], None),
        ([(ANOTHER, NUMBER), (NUMBERED, NUMBER)], None),
        ([(KALSHI, b'{"type":"ticker","sid":1,"msg":{}}')], 0),
    ],
)
def test_gaps_are_not_known_where_no_message_has_the_numbers_of_the_description(tmp_path, sessions, gaps):
    happened = [each for at, (started, *payloads) in enumerate(sessions) for each in session(at, started, *payloads)]
    write_day(tmp_path, "2026-09-20", *happened)
    [verdict] = verdicts(tmp_path)
    assert verdict.sealed
    assert verdict.findings == []
    manifest = verdict.examination.manifest
    assert (manifest.sequence_gaps, manifest.missing) == (gaps, gaps)
