"""JetStream's interface for one stream: its settings, its messages, and what an acknowledgement says.

Source: https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ssmd.errors import EngineError, printable
from ssmd.shipping.nats.connection import Answer, Connection
from ssmd.shipping.nats.messages import Written
from ssmd.shipping.nats.settings import Settings

__all__ = ["WRONG_ID", "WRONG_SEQUENCE", "Acknowledged", "Refused", "Stored", "Stream"]

_API = "$JS.API"
_SECONDS = 5.0
"""For one request."""
_SEND_SECONDS = 10.0
"""For a block: a cluster may have to elect a leader meanwhile."""
_AT_ONCE = 500
"""Messages that are read with one request."""
_INACTIVE_NS = 60 * 10**9
"""After which time a server removes a consumer that nobody reads from."""

_NO_STREAM, _NO_MESSAGE = 10059, 10037
WRONG_SEQUENCE, WRONG_ID = (10071, 10164), 10070
"""The codes of the conditions that were not fulfilled."""


class Refused(EngineError):
    """The server has not stored what was sent."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code
        """The server's `err_code`, as in https://github.com/nats-io/nats-server/blob/main/server/errors.json."""


class Acknowledged(NamedTuple):
    """What the server has stored."""

    sequence: int
    """Of the last message."""
    messages: int
    """How many."""


class Stored(NamedTuple):
    """A message of the stream."""

    sequence: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes


class Stream:
    """A stream that exists. Its methods raise EngineError."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self.name = name

    @classmethod
    def of(cls, connection: Connection, subjects: str) -> Stream:
        """Return the stream that has some subjects. Raises EngineError when none has them, or several have."""
        names = cls(connection, "")._ask("STREAM.NAMES", {"subject": subjects}).get("streams") or []
        if not names:
            raise EngineError(
                f"no stream of NATS has the subjects {subjects}; make one, or correct transport.subject_prefix"
            )
        if len(names) > 1:
            raise EngineError(
                f"several streams have the subjects {subjects}: {printable(', '.join(sorted(names)))}; name one of "
                "them as transport.stream, which has to have all of them"
            )
        return cls(connection, names[0])

    def settings(self) -> Settings:
        return Settings(self.name, self._ask(f"STREAM.INFO.{self.name}", {}))

    def last_of(self, subject: str) -> Stored | None:
        """Return the newest message of a subject; None when there is none."""
        return self._get({"last_by_subj": subject})

    def at(self, sequence: int) -> Stored | None:
        """Return the message with a sequence; None when it is not there, or not there any more."""
        return self._get({"seq": sequence})

    def _get(self, which: Mapping[str, Any]) -> Stored | None:
        try:
            found = self._ask(f"STREAM.MSG.GET.{self.name}", which)["message"]
        except Refused as error:
            if error.code == _NO_MESSAGE:
                return None
            raise
        headers = _headers(base64.b64decode(found.get("hdrs") or ""))
        return Stored(found["seq"], found["subject"], headers, base64.b64decode(found.get("data") or ""))

    def put(self, written: Written) -> Acknowledged:
        """Send messages, the last of which is answered. Raises Refused, and EngineError when nothing is known."""
        answer = self._connection.send(*written, _SEND_SECONDS)
        reply = self._checked(answer)
        return Acknowledged(reply["seq"], reply.get("count", 1))

    def read(self, subjects: str, from_time: str | None = None, from_sequence: int = 1) -> Iterator[Stored]:
        """Yield the messages of some subjects up to the end of the stream by now, in order.

        `from_time`: without those that were stored before, RFC 3339.
        """
        last = self.settings().last_sequence
        start = {"deliver_policy": "by_start_sequence", "opt_start_seq": max(from_sequence, 1)}
        if from_time is not None:
            start = {"deliver_policy": "by_start_time", "opt_start_time": from_time}
        config = {"ack_policy": "none", "mem_storage": True, "num_replicas": 1, "inactive_threshold": _INACTIVE_NS}
        request = {"stream_name": self.name, "config": {**config, **start, "filter_subject": subjects}}
        consumer = self._ask(f"CONSUMER.CREATE.{self.name}", request)
        try:
            yield from self._delivered(consumer["name"], consumer["num_pending"], last)
        finally:
            # Without an answer the server removes it later by itself.
            with contextlib.suppress(EngineError):
                self._ask(f"CONSUMER.DELETE.{self.name}.{consumer['name']}", {})

    def _delivered(self, consumer: str, waiting: int, last: int) -> Iterator[Stored]:
        """Yield what a consumer has, up to the sequence `last`. `waiting`: how many messages it has."""
        subject = f"{_API}.CONSUMER.MSG.NEXT.{self.name}.{consumer}"
        before = sequence = 0
        while waiting:
            wanted = min(waiting, _AT_ONCE)
            request = json.dumps({"batch": wanted, "expires": int(_SECONDS * 1e9)}).encode()
            answers = self._connection.gather(subject, request, wanted, _SECONDS + 1)
            if not answers:
                raise EngineError(f"the stream {self.name} ends at sequence {sequence}, before {last}")
            for answer in answers:
                sequence, delivered, waiting = _metadata(answer.reply)
                if delivered != before + 1:
                    raise EngineError(f"a message before sequence {sequence} of the stream {self.name} did not arrive")
                before = delivered
                if sequence > last:
                    return
                yield Stored(sequence, answer.subject, answer.headers, answer.data)

    def _ask(self, what: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return self._checked(self._connection.request(f"{_API}.{what}", json.dumps(request).encode(), None, _SECONDS))

    def _checked(self, answer: Answer) -> dict[str, Any]:
        """Return the object that the server has answered. Raises Refused for an error."""
        try:
            found = json.loads(answer.data)
            error = found.get("error")
        except (ValueError, AttributeError):
            raise EngineError(f"the answer of NATS is not one of JetStream: {printable(answer.data)}") from None
        if error is None:
            return dict(found)
        said, code = printable(str(error.get("description", ""))), error.get("err_code", 0)
        if code == _NO_STREAM:
            raise Refused(f"there is no stream {self.name}; make it, or correct transport.stream", code)
        raise Refused(f"the stream {self.name}: the server says: {said} ({code}){_REMEDIES.get(code, '')}", code)


_REMEDIES = {
    10054: "; raise `max_msg_size`",
    10077: "; remove messages, or raise `max_msgs` and `max_bytes`",
    # Also when its disk was full: the server turns JetStream off then, until it is started again.
    10023: "; give JetStream more room, on its disk or by `max_file_store` or `max_memory_store`; then restart the "
    "server if its log says that JetStream is disabled",
    10047: "; give JetStream more room, `max_file_store` or `max_memory_store`",
}


def _headers(data: bytes) -> dict[str, str]:
    """Return the headers of a message as the protocol has them: a line with its version, then one line for each."""
    lines = data.decode("utf-8", "replace").split("\r\n")[1:]
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}


def _metadata(reply: str) -> tuple[int, int, int]:
    """Return the sequence in the stream, that in the consumer, and how many messages wait.

    They are in the subject to which an acknowledgement would go:
    $JS.ACK.{stream}.{consumer}.{times}.{stream sequence}.{consumer sequence}.{time}.{waiting}; in another form, with
    two more words in front of the stream, and one at the end.
    """
    words = reply.split(".")
    first = 5 if len(words) == _SHORT_REPLY else 7
    try:
        return int(words[first]), int(words[first + 1]), int(words[first + 3])
    except (ValueError, IndexError):
        raise EngineError(f"NATS delivers a message without its sequence: {printable(reply)}") from None


_SHORT_REPLY = 9
