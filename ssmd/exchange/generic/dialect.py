"""The dialect for any exchange that sends JSON over a WebSocket: what it does is said by its description."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.exchange import MessageReader, SnapshotPolicy
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.description import EMPTY, Description
from ssmd.exchange.generic.inspector import GenericInspector
from ssmd.exchange.generic.parse import parse, problems_of
from ssmd.exchange.generic.reader import GenericReader
from ssmd.spelling import misspelling

__all__ = ["Generic"]


class Generic:
    """The dialect of one description, by default of an exchange of which nothing is known.

    `subscribe` may hold `messages`, a list of what to send after connecting.
    """

    def __init__(self, description: Description = EMPTY) -> None:
        self._description = description

    def check_description(self, description: Mapping[str, Any]) -> Iterator[FieldProblem]:
        return problems_of(description)

    def described(self, description: Mapping[str, Any]) -> Generic:
        return Generic(parse(description))

    def __call__(
        self,
        keys: Mapping[str, str],
        subscribe: Any,
        snapshots: SnapshotPolicy | None = None,
        commands_per_second: float | None = None,
    ) -> GenericConnection:
        return GenericConnection(self._description, keys, subscribe, commands_per_second)

    def check(self, subscribe: Any) -> Iterator[FieldProblem]:
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

    def check_keys(self, fields: Sequence[str]) -> Iterator[FieldProblem]:
        if fields:
            message = "have no effect in this version: the generic dialect does not sign"
            yield FieldProblem((), message, warning=True, lenient=True)

    def channel_names(self, subscribe: Any) -> Sequence[str]:
        return ()

    def markets(self, subscribe: Any) -> Collection[str]:
        return ()

    def book_channels(self, subscribe: Any) -> Sequence[str]:
        return ()

    def inspector(self) -> GenericInspector:
        return GenericInspector(self._description)

    def reader(self) -> MessageReader:
        return GenericReader(self._description)
