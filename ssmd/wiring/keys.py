"""The keys of a deployment: those of the exchange, and those of engines, each looked up once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from ssmd.errors import SsmdError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.keys import ENGINE_KEYS
from ssmd.metadata.problem import Problem
from ssmd.resolver.lookup import LookedUp, Lookup, gravest
from ssmd.runtime.key_metrics import KeyState

__all__ = ["KeyRing", "Keys", "is_of_engine"]

Keys = Mapping[str, Mapping[str, str]]
"""The fields of the keys by type, each a mapping of names to values."""


_DAY_SECONDS = 86400

_log = logging.getLogger("ssmd.keys")


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

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Log the warnings when an error ends the block: a key that is not used may be why. Otherwise whoever starts
        the run logs them.
        """
        try:
            yield
        except SsmdError:
            for problem in self.warnings:
                _log.warning(str(problem))
            raise

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
        for warning in result.warnings:
            path = ("keys", warning.name, *filter(None, [warning.field]))
            problem = self._deployment.problem(path, warning.message, warning=True)
            self.warnings.append(problem._replace(lenient=warning.lenient))
        for name, found in result.found.items():
            rotation_days = wanted[name].rotation_days
            self.states[name] = KeyState(found.changed, rotation_days * _DAY_SECONDS if rotation_days else None)
        return result
