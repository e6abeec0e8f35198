"""Checks the messages of a recorded day against a schema."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ssmd.contracts.exchange import MessageReader
from ssmd.errors import DataError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.found import column_of, columns_of
from ssmd.reading.stretches import Stretch, divided
from ssmd.schema.check import Checker
from ssmd.schema.judge import NOT_EXPLAINED
from ssmd.store.head import split
from ssmd.store.layout import DayFile

__all__ = ["MOST_EXPLAINED", "MOST_TYPES", "OTHERS", "CheckedDay", "Fault", "check_day"]

MOST_TYPES = 100
OTHERS = "(others)"
"""What the types are called that come after the first MOST_TYPES of a day."""
_MOST_FAULTS = 100
"""How many different faults of a day are kept; the messages that have another one are counted with their type."""
MOST_EXPLAINED = 10_000
"""Of how many violations of a type on a day the reason is sought, which takes ten times as long as to find them."""
_NOT_SOUGHT = f"is not as the schema says; the reason is sought for the first {MOST_EXPLAINED:,} only"
_MOST_DAMAGED = 10
"""How many damaged lines of a day are named."""
_LONGEST_TYPE = 200
"""So many characters of a type are kept: an exchange may send one of any length."""
_NUMBER = re.compile(r"\[\d+\]")


@dataclass
class Fault:
    """One way in which messages are not as the schema says."""

    line: int
    """The line of the first such message, from 1."""
    type: str
    path: str
    """Where it is in that message, such as `msg.levels[0]`."""
    reason: str
    messages: int = 0
    """How many messages have it, at this place or at another one of the same list."""


@dataclass
class CheckedDay:
    """What a day's messages are, by the schema."""

    file: DayFile
    messages: Counter[str] = field(default_factory=Counter)
    """How many there are of each type; of the empty type those without one."""
    violations: Counter[str] = field(default_factory=Counter)
    """How many of them are not as the schema says."""
    faults: dict[tuple[str, str, str], Fault] = field(default_factory=dict)
    damaged: list[int] = field(default_factory=list)
    """The first lines that ssmd did not write, from 1. They are not checked."""
    more_damaged: int = 0
    """How many more there are."""
    explained: Counter[str] = field(default_factory=Counter)
    """Of how many messages of each type the reason was sought."""
    broken: str | None = None
    """Why the rest of the file cannot be read; None when all of it was."""


def check_day(
    file: DayFile,
    checker: Checker,
    stretches: Sequence[Stretch],
    progress: Callable[[int], None] = lambda done: None,
) -> CheckedDay:
    """Return what is wrong with the messages of a day. `stretches`: what reads their types.

    `progress` is called now and then with the number of bytes of the file that are read so far.
    """
    found = CheckedDay(file)
    source = LineBlocks(file.path)
    lines = 0
    try:
        for block, stretch in divided(source, 0, stretches):
            lines += _check_block(found, block, stretch.reader, checker, lines)
            progress(source.bytes_read)
    except DataError as error:
        found.broken = str(error)
    return found


def _check_block(found: CheckedDay, block: bytes, reader: MessageReader, checker: Checker, before: int) -> int:
    """Check a block of whole lines, which follow so many lines; return how many it has."""
    lines = split(block)
    columns = columns_of(block, lines, reader)
    if columns is not None:
        numbers: Sequence[int] = range(len(lines))
        payloads, types = list(columns.payloads), [type for type, _ in columns.found]
    else:
        numbers, payloads, types = _one_by_one(found, lines, reader, before)
    if max(map(len, types), default=0) > _LONGEST_TYPE:
        types = [type[:_LONGEST_TYPE] for type in types]
    names = [_counted(found, type) for type in types] if len(found.messages) >= MOST_TYPES else types
    found.messages.update(names)

    def is_sought(index: int) -> bool:
        found.explained[names[index]] += 1
        return found.explained[names[index]] <= MOST_EXPLAINED

    for violation in checker.check(payloads, is_sought):
        type = names[violation.index]
        found.violations[type] += 1
        reason = _NOT_SOUGHT if violation.reason == NOT_EXPLAINED else violation.reason
        key = type, _NUMBER.sub("[]", violation.path), reason
        fault = found.faults.get(key)
        if fault is None:
            fault = Fault(before + numbers[violation.index] + 1, type, violation.path, reason)
            if len(found.faults) < _MOST_FAULTS:
                found.faults[key] = fault
        fault.messages += 1
    return len(lines)


def _one_by_one(
    found: CheckedDay, lines: Sequence[bytes], reader: MessageReader, before: int
) -> tuple[list[int], list[bytes], list[str]]:
    """Return the numbers of the lines that ssmd wrote, their messages and types; note the others."""
    numbers: list[int] = []
    payloads: list[bytes] = []
    types: list[str] = []
    for number, line in enumerate(lines):
        try:
            payload, (type, _) = column_of(line, reader)
        except ValueError:
            if len(found.damaged) < _MOST_DAMAGED:
                found.damaged.append(before + number + 1)
            else:
                found.more_damaged += 1
            continue
        numbers.append(number)
        payloads.append(payload)
        types.append(type)
    return numbers, payloads, types


def _counted(found: CheckedDay, type: str) -> str:
    return type if type in found.messages else OTHERS
