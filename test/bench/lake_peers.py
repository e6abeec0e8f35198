"""The other ways from JSONL to Parquet, each as a process: `python -m bench.lake_peers <name> <jsonl> <parquet>`.

With a fourth argument, a file, the Parquet is turned back into JSONL there, as well as the library does that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

__all__ = ["PEERS"]


def _duckdb(source: str, target: str) -> None:
    import duckdb

    lines = f"read_json('{source}', format = 'newline_delimited')"
    duckdb.sql(f"COPY (FROM {lines}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _duckdb_back(source: str, target: str) -> None:
    import duckdb

    duckdb.sql(f"COPY (FROM read_parquet('{source}')) TO '{target}' (FORMAT json)")


def _polars(source: str, target: str) -> None:
    import polars

    polars.scan_ndjson(source, infer_schema_length=None).sink_parquet(target, compression="zstd")


def _polars_back(source: str, target: str) -> None:
    import polars

    polars.scan_parquet(source).sink_ndjson(target)


def _pyarrow(source: str, target: str) -> None:
    import pyarrow.json
    import pyarrow.parquet

    # With its usual size of a block it refuses longer lines.
    options = pyarrow.json.ReadOptions(block_size=16 * 1024 * 1024)
    pyarrow.parquet.write_table(pyarrow.json.read_json(source, options), target, compression="zstd")


def _pyarrow_back(source: str, target: str) -> None:
    import pyarrow.parquet

    with open(target, "w") as file:
        for batch in pyarrow.parquet.ParquetFile(source).iter_batches():
            file.writelines(json.dumps(row, separators=(",", ":"), default=str) + "\n" for row in batch.to_pylist())


PEERS: dict[str, tuple[Callable[[str, str], None], Callable[[str, str], None]]] = {
    "DuckDB, COPY": (_duckdb, _duckdb_back),
    "polars": (_polars, _polars_back),
    "pyarrow.json": (_pyarrow, _pyarrow_back),
}
"""By name: what makes Parquet, and what makes JSONL of it again."""

if __name__ == "__main__":
    there, back = PEERS[sys.argv[1]]
    if len(sys.argv) == 4:
        there(*sys.argv[2:])
    else:
        back(*sys.argv[3:])
