"""The form of a day in Parquet: the names of its files and of their columns, and what their metadata say. Pure.

Each type of message has one file, `type={type}/part-0000.parquet`; lines without a table are in `type=_raw`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

__all__ = [
    "EMPTY",
    "FORM",
    "LAYOUT",
    "LINE",
    "LONGEST_NAME",
    "PART",
    "PREFIX",
    "RAW",
    "RAW_TYPE",
    "RECEIVED",
    "RESERVED",
    "SESSION",
    "SHARD",
    "Facts",
    "folder_of",
    "type_of_folder",
]

FORM = 1
"""Goes up with every change that an older reader would not understand."""

LINE, RECEIVED, SESSION, SHARD, LAYOUT, RAW = "line", "received", "session", "shard", "layout", "raw"
RESERVED = (LINE, RECEIVED, SESSION, SHARD, LAYOUT, RAW)
"""The columns that every table has. No column of a message has one of these names."""

PREFIX = "ssmd."
"""How the keys of a file's metadata begin: `form`, `type`, `rows`, `bytes` (of its lines), `first_line`, `last_line`,
`source` (what is known of the whole day), and `columns` and `layouts`, from which the lines are put together again."""

PART = "part-0000.parquet"
RAW_TYPE = "_raw"
"""The name of the table of lines without a table: they are whole in the column `raw`."""
EMPTY = "_"
"""The name of the table of messages without a type."""

LONGEST_NAME = 200
"""How many bytes the name of a type has at most, once it is escaped. Longer ones have no table."""

_FOLDER = "type="
_OTHERS = re.compile(rb"[^A-Za-z0-9._-]")


class Facts(NamedTuple):
    """What is known about the lines before they are written."""

    feed: str = ""
    shard: str = ""
    """As in the column `shard`: `2of4`; empty without shards."""
    day: str = ""
    sha256: str | None = None
    """Of all lines; None when it is not known."""
    first_line: int = 1
    """The number of the first line."""

    def described(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if value not in ("", None)}


def folder_of(type: str | None) -> str:
    """Return the name of a table's folder. None is for lines without a table."""
    if type is None:
        return _FOLDER + RAW_TYPE
    name = _OTHERS.sub(lambda match: b"%%%02X" % match[0][0], type.encode("utf-8", "surrogatepass")).decode("ascii")
    if not name:
        return _FOLDER + EMPTY
    # A type's own name never begins like the two above, and is never `.` or `..`.
    return _FOLDER + (f"%{ord(name[0]):02X}{name[1:]}" if name[0] in "_." else name)


def type_of_folder(name: str) -> str | None:
    """Return the type whose folder has this name; None for the folder of lines without a table, and for any other."""
    escaped = name.removeprefix(_FOLDER)
    if escaped in (name, RAW_TYPE):
        return None
    return "" if escaped == EMPTY else unquote(escaped, errors="surrogatepass")
