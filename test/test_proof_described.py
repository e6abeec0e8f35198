"""A day whose description a later version has written, or somebody has damaged, is verified as far as it is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recorded import gap, write_day
from recorded_runs import verdicts

from ssmd.contracts.events import Gap
from ssmd.exchange.generic.dialect import Generic

KNOWN = {"paths": {"type": "e", "sequence": {"plus_one": "n", "scope": "connection"}}}


def day(folder: Path, exchange: str, *descriptions: Any) -> tuple[list[str], list[str]]:
    """Write a day whose runs have these descriptions, each with a gap in the ledger; return its findings and notes."""
    happened: list[Any] = []
    for number, description in enumerate(descriptions):
        at, fields = number * 10, {"version": "9.9", "exchange": exchange, "description": description}
        parts: list[Any] = [(at, "started", fields), (at, "connected", {})]
        parts += [(at + 1, json.dumps({"e": "t", "n": 4}).encode()), gap(at + 2, 5, 7, sid=0)]
        happened += [*parts, (at + 2, json.dumps({"e": "t", "n": 7}).encode())]
    write_day(folder, "2026-09-20", *happened, sealed=False)
    [verdict] = verdicts(folder)
    return [text for _, text in verdict.findings], list(verdict.notes)


def later(**fields: Any) -> dict[str, Any]:
    """Return a description with fields of `sequence` that this version does not know."""
    return {"paths": {**KNOWN["paths"], "sequence": {**KNOWN["paths"]["sequence"], **fields}}}  # type: ignore[dict-item]


def test_a_description_of_this_version_has_no_note(tmp_path):
    assert day(tmp_path, "generic", KNOWN, KNOWN) == ([], [])


def test_nothing_is_noted_where_nothing_is_described(tmp_path):
    findings, notes = day(tmp_path, "generic", {})
    assert (len(findings), notes) == (1, [])  # Of the gap.


@pytest.mark.parametrize(
    ("exchange", "description", "named"),
    [
        ("generic", later(modulo=5), "paths.sequence.modulo of its description"),
        ("generic", {"paths": 5}, "paths of its description"),
        ("later", {}, "the dialect later"),
    ],
)
def test_what_a_later_version_has_described_is_noted_and_its_gaps_are_no_damage(tmp_path, exchange, description, named):
    findings, notes = day(tmp_path, exchange, description, description)
    assert findings == []
    assert notes == [
        f"has in its ledger what this version does not know: {named}; a later version may have written it, and found "
        "gaps that this one cannot find"
    ]


def test_a_gap_that_only_the_data_has_is_found_beside_a_description_of_a_later_version(tmp_path):
    day(tmp_path, "generic", KNOWN, later(modulo=5))
    path = tmp_path / "2026-09-20" / "kalshi.ledger.jsonl"
    entries = path.read_text().splitlines(keepends=True)
    path.write_text("".join(entry for entry in entries if '"gap"' not in entry))
    [verdict] = verdicts(tmp_path)
    assert [text for _, text in verdict.findings] == [
        "follows a gap that the ledger does not have: sid 0, expected 5, got 7, 2 lost"
    ]


@pytest.mark.parametrize("damaged", [5, [], None, "x"])
def test_a_description_that_is_no_object_is_damage(tmp_path, damaged):
    findings, notes = day(tmp_path, "generic", damaged)
    assert findings[0] == "has `started` before it in the ledger, with a damaged description"
    assert notes == []


TYPES = {
    "a": {"sequenced": True, "sequence_field": "n", "sequence_scope": "per_symbol", "identifier_field": "s"},
    "b": {"sequenced": True, "sequence_field": "m", "sequence_scope": "per_symbol", "identifier_field": "t"},
}


def test_the_same_description_in_another_order_is_another_one(tmp_path):
    """The place of a sequence is a part of its sid, and of several fields the first one that a message has counts."""
    happened: list[Any] = []
    for at, names in ((0, ("a", "b")), (10, ("b", "a"))):
        description = {"message_types": {name: TYPES[name] for name in names}}
        inspector = Generic().described(description).inspector()
        fields = {"version": "9.9", "exchange": "generic", "description": description}
        happened += [(at, "started", fields), (at, "connected", {})]
        for second, number in ((at + 1, 4), (at + 2, 7)):
            message = json.dumps({"type": "a", "s": "X", "n": number}).encode()
            for event in inspector.inspect([message]).events:
                assert isinstance(event, Gap)
                happened.append(gap(second, event.expected, event.got, event.sid))
            happened.append((second, message))
    write_day(tmp_path, "2026-09-20", *happened, sealed=False)
    [verdict] = verdicts(tmp_path)
    assert sum(what[1] == "gap" for what in happened) == 2
    assert verdict.findings == []
