"""Which settings of the topics could lose messages, as warnings, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["of_data", "of_positions"]

_HOUR_MS = 3600 * 1000
_DAY_MS = 24 * _HOUR_MS
_LARGEST = 1_000_000


def of_data(name: str, replicas: int, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each setting of a topic with messages. `replicas`: the fewest that one of its partitions has.

    `settings`: those of the topic, with the brokers' defaults; empty when they are not known.
    """
    policy = settings.get("cleanup.policy", "delete")
    if "compact" in policy:
        yield (
            f"the topic {name} has cleanup.policy={policy}, so only the newest message of each market stays; "
            "set cleanup.policy=delete"
        )
    kept = _number(settings, "retention.ms", -1)
    if "delete" in policy and 0 <= kept < _DAY_MS:
        yield (
            f"the topic {name} keeps messages for {kept / _HOUR_MS:.1f} hours only, and a consumer that stops for "
            "longer misses some; set retention.ms to a day or more"
        )
    largest = _number(settings, "max.message.bytes", _LARGEST)
    if largest < _LARGEST:
        yield (
            f"the topic {name} takes {largest:,} bytes in one message at most, and a longer one ends the shipping; "
            f"set max.message.bytes to {_LARGEST:,} or more"
        )
    yield from _of_replicas(name, replicas, settings)


def of_positions(name: str, replicas: int, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each setting of the topic with the positions. The arguments are those of of_data()."""
    policy = settings.get("cleanup.policy", "compact")
    if policy != "compact":
        yield (
            f"the topic {name} has cleanup.policy={policy}, so the position is lost when nothing is shipped for a "
            "while; set cleanup.policy=compact"
        )
    yield from _of_replicas(name, replicas, settings)


def _of_replicas(name: str, replicas: int, settings: Mapping[str, str]) -> Iterator[str]:
    if replicas == 1:
        yield (
            f"each message of the topic {name} is on one broker only, and is lost with its disk; "
            "give the topic three replicas"
        )
    elif 0 < replicas <= _number(settings, "min.insync.replicas", 1):
        yield (
            f"the topic {name} has {replicas} replicas and needs all of them, so nothing is shipped while one "
            "broker is down; set min.insync.replicas to one less"
        )
    elif "min.insync.replicas" in settings and _number(settings, "min.insync.replicas", 1) < 2:
        yield (
            f"a broker may acknowledge a message of the topic {name} that no other broker has; "
            "set min.insync.replicas=2"
        )
    if settings.get("unclean.leader.election.enable") == "true":
        yield (
            f"a broker that lacks the newest messages of the topic {name} may take it over, and they are lost; "
            "set unclean.leader.election.enable=false"
        )


def _number(settings: Mapping[str, str], name: str, unknown: int) -> int:
    try:
        return int(settings[name])
    except (LookupError, ValueError):
        return unknown
