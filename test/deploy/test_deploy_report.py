"""The report's page in a real browser: it shows the figures, loads nothing else and logs no error."""

from __future__ import annotations

import re
import struct
import subprocess
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from patience import PATIENCE
from process import start
from recorded import DAY, make_day

pytestmark = pytest.mark.needs("chromium")

BROWSERS = 6
"""How often a browser is asked, one after the other, for what a busy one may be too late with."""

LIGHT = {"bar": (0x3B, 0x6F, 0xD8), "heard": (0x2F, 0x9E, 0x6E), "out": (0xD9, 0x48, 0x3B), "page": (0xF6, 0xF7, 0xF9)}
DARK = {"bar": (0x6F, 0x9B, 0xF2), "heard": (0x3F, 0xAE, 0x7F), "out": (0xEF, 0x6A, 0x5E), "page": (0x10, 0x14, 0x1B)}


@pytest.fixture
def page(tmp_path: Path) -> str:
    storage = tmp_path / "data"
    for day in (18, 19):
        make_day(storage, f"2026-09-{day}")
    make_day(storage, "2026-09-21", lost_after=50, connected=[(0, 40_000, "disconnected"), (43_600, DAY, "stopped")])
    process = start("report", storage, "--html", PYTHONIOENCODING="utf-8")
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    return out


@contextmanager
def served(page: str) -> Iterator[tuple[str, list[str]]]:
    """Serve the page; yield its address, and the list of what the page requests from any host."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").partition(":")[0]
            # Requests of the browser itself, to the sites of its maker, have no Referer.
            if host == "127.0.0.1" or self.headers.get("Referer"):
                asked.append(host + self.path)
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/report.html", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def browse(profile: Path, address: str, *arguments: str) -> tuple[str, list[str]]:
    """Open the address; return the output of the browser, and the lines of the page's console, errors included."""
    ended = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
            "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}",
            # No request leaves this machine: every host name leads to the server above.
            f"--host-resolver-rules=MAP * {urlsplit(address).netloc}",
            "--window-size=1400,900", "--enable-logging=stderr", *arguments, address,
        ],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    return ended.stdout, re.findall(r":CONSOLE\S*\] (.*)", ended.stderr)


def test_it_shows_the_figures_and_loads_nothing_else(page, tmp_path):
    with served(page) as (address, asked):
        shown, console = browse(tmp_path / "profile", address, "--dump-dom")
    assert (asked, console) == (["127.0.0.1/report.html"], [])
    for text in ("2026-09-20", "95.83 %", "0.00 %", "01:00:00", "disconnected", "no data", "orderbook_delta"):
        assert text in shown
    assert shown.count("<svg") >= 4


@pytest.mark.parametrize("width", [400, 900, 1300])
def test_nothing_is_cut_off_in_a_narrow_window(page, tmp_path, width):
    """Every element is within the window, none scrolls by itself, and each cell has a name when the head is gone."""
    # The frame gets its width some time after its document, and the rules for that width are applied when the browser
    # draws it the next time.
    measure = """
        function measure() {
            const width = frame.clientWidth;
            if (frame.contentWindow.innerWidth !== width) return;
            const all = [...frame.contentDocument.querySelectorAll("body *")];
            const out = all.filter(e => e.getBoundingClientRect().right > width
                || (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != "inline"));
            document.title = `${all.length > 100} ${out.map(e => e.outerHTML)}`;
        }
        // A busy browser may draw nothing at all before its time is over.
        setInterval(() => { measure(); frame.contentWindow.requestAnimationFrame(measure); }, 100);
    """
    frame = f'<iframe id="frame" width="{width}" height="900" srcdoc="{escape(page, quote=True)}"></iframe>'
    # Where it takes too long, the measurement is that of another width. What is cut off is so each time.
    with served(f'<link rel="icon" href="data:,">{frame}<script>{measure}</script>') as (address, _):
        for number in range(BROWSERS):
            profile = tmp_path / f"profile-{number}"
            shown, console = browse(profile, address, "--dump-dom", "--virtual-time-budget=20000")
            assert console == []
            if "<title>true </title>" in shown:
                break
    assert "<title>true </title>" in shown


def test_a_page_with_an_error_or_a_request_would_be_noticed(tmp_path):
    wrong = (
        '<link rel="icon" href="data:,"><script>nothing.here()</script><img src="/other.png"><img src="http://x.test/">'
    )
    with served(wrong) as (address, asked):
        _, console = browse(tmp_path / "profile", address, "--dump-dom")
    assert sorted(asked) == ["127.0.0.1/other.png", "127.0.0.1/report.html", "x.test/"]
    assert any("ReferenceError" in line for line in console)


@pytest.mark.parametrize(("scheme", "colours"), [("1", LIGHT), ("0", DARK)], ids=["light", "dark"])
def test_its_charts_are_seen_in_light_and_in_dark(page, tmp_path, scheme, colours):
    picture = tmp_path / "report.png"
    with served(page) as (address, _):
        browse(
            tmp_path / "profile", address, f"--screenshot={picture}", f"--blink-settings=preferredColorScheme={scheme}"
        )
    seen = pixels(picture.read_bytes())
    assert sum(seen.values()) == 1400 * 900
    assert seen[colours["page"]] > 100_000
    assert seen[colours["bar"]] > 3_000
    assert seen[colours["heard"]] > 3_000
    assert seen[colours["out"]] > 1_000  # A day without data, and an hour.


def pixels(png: bytes) -> Counter[tuple[int, int, int]]:
    """Count the pixels of each colour in a picture with 8 bits a channel (PNG specification, 9.2, the filters)."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind = png[at + 4 : at + 8]
        chunks[kind] = chunks.get(kind, b"") + png[at + 8 : at + 8 + size]
        at += size + 12
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour) in ((8, 2), (8, 6))
    step = 3 if colour == 2 else 4
    data = zlib.decompress(chunks[b"IDAT"])
    above = bytearray(width * step)
    seen: Counter[tuple[int, int, int]] = Counter()
    for row in range(height):
        start_ = row * (width * step + 1)
        kind_, line = data[start_], bytearray(data[start_ + 1 : start_ + 1 + width * step])
        for i in range(len(line) if kind_ else 0):
            left, up = (line[i - step] if i >= step else 0), above[i]
            corner = above[i - step] if i >= step else 0
            guess = left + up - corner
            nearest = min((left, up, corner), key=lambda each: abs(guess - each))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, nearest)[kind_]) & 255
        seen.update(zip(line[0::step], line[1::step], line[2::step], strict=True))
        above = line
    return seen
