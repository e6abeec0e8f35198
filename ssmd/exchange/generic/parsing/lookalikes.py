"""Finds what was meant to be a placeholder, but lacks a sign of it and so would be sent as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ssmd.errors import printable
from ssmd.exchange.generic.template import Fault, texts_of

__all__ = ["lookalikes_of"]

_LOOKALIKE = re.compile(
    r"(?<!\$)(?:"
    r"\{{1,2} ?(?P<braces>(?:key|prepared|message)\.[^{} ]{1,200}|now_m?s) ?\}{1,2}"
    r"|\$(?P<dollar>(?:key|prepared|message)\.[A-Za-z0-9_.\[\]-]{1,200}|now_m?s\b))"
)
"""As other programs write placeholders: `{message.id}`, `{{ message.id }}` and `$message.id`."""


def lookalikes_of(value: Any) -> Iterator[Fault]:
    """Yield a doubt for each text of a JSON value that has such a sign, with its path."""
    for path, text in texts_of(value):
        if (found := _LOOKALIKE.search(text)) and None not in path:
            meant = printable(f"${{{found['braces'] or found['dollar']}}}", 60)
            yield path, f"has `{printable(found[0], 60)}`, which is sent as it is; did you mean `{meant}`?"
