"""The dialect for any exchange that sends JSON over a WebSocket: a description says what it does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.dialect import USUAL, Terms
from ssmd.contracts.exchange import MessageReader
from ssmd.contracts.table import Table
from ssmd.exchange.generic.asking import Wish, wishes_of
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.description import EMPTY, Description
from ssmd.exchange.generic.inspector import GenericInspector
from ssmd.exchange.generic.parse import OF_RECORDED, parse, problems_of
from ssmd.exchange.generic.parsing.lookalikes import lookalikes_of
from ssmd.exchange.generic.reader import GenericReader
from ssmd.exchange.generic.template import KEY, NOW_MS, NOW_S, PREPARED, faults_of
from ssmd.exchange.generic.uses import key_fields
from ssmd.spelling import misspelling

__all__ = ["GENERIC", "Generic"]

_MESSAGES = "messages"


class Generic:
    """The dialect of one description, by default of an exchange of which nothing is known.

    `subscribe` may hold `messages`, a list of what to send after connecting, with placeholders (template.py).
    """

    rest_without_keys = False

    def __init__(self, description: Description = EMPTY) -> None:
        self._description = description
        self.can_be_divided = False
        self.knows_markets = description.asked is not None and description.asked.market is not None
        self._prepared = list(description.prepare.take) if description.prepare else []

    def check_description(self, description: Mapping[str, Any]) -> Iterator[FieldProblem]:
        return problems_of(description)

    def described(self, description: Mapping[str, Any]) -> Generic:
        return Generic(parse(description))

    def needed_to_read(self, description: Mapping[str, Any]) -> dict[str, Any]:
        return {name: description[name] for name in OF_RECORDED if name in description}

    def __call__(self, keys: Mapping[str, str], subscribe: Any, terms: Terms = USUAL) -> GenericConnection:
        return GenericConnection(self._description, keys, subscribe, terms.commands_per_second)

    def check(self, subscribe: Any) -> Iterator[FieldProblem]:
        """Report what is wrong with an environment's `subscribe` section."""
        if not isinstance(subscribe, dict):
            yield FieldProblem((), "must be one mapping with `messages`, not a list")
            return
        for name in subscribe:
            if name != _MESSAGES:
                hint = misspelling(name, [_MESSAGES], subscribe)
                remedy = hint or "; it has `messages` only, each of which is sent after connecting"
                yield FieldProblem((name,), f"is not known to the generic dialect{remedy}")
        messages = subscribe.get(_MESSAGES, [])
        if not isinstance(messages, list):
            yield FieldProblem((_MESSAGES,), "must be a list (`- ` lines) of messages, each sent after connecting")
            return
        for index, message in enumerate(messages):
            if message in (None, ""):
                yield FieldProblem((_MESSAGES, index), "is empty; write the message, or remove it")
            faults = list(faults_of(message, (KEY, NOW_S, NOW_MS, PREPARED), self._prepared))
            for path, fault in faults:
                yield FieldProblem((_MESSAGES, index, *path), fault)
            for path, doubt in () if faults else lookalikes_of(message):
                yield FieldProblem((_MESSAGES, index, *path), doubt, warning=True)
        if self._description.asked is None:
            return
        if not messages:
            message = "has no messages, so nothing is asked for, although the feed's `dialect` has `asked`"
            yield FieldProblem((), f"{message}; add what to send to `subscribe.messages`", warning=True)
        elif not any(self._wishes(subscribe)):
            message = "`asked` of the feed's `dialect` finds no channel and no market in them, so it has no effect"
            yield FieldProblem((_MESSAGES,), f"{message}; correct its paths or its `when`", warning=True)

    def check_endpoint(self, endpoint: str) -> str | None:
        for _, fault in faults_of(endpoint, (KEY, NOW_S, NOW_MS, PREPARED), self._prepared):
            return fault
        for _, doubt in lookalikes_of(endpoint):
            return doubt
        return None

    def rest_endpoint(self, endpoint: str) -> str:
        return ""

    def followed(self, subscribe: Any) -> Sequence[str]:
        return ()

    def check_keys(self, fields: Sequence[str], endpoint: str, subscribe: Any) -> Iterator[FieldProblem]:
        used = key_fields(self._description, endpoint, subscribe)
        spare = [field for field in fields if field not in used]
        for name, place in used.items():
            if name in fields:
                continue
            misspelt = next((field for field in spare if misspelling(field, [name])), None)
            if misspelt is None:
                message = f"lack the field `{name}`, which {place} uses as ${{key.{name}}}"
                yield FieldProblem((), f"{message}; add it to `fields` of a key of the type api_key")
            else:
                spare.remove(misspelt)
                message = f"is used by no placeholder; did you mean `{name}`, which {place} uses as ${{key.{name}}}?"
                yield FieldProblem((fields.index(misspelt),), message)
        if fields and not used:
            message = "have no effect in this version: neither the feed nor `subscribe` has a placeholder for them"
            yield FieldProblem((), message, warning=True, lenient=True)
        elif used:
            for field in spare:
                message = f"has no effect: no placeholder `${{key.{field}}}` uses it; remove it"
                yield FieldProblem((fields.index(field),), message, warning=True)

    def channel_names(self, subscribe: Any) -> Sequence[str]:
        return list(dict.fromkeys(wish.channel for wish in self._wishes(subscribe)))

    def markets(self, subscribe: Any) -> Collection[str]:
        return {market for wish in self._wishes(subscribe) for market in wish.markets or ()}

    def _wishes(self, subscribe: Any) -> Iterator[Wish]:
        messages = subscribe.get(_MESSAGES) if isinstance(subscribe, dict) else None
        if self._description.asked is not None and isinstance(messages, list):
            yield from wishes_of(self._description.asked, messages)

    def book_channels(self, subscribe: Any) -> Sequence[str]:
        return ()

    def inspector(self) -> GenericInspector:
        return GenericInspector(self._description)

    def reader(self) -> MessageReader:
        return GenericReader(self._description)

    def tables(self) -> Sequence[Table]:
        return ()


GENERIC = Generic()
"""Of an exchange of which nothing is known."""
