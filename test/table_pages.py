"""Writes what docs/tables.md says of the tables that dialects declare; all taken from the declarations.

Usage: python test/table_pages.py [--write]

Prints it. With --write it replaces what is between the marks in docs/tables.md.
"""

import sys
from collections.abc import Iterator

from house import ROOT

from ssmd.contracts.table import Column, Table
from ssmd.exchange.kalshi.tables import TABLES
from ssmd.parquet.kinds import kind_of

PAGE = ROOT / "docs" / "tables.md"
BEGIN, END = "<!-- tables: made by test/table_pages.py -->", "<!-- end of tables -->"

SQL = {"int64": "BIGINT", "string": "VARCHAR", "bool": "BOOLEAN"}
SQL |= {"timestamp[us, tz=UTC]": "TIMESTAMPTZ", "timestamp[ms, tz=UTC]": "TIMESTAMPTZ"}


def pages() -> str:
    return "\n".join(line for table in TABLES for line in page(table))


def page(table: Table) -> Iterator[str]:
    yield from (f"### `{table.type}`", "", f"{table.meaning[0].upper()}{table.meaning[1:]}.", "")
    yield from ("| column | type | field | meaning |", "|---|---|---|---|")
    for column in table.columns:
        yield from rows(column)
    yield ""


def rows(column: Column) -> Iterator[str]:
    first, *others = kind_of(column).fields()
    yield f"| `{first.name}` | {sql(str(first.type))} | `{'.'.join(column.path)}` | {column.meaning} |"
    for other in others:
        yield f"| `{other.name}` | {sql(str(other.type))} | `{'.'.join(column.path)}` | the same, as a time |"


def sql(arrow: str) -> str:
    """Return the name that DuckDB has for a type of Arrow."""
    if arrow.startswith("list"):
        inner = arrow[arrow.index("<", 5) + 1 : arrow.rindex(">>")]
        fields = inner.replace("decimal128", "DECIMAL").replace(", ", ",").replace("),", "), ")
        return f"STRUCT({fields.replace(': ', ' ')})[]"
    return SQL.get(arrow) or arrow.replace("decimal128(", "DECIMAL(").replace(", ", ",")


def write() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{pages()}\n{END}{after}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    else:
        print(pages())
