"""What people write: websocket-client's recv(), the message parsed and printed again, a flush for each line.

python test/bench/naive.py <url> <file>
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from gevent import monkey

monkey.patch_all()

import websocket  # noqa: E402


def main() -> None:
    url, path = sys.argv[1:]
    connection = websocket.create_connection(url)
    connection.send('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}')
    with open(path, "a") as file:
        while message := connection.recv():
            ts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            file.write(json.dumps({"ts": ts, "feed": "naive", "data": json.loads(message)}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
