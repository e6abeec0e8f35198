"""What a collector says is taken only within limits, because another program may answer in its place."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from process import Probed, ssmd

from ssmd.collectors.said import read

SINCE = "2026-11-28T19:00:00.000000Z"
WELL: dict[str, Any] = {
    "state": "collecting",
    "since": SINCE,
    "environment": "test",
    "connected": True,
    "verdict": {"grade": "good", "brief": "Collecting", "text": "Collecting all markets", "since": SINCE},
}
AHEAD, BEFORE = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"


def today(*pieces: tuple[str, str], day: str = "2026-11-28") -> dict[str, Any]:
    return {"day": day, "pieces": [{"from": begin, "to": end, "state": "outage"} for begin, end in pieces]}


HOSTILE: dict[str, dict[str, Any]] = {
    "time before all": {"since": BEFORE},
    "time after all": {"since": AHEAD},
    "last sync before all": {"disk": {"last_sync": BEFORE}},
    "no day": {"today": today(day="2026-99-99")},
    "last day of all": {"today": today(day="9999-12-31")},
    "end before its beginning": {"today": today((SINCE, "2026-11-28T18:00:00Z"))},
    "piece of another day": {"today": today(("2026-11-27T00:00:00Z", SINCE))},
    "too many pieces": {"today": today(*[(SINCE, SINCE)] * 3000)},
    "large count": {"messages": {"written": 1 << 63}},
    "negative count": {"queue": {"messages": -1, "bytes": 0}},
    "large number": {"rates": {"messages_per_second": 1e300}},
    "long text": {"verdict": {"grade": "good", "brief": "x", "text": "x" * 20_000}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_collector_says_is_refused(name):
    assert read(json.dumps(WELL).encode()).is_well
    with pytest.raises(ValueError, match=r"."):
        read(json.dumps(WELL | HOSTILE[name]).encode())


@contextmanager
def answering(answers: dict[str, bytes]) -> Iterator[dict[str, str]]:
    """Servers that give every client the same answer; yields their addresses by name."""
    listening = {name: socket.create_server(("127.0.0.1", 0)) for name in answers}

    def serve(name: str) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening[name].accept()
                with client, suppress(OSError):
                    client.recv(65536)
                    client.sendall(answers[name])

    threads = [threading.Thread(target=serve, args=[name]) for name in answers]
    for each in threads:
        each.start()
    try:
        yield {name: f"127.0.0.1:{sock.getsockname()[1]}" for name, sock in listening.items()}
    finally:
        for sock in listening.values():
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for each in threads:
            each.join()


def http(body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def test_hostile_answers_break_neither_the_page_nor_the_other_rows():
    rude = {
        "environment": "<script>alert(1)</script>\u202e" + "N" * 5000,
        "verdict": {"grade": '" onload="x', "brief": "<b>" + "B" * 5000, "text": "<i>" + "T" * 9000},
        "shipping": {"engine": "<u>" + "E" * 5000, "up": False},
        "messages": {"written": 1, "age_seconds": -1e18, "last_byte_age_seconds": 1e18},
        "today": {**today((SINCE, SINCE)), "coverage_percent": 1e18},
    }
    answers = {name: http(WELL | each) for name, each in HOSTILE.items()} | {
        "rude": http(WELL | rude),
        "large chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\n",
        "deep": b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        "well": http(WELL),
    }
    listen = ("--listen", "127.0.0.1:0")
    with answering(answers) as addresses, Probed("dashboard", *listen, *addresses.values()) as running:
        running.listen = running.wait_for("serving")["listen"]
        while (page := running.get("/"))[1].count("No answer") < len(answers) - 2 and page[0] == 200:
            time.sleep(0.1)
        assert page[0] == 200
        shown = page[1]
        reasons = re.findall(r'<tr class="names"><td colspan="8">(.*?),', shown)
        assert reasons.count("its answer is not that of a collector") == len(HOSTILE) + 1
        assert reasons.count("it does not answer in HTTP") == 1
        assert sum(f"<{tag}>" in shown for tag in ("script", "b", "i", "u")) == 0
        assert "\u202e" not in shown
        assert 'onload="x' not in shown
        assert max(map(len, re.findall(r"[A-Z]+", shown))) < 600
        assert "Collecting all markets; since " in shown
        for name in ("large chunk", "rude", "time before all"):
            assert "Traceback" not in ssmd("status", addresses[name]).stderr
        assert running.end() == 0
