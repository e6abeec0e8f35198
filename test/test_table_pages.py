"""docs/tables.md has every column of every declared table, and no other."""

import re

import pyarrow.parquet as pq
import pytest
from table_pages import BEGIN, END, PAGE, pages, sql
from test_docs import named, section, table

from ssmd.contracts.table import KINDS
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.tables import TABLES
from ssmd.parquet import form
from ssmd.parquet.conversion import Conversion
from ssmd.parquet.kinds import kind_of
from ssmd.parquet.writer import PartsWriter

TEXT = PAGE.read_text()


def test_the_page_shows_the_tables_as_they_are():
    shown = TEXT.partition(BEGIN)[2].partition(END)[0]
    assert shown == f"\n\n{pages()}\n", "renew it with `python test/table_pages.py --write`"


def test_the_page_has_the_columns_of_every_table():
    assert named(table(section(TEXT, "## Columns of every table"))) == set(form.RESERVED)
    assert Conversion(None, "").schema.names == list(form.RESERVED)


def test_the_page_has_every_key_of_the_metadata(tmp_path):
    writer = PartsWriter(tmp_path / "day", (), Kalshi.reader(), form.Facts("kalshi"))
    writer.add(b"a line\n", "one")
    writer.close()
    written = pq.read_metadata(tmp_path / "day" / form.folder_of(None) / form.PART).metadata
    keys = {key.decode() for key in written if key.startswith(form.PREFIX.encode())}
    assert named(table(section(TEXT, "## The metadata of a file"))) == keys


@pytest.mark.parametrize("declared", TABLES, ids=lambda declared: declared.type)
def test_a_table_is_sound(declared):
    names = [field.name for column in declared.columns for field in kind_of(column).fields()]
    assert len({name.lower() for name in names}) == len(names)
    assert not set(names) & set(form.RESERVED)
    assert len({column.path for column in declared.columns}) == len(declared.columns)
    for column in declared.columns:
        assert column.kind in KINDS
        assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
        assert len(column.usual) <= len(column.decimals)
        assert column.meaning


def test_types_occur_once():
    assert len({declared.type for declared in TABLES}) == len(TABLES)


def test_types_are_shown_as_duckdb_has_them():
    assert sql("decimal128(18, 6)") == "DECIMAL(18,6)"
    levels = "list<item: struct<price: decimal128(18, 6), size: decimal128(18, 2)>>"
    assert sql(levels) == "STRUCT(price DECIMAL(18,6), size DECIMAL(18,2))[]"
