"""What was seen of one field: of what kind its values are, and which column holds them all. Pure."""

from __future__ import annotations

import re

import msgspec

from ssmd.contracts.table import BOOLEAN, DECIMAL, INTEGER, JSON, LEVELS, NUMBER, TEXT, TIME, Column
from ssmd.parquet.spans import Path

__all__ = ["Seen"]

_NUMBER = re.compile(rb"-?(\d+)(?:\.(\d+))?")
_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)"')
_INT64 = 1 << 63
_FEW, _MANY = 18, 38
"""How many digits a decimal has at most, in 8 and in 16 bytes."""
_SPARE = 2
"""How many digits more a decimal has room for than were seen."""

_levels = msgspec.json.Decoder(list[tuple[str, str]]).decode


class _Decimals:
    """How many digits the numbers have before and after the point, at most."""

    def __init__(self) -> None:
        self.whole, self.fraction = 1, 0

    def add(self, text: bytes) -> bool:
        """Return False for what is no decimal number."""
        match = _NUMBER.fullmatch(text)
        if match is None:
            return False
        self.whole = max(self.whole, len(match[1]))
        self.fraction = max(self.fraction, len(match[2] or b""))
        return True

    @property
    def digits(self) -> int | None:
        """How many digits a column needs; None for more than one has."""
        needed = self.whole + self.fraction
        return _FEW if needed + _SPARE <= _FEW else _MANY if needed <= _MANY else None


class Seen:
    """Counts the values of one field by their kind."""

    def __init__(self) -> None:
        self.count = 0
        """How many values there were, without null and objects."""
        self.objects = 0
        self._kinds: dict[str, int] = {}
        self._numbers, self._strings = _Decimals(), _Decimals()
        self._prices, self._sizes = _Decimals(), _Decimals()

    def add(self, value: bytes) -> None:
        """Count a value, given as JSON text."""
        if value != b"null":
            self.count += 1
            kind = self._kind(value)
            self._kinds[kind] = self._kinds.get(kind, 0) + 1

    def _kind(self, value: bytes) -> str:
        first = value[:1]
        if first == b'"':
            if self._strings.add(value[1:-1]):
                return DECIMAL
            return TIME if _TIME.fullmatch(value) else TEXT
        if first == b"[":
            return LEVELS if self._are_levels(value) else JSON
        if value in (b"true", b"false"):
            return BOOLEAN
        if not self._numbers.add(value):
            return JSON
        return INTEGER if b"." not in value and len(value) < 40 and -_INT64 <= int(value) < _INT64 else NUMBER

    def _are_levels(self, value: bytes) -> bool:
        try:
            levels = _levels(value)
        except (ValueError, RecursionError):
            return False
        texts = [(price.encode(), size.encode()) for price, size in levels]
        return all(self._prices.add(price) and self._sizes.add(size) for price, size in texts)

    def column(self, name: str, path: Path) -> Column:
        """Return the column that holds all of these values."""
        kind = self._common()
        numbers = self._strings if kind == DECIMAL else self._numbers
        meaning = f"was seen as: {', '.join(self._kinds)}" if len(self._kinds) > 1 else ""
        if kind in (DECIMAL, NUMBER):
            digits = numbers.digits
            if digits is None:
                return Column(name, path, TEXT if kind == DECIMAL else JSON, meaning=meaning)
            return Column(name, path, kind, (numbers.fraction,), digits=digits, meaning=meaning)
        if kind == LEVELS:
            digits = max(self._prices.digits or 0, self._sizes.digits or 0)
            if not (self._prices.digits and self._sizes.digits):
                return Column(name, path, JSON, meaning=meaning)
            decimals = self._prices.fraction, self._sizes.fraction
            return Column(name, path, kind, decimals, digits=digits, meaning=meaning)
        return Column(name, path, kind, meaning=meaning)

    def _common(self) -> str:
        """Return the kind that all values are of, or that holds all of them."""
        kinds = set(self._kinds)
        if not kinds:
            return JSON
        if kinds <= {DECIMAL, TIME, TEXT}:
            # Digits without a point are names rather than numbers: they may begin with zeros that mean something.
            return kinds.pop() if len(kinds) == 1 and (kinds != {DECIMAL} or self._strings.fraction) else TEXT
        if kinds <= {INTEGER, NUMBER}:
            return NUMBER if NUMBER in kinds else INTEGER
        return kinds.pop() if len(kinds) == 1 else JSON
