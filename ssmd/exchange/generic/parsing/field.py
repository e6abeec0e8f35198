"""A field of the section, with its path: what it holds is read, and what is wrong with it is collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ssmd.contracts.configuration import FieldProblem
from ssmd.errors import printable
from ssmd.exchange.generic.parsing.lookalikes import lookalikes_of
from ssmd.exchange.generic.template import faults_of
from ssmd.field_path import FieldPath, parse_path
from ssmd.spelling import misspelling, nearest

__all__ = ["Field", "Read", "choice", "each", "entries", "flag", "path", "shown", "some_path", "template", "text"]


class Field(NamedTuple):
    """A value of the section, and where it stands."""

    value: Any
    path: tuple[str | int, ...]
    problems: list[FieldProblem]
    """Of the whole section."""
    prepared: Sequence[str] = ()
    """The names that ${prepared.<name>} may have."""

    def report(self, message: str, *at: str | int, warning: bool = False, lenient: bool = False) -> None:
        """Add a problem with the field, or with the one at this path within it."""
        self.problems.append(FieldProblem((*self.path, *at), message, warning, lenient))

    def at(self, step: str | int) -> Field:
        return self._replace(value=self.value[step], path=(*self.path, step))

    def mapping(self, known: Mapping[str, Read], required: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return the fields of an entry by name; None when one of them is wrong, unknown or missing.

        An entry is read as a whole or not at all, since with a part of it left out it would say something else.
        """
        before = len(self.problems)
        found = self.fields(known)
        for name in required:
            if isinstance(self.value, dict) and self.value.get(name) is None:
                self.report("is required; add it", name)
        return found if all(problem.warning for problem in self.problems[before:]) else None

    def fields(self, known: Mapping[str, Read], remedies: Mapping[str, str] = {}) -> dict[str, Any]:
        """Return the fields by name, without those that are wrong, unknown or left empty.

        `remedies`: what to say of certain unknown fields.
        """
        if not isinstance(self.value, dict):
            self.report(f"must be a mapping (`key: value` lines), not {shown(self.value)}")
            return {}
        found = {}
        for name, value in self.value.items():
            if name in remedies:
                self.report(remedies[name], name)
            elif name not in known:
                hint = misspelling(name, known, self.value) or f"; there are {', '.join(f'`{each}`' for each in known)}"
                self.report(f"is not a field that ssmd knows here{hint}", name)
            elif value is not None and (read := known[name](self.at(name))) is not None:
                found[name] = read
        return found


_LARGEST_SHOWN = 10**60
"""Python refuses to write numbers of thousands of digits, which the JSON of a ledger may have."""

Read = Callable[[Field], Any]
"""Returns what a field holds; None when that is wrong, which it has reported."""


def shown(value: Any) -> str:
    """Return a value of the section as a message shows it."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and abs(value) > _LARGEST_SHOWN:
        return "a number of so many digits"
    return f"`{printable(str(value), 60)}`"


def text(field: Field) -> str | None:
    """Read a text that is not empty."""
    if not isinstance(field.value, str):
        quotes = "; put it in quotes" if isinstance(field.value, int | float) else ""
        field.report(f"must be a text, not {shown(field.value)}{quotes}")
    elif not field.value:
        field.report("is an empty text; write one, or remove the field")
    else:
        return field.value
    return None


def flag(field: Field) -> bool | None:
    if isinstance(field.value, bool):
        return field.value
    field.report(f"must be true or false, not {shown(field.value)}")
    return None


def choice(*choices: str) -> Read:
    """Return what reads one of these words."""

    def read(field: Field) -> str | None:
        value = field.value
        if isinstance(value, str) and value in choices:
            return value
        hint = nearest(value, choices) if isinstance(value, str) else ""
        field.report(f"must be {' or '.join(choices)}, not {shown(value)}{hint}")
        return None

    return read


def entries(field: Field, what: str) -> list[Field]:
    """Return the fields of a list that is not empty."""
    if not isinstance(field.value, list):
        field.report(f"must be a list (`- ` lines) of {what}, not {shown(field.value)}")
        return []
    if not field.value:
        field.report(f"is an empty list; add one of {what}, or remove the field")
    return [field.at(index) for index in range(len(field.value))]


def each(read: Read, what: str) -> Read:
    """Return what reads a list, of whose entries those that are wrong are left out."""

    def read_all(field: Field) -> tuple[Any, ...]:
        return tuple(found for entry in entries(field, what) if (found := read(entry)) is not None)

    return read_all


def some_path(every: bool) -> Read:
    """Return what reads a path; with `every` it may have `[*]`."""

    def read(field: Field) -> FieldPath | None:
        if (name := text(field)) is None:
            return None
        try:
            return parse_path(name, every=every)
        except ValueError as error:
            fault = "has `[*]`, which only `asked` and `confirmed` may have; write the place of one item, as in `[0]`"
            field.report(fault if "[*]" in name and not every else _without_verb(error))
            return None

    return read


def _without_verb(error: ValueError) -> str:
    return f"is wrong: {error}"


path = some_path(every=False)


def template(*kinds: str) -> Read:
    """Return what reads any JSON value, in whose texts placeholders of these kinds may stand."""

    def read(field: Field) -> Any:
        faults = list(faults_of(field.value, kinds, field.prepared))
        for at, fault in faults:
            field.report(fault, *at)
        for at, doubt in () if faults else lookalikes_of(field.value):
            field.report(doubt, *at, warning=True)
        return None if faults else field.value

    return read
