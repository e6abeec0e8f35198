"""The transport `file`: a copy in another folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sink_conformance import DAY, Conformance, Engine


class Folder(Engine):
    """A folder that may be away, as one that is not mounted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()

    @property
    def config(self) -> Mapping[str, Any]:
        return {"type": "file", "path": str(self.path)}

    def stop(self) -> None:
        self.path.rename(self.path.with_name("away"))

    def start(self) -> None:
        self.path.with_name("away").rename(self.path)

    def lose_tail(self) -> None:
        with open(self.path / DAY / "kalshi.jsonl", "r+b") as file:
            file.truncate(len(file.read()) // 2)

    def plant_position(self, data: bytes) -> None:
        (self.path / ".kalshi.position").write_bytes(data)


class TestFile(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Engine:
        return Folder(tmp_path / "copy")
