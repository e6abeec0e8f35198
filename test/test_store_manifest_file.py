"""A manifest is read from the disk, with what is wrong with the file as one clear error."""

from __future__ import annotations

import pytest
from recorded_runs import manifest_in

from ssmd.errors import DataError
from ssmd.store.manifest_file import read_exact_manifest, read_manifest
from ssmd.store.manifest_formats import decode_manifest


def test_a_manifest_is_read_and_is_exact_when_it_is_byte_for_byte_as_ssmd_writes_it(own_storage):
    path = manifest_in(own_storage)
    data = path.read_bytes()
    manifest = decode_manifest(data)
    assert read_manifest(path) == manifest
    assert read_exact_manifest(path) == (manifest, True)
    for other in (data + b"\n", data.replace(b'": ', b'":', 1), data.replace(b"{\n", b'{\n"more": 1,\n', 1)):
        path.write_bytes(other)
        assert read_exact_manifest(path) == (manifest, False)
        assert read_manifest(path) == manifest


def test_there_is_no_manifest_where_there_is_no_file(tmp_path):
    assert read_manifest(tmp_path / "kalshi.manifest.json") is None
    assert read_exact_manifest(tmp_path / "kalshi.manifest.json") is None


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_a_file_that_is_not_a_manifest_is_a_data_error_with_its_name_and_the_reason(tmp_path, data):
    path = tmp_path / "kalshi.manifest.json"
    path.write_bytes(data)
    with pytest.raises(ValueError) as reason:  # noqa: PT011 - compared below
        decode_manifest(data)
    with pytest.raises(DataError) as raised:
        read_manifest(path)
    assert str(raised.value) == f"{path}: cannot be read: it {reason.value}"


def test_a_file_that_cannot_be_opened_is_a_data_error_with_its_name(tmp_path):
    path = tmp_path / "kalshi.manifest.json"
    path.mkdir()
    with pytest.raises(DataError, match=rf"^{path}: cannot be read: Is a directory$"):
        read_manifest(path)
