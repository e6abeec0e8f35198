"""aiohttp: <form> <url> <file> <subscribe command>."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

import aiohttp
import uvloop

from bench.peers.tuned import BatchWriter


async def typical(url: str, path: str, command: str) -> None:
    with open(path, "a") as file:
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as connection:
            await connection.send_str(command)
            async for message in connection:
                ts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                file.write(json.dumps({"ts": ts, "feed": "bench", "data": json.loads(message.data)}) + "\n")
                file.flush()


async def tuned(url: str, path: str, command: str) -> None:
    writer = BatchWriter(path)
    loop = asyncio.get_running_loop()
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.ws_connect(url, decode_text=False, max_msg_size=0) as connection,
    ):
        await connection.send_str(command)
        async for message in connection:
            if not len(writer):
                loop.call_soon(writer.flush)  # After all messages that have already arrived.
            writer.add(message.data)
        writer.flush()


if __name__ == "__main__":
    form, *arguments = sys.argv[1:]
    if form == "typical":
        asyncio.run(typical(*arguments))
    else:
        uvloop.run(tuned(*arguments))
