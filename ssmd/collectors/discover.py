"""Which collectors there are, as a file says it in the form of Prometheus' file_sd.

A list of `{targets: [<host:port>, ...], labels: {<name>: <value>}}`, as YAML or JSON; see
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ssmd.collectors.ask import Address
from ssmd.errors import ConfigError, visible

__all__ = ["Target", "read_bytes", "targets_in"]

_MOST_BYTES = 256 * 1024
"""Some thousand collectors."""


class Target(NamedTuple):
    """A collector that is to be asked."""

    address: Address
    labels: Mapping[str, str]
    """What the file says of it, for people."""


def read_bytes(path: Path) -> bytes:
    """Return what is in a file of collectors. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise ConfigError(f"{path}: has more than {_MOST_BYTES:,} bytes; is it the right file?")
    return data


def targets_in(data: bytes, path: Path) -> list[Target]:
    """Return the collectors that a file names, each once. Raises ConfigError, which says where the file is wrong."""
    import yaml

    try:
        # JSON is YAML too. The loader that is written in C crashes on lists that are nested deeply.
        groups = yaml.load(data, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = f":{line + 1}" if line is not None else ""
        raise ConfigError(f"{path}{where}: is neither YAML nor JSON") from None
    if not isinstance(groups, list):
        raise ConfigError(f"{path}: must be a list of {{targets: [<host:port>], labels: {{...}}}}, as for Prometheus")
    found: dict[Address, Target] = {}
    for place, group in enumerate(groups):
        for target in _targets(path, f"[{place}]", group):
            found.setdefault(target.address, target)
    return list(found.values())


def _targets(path: Path, place: str, group: Any) -> Sequence[Target]:
    if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
        raise ConfigError(f"{path}: {place}: must have `targets`, a list of <host:port>")
    labels = group.get("labels") or {}
    if not isinstance(labels, dict):
        raise ConfigError(f"{path}: {place}.labels: must be a mapping of names to texts")
    # Those that begin with two underscores are for Prometheus itself.
    shown = {str(name): str(value) for name, value in labels.items() if not str(name).startswith("__")}
    found = []
    for number, text in enumerate(group["targets"]):
        try:
            found.append(Target(Address.parse(str(text)), shown))
        except ValueError as error:
            raise ConfigError(f"{path}: {place}.targets[{number}]: is '{visible(str(text))}'; {error}") from None
    return found
