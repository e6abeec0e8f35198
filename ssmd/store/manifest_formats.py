"""The formats of the manifest: the rules of each, and how a manifest becomes text and back. Pure.

A day is verified by the rules of the format with which it was sealed, for ever. So the rules of a format never change.
A later format is one more function and one more entry of _FORMATS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from ssmd.errors import printable
from ssmd.store.manifest import BLOCK_LINES, Manifest, unpack_sums
from ssmd.store.timestamps import DAY_NS, parse_timestamp

__all__ = [
    "FORMAT",
    "Knowable",
    "closed_seconds",
    "decode_manifest",
    "encode_manifest",
    "in_format",
    "known",
    "most_sequences",
]

FORMAT = 2
"""The one that is written today."""

_DAY_US = DAY_NS // 1000


class Knowable(NamedTuple):
    """Which figures of a day can be known at all."""

    loss: bool
    """The messages of every connection had sequence numbers, so that missing ones show."""
    coverage: bool
    """The ledger says when a connection was open."""


class _Format(NamedTuple):
    write: Callable[[Manifest, Knowable], Manifest]
    """Return the manifest of a day by the rules of the format; for its arguments see in_format()."""
    read: Callable[[Manifest], Manifest]
    """Return a manifest of the format with every unknown figure as None."""
    lacks: frozenset[str]
    """The fields of Manifest that the format does not have."""
    most_sequences: int | None
    """How many sequences of a session have a record of their own; None for all. An exchange may number the messages of
    each of 100,000 markets, and connect a hundred times a day."""


def _write_1(day: Manifest, _: Knowable) -> Manifest:
    """Unknown figures are 0, and an unknown coverage is an outage of the whole day. The percentage is rounded."""
    seconds = day.listened_seconds or 0.0
    day = replace(day, missing=day.missing or 0)
    return replace(day, coverage_percent=round(100 * seconds * 1e9 / DAY_NS, 4))


def _read_1(day: Manifest) -> Manifest:
    """A 0 means that nothing is missing only where something was numbered, or where there is a ledger.

    A collector that ended as it began the day leaves an empty ledger and no data. An empty ledger beside data is not
    one that ssmd wrote.
    """
    numbered = day.sequence_gaps or any(session.sequences for session in day.sessions)
    has_ledger = day.ledger_entries or (day.ledger_sha256 and not day.lines)
    return _without_unknown(day, Knowable(loss=bool(numbered), coverage=bool(has_ledger)))


def _write_2(day: Manifest, knowable: Knowable) -> Manifest:
    """Unknown figures are null. The percentage is of the time that was not closed, and rounded down, so that 100 means
    all of it.
    """
    listened_us = round((day.listened_seconds or 0.0) * 1e6)
    open_us = _DAY_US - round(closed_seconds(day) * 1e6)
    percent = 1_000_000 * listened_us // open_us / 10_000 if open_us else 100.0
    return _without_unknown(replace(day, coverage_percent=percent, closed=day.closed or UNSET), knowable)


def _without_unknown(day: Manifest, knowable: Knowable) -> Manifest:
    if not knowable.loss:
        day = replace(day, sequence_gaps=None, missing=None)
    if not knowable.coverage:
        day = replace(day, gaps=None, closed=UNSET, listened_seconds=None, coverage_percent=None)
    return day


def closed_seconds(day: Manifest) -> float:
    """Return how long a day was closed by schedule."""
    return sum(closed.seconds for closed in day.closed or ())


_FORMATS: Mapping[int, _Format] = {
    1: _Format(_write_1, _read_1, lacks=frozenset({"peak_second", "closed", "schema_violations"}), most_sequences=None),
    2: _Format(_write_2, lambda day: day, lacks=frozenset(), most_sequences=1000),
}


def in_format(number: int, counted: Manifest, knowable: Knowable) -> Manifest:
    """Return the manifest of a day in a format.

    `counted`: with all that was counted, as if everything could be known; its `format` and `coverage_percent` do not
    matter.
    """
    rules = _FORMATS[number]
    return replace(rules.write(counted, knowable), format=number, **dict.fromkeys(rules.lacks, msgspec.UNSET))


def most_sequences(number: int) -> int | None:
    """Return how many sequences of a session have a record of their own in a format; None for all."""
    return _FORMATS[number].most_sequences


def known(manifest: Manifest) -> Manifest:
    """Return a manifest of any format with every unknown figure as None, as for tables."""
    return _FORMATS[manifest.format].read(manifest)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Manifest).decode


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest as JSON, one field a line."""
    lacks = _FORMATS[manifest.format].lacks
    values = msgspec.structs.asdict(manifest).items()
    written = ((name, value) for name, value in values if name not in lacks and value is not UNSET)
    fields = [b"%b: %b" % (_encode(name), _encode(value)) for name, value in written]
    return b"{\n" + b",\n".join(fields) + b"\n}\n"


def decode_manifest(data: bytes) -> Manifest:
    """Return a manifest, without fields that its format does not have.

    Raises ValueError, saying what is wrong, for other data, or a manifest of a later ssmd.
    """
    try:
        manifest = _decode(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not a manifest: {error}") from None
    if manifest.format not in _FORMATS or manifest.block_lines != BLOCK_LINES:
        raise ValueError(f"is of format {manifest.format}, which this ssmd does not read")
    lacks = _FORMATS[manifest.format].lacks
    manifest = replace(manifest, **dict.fromkeys(lacks, msgspec.UNSET))
    for name in sorted(_absent(manifest) - lacks - _MAY_BE_ABSENT):
        raise ValueError(f"is not a manifest: Object missing required field `{name}`")
    if len(unpack_sums(manifest.block_sums)) != -(-manifest.lines // BLOCK_LINES):
        raise ValueError("has too few or too many block sums for its lines")
    if len(manifest.messages_by_hour) != 24 or min(manifest.messages_by_hour) < 0:
        raise ValueError("does not have a number of messages for each of 24 hours")
    for time in _times(manifest):
        try:
            parse_timestamp(time)
        except ValueError:
            raise ValueError(f"has {printable(time)!r} where a time should be") from None
    return manifest


_MAY_BE_ABSENT = frozenset({"closed", "schema_violations"})
"""The fields that a manifest has only where they say something."""


def _absent(manifest: Manifest) -> set[str]:
    return {name for name in Manifest.__struct_fields__ if getattr(manifest, name) is msgspec.UNSET}


def _times(manifest: Manifest) -> Iterator[str]:
    yield manifest.sealed
    yield from filter(None, (manifest.first, manifest.last))
    for session in manifest.sessions:
        yield from (session.began, session.ended)
    for time in [*(manifest.gaps or ()), *(manifest.closed or ())]:
        yield from (time.from_, time.to)
