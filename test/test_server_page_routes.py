"""The page over a real socket: what it shows at each level, and what it refuses."""

from __future__ import annotations

import fcntl
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dead_disk
import gevent
import gevent.event
import pytest
from exchange_server import eventually
from process import ROOT
from prometheus_client import CollectorRegistry
from recorded import make_day
from test_server_health import ask, connected, exchange, served, to_its_end
from test_server_status import ABOUT, BOOKS, NOW, SECOND, busy

from ssmd.contracts.events import Gap
from ssmd.contracts.strip import LISTENING, OUTAGE, Piece, Strip
from ssmd.runtime.histogram import Histogram
from ssmd.runtime.reason import Reason
from ssmd.runtime.recent import Recent
from ssmd.runtime.status import Status
from ssmd.runtime.threads import Pending
from ssmd.server.app import make_app
from ssmd.server.health import HealthServer
from ssmd.server.levels import FULL, STATUS
from ssmd.server.page.report import MOST_AT_ONCE, Report
from ssmd.server.page.routes import FILES, Page, PageSource
from ssmd.server.status import describe

EVIL = "<script>alert(1)</script>&\"'"


@contextmanager
def page_of(
    status: Status, level: str = FULL, about: Any = ABOUT, *, only_local: bool = False, tail: Any = None
) -> Iterator[HealthServer]:
    def said() -> dict[str, Any]:
        return describe(status, about, level, lambda: NOW)

    page = Page(PageSource(said, about.days, about.recent), tail)
    app = make_app(status, CollectorRegistry(), said, page, only_local=only_local)
    with served(app, streams=page.streams) as server:
        yield server


def html(status: Status, level: str = FULL, about: Any = ABOUT) -> str:
    with page_of(status, level, about) as server:
        answer = ask(server, "/")
    assert (answer.code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return answer.body.decode()


def test_it_shows_the_verdict_and_why():
    status = busy()
    assert "<li>orderbook" not in html(status)
    assert "The chart begins 10 s after the start of the run." in html(status)
    status.channels = [BOOKS, replace(BOOKS, channel="trade", missing=(Reason("trade: no message for 94 s", "trade"),))]
    text = html(status)
    assert "<h1>Connected, but on orderbook_delta: 1 of 40 markets not confirmed for 11 s (and 1 more)</h1>" in text
    assert "<li>orderbook_delta: 1 of 40 markets not confirmed for 11 s</li>" in text
    assert "<li>trade: no message for 94 s</li>" in text
    assert "never heard from: KX-orderbook_delta-0, " in text


def test_the_gaps_of_each_subscription():
    status = busy()
    status.gap_counts.subscribed(2, "trade")
    for gap in (Gap(2, 5, 6), Gap(1, 5, 9, name=EVIL), Gap(1, 12, 19, name=EVIL, counted=False)):
        status.add_gap(gap, NOW)
    shown = "<li>&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#34;&#39;: 2 gaps, ? messages lost</li>"
    assert f"{shown}\n<li>trade (sid 2): 1 gap, 1 message lost</li>" in html(status)
    assert "trade (sid 2)" not in html(status, STATUS)


def test_what_is_not_known_is_a_question_mark():
    found = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", html(Status()))
    assert {name: value for name, value in found if value == "?"}.keys() >= {"disk free"}
    assert {name: value for name, value in found if name.startswith("last ")} == dict.fromkeys(
        ("last byte", "last message", "last sync"), "none yet"
    )
    assert "Not known yet." in html(Status())  # The days.


def test_without_names_at_the_level_status():
    text = html(busy(), STATUS)
    assert "KX-" not in text
    assert "orderbook_delta" in text


def test_without_a_page_there_is_nothing():
    with served(make_app(Status(), CollectorRegistry(), dict)) as server:
        assert [ask(server, f"/{name}").code for name in ("", *FILES)] == [404] * 4


def test_hostile_names_stay_text():
    """Whatever an exchange, a configuration or an error may hold."""
    status = busy()
    status.channels = [replace(BOOKS, channel=EVIL, missing=(Reason(EVIL, EVIL),))]
    status.unheard = lambda channel: [EVIL]
    status.companions["ship"].report["error"] = EVIL
    status.disk_free = None
    about = replace(ABOUT, environment=EVIL, endpoint=EVIL, feed=EVIL, exchange=EVIL)
    strip = Strip("2026-09-21", [Piece(NOW - SECOND, NOW, OUTAGE, EVIL)])
    text = html(status, FULL, replace(about, days=lambda: [strip]))
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert not re.search(r"[\"']\s*on\w+\s*=", text)
    assert text.count("<script") == 1


def test_a_name_that_is_no_unicode_does_not_break_it():
    assert "KX?" in html(busy(), FULL, replace(ABOUT, feed="KX\ud800"))


def test_the_days_and_the_chart_are_drawn():
    begin = NOW // (86_400 * SECOND) * 86_400 * SECOND
    strip = Strip(
        "2026-09-21",
        [Piece(begin, NOW - 94 * SECOND, LISTENING), Piece(NOW - 94 * SECOND, NOW, OUTAGE, "disconnected")],
        gaps_ns=[begin + SECOND],
    )
    now, status = 0.0, busy()
    recent = Recent(status, Histogram("age", "", (1.0,)), lambda: now)
    for _ in range(30):
        recent.sample()
        now, status.messages = now + 1, status.messages + 10
    text = html(status, FULL, replace(ABOUT, days=lambda: [strip], recent=recent))
    assert 'aria-label="2026-09-21: listened to 99.81 %, 1 gap"' in text
    assert "<li>14:11:46 to 14:13:20 UTC: not listening, the connection was lost (94 s)</li>" in text
    assert 'class="gap"' in text
    assert re.search(r'<path class="band b0" d="M\d+ \d', text)


@pytest.mark.parametrize("name", FILES)
def test_its_files(name):
    with page_of(Status()) as server:
        answer = ask(server, f"/{name}")
        assert (answer.code, answer.headers["content-type"]) == (200, f"{FILES[name]}; charset=utf-8")
        assert len(answer.body) > 100


def test_it_names_no_other_origin_and_no_code_of_its_own():
    with page_of(busy()) as server:
        whole = [ask(server, path).body.decode() for path in ("/", *(f"/{name}" for name in FILES))]
    for text in whole:
        assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert " style=" not in text
    assert set(re.findall(r'(?:src|href)="([^"#]+)"', whole[0])) <= {*FILES, "status", "metrics", "health", "ready"}


@pytest.mark.parametrize("path", ["/", "/page.js", "/status", "/health", "/nothing"])
def test_every_answer_forbids_what_a_browser_would_do_beyond_it(path):
    with page_of(Status()) as server:
        headers = ask(server, path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/page.js"])
def test_it_is_only_to_be_read(path, method):
    with page_of(Status()) as server:
        answer = ask(server, path, method)
        assert (answer.code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("path", "code"), [("/", 403), ("/status", 403), ("/page.js", 403), ("/health", 200), ("/metrics", 200)]
)
def test_where_only_this_host_reaches_it_no_other_name_is_served(path, code):
    """A page of a stranger whose name leads to 127.0.0.1 can read nothing (DNS rebinding)."""
    with page_of(Status(), only_local=True) as server:
        request = "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n"
        assert ask_as(server, request.format(path, f"evil.example:{server.port}")) == code
        for name in (f"localhost:{server.port}", f"127.0.0.1:{server.port}", f"[::1]:{server.port}"):
            assert ask_as(server, request.format(path, name)) == 200
    with page_of(Status()) as server:
        for name in ("collector.example", f"my_host:{server.port}"):
            assert ask_as(server, request.format(path, name)) == 200


@contextmanager
def page_with_report(
    folder: Path, report: Report | None = None, *, only_local: bool = False
) -> Iterator[HealthServer]:
    source = PageSource(lambda: describe(Status(), ABOUT, FULL, lambda: NOW), ABOUT.days, None)
    page = Page(source, report=report or Report(folder))
    with served(make_app(Status(), CollectorRegistry(), dict, page, only_local=only_local)) as server:
        yield server


def test_it_links_to_the_report_that_lies_beside_the_days(tmp_path):
    with page_with_report(tmp_path) as server:
        assert '<a href="report">' in ask(server, "/").body.decode()
        missing = ask(server, "/report")
        assert (missing.code, missing.headers["content-type"]) == (404, "text/plain; charset=utf-8")
        command = missing.body.decode().splitlines()[-1]
        assert command.startswith(f"ssmd report {tmp_path} --html > ")
        make_day(tmp_path, "2026-09-20")
        command = command.replace("ssmd", f"{sys.executable} -m ssmd", 1)
        done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        made = ask(server, "/report")
        assert (made.code, made.body) == (200, (tmp_path / "report.html").read_bytes())
        assert b"What was recorded" in made.body
        policy = made.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
        assert "script" not in policy
        assert ask(server, "/report", "POST").code == 405
    with page_with_report(tmp_path, only_local=True) as server:
        assert ask_as(server, "GET /report HTTP/1.1\r\nHost: evil.example\r\n\r\n") == 403


def test_a_report_that_cannot_be_read_says_why(tmp_path):
    path = tmp_path / "report.html"
    with page_with_report(tmp_path) as server:
        with open(path, "wb") as file:
            file.truncate(1 << 30)
        assert "is it a report?" in ask(server, "/report").body.decode()
    with page_with_report(path) as server:  # A file is where its folder should be.
        answer = ask(server, "/report")
        assert (answer.code, answer.body.decode()) == (503, f"{path}/report.html: cannot be read: Not a directory\n")


def test_no_file_but_a_regular_one_in_the_folder_itself_is_shown_as_the_report(tmp_path):
    """Who may write in that folder could otherwise make the page show any file that the collector may read."""
    path, secret = tmp_path / "report.html", tmp_path / "secret"
    secret.write_text("the key")

    def listen() -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))

    makers: dict[str, Callable[[], object]] = {
        "a symbolic link": lambda: path.symlink_to(secret),
        "a symbolic link ": lambda: path.symlink_to(tmp_path / "nothing"),
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),  # Opening it would wait for somebody who writes.
        "a socket": listen,
    }
    with page_with_report(tmp_path) as server:
        for kind, make in makers.items():
            make()
            assert told(server, path) == f"is {kind.strip()}; the report must be a regular file"
            (path.rmdir if kind == "a folder" else path.unlink)()
        path.write_text("a report")
        assert ask(server, "/report").body == b"a report"


def test_a_report_takes_memory_for_few_clients_at_once_and_for_none_later(tmp_path):
    """Clients that read slowly would otherwise each take the 8 MiB that a report may have."""
    (tmp_path / "report.html").write_bytes(b"x" * 100_000)
    report, hold = Report(tmp_path, turn_seconds=math.inf), gevent.event.Event()
    codes, clients = clients_of(report, hold, 19)
    assert codes == [200] * MOST_AT_ONCE + [503] * (19 - MOST_AT_ONCE)
    hold.set()
    gevent.joinall(clients)
    assert report.answer().status_code == 200
    assert not has_read_data(report)


def clients_of(report: Report, hold: gevent.event.Event, count: int) -> tuple[list[int], list[gevent.Greenlet]]:
    """Let so many clients ask for a report, one after the other; those that get it keep it until the event is set.

    Returns the status that each gets, in a list that grows, and what serves each.
    """
    codes: list[int] = []
    clients = []

    def client() -> None:
        answer = report.answer()
        codes.append(answer.status_code)
        if answer.status_code == 200:
            hold.wait()

    for _ in range(count):
        clients.append(gevent.spawn(client))
        eventually(lambda: len(codes) == len(clients))
    return codes, clients


def test_the_client_that_has_been_served_longest_gives_its_place_to_the_next_one(tmp_path):
    """A few that read very slowly would otherwise keep the report from everybody else for hours."""
    (tmp_path / "report.html").write_bytes(b"a report")
    hold = gevent.event.Event()
    codes, clients = clients_of(Report(tmp_path, turn_seconds=0), hold, MOST_AT_ONCE + 2)
    assert codes == [200] * (MOST_AT_ONCE + 2)
    gevent.joinall(clients[:2])
    assert [client.dead for client in clients] == [True] * 2 + [False] * MOST_AT_ONCE
    hold.set()
    gevent.joinall(clients)


def test_who_loses_its_place_gets_a_part_of_the_report_and_the_next_one_all(tmp_path):
    content = b"x" * (8 << 20)  # More than the system keeps for a connection.
    (tmp_path / "report.html").write_bytes(content)
    with page_with_report(tmp_path, Report(tmp_path, turn_seconds=0)) as server, ExitStack() as stack:
        slow = [stack.enter_context(connected(server)) for _ in range(MOST_AT_ONCE)]
        for sock in slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            sock.sendall(b"GET /report HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
        assert ask(server, "/report").body == content
        assert len(to_its_end(slow[0])) < len(content)


@pytest.mark.needs("strace")
def test_a_disk_that_does_not_answer_takes_one_thread_and_no_other_answer(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"late")
    report = Report(tmp_path)
    with page_with_report(tmp_path, report) as server:
        with dead_disk.stuck(os.getpid(), path):
            assert told(server, path) == "the disk has not answered within 2 s; try again later"
            assert [told(server, path) for _ in range(3)] == ["the disk does not answer; try again later"] * 3
            eventually(lambda: dead_disk.waiting(os.getpid()) == 1)
            assert ask(server, "/health").code == 200
            assert has_read_data(report)
        # Nobody has to ask again for what was read late to be released.
        eventually(lambda: not has_read_data(report))
        assert ask(server, "/report").body == b"late"
    assert 'href="report"' not in html(Status())


def has_read_data(report: Report) -> bool:
    return any(isinstance(held, Pending) for held in vars(report).values())


def told(server: HealthServer, path: Path) -> str:
    """Return why there is no report now."""
    answer = ask(server, "/report")
    assert answer.code == 503
    return answer.body.decode().removeprefix(f"{path}: ").removesuffix("\n")


@pytest.mark.skipif(not hasattr(fcntl, "F_SETLEASE"), reason="only Linux has leases")
def test_a_report_that_another_program_has_a_lease_on_is_to_be_asked_for_again(tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(b"late")
    with page_with_report(tmp_path) as server, leased(path) as give_back:
        assert told(server, path) == "another program holds it for now; try again"
        give_back()
        eventually(lambda: ask(server, "/report").body == b"late")


@contextmanager
def leased(path: Path) -> Iterator[Callable[[], None]]:
    """Hold a lease on a file in another process; yields what gives it back."""
    code = (
        "import fcntl, signal, sys; signal.signal(signal.SIGIO, signal.SIG_IGN); file = open(sys.argv[1], 'r+b')\n"
        "fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"\n"
        yield holder.stdin.close


FOREIGN = {
    "a stream of another site": "Origin: http://evil.example",
    "one of a frame without an origin": "Origin: null",
    "an image of another site": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors",
    "a script of another port": "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors",
    "a frame in another site": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe",
}
OWN = {
    "its own page": "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors",
    "its own page, by its name": "Origin: http://collector.example:80",
    "a link": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document",
    "a link, in a browser that says less": "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate",
    "what a person types": "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate",
}


@pytest.mark.parametrize("path", ["/", "/live", "/page.js", "/status"])
def test_pages_of_other_sites_load_nothing(path):
    """They could not read it; but their streams would take the places of others, and cost time."""
    with page_of(Status()) as server:
        request = f"HEAD {path} HTTP/1.1\r\nHost: collector.example:80\r\n{{}}\r\n\r\n"
        assert {name: ask_as(server, request.format(fields)) for name, fields in FOREIGN.items()} == dict.fromkeys(
            FOREIGN, 403
        )
        assert {name: ask_as(server, request.format(fields)) for name, fields in OWN.items()} == dict.fromkeys(OWN, 200)


def ask_as(server: HealthServer, request: str) -> int:
    return int(exchange(server, request.encode()).split(b" ")[1])
