"""The exchange's bytes come back out of the lines, whatever they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ssmd.reading.messages import batch, raw
from ssmd.store.line import LineEncoder, decode_line

NS = 1_790_000_000_000_000_000
STRANGE = [
    b'{"a":"x","feed":"kalshi","data":1}',
    b'{"data":2}',
    b'"a string"',
    b'"ends like ours\\",\\"encoding\\":\\"text\\"}"',
    b"{broken\n",
    b"",
    b"\xff\x00\n\n",
    b"3",
    b'{"type":"trade","encoding":"text"}',
    '"Ü\u2028"'.encode(),
]


@given(st.lists(st.tuples(st.sampled_from(["kalshi", "k", "other-feed"]), st.sampled_from(STRANGE)), min_size=1))
def test_raw_returns_each_message_followed_by_one_newline(recorded):
    block = b"".join(LineEncoder(feed).encode(NS, [message]) for feed, message in recorded)
    assert raw(block) == b"".join(message + b"\n" for _, message in recorded)


@given(st.lists(st.tuples(st.sampled_from(["kalshi", "k", "other-feed"]), st.sampled_from(STRANGE)), min_size=1))
def test_a_batch_has_each_line_and_its_message_with_a_newline_if_it_is_json(recorded):
    lines = [LineEncoder(feed).encode(NS, [message]) for feed, message in recorded]
    found = batch(b"".join(lines))
    assert found.lines == lines
    kept_as_string = (b"{broken\n", b"", b"\xff\x00\n\n")
    assert found.sent == [message if message in kept_as_string else message + b"\n" for _, message in recorded]


@given(st.binary())
def test_any_bytes_come_back_unchanged(payload):
    block = LineEncoder("kalshi").encode(NS, [payload])
    assert raw(block) == decode_line(block).payload + b"\n"
