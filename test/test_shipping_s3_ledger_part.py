"""The part of a ledger that goes with a segment depends on the lines alone."""

import pytest

from ssmd.shipping.s3.ledger_part import LedgerPart
from ssmd.store.ledger import CONNECTED, DISCONNECTED, MARK, STARTED, STOPPED, Entry, encode_entry

PLACES = [(STARTED, 0), (CONNECTED, 0), (MARK, 100), (DISCONNECTED, 100), (CONNECTED, 250), (STOPPED, 300)]
LINES = [encode_entry(Entry(10**18, event, offset, offset // 10, {})) for event, offset in PLACES]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.ledger.jsonl"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([300], [LINES[:5]]),
        ([100, 300], [LINES[:2], LINES[2:5]]),
        ([1, 100, 101, 300], [LINES[:2], [], LINES[2:4], LINES[4:5]]),
        ([301], [LINES]),
    ],
)
def test_an_entry_goes_with_the_lines_before_whose_end_its_place_is(path, ends, expected):
    part = LedgerPart(path)
    found = []
    for end in ends:
        at, lines = part.before(end)
        found.append(lines)
        part.at = at
    assert found == [b"".join(lines) for lines in expected]


def test_who_begins_anew_finds_the_same_part(path):
    part = LedgerPart(path)
    part.take(100)
    assert part.before(300)[1] == b"".join(LINES[2:5])
    assert part.rest() == b"".join(LINES[2:])


def test_half_a_line_and_entries_that_come_later_are_left_for_the_next_time(path):
    path.write_bytes(b"".join(LINES[:2]) + LINES[2][:20])
    part = LedgerPart(path)
    assert part.before(100)[1] == b"".join(LINES[:2])
    path.write_bytes(b"".join(LINES))
    assert part.before(100)[1] == b"".join(LINES[:2])


def test_a_damaged_line_goes_with_those_before_it(path):
    path.write_bytes(LINES[0] + b"damaged\n" + LINES[4])
    assert LedgerPart(path).before(250)[1] == LINES[0] + b"damaged\n"


def test_a_ledger_that_is_not_there_has_no_entries(tmp_path):
    assert LedgerPart(tmp_path / "no.ledger.jsonl").before(100) == (0, b"")
