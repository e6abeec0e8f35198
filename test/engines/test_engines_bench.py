"""bin/bench --ship and --lake, with small numbers: what they measure is whole, and they say what was lost."""

import math

import pytest
from bench import lake, lake_upload, ship
from bench.measure import Bench
from lake_queries import QUESTIONS


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


def test_an_export_an_upload_and_the_questions_are_measured(tmp_path, capsys):
    code = lake.main(tmp_path, 2, 1)
    tables = [
        [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")][2:]
        for part in capsys.readouterr().out.split("\n\n")
    ]
    exports, uploads, questions = filter(None, tables)
    assert [row[0] for row in exports] == [lake.OURS, *lake.PEERS]
    [ours, duckdb] = exports[:2]
    assert (ours[-1], duckdb[-1]) == ("yes", "no")
    assert [row[-1] for row in uploads[1:]] == ["2 MB", "2 MB"]
    assert uploads[0][-1] == "0 MB"  # It is compressed.
    assert all(row[1].isdigit() for row in (*exports[:2], *uploads))
    assert [row[0] for row in questions] == [question.lower() for question in QUESTIONS]
    assert all(float(cell) >= 0 for row in questions for cell in row[1:])
    assert code in (0, 1)
    assert not list(tmp_path.iterdir())


def test_an_upload_that_fails_is_an_error(tmp_path):
    lake.make_day(tmp_path / "data", 0.1)
    with pytest.raises(RuntimeError, match="ssmd ship has ended with 69"):
        lake_upload.ship(tmp_path, tmp_path / "data", "http://127.0.0.1:1", "down")
