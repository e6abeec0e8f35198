"""picows: <form> <url> <file> <subscribe command>."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.peers.tuned import BatchWriter, check_head

Make = Callable[[str, str], WSListener]
"""A function that makes a listener, from the path of its file and the subscribe command."""


class Typical(WSListener):
    def __init__(self, path: str, command: str) -> None:
        self._file = open(path, "a")  # noqa: SIM115 Open until the process ends.
        self._command = command

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, self._command.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            ts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            message = json.loads(frame.get_payload_as_utf8_text())
            self._file.write(json.dumps({"ts": ts, "feed": "bench", "data": message}) + "\n")
            self._file.flush()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


class Tuned(WSListener):
    def __init__(self, path: str, command: str, check: Callable[[bytes], object] = check_head) -> None:
        self._writer = BatchWriter(path, check)
        self._add, self._flush = self._writer.add, self._writer.flush
        self._command = command

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, self._command.encode())

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._add(frame.get_payload_as_bytes())
            if frame.last_in_buffer:
                self._flush()
        elif frame.msg_type == WSMsgType.CLOSE:
            self._flush()
            transport.send_close(frame.get_close_code())
            transport.disconnect()


async def collect(listener: Make, url: str, path: str, command: str, **options: int) -> None:
    transport, _ = await ws_connect(lambda: listener(path, command), url, **options)
    await transport.wait_disconnected()


if __name__ == "__main__":
    form, *arguments = sys.argv[1:]
    if form == "typical":
        asyncio.run(collect(Typical, *arguments))
    else:
        listener: Make = Tuned
        if form == "orjson":
            import orjson

            listener = partial(Tuned, check=orjson.loads)
        uvloop.run(collect(listener, *arguments, read_buffer_init_size=256 * 1024))
