"""What a column holds: how decoded values become an Arrow array, and how the array becomes JSON text again.

Both work on whole arrays. None of it has to be right for every value: the writer compares the text that comes back with
the line, and keeps the line's raw bytes where they differ. But nothing may raise for a value of a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from ssmd.contracts.table import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    JSON,
    LEVELS,
    MILLISECONDS,
    NUMBER,
    SECONDS,
    TEXT,
    TIME,
    Column,
)
from ssmd.parquet import escapes, levels, times
from ssmd.parquet.decimals import decimals_in, from_text, to_text

__all__ = ["Kind", "Params", "array_of", "kind_of"]

Params = dict[str, Any]
"""How the exchange writes a value, such as the number of decimals; JSON."""

_INT64 = 1 << 63
_Integer = Annotated[int, msgspec.Meta(ge=-_INT64, le=_INT64 - 1)]


class Kind:
    """A TEXT; the base class of all others."""

    decoded: Any = str | None
    """The type of the field for msgspec."""
    missing: Any = None
    """The decoded value when the message has no such field."""
    quoted = True
    """Whether the JSON value stands between quotes, which text() leaves out."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self.decode: Callable[[bytes | msgspec.Raw], Any] = msgspec.json.Decoder(self.decoded).decode
        self.type: pa.DataType = self._type()

    def _type(self) -> pa.DataType:
        return pa.string()

    def fields(self) -> list[pa.Field]:
        """Return the columns in the file, of which the first has the column's name."""
        return [pa.field(self.column.name, self.type)]

    def arrays(self, values: Sequence[Any]) -> list[pa.Array]:
        """Return the arrays of fields() for decoded values; NULL for what the column cannot hold."""
        return [self._array(values)]

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return array_of(values, self.type)

    def candidates(self, span: str) -> Iterator[Params]:
        """Yield what may make text() return the JSON text `span`, the likeliest first."""
        for style in escapes.STYLES:
            yield {"escape": style} if style else {}

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        """Return the JSON text of each value, as strings; NULL stays NULL."""
        return escapes.escaped(array, params.get("escape", ""))


class _Integer64(Kind):
    decoded = _Integer | None
    quoted = False

    def _type(self) -> pa.DataType:
        return pa.int64()

    def candidates(self, span: str) -> Iterator[Params]:
        yield {}

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return array.cast(pa.string())


class _UnixTime(_Integer64):
    """Also has a second column with the time as a timestamp, which nothing is read back from."""

    def fields(self) -> list[pa.Field]:
        return [*super().fields(), pa.field(f"{self.column.name}_utc", times.MILLISECOND)]

    def arrays(self, values: Sequence[Any]) -> list[pa.Array]:
        array = self._array(values)
        return [array, times.from_unix(array, 1000 if self.column.kind == SECONDS else 1)]


class _Boolean(Kind):
    decoded = bool | None
    quoted = False

    def _type(self) -> pa.DataType:
        return pa.bool_()

    def candidates(self, span: str) -> Iterator[Params]:
        yield {}

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return array.cast(pa.string())


class _Decimal(Kind):
    def _type(self) -> pa.DataType:
        return pa.decimal128(self.column.digits, self.column.decimals[0])

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return from_text(array_of(values, pa.string()), self.type)

    def candidates(self, span: str) -> Iterator[Params]:
        yield from ({"decimals": count} for count in decimals_in(span, self.column.usual[:1]))

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return to_text(array, params["decimals"])


class _Number(_Decimal):
    decoded = msgspec.Raw
    missing = msgspec.Raw(b"")
    quoted = False

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return from_text(_json(values), self.type)



class _Json(Kind):
    decoded = msgspec.Raw
    missing = msgspec.Raw(b"")
    quoted = False

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return _json(values)

    def candidates(self, span: str) -> Iterator[Params]:
        yield {}

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return array


class _Time(Kind):
    def _type(self) -> pa.DataType:
        return times.MICROSECOND

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return times.from_text(array_of(values, pa.string()))

    def candidates(self, span: str) -> Iterator[Params]:
        return times.ways(span, self.column.usual)

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return times.to_text(array, params["fraction"], params["zone"])


class _Levels(Kind):
    decoded = list[tuple[str, str]] | None
    quoted = False

    def _type(self) -> pa.DataType:
        return levels.type_of(self.column)

    def _array(self, values: Sequence[Any]) -> pa.Array:
        return levels.from_lists(values, self.type)

    def candidates(self, span: str) -> Iterator[Params]:
        yield from ({"decimals": counts} for counts in levels.decimals_in(span, self.column.usual))

    def text(self, array: pa.Array, params: Params) -> pa.Array:
        return levels.to_text(array, params["decimals"])


_KINDS = {
    TEXT: Kind,
    INTEGER: _Integer64,
    SECONDS: _UnixTime,
    MILLISECONDS: _UnixTime,
    BOOLEAN: _Boolean,
    DECIMAL: _Decimal,
    NUMBER: _Number,
    JSON: _Json,
    TIME: _Time,
    LEVELS: _Levels,
}


def kind_of(column: Column) -> Kind:
    return _KINDS[column.kind](column)


def array_of(values: Sequence[Any], type: pa.DataType) -> pa.Array:
    """Return the array of decoded values; NULL for a text that is not valid Unicode, as half a surrogate pair."""
    try:
        return pa.array(values, type)
    except (UnicodeEncodeError, pa.ArrowInvalid, OverflowError):
        return pa.array([value if _is_valid(value, type) else None for value in values], type)


def _is_valid(value: Any, type: pa.DataType) -> bool:
    try:
        pa.array([value], type)
    except (UnicodeEncodeError, pa.ArrowInvalid, OverflowError):
        return False
    return True


def _json(values: Sequence[msgspec.Raw]) -> pa.Array:
    """Return the JSON texts; NULL for null and for what is missing."""
    texts = [None if text in (b"", b"null") else text for text in map(bytes, values)]
    array = pa.array(texts, pa.binary())
    try:
        return array.cast(pa.string())
    except pa.ArrowInvalid:  # The decoder does not look into strings that it skips.
        return pa.array([text if text is not None and _is_utf8(text) else None for text in texts], pa.string())


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
