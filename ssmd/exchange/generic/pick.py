"""Reads the texts that a description's picks name: types, channels, markets, scopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssmd.exchange.generic.description import Pick
from ssmd.exchange.generic.fields import Fields

__all__ = ["Joined", "Scope", "Texts"]

_MOST_PARTS = 4096
"""How many texts and their parts are remembered. Exchanges repeat the names of their markets all day."""


class Texts:
    """Reads one pick: a text or a whole number, as text. Empty where a message has none."""

    def __init__(self, pick: Pick, fields: Fields) -> None:
        self._columns = [fields.column(path) for path in pick.paths]
        self._getters = [fields.getter(path) for path in pick.paths]
        self.parts: Mapping[str, str] | None = _Parts(pick.split, pick.part) if pick.split else None
        """The parts of the last texts; None when the whole text is meant."""

    def column(self, heads: Sequence[Any]) -> list[str]:
        """Return the text of each head."""
        texts = _texts(self._columns[0](heads))
        for column in self._columns[1:]:
            if "" not in texts:
                break
            texts = [text or other for text, other in zip(texts, _texts(column(heads)), strict=True)]
        return texts if self.parts is None else list(map(self.parts.__getitem__, texts))

    def one(self, head: Any) -> str:
        """Return the text of one head."""
        for getter in self._getters:
            if text := _text(getter(head)):
                return text if self.parts is None else self.parts[text]
        return ""


class Joined:
    """Reads two picks at once, as one text. Empty where a message does not have both."""

    def __init__(self, first: Texts, second: Texts) -> None:
        self._first, self._second = first, second

    def column(self, heads: Sequence[Any]) -> list[str]:
        """Return the text of each head."""
        both = zip(self._first.column(heads), self._second.column(heads), strict=True)
        return [f"{first} {second}" if first and second else "" for first, second in both]


Scope = Texts | Joined
"""What reads the scope of a sequence."""


class _Parts(dict[str, str]):
    """The part of each text."""

    def __init__(self, separator: str, part: int) -> None:
        super().__init__()
        self._separator = separator
        self._place = part - 1 if part > 0 else part

    def __missing__(self, text: str) -> str:
        try:
            part = text.split(self._separator)[self._place]
        except IndexError:
            part = ""
        if len(self) >= _MOST_PARTS:
            self.clear()
        self[text] = part
        return part


def _texts(values: Sequence[Any]) -> list[str]:
    return [value if type(value) is str else _text(value) for value in values]


def _text(value: Any) -> str:
    """Return the text of a value; a number is as good a name as a text. Empty for any other."""
    if type(value) is str:
        return value
    return str(value) if type(value) is int and -_LARGEST_NAME < value < _LARGEST_NAME else ""


_LARGEST_NAME = 2**64
"""Python refuses to write an integer of thousands of digits."""
