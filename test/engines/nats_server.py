"""A NATS server as a process of its own, which is killed, frozen and started again in its place."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import nats
from nats.aio.client import Client
from server_process import DEADLINE, ServerProcess

T = TypeVar("T")

PREFIX = "prod.kalshi"
PROGRAM = Path(sys.executable).parent / "nats-server"


class Kept(NamedTuple):
    """A message of a stream, as a consumer gets it."""

    subject: str
    headers: dict[str, str]
    payload: bytes


class NatsServer(ServerProcess):
    """Started by its constructor, and by start() after kill(). `more`: the rest of its configuration file.

    `login`: how the methods that ask it log in, as arguments of nats-py's connect().
    """

    def __init__(self, folder: Path, more: str = "", ready: bool = True, **login: Any) -> None:
        super().__init__()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._folder = folder
        self._login = login
        folder.mkdir(parents=True)
        self.configure(more)
        self.start(ready)

    def configure(self, more: str, jetstream: bool = True) -> None:
        """Write the configuration, for the next start()."""
        store = f"jetstream {{ store_dir: '{self._folder}/store' }}" if jetstream else ""
        (self._folder / "nats.conf").write_text(f"listen: 127.0.0.1:{self.port}\n{store}\n{more}\n")

    def start(self, ready: bool = True) -> None:
        self.launch([PROGRAM, "-c", self._folder / "nats.conf"], self._folder / "log")
        if ready:
            self.ask("INFO")

    def use(self, work: Callable[[Client], Awaitable[T]], seconds: float | None = DEADLINE) -> T:
        """Return what is done with a connection of nats-py, within so many seconds."""

        async def connected() -> T:
            async def ignore(error: Exception) -> None:
                pass

            client = await nats.connect(self.url, allow_reconnect=False, error_cb=ignore, **self._login)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(asyncio.wait_for(connected(), seconds))

    def ask(self, what: str, request: Any = None) -> dict[str, Any]:
        """Return JetStream's answer, of which it may have to wait after a start. An error of it fails the test."""
        payload = b"" if request is None else json.dumps(request).encode()

        async def asked(client: Client) -> dict[str, Any]:
            while True:
                try:
                    answer = await client.request(f"$JS.API.{what}", payload, timeout=1)
                except (nats.errors.NoRespondersError, nats.errors.TimeoutError):
                    await asyncio.sleep(0.02)
                else:
                    return dict(json.loads(answer.data))

        answer = self.use(asked)
        assert "error" not in answer, answer
        return answer

    def create(self, stream: str = "FEED", **settings: Any) -> None:
        """Create a stream: by default one that is right for ssmd."""
        self.ask(f"STREAM.CREATE.{stream}", self.settings(stream, **settings))

    def change(self, stream: str = "FEED", **settings: Any) -> None:
        self.ask(f"STREAM.UPDATE.{stream}", self.settings(stream, **settings))

    @staticmethod
    def settings(stream: str, **settings: Any) -> dict[str, Any]:
        usual = {
            "name": stream, "subjects": [f"{PREFIX}.>"], "retention": "limits", "storage": "file", "num_replicas": 1,
            "discard": "new", "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_msg_size": -1, "allow_atomic": True,
        }  # fmt: skip
        return usual | settings

    def state(self, stream: str = "FEED") -> dict[str, Any]:
        return dict(self.ask(f"STREAM.INFO.{stream}")["state"])

    def kept(self, stream: str = "FEED", pattern: str = f"{PREFIX}.>") -> list[Kept]:
        """Return all messages that the stream has on some subjects, read by a consumer of nats-py."""

        async def read(client: Client) -> list[Kept]:
            found: list[Kept] = []
            context = client.jetstream()
            counts = (await context.stream_info(stream, subjects_filter=pattern)).state.subjects or {}
            subscription = await context.subscribe(pattern, stream=stream, ordered_consumer=True)
            while len(found) < sum(counts.values()):
                message = await subscription.next_msg(DEADLINE)
                found.append(Kept(message.subject, dict(message.headers or {}), message.data))
            return found

        return self.use(read, None)  # Each message has a deadline of its own.

    def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Publish one message as another program would, and return the server's answer."""

        async def published(client: Client) -> dict[str, Any]:
            return dict(json.loads((await client.request(subject, payload, timeout=DEADLINE, headers=headers)).data))

        return self.use(published)
