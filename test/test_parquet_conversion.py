"""Lines are converted in pieces of a limited size, however large the messages are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmd.parquet.conversion import Rows


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 10), st.integers(1, 40))
def test_pieces_are_all_rows_in_order_and_none_is_too_large(sizes, most_lines, most_bytes):
    """A line that alone has more bytes is a piece of its own."""
    numbers = list(range(len(sizes)))
    rows = Rows([b"x" * size for size in sizes], numbers, numbers, list(map(str, numbers)))
    found = list(rows.pieces(most_lines, most_bytes))
    together = Rows([], [], [], [])
    for piece in found:
        together.extend(piece)
        assert 1 <= len(piece.lines) <= most_lines
        assert len(piece.lines) == 1 or sum(map(len, piece.lines)) <= most_bytes
    assert together == rows
