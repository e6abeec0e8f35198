"""`ssmd report` as a process: text for people and pipes, and a page that is whole by itself."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT, Ended, ssmd, start
from recorded import DAY, make_day
from rich.console import Console

from ssmd.reports.figures import Figures
from ssmd.reports.gather import gather
from ssmd.reports.html import page
from ssmd.reports.text import print_report
from ssmd.store.timestamps import DAY_NS, parse_timestamp, timestamp

LATER = 1_800_000_000 * 10**9


def report(*arguments: str | Path) -> Ended:
    return ssmd("report", *arguments, PYTHONIOENCODING="utf-8")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    make_day(tmp_path, "2026-09-20")
    make_day(tmp_path, "2026-09-21", lost_after=50, connected=[(0, 40_000, "disconnected"), (43_600, DAY, "stopped")])
    make_day(tmp_path, "2026-09-23", sealed=False)
    make_day(tmp_path, "2026-09-23", feed="other")
    return tmp_path


def test_the_text_has_a_line_for_each_day_and_each_outage(storage):
    code, out, err = report(storage)
    assert (code, err) == (0, "")
    feed, head, *days = out.splitlines()[:6]
    assert feed == "kalshi"
    assert head.split()[:3] == ["day", "messages", "change"]
    assert [line.split()[0] for line in days] == [f"2026-09-2{n}" for n in range(4)]
    assert re.search(r" 1 +3 +1 +01:00:00 +95\.83 % ", days[1])
    assert re.search(r" 0 +-100 % .* 0\.00 % .*no data", days[2])
    assert re.search(r"100\.00 % +[▁▂▃▄▅▆▇█]{24} +not sealed", days[3])
    assert "2026-09-21T11:06:40.000000Z  2026-09-21T12:06:40.000000Z      01:00:00  disconnected" in out
    assert "\nother\n" in out
    assert max(map(len, out.splitlines())) <= 200


def test_days_limits_how_many_days_are_shown(storage):
    code, out, _ = report(storage, "--days", "1")
    assert code == 0
    assert "2026-09-23" in out
    assert "2026-09-22" not in out


@pytest.mark.parametrize(("seconds", "shown"), [(3, "99.99 %"), (0.04, "99.99 %"), (0, "100.00 %")])
def test_seal_verify_and_report_show_the_same_coverage_and_100_only_for_a_whole_day(tmp_path, seconds, shown):
    runs = [(0, 40_000, "stopped"), (40_000 + seconds, DAY, "stopped")] if seconds else [(0, DAY, "stopped")]
    make_day(tmp_path, "2026-09-21", connected=runs, sealed=False)
    for command in (["seal"], ["verify"], ["report"], ["report", "--html"]):
        code, out, err = ssmd(*command, tmp_path, PYTHONIOENCODING="utf-8")
        assert (code, err) == (0, "")
        assert set(re.findall(r"[0-9.]+ %(?= |,|<|$)", out)) == {shown}, command


def test_the_coverage_of_a_day_without_a_ledger_is_a_question_mark_everywhere(tmp_path):
    make_day(tmp_path, "2026-09-21", sealed=False).with_name("kalshi.ledger.jsonl").unlink()
    for command in (["seal"], ["verify"], ["report"], ["report", "--html"]):
        code, out, err = ssmd(*command, tmp_path, PYTHONIOENCODING="utf-8")
        assert (code, err) == (65 if command == ["verify"] else 0, "")  # To verify, a missing ledger is wrong.
        assert re.search(r"[ >]\?[ ,<]", out), command
        assert not re.search(r"[0-9] %", out), command


class _Page(HTMLParser):
    """What a browser would load, and what it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text = ""
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_no_other_file(storage):
    code, out, err = report(storage, "--html")
    assert (code, err) == (0, "")
    page = _Page()
    page.feed(out)
    assert page.loads == ["data:,"]
    assert "url(" not in out
    assert "@import" not in out
    assert "script" not in page.tags
    assert page.tags.count("svg") >= 5
    for text in ("kalshi", "other", "2026-09-22", "95.83 %", "01:00:00", "disconnected", "orderbook_delta"):
        assert text in page.text


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "utf-16"},
    ],
    ids=str,
)
def test_the_page_is_utf_8_whatever_the_encoding_of_the_output_is(tmp_path, variables):
    path = make_day(tmp_path / "größe", "2026-09-21", sealed=False)
    path.write_bytes(path.read_bytes().replace(b'"ticker"', '"naïve ▁ 行情"'.encode()))
    process = start("report", tmp_path / "größe", "--html", **variables)
    page, err = process.stdout.buffer.read(), process.stderr.read()
    assert (process.wait(), err) == (0, "")
    assert b'<meta charset="utf-8">' in page
    assert "naïve ▁ 行情" in page.decode("utf-8")
    assert "größe" in page.decode("utf-8")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [("report",), ("report", "--html"), ("verify",), ("cat",)], ids=" ".join)
def test_a_closed_or_a_full_output_gives_the_same_error_in_every_command(storage, arguments, unbuffered):
    command = [sys.executable, "-m", "ssmd", *arguments, str(storage)]
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, writer = os.pipe()
    open(reader, "rb").close()  # gevent's os.close() would leave it open until its loop runs again.
    full = "ssmd: the standard output cannot be written: No space left on device; send it elsewhere or free some\n"
    for output, expected in ((writer, (141, "")), (os.open("/dev/full", os.O_WRONLY), (74, full))):
        done = subprocess.run(
            command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
        os.close(output)
        assert (done.returncode, done.stderr) == expected


@pytest.mark.one_day
def test_an_outage_that_still_lasts_has_rows_up_to_today(tmp_path):
    now = time.time_ns()
    days = [timestamp(now - ago * DAY_NS)[:10] for ago in range(3, -1, -1)]
    make_day(tmp_path, days[0], connected=[(0, 43_200, "killed")], sealed=False)
    code, out, err = report(tmp_path)
    assert (code, err) == (0, "")
    rows = [line for line in out.split("outage from")[0].splitlines() if line.startswith("20")]
    assert [row.split()[0] for row in rows] == days
    assert all(re.search(r"  1 +1 d 00:00:00 +0\.00 % .*no data *$", row) for row in rows[1:3])
    assert re.search(r" 0\.00 % +until \d\d:\d\d, no data *$", rows[3])
    # Three midnights have passed, and it is one outage.
    [outage] = out.split("outage from")[1].splitlines()[1:2]
    began, ended = outage.split()[:2]
    assert began == f"{days[0]}T11:59:59." + began[20:]
    # Before noon it has lasted for two whole days, after noon for three.
    whole_days = (parse_timestamp(ended) - parse_timestamp(began)) // DAY_NS
    assert re.search(rf" {whole_days} d [\d:]{{8}}  killed *$", outage)
    assert out.partition("\n\nmarkets on ")[0].endswith("killed")
    drawn = report(tmp_path, "--html")[1]
    assert all(f'aria-label="{day} by hour"' in drawn for day in days)
    assert "until " in drawn
    assert '<rect class="ahead"' in drawn
    assert "no data since" not in out + drawn


def test_one_line_says_that_an_archive_is_over(storage):
    for found in (report(storage)[1], report(storage, "--html")[1]):
        assert len(re.findall(r"no data since 2026-09-23, \d+ days? ago", found)) == 1
        assert "2026-09-24" not in found.replace("2026-09-24T00:00:00", "")
    assert "no data since" not in report(storage / "2026-09-20")[1]


def test_a_day_with_a_connection_but_without_messages_is_drawn_as_connected():
    quiet = Figures("2026-09-21", "kalshi", coverage=100.0)
    silent = Figures("2026-09-22", "kalshi", known_ns=0)
    drawn = page([quiet, silent], now_ns=LATER, storage="data", version="1")
    assert drawn.count('<rect class="connected" x="0.00" width="1000.00"') == 1
    assert "<title>connected</title>" in drawn
    assert "no data</title>" in drawn


def test_text_from_the_exchange_does_not_become_markup(tmp_path):
    path = make_day(tmp_path, "2026-09-21", sealed=False)
    path.write_bytes(path.read_bytes().replace(b'"ticker"', b'"<script>x"'))
    out = report(tmp_path, "--html")[1]
    assert "&lt;script&gt;x" in out
    assert "<script" not in out


def test_an_empty_folder_is_no_error_and_wrong_usage_is(tmp_path):
    assert report(tmp_path) == (0, "there is no data here\n", "")
    assert "There is no data here." in report(tmp_path, "--html")[1]
    code, _, err = report(tmp_path, "--days", "0")
    assert (code, err) == (64, "ssmd: --days is '0'; it must be a number from 1 to 99999\n")
    assert report(tmp_path, "--days", "99999999")[2].endswith("it must be a number from 1 to 99999\n")
    assert report(tmp_path / "none")[0] == 64


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 120, 200])
def test_a_narrow_terminal_gets_fewer_columns_and_none_is_cut_off(storage, columns):
    def fail(error: Exception) -> None:
        raise error

    figures = gather(storage, 7, LATER, trouble=fail, progress=lambda file: None)
    out = io.StringIO()
    print_report(figures, Console(file=out, width=columns, force_terminal=True, color_system=None, highlight=False))
    assert "…" not in out.getvalue()
    # The narrowest table has 33 columns; in a narrower terminal its lines go on below.
    assert max(map(len, out.getvalue().splitlines())) <= max(columns, 33)
    table, outages = out.getvalue().split("outage from")[:2]
    assert re.search(r"2026-09-21.11:06:40(\.0+Z)? .*01:00:00", outages.replace("T", " "))
    head = table.splitlines()[1].split()
    assert head[:2] == ["day", "messages"]
    assert "covered" in head
    for name in ("peak hour", "peak second"):
        assert (f"  {name}  " in table.splitlines()[1]) == (columns == 200)
    assert "95.83 %" in table


def test_a_day_that_cannot_be_read_is_reported(storage):
    (storage / "2026-09-20" / "kalshi.manifest.json").write_bytes(b"{")
    code, out, err = report(storage)
    assert code == 65
    assert "2026-09-20/kalshi.manifest.json" in err
    assert "2026-09-21" in out
