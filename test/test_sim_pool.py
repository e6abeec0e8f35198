"""Pools of markets: what is in them, and what can be chosen."""

from __future__ import annotations

from random import Random

from ssmd.sim.pool import Pool


def test_only_what_is_open_can_be_chosen() -> None:
    pool = Pool()
    pool.add("A", is_open=True)
    pool.add("B", is_open=False)
    assert (list(pool), pool.open, len(pool), "B" in pool, "C" in pool) == (["A", "B"], ["A"], 2, True, False)
    pool.opened("B")
    pool.opened("B")
    pool.opened("C")
    pool.closed("A")
    pool.closed("A")
    pool.closed("C")
    assert (list(pool), pool.open) == (["A", "B"], ["B"])
    pool.remove("B")
    pool.remove("C")
    assert (list(pool), pool.open) == (["A"], [])


def test_it_agrees_with_two_sets_whatever_happens() -> None:
    rng, pool = Random(5), Pool()
    names: set[str] = set()
    opened: set[str] = set()
    for _ in range(20_000):
        name = str(rng.randrange(50))
        match rng.randrange(4):
            case 0 if name not in names:
                is_open = rng.random() < 0.5
                pool.add(name, is_open=is_open)
                names.add(name)
                opened |= {name} if is_open else set()
            case 1:
                pool.remove(name)
                names.discard(name)
                opened.discard(name)
            case 2:
                pool.opened(name)
                opened |= {name} & names
            case 3:
                pool.closed(name)
                opened.discard(name)
        assert (set(pool), set(pool.open), len(pool.open)) == (names, opened, len(opened))
