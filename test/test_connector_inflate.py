"""Compressed messages: inflated within a bound, and kept as they came when they do not inflate."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from exchange_server import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Peer,
    close_frame,
    eventually,
    frame,
    lists_of,
    serving,
)
from hypothesis import given
from hypothesis import strategies as st

from ssmd.connector.config import WebSocketConfig
from ssmd.connector.inflate import DEFLATE, GZIP, inflated
from ssmd.connector.strict import MessageTooBig
from ssmd.connector.websocket import WebSocketConnector
from ssmd.contracts.exchange import Opening
from ssmd.errors import Disconnected
from ssmd.exchange.generic.connection import GenericConnection
from ssmd.exchange.generic.description import EMPTY
from ssmd.runtime.threads import LARGE_BYTES, off_the_hub

MOST = 16 << 20
MESSAGE = b'{"ch":"market.btcusdt.kline.1min","ts":1630994963175,"tick":{"close":52735.63}}'


def raw_deflate(data: bytes) -> bytes:
    compress = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compress.compress(data) + compress.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (GZIP, gzip.compress),
    "zlib": (DEFLATE, zlib.compress),
    "raw": (DEFLATE, raw_deflate),
}
each_packer = pytest.mark.parametrize(("method", "pack"), PACKERS.values(), ids=PACKERS)


@each_packer
@given(data=st.binary(max_size=2000))
def test_whatever_was_compressed_is_inflated(method: str, pack: Callable[[bytes], bytes], data: bytes) -> None:
    assert inflated(pack(data), method, MOST) == data


@each_packer
@pytest.mark.parametrize("size", [LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 3 * LARGE_BYTES, 10_000_000])
@pytest.mark.parametrize("random", [False, True], ids=["zeros", "random"])
def test_large_messages(method: str, pack: Callable[[bytes], bytes], size: int, random: bool) -> None:
    data = os.urandom(size) if random else bytes(size)
    assert inflated(pack(data), method, MOST) == data
    assert inflated(pack(data), method, size) == data
    with pytest.raises(MessageTooBig, match=f"inflates to more than {size - 1:,} bytes"):
        inflated(pack(data), method, size - 1)


@each_packer
def test_a_message_that_is_cut_off_anywhere(method: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(MESSAGE)
    for end in range(len(packed)):
        with pytest.raises(zlib.error):
            inflated(packed[:end], method, MOST)


@each_packer
def test_a_message_with_any_wrong_byte_is_never_taken_for_another_one(
    method: str, pack: Callable[[bytes], bytes]
) -> None:
    """A raw stream has no checksum, so that one cannot be seen to be wrong."""
    if pack is raw_deflate:
        return
    packed = pack(MESSAGE)
    for at in range(len(packed)):
        wrong = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        try:
            assert inflated(wrong, method, MOST) == MESSAGE  # The header of gzip has a time, and a system.
        except (zlib.error, MessageTooBig):
            continue


@each_packer
@pytest.mark.parametrize("more", [b"\0", b"\0" * 8, b"garbage", b"\x1f", b"\x1f\x8b", MESSAGE])
def test_what_stands_behind_a_message_is_not_dropped(method: str, pack: Callable[[bytes], bytes], more: bytes) -> None:
    """The message is kept as it came."""
    with pytest.raises(zlib.error):
        inflated(pack(MESSAGE) + more, method, MOST)


def test_several_members_of_gzip_are_one_message() -> None:
    parts = [b'{"a":', b"", b"1", b"}", b" " * LARGE_BYTES]
    assert inflated(b"".join(map(gzip.compress, parts)), GZIP, MOST) == b"".join(parts)


def test_a_great_many_empty_members_do_not_stop_everything_else() -> None:
    began = time.monotonic()
    with stalls() as longest:
        assert inflated(gzip.compress(b"") * 200_000, GZIP, MOST) == b""
        took = time.monotonic() - began
    assert longest() < took / 2


@pytest.mark.parametrize("method", [GZIP, DEFLATE])
@pytest.mark.parametrize("payload", [b"", b"\x1f\x8b", b"x", MESSAGE, b"\x78\x9c", b"\xff" * 100, bytes(100)])
def test_what_is_not_compressed_is_not_inflated(method: str, payload: bytes) -> None:
    with pytest.raises(zlib.error):
        inflated(payload, method, MOST)


@pytest.mark.parametrize("method", [GZIP, DEFLATE, "br", ""])
@given(payload=st.binary(max_size=300))
def test_any_bytes_inflate_or_do_not(method: str, payload: bytes) -> None:
    with contextlib.suppress(zlib.error, MessageTooBig):
        inflated(payload, method, 1000)


def test_a_bomb_never_takes_more_than_the_bound() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(MessageTooBig):
            inflated(bomb, GZIP, MOST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST + 2 * LARGE_BYTES


class stalls:
    """Measures the longest time in which no other greenlet could run."""

    def __enter__(self) -> Callable[[], float]:
        self.longest = 0.0
        self.beating = gevent.spawn(self.beat)
        gevent.sleep(0.02)
        return lambda: self.longest

    def beat(self) -> None:
        last = time.monotonic()
        while True:
            gevent.sleep(0.001)
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now

    def __exit__(self, *_: object) -> None:
        gevent.sleep(0.02)
        self.beating.kill()


def test_a_large_message_does_not_stop_everything_else() -> None:
    packed = zlib.compress(b"".join([b"%d" % number for number in range(5_000_000)]), 1)
    began = time.monotonic()
    with stalls() as longest:
        whole = inflated(packed, DEFLATE, 1 << 30)
        took = time.monotonic() - began
    assert len(whole) > 30_000_000
    assert longest() < took / 2


# In a connection.


class Compressed(GenericConnection):
    """A dialect whose messages are compressed."""

    def __init__(self, method: str) -> None:
        super().__init__(EMPTY, {}, {}, None)
        self.method = method

    def opening(self, endpoint: str, now_ms: int) -> Opening:
        return Opening(endpoint, decompress=self.method)


def connected(url: str, method: str = GZIP, **options: Any) -> WebSocketConnector:
    config = WebSocketConfig(endpoint=url, **options)
    feed = WebSocketConnector(url, Compressed(method), config, direct=True)
    feed.connect()
    return feed


def collected(feed: WebSocketConnector) -> tuple[list[bytes], str]:
    """Return all messages, and how the connection ended."""
    received: list[bytes] = []
    end = read(feed, received.extend)
    return received, end


def read(feed: WebSocketConnector, each: Callable[[list[bytes]], None]) -> str:
    """Call `each` with every list of messages; return how the connection ended."""
    try:
        for payloads in lists_of(feed):
            each(payloads)
    except Disconnected as end:
        return str(end)
    finally:
        feed.close()
    return ""


def sending(*frames: bytes) -> Callable[[Peer], Any]:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(b"".join(frames) + close_frame(1000))
        return peer.received()

    return script


def received(method: str, *frames: bytes, **options: Any) -> tuple[list[bytes], WebSocketConnector]:
    with serving(sending(*frames)) as server:
        feed = connected(server.url, method, **options)
        messages, end = collected(feed)
    assert end.endswith("closed the connection: code 1000")
    return messages, feed


@each_packer
def test_binary_frames_are_inflated_and_text_frames_are_not(method: str, pack: Callable[[bytes], bytes]) -> None:
    """In every form that a frame can have, in the order in which they came."""
    large = b'{"large":"%s"}' % os.urandom(100_000).hex().encode()
    packed, packed_large = pack(MESSAGE), pack(large)
    frames = [
        frame(BINARY, packed),
        frame(TEXT, b'{"text":1}'),
        frame(BINARY, packed) * 3,
        frame(TEXT, b"pong"),
        frame(BINARY, packed_large),
        frame(BINARY, packed[:9], fin=False) + frame(PING, b"p") + frame(CONT, packed[9:]),
        frame(TEXT, b'{"text"', fin=False) + frame(CONT, b":2}"),
        frame(TEXT, b"t" * 70_000),
        frame(BINARY, packed),
    ]
    messages, feed = received(method, *frames)
    texts = [b'{"text":1}', b"pong", b'{"text":2}', b"t" * 70_000]
    assert messages == [MESSAGE, texts[0], *[MESSAGE] * 3, texts[1], large, MESSAGE, texts[2], texts[3], MESSAGE]
    assert (feed.decompress, feed.not_decompressed) == (method, 0)


def test_without_the_option_frames_are_kept_as_they_came() -> None:
    packed = gzip.compress(MESSAGE)
    messages, feed = received("", frame(BINARY, packed), frame(TEXT, b"text"))
    assert messages == [packed, b"text"]
    assert (feed.decompress, feed.not_decompressed) == ("", 0)


def test_what_does_not_inflate_is_kept_as_it_came_counted_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    good = gzip.compress(MESSAGE)
    wrong = [b"", good[:-1], good + b"garbage", b'{"error":"as text"}', zlib.compress(MESSAGE), good[:-8]]
    frames = [frame(BINARY, payload) for payload in wrong]
    messages, feed = received(GZIP, frame(BINARY, good), *frames, frame(BINARY, good))
    assert messages == [MESSAGE, *wrong, MESSAGE]
    assert feed.not_decompressed == len(wrong)
    [record] = caplog.records
    assert record.message.startswith("messages that cannot be decompressed are kept as they came")
    assert (record.decompress, record.looks_like) == ("gzip", "an empty message")  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", [GZIP, DEFLATE])
def test_a_bomb_ends_the_run_after_the_messages_before_it(method: str) -> None:
    pack = gzip.compress if method == GZIP else zlib.compress

    def script(peer: Peer) -> Any:
        peer.upgrade()
        messages = [*[pack(MESSAGE)] * 3, pack(bytes(10_000_000)), pack(b"never")]
        peer.send(b"".join([frame(BINARY, payload) for payload in messages]))
        return peer.received()

    with serving(script) as server:
        feed = connected(server.url, method, max_message_bytes=1_000_000)
        messages, end = collected(feed)
        assert server.result() == [(CLOSE, (1009).to_bytes(2, "big"))]
    assert messages == [MESSAGE] * 3
    limit = "a message that inflates to more than 1,000,000 bytes"
    assert end == f"{server.url} sent {limit}; raise max_message_bytes in the feed if that is right"


def test_many_small_bombs_are_not_inflated_at_once() -> None:
    """Each is within the bound; what is in memory is about one of them."""
    count, size = 60, 900_000
    packed = gzip.compress(bytes(size), 9)
    with serving(sending(frame(BINARY, packed) * count)) as server:
        feed = connected(server.url)
        lengths: list[int] = []
        read(feed, lambda payloads: lengths.append(sum(map(len, payloads))))
    assert sum(lengths) == count * size
    assert max(lengths) < LARGE_BYTES + size


def test_what_has_arrived_is_inflated_after_close() -> None:
    packed = frame(BINARY, gzip.compress(bytes(900_000)))

    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(packed * 9)
        return peer.received()

    with serving(script) as server:
        feed = connected(server.url)
        count = 0
        for payloads in lists_of(feed):
            if not count:
                gevent.sleep(0.1)
                feed.close()
            count += len(payloads)
        assert count == 9


def test_a_message_that_is_inflated_in_a_thread_is_held_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int | None] = []

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.send(frame(BINARY, gzip.compress(bytes(3_000_000))))
        eventually(lambda: held)
        peer.send(close_frame(1000))

    with serving(script) as server:
        feed = connected(server.url)
        monkeypatch.setattr(
            "ssmd.connector.inflate.off_the_hub", lambda work: (held.append(feed.held_ns), off_the_hub(work))[1]
        )
        assert len(collected(feed)[0]) == 1
    assert len(held) == 1
    assert None not in held


def test_pings_are_answered_between_compressed_messages() -> None:
    def script(peer: Peer) -> Any:
        peer.upgrade()
        peer.send(frame(BINARY, gzip.compress(b"1")) + frame(PING, b"p") + frame(BINARY, gzip.compress(b"2")))
        answer = peer.receive()
        peer.send(close_frame(1000))
        return answer

    with serving(script) as server:
        assert collected(connected(server.url))[0] == [b"1", b"2"]
        assert server.result() == (PONG, b"p")


def random_frames(data: Any) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(data.draw(st.integers(0, 30))):
        payload = data.draw(st.sampled_from([b"", b"x", MESSAGE, b"y" * 300, b"z" * 70_000, json.dumps("u").encode()]))
        binary = data.draw(st.booleans())
        packed = gzip.compress(payload) if binary else payload
        cut = data.draw(st.integers(0, len(packed)))
        opcode = BINARY if binary else TEXT
        if data.draw(st.booleans()):
            yield payload, frame(opcode, packed)
        else:
            yield payload, frame(opcode, packed[:cut], fin=False) + frame(CONT, packed[cut:])


@given(data=st.data())
def test_random_streams_of_frames(data: Any) -> None:
    pairs = list(random_frames(data))
    messages, feed = received(GZIP, *[sent for _, sent in pairs])
    assert messages == [payload for payload, _ in pairs]
    assert feed.not_decompressed == 0
