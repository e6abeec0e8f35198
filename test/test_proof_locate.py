"""The lines where a file differs from its block sums are found, and all explanations that fit."""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ssmd.proof.locate import MOST_CANDIDATES, locate
from ssmd.store.sums import BlockSums, checksums

LINES = [b'{"number":%d}\n' % number for number in range(2600)]
SUMS = BlockSums()
SUMS.take(LINES[:777])
SUMS.take(LINES[777:])
PAIRS = SUMS.pairs()

places = st.integers(0, len(LINES) - 1)


def found(lines: list[bytes]) -> list[tuple[str, int, int]]:
    return [damage[:3] for damage in locate(PAIRS, len(LINES), lines)]


def test_a_sound_file_has_no_damage():
    assert found(LINES) == []


@settings(max_examples=400)
@given(places)
def test_one_changed_line_is_found(place):
    assert found([*LINES[:place], b"other\n", *LINES[place + 1 :]]) == [("changed", place + 1, place + 1)]


@settings(max_examples=400)
@given(places)
def test_one_missing_line_is_found(place):
    assert found(LINES[:place] + LINES[place + 1 :]) == [("missing", place + 1, place + 1)]


@settings(max_examples=400)
@given(places)
def test_one_doubled_line_is_found(place):
    [(kind, first, last)] = found(LINES[: place + 1] + LINES[place:])
    # The copy of a block's last line is where the next block begins.
    assert (kind, first, last) in [("doubled", place + 2, place + 2), ("extra", place + 2, place + 2)]
    assert kind == "doubled" or (place + 1) % 1000 == 0 or place + 1 == len(LINES)


def pairs_with_the_effect_of(lines: list[bytes], one: int, other: int) -> list[tuple[int, int]]:
    """Return the pairs of lines, numbered from 1, whose swap changes a block's sums as that of these two does."""
    marks = checksums(lines)
    effect = (other - one) * (marks[other] - marks[one])
    return [
        (sooner + 1, later + 1)
        for sooner in range(len(marks))
        for later in range(sooner + 1, len(marks))
        if (later - sooner) * (marks[later] - marks[sooner]) == effect
    ]


@settings(max_examples=60)
@example(546, 587)
@given(places, places)
def test_two_swapped_lines_are_found(one, other):
    one, other = sorted((one, other))
    if one == other:
        return
    lines = list(LINES)
    lines[one], lines[other] = lines[other], lines[one]
    if one // 1000 == other // 1000:
        first = one // 1000 * 1000
        # About once in a hundred times the sums fit another pair as well. Then each pair is named.
        pairs = pairs_with_the_effect_of(lines[first : first + 1000], one - first, other - first)
        (place, behind), *others = [(first + sooner, first + later) for sooner, later in pairs]
        [damage] = locate(PAIRS, len(LINES), lines)
        assert damage == ("swapped", place, behind, lines[place - 1], tuple(others))
    else:
        assert found(lines) == [("changed", one + 1, one + 1), ("changed", other + 1, other + 1)]


def sums_of_lines(lines: list[bytes]) -> list[tuple[int, int]]:
    sums = BlockSums()
    sums.take(lines)
    return sums.pairs()


def undone(damaged: list[bytes], sound: list[bytes], kind: str, first: int, last: int) -> bool:
    """Return whether undoing the damage that was found gives the lines that were sealed."""
    lines = list(damaged)
    if kind == "swapped":
        lines[first - 1], lines[last - 1] = lines[last - 1], lines[first - 1]
    elif kind == "changed":
        lines[first - 1] = sound[first - 1]
    elif kind == "missing":
        lines[first - 1 : first - 1] = sound[first - 1 : last]
    else:
        del lines[first - 1 : last]
    return lines == sound


@settings(max_examples=300)
@given(
    count=st.sampled_from([1, 2, 7, 999, 1000, 1001, 2500]),
    variety=st.sampled_from([1, 2, 3, 10, 100, 3000]),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["missing", "twice", "places", "neighbours", "changed"]),
)
def test_one_damage_is_found_or_is_among_the_candidates_even_when_lines_are_equal(count, variety, seed, kind):
    """The sums fit more than one explanation where lines are equal."""
    choose = random.Random(seed)
    sound = [b"%d\n" % choose.randrange(variety) for _ in range(count)]
    damaged = list(sound)
    place = choose.randrange(count)
    if kind == "missing":
        del damaged[place]
    elif kind == "twice":
        damaged.insert(place, damaged[place])
    elif kind == "changed":
        damaged[place] = b"other\n"
    else:
        other = choose.randrange(count) if kind == "places" else min(place + 1, count - 1)
        damaged[place], damaged[other] = damaged[other], damaged[place]
    damages = list(locate(sums_of_lines(sound), count, damaged))
    if damaged == sound:
        assert damages == []
    elif len(damages) == 1 and damages[0].kind == "reordered":
        block = (damages[0].first - 1) // 1000 * 1000
        fitting = pairs_with_the_effect_of(damaged[block : block + 1000], place - block, other - block)
        assert len(fitting) > MOST_CANDIDATES
    elif kind in ("places", "neighbours") and place // 1000 != other // 1000:
        assert [damage[:3] for damage in damages] == [("changed", at, at) for at in sorted((place + 1, other + 1))]
    else:
        [damage] = damages
        candidates = [damage[1:3], *damage.others]
        assert len(candidates) <= MOST_CANDIDATES
        assert any(undone(damaged, sound, damage.kind, *candidate) for candidate in candidates)


BETWEEN, LOWER, HIGHER = b"227\n", b"202\n", b"248\n"


def test_a_missing_line_that_fits_in_several_places_is_found_with_all_of_them():
    """A line whose checksum is the mean of those of the next two lines may have been after them as well."""
    between, lower, higher = checksums([BETWEEN, LOWER, HIGHER])
    assert 2 * between == lower + higher
    for repeated in (1, 9, 10):
        damaged = [*LINES[:1500], *[LOWER, HIGHER] * repeated, *LINES[1500:1600]]
        sound = [*damaged[:1500], BETWEEN, *damaged[1500:]]
        [damage] = locate(sums_of_lines(sound), len(sound), damaged)
        if repeated < MOST_CANDIDATES:
            others = tuple((1501 + 2 * index,) * 2 for index in range(1, repeated + 1))
            assert damage == ("missing", 1501, 1501, LOWER, others)
        else:
            assert damage[:3] == ("damaged", 1001, len(damaged))


@pytest.mark.parametrize("pairs", [1, 2, 10, 11])
def test_up_to_ten_pairs_that_may_have_been_swapped_are_named(pairs):
    """After a swap each pair of the same two lines in the same order, at the same distance, fits the sums."""
    damaged = list(LINES)
    for index in range(pairs):
        damaged[1100 + 7 * index : 1102 + 7 * index] = [b"other\n", b"one\n"]
    sound = list(damaged)
    sound[1100:1102] = [b"one\n", b"other\n"]
    [damage] = locate(sums_of_lines(sound), len(sound), damaged)
    if pairs <= MOST_CANDIDATES:
        first, *others = [(1101 + 7 * index, 1102 + 7 * index) for index in range(pairs)]
        assert damage == ("swapped", *first, b"other\n", tuple(others))
    else:
        assert damage[:3] == ("reordered", 1001, 2000)


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


def test_lines_that_were_added_or_removed_at_the_end_are_found():
    assert found([*LINES, b"x\n", b"y\n"]) == [("extra", 2601, 2602)]
    assert found(LINES[:2500]) == [("missing", 2501, 2600)]
    assert found([])[0] == ("missing", 1, 1000)
