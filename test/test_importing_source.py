"""A recording is read in any compression, sorted within its window, and merged with others."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ssmd.errors import DataError
from ssmd.field_path import parse_path
from ssmd.importing import source as source_module
from ssmd.importing.fields import Condition, Layout
from ssmd.importing.source import Source, merged
from ssmd.store.timestamps import day_begins

NOW = day_begins("2026-11-27")
BEGIN = 1_633_998_512
IN_ORDER = Layout(time_format="s", time_fields=(parse_path("t"),))
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip, two parts": lambda data: gzip.compress(data[:30]) + gzip.compress(data[30:]),
    "zstd": zstandard.compress,
    "zstd, two frames": lambda data: zstandard.compress(data[:30]) + zstandard.compress(data[30:]),
}


def line(second: float, number: int = 0) -> bytes:
    return b'{"t":%.3f,"n":%d}' % (BEGIN + second, number)


def source(path: Path, content: bytes | None = None, *, window: int | None = 100, **options: Any) -> Source:
    if content is not None:
        path.write_bytes(content)
    fields: dict[str, Any] = {"layout": IN_ORDER, "carry_time": False, "now_ns": NOW, **options}
    return Source(path, window=window, **fields)


def read(source: Source) -> list[bytes]:
    return [message.payload for message in source.messages()]


@pytest.mark.parametrize("form", PACKED)
def test_the_content_says_how_a_file_is_compressed_and_not_its_name(tmp_path, form):
    lines = [line(second) for second in range(1000)]
    packed = PACKED[form](b"\n".join(lines) + b"\n")
    for name in ("a.txt", "a.gz", "a.zst"):
        recording = source(tmp_path / name, packed)
        assert read(recording) == lines
        assert recording.sha256 == hashlib.sha256(packed).hexdigest()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n \n"])
def test_the_end_of_the_last_line_and_blank_lines_do_not_matter(tmp_path, end):
    recording = source(tmp_path / "a", line(0) + b"\n\n" + line(1) + end)
    assert [(message.line, message.payload.strip()) for message in recording.messages()] == [(1, line(0)), (3, line(1))]


@pytest.mark.parametrize("form", PACKED)
@pytest.mark.parametrize("lines", [[line(0)], [line(0), line(1)]])
def test_a_byte_order_mark_belongs_to_no_line(tmp_path, form, lines):
    for end in (b"", b"\n"):
        recording = source(tmp_path / "a", PACKED[form](codecs.BOM_UTF8 + b"\n".join(lines) + end))
        assert read(recording) == lines


@given(st.lists(st.integers(0, 20), max_size=60), st.integers(0, 60))
def test_lines_are_sorted_stably_or_the_late_one_is_named(tmp_path_factory, seconds, window):
    path = tmp_path_factory.mktemp("order") / "a"
    lines = [line(second, number) for number, second in enumerate(seconds)]
    recording = source(path, b"\n".join(lines), window=window)
    in_order = sorted(range(len(seconds)), key=seconds.__getitem__)
    # A line can be put in its place as long as the window holds all lines that are later than it and stand before it.
    late = [
        number
        for number, second in enumerate(seconds)
        if sum(earlier > second for earlier in seconds[:number]) > window
    ]
    if not late:
        assert read(recording) == [lines[number] for number in in_order]
        return
    with pytest.raises(DataError, match="raise --window, or sort the file by time") as caught:
        read(recording)
    number = int(str(caught.value).split(":")[1])
    assert any(earlier > seconds[number - 1] for earlier in seconds[: number - 1])


def test_a_late_line_is_named_with_its_file_and_how_late_it_is(tmp_path):
    recording = source(tmp_path / "a", b"\n".join(map(line, (0, 1, 2, 0.5))), window=1)
    with pytest.raises(DataError) as caught:
        read(recording)
    assert str(caught.value).startswith(f"{tmp_path}/a:4: is 0.500000 s older than a line that stands more than 1 line")


def test_a_window_full_of_bytes_is_passed_on(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "WINDOW_BYTES", 100)
    messages = source(tmp_path / "a", b"\n".join(map(line, range(100))), window=100).messages()
    assert next(messages).line == 1
    assert source(tmp_path / "b", b"\n".join(map(line, (9, *range(100)))), window=100).begins_ns() == BEGIN * 10**9
    with pytest.raises(DataError, match=r"stands more than \d line\(s\) before it; sort the file by time"):
        read(source(tmp_path / "c", b"\n".join(map(line, (*range(1, 100), 0))), window=100))


def test_the_order_of_the_file_can_be_kept(tmp_path):
    recording = source(tmp_path / "a", b"\n".join(map(line, (5, 3, 9, 1))), window=None)
    found = [(message.line, message.ns / 1e9 - BEGIN) for message in recording.messages()]
    assert found == [(1, 5), (2, 5), (3, 9), (4, 9)]


def test_a_line_without_a_time_is_an_error_or_gets_the_one_before(tmp_path):
    content = b"\n".join([b'{"n":1}', b'{"n":2}', line(5), b'{"n":3}', line(9)])
    with pytest.raises(DataError, match=r"a:1: has no time in `t`; .* with --carry-time"):
        read(source(tmp_path / "a", content))
    carried = source(tmp_path / "a", carry_time=True)
    assert [(message.line, message.ns / 1e9 - BEGIN) for message in carried.messages()] == [
        (1, 5), (2, 5), (3, 5), (4, 5), (5, 9),
    ]  # fmt: skip
    with pytest.raises(DataError, match="a: no line has a time; name its field with --time-field"):
        read(source(tmp_path / "a", b'{"n":1}\n', carry_time=True))


def test_a_file_that_never_has_a_time_is_not_held_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "MOST_WITHOUT_TIME", 3)
    with pytest.raises(DataError, match="a:4: neither it nor a line before it has a time in `t`"):
        read(source(tmp_path / "a", b'{"n":1}\n' * 9, carry_time=True))


def test_lines_that_are_no_messages_are_counted(tmp_path):
    layout = Layout(time_format="s", time_fields=IN_ORDER.time_fields, where=(Condition(parse_path("n"), "1"),))
    recording = source(tmp_path / "a", b"\n".join(line(second, second % 3) for second in range(9)), layout=layout)
    assert [message.line for message in recording.messages()] == [2, 5, 8]
    assert recording.left_out == 6


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_compressed_file_that_is_cut_off_is_an_error(tmp_path, form):
    packed = PACKED[form](b"\n".join(map(line, range(1000))))
    with pytest.raises(DataError, match=r"a: cannot be read"):
        read(source(tmp_path / "a", packed[:-9]))


def test_a_file_that_is_no_recording_is_an_error_that_names_its_first_line(tmp_path):
    with pytest.raises(DataError, match=r"a:1: is not JSON"):
        read(source(tmp_path / "a", b"\x00" * 10_000))


def test_a_file_without_newlines_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "LONGEST_LINE", 300_000)
    with pytest.raises(DataError, match=r"a: holds a line of more than 300000 bytes"):
        read(source(tmp_path / "a", b"[" + b'{"t":1},' * 100_000))


@given(st.lists(st.lists(st.integers(0, 30), max_size=8).map(sorted), min_size=1, max_size=5))
def test_sources_are_merged_by_time_and_equal_times_by_source(tmp_path_factory, seconds):
    folder = tmp_path_factory.mktemp("merge")
    sources = [
        source(folder / str(number), b"\n".join(line(second, number) for second in each))
        for number, each in enumerate(seconds)
    ]
    found = [(message.ns // 10**9 - BEGIN, int(one.path.name), message.line) for message, one in merged(sources)]
    assert found == sorted(
        (second, number, place) for number, each in enumerate(seconds) for place, second in enumerate(each, 1)
    )


def test_files_that_follow_each_other_are_not_open_at_once(tmp_path):
    sources = [source(tmp_path / str(number), line(number)) for number in range(300)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        assert [message.payload for message, _ in merged(sources)] == list(map(line, range(300)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
