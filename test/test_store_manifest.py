"""The manifest is read back as it was written, and only a manifest that makes sense is read."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import manifest_in

from ssmd.store.manifest import BLOCK_LINES, Manifest, decode_manifest, encode_manifest, pack_sums, unpack_sums


@pytest.fixture
def manifest(sealed_storage) -> Manifest:
    return decode_manifest(manifest_in(sealed_storage).read_bytes())


def test_a_manifest_comes_back_and_has_one_field_a_line(manifest):
    written = encode_manifest(manifest)
    assert decode_manifest(written) == manifest
    lines = written.decode().splitlines()
    assert (lines[0], lines[-1]) == ("{", "}")
    assert [json.loads("{" + line.removesuffix(",") + "}") for line in lines[1:-1]] == [
        {name: msgspec.to_builtins(value)} for name, value in msgspec.structs.asdict(manifest).items()
    ]


@pytest.mark.parametrize("field", Manifest.__struct_fields__)
def test_a_manifest_without_one_of_its_fields_is_refused(manifest, field):
    values = msgspec.to_builtins(manifest)
    del values[field]
    with pytest.raises(ValueError, match=f"`{field}`"):
        decode_manifest(json.dumps(values).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"no manifest", b'{"format":1'])
def test_data_that_is_not_a_manifest_is_refused(data):
    with pytest.raises(ValueError):  # noqa: PT011 - the reason is that of the decoder
        decode_manifest(data)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "is of format 2, which this ssmd does not read"),
        ({"block_lines": BLOCK_LINES + 1}, "is of format 1, which this ssmd does not read"),
        ({"lines": 3 * BLOCK_LINES + 1}, "has not as many block sums as its lines need"),
        ({"lines": 2 * BLOCK_LINES}, "has not as many block sums as its lines need"),
        ({"block_sums": "AAAA"}, "has block sums that are cut off"),
        ({"block_sums": "!"}, ""),
        ({"messages_by_hour": [0] * 23}, "has no number of messages for each of 24 hours"),
        ({"messages_by_hour": [0] * 23 + [-1]}, "has no number of messages for each of 24 hours"),
        ({"sealed": "yesterday"}, "has 'yesterday' where a time should be"),
        ({"first": "2025-12-22"}, "has '2025-12-22' where a time should be"),
        ({"last": "\x1b[31m"}, "where a time should be"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused_with_the_reason(manifest, change, reason):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared below
        decode_manifest(encode_manifest(msgspec.structs.replace(manifest, **change)))
    assert reason in str(raised.value)
    assert str(raised.value).isprintable()


def test_a_wrong_time_of_a_session_or_an_outage_is_found_too(manifest):
    [session] = manifest.sessions
    for name in ("began", "ended"):
        wrong = msgspec.structs.replace(manifest, sessions=[msgspec.structs.replace(session, **{name: ""})])
        with pytest.raises(ValueError, match="has '' where a time should be"):
            decode_manifest(encode_manifest(wrong))
    for name in ("from_", "to"):
        gaps = [msgspec.structs.replace(gap, **{name: ""}) for gap in manifest.gaps]
        with pytest.raises(ValueError, match="has '' where a time should be"):
            decode_manifest(encode_manifest(msgspec.structs.replace(manifest, gaps=gaps)))


numbers = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_block_sums_come_back(sums):
    assert unpack_sums(pack_sums(sums)) == sums
