"""The keys of a deployment: those of the exchange, and those of engines, each looked up once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping

from ssmd.contracts.resolver import Found
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import ENGINE_KEYS
from ssmd.metadata.problem import Problem
from ssmd.resolver.lookup import LookedUp, Lookup, gravest
from ssmd.runtime.key_metrics import KeyState

__all__ = ["KeyRing", "Keys", "is_of_engine"]

Keys = Mapping[str, Mapping[str, str]]
"""The fields of the keys by type, each a mapping of names to values."""


_DAY_SECONDS = 86400


def is_of_engine(kind: str) -> bool:
    """Return whether keys of this type are for an engine. Others are for the exchange, or for nothing that is known."""
    return kind in ENGINE_KEYS


class KeyRing:
    """Looks up the keys of a deployment as they are needed."""

    def __init__(self, deployment: Deployment, environ: Mapping[str, str]) -> None:
        self._deployment = deployment
        self._lookup = Lookup(environ)
        self.warnings: list[Problem] = []
        """What people should do about the keys that were looked up."""
        self.states: dict[str, KeyState] = {}
        """The ages of the keys that were found, by name."""

    def of_exchange(self) -> Keys:
        """Return the fields of the keys that are not for an engine. Raises ResolveError."""
        return self._require(lambda kind: not is_of_engine(kind), "; to see ssmd at work without keys, run kalshi-sim")

    def of_engines(self, engines: Collection[str]) -> Keys:
        """Return the fields of the keys of these engines. Raises ResolveError."""
        return self._require(engines.__contains__)

    def try_all(self, is_wanted: Callable[[str], bool]) -> tuple[Keys, list[Problem]]:
        """Return the fields of all keys that can be found, of the types that are wanted, and which required keys
        cannot.
        """
        result = self._look_up(is_wanted)
        return result.values, list(self._problems(result))

    def _require(self, is_wanted: Callable[[str], bool], hint: str = "") -> Keys:
        result = self._look_up(is_wanted)
        if problems := list(self._problems(result)):
            raise gravest(result.missing)("\n".join(f"{problem}{hint}" for problem in problems))
        return result.values

    def _problems(self, result: LookedUp) -> Iterator[Problem]:
        for name, error in result.missing.items():
            yield self._deployment.problem(("keys", name), str(error))

    def _look_up(self, is_wanted: Callable[[str], bool]) -> LookedUp:
        wanted = {name: key for name, key in self._deployment.environment.keys.items() if is_wanted(key.type)}
        result = self._lookup.look_up(wanted)
        for name, error in result.unavailable.items():
            self._warn(name, f"is not used, because it is not required: {error}")
        for name, found in result.found.items():
            for warning in found.warnings:
                self._warn(name, warning)
            self._check_age(name, found, wanted[name].rotation_days)
        return result

    def _check_age(self, name: str, found: Found, rotation_days: int | None) -> None:
        """Keep the age of a key, and warn when it is older than `rotation_days`, or when that is not known."""
        limit = rotation_days * _DAY_SECONDS if rotation_days else None
        state = self.states[name] = KeyState(found.changed, limit)
        age = state.age(time.time())
        if limit is None:
            return
        if age is None:
            message = "has no effect here: the key's source does not say how old the key is"
            self._warn(name, message, "rotation_days", lenient=True)
        elif age > limit:
            days = int(age // _DAY_SECONDS)
            self._warn(name, f"is {rotation_days}, and the key is {days} days old; replace the key", "rotation_days")

    def _warn(self, name: str, message: str, field: str = "", *, lenient: bool = False) -> None:
        path = ("keys", name, field) if field else ("keys", name)
        self.warnings.append(self._deployment.problem(path, message, warning=True)._replace(lenient=lenient))
