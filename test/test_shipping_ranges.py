"""Sets of lines, kept as ranges."""

from hypothesis import given
from hypothesis import strategies as st

from ssmd.shipping.ranges import LineRanges

LINES = st.tuples(st.sampled_from(["2026-01-31", "2026-02-01"]), st.integers(1, 12))


@given(added=st.sets(LINES), removed=st.lists(LINES))
def test_it_holds_what_a_set_holds(added, removed):
    ranges, plain = LineRanges(), set(added)
    for key in sorted(added):
        ranges.add(*key)
    for key in removed:
        assert (key in ranges) == (key in plain)
        assert ranges.discard(*key) == (key in plain)
        plain.discard(key)
    found = [(day, line) for day, first, last in ranges for line in range(first, last + 1)]
    assert found == sorted(plain)
    assert len(ranges) == len(plain)


def test_lines_in_a_row_are_one_range():
    ranges = LineRanges()
    for line in range(1, 1_000):
        ranges.add("2026-01-31", line)
    assert list(ranges) == [("2026-01-31", 1, 999)]
