"""Block sums, as the manifest has them, come back as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.manifest import pack_sums, unpack_sums

numbers = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_block_sums_come_back(sums):
    assert unpack_sums(pack_sums(sums)) == sums
