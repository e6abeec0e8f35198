"""The entries of a ledger that count are kept, in order, however many gaps there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.ledger import FIRST_OF_A_RUN, OF_A_LINE, Entry
from ssmd.store.packed_entries import Entries, lost_behind

NS = 1_790_000_000_000_000_000

numbers = st.one_of(st.integers(-2, 3), st.just(2**63 - 1), st.just(2**63), st.just(2**70))

oddities = st.sampled_from([{}, {"sid": 1}, {"missing": True}, {"got": "x"}, {"more": 1}, {"name": 1}, {"name": ""}])
# Of ranges and chains.
uncounted = st.sampled_from([{"missing": None}, {"missing": None, "name": "KX-A"}, {"missing": None, "name": "KX-B"}])


@st.composite
def gap_fields(draw):
    fields = {name: draw(numbers) for name in ("sid", "expected", "got", "missing")}
    return fields | draw(st.one_of(st.just({}), oddities, uncounted))


def ledger_entries(event, offset, line, ts_ns, fields):
    return Entry(ts_ns, event, offset, line, fields)


events = st.sampled_from(["gap"] * 9 + ["response"] * 9 + ["subscribed", "started", "connected", "stopped"])
some_entries = st.lists(
    st.builds(ledger_entries, events, st.integers(0, 6), numbers, st.sampled_from([0, NS, 2**64]), gap_fields()),
    max_size=30,
)


@given(some_entries, st.booleans())
def test_entries_are_those_that_a_plain_list_would_keep(entries, in_order):
    if in_order:  # So that there are many gaps in a row.
        entries.sort(key=lambda entry: entry.offset)
    expected: list[Entry] = []
    for entry in entries:
        expected = [other for other in expected if other.offset <= entry.offset]
        if entry.event in FIRST_OF_A_RUN:
            expected = [other for other in expected if other.offset != entry.offset or other.event not in OF_A_LINE]
        expected.append(entry)
    found = Entries(entries)
    assert list(map(without_fields, found)) == list(map(without_fields, expected))
    assert len(found) == len(expected)
    assert [type(value) for entry in map(without_fields, found) for value in entry.fields.values()] == [
        type(value) for entry in map(without_fields, expected) for value in entry.fields.values()
    ]
    # An outline may leave out gaps between two other gaps, responses between two other responses, and nothing else.
    inner = [
        before.event == entry.event == after.event and entry.event in ("gap", "response")
        for before, entry, after in zip(expected, expected[1:], expected[2:], strict=False)
    ]
    needed = [entry for entry, left_out in zip(expected, [False, *inner, False], strict=False) if not left_out]
    outline = list(map(without_fields, found.outline()))
    assert is_within(list(map(without_fields, needed)), outline)
    assert is_within(outline, list(map(without_fields, expected)))


def without_fields(entry: Entry) -> Entry:
    """Return an entry without what may be left out of it."""
    return entry._replace(fields={}) if entry.event == "response" else entry


def is_within(some: list[Entry], more: list[Entry]) -> bool:
    """Return whether all of `some` are among `more`, in this order."""
    rest = iter(more)
    return all(entry in rest for entry in some)


def entries(*events: tuple[str, int]) -> list[Entry]:
    return [Entry(NS, event, offset, offset // 10, {}) for event, offset in events]


def test_entries_about_lines_that_never_reached_the_file_are_left_out():
    written = entries(("connected", 0), ("gap", 100), ("gap", 120), ("outage", 110), ("started", 110))
    assert list(Entries(written)) == entries(("connected", 0), ("gap", 100), ("outage", 110), ("started", 110))


def test_gaps_and_subscriptions_at_the_line_where_another_run_begins_are_left_out():
    written = entries(("connected", 0), ("subscribed", 50), ("mark", 50), ("gap", 50), ("started", 50), ("gap", 50))
    assert list(Entries(written)) == entries(("connected", 0), ("mark", 50), ("started", 50), ("gap", 50))


def test_only_the_end_of_a_run_or_of_a_day_proves_that_lines_are_lost():
    """A mark proves nothing: a power failure may keep it and take the lines before it."""
    written = entries(("started", 0), ("stopped", 70), ("mark", 90))
    assert lost_behind(written, 60) == written[1]
    assert lost_behind(written, 70) is None
    assert lost_behind(entries(("rotated", 70), ("stopped", 80)), 60) == Entry(NS, "stopped", 80, 8, {})
    assert lost_behind([], 0) is None


def test_gaps_of_markets_are_packed_even_when_nobody_knows_how_many_messages_are_missing():
    count = 10_000
    fields = ({"sid": place % 9, "expected": place, "got": place + 2, "missing": None} for place in range(count))
    gaps = [Entry(NS, "gap", place, place, {**one, "name": f"KX-{one['sid']}"}) for place, one in enumerate(fields)]
    found = Entries(gaps)
    assert list(found) == gaps
    assert len(found.outline()) == 2  # Those that are not packed.


def test_the_responses_of_a_feed_over_http_are_packed():
    fields = {"url": "https://host/markets", "status": 200, "etag": None, "seconds": 0.1}
    responses = [Entry(NS + place, "response", 10 * place, place, fields) for place in range(10_000)]
    found = Entries([*responses, *entries(("stopped", 100_000))])
    assert list(map(without_fields, found)) == [*map(without_fields, responses), *entries(("stopped", 100_000))]
    assert found.outline() == [responses[0], responses[-1], *entries(("stopped", 100_000))]
