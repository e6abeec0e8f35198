"""The repair of a file that was cut off in the middle of a line."""

import errno
import os
import resource

import pytest

from ssmd.errors import OutputError
from ssmd.reading.blocks import LineBlocks
from ssmd.reading.seek import blocks
from ssmd.store.line import LineEncoder
from ssmd.store.torn import set_torn_tail_aside

LINES = LineEncoder("kalshi").encode(
    1_766_000_000_000_000_000, [b'{"a":1}', b'{"b":"' + b"x" * 3_000_000 + b'"}', b"oops"]
)
LAST = LineEncoder("kalshi").encode(1_766_000_000_000_000_000, [b'{"last":true}'])


@pytest.mark.parametrize(
    "tail",
    [
        LAST[:1],
        LAST[:-1],
        b"\0" * 4096,
        LAST[:20] + b"\0" * 5_000_000,
        b"\0" * 100 + b"\n",
        b"not a line of ours\n",
        LAST[:-3] + b"\n",
        b"\n",
    ],
    ids=[
        "one byte",
        "no newline",
        "NULs",
        "line then NULs",
        "NULs and a newline",
        "foreign",
        "cut inside",
        "empty line",
    ],
)
def test_what_follows_the_last_whole_line_is_moved_to_the_sidecar(tmp_path, tail):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(LINES + tail)
    assert set_torn_tail_aside(path) == len(tail)
    assert path.read_bytes() == LINES
    assert (tmp_path / "kalshi.jsonl.torn").read_bytes() == tail + b"\n"


@pytest.mark.parametrize("content", [b"", LINES, LAST])
def test_a_whole_file_is_left_alone(tmp_path, content):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(content)
    assert set_torn_tail_aside(path) == 0
    assert path.read_bytes() == content
    assert not (tmp_path / "kalshi.jsonl.torn").exists()


def test_a_file_without_any_whole_line_is_emptied_into_the_sidecar(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(LAST[:30])
    assert set_torn_tail_aside(path) == 30
    assert path.read_bytes() == b""


def test_a_second_incident_is_added_to_the_sidecar(tmp_path):
    path = tmp_path / "kalshi.jsonl"
    for tail in (b"first", b"second"):
        path.write_bytes(LAST + tail)
        set_torn_tail_aside(path)
    assert (tmp_path / "kalshi.jsonl.torn").read_bytes() == b"first\nsecond\n"


def test_a_long_tail_is_found_in_one_pass(tmp_path):
    """Each line that was none used to cost a read of its own: a day's file of another program took hours."""
    path = tmp_path / "kalshi.jsonl"
    tail = b"x\n" * 5_000_000
    path.write_bytes(LAST + tail)
    assert set_torn_tail_aside(path) == len(tail)
    assert path.read_bytes() == LAST


def test_a_sidecar_that_cannot_be_written_is_left_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(LAST + b"torn")
    real = os.fsync

    def fail(fd: int) -> None:
        monkeypatch.setattr(os, "fsync", real)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        set_torn_tail_aside(path)
    assert (tmp_path / "kalshi.jsonl.torn").read_bytes() == b""
    assert path.read_bytes() == LAST + b"torn"


def test_a_sidecar_that_does_not_fit_is_left_as_it_was(tmp_path):
    """A write that stops half-way, as on a full disk; the kernel's limit for files does the same."""
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(LAST + b"x" * 3000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="File too large"):
                set_torn_tail_aside(path)
            assert (tmp_path / "kalshi.jsonl.torn").read_bytes() == b""
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set_torn_tail_aside(path) == 3000
    assert (tmp_path / "kalshi.jsonl.torn").read_bytes() == b"x" * 3000 + b"\n"


@pytest.mark.parametrize("foreign", [b'{"type":"trade"}\n', b"ts,feed\n", b"[1]"])
def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path, foreign):
    path = tmp_path / "kalshi.jsonl"
    path.write_bytes(foreign)
    with pytest.raises(OutputError, match="is not a file of ssmd"):
        set_torn_tail_aside(path)
    assert path.read_bytes() == foreign


@pytest.mark.parametrize("message", [b"\x01" * (12 << 20), b'"' + b"x" * (80 << 20) + b'"'], ids=["controls", "long"])
def test_a_line_of_the_longest_messages_is_whole(tmp_path, message):
    """As text, control characters take six times their place; and a feed may allow a message more than 16 MiB."""
    path = tmp_path / "kalshi.jsonl"
    line = LineEncoder("kalshi").encode(1_766_000_000_000_000_000, [message])
    path.write_bytes(LAST + line + b"torn")
    assert set_torn_tail_aside(path) == 4
    assert path.stat().st_size == len(LAST + line)
    assert b"".join(LineBlocks(path)) == LAST + line
    assert b"".join(blocks(path, 0, len(LAST + line))) == LAST + line
