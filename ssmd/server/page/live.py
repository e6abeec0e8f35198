"""What a live stream says with each event: the parts of the page that have changed, and the newest messages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import msgspec

from ssmd.contracts.tail import Seen, Tail, Wish
from ssmd.server.page.rendering import Rendering
from ssmd.store.timestamps import timestamp

__all__ = ["Live"]

_encode = msgspec.json.Encoder().encode


class Live:
    """Makes the events: each part is rendered a single time for all streams. `view`: returns the templates' variables.

    `tail`: None when no messages are shown.
    """

    def __init__(self, view: Callable[[], Mapping[str, Any]], rendering: Rendering, tail: Tail | None) -> None:
        self._view = view
        self._rendering = rendering
        self._tail = tail
        self._parts: Mapping[str, str] = {}
        self._all = self._changed = b""
        self._seen: dict[Hashable, bytes] = {}

    def begin(self, kinds: set[Hashable]) -> None:
        """Render anew. `kinds`: the Wish of each stream."""
        if self._tail is not None:
            self._tail.want([kind for kind in kinds if isinstance(kind, Wish)])
        self._seen = {kind: self._tail_of(kind) for kind in kinds}
        if not kinds:
            return
        view = self._view()
        parts = self._rendering.parts(view)
        brief = view["verdict"]["brief"]
        changed = {name: html for name, html in parts.items() if self._parts.get(name) != html}
        self._all = _encode({"brief": brief, "parts": parts})[:-1]
        self._changed = _encode({"brief": brief, "parts": changed})[:-1]
        self._parts = parts

    def event(self, kind: Hashable, is_new: bool) -> bytes:
        """Return what begin() has rendered: everything for a stream that is new, otherwise what has changed."""
        return b'data: %b,"tail":%b}\n\n' % (self._all if is_new else self._changed, self._seen[kind])

    def _tail_of(self, kind: Hashable) -> bytes:
        seen = self._tail.take(kind) if self._tail is not None and isinstance(kind, Wish) else ()
        return _encode([_shown(one) for one in seen])


def _shown(seen: Seen) -> dict[str, Any]:
    return {
        "time": timestamp(seen.ts_ns)[11:23],
        "type": seen.type,
        "market": seen.market,
        "text": seen.text,
        "size": seen.size,
    }
