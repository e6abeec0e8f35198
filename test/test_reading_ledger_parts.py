"""What a growing ledger says of the lines at each place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ssmd.errors import DataError
from ssmd.reading.ledger_parts import LedgerParts, Part
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.timestamps import day_begins, timestamp

BEGIN = day_begins("2025-12-22")
PATHS = {"paths": {"type": "x"}}
A: dict[str, Any] = {"exchange": "a", "description": PATHS}
B: dict[str, Any] = {"exchange": "b"}


def entry(second: int, event: str, offset: int, line: int = 0, **fields: object) -> bytes:
    return encode_entry(Entry(BEGIN + second * 10**9, event, offset, line, fields))


def session(second: int) -> str:
    return timestamp(BEGIN + second * 10**9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kalshi.ledger.jsonl"


@pytest.fixture
def parts(path: Path) -> LedgerParts:
    return LedgerParts(path)


def write(path: Path, *lines: bytes) -> None:
    with open(path, "ab") as file:
        file.writelines(lines)


def test_without_a_ledger_nothing_is_known(parts):
    parts.update()
    assert parts.at(0) == parts.at(10**9) == Part(0, "", "", {})
    assert parts.end(0) is None
    assert parts.place_before(10**9) == (0, 0)
    assert parts.last is None


def test_a_part_holds_up_to_the_next_one(parts, path):
    write(path, entry(0, "started", 0, **A), entry(1, "connected", 0), entry(9, "disconnected", 500, 5))
    write(path, entry(10, "connected", 500, 5))
    parts.update()
    first, second = Part(0, session(1), "a", PATHS), Part(500, session(10), "a", PATHS)
    assert [parts.at(offset) for offset in (0, 499, 500, 501)] == [first, first, second, second]
    assert [parts.end(offset) for offset in (0, 499, 500)] == [500, 500, None]
    write(path, entry(20, "started", 900, 9, **B), entry(21, "connected", 900, 9))
    parts.update()
    assert parts.end(500) == 900
    assert parts.at(900) == Part(900, session(21), "b", {})


def test_entries_about_lines_that_never_came_do_not_count(parts, path):
    write(path, entry(0, "started", 0, **A), entry(1, "connected", 0), entry(2, "connected", 300, 3))
    write(path, entry(3, "mark", 400, 4))
    parts.update()
    assert parts.at(350).session == session(2)
    write(path, entry(5, "lost", 200, 2), entry(5, "started", 200, 2, **B), entry(6, "connected", 200, 2))
    parts.update()
    assert parts.at(199) == Part(0, session(1), "a", PATHS)
    assert parts.at(350) == Part(200, session(6), "b", {})
    assert parts.place_before(450) == (200, 2)


def test_a_line_that_is_not_whole_is_read_when_it_is(parts, path):
    write(path, entry(0, "started", 0, **A), entry(1, "connected", 0)[:-1])
    parts.update()
    assert parts.at(0) == Part(0, "", "a", PATHS)
    write(path, b"\n")
    parts.update()
    assert parts.at(0).session == session(1)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_ledger_that_was_cut_or_replaced_is_read_anew(parts, path, replaced):
    write(path, entry(0, "started", 0, **A), entry(1, "connected", 0), entry(9, "connected", 90, 1))
    parts.update()
    if replaced:
        path.unlink()
    else:
        path.write_bytes(b"")
    write(path, entry(0, "started", 0, **B), entry(2, "connected", 0))
    parts.update()
    assert parts.at(100) == Part(0, session(2), "b", {})


def test_gaps_marks_and_damage_make_no_part(parts, path):
    write(path, entry(0, "started", 0, **A), entry(1, "connected", 0))
    write(path, *(entry(2, "gap", 10 * number, number, sid=1) for number in range(1, 9)))
    write(path, b"damage\n", entry(3, "mark", 200, 20), entry(4, "later_event", 300, 30))
    parts.update()
    assert parts.at(500) == Part(0, session(1), "a", PATHS)
    assert parts.place_before(199) == (0, 0)
    assert parts.place_before(200) == parts.place_before(999) == (200, 20)
    assert parts.last is not None
    assert parts.last.event == "later_event"


def test_a_connection_that_goes_on_over_midnight_is_one_of_the_day(parts, path):
    write(path, entry(0, "continued", 0, **A))
    parts.update()
    assert parts.at(0) == Part(0, session(0), "a", PATHS)


def test_what_was_imported_is_of_no_connection(parts, path):
    write(path, entry(0, "imported", 0, **A))
    parts.update()
    assert parts.at(0) == Part(0, "", "a", PATHS)


def test_a_ledger_that_cannot_be_read_is_an_error(parts, path):
    path.mkdir()
    with pytest.raises(DataError, match=f"{path}: cannot be read: Is a directory"):
        parts.update()
