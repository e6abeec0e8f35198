"""Tables are learned from messages: the union of their fields, each of a kind that holds all of its values."""

import decimal
import json

import pyarrow.parquet as pq
import pytest

from ssmd.contracts.table import BOOLEAN, DECIMAL, INTEGER, JSON, LEVELS, NUMBER, TEXT, TIME
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.parquet import form
from ssmd.parquet.lines import lines_in
from ssmd.parquet.writer import PartsWriter
from ssmd.store.line import LineEncoder
from ssmd.tables.learned import Learner

READER = Generic().described({"paths": {"type": "type"}}).reader()


def lines_of(texts):
    encoder = LineEncoder("some")
    return [encoder.encode(1_786_410_915_000_000_000, [text.encode()]) for text in texts]


def columns_of(*texts):
    """Return the kind and the decimals of each column that is learned from messages."""
    learner = Learner(READER)
    learner.add(b"".join(lines_of(texts)))
    [table] = learner.tables()
    return {column.name: (column.kind, *column.decimals) for column in table.columns}


def table_of(tmp_path, texts, seen=None):
    """Write messages with the tables that are learned from the first of them; return the table after reading back."""
    learner = Learner(READER)
    learner.add(b"".join(lines_of(texts[:seen])))
    writer = PartsWriter(tmp_path / "day", learner.tables(), READER, form.Facts("some"))
    lines = b"".join(lines_of(texts))
    writer.add(lines, "one")
    writer.close()
    assert b"".join(lines_in(tmp_path / "day")) == lines
    return pq.ParquetFile(tmp_path / "day" / "type=a" / form.PART).read()


def test_fields_are_united():
    assert columns_of('{"type":"a","x":1}', '{"type":"a","y":true,"z":{"u":"w","v":null}}') == {
        "type": (TEXT,),
        "x": (INTEGER,),
        "y": (BOOLEAN,),
        "z_u": (TEXT,),
    }


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2"], (INTEGER,)),
        (["1", "2.50"], (NUMBER, 2)),
        (["0.1234567890123456", "12"], (NUMBER, 16)),
        (["1", "9223372036854775808"], (NUMBER, 0)),
        (["1", '"one"'], (JSON,)),
        (["1e-7", "1"], (JSON,)),
        (["1" * 39], (JSON,)),
        (['"0.10"', '"250"'], (DECIMAL, 2)),
        (['"007"', '"008"'], (TEXT,)),
        (['"0.10"', '"NaN"'], (TEXT,)),
        (['"2026-08-11T01:15:15.5Z"'], (TIME,)),
        (['"2026-08-11T01:15:15.5Z"', '""'], (TEXT,)),
        (['[["0.1","2"]]', "[]"], (LEVELS, 1, 0)),
        (['[["0.1","2","3"]]', "[]"], (JSON,)),
        (["{}", "1"], (JSON,)),
        (["null"], None),
    ],
)
def test_a_column_is_of_a_kind_that_holds_all_values(values, kind):
    columns = columns_of(*(f'{{"type":"a","x":{value}}}' for value in values))
    assert columns.get("x") == kind


def test_what_was_seen_is_recorded():
    learner = Learner(READER)
    learner.add(b"".join(lines_of(['{"type":"a","x":1}', '{"type":"a","x":1.5}'])))
    assert learner.tables()[0].columns[1].meaning == "was seen as: integer, number"


def test_names_are_unique_without_regard_to_case():
    assert list(columns_of('{"type":"a","e":1,"E":2,"line":3,"x_y":4,"x":{"y":5}}')) == [
        "type",
        "e",
        "E_2",
        "line_2",
        "x_y",
        "x_y_2",
    ]


def test_an_object_with_many_keys_is_one_column():
    markets = json.dumps({f"market{number}": number for number in range(100)})
    assert columns_of(f'{{"type":"a","prices":{markets}}}')["prices"] == (JSON,)


def test_numbers_are_exact(tmp_path):
    table = table_of(tmp_path, ['{"type":"a","x":0.1}', '{"type":"a","x":12345678901.123456789}'])
    assert table["x"].to_pylist() == [decimal.Decimal("0.1"), decimal.Decimal("12345678901.123456789")]
    assert table["raw"].null_count == 2


def test_a_field_that_was_not_seen_is_in_the_raw_bytes(tmp_path):
    texts = ['{"type":"a","x":1}', '{"type":"a","x":2,"new":5}', '{"type":"a","x":3,"new":6}']
    table = table_of(tmp_path, texts, seen=1)
    assert table["x"].to_pylist() == [1, 2, 3]


def test_messages_without_a_type_have_a_table(tmp_path):
    lines = b"".join(lines_of(['[1,{"a":["0.1"]},"book"]', "12", '"text"', '{"type":"a"}']))
    learner = Learner(READER)
    learner.add(lines)
    writer = PartsWriter(tmp_path / "day", learner.tables(), READER, form.Facts("some"))
    writer.add(lines, "one")
    writer.close()
    assert b"".join(lines_in(tmp_path / "day")) == lines
    table = pq.ParquetFile(tmp_path / "day" / "type=_" / form.PART).read()
    assert table["message"].to_pylist() == ['[1,{"a":["0.1"]},"book"]', "12", '"text"']


def test_nothing_is_learned_about_declared_tables():
    learner = Learner(Kalshi.reader(), Kalshi.tables())
    learner.add(b"".join(lines_of(['{"type":"trade","x":1}', '{"type":"news","x":1}'])))
    assert [table.type for table in learner.tables()] == [*(table.type for table in Kalshi.tables()), "news"]
