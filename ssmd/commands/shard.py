"""The value of --shard: the shard to run, or the one whose files a command reads."""

from __future__ import annotations

from collections.abc import Mapping

from ssmd.contracts.shard import WHOLE, Shard, parse_shard
from ssmd.errors import UsageError, visible

__all__ = ["read_shard", "shard_to_run"]

_OPTION = "--shard"
_VARIABLE = "SSMD_SHARD"


def read_shard(text: str, name: str = _OPTION) -> Shard:
    """Return the shard that a text such as `2/4` names. `name`: where the text is from. Raises UsageError."""
    try:
        return parse_shard(text)
    except ValueError as error:
        raise UsageError(f"{name} is '{visible(text)}'; it {error}") from None


def shard_to_run(text: str | None, environ: Mapping[str, str]) -> Shard:
    """Return the shard that --shard names or, when `text` is None, SSMD_SHARD; without both, all of it is to be run.

    Raises UsageError.
    """
    if text is not None:
        return read_shard(text)
    text = environ.get(_VARIABLE)
    return read_shard(text, _VARIABLE) if text else WHOLE
