"""A file gets its name only when that is free, and an import that was killed in between is no day yet."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ssmd.store.layout import temporary
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.unfinished import give_name, is_unfinished_import

IMPORTED = encode_entry(Entry(0, "imported", 0, 0, {"lines": 1}))


def no_links(source: Path, name: Path) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_free_is_given(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.jsonl"
    temporary(path).write_bytes(b"new")
    give_name(path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a.jsonl", b"new")]


@pytest.mark.parametrize("links", [True, False])
def test_a_name_that_is_taken_stays_with_its_file(tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old")
    temporary(path).write_bytes(b"new")
    with pytest.raises(FileExistsError):
        give_name(path)
    assert (path.read_bytes(), temporary(path).read_bytes()) == (b"old", b"new")


@pytest.mark.parametrize(
    ("files", "unfinished"),
    [
        ({"a.ledger.jsonl": IMPORTED, "a.jsonl.new": b""}, True),
        ({"a.ledger.jsonl": IMPORTED}, False),
        ({"a.jsonl.new": b""}, False),
        ({"a.ledger.jsonl": b"", "a.jsonl.new": b""}, False),
        ({"a.ledger.jsonl": encode_entry(Entry(0, "started", 0, 0, {})), "a.jsonl.new": b""}, False),
        ({"a.ledger.jsonl": IMPORTED, "a.jsonl.new": b"", "a.jsonl": b""}, False),
        ({"a.ledger.jsonl": IMPORTED, "a.jsonl.new": b"", "a.jsonl.zst": b""}, False),
        ({"a.ledger.jsonl": IMPORTED, "a.jsonl.new": b"", "a.manifest.json": b""}, False),
        ({"b.ledger.jsonl": IMPORTED, "b.jsonl.new": b""}, False),
    ],
)
def test_an_unfinished_import_has_its_ledger_and_its_data_under_a_temporary_name(tmp_path, files, unfinished):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert is_unfinished_import(tmp_path, "a") == unfinished
