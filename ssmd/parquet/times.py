"""Times in text and in Unix numbers, and as Arrow timestamps in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["MICROSECOND", "MILLISECOND", "from_text", "from_unix", "to_text", "ways"]

MICROSECOND = pa.timestamp("us", "UTC")
MILLISECOND = pa.timestamp("ms", "UTC")

TRIM = -1
"""In place of a number of digits: as many as are needed, as Go's RFC3339Nano has them."""

_SECOND = len("2026-08-11T01:15:15")
_ZONES = ("Z", "+00:00")
_FORM = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)$"
_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, in Unix milliseconds: what nearly every program can show."""


def from_text(texts: pa.Array) -> pa.Array:
    """Return the times in texts; NULL for a text that is none."""
    try:
        return texts.cast(MICROSECOND)
    except pa.ArrowInvalid:
        likely = pc.if_else(pc.match_substring_regex(texts, _FORM), texts, None)
    try:
        return likely.cast(MICROSECOND)
    except pa.ArrowInvalid:  # There is no such day, or no such hour.
        return pa.array([_one(text) for text in likely], MICROSECOND)


def _one(text: pa.Scalar) -> Any:
    try:
        return text.cast(MICROSECOND).as_py()
    except (pa.ArrowInvalid, ValueError, OverflowError):
        return None


def to_text(stamps: pa.Array, fraction: int, zone: str) -> pa.Array:
    """Return the text of each time, with so many digits after the second."""
    texts = pc.binary_replace_slice(stamps.cast(pa.timestamp("us")).cast(pa.string()), 10, 11, "T")
    if fraction == TRIM:
        texts = pc.ascii_rtrim(pc.ascii_rtrim(texts, "0"), ".")
    elif fraction < 6:
        texts = pc.utf8_slice_codeunits(texts, 0, _SECOND + (fraction + 1 if fraction else 0))
    return pc.binary_join_element_wise(texts, zone, "")


def ways(text: str, usual: Sequence[int] = ()) -> Iterator[dict[str, Any]]:
    """Yield the arguments with which to_text() may have written a time, the likeliest first."""
    text = text.strip('"')
    for zone in _ZONES:
        if text.endswith(zone):
            fraction = text.removesuffix(zone)[_SECOND + 1 :]
            if len(fraction) not in usual and not fraction.endswith("0"):
                yield {"fraction": TRIM, "zone": zone}
            yield {"fraction": len(fraction), "zone": zone}


def from_unix(numbers: pa.Array, milliseconds: int) -> pa.Array:
    """Return Unix times, in units of so many milliseconds, as timestamps; NULL outside of the years 1 to 9999."""
    within = pc.and_(
        pc.greater_equal(numbers, _FIRST // milliseconds), pc.less_equal(numbers, _LAST // milliseconds)
    )
    return pc.multiply(pc.if_else(within, numbers, None), milliseconds).cast(MILLISECOND)
