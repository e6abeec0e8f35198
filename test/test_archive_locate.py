"""Block sums: which line it is that a file departs at."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssmd.archive.locate import locate
from ssmd.archive.sums import BlockSums, checksums

LINES = [b'{"number":%d}\n' % number for number in range(2600)]
SUMS = BlockSums()
SUMS.take(LINES[:777])
SUMS.take(LINES[777:])
PAIRS = SUMS.pairs()

places = st.integers(0, len(LINES) - 1)


def found(lines: list[bytes]) -> list[tuple[str, int, int]]:
    return [damage[:3] for damage in locate(PAIRS, len(LINES), lines)]


def test_the_sums_are_those_of_every_version():
    """Else days sealed by another could not be proved. They are of CRC-32 of the lines without their newlines."""
    sums = BlockSums()
    sums.take([b"a\n", b"a\n", b"b\n"])
    a, b = 0xE8B7BE43, 0x71BEEFF9
    assert sums.pairs() == [(2 * a + b, 3 * a + 3 * b)]


def test_a_sound_file_has_nothing():
    assert found(LINES) == []


@settings(max_examples=400)
@given(places)
def test_one_changed_line(place):
    assert found([*LINES[:place], b"other\n", *LINES[place + 1 :]]) == [("changed", place + 1, place + 1)]


@settings(max_examples=400)
@given(places)
def test_one_missing_line(place):
    assert found(LINES[:place] + LINES[place + 1 :]) == [("missing", place + 1, place + 1)]


@settings(max_examples=400)
@given(places)
def test_one_doubled_line(place):
    [(kind, first, last)] = found(LINES[: place + 1] + LINES[place:])
    # Of the last line of a block the second one stands where the next block begins.
    assert (kind, first, last) in [("doubled", place + 2, place + 2), ("extra", place + 2, place + 2)]
    assert kind == "doubled" or (place + 1) % 1000 == 0 or place + 1 == len(LINES)


def pairs_with_the_effect_of(lines: list[bytes], one: int, other: int) -> int:
    """How many pairs of lines, swapped, would change a block's sums as these two do."""
    marks = checksums(lines)
    effect = (other - one) * (marks[other] - marks[one])
    return sum(
        (later - sooner) * (marks[later] - marks[sooner]) == effect
        for sooner in range(len(marks))
        for later in range(sooner + 1, len(marks))
    )


@settings(max_examples=60)
@example(546, 587)
@given(places, places)
def test_two_swapped_lines(one, other):
    one, other = sorted((one, other))
    if one == other:
        return
    lines = list(LINES)
    lines[one], lines[other] = lines[other], lines[one]
    if one // 1000 == other // 1000:
        first = one // 1000 * 1000
        # One in ten thousand times the sums fit another pair as well; then the block is told, and no wrong line.
        certain = pairs_with_the_effect_of(lines[first : first + 1000], one - first, other - first) == 1
        damages = found(lines)
        assert damages == [("swapped", one + 1, other + 1)] if certain else damages[0][0] == "damaged"
    else:
        assert found(lines) == [("changed", one + 1, one + 1), ("changed", other + 1, other + 1)]


@settings(max_examples=400)
@given(places, st.integers(2, 150))
def test_several_missing_lines_are_found_within_their_block_and_do_not_hide_what_follows(place, count):
    place = min(place, 990 if place < 1000 else 1990 if place < 2000 else len(LINES))
    count = min(count, 1000 - place % 1000, len(LINES) - place)
    lines = LINES[:place] + LINES[place + count :]
    damages = found(lines)
    assert damages
    assert all(first // 1000 == place // 1000 or kind == "missing" for kind, first, _ in damages)
    if place < 1000:
        lines[2200] = b"other\n"
        assert found(lines)[-1] == ("changed", 2201, 2201)


def test_lines_too_many_at_the_end_and_too_few():
    assert found([*LINES, b"x\n", b"y\n"]) == [("extra", 2601, 2602)]
    assert found(LINES[:2500]) == [("missing", 2501, 2600)]
    assert found([])[0] == ("missing", 1, 1000)
