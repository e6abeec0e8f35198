"""The connection to NATS. Its methods return when the server has answered, or when it has not done so in time.

nats-py runs in an event loop in a thread of its own. So the server's pings are answered while nothing is sent, and
every call ends, whatever the library does.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import ssl
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import Header

from ssmd.errors import EngineAuthError, EngineError
from ssmd.shipping.nats.address import Server
from ssmd.shipping.nats.library import CONNECT_SECONDS, FAILURES, NatsClient, refusal, words
from ssmd.shipping.nats.login import Login

__all__ = ["Answer", "Connection"]

T = TypeVar("T")

_CLOSE_SECONDS = 2.0
_GRACE_SECONDS = 1.0
"""How much longer than the loop the caller waits: the loop itself may be stuck."""
_LONG = 3600.0
"""Seconds for the library, which needs a number. Each call has a deadline of its own."""


class Answer(NamedTuple):
    """A message that came for a request."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    reply: str
    """Where an acknowledgement of it would go; the server puts facts about a message of a stream there."""


class Connection:
    """A connection to the first of some servers that takes it. Its methods are called from one thread.

    All of them raise EngineError with what the server says, or that it says nothing in time, and EngineAuthError when
    the server refuses the keys.
    """

    def __init__(self, servers: Sequence[Server], login: Login, context: ssl.SSLContext | None, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._failed)  # Its own one logs a traceback.
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self._client: NatsClient | None = None
        self._lost = self._loop.create_future()
        self._said = ""
        """The last error that the server has reported."""
        with contextlib.ExitStack() as failed:
            failed.callback(self.close)
            self._call(self._connect(servers, login, context, name), CONNECT_SECONDS * (len(servers) + 1))
            failed.pop_all()

    @property
    def max_payload(self) -> int:
        """The largest message that the server takes, with its headers, in bytes."""
        return self._connected().max_payload

    def request(self, subject: str, payload: bytes, headers: Mapping[str, str] | None, seconds: float) -> Answer:
        """Send a message, and return the answer to it."""
        return self.send(b"", subject, payload, headers, seconds)

    def send(
        self, first: bytes, subject: str, payload: bytes, headers: Mapping[str, str] | None, seconds: float
    ) -> Answer:
        """Send bytes of the protocol and then a message, and return the answer to that."""
        return self._call(self._send(first, subject, payload, headers), seconds)

    def gather(self, subject: str, payload: bytes, most: int, seconds: float) -> list[Answer]:
        """Send a message, and return up to `most` answers to it, until one comes that is a status of the server."""
        return self._call(self._gather(subject, payload, most), seconds)

    def close(self) -> None:
        """Close the connection. Idempotent."""
        if self._loop.is_closed():
            return
        closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        concurrent.futures.wait([closing], _CLOSE_SECONDS + _GRACE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        future = asyncio.run_coroutine_threadsafe(self._in_time(work, seconds), self._loop)
        try:
            return future.result(seconds + _GRACE_SECONDS)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise EngineError(_no_answer(seconds)) from None

    async def _in_time(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return what the work returns. A connection that is lost ends it at once."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self._lost}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.add_done_callback(lambda late: late.cancelled() or late.exception())
            task.cancel()
            raise self._lost_error() if self._lost.done() else EngineError(_no_answer(seconds))
        try:
            return task.result()
        except errors.NoRespondersError:
            raise EngineError("NATS does not answer this: JetStream is off, or no stream has the subject") from None
        except errors.ConnectionClosedError:
            raise self._lost_error() from None
        except FAILURES as error:
            raise EngineError(words(error)) from None

    def _lost_error(self) -> EngineError:
        said = f": {self._said}" if self._said else ""
        return refusal(self._said) or EngineError(f"the connection to NATS is lost{said}")

    async def _connect(
        self, servers: Sequence[Server], login: Login, context: ssl.SSLContext | None, name: str
    ) -> None:
        failures: list[EngineError] = []
        for server in servers:
            client = NatsClient(server, login)
            try:
                await client.open(name, context, self._heard, self._closed)
            except FAILURES as error:
                client.abort()
                # Then the reason is what the library has reported before.
                reason = self._said if isinstance(error, errors.NoServersError) and self._said else words(error)
                failures.append(refusal(f"{server.url}: {reason}") or EngineError(f"{server.url}: {reason}"))
            else:
                self._client = client
                return
        refused = [failure for failure in failures if isinstance(failure, EngineAuthError)]
        raise (refused or failures)[0] if refused or len(failures) == 1 else EngineError("; ".join(map(str, failures)))

    async def _send(self, first: bytes, subject: str, payload: bytes, headers: Mapping[str, str] | None) -> Answer:
        client = self._connected()
        if first:
            await client.write(first)
        answer = await client.request(subject, payload, timeout=_LONG, headers=dict(headers) if headers else None)
        return _answer(answer)

    async def _gather(self, subject: str, payload: bytes, most: int) -> list[Answer]:
        client = self._connected()
        inbox = client.new_inbox()
        coming: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await client.subscribe(inbox, cb=coming.put)
        await client.publish(subject, payload, reply=inbox)
        answers: list[Answer] = []
        while len(answers) < most:
            message = await coming.get()
            if message.headers and Header.STATUS in message.headers:
                break
            answers.append(_answer(message))
        await subscription.unsubscribe()
        return answers

    async def _close(self) -> None:
        client = self._client
        if client is not None:
            with contextlib.suppress(*FAILURES):
                await asyncio.wait_for(client.close(), _CLOSE_SECONDS)
            client.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_GRACE_SECONDS)

    async def _heard(self, error: Exception) -> None:
        self._said = words(error)
        if refusal(self._said):
            await self._closed()

    async def _closed(self) -> None:
        if self._client is not None and not self._lost.done():
            self._lost.set_result(None)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """Note an error of the library that is not the result of a request. Requests end by their deadlines then."""
        self._said = words(context.get("exception") or errors.Error(context["message"]))

    def _connected(self) -> NatsClient:
        if self._client is None:
            raise errors.ConnectionClosedError
        return self._client


def _answer(message: Msg) -> Answer:
    return Answer(message.subject, message.data, message.headers or {}, message.reply)


def _no_answer(seconds: float) -> str:
    return f"no answer from NATS within {seconds:g} s"
