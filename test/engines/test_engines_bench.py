"""bin/bench --ship, with small numbers: what it measures is whole, and it says what was lost."""

import math

import pytest
from bench import ship
from bench.measure import Bench


@pytest.fixture
def bench(tmp_path):
    with Bench(tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("kind", ship.ENGINES)
def test_a_consumer_gets_every_message_of_a_collector_that_is_measured(bench, kind):
    run = ship.while_collecting(bench, kind, 200, 2)
    assert not run.result.fault
    assert run.consumer["messages"] == run.result.messages > 0
    assert 0 < run.consumer["p50"] <= run.consumer["p99"]
    # The relay is a child of the collector.
    assert 0 < run.result.own_percent < run.result.cpu_percent


def test_without_an_engine_there_is_no_consumer(bench):
    run = ship.while_collecting(bench, "", 200, 0.5)
    assert run.consumer == {}
    assert not math.isnan(run.result.latency_ms[1])


@pytest.mark.parametrize("kind", ship.ENGINES)
def test_a_day_is_shipped_and_sent_by_the_bare_library(bench, kind):
    shipped, bare = ship.catch_up(kind, bench.scratch, ship.make_day(bench.scratch, 3000), 3000)
    assert shipped.rate > 0
    assert shipped.memory_mb > 0
    assert bare.rate > 0
    assert bare.cpu_us > 0


def test_a_relay_that_fails_is_an_error(bench):
    day = ship.make_day(bench.scratch, 10)
    with ship.engine_of("nats", bench.scratch) as engine:
        engine.kill()
        with pytest.raises(RuntimeError, match="has ended with 69"):
            ship.ship(engine, bench.scratch, day, 10)
