"""What every sink must do, with JetStream: with a stream that takes atomic batches, and with one that does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from nats_server import PREFIX, Kept, NatsServer
from sink_conformance import Conformance, EditableEngine, Engine, Recorded, VerifyConformance

from ssmd.contracts.shard import Shard
from ssmd.errors import EngineError

STORE = "store/jetstream/$G/streams/FEED/msgs"


class JetStream(EditableEngine):
    """A server with one stream, and perhaps a user."""

    def __init__(self, folder: Path, keys: dict[str, Any] | None = None, **settings: Any) -> None:
        self._folder = folder
        self._keys = keys or {}
        more = f"authorization {{ user: {keys['user']}, password: {keys['password']} }}" if keys else ""
        self.server = NatsServer(folder, more, **self._keys)
        self.server.create(**settings)

    @property
    def keys(self) -> Mapping[str, str]:
        return self._keys

    @property
    def config(self) -> Mapping[str, Any]:
        return {"type": "nats", "url": self.server.url, "stream": "FEED", "subject_prefix": PREFIX}

    @property
    def too_big(self) -> int:
        return 1024 * 1024

    def stop(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()

    def lose_tail(self) -> None:
        """As a power failure does: the end of the file was not on the disk yet."""
        self.server.kill()
        newest = max((self._folder / STORE).glob("*.blk"))
        with newest.open("r+b") as file:
            file.truncate(newest.stat().st_size - 700)
        self.server.start()

    def take_out(self) -> list[Kept]:
        found = [kept for kept in self.server.kept() if ".position." not in kept.subject]
        for section in ("json", "control", "private"):
            self.server.ask("STREAM.PURGE.FEED", {"filter": f"{PREFIX}.{section}.>"})
        return found

    def put_in(self, messages: Sequence[Kept]) -> None:
        for kept in messages:
            facts = {name: value for name, value in kept.headers.items() if name.startswith("Ssmd-")}
            assert "error" not in self.server.publish(kept.subject, kept.payload, facts)

    def changed(self, message: Kept) -> Kept:
        return message._replace(payload=message.payload.replace(b"1", b"2"))

    def misnamed(self, message: Kept) -> Kept:
        return message._replace(subject=f"{message.subject}-2")

    def plant_position(self, data: bytes) -> None:
        assert "error" not in self.server.publish(f"{PREFIX}.position.kalshi", data)


class TestAtomicBatches(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = JetStream(tmp_path / "nats")
        yield engine
        engine.server.kill()


class TestSingleMessages(Conformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = JetStream(tmp_path / "nats", allow_atomic=False)
        yield engine
        engine.server.kill()

    def test_an_empty_engine_has_no_position_and_no_messages(self, engine):
        with contextlib.closing(engine.open()) as sink:
            [warning] = sink.check()
            assert "without `allow_atomic` messages are sent one by one, which is slower" in warning
            assert sink.resume() is None
            assert sink.copies() == []
            assert not sink.traits.atomic

    def test_shards_are_copied_beside_each_other(self, engine):
        """They are not, and the error says so: what is not atomic is kept in order by the last message of all."""
        shards = [Shard(1, 2), Shard(2, 2)]
        with contextlib.ExitStack() as stack:
            first, second = (stack.enter_context(contextlib.closing(engine.open(shard=shard))) for shard in shards)
            first.resume()
            second.resume()
            recorded = Recorded(shard=shards[0])
            with pytest.raises(EngineError, match="without `allow_atomic` no other feed or shard can use it"):
                first.send(recorded.trades(5))
            assert first.resume() is None
            assert first.copies() == []


class TestVerify(VerifyConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[EditableEngine]:
        engine = JetStream(tmp_path / "nats", {"user": "relay", "password": "correct-horse"})
        yield engine
        engine.server.kill()
