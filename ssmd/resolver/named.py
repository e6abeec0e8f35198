"""Sources that name one thing for each field of a key: variables, or files."""

from __future__ import annotations

from collections.abc import Sequence

from ssmd.metadata.problem import quoted

__all__ = ["not_one_each"]


def not_one_each(names: Sequence[str], what: str, fields: Sequence[str]) -> str | None:
    """Return what is wrong when the fields do not have one name each; None when they do. `what`: variable, or file."""
    if len(set(names)) != len(names):
        return f"names the same {what} twice; each field has a {what} of its own"
    if len(names) != len(fields):
        return (
            f"names {len(names)} {what}(s) for {len(fields)} field(s) ({quoted(fields)}); "
            "name one for each, in the same order"
        )
    return None
