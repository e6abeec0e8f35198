"""The transport `file`: a copy in another folder."""

from __future__ import annotations

import contextlib
import gzip
import json
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import Run
from sink_conformance import DAY, NEXT, Conformance, EditableEngine, Recorded, VerifyConformance

from ssmd.contracts.shard import WHOLE
from ssmd.contracts.sink import Copied, End
from ssmd.errors import EngineError, EngineMismatch
from ssmd.shipping.file.sink import FileSink
from ssmd.store.timestamps import day_begins


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
    test_a_message_that_is_too_big_is_refused_with_its_block: Any = None
    """A folder takes messages of any size."""

    def test_a_position_of_an_earlier_version_is_read(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            sink.send(recorded.trades(3))
        state = json.loads((engine.path / ".kalshi.position").read_bytes())
        del state["ts"], state["checksum"]
        engine.plant_position(json.dumps(state).encode())
        with contextlib.closing(engine.open()) as sink:
            assert sink.end() == End(recorded.end)
            assert sink.resume() == recorded.end

    @pytest.fixture
    def engine(self, tmp_path: Path) -> EditableEngine:
        return Folder(tmp_path / "copy")


class TestVerify(VerifyConformance):
    test_a_copy_may_have_lost_its_beginning: Any = None
    """In a copy that begins later, nothing says how many lines are missing."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> EditableEngine:
        return Folder(tmp_path / "copy")


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[FileSink]:
    one = FileSink(tmp_path, "kalshi", WHOLE)
    yield one
    one.close()


def copied(sink: FileSink) -> list[Copied]:
    return [copy._replace(where="") for copy in sink.copies()]


@pytest.mark.parametrize("room", [0, 10, 400])
def test_a_disk_that_is_full_is_an_error_of_the_engine_and_leaves_no_part_of_a_block(tmp_path, sink, room):
    recorded = Recorded()
    sink.resume()
    sink.send(recorded.trades(3))
    block = recorded.trades(5)
    path = tmp_path / DAY / "kalshi.jsonl"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + room, limits[1]))
    try:
        with pytest.raises(EngineError, match=f"^{tmp_path}.*: File too large"):
            sink.send(block)
        with pytest.raises(EngineError, match="it is not known where the copy ends"):
            sink.send(block)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(copied(sink)) == 3
    assert sink.resume() == block.start
    sink.send(block)
    assert copied(sink) == recorded.copies


def test_what_another_program_has_written_is_left_alone(tmp_path, sink):
    recorded = Recorded()
    foreign = tmp_path / DAY / "kalshi.jsonl"
    foreign.parent.mkdir()
    foreign.write_bytes(b"foreign\n")
    with pytest.raises(EngineMismatch, match=f"{foreign}: was not written by this transport for this feed"):
        sink.resume()
    foreign.unlink()
    sink.resume()
    sink.send(recorded.trades(1))
    later = tmp_path / NEXT / "kalshi.jsonl"
    later.parent.mkdir()
    later.write_bytes(b"foreign\n")
    with pytest.raises(EngineMismatch, match=f"{later}: was not written by this transport"):
        sink.send(recorded.trades(1, NEXT))
    assert later.read_bytes() == b"foreign\n"


def test_the_storage_itself_is_no_place_for_a_copy(tmp_path, sink):
    run = Run(tmp_path, day_begins(DAY))
    run.message(day_begins(DAY))
    with pytest.raises(EngineMismatch, match=f"{tmp_path}/.*: was not written by this transport for this feed"):
        sink.resume()
    run.kill()


def test_the_copy_is_the_file_and_its_old_days_may_be_compressed(tmp_path, sink):
    recorded = Recorded()
    sink.resume()
    blocks = [recorded.trades(3), recorded.trades(4, NEXT)]
    for block in blocks:
        sink.send(block)
    for block in blocks:
        assert (tmp_path / block.end.day / "kalshi.jsonl").read_bytes() == b"".join(block.lines)
    plain = tmp_path / DAY / "kalshi.jsonl"
    plain.with_name("kalshi.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    assert sink.resume() == recorded.end
    assert copied(sink) == recorded.copies


def test_a_folder_that_cannot_be_written_is_reported_before_anything_is_sent(tmp_path):
    with pytest.raises(EngineError, match=f"{tmp_path}/no: No such file or directory; is its disk mounted?"):
        FileSink(tmp_path / "no", "kalshi", WHOLE).check()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match=f"{tmp_path}/file"):
        FileSink(tmp_path / "file", "kalshi", WHOLE).resume()
    assert not (tmp_path / "no").exists()
