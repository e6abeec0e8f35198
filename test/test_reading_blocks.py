"""A data file is read in blocks of whole lines, in any form, and what is damaged is read up to the damage."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ssmd.errors import DataError
from ssmd.reading import blocks as blocks_module
from ssmd.reading.blocks import LineBlocks, decompressed


def in_two_frames(content: bytes) -> bytes:
    half = len(content) // 2
    return zstandard.compress(content[:half]) + zstandard.compress(content[half:])


FORMS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("jsonl", bytes),
    "gz": ("jsonl.gz", gzip.compress),
    "zst": ("jsonl.zst", zstandard.compress),
    "zst, two frames": ("jsonl.zst", in_two_frames),
}


def write(folder: Path, form: str, content: bytes) -> Path:
    suffix, pack = FORMS[form]
    path = folder / f"a.{suffix}"
    path.write_bytes(pack(content))
    return path


@given(st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")), max_size=20), st.binary(max_size=9))
@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_the_whole_lines_and_what_follows_them_is_torn(tmp_path, monkeypatch, form, lines, end):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 50)
    monkeypatch.setattr(blocks_module, "_COMPRESSED_BYTES", 7)
    content = b"".join(line + b"\n" for line in lines)
    torn = end.replace(b"\n", b"")
    path = write(tmp_path, form, content + torn)
    blocks = LineBlocks(path)
    found = list(blocks)
    assert (b"".join(found), blocks.torn, blocks.broken) == (content, torn, None)
    assert all(block.endswith(b"\n") for block in found)
    assert blocks.bytes_read == (path.stat().st_size if content + torn else blocks.bytes_read)


def test_a_file_that_is_written_while_it_is_read_is_read_up_to_its_new_end(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2")
    blocks = LineBlocks(path)
    reading = iter(blocks)
    assert next(reading) == b"1\n"
    with path.open("ab") as file:
        file.write(b"2\n3")
    assert list(reading) == [b"22\n"]
    assert blocks.torn == b"3"


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_a_file_that_is_gone_is_read_in_another_form(tmp_path, form):
    write(tmp_path, form, b"1\n")
    assert list(LineBlocks(tmp_path / "a.jsonl")) == [b"1\n"]


def test_a_file_that_is_gone_in_every_form_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"a\.jsonl: cannot be read: No such file or directory"):
        list(LineBlocks(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_an_empty_file_with_the_name_of_a_compressed_one_cannot_be_read(tmp_path, form):
    path = tmp_path / f"a.jsonl.{form}"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"a\.jsonl\.{form}: cannot be read: it is empty, not a \.{form} file"):
        list(LineBlocks(path))


def test_a_line_that_is_too_long_for_ssmd_is_not_gathered(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks_module, "LONGEST_LINE", 100)
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n" + b"x" * 200 + b"\n")
    with pytest.raises(DataError, match="holds a line of more than 100 bytes"):
        list(LineBlocks(path))


LINES = b"".join(b'{"n":%d}\n' % (number * number) for number in range(300))


@pytest.mark.parametrize("form", ["gz", "zst", "zst, two frames"])
def test_a_compressed_file_is_read_up_to_where_it_is_cut_off(tmp_path, form):
    path = write(tmp_path, form, LINES)
    whole = path.read_bytes()
    for size in range(1, len(whole), 7):
        path.write_bytes(whole[:size])
        blocks = LineBlocks(path, partial=True)
        found = b"".join(blocks)
        assert LINES.startswith(found)
        if blocks.broken is None:  # It was cut between the two frames.
            assert (form, found + blocks.torn) == ("zst, two frames", LINES[: len(LINES) // 2])
            continue
        reason = "it is cut off" if size > 1 or form != "gz" else r"Not a gzipped file (b'\x1f')"
        assert blocks.broken == f"{path}: cannot be read: {reason}"
        with pytest.raises(DataError) as raised:
            list(LineBlocks(path))
        assert str(raised.value) == blocks.broken


@pytest.mark.parametrize("place", [20, 400, -1])
def test_a_damaged_zst_file_is_read_to_the_last_byte_before_the_damage_shows(tmp_path, place):
    """The decompressor itself returns nothing of a piece that it finds damaged."""
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(LINES))
    packed[place] ^= 0x40
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(packed)
    found: list[bytes] = []
    with path.open("rb", buffering=0) as file, pytest.raises(DataError, match="cannot be read"):
        list(map(found.append, decompressed(file, path)))
    expected = byte_by_byte(bytes(packed))
    assert b"".join(found) == expected
    assert b"".join(LineBlocks(path, partial=True)) == expected[: expected.rfind(b"\n") + 1]


def byte_by_byte(packed: bytes) -> bytes:
    found = b""
    reader = zstandard.ZstdDecompressor().stream_reader(packed)
    try:
        while data := reader.read(1):
            found += data
    except zstandard.ZstdError:
        return found
    raise AssertionError("it is not damaged")
