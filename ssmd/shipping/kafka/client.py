"""What all clients of librdkafka have in common here: settings, reports, and errors in plain words."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineFenced, printable
from ssmd.shipping.kafka.transport import KafkaConfig, is_tls, servers_of

__all__ = ["CONNECT_SECONDS", "UNREACHABLE", "Client", "now"]

CONNECT_SECONDS = 10.0
"""How long to wait for the answer to a question, connecting included."""

_SLICE = 0.25
"""How long one call into the library lasts at most, in seconds: signals are handled between two calls."""

_PAUSE = 0.02
"""Between two of these calls, in seconds: some return at once with an error that passes."""

_REFUSED = {
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.ILLEGAL_SASL_STATE,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}
_RIGHTS = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "may not do this with the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "may not use the consumer group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "may not do this in the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "may not use the transactional id",
}
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
UNREACHABLE = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._SSL,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._MSG_TIMED_OUT,
}
"""Errors that pass when the brokers can be reached again."""

_SILENT = logging.Logger("librdkafka", logging.CRITICAL + 1)
"""librdkafka writes a log of its own to stderr unless a logger takes it. What matters in it comes as an error too."""

_ORIGIN = re.compile(r"^(?:\w+://)?(\S+)/(?:bootstrap|[0-9]+): ")
_STATE = re.compile(r" \((after [0-9]+ms in state |PID\{).*$", re.DOTALL)
"""What librdkafka puts around the reason: the protocol and the name of a broker, and a state of its own."""

_T = TypeVar("_T")


def _readable(path: str) -> str:
    """Return the path of `ca_file`. Raises ConfigError when it cannot be read: librdkafka does not name the file."""
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise ConfigError(f"transport.ca_file: cannot read {path}: {error.strerror}") from None


def now() -> float:
    """Return a time in seconds that goes on while the machine is suspended, as the broker's does."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))  # macOS has only the second.


class Client:
    """The settings of the clients of one transport, and their last reports.

    Raises ConfigError for settings that librdkafka does not take, such as a file that is not there.
    """

    def __init__(self, config: KafkaConfig, keys: Mapping[str, str]) -> None:
        self._servers = servers_of(config.url)
        self._hidden = tuple(keys.values())
        self._settings: dict[str, Any] = {
            "bootstrap.servers": self._servers,
            "client.id": "ssmd",
            "logger": _SILENT,
            "error_cb": self._note,
            "socket.keepalive.enable": True,
            "reconnect.backoff.max.ms": 2000,
        }
        protocol = "SSL" if is_tls(config.url) else "PLAINTEXT"
        if keys:
            self._settings |= {"sasl.mechanism": config.sasl_mechanism}
            self._settings |= {"sasl.username": keys["user"], "sasl.password": keys["password"]}
            protocol = f"SASL_{protocol}"
        if config.ca_file:
            self._settings["ssl.ca.location"] = _readable(config.ca_file)
        self._settings["security.protocol"] = protocol
        self.shows_password = protocol == "SASL_PLAINTEXT" and config.sasl_mechanism == "PLAIN"
        """Whether everybody on the way to the brokers can read the password."""
        self._refused = ""
        self._unreachable = ""

    def make(self, kind: Callable[[dict[str, Any]], _T], settings: Mapping[str, Any] = MappingProxyType({})) -> _T:
        """Return a client of a class of confluent_kafka, with further settings:
        https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
        """
        try:
            return kind({**self._settings, **settings})
        except KafkaException as error:
            # Nothing has been sent yet, so it is a setting.
            if "ssl.ca.location" in error.args[0].str():
                file = self._settings["ssl.ca.location"]
                raise ConfigError(f"transport.ca_file: {file} has no certificates in the form PEM") from None
            raise ConfigError(f"transport: {self._text(error.args[0])}") from None

    def wait(self, call: Callable[[float], _T], client: Any, doing: str) -> _T:
        """Return what repeat() returns, within CONNECT_SECONDS. Raises EngineError."""
        try:
            return self.repeat(call, client, CONNECT_SECONDS)
        except KafkaException as error:
            raise self.error(error.args[0], doing) from None

    def repeat(self, call: Callable[[float], _T], client: Any, seconds: float) -> _T:
        """Return what a call returns that waits for the brokers, and that can be repeated after a time-out.

        It is called with a number of seconds, again and again for `seconds` at most. Raises KafkaException.
        """
        end = now() + seconds
        while True:
            try:
                answer = call(min(_SLICE, max(0.0, end - now())))
            except KafkaException as error:
                problem = error.args[0]
                if hasattr(client, "poll"):
                    client.poll(0)  # Calls _note().
                again = problem.retriable() or problem.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT)
                if not again or problem.fatal() or self._refused or now() >= end:
                    raise
                time.sleep(_PAUSE)
            else:
                self._refused = self._unreachable = ""
                return answer

    def result(self, future: Any, doing: str) -> Any:
        """Return the result of a call of an AdminClient. Raises EngineError."""
        try:
            return future.result(CONNECT_SECONDS)
        except KafkaException as error:
            raise self.error(error.args[0], doing) from None
        except TimeoutError:
            raise EngineError(f"{self._at(doing)}: no answer for {CONNECT_SECONDS:g} s") from None

    def error(self, problem: KafkaError, doing: str) -> EngineError:
        """Return what librdkafka has reported, as an error in plain words. `doing`: what could not be done."""
        code = problem.code()
        if code in _FENCED:
            return EngineFenced(
                f"{self._at(doing)}: another relay ships this feed to this topic and has taken over; "
                "run only one of them"
            )
        if code in _REFUSED or (code in UNREACHABLE and self._refused):
            said = self._refused or self._text(problem)
            return EngineAuthError(f"{self._at(doing)}: the broker refuses the user or the password: {said}")
        if code in _RIGHTS:
            return EngineAuthError(
                f"{self._at(doing)}: the user {_RIGHTS[code]}: {self._text(problem)}; docs/shipping.md lists the "
                "rights that a relay needs"
            )
        if code in UNREACHABLE and self._unreachable:
            return EngineError(f"{self._at(doing)}: {self._unreachable}")
        if code in UNREACHABLE:
            return EngineError(f"{self._at(doing)}: the brokers have not answered in time")
        return EngineError(f"{self._at(doing)}: {self._text(problem)}")

    def _at(self, doing: str) -> str:
        return f"kafka at {self._servers}: cannot {doing}"

    def _note(self, problem: KafkaError) -> None:
        """Keep what a client reports of its connections: a call that waits fails later with `timed out` only."""
        if problem.code() in _REFUSED:
            self._refused = self._text(problem)
        elif problem.code() in UNREACHABLE and problem.code() != KafkaError._ALL_BROKERS_DOWN:
            self._unreachable = self._text(problem)

    def _text(self, problem: KafkaError) -> str:
        text = problem.str() or problem.name()
        if "certificate verify failed" in text:
            return (
                "the broker's certificate is for another host, or no authority that is trusted has signed it; name its "
                "authority in `transport.ca_file`"
            )
        text = _STATE.sub("", _ORIGIN.sub(r"\1: ", text))
        return printable(text, 300, self._hidden)
