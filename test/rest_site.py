"""A REST interface for tests: a real HTTP server that answers each path as the test says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from exchange_server import Peer, serving

__all__ = ["Ask", "Site", "reply", "site"]


class Ask(NamedTuple):
    """One request."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    """By name, in lower case."""
    at: float
    """time.monotonic() when it had come."""


Answer = bytes | Callable[[Peer], Any]


def reply(body: bytes | str = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer. `headers`: with underscores for hyphens."""
    body = body.encode() if isinstance(body, str) else body
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Site:
    """Answers by path; a path that it does not know is 404."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.answers: dict[str, Callable[[Ask], Answer]] = {}
        self.endpoint = ""

    def script(self, peer: Peer) -> None:
        while True:
            request = peer.request()
            url = urlsplit(request.line.split()[1])
            headers = {name.lower(): value for name, value in request.headers.items()}
            ask = Ask(url.path, dict(parse_qsl(url.query)), headers, time.monotonic())
            self.asked.append(ask)
            make = self.answers.get(ask.path)
            answer = reply("no such path", "404 Not Found") if make is None else make(ask)
            if isinstance(answer, bytes):
                peer.send(answer)
            else:
                answer(peer)
                return

    def count(self, path: str) -> int:
        return sum(ask.path == path for ask in self.asked)


def _always(answer: bytes) -> Callable[[Ask], Answer]:
    return lambda ask: answer


@contextmanager
def site(answers: Mapping[str, Callable[[Ask], Answer] | bytes]) -> Iterator[Site]:
    """A site that answers these paths: each always with the same, or with what a function returns."""
    made = Site()
    for path, answer in answers.items():
        made.answers[path] = _always(answer) if isinstance(answer, bytes) else answer
    with serving(made.script) as server:
        made.endpoint = f"http://127.0.0.1:{server.port}"
        yield made
