"""What a message that is not JSON looks like, for people who have to find out why. Pure."""

from __future__ import annotations

import zlib

__all__ = ["decompress_for", "looks_like"]

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}
"""How compressed data begins."""

_DECOMPRESS = {"gzip": "gzip", "zlib": "deflate", "raw deflate": "deflate"}

_HEAD = 256
"""How many bytes at the beginning of a message are looked at."""

_WHITE = frozenset("\t\n\r")


def looks_like(message: bytes) -> str:
    """Return what a message looks like, in a few words: one of about a dozen texts, without a part of the message."""
    head = message[:_HEAD]
    if not head:
        return "an empty message"
    if _is_text(head):
        return "text"
    for start, name in _PACKED.items():
        if head.startswith(start):
            return f"{name} ({start[:4].hex(' ')})"
    if _inflates(head):
        return "raw deflate"
    return "binary data of an unknown kind"


def decompress_for(kind: str) -> str:
    """Return the value of a dialect's `decompress` for messages of a kind, a text of looks_like(); empty for none."""
    return _DECOMPRESS.get(kind.partition(" (")[0], "")


def _is_text(head: bytes) -> bool:
    """Return whether it is UTF-8 without control characters; its last character may be cut off."""
    text = head.decode("utf-8", "ignore")
    return len(head) - len(text.encode()) <= (3 if len(head) == _HEAD else 0) and all(
        character >= " " or character in _WHITE for character in text
    )


def _inflates(head: bytes) -> bool:
    """Return whether this is the beginning of JSON that was compressed without any header."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, 1) in (b"{", b"[")
    except zlib.error:
        return False
