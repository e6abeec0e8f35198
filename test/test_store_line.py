"""Whatever an exchange sends becomes one line that every reader can read, and can be recovered from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import EVERYTHING, NOT_JSON, NOT_TEXT, VALID

from ssmd.exchange.generic.dialect import Generic
from ssmd.store.line import LineEncoder, Record, decode_line

NS = 1_790_000_000_123_456_000
TS = "2026-09-21T14:13:20.123456Z"
HEAD = b'{"ts":"' + TS.encode() + b'","feed":"kalshi","data":'


def encode(payloads: list[bytes], decoded: bool = False) -> bytes:
    return LineEncoder("kalshi").encode(NS, payloads, decoded)


def only_line(payload: bytes, decoded: bool = False) -> bytes:
    line = encode([payload], decoded)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    return line


def accepted(payloads: list[bytes]) -> bool:
    """Return whether the decoder of a run accepts these messages."""
    return Generic()({}, {}).inspect(payloads).decoded


def test_a_json_message_is_written_exactly_like_this():
    assert encode([b'{"a": 1}']) == (
        b'{"ts":"2026-09-21T14:13:20.123456Z","feed":"kalshi","data":{"a": 1}}\n'
    )  # fmt: skip


def test_a_text_message_is_written_exactly_like_this():
    assert encode([b"no \xc2\xa7 {"]) == HEAD + b'"no \\u00a7 {","encoding":"text"}\n'


def test_a_binary_message_is_written_exactly_like_this():
    assert encode([b"\xff{"]) == HEAD + b'"/3s=","encoding":"base64"}\n'


def test_the_lines_of_a_batch_are_in_order():
    assert encode([b"1", b"two", b"3"], decoded=False) == b"".join(
        [HEAD + b"1}\n", HEAD + b'"two","encoding":"text"}\n', HEAD + b"3}\n"]
    )


def test_times_of_many_seconds_in_any_order_are_written_correctly():
    seconds = [1_790_000_000 + step for step in (0, 1, 2, 3, 4, 5, 0, 86_400, 1, 0)]
    for second in seconds:
        for micros in (999_999, 0):
            line = LineEncoder("kalshi").encode(second * 10**9 + micros * 1000, [b"{}"])
            assert decode_line(line) == Record(second * 10**9 + micros * 1000, "kalshi", b"{}")


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("payload", VALID.values(), ids=VALID)
def test_a_valid_document_is_copied_unchanged(payload, decoded):
    encoder = LineEncoder("kalshi")
    assert encoder.encode(NS, [payload], decoded) == HEAD + payload + b"}\n"
    assert encoder.kept_as_string == 0


@pytest.mark.parametrize("payload", VALID.values(), ids=VALID)
def test_the_decoder_of_a_run_accepts_every_valid_document(payload):
    assert accepted([payload])


@pytest.mark.parametrize("payload", NOT_JSON.values(), ids=NOT_JSON)
def test_a_message_that_is_not_json_is_kept_as_text(payload):
    encoder = LineEncoder("kalshi")
    line = encoder.encode(NS, [payload])
    assert line == only_line(payload)
    assert encoder.kept_as_string == 1
    assert json.loads(line) == {
        "ts": TS,
        "feed": "kalshi",
        "data": payload.decode("utf-8"),
        "encoding": "text",
    }
    assert decode_line(line) == Record(NS, "kalshi", payload)


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("payload", NOT_TEXT.values(), ids=NOT_TEXT)
def test_a_message_that_is_not_utf8_is_kept_as_base64(payload, decoded):
    # A decoder that skips a string does not look at its bytes, so `decoded` may be True here.
    line = only_line(payload, decoded and accepted([payload]))
    assert list(json.loads(line)) == ["ts", "feed", "data", "encoding"]
    assert json.loads(line)["encoding"] == "base64"
    assert decode_line(line).payload == payload


def test_the_decoder_alone_accepts_bad_utf8():
    assert accepted([NOT_TEXT["bad UTF-8 in a string"]])


@pytest.mark.parametrize("payload", EVERYTHING.values(), ids=EVERYTHING)
def test_every_line_is_safe_to_split_and_to_read(payload):
    line = only_line(payload, accepted([payload]))
    fields = json.loads(line)
    assert list(fields)[:3] == ["ts", "feed", "data"]
    assert (fields["ts"], fields["feed"]) == (TS, "kalshi")
    assert set(fields) <= {"ts", "feed", "data", "encoding"}
    if "encoding" in fields:
        assert line.isascii()
        assert len(line.decode().splitlines()) == 1


@pytest.mark.parametrize(
    ("payload", "document"),
    [
        (b'{"sid":1}\n', b'{"sid":1}'),
        (b' \t\r\n{"sid":1}\r\n\r\n', b'{"sid":1}'),
        (b'{\n "a": [\r\n  1\r\n ]\n}\n', b'{  "a": [    1   ] }'),
        (b'{"a":\n1,\r"b":2}', b'{"a": 1, "b":2}'),
        (b'{\t"a"\t:\t"b c"\t}', b'{\t"a"\t:\t"b c"\t}'),
        (b'"\\n"\n', b'"\\n"'),
    ],
)
@pytest.mark.parametrize("decoded", [False, True])
def test_white_space_around_is_removed_and_newlines_between_tokens_become_spaces(payload, document, decoded):
    assert encode([payload], decoded) == HEAD + document + b"}\n"
    assert json.loads(document) == json.loads(payload)


@pytest.mark.parametrize("decoded", [False, True])
def test_no_messages_make_no_lines(decoded):
    assert LineEncoder("kalshi").encode(0, [], decoded) == b""


def test_a_time_before_1970_is_written_like_any_other():
    assert LineEncoder("k").encode(-500_000_000, [b"1"], True).startswith(b'{"ts":"1969-12-31T23:59:59.500000Z"')


@pytest.mark.parametrize("time", ["10:30:60", "10:30:61", "24:00:00", "10:60:00"])
def test_a_line_with_a_time_that_does_not_exist_is_refused(time):
    with pytest.raises(ValueError, match=r"second|minute|hour|line"):
        decode_line(b'{"ts":"2025-12-22T%b.000000Z","feed":"kalshi","data":1}' % time.encode())


@pytest.mark.parametrize("decoded", [False, True])
def test_messages_that_end_with_a_newline_make_no_blank_lines(decoded):
    frames = [b'{"type":"trade","sid":2,"seq":%d}\n' % seq for seq in range(1, 400)]
    lines = encode(frames, decoded).splitlines()
    assert lines == [HEAD + frame.strip() + b"}" for frame in frames]


def test_one_bad_message_does_not_change_its_neighbours():
    payloads = [b'{"a":1}\n', b'{"a":"\xff"}\n', b'{"b":\n2}\n', b'{"c":3}\n']
    assert accepted(payloads)
    for decoded in (False, True):
        lines = encode(payloads, decoded).splitlines()
        assert [lines[index] for index in (0, 2, 3)] == [HEAD + b'{"a":1}}', HEAD + b'{"b": 2}}', HEAD + b'{"c":3}}']
        assert decode_line(lines[1]).payload == payloads[1]


def test_halves_of_a_character_in_two_messages_do_not_become_one_character():
    payloads = [b'"\xe2\x82"', b'"\xac"']
    assert accepted(payloads)
    assert [decode_line(line).payload for line in encode(payloads, True).splitlines()] == payloads


def test_messages_kept_as_strings_are_counted_over_all_batches():
    encoder = LineEncoder("kalshi")
    encoder.encode(NS, [b"{}", b"x", b"\xff"])
    encoder.encode(NS, [b'"\xff"', b"{}"], decoded=True)
    assert encoder.kept_as_string == 3


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"null",
        b"\0" * 200,
        HEAD,
        HEAD + b"}",
        HEAD + b'{"a":1}',
        HEAD + b'{"a":1}\0\0',
        HEAD + b'{"a":"' + b"\0" * 50 + b'"}}',
        HEAD + b'{}, "feed":"other","data":{}}',
        HEAD + b'{"a":NaN}}',
        HEAD + b'{"a":"\xff"}}',
        HEAD + b"{}}\r\n",
        HEAD + b'"x"y","encoding":"text"}',
        HEAD + b'"\\ud800","encoding":"text"}',
        HEAD + b'"x","encoding":"rot13"}',
        HEAD + b'"=","encoding":"base64"}',
        HEAD + b'"!!!!","encoding":"base64"}',
        HEAD + b'{"a":1},"encoding":"text"}',
        b" " + HEAD + b"{}}",
        HEAD.replace(b".123456Z", b"Z") + b"{}}",
        HEAD.replace(b".123456Z", b".123456+00:00") + b"{}}",
        HEAD.replace(b"-09-21", b"-02-30") + b"{}}",
        HEAD.replace(b"T14:", b"T24:") + b"{}}",
        HEAD.replace(b"2026", b"0000") + b"{}}",
        HEAD.replace(b"kalshi", b"../kalshi") + b"{}}",
        HEAD.replace(b'"feed":"kalshi",', b"") + b"{}}",
        HEAD.replace(b":", b": ") + b"{}}",
    ],
)
def test_a_line_that_ssmd_did_not_write_is_refused(line):
    with pytest.raises(ValueError):  # noqa: PT011
        decode_line(line)


def test_a_line_is_decoded_with_and_without_its_newline():
    line = LineEncoder("coinbase.l2_v1-x").encode(NS, [b'{"a":1}'])
    assert decode_line(line) == decode_line(line[:-1]) == Record(NS, "coinbase.l2_v1-x", b'{"a":1}')


# Any JSON, written in any way that is allowed.
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["encoding", "text", '","encoding":"text"}', '"},"feed":"x', "\u2028", "\ud83d\ude00"])
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
WHITE = st.text(" \t\r\n", max_size=3).map(str.encode)


@st.composite
def json_payloads(draw: st.DrawFn) -> bytes:
    document = json.dumps(
        draw(DOCUMENTS), ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1, "\t"]))
    )
    return draw(WHITE) + document.encode("utf-8", "replace") + draw(WHITE)


@st.composite
def mutated_payloads(draw: st.DrawFn) -> bytes:
    payload = bytearray(draw(json_payloads()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(payload)))
        payload[at : at + draw(st.integers(0, 2))] = draw(
            st.binary(max_size=2) | st.sampled_from([b"}", b"{", b'"', b"\\u", b"\\ud800", b"NaN", b"\n", b",", b"00"])
        )
    return bytes(payload)


PAYLOADS = st.lists(st.binary(max_size=60) | json_payloads() | mutated_payloads(), min_size=1, max_size=6)


def same_but_for_white_space(payload: bytes, kept: bytes) -> bool:
    """Only the white space around the document is gone, and a newline between its tokens is a space."""
    return payload.strip(b" \t\r\n").replace(b"\n", b" ").replace(b"\r", b" ") == kept


@settings(max_examples=400)
@given(PAYLOADS)
def test_any_bytes_become_one_line_each_and_are_recovered(payloads):
    decoded = accepted(payloads)
    encoder = LineEncoder("kalshi")
    block = encoder.encode(NS, payloads, decoded)
    assert block == encode(payloads, decoded=False)
    assert block.endswith(b"\n")
    assert b"\r" not in block
    lines = block[:-1].split(b"\n")
    assert len(lines) == len(payloads)
    for payload, line in zip(payloads, lines, strict=True):
        # Pairs and not a dict, in which a repeated key would not show.
        keys = [key for key, _ in json.loads(line, object_pairs_hook=list)]
        assert keys in (["ts", "feed", "data"], ["ts", "feed", "data", "encoding"])
        fields = json.loads(line)
        assert (fields["ts"], fields["feed"]) == (TS, "kalshi")
        record = decode_line(line)
        assert (record.received_ns, record.feed) == (NS, "kalshi")
        if "encoding" in keys:
            assert record.payload == payload
            assert len(line.decode("ascii").splitlines()) == 1
        else:
            assert same_but_for_white_space(payload, record.payload)
            assert fields["data"] == json.loads(payload)
    assert encoder.kept_as_string == sum(b'"encoding":' in line[-24:] for line in lines)


@settings(max_examples=200)
@given(st.binary(max_size=120) | mutated_payloads().map(lambda payload: HEAD + payload + b"}"))
def test_any_line_is_decoded_or_refused(line):
    try:
        record = decode_line(line)
    except ValueError:
        return
    assert json.loads(line)["feed"] == record.feed
    again = decode_line(encode([record.payload])).payload
    assert again == record.payload or same_but_for_white_space(record.payload, again)


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_reads_every_line():
    payloads = list(EVERYTHING.values())
    block = b"".join(encode([payload], accepted([payload])) for payload in payloads)
    jq = subprocess.run(["jq", "-c", "."], input=block, capture_output=True, check=False)
    assert jq.stderr == b""
    assert jq.returncode == 0
    lines = jq.stdout.split(b"\n")[:-1]
    assert len(lines) == len(payloads)
    for ours, theirs in zip(block.splitlines(), lines, strict=True):
        assert list(json.loads(theirs)) == list(json.loads(ours))
        if b'"encoding":' in ours[-24:]:
            assert json.loads(theirs) == json.loads(ours)


@pytest.mark.parametrize(
    "message", [b"\x01" * (12 << 20), "\u0416".encode() * (1 << 20), b"\\" * (1 << 20), b"\xff" * 999]
)
def test_no_message_grows_more_than_base64_does(message):
    line = encode([message])
    assert len(line) < len(message) * 4 / 3 + 128 * 1024
    assert decode_line(line).payload == message


def test_a_short_text_stays_legible():
    assert b'"encoding":"text"' in encode(["\u0416\0".encode() * 1000])


MEGABYTES = 2 << 20
LARGE = {
    "control characters": b"\x01" * MEGABYTES,
    "quotes": b'"' * MEGABYTES,
    "brackets": b"[" * MEGABYTES,
    "not UTF-8": b"\xff" * MEGABYTES,
    "not UTF-8 at its end": "\u00e9".encode() * (MEGABYTES // 2) + b"\xff",
    "two bytes each": "\u00e9".encode() * (MEGABYTES // 2),
    "one wide character": b'"' + "\U0001f600".encode() + b"x" * (MEGABYTES - 6) + b'"',
    "one wide character, not JSON": "\U0001f600".encode() + b"x" * MEGABYTES,
    "line ends": b"[" + b"\r\n" * (MEGABYTES // 2) + b"]",
    "white space around": b" " + b"[" + b"\r\n" * (MEGABYTES // 2) + b"]" + b" ",
    "lists": b"[" + b"[]," * (MEGABYTES // 3) + b"[]]",
    "lists and strings": b"[" + b'[],"",1,' * (MEGABYTES // 8) + b"[]]",
    "lists, and digits in a string": b'["' + b"1" * 5000 + b'",' + b"[]," * (MEGABYTES // 3) + b"[]]",
    "strings, and digits in one": b'["' + b"1" * 5000 + b'",' + b'"",1,' * (MEGABYTES // 5) + b'""]',
    "digits": b"[" + b"1" * MEGABYTES + b"]",
    "a fraction": b"[1." + b"1" * MEGABYTES + b"]",
}


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("message", LARGE.values(), ids=LARGE)
def test_a_large_message_takes_three_times_its_size_at_most(message, decoded):
    """Besides the message itself; the line counts. A text as a whole would take up to twelve times as much."""
    decoded = decoded and accepted([message])
    encoder = LineEncoder("kalshi")
    tracemalloc.start()
    try:
        line = encoder.encode(NS, [message], decoded)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(message) + (1 << 20)
    assert decode_line(line).payload.split() == message.split()


def test_a_text_that_is_expected_is_kept_like_any_other_and_not_counted():
    encoder = LineEncoder("test", {b"pong", b"hello"}.__contains__)
    lines = encoder.encode(0, [b"pong", b"{}", b"gone"]).splitlines()
    assert [decode_line(line).payload for line in lines] == [b"pong", b"{}", b"gone"]
    assert encoder.kept_as_string == 1
    assert list(encoder.kinds_not_json) == ["text"]
    assert LineEncoder("test").encode(0, [b"pong"]) == lines[0] + b"\n"


# Several reads of the socket that are encoded together.

SECONDS = [0, 0.25, 1, 86_400]
"""When the reads came, after the first: within a second, after it, and on the next day."""


@pytest.mark.parametrize("decoded", [True, False])
@pytest.mark.parametrize(
    "payloads",
    [
        [b'{"n":%d}' % number for number in range(7)],
        [b' {"n":%d}\n' % number for number in range(7)],
        [b'{"n":%d}' % number for number in range(6)] + [b'{"n":\n6}'],
        [b'{"n":%d}' % number for number in range(6)] + [b'"\xff"'],
        [b"{}", b"oops", b"\xff", b"", b"[1]", b"7", b"null"],
    ],
    ids=["plain", "white space", "a newline between tokens", "not UTF-8", "not JSON"],
)
def test_the_lines_of_several_reads_are_those_of_each_read_alone(payloads, decoded):
    decoded = decoded and b"oops" not in payloads  # No decoder has accepted these.
    counts = [1, 3, 2, 1]
    reads = [(NS + int(after * 10**9), count) for after, count in zip(SECONDS, counts, strict=True)]
    together, alone = LineEncoder("kalshi"), LineEncoder("kalshi")
    expected, at = b"", 0
    for ns, count in reads:
        expected += alone.encode(ns, payloads[at : at + count], decoded)
        at += count
    assert together.encode_reads(reads, payloads, decoded) == expected
    assert (together.kept_as_string, together.kinds_not_json) == (alone.kept_as_string, alone.kinds_not_json)
    records = [decode_line(line) for line in expected.splitlines()]
    assert [record.received_ns for record in records] == [ns for ns, count in reads for _ in range(count)]


MESSAGES = st.sampled_from([*VALID.values(), *NOT_JSON.values()])


@given(st.lists(st.tuples(st.integers(0, 3 * 10**6), st.lists(MESSAGES, min_size=1, max_size=4)), max_size=5))
def test_whatever_comes_in_whatever_reads_has_the_time_of_its_own(found):
    found.sort(key=lambda read: read[0])
    times = [NS + after * 1000 for after, each in found for _ in each]
    payloads = [payload for _, each in found for payload in each]
    reads = [(NS + after * 1000, len(each)) for after, each in found]
    lines = LineEncoder("kalshi").encode_reads(reads, payloads, False).splitlines(keepends=True)
    assert lines == [LineEncoder("kalshi").encode(ns, [each]) for ns, each in zip(times, payloads, strict=True)]
