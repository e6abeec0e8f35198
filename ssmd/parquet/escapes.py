"""The escapes of JSON strings, in the styles of the programs that exchanges are made of."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["STYLES", "escaped"]

_NEEDED = [("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\b", "\\b"), ("\f", "\\f")]
_NEEDED += [(chr(code), f"\\u{code:04x}") for code in range(32) if chr(code) not in "\n\r\t\b\f"]
_HTML = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")]
_SLASH = [("/", "\\/")]

_STYLES = {"": _NEEDED, "html": [*_NEEDED, *_HTML], "slash": [*_NEEDED, *_SLASH]}
STYLES = (*_STYLES, "ascii")
"""What is escaped: only what JSON demands; also what Go escapes, for HTML; also the slash, as PHP does; or all that is
not ASCII, as Python does."""

_SPECIAL = r'[\\"\x00-\x1f]'
_SPECIALS = {"": _SPECIAL, "html": r'[\\"\x00-\x1f<>&]|\x{2028}|\x{2029}', "slash": r'[\\"/\x00-\x1f]'}


def escaped(texts: pa.Array, style: str) -> pa.Array:
    """Return the texts with their escapes, as they stand between the quotes of a JSON string."""
    if style == "ascii":
        return pa.array([None if text is None else json.dumps(text)[1:-1] for text in texts.to_pylist()], pa.string())
    special = pc.match_substring_regex(texts, _SPECIALS[style])
    if not pc.any(special).as_py():
        return texts
    rows = pc.indices_nonzero(special)
    few = texts.take(rows)
    for plain, escape in _STYLES[style]:
        few = pc.replace_substring(few, plain, escape)
    return pc.replace_with_mask(texts, pc.fill_null(special, False), few)
