"""Lines that were written as Parquet come back byte for byte and in order."""

import itertools
import json

import duckdb
import pyarrow.parquet as pq
import pytest

from ssmd.errors import DataError
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.parquet import form
from ssmd.parquet.lines import lines_in
from ssmd.parquet.writer import PartsWriter
from ssmd.store.line import LineEncoder

DELTA = (
    '{"type":"orderbook_delta","sid":1,"seq":%d,"msg":{"market_ticker":"KXGOLD-30","market_id":"31185e50","price_dollars"'
    ':"0.4800","delta_fp":"-40.00","side":"no","ts":"2026-08-11T01:15:15.566273Z","ts_ms":1786410915566}}'
)
TRADE = '{"type":"trade","sid":2,"seq":%d,"msg":{"trade_id":"a","market_ticker":"KXGOLD-30","count_fp":"2.50"}}'
ODD = [
    '{"type":"trade","sid":2,"seq":3,"msg":{"count_fp":"2.5"}}',
    '{"type":"trade","sid":2,"seq":123456789012345678901234567890,"msg":{"count_fp":"2.50"}}',
    '{"type":"trade","sid":2,"sid":3,"msg":{"count_fp":"2.50","count_fp":2.50,"new":[1e400,-0,{}]}}',
    '{"type" : "trade", "sid":2 ,"msg":{"market_ticker":"a\\u0041\\/\\n\\"\\\\","is_block_trade":null}}',
    '{"msg":{"market_ticker":["a"]},"type":"trade"}',
    '{"type":"a new one"}',
    '{"type":"trade","msg":[]}',
    '{"type":"trade","msg":{"market_ticker":"\\ud800","yes_price_dollars":"NaN"}}',
    "[]",
    "not JSON",
    "",
]


def lines_of(messages, first_ns=1_786_410_915_000_000_000):
    encoder = LineEncoder("kalshi")
    return [encoder.encode(first_ns + place * 1_001_000, [text.encode()]) for place, text in enumerate(messages)]


def written(folder, lines, block=3, **facts):
    """Write lines in blocks of several; return the folder."""
    writer = PartsWriter(folder, Kalshi.tables(), Kalshi.reader(), form.Facts("kalshi", **facts))
    for start in range(0, len(lines), block):
        writer.add(b"".join(lines[start : start + block]), f"session {start % 2}")
    writer.close()
    return folder


def test_lines_come_back_in_order(tmp_path):
    numbers = itertools.count(1)
    lines = lines_of([text % next(numbers) for _ in range(500) for text in (DELTA, TRADE, DELTA)])
    folder = written(tmp_path / "day", lines)
    assert b"".join(lines_in(folder)) == b"".join(lines)
    assert sorted(path.name for path in folder.iterdir()) == ["type=orderbook_delta", "type=trade"]
    assert pq.read_table(folder / "type=trade" / form.PART, columns=["raw"])["raw"].null_count == 500


def test_odd_lines_come_back(tmp_path):
    no_such_month = b'{"ts":"2026-13-11T01:15:15.566273Z","feed":"x","data":1}\n'
    lines = [*lines_of(ODD), b'{"ts":"\n', b"\n", b"\xff\n", no_such_month]
    assert b"".join(lines_in(written(tmp_path / "day", lines))) == b"".join(lines)


def test_a_day_without_lines_is_whole(tmp_path):
    assert list(lines_in(written(tmp_path / "day", []))) == []


def test_a_missing_part_is_named(tmp_path):
    folder = written(tmp_path / "day", lines_of([DELTA % 1, TRADE % 2]))
    (folder / "type=trade" / form.PART).unlink()
    with pytest.raises(DataError, match=r"type=trade/part-0000.parquet: cannot be read: it is missing"):
        list(lines_in(folder))


def test_another_form_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(form, "FORM", 7)
    folder = written(tmp_path / "day", lines_of([DELTA % 1]))
    monkeypatch.undo()
    with pytest.raises(DataError, match=r"part-0000.parquet: is of form 7, which this ssmd does not read"):
        list(lines_in(folder))


def test_the_metadata_say_what_the_lines_are(tmp_path):
    folder = written(tmp_path / "day", lines_of([DELTA % 1, TRADE % 2, DELTA % 3]), sha256="abc", day="2026-08-11")
    entries = pq.read_metadata(folder / "type=orderbook_delta" / form.PART).metadata
    names = ("rows", "first_line", "last_line", "source")
    found = {name: json.loads(entries[f"ssmd.{name}".encode()]) for name in names}
    assert found == {
        "rows": 2,
        "first_line": 1,
        "last_line": 3,
        "source": {
            "feed": "kalshi",
            "day": "2026-08-11",
            "sha256": "abc",
            "first_line": 1,
            "lines": 3,
            "types": ["type=orderbook_delta", "type=trade"],
        },
    }


def test_a_query_for_one_market_passes_over_row_groups_without_it(tmp_path):
    folder = written(tmp_path / "day", lines_of([TRADE % 1, TRADE % 2]))
    file = folder / "type=trade" / form.PART
    query = f"SELECT path_in_schema FROM parquet_metadata('{file}') WHERE bloom_filter_offset IS NOT NULL"
    assert duckdb.sql(query).fetchall() == [("market_ticker",)]
    query = "SELECT bloom_filter_excludes FROM parquet_bloom_probe(?, 'market_ticker', ?)"
    for market, is_excluded in (("KXGOLD-30", False), ("KXGOLD-31", True)):
        assert duckdb.execute(query, [str(file), market]).fetchall() == [(is_excluded,)]


LARGE = {
    "many levels": ("orderbook_snapshot", "yes_dollars_fp", "[" + ",".join(['["0.4800","1.00"]'] * 50_000) + "]"),
    "long text": ("trade", "market_ticker", '"' + "x" * 3_000_000 + '"'),
    "deep lists": ("market_lifecycle_v2", "custom_strike", "[" * 900 + "]" * 900),
    "too deep": ("trade", "new", "[" * 100_000 + "]" * 100_000),
    "deep objects": ("trade", "new", '{"a":' * 900 + "1" + "}" * 900),
}


@pytest.mark.parametrize(("type", "field", "value"), LARGE.values(), ids=LARGE)
def test_large_and_deep_messages_come_back(tmp_path, type, field, value):
    message = f'{{"type":"{type}","msg":{{"{field}":{value}}}}}'
    [line] = lines_of([message])
    lines = [line, *lines_of([TRADE % 1]), line.replace(b'{"ts":', b'{"ts" :')]
    assert b"".join(lines_in(written(tmp_path / "day", lines))) == b"".join(lines)


def test_a_new_field_with_another_value_in_each_message_gives_few_layouts(tmp_path):
    numbers = itertools.count()
    new = '{"type":"trade","sid":2,"msg":{"trade_id":"a","market_ticker":"KXGOLD-30","new":%d}}'
    lines = lines_of([text % next(numbers) for _ in range(1000) for text in (TRADE, new)])
    folder = written(tmp_path / "day", lines, block=200)
    assert b"".join(lines_in(folder)) == b"".join(lines)
    table = pq.read_table(folder / "type=trade" / form.PART, columns=["market_ticker", "raw"])
    assert (table["market_ticker"].null_count, table["raw"].null_count) == (0, 1000)
    entries = pq.read_metadata(folder / "type=trade" / form.PART).metadata
    assert len(json.loads(entries[b"ssmd.layouts"])) == 1
