"""The sides of order books, [["0.4800","275.00"],...], as lists of structs of two exact decimals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ssmd.contracts.table import Column
from ssmd.parquet import decimals

__all__ = ["decimals_in", "from_lists", "to_text", "type_of"]

PRICE, SIZE = "price", "size"


def type_of(column: Column) -> pa.DataType:
    fields = zip((PRICE, SIZE), column.decimals, strict=True)
    return pa.list_(pa.struct([(name, pa.decimal128(column.digits, count)) for name, count in fields]))


def from_lists(values: Sequence[list[tuple[str, str]] | None], type: pa.DataType) -> pa.Array:
    """Return the array of decoded lists. A price or a size that is no number is NULL."""
    sizes = [0 if levels is None else len(levels) for levels in values]
    texts = list(itertools.chain.from_iterable(itertools.chain.from_iterable(filter(None, values))))
    struct: pa.StructType = type.value_type
    columns = [
        decimals.from_text(_texts(texts[place::2]), struct.field(place).type) for place in range(struct.num_fields)
    ]
    items = pa.StructArray.from_arrays(columns, fields=list(struct))
    return _listed(sizes, [levels is None for levels in values], items)


def to_text(array: pa.Array, counts: Sequence[int]) -> pa.Array:
    """Return the JSON text of each list, its prices and sizes with so many decimals."""
    levels = array.flatten()
    prices, sizes = (decimals.to_text(levels.field(place), count) for place, count in enumerate(counts))
    texts = pc.binary_join_element_wise('["', prices, '","', sizes, '"]', "")
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_pylist()
    joined = pc.binary_join(_listed(lengths, pc.is_null(array).to_pylist(), texts), ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _listed(sizes: Sequence[int], missing: Sequence[bool], items: pa.Array) -> pa.Array:
    offsets = pa.array(itertools.accumulate(sizes, initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, items, mask=pa.array(missing, pa.bool_()))


def _texts(texts: list[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        return pa.array([text if text.isascii() else None for text in texts], pa.string())


def decimals_in(span: str, usual: Sequence[int]) -> Iterator[list[Any]]:
    """Yield with how many decimals the prices and sizes of a JSON text may be written, the likeliest first."""
    parts = span.strip("[]").split("]")[0].split(",")
    if len(parts) != len((PRICE, SIZE)):
        yield list(usual or (decimals.TRIM, decimals.TRIM))
        return
    for price in decimals.decimals_in(parts[0], usual[:1]):
        for size in decimals.decimals_in(parts[1], usual[1:]):
            yield [price, size]
