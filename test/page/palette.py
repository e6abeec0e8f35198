"""Makes a PNG of a page small: with a palette of at most 256 colours, of which a page has hardly more."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from itertools import count

__all__ = ["with_palette"]

_HEAD = b"\x89PNG\r\n\x1a\n"
_MOST = 256


def with_palette(png: bytes) -> bytes:
    """Return a PNG of 8-bit RGB with a palette. Of more than 256 colours the similar ones become one."""
    chunks = list(_chunks(png))
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[0][1])
    if (depth, colour) != (8, 2):
        raise ValueError(f"it has {depth} bits and the colour type {colour}")
    rows = _rows(zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT")), 3 * width, height)
    pixels = [[row[at : at + 3] for at in range(0, len(row), 3)] for row in rows]
    colours = Counter(pixel for row in pixels for pixel in row)
    bits = next(bits for bits in count() if len({_coarse(each, bits) for each in colours}) <= _MOST)
    likeliest: dict[bytes, bytes] = {}
    for each, _ in colours.most_common():
        likeliest.setdefault(_coarse(each, bits), each)
    palette = {each: place for place, each in enumerate(sorted(likeliest.values()))}
    places = {each: palette[likeliest[_coarse(each, bits)]] for each in colours}
    data = b"".join(b"\0" + bytes(places[pixel] for pixel in row) for row in pixels)
    return _HEAD + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", b"".join(palette)),
            (b"IDAT", zlib.compress(data, 9)),
            (b"IEND", b""),
        )
    )


def _coarse(colour: bytes, bits: int) -> bytes:
    """Return a colour without the lowest bits of each part."""
    return bytes(part >> bits for part in colour)


def _chunks(png: bytes):
    at = len(_HEAD)
    while at < len(png):
        [size] = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12


def _rows(data: bytes, size: int, height: int):
    """Yield the rows of an image, whose filters are undone."""
    above = bytes(size)
    for number in range(height):
        at = number * (size + 1)
        above = _unfilter(data[at], bytearray(data[at + 1 : at + 1 + size]), above)
        yield above


def _unfilter(kind: int, row: bytearray, above: bytes) -> bytes:
    for at, value in enumerate(row):
        left, up = row[at - 3] if at >= 3 else 0, above[at]
        if kind == 1:
            row[at] = value + left & 255
        elif kind == 2:
            row[at] = value + up & 255
        elif kind == 3:
            row[at] = value + (left + up) // 2 & 255
        elif kind == 4:
            row[at] = value + _paeth(left, up, above[at - 3] if at >= 3 else 0) & 255
    return bytes(row)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda each: abs(guess - each))
