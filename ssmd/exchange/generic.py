"""The dialect for any exchange that sends JSON over a WebSocket: send the configured messages, keep what arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.events import Asked, ChannelState
from ssmd.contracts.exchange import Inspection, SnapshotPolicy
from ssmd.spelling import misspelling

__all__ = ["Generic"]

_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode


class Generic:
    """The dialect that knows nothing of the exchange: no signature, no acknowledgements, no sequence numbers.

    `keys` are not used. `subscribe` may hold `messages`, a list of JSON objects to send after connecting.
    """

    numbered = False
    tick_seconds: float | None = None

    def __init__(self, keys: Mapping[str, str], subscribe: Any, snapshots: SnapshotPolicy | None = None) -> None:
        messages = subscribe.get("messages", [])
        self._commands = [json.dumps(message, separators=(",", ":")).encode() for message in messages]

    @classmethod
    def check(cls, subscribe: Any) -> Iterator[FieldProblem]:
        """Report what is wrong with an environment's `subscribe` section."""
        if not isinstance(subscribe, dict):
            yield FieldProblem((), "must be one mapping with `messages`, not a list")
            return
        for name in subscribe:
            if name != "messages":
                hint = misspelling(name, ["messages"], subscribe)
                text = "is not known to the generic dialect" + (hint or "; it has `messages` only")
                yield FieldProblem((name,), text, warning=not hint)
        messages = subscribe.get("messages", [])
        if not isinstance(messages, list):
            yield FieldProblem(("messages",), "must be a list of JSON objects, each sent after connecting")
            return
        for index, message in enumerate(messages):
            if not isinstance(message, dict):
                yield FieldProblem(("messages", index), "must be a mapping, which is sent as a JSON object")

    @classmethod
    def check_keys(cls, fields: Sequence[str]) -> Iterator[FieldProblem]:
        if fields:
            message = "have no effect in this version: the generic dialect does not sign"
            yield FieldProblem((), message, warning=True, lenient=True)

    @classmethod
    def inspector(cls) -> Generic:
        return cls({}, {})

    def headers(self, path: str, now_ms: int) -> Mapping[str, str]:
        return {}

    def commands(self) -> Sequence[bytes]:
        return self._commands

    def inspect(self, payloads: list[bytes]) -> Inspection:
        try:
            for payload in payloads:
                _check_syntax(payload)
        except (ValueError, RecursionError):
            return Inspection(decoded=False)
        return Inspection(decoded=True)

    @classmethod
    def channel_names(cls, subscribe: Any) -> Sequence[str]:
        return ()

    @classmethod
    def book_channels(cls, subscribe: Any) -> Sequence[str]:
        return ()

    def asked(self) -> Sequence[Asked]:
        return ()

    def tick(self, now_ms: int) -> Inspection:
        return Inspection(decoded=True)

    def unacknowledged(self) -> Sequence[str]:
        return ()

    def channels(self) -> Sequence[ChannelState]:
        return ()

    def unheard(self, channel: str) -> Sequence[str]:
        return ()

    def unconfirmed(self, channel: str) -> Sequence[str]:
        return ()
