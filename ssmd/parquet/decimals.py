"""Decimal numbers in text and as Arrow decimals, which are exact and forget how many zeros stood at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["TRIM", "decimals_in", "from_text", "to_text"]

TRIM = -1
"""In place of a number of decimals: as many as are needed, and no point when none are."""


def from_text(texts: pa.Array, type: pa.DataType) -> pa.Array:
    """Return the numbers in texts; NULL for a text that is none, and for one that the type cannot hold exactly."""
    try:
        return texts.cast(type)
    except pa.ArrowInvalid:
        whole = type.precision - type.scale
        pattern = rf"^-?\d{{1,{whole}}}(\.\d{{1,{type.scale}}})?$" if type.scale else rf"^-?\d{{1,{whole}}}$"
        return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None).cast(type)


def to_text(numbers: pa.Array, decimals: int) -> pa.Array:
    """Return the text of each number with so many decimals; NULL where it needs more."""
    if decimals == TRIM:
        texts = numbers.cast(pa.string())
        return texts if numbers.type.scale == 0 else pc.ascii_rtrim(pc.ascii_rtrim(texts, "0"), ".")
    scale = numbers.type.scale
    if decimals >= scale:
        texts = numbers.cast(pa.string())
        if decimals == scale:
            return texts
        zeros = "0" * (decimals - scale)
        return pc.binary_join_element_wise(texts, zeros if scale else f".{zeros}", "")
    rescaled = pa.decimal128(numbers.type.precision, decimals)
    try:
        return numbers.cast(rescaled).cast(pa.string())
    except pa.ArrowInvalid:
        fits = pc.equal(pc.round(numbers, decimals), numbers)
        return pc.if_else(fits, numbers, None).cast(rescaled).cast(pa.string())


def decimals_in(text: str, usual: Sequence[int] = ()) -> Iterator[int]:
    """Yield with how many decimals to_text() may have written a number, the likeliest first."""
    fraction = text.strip('"').partition(".")[2]
    if len(fraction) not in usual and not fraction.endswith("0"):
        yield TRIM
    yield len(fraction)
    yield TRIM
