"""What a day's messages say of themselves, counted in stretches, is what one gets counting one by one."""

from __future__ import annotations

import itertools
from collections import Counter
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from ssmd.exchange.generic import Generic
from ssmd.exchange.kalshi import Kalshi
from ssmd.proof import tally as tally_module
from ssmd.proof.tally import Tally

# A sid, and how its number follows the one before: mostly by one, sometimes not; None has no number.
steps = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1] * 12 + [None, None, 3, 0, -2])), max_size=60)


@given(steps, st.lists(st.integers(1, 20), min_size=1, max_size=10))
def test_numbers_are_counted_alike_in_any_stretches(steps, sizes):
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
def test_the_types_that_are_counted_by_name_are_the_first_in_any_stretches(names, size):
    payloads = [b'{"type":"%b"}' % name.encode() for name in names]
    tally = Tally(Generic.inspector)
    with mock.patch.object(tally_module, "_MOST_TYPES", 3):
        for before in range(0, len(payloads), size):
            tally.take(payloads[before : before + size], before, 0)
    known = list(dict.fromkeys(names))[:3]
    assert tally.types == Counter(name if name in known else "(others)" for name in names)
