"""The questions of docs/lake.md, answered by DuckDB from an exported day in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lake_queries import QUESTIONS, answer, rounded, rows_of, statement
from market_days import messages, write_market_day
from process import ssmd

from ssmd.contracts.shard import Shard

SENT: dict[str, Any] = {"count": 20_000, "lost": (100, 7_000, 7_001, 19_000), "burst": 400}


@pytest.fixture(scope="module", autouse=True)
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the folder `lake` of the document, and work beside it."""
    root = tmp_path_factory.mktemp("lake")
    write_market_day(root / "data", **SENT)
    assert ssmd("export", root / "data", "--to", root / "lake").returncode == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        yield


@pytest.mark.parametrize("question", QUESTIONS)
def test_each_question_is_one_statement(question):
    expected = answer(question, list(messages(**SENT)))
    assert expected
    assert rows_of(duckdb.connect(), statement(question)) == rounded(expected)


def test_shards_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for index in (1, 2):
        write_market_day(tmp_path / "data", shard=Shard(index, 2), count=500, lost=(90,), seed=index)
    assert ssmd("export", tmp_path / "data", "--to", tmp_path / "lake").returncode == 0
    monkeypatch.chdir(tmp_path)
    sent = [list(messages(count=500, lost=(90,), seed=index)) for index in (1, 2)]
    gaps = [answer(QUESTIONS[3], part) for part in sent]
    [(_, *found)] = rows_of(duckdb.connect(), statement(QUESTIONS[3]))
    assert found == [sum(part[0][place] for part in gaps) for place in (1, 2)]
    both = sorted([*sent[0], *sent[1]])
    assert rows_of(duckdb.connect(), statement(QUESTIONS[1])) == answer(QUESTIONS[1], both)
