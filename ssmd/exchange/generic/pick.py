"""Reads the texts that a description's picks name: types, channels, markets, scopes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ssmd.exchange.generic.description import Pick
from ssmd.exchange.generic.fields import Fields

__all__ = ["LONGEST_REMEMBERED", "MOST_REMEMBERED", "Joined", "Scope", "Texts", "part_of", "text_of"]

MOST_REMEMBERED = 16_384
"""How many texts are remembered, with what was made of them. Exchanges repeat the names of their markets all day."""
LONGEST_REMEMBERED = 256
"""A longer text is not remembered, so that an exchange cannot fill the memory."""

_Key = TypeVar("_Key")


class Texts:
    """Reads one pick: a text or a whole number, as text. Empty where a message has none."""

    def __init__(self, pick: Pick, fields: Fields) -> None:
        self._columns = [fields.column(path) for path in pick.paths]
        self.parts: Mapping[str, str] | None = None
        """The parts of texts; None when the whole text is meant."""
        if pick.split:
            self.parts = _Remembered[str](partial(part_of, pick=pick))
        self._otherwise = None if pick.otherwise is None else Texts(pick.otherwise, fields)

    def column(self, heads: Sequence[Any]) -> list[str]:
        """Return the text of each head."""
        texts = _texts(self._columns[0](heads))
        for column in self._columns[1:]:
            if "" not in texts:
                break
            texts = [text or other for text, other in zip(texts, _texts(column(heads)), strict=True)]
        if self.parts is not None:
            texts = list(map(self.parts.__getitem__, texts))
        if self._otherwise is not None and "" in texts:
            texts = [text or other for text, other in zip(texts, self._otherwise.column(heads), strict=True)]
        return texts

    def one(self, head: Any) -> str:
        """Return the text of one head."""
        text = next(filter(None, (text_of(column.one(head)) for column in self._columns)), "")
        if self.parts is not None:
            text = self.parts[text]
        return text or ("" if self._otherwise is None else self._otherwise.one(head))


class Joined:
    """Reads two picks at once, as one text. Empty where a message does not have both."""

    def __init__(self, first: Texts, second: Texts) -> None:
        self._first, self._second = first, second
        self._both = _Remembered[tuple[str, str]](lambda both: " ".join(both) if all(both) else "")

    def column(self, heads: Sequence[Any]) -> list[str]:
        """Return the text of each head."""
        both = zip(self._first.column(heads), self._second.column(heads), strict=True)
        return list(map(self._both.__getitem__, both))


Scope = Texts | Joined
"""What reads the scope of a sequence."""


class _Remembered(dict[_Key, str]):
    """Texts, each made of a key when it is asked for first."""

    def __init__(self, make: Callable[[_Key], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: _Key) -> str:
        made = self._make(key)
        if len(made) <= LONGEST_REMEMBERED and _is_short(key):
            if len(self) >= MOST_REMEMBERED:
                self.clear()
            self[key] = made
        return made


def _is_short(key: Any) -> bool:
    """Return whether a key may be remembered. What is made of a long one may be short."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(len(part) <= LONGEST_REMEMBERED for part in parts if isinstance(part, str))


def part_of(text: str, pick: Pick) -> str:
    """Return the part of a text that a pick names, or all of it; empty when the text has fewer parts."""
    if not pick.split:
        return text
    parts = text.split(pick.split)
    return parts[pick.part - 1 if pick.part > 0 else pick.part] if -len(parts) <= pick.part <= len(parts) else ""


def text_of(value: Any) -> str:
    """Return a text, or a whole number as text, since some exchanges number their markets; empty for other values."""
    return value if type(value) is str else str(value) if type(value) is int else ""


_text_of_integer = _Remembered[int](str)


def _texts(values: list[Any]) -> list[str]:
    """Do what text_of() does for each value."""
    kinds = set(map(type, values))
    if kinds == {str}:
        return values
    if kinds == {int}:
        return list(map(_text_of_integer.__getitem__, values))
    return list(map(text_of, values))
