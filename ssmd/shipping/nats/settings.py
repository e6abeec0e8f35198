"""The settings of a stream: those that a feed needs to be shipped, and those that are worth a warning. Pure.

Source: https://docs.nats.io/nats-concepts/jetstream/streams
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssmd.errors import EngineError
from ssmd.exchange.topics import CONTROL, DATA, PRIVATE
from ssmd.shipping.nats.messages import Limit

__all__ = ["Settings"]

_WEEK_SECONDS = 7 * 24 * 3600
_USUAL_BYTES = 1024 * 1024
"""A smaller limit of a message's size is worth a warning: order books of a large market may not fit."""
_NONE = -1


class Settings:
    """The settings of the stream `name`, from the server's answer to STREAM.INFO."""

    def __init__(self, name: str, info: Mapping[str, Any]) -> None:
        self._name = name
        self._config: Mapping[str, Any] = info.get("config") or {}
        self._clustered = "cluster" in info and bool(info["cluster"].get("name"))
        self.last_sequence: int = (info.get("state") or {}).get("last_seq", 0)

    @property
    def is_atomic(self) -> bool:
        """Whether it takes batches of which all or nothing is stored; servers before 2.12 do not know the setting."""
        return bool(self._config.get("allow_atomic"))

    @property
    def max_age_seconds(self) -> float:
        """After which time a message is removed; 0 for never."""
        return float(self._config.get("max_age") or 0) / 1e9

    def limit(self, max_payload: int) -> Limit:
        """Return the largest message that is taken. `max_payload`: that of the server."""
        of_stream = self._config.get("max_msg_size", _NONE)
        if 0 <= of_stream < max_payload:
            return Limit(of_stream, f"`max_msg_size` of the stream {self._name}")
        return Limit(max_payload, "`max_payload` in the configuration of the NATS server")

    def check(self, prefix: str, position: str) -> None:
        """Raise EngineError when nothing could be shipped. `position` is the subject of the positions."""
        config = self._config
        if config.get("mirror") or config.get("sealed"):
            raise self._fault("is a mirror or sealed, and takes no messages", "name another stream")
        if config.get("no_ack"):
            raise self._fault("acknowledges nothing (`no_ack`)", "make it without that")
        if config.get("subject_transform"):
            raise self._fault("changes subjects (`subject_transform`)", "make it without that")
        if config.get("retention", "limits") != "limits":
            raise self._fault(
                f"has the retention `{config['retention']}`, with which it also drops the positions of the relay",
                "make it with `limits`",
            )
        wanted = [f"{prefix}.{section}.>" for section in (DATA, CONTROL, PRIVATE)] + [position]
        subjects = config.get("subjects") or []
        missing = [subject for subject in wanted if not any(_covers(own, subject) for own in subjects)]
        if missing:
            raise self._fault(
                f"does not have the subjects {', '.join(missing)}",
                f"give it `{prefix}.>`, or change transport.subject_prefix",
            )

    def warnings(self, limit: Limit) -> Sequence[str]:
        """Return what is worth a warning, each with its remedy."""
        return [f"the stream {self._name}: {text}" for text in self._warnings(limit)]

    def _warnings(self, limit: Limit) -> Iterator[str]:
        config = self._config
        if not self.is_atomic:
            yield (
                "without `allow_atomic` messages are sent one by one, which is slower, and no other feed or shard can "
                "use it; set that, with a server of version 2.12 or later"
            )
        limits = [name for name in ("max_msgs", "max_bytes") if config.get(name, _NONE) > 0]
        if config.get("discard", "old") == "old" and limits:
            yield (
                f"when it has `{'` or `'.join(limits)}`, it drops the oldest messages, whether or not they have been "
                "read (`discard: old`); set `discard: new`, and shipping waits until there is room"
            )
        if config.get("max_msgs_per_subject", _NONE) > 0:
            yield (
                f"it keeps {config['max_msgs_per_subject']} messages of each subject (`max_msgs_per_subject`), so most "
                "of a market's messages are lost; set it to -1"
            )
        if 0 < self.max_age_seconds < _WEEK_SECONDS:
            yield (
                f"it removes messages after {self.max_age_seconds / 3600:g} hours (`max_age`), and with them the "
                "position of a feed that was silent so long; set it to a week or longer"
            )
        if config.get("storage") == "memory":
            yield "it is in memory, and lost when the server stops (`storage: memory`); make it with `storage: file`"
        if self._clustered and config.get("num_replicas", 1) < 3:
            yield (
                f"it has {config.get('num_replicas', 1)} replicas in a cluster, so it may be lost with one server; "
                "set `num_replicas` to 3"
            )
        if limit.bytes < _USUAL_BYTES:
            yield f"a message may have {limit.bytes} bytes at most, and some may be larger; raise {limit.setting}"

    def _fault(self, what: str, remedy: str) -> EngineError:
        return EngineError(f"the stream {self._name} {what}; {remedy}")


def _covers(own: str, wanted: str) -> bool:
    """Return whether the subjects of the pattern `own` are or include all those of the pattern `wanted`."""
    words, wanted_words = own.split("."), wanted.split(".")
    for index, word in enumerate(words):
        if word == ">":
            return index < len(wanted_words)
        if index == len(wanted_words) or wanted_words[index] == ">":
            return False
        if word not in ("*", wanted_words[index]):
            return False
    return len(words) == len(wanted_words)
