"""Which known name a misspelt one was perhaps meant to be."""

from __future__ import annotations

from collections.abc import Container, Iterable

__all__ = ["misspelling", "nearest"]

# difflib takes quadratic time, so that only the beginning of a long word is compared.
_COMPARED = 100
_SHORT = 6
"""A name of at most so many letters may differ in one, a longer one in two unless the first letter differs."""
_UNITS = ("seconds", "bytes", "days")


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean ...?` when one of the candidates resembles the word, otherwise nothing.

    Use it for a word that is certainly wrong: the guess may be far off.
    """
    import difflib  # Here, because a run without a wrong word needs no memory for it.

    known = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(word[:_COMPARED].lower(), known, n=1)
    return _hint(known[close[0]]) if close else ""


def misspelling(word: str, known: Iterable[str], given: Container[str] = ()) -> str:
    """Return `; did you mean ...?` when the word is one of the known names misspelt, otherwise nothing.

    Use it for a word that may be right although it is not known. It counts as misspelt when it differs from a known
    name in a letter or two, in capitals or in underscores, or leaves out the unit at the end. Resemblance alone is not
    enough: `supports_quotes` and `supports_trades` share most of their letters. A word with another digit (`v3` and
    `v2`), with a further word (`exchange_code` and `exchange`), or with a sign in front (`$schema` and `schema`) is
    another name, and not misspelt.

    `given`: the names that stand beside the word. A known name among them is probably not meant a second time, so only
    one letter may differ from it, and not an `s` at the end: beside `storage`, a `stage` is a name of its own.
    """
    if not word[:1].isalnum():
        return ""
    found = {}
    for name in known:
        edits = None if word == name else _edits_of_misspelling(word, name)
        if edits is not None and not (name in given and (edits > 1 or _one_in_plural(word, name))):
            found[name] = edits
    return _hint(min(found, key=found.__getitem__)) if found else ""


def _edits_of_misspelling(word: str, name: str) -> int | None:
    """Return how far the word is from the name, None when it is not that name misspelt."""
    words, meant = _words(word), _words(name)
    if any([*words, unit] == meant for unit in _UNITS):
        return 0
    if set(meant) < set(words):
        return None
    given, right = "".join(words), "".join(meant)
    most = 1 if len(right) <= _SHORT or given[:1] != right[:1] else 2
    if abs(len(given) - len(right)) > most or _digits(given) != _digits(right):
        return None
    edits = _edits(given, right)
    return edits if edits <= most else None


def _hint(name: str) -> str:
    return f"; did you mean `{name}`?"


def _words(name: str) -> list[str]:
    return name.lower().replace("-", "_").strip("_").split("_")


def _one_in_plural(one: str, other: str) -> bool:
    return one != other and one.removesuffix("s") == other.removesuffix("s")


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def _edits(one: str, other: str) -> int:
    """Return how many letters to insert, remove, replace or swap with their neighbour turn one word into the other."""
    earlier: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        row = [i + 1]
        for j, opposite in enumerate(other):
            edits = min(above[j] + (letter != opposite), above[j + 1] + 1, row[j] + 1)
            if i and j and letter == other[j - 1] and one[i - 1] == opposite:
                edits = min(edits, earlier[j - 1] + 1)
            row.append(edits)
        earlier, above = above, row
    return above[-1]
