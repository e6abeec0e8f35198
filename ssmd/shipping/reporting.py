"""What a process that ships reports of itself: of each shard, and of all together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssmd.shipping.plan import DAY, RelayState

__all__ = ["report_of"]


def report_of(engine: str, states: Sequence[RelayState], rests: Sequence[RelayState] = ()) -> dict[str, Any]:
    """Return the state of relays together, as runtime/shipping.py reads it. None is unknown.

    `rests`: of relays that ship what earlier shards have left. They count, but the engine is up without them.
    """
    everyone = [*states, *rests]
    lags = [state.lag() for state in everyone]
    stalled = max((state.stalled() for state in states), default=0.0)
    errors = [state.error for state in everyone if state.error]
    if stalled:
        errors.append(f"the engine has acknowledged nothing for {stalled:.0f} s")
    parts = sorted({state.part for state in everyone if state.part})
    overdue = {part: [state.overdue_seconds for state in everyone if state.part == part] for part in parts}
    return {
        "engine": engine,
        "up": bool(states) and not stalled and all(state.up for state in states),
        "messages": sum(state.messages for state in everyone),
        "failures": sum(state.failures for state in everyone),
        "lag_bytes": _sum([size for size, _ in lags]),
        "lag_seconds": _most([seconds for _, seconds in lags]),
        "error": next(iter(errors), None),
        "shipped_until": _until(states),
        **{f"{part}_overdue_seconds": _most(seconds) for part, seconds in overdue.items()},
    }


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _most(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _until(all_states: Sequence[RelayState]) -> dict[str, Any] | None:
    """Return where the engine's copy ends; of several shards, that of the one that is behind the others."""
    # Where lines of today are uploaded too, these alone are at one place.
    states = [state for state in all_states if state.part != DAY] or all_states
    if not states or any(state.position is None for state in states):
        return None
    state = min(states, key=lambda state: (state.last or "", state.position or ()))
    position = state.position
    if position is None:
        return None
    return {"day": position.day, "offset": position.offset, "line": position.line, "last": state.last}
