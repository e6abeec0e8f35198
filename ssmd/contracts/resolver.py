"""The contract of a key resolver, which finds the values of keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem

__all__ = ["KeyResolver", "KeySource"]


class KeySource(NamedTuple):
    """Where an environment says that one of its keys is to be found."""

    name: str
    """The key's name in the environment's `keys` section."""
    source: str
    """The text of `source`, such as `env:KALSHI_API_KEY,KALSHI_API_SECRET`."""
    fields: Sequence[str]
    """The names of the values that belong to the key, in the order of the metadata."""


class KeyResolver(Protocol):
    """Finds the values of keys. A class in the catalog is made as `cls(environ)`."""

    @classmethod
    def check(cls, key: KeySource) -> Iterable[FieldProblem]:
        """Report what is wrong with a key's `fields` or `source`, without asking anything.

        No message shows the source: people paste keys there.
        """

    def resolve(self, key: KeySource) -> dict[str, str]:
        """Return the value of every field, by its name.

        Raises ResolveError, which names all that is missing, and never a value.
        """
