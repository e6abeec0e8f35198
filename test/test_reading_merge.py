"""Several files become one stream: every line once, by time, and damage is reported with its place."""

from __future__ import annotations

import gzip
import heapq
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.reading import blocks as blocks_module
from ssmd.reading.merge import Trouble, merged
from ssmd.reading.selection import ALL, Selection
from ssmd.store.head import time_key
from ssmd.store.inventory import data_files
from ssmd.store.line import LineEncoder

NS = 1_790_000_000_000_000_000


def line(feed: str, ms: int, text: str = "") -> bytes:
    return LineEncoder(feed).encode(NS + ms * 1_000_000, [json.dumps({"n": ms, "text": text}).encode()])


def read(*paths: Path, selection: Selection = ALL) -> tuple[bytes, list[Trouble]]:
    troubles: list[Trouble] = []
    return b"".join(merged(data_files(paths), selection, trouble=troubles.append)), troubles


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=4), st.integers(60, 400))
def test_files_that_overlap_are_merged_by_time(tmp_path, monkeypatch, files, block_bytes):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", block_bytes)
    contents = [[line(f"feed{n}", ms) for ms in sorted(times)] for n, times in enumerate(files)]
    paths = []
    for n, content in enumerate(contents):
        paths.append(tmp_path / f"feed{n}.jsonl")
        paths[-1].write_bytes(b"".join(content))
    expected: list[bytes] = list(heapq.merge(*contents, key=time_key))
    assert read(*paths) == (b"".join(expected), [])


def test_a_file_whose_clock_was_set_back_keeps_its_own_order_and_all_its_lines(tmp_path):
    times = [5, 6, 1, 2, 9, 3]
    (tmp_path / "a.jsonl").write_bytes(b"".join(line("a", ms) for ms in times))
    (tmp_path / "b.jsonl").write_bytes(b"".join(line("b", ms) for ms in range(10)))
    found = [json.loads(each) for each in read(tmp_path / "a.jsonl", tmp_path / "b.jsonl")[0].splitlines()]
    assert [each["data"]["n"] for each in found if each["feed"] == "a"] == times
    assert [each["data"]["n"] for each in found if each["feed"] == "b"] == list(range(10))


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=4), st.integers(60, 400))
def test_each_file_keeps_its_order_and_all_its_lines_whatever_the_clocks_did(tmp_path, monkeypatch, files, block_bytes):
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", block_bytes)
    paths = []
    for n, times in enumerate(files):
        paths.append(tmp_path / f"feed{n}.jsonl")
        paths[-1].write_bytes(b"".join(line(f"feed{n}", ms) for ms in times))
    found = [json.loads(each) for each in read(*paths)[0].splitlines()]
    assert [[each["data"]["n"] for each in found if each["feed"] == f"feed{n}"] for n in range(len(files))] == files


def test_a_storage_folder_is_merged_whatever_the_forms_of_its_days(tmp_path):
    day = 86_400_000
    forms: dict[str, Callable[[bytes], bytes]] = {
        "jsonl": bytes,
        "jsonl.gz": gzip.compress,
        "jsonl.zst": zstandard.compress,
    }
    expected = b""
    for n, (form, pack) in enumerate(forms.items()):
        folder = tmp_path / f"2026-09-{21 + n}"
        folder.mkdir()
        contents = {feed: [line(feed, n * day + ms, "x" * 400) for ms in range(0, 9000, step)] for feed, step in
                    (("a", 2), ("b", 3))}  # fmt: skip
        for feed, content in contents.items():
            (folder / f"{feed}.{form}").write_bytes(pack(b"".join(content)))
        in_order: list[bytes] = list(heapq.merge(*contents.values(), key=time_key))
        expected += b"".join(in_order)
    assert len(expected) > 3 * blocks_module.BLOCK_BYTES
    assert read(tmp_path) == (expected, [])
    assert read(tmp_path / "2026-09-22", tmp_path) == (expected, [])  # Each file once.
    begin, end = b"2026-09-21T14:13:28.000000", b"2026-09-23T14:13:21.000000"
    found, troubles = read(tmp_path, selection=Selection(begin, end))
    wanted = [each for each in expected.splitlines(keepends=True) if begin <= time_key(each) < end]
    assert (found, troubles) == (b"".join(wanted), [])
    assert 0 < len(wanted) < expected.count(b"\n")


def test_damaged_lines_are_reported_and_left_out(tmp_path):
    plain = tmp_path / "a.jsonl"
    whole = [line("a", ms) for ms in range(4)]
    plain.write_bytes(whole[0] + b"\0\0\n" + whole[1] + whole[2] + b"{}\n" + whole[3] + b'{"ts":"20')
    found, troubles = read(plain)
    assert found == b"".join(whole)
    assert [(trouble.line, trouble.torn) for trouble in troubles] == [(2, False), (5, False), (7, True)]
    assert str(troubles[0]) == f"{plain}:2: not a line of ssmd"
    assert str(troubles[2]) == f"{plain}:7: not a whole line (9 bytes)"


@pytest.mark.parametrize(("form", "pack"), [("jsonl.gz", gzip.compress), ("jsonl.zst", zstandard.compress)])
def test_a_compressed_file_that_was_cut_off_does_not_end_the_others(tmp_path, form, pack):
    content = b"".join(line("a", ms, "x" * ms) for ms in range(3000))
    (tmp_path / f"a.{form}").write_bytes(pack(content)[:-9])
    (tmp_path / "b.jsonl").write_bytes(line("b", 5000))
    found, troubles = read(tmp_path / f"a.{form}", tmp_path / "b.jsonl")
    assert found.endswith(line("b", 5000))
    assert content.startswith(found[: -len(line("b", 5000))])
    [trouble] = troubles
    assert trouble.line is None
    assert f"a.{form}: cannot be read" in str(trouble)


def test_hundreds_of_days_need_few_descriptors(tmp_path):
    resource = pytest.importorskip("resource")
    encoder = LineEncoder("a")
    for n in range(300):
        folder = tmp_path / f"{2025 + n // 100}-{1 + n % 100 // 20:02}-{1 + n % 20:02}"
        folder.mkdir()
        ns = 86_400 * 10**9 * (20_089 + 365 * (n // 100) + [0, 31, 59, 90, 120][n % 100 // 20] + n % 20)
        (folder / "a.jsonl").write_bytes(encoder.encode(ns, [b"{}"]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        found, troubles = read(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (found.count(b"\n"), troubles) == (300, [])
