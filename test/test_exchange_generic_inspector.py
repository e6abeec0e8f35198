"""Sequences and heads: gaps are those of a naive counter, however the messages are divided into batches."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssmd.contracts.events import Gap
from ssmd.contracts.exchange import CHAIN, COUNTER, RANGE
from ssmd.errors import Disconnected
from ssmd.exchange.generic import follower
from ssmd.exchange.generic.description import EMPTY, IS, Condition, Description, Paths, Pick, Sequence
from ssmd.exchange.generic.inspector import GenericInspector
from ssmd.exchange.generic.parse import parse, problems_of
from ssmd.exchange.generic.reader import GenericReader
from ssmd.field_path import parse_path
from ssmd.proof.tally import Tally


def pick(*paths, **options):
    return Pick(tuple(map(parse_path, paths)), **options)


def rule(kind, first, last=None, scope="connection", restart_when=()):
    return Sequence(kind, parse_path(first), parse_path(last or first), scope, restart_when)


def described(*rules, **paths):
    known = {"type": pick("type"), "market": pick("data.s", "data[0].s"), "time": pick("ts")} | paths
    return Description(paths=Paths(**known, sequences=rules))


def encode(*messages):
    return [json.dumps(message).encode() for message in messages]


def moved(events, by):
    """The gaps as another batch has them, which has `by` more messages before them."""
    return [gap._replace(place=gap.place + by) for gap in events]


def gaps_of(description, *messages):
    """The gaps as (place, expected, got, missing)."""
    events = GenericInspector(description).inspect(encode(*messages)).events
    return [(gap.place, gap.expected, gap.got, gap.missing) for gap in events]


RESET = ((Condition(parse_path("type"), IS, "reset"),),)
KINDS = {COUNTER: ("n", "n"), RANGE: ("first", "n"), CHAIN: ("before", "n")}
SCOPES = {
    "connection": lambda message: "the connection",
    "channel": lambda message: message.get("type"),
    "market": lambda message: message.get("data", {}).get("s"),
    "channel_and_market": lambda message: (
        message.get("type") and message.get("data", {}).get("s") and f"{message['type']} {message['data']['s']}"
    ),
    pick("topic", split=".", part=2): lambda message: message.get("topic", "").partition(".")[2],
}


def is_number(value):
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= 2**62
    return type(value) is int and 0 <= value <= 2**62


def naive_gaps(kind, scope_of, messages):
    """The gaps by the rules of docs/dialect.md, with nothing of the product."""
    last: dict[str, int] = {}
    gaps = []
    first_name, last_name = KINDS[kind]
    for place, message in enumerate(messages):
        scope = scope_of(message)
        restarted = message.get("type") == "reset"
        if restarted:
            last.pop(scope, None)
        own, first = message.get(last_name), message.get(first_name)
        begins = restarted or (kind == CHAIN and first in (None, -1, "-1") and first is not True)
        if not scope or not is_number(own) or not (begins or is_number(first)):
            continue
        if scope in last and not begins:
            expected = last[scope] if kind == CHAIN else last[scope] + 1
            if int(first) > expected or (kind != RANGE and int(first) != expected):
                gaps.append((place, expected, int(first), max(0, int(first) - expected) if kind == COUNTER else None))
        last[scope] = int(own)
    return gaps


ODD: list[object] = [None, "3", "004", "x", "", True, 2.0, -1, "-1", 2**62, 2**63, 10**30, {}, []]
NUMBERS = st.integers(0, 12) | st.sampled_from(ODD)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["trade", "book", "reset"]),
            "topic": st.sampled_from(["book.A", "book.B", "book"]),
            "data": st.fixed_dictionaries({}, optional={"s": st.sampled_from(["A", "B", ""])}),
            "n": NUMBERS,
            "first": NUMBERS,
            "before": NUMBERS,
        },
    ),
    max_size=30,
)


@st.composite
def streams(draw, scope_of):
    """Messages as an exchange numbers them, some of which are lost."""
    messages = []
    last: dict[str, int] = {}
    for _ in range(draw(st.integers(0, 40))):
        market, kind = draw(st.sampled_from("AB")), draw(st.sampled_from(["trade", "book"]))
        message = {"type": kind, "topic": f"{kind}.{market}", "data": {"s": market}}
        before = last.get(scope_of(message), draw(st.integers(0, 5)))
        own = last[scope_of(message)] = before + draw(st.sampled_from([1, 1, 1, 1, 1, 3]))
        first = draw(st.sampled_from([before + 1, before]))
        if draw(st.integers(0, 12)):
            messages.append(message | {"n": own, "first": first, "before": before})
    return messages


@pytest.mark.parametrize("scope", SCOPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
def test_the_gaps_are_those_of_a_naive_counter(kind, scope, data):
    messages = data.draw(streams(SCOPES[scope]) | MESSAGES)
    description = described(rule(kind, *KINDS[kind], scope=scope, restart_when=RESET))
    expected = naive_gaps(kind, SCOPES[scope], messages)
    assert gaps_of(description, *messages) == expected

    recorded, live = GenericInspector(description), GenericInspector(description, live=True)
    sizes = data.draw(st.lists(st.integers(1, 7), max_size=30))
    payloads = encode(*messages)
    whole = GenericInspector(description).inspect(payloads)
    heads: list[object] = []
    found: list[Gap] = []
    at = 0
    for size in [*sizes, len(payloads)]:
        some = payloads[at : at + size]
        inspection, of_live = recorded.inspect(some), live.inspect(some)
        assert not of_live.heads
        assert list(of_live.events) == list(inspection.events)
        found += moved(inspection.events, at)
        heads += inspection.heads
        at += len(some)
    assert found == list(whole.events)
    assert heads == list(whole.heads)
    tally = Tally(lambda: GenericInspector(description))
    tally.take(payloads, 0, 0)
    assert len(tally.gaps) == len(expected)
    for sid, sequence in tally.last_sessions(1)[0].sequences.items():
        numbers_of_sid = [head.seq for head in whole.heads if head.sid == sid and head.seq is not None]
        assert (sequence.first, sequence.last, sequence.messages) == (
            numbers_of_sid[0], numbers_of_sid[-1], len(numbers_of_sid)
        )  # fmt: skip


@given(st.lists(st.binary(max_size=40) | MESSAGES.map(lambda some: json.dumps(some).encode()), max_size=5))
def test_no_bytes_raise(payloads):
    rules = [rule(kind, *KINDS[kind], scope=scope, restart_when=RESET) for kind in KINDS for scope in SCOPES]
    for description in (EMPTY, described(*rules)):
        for live in (False, True):
            GenericInspector(description, live=live).inspect(payloads)


def test_a_file_that_begins_in_the_middle_has_the_same_sids_and_gaps():
    description = described(rule(COUNTER, "n", scope="market"))
    payloads = encode(*({"data": {"s": market}, "n": number} for number in (0, 1, 3, 4, 7) for market in ("A", "B")))
    whole = GenericInspector(description).inspect(payloads)
    inspector = GenericInspector(description)
    rest = inspector.inspect(payloads[4:])
    assert rest.heads == whole.heads[4:]
    assert moved(rest.events, 4) == [gap for gap in moved(whole.events, 0) if gap.place > 5]
    assert sorted(inspector.sequence_name(sid) for sid in {head.sid for head in rest.heads}) == ["A", "B"]
    assert all(0 < head.sid < 2**53 for head in rest.heads)


def test_a_gap_names_its_scope_and_says_whether_it_is_counted():
    messages = encode({"data": {"s": "A"}, "n": 1, "first": 1}, {"data": {"s": "A"}, "n": 9, "first": 5})
    (counted,) = GenericInspector(described(rule(COUNTER, "n", scope="market"))).inspect(messages).events
    (uncounted,) = GenericInspector(described(rule(RANGE, "first", "n", scope="market"))).inspect(messages).events
    assert (counted.name, counted.expected, counted.got, counted.missing) == ("A", 2, 9, 7)
    assert (uncounted.name, uncounted.expected, uncounted.got, uncounted.missing) == ("A", 2, 5, None)
    (of_all,) = GenericInspector(described(rule(COUNTER, "n"))).inspect(messages).events
    assert (of_all.sid, of_all.name) == (0, "")


def test_ranges_may_overlap():
    messages = [{"first": first, "n": last} for first, last in ((1, 5), (3, 6), (7, 7), (9, 9))]
    assert gaps_of(described(rule(RANGE, "first", "n")), *messages) == [(3, 8, 9, None)]


@pytest.mark.parametrize("before", [{}, {"before": None}, {"before": -1}, {"before": "-1"}])
def test_a_chain_begins_anew_where_nothing_is_before(before):
    messages = [{"n": 5, "before": 4}, {"n": 9} | before, {"n": 12, "before": 9}, {"n": 13, "before": 11}]
    assert gaps_of(described(rule(CHAIN, "before", "n")), *messages) == [(3, 12, 11, None)]


def test_a_chain_may_stand_still_and_go_back():
    messages = [{"n": 5, "before": 4}, {"n": 5, "before": 5}, {"n": 1, "before": 5}, {"n": 2, "before": 1}]
    assert gaps_of(described(rule(CHAIN, "before", "n")), *messages) == []


def test_the_first_sequence_whose_fields_a_message_has_counts():
    rules = [rule(RANGE, "data.U", "data.u", scope="market"), rule(COUNTER, "n", scope="market")]
    books = [{"data": {"s": "A", "U": number, "u": number + 1}, "n": 999} for number in (1, 3, 7)]
    trades = [{"data": {"s": "A"}, "n": number} for number in (50, 51, 53)]
    mixed = [message for pair in zip(books, trades, strict=True) for message in pair]
    assert gaps_of(described(*rules), *mixed) == [(4, 5, 7, None), (5, 52, 53, 1)]
    inspection = GenericInspector(described(*rules)).inspect(encode(*mixed))
    assert len({head.sid for head in inspection.heads}) == 2
    assert inspection.uneven
    assert {gap.name for gap in inspection.events} == {"A", "A (n)"}
    assert GenericInspector(described(*rules)).sequence == RANGE


def test_a_restart_without_a_number_counts_too():
    description = described(rule(COUNTER, "n", restart_when=RESET))
    assert gaps_of(description, {"n": 5}, {"type": "reset"}, {"n": 1}, {"n": 3}) == [(3, 2, 3, 1)]
    assert gaps_of(description, {"n": 5}, {"type": "reset", "n": 1}, {"n": 2}) == []


def test_a_whole_book_that_begins_a_range_needs_its_last_number_only():
    """As those of Gate.io, https://www.gate.com/docs/developers/apiv4/ws/en/#order-book-v2-api."""
    description = described(rule(RANGE, "first", "n", restart_when=RESET))
    whole = {"type": "reset", "n": 90}
    assert gaps_of(description, {"first": 5, "n": 7}, whole, {"first": 91, "n": 95}) == []
    assert gaps_of(description, {"first": 5, "n": 7}, whole, {"first": 92, "n": 95}) == [(2, 91, 92, None)]


def test_a_number_that_is_none_is_passed_over():
    messages = [{"n": 1}, {"n": True}, {"n": 2.0}, {"n": -1}, {"n": "two"}, {}, {"n": None}, {"n": "2"}, {"n": 3}]
    assert gaps_of(described(rule(COUNTER, "n")), *messages) == []


def test_the_first_number_may_be_0():
    tally = Tally(lambda: GenericInspector(described(rule(COUNTER, "n"))))
    tally.take(encode(*({"n": number} for number in range(5))), 0, 0)
    tally.take(encode(*({"n": number} for number in range(5, 8))), 5, 0)
    (sequence,) = tally.last_sessions(1)[0].sequences.values()
    assert (sequence.first, sequence.last, sequence.messages, sequence.gaps) == (0, 7, 8, 0)


def test_too_many_scopes_end_the_run_and_are_not_followed(monkeypatch):
    monkeypatch.setattr(follower, "MOST_SCOPES", 3)
    inspector = GenericInspector(described(rule(COUNTER, "n", scope="market")))
    messages = [{"data": {"s": market}, "n": number} for number in (1, 3) for market in "ABC"]
    inspection = inspector.inspect(encode(*messages))
    assert inspection.failure is None
    assert len(inspection.events) == 3
    inspection = inspector.inspect(encode({"data": {"s": "D"}, "n": 1}, {"data": {"s": "D"}, "n": 5}))
    assert isinstance(inspection.failure, Disconnected)
    assert "`scope`" in str(inspection.failure)
    assert not inspection.events
    assert [head.seq for head in inspection.heads] == [None, None]


def test_a_scope_of_any_length_takes_little_memory():
    description = described(rule(COUNTER, "n", scope="market"))
    assert gaps_of(description, {"data": {"s": "A" * 300}, "n": 1}, {"data": {"s": "A" * 300}, "n": 3}) == []
    assert len(gaps_of(description, {"data": {"s": "A" * 200}, "n": 1}, {"data": {"s": "A" * 200}, "n": 3})) == 1


def test_the_time_is_that_of_the_newest_message_that_has_one():
    inspector = GenericInspector(described())
    messages = encode({"ts": 1_764_240_930_123}, {"ts": "1764240931000"}, {})
    assert inspector.inspect(messages).exchange_ms == 1_764_240_931_000
    assert inspector.inspect(encode({"ts": "soon"}, {}, 5, [])).exchange_ms is None
    in_s = GenericInspector(described(time=pick("ts", format="s")))
    assert in_s.inspect(encode({"ts": 1_764_240_930.5})).exchange_ms == 1_764_240_930_500


def test_without_paths_nothing_is_known():
    inspector = GenericInspector(EMPTY)
    inspection = inspector.inspect([b'{"type":"a"}', b"[]"])
    assert inspection.decoded
    assert not inspection.heads
    assert not inspection.events
    assert inspector.sequence == ""
    assert not inspector.inspect([b"pong"]).decoded


def test_types_and_markets_of_recorded_messages():
    reader = GenericReader(described())
    payloads = [b'{"type":"a","data":{"s":"X"}}', b'{"data":[{"s":"Y"}]}', b"[]", b"null", b'{"type":7}']
    assert list(reader.read(payloads)) == [("a", "X"), ("", "Y"), ("", ""), ("", ""), ("7", "")]
    assert (reader.type_field, reader.market_field) == ("type", "data.s or data[0].s")
    with pytest.raises(ValueError, match="not JSON"):
        reader.read([*payloads, b"pong"])
    unknown = GenericReader(EMPTY)
    assert list(unknown.read(payloads)) == [("", "")] * 5
    assert (unknown.type_field, unknown.market_field) == ("", "")
    assert (list(reader.type_path), list(unknown.type_path)) == (["type"], [])
    with pytest.raises(ValueError, match="not JSON"):
        unknown.read([b"pong"])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pick("arg.channel"), ["arg", "channel"]),
        (pick("[0].type"), []),
        (pick("subject", "type"), []),
        (pick("topic", split=".", part=1), []),
        (pick("type", otherwise=pick("kind")), []),
    ],
)
def test_which_fields_lead_to_the_whole_type(found, expected):
    assert list(GenericReader(described(type=found)).type_path) == expected


def test_gaps_of_several_sequences_are_in_order():
    rules = [rule(COUNTER, "n"), rule(COUNTER, "first")]
    events = GenericInspector(described(*rules)).inspect(
        encode({"first": 1}, {"n": 1}, {"first": 5}, {"n": 5}, {"first": 7})
    ).events
    assert [event.place for event in events if isinstance(event, Gap)] == [2, 3, 4]


def test_a_sequence_may_be_of_some_messages_only():
    rules = [
        {"plus_one": "n", "scope": "connection", "when": {"type": "trade"}},
        {"plus_one": "n", "scope": "market", "when": {"type": {"prefix": "book"}}},
    ]
    paths = {"paths": {"type": "type", "market": "m", "sequence": rules}}
    assert list(problems_of(paths)) == []
    inspector = GenericInspector(parse(paths))

    def inspect(*messages):
        payloads = [b'{"type":"%s","n":%d,"m":"%s"}' % (t.encode(), n, m.encode()) for t, n, m in messages]
        return inspector.inspect(payloads)

    first = inspect(("trade", 1, "A"), ("book", 7, "A"), ("ticker", 50, "A"), ("trade", 2, "B"), ("books", 8, "A"))
    assert first.events == []
    assert [head.seq for head in first.heads] == [1, 7, None, 2, 8]
    assert [head.seq for head in inspect(("ticker", 51, "A")).heads] == [None]
    second = inspect(("ticker", 5, "A"), ("book", 10, "A"), ("trade", 5, "A"))
    assert [(gap.expected, gap.got, gap.place) for gap in second.events] == [(9, 10, 1), (3, 5, 2)]
    assert inspect(("trade", 6, "C")).events == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", [COUNTER, RANGE, CHAIN])
def test_loss_shows_after_the_first_number(kind, live):
    inspector = GenericInspector(described(rule(kind, "first", "last")), live=live)
    seen = [inspector.shows_loss]
    for message in ({"type": "subscribed"}, {"first": "x", "last": None}, {"first": 4, "last": 4}, {"other": 1}):
        inspector.inspect(encode(message))
        seen.append(inspector.shows_loss)
    assert (inspector.sequence, seen) == (kind, [False, False, False, True, True])
    assert GenericInspector(described(), live=live).shows_loss is False
