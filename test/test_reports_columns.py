"""The columns of the report, which the text and the page share."""

from __future__ import annotations

import io
import re

from rich.console import Console

from ssmd.reports.columns import COLUMNS, COVERED, rows
from ssmd.reports.figures import Figures
from ssmd.reports.html import page
from ssmd.reports.text import print_report
from ssmd.store.manifest import TimeGap
from ssmd.store.timestamps import day_begins

OUTAGE = TimeGap("2026-09-21T11:00:00.000000Z", "2026-09-21T12:00:00.000000Z", 3600.0, "stopped")
BEFORE = Figures("2026-09-20", "kalshi", 24_000, by_hour=[1_000] * 24, coverage=100.0, sealed=True)
DAY = Figures(
    "2026-09-21",
    "kalshi",
    messages=36_000,
    bytes=7_650_000,
    stored_bytes=321_000,
    by_hour=[1_000] * 23 + [13_000],
    peak_second=2_837,
    sequence_gaps=7,
    missing=54,
    outages=[OUTAGE],
    coverage=100 - 100 / 24,
    sealed=True,
)
VALUES = {
    "messages": "36,000",
    "change": "+50 %",
    "bytes": "7.65 MB",
    "on disk": "321 kB",
    "mean": "0.4/s",
    "peak hour": "3.6/s",
    "peak second": "2,837/s",
    "gaps": "7",
    "lost": "54",
    "outages": "1",
    "lasted": "01:00:00",
    "covered": "95.83 %",
}


def test_each_column_has_its_value():
    row = rows([BEFORE, DAY])[1]
    assert {column.name: column.value(row) for column in (*COLUMNS, COVERED)} == VALUES


def test_the_text_and_the_page_show_every_column():
    out = io.StringIO()
    print_report([BEFORE, DAY], Console(file=out, width=200, color_system=None, highlight=False))
    head, _, row = (re.split(r"  +", line.strip()) for line in out.getvalue().splitlines()[1:4])
    assert dict(zip(head, row, strict=True)) == {"day": DAY.day, **VALUES, "messages by hour": "▁" * 23 + "█"}
    drawn = page([BEFORE, DAY], now_ns=day_begins("2026-09-23"), storage="data", version="1")
    table = drawn.partition("<h3>Day by day</h3>")[2]
    heads = re.findall("<th>(.*?)</th>", table.partition("</thead>")[0])
    first = table.partition("</tr>")[2].partition("</tr>")[0]
    cells = re.findall(r"<td data-name=\".*?\"(?: class=\"\w+\")?>(.*?)</td>", first)
    assert re.findall(r"data-name=\"(.*?)\"", first) == list(heads)
    values = [re.sub("<.*?>", "", cell) for cell in cells]
    assert dict(zip(heads, values, strict=True)) == VALUES
