"""The transport `file`: a copy in another folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sink_conformance import DAY, Conformance, EditableEngine, VerifyConformance


class Folder(EditableEngine):
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

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("*/kalshi.jsonl"))

    def take_out(self) -> list[Any]:
        """Each message is its day's file and its line."""
        messages = [(path, line) for path in self._files() for line in path.read_bytes().splitlines(keepends=True)]
        self.put_in([])
        return messages

    def put_in(self, messages: Sequence[Any]) -> None:
        for path in self._files():
            path.write_bytes(b"".join(line for of, line in messages if of == path))
        position = self.path / ".kalshi.position"
        position.write_text(json.dumps(json.loads(position.read_bytes()) | {"size": path.stat().st_size}))

    def changed(self, message: Any) -> Any:
        path, line = message
        return path, line.replace(b"ticker", b"TICKER")


class TestFile(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> EditableEngine:
        return Folder(tmp_path / "copy")


class TestVerify(VerifyConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> EditableEngine:
        return Folder(tmp_path / "copy")
