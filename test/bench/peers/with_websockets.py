"""websockets: <form> <url> <file> <subscribe command>."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

import uvloop
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bench.peers.tuned import BatchWriter


async def typical(url: str, path: str, command: str) -> None:
    with open(path, "a") as file:
        async with connect(url) as connection:
            await connection.send(command)
            async for message in connection:
                ts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                file.write(json.dumps({"ts": ts, "feed": "bench", "data": json.loads(message)}) + "\n")
                file.flush()


async def tuned(url: str, path: str, command: str) -> None:
    writer = BatchWriter(path)
    loop = asyncio.get_running_loop()
    async with connect(url, compression=None, max_size=None, max_queue=1024) as connection:
        await connection.send(command)
        try:
            while True:
                message = await connection.recv(decode=False)
                if not len(writer):
                    loop.call_soon(writer.flush)  # After all messages that have already arrived.
                writer.add(message)
        except ConnectionClosed:
            writer.flush()


if __name__ == "__main__":
    form, *arguments = sys.argv[1:]
    if form == "typical":
        asyncio.run(typical(*arguments))
    else:
        uvloop.run(tuned(*arguments))
