"""docs/schemas.md: its examples run, and print what the page shows."""

from __future__ import annotations

import re

import pytest
from market_days import write_market_day
from process import ROOT, ssmd

from ssmd.store.line import LineEncoder

PAGE = (ROOT / "docs" / "schemas.md").read_text()
EXAMPLES = re.findall(r"```sh\n([^`]+)\n```\n\n```text\n([^`]+)```", PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `conf` and `data`, in which three messages are not as Kalshi's schema says."""
    root = tmp_path_factory.mktemp("page")
    (root / "conf").symlink_to(ROOT / "conf")
    path = write_market_day(root / "data", count=1000)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = re.sub(rb'"side":"\w+"', b'"side":"both"', lines[2])
    lines[12] = re.sub(rb'"side":"\w+"', b'"side":"any"', lines[12])
    lines[9] = re.sub(rb'"count_fp":"[0-9.]+",', b"", lines[9])
    path.write_bytes(b"".join(lines))
    for ending in ("proto", "capnp"):
        (root / f"ticks.{ending}").write_text(re.search(rf"```{ending}\n(.+?)```", PAGE, re.DOTALL).group(1))
    encoder = LineEncoder("ticks")
    ticks = [
        b'{"type":"trade","seq":7,"msg":{"market":"BTC","price":"0.5"}}',
        b'{"type":"trade","seq":8,"msg":{"market":"BTC","price":0.5}}',
        b'{"type":"book_delta","seq":9,"msg":[]}',
        b'{"type":"book_delta","seq":-1}',
    ]
    lines = [encoder.encode(number * 10**9, [message]) for number, message in enumerate(ticks)]
    (root / "ticks.jsonl").write_bytes(b"".join(lines))
    return root


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
def test_an_example_prints_what_the_page_shows(folder, command, printed):
    program, *arguments = command.split()
    assert program == "ssmd"
    assert ssmd(*arguments, cwd=folder).stdout == printed
