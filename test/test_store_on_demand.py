"""The content of a file is brought before it is read, once somebody has said who brings it."""

from __future__ import annotations

from pathlib import Path

from ssmd.store.on_demand import bring_with, present


def test_what_is_below_the_folder_is_brought(tmp_path):
    brought: list[Path] = []
    bring_with(tmp_path / "far", brought.append)
    try:
        for path in (tmp_path / "far" / "2025-12-22" / "kalshi.jsonl", tmp_path / "near" / "kalshi.jsonl"):
            assert present(path) == path
    finally:
        bring_with(tmp_path / "far", None)
    present(tmp_path / "far" / "2025-12-22" / "kalshi.ledger.jsonl")
    assert brought == [tmp_path / "far" / "2025-12-22" / "kalshi.jsonl"]
