"""A message that is not JSON is described in a few words, which never hold a part of it."""

import bz2
import gzip
import json
import lzma
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ssmd.store.looks_like import decompress_for, looks_like

MESSAGE = json.dumps({"type": "book", "levels": [["0.41", "100"], ["0.42", "250"]] * 20}).encode()
_RAW = zlib.compressobj(wbits=-15)

EXPECTED = {
    "gzip (1f 8b)": gzip.compress(MESSAGE),
    "zlib (78 9c)": zlib.compress(MESSAGE),
    "zlib (78 da)": zlib.compress(MESSAGE, 9),
    "zlib (78 01)": zlib.compress(MESSAGE, 0),
    "zstd (28 b5 2f fd)": zstandard.compress(MESSAGE),
    "bzip2 (42 5a 68)": bz2.compress(MESSAGE),
    "xz (fd 37 7a 58)": lzma.compress(MESSAGE),
    "lz4 (04 22 4d 18)": b"\x04\x22\x4d\x18\x44\x40\x5e",
    "snappy (ff 06 00 00)": b"\xff\x06\x00\x00sNaPpY\x01",
    "raw deflate": _RAW.compress(MESSAGE) + _RAW.flush(),
    "an empty message": b"",
    "text": b"pong",
    "binary data of an unknown kind": bytes(range(256)),
}


@pytest.mark.parametrize(("expected", "message"), EXPECTED.items(), ids=EXPECTED)
def test_what_a_message_looks_like(expected, message):
    assert looks_like(message) == expected


@pytest.mark.parametrize(
    "message",
    ["\u2603 snow\n".encode() * 99, "\u2603".encode() * 86, "a\u2603".encode() * 99, b"x^y", b"BZh?", MESSAGE[:-1]],
)
def test_text_is_text_wherever_it_is_cut(message):
    assert looks_like(message) == "text"


@pytest.mark.parametrize("message", [b"text\xff", b"\xe2\x98", b"a\0b", b"\x08\x96\x01"])
def test_what_is_no_text_is_binary(message):
    assert looks_like(message) == "binary data of an unknown kind"


@given(st.binary(max_size=400))
def test_any_message_looks_like_something(message):
    assert looks_like(message) in EXPECTED or looks_like(message).startswith("zlib (78 5e)")


@pytest.mark.parametrize(
    ("pack", "method"),
    [
        (gzip.compress, "gzip"),
        (zlib.compress, "deflate"),
        (lambda data: zlib.compress(data, wbits=-15), "deflate"),
        (bz2.compress, ""),
        (bytes, ""),
        (lambda data: b"\xff" + data, ""),
    ],
)
def test_what_decompresses_messages_of_a_kind(pack, method):
    assert decompress_for(looks_like(pack(MESSAGE))) == method
