"""The reload of a run: another `subscribe` section of its environment is taken without a new connection."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent

from ssmd.contracts.shard import Shard
from ssmd.errors import ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.runtime.companions import Companions
from ssmd.runtime.reader import Reader
from ssmd.wiring.configuration import configuration_of, sections_of
from ssmd.wiring.load import load_again
from ssmd.wiring.room import require_shard

__all__ = ["Reloads", "changes"]

_log = logging.getLogger("ssmd.runner")


class Reloads:
    """Loads the metadata tree again whenever it is asked to, one time after the other.

    `deployment`: what is in force. `shard`: the part of the markets that the run collects. `load`: as load_again().
    `companions`: those that have ended for good are started again, since what was wrong may be right by now.
    """

    def __init__(
        self,
        deployment: Deployment,
        shard: Shard,
        reader: Reader,
        load: Callable[..., Deployment] = load_again,
        companions: Companions | None = None,
    ) -> None:
        # Without the line of each value, of which there may be many.
        self._deployment = replace(deployment, warnings=[], _lines={})
        self._shard = shard
        self._reader = reader
        self._load = load
        self._companions = companions
        self._again = False
        self._greenlet: gevent.Greenlet | None = None

    def ask(self) -> None:
        """Reload soon. While a reload is under way, one more follows it: the tree may have changed since it began."""
        self._again = True
        if self._companions is not None:
            self._companions.start_again()
        if self._greenlet is None or self._greenlet.dead:
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while self._again:
            self._again = False
            try:
                self._reload()
            except ConfigError as error:
                _log.error("reload refused; the run goes on as before", extra={"reason": str(error)})

    def _reload(self) -> None:
        _log.info("reloading the metadata")
        old = self._deployment
        today = datetime.fromtimestamp(time.time(), UTC).date()
        new = self._load(Path(old.config_dir), old.environment.name, today)
        for problem in new.warnings:
            _log.warning(str(problem))
        if differing := list(changes(old, new)):
            raise ConfigError(f"only `subscribe` may change in a run, and these differ too: {', '.join(differing)}; "
                              "restart the run")
        subscribe = new.environment.subscribe
        if subscribe == old.environment.subscribe:
            _log.info("reloaded: nothing has changed")
            return
        require_shard(new, self._shard)
        self._reader.reconfigure(subscribe, configuration_of(new))
        self._deployment = replace(new, warnings=[], _lines={})
        _log.info("reloaded: the new subscribe section is in force")


def changes(old: Deployment, new: Deployment) -> Iterator[str]:
    """Yield the fields of two deployments that differ, apart from `subscribe`, as people name them."""
    found: dict[str, None] = {}
    for (name, before), (_, after) in zip(_named(old), _named(new), strict=True):
        found.update(dict.fromkeys(_differing(name, before, after)))
    yield from found


def _named(deployment: Deployment) -> Iterator[tuple[str, Any]]:
    environment, feed, version, connection, storage, transport = map(_plain, sections_of(deployment))
    environment.pop("subscribe", None)
    yield "", environment
    yield "feed", feed
    yield f"feed.versions[{deployment.version_index}]", version
    yield f"feed.versions[{deployment.version_index}]", connection
    yield "storage", storage
    yield "transport", transport
    yield "feed's version in force", deployment.version_index
    yield "schema", _plain(deployment.schema)
    yield "schema", _plain(deployment.schema_version)


def _plain(section: Any) -> Any:
    return section if section is None else asdict(section)


def _differing(name: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            yield from _differing(f"{name}.{key}".lstrip("."), before.get(key), after.get(key))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differing(f"{name}[{index}]", one, other)
    elif before != after:
        yield name
