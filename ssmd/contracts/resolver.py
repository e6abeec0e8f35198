"""The contract of a key resolver, which finds the values of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from ssmd.contracts.configuration import FieldProblem

__all__ = ["Found", "KeyResolver", "KeySource"]


class KeySource(NamedTuple):
    """Where an environment says that one of its keys is to be found."""

    name: str
    """The key's name in the environment's `keys` section."""
    source: str
    """The text of `source`, such as `env:KALSHI_API_KEY,KALSHI_API_SECRET`."""
    fields: Sequence[str]
    """The names of the values that belong to the key, in the order of the metadata."""


class Found(NamedTuple):
    """What was found at a key's source."""

    values: Mapping[str, str]
    """The value of every field, by its name."""
    changed: float | None = None
    """When a value of the key was last changed, Unix seconds; None when the source does not say."""
    warnings: Sequence[str] = ()
    """What people should do about the source; never a value."""


class KeyResolver(Protocol):
    """Finds the values of keys.

    A class in the catalog is made as `cls(environ, until)`: the process's environment variables, and the time at which
    all sources together must have answered, in seconds of the monotonic clock.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None: ...

    @classmethod
    def check(cls, key: KeySource) -> Iterable[FieldProblem]:
        """Report what is wrong with a key's `fields` or `source`, without asking anything.

        No message shows the source: people paste keys there.
        """

    def resolve(self, key: KeySource) -> Found:
        """Return the value of every field.

        Raises ResolveError, which names all that is missing, and never a value or the source; it raises
        SourceUnavailable where another attempt may find it, and KeyNotSet where the variables are not set.
        """
