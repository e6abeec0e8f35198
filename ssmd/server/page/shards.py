"""The other shards on the page of one: which part of the feed it shows, and how the others are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ssmd.contracts.shard import Shard, shard_of_label
from ssmd.contracts.strip import CLOSED, LISTENING, OUTAGE, Piece, ShardToday
from ssmd.server.kinds import BAD, GOOD, WAITING
from ssmd.server.page.drawing import cause_text, ongoing
from ssmd.store.timestamps import day_of_ns
from ssmd.words import clock, count, for_how_long

__all__ = ["shard_text", "shards_of"]

_STATES = {LISTENING: ("connected", GOOD), OUTAGE: ("not connected", BAD), CLOSED: ("closed by schedule", WAITING)}
_OLD_SECONDS = 60
"""They are read every 15 s while somebody looks."""
_ALL = "ssmd dashboard shows all shards on one page."


def shard_text(label: str) -> str:
    """Return which shard it is, for people: `shard 1 of 2`; empty for the whole."""
    shard = shard_of_label(label)
    return _name(shard) if shard is not None and not shard.is_whole else ""


def shards_of(label: str, others: Sequence[ShardToday] | None, now_ns: int) -> dict[str, Any] | None:
    """Return what the page shows of the other shards; None for the whole.

    `label`: of the shard whose page it is; `others`: None when they are not known.
    """
    shard = shard_of_label(label)
    if shard is None or shard.is_whole:
        return None
    old = [one for one in others or () if _is_old(one, now_ns)]
    here = [one for one in others or () if one.strip is not None or one in old]
    if old:
        table = f"The ledgers were last read at {clock(old[0].read_ns, now_ns)} UTC; how the others are is not known."
        note = f"This page shows {_name(shard)}. {table} {_ALL}"
    elif here:
        table = "The table shows the others, from their ledgers in the same folder."
        note = f"This page shows {_name(shard)}. {table} {_ALL}"
    elif others is None:
        note = f"This page shows {_name(shard)} only. {_ALL}"
    else:
        note = f"This page shows {_name(shard)} only: the others have no ledger of today on this disk. {_ALL}"
    more = shard.of - 1 - len(others or ())
    return {
        "note": note,
        "rows": [_row(one, now_ns) for one in others or ()] if here else [],
        "more": more if here else 0,
    }


def _is_old(one: ShardToday, now_ns: int) -> bool:
    """Return whether it was read too long ago to be shown as the present, or on another day: the disk does not answer,
    or nobody has looked until now.
    """
    return abs(now_ns - one.read_ns) > _OLD_SECONDS * 10**9 or day_of_ns(now_ns) != day_of_ns(one.read_ns)


def _row(one: ShardToday, now_ns: int) -> dict[str, str]:
    row = {"name": _name(one.shard), "state": "not known", "grade": "", "since": "", "gaps": "?"}
    if _is_old(one, now_ns):
        return row
    if one.strip is None:
        return row | {"since": "no ledger of today here"}
    row["gaps"] = count(len(one.strip.gaps_ns))
    piece = ongoing(one.strip, is_connected=one.is_connected)
    if piece is None:
        return row
    state, grade = _STATES[piece.kind]
    return row | {"state": state, "grade": grade, "since": _since(piece, now_ns)}


def _since(piece: Piece, now_ns: int) -> str:
    since = f"{clock(piece.begin_ns, now_ns)} UTC, {for_how_long(piece.begin_ns, now_ns)}"
    return f"{since}: {cause_text(piece.cause)}" if piece.cause else since


def _name(shard: Shard) -> str:
    return f"shard {shard.index} of {shard.of}"
