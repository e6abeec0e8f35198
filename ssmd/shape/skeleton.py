"""The skeletons of messages: what is left of each without most of its values. Pure.

Messages of one skeleton nearly always have the same fields, with values of the same kinds. So a message whose skeleton
is known need not be decoded, which would take several times as long.

Digits, capital letters, the letters a to f, most marks and everything that is not ASCII are taken out, as they are most
of the values. The other letters stay, and with them most of the names of fields. So do quotes, brackets, colons, commas
and points.
"""

from __future__ import annotations

__all__ = ["skeletons"]

_KEPT = b'{}[]":,.ghijklmnopqrstuvwxyz'
_SEPARATOR = b"\0"
"""No JSON text has it."""
_LEFT_OUT = bytes(byte for byte in range(1, 256) if byte not in _KEPT)


def skeletons(payloads: list[bytes]) -> list[bytes]:
    """Return the skeleton of each message."""
    found = _SEPARATOR.join(payloads).translate(None, _LEFT_OUT).split(_SEPARATOR)
    if len(found) == len(payloads):
        return found
    return [payload.translate(None, _LEFT_OUT + _SEPARATOR) for payload in payloads]  # One of them is no JSON.
