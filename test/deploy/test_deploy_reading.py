"""Everything in docs/reading.md runs, and prints what the page shows."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
import zstandard
from abilities import need
from process import ROOT
from recorded import make_day

PAGE = ROOT / "docs" / "reading.md"
ENVIRON = os.environ | {"PATH": f"{ROOT / 'bin'}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}


class Example(NamedTuple):
    language: str
    code: str
    shown: str | None
    """The output that the page shows; None when it shows none."""


def examples(text: str) -> Iterator[Example]:
    """The blocks of code, each with the block of text that follows it."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for (language, code), (after, shown) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language != "text":
            yield Example(language, code, shown if after == "text" else None)


EXAMPLES = list(examples(PAGE.read_text()))


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with `data` in it: three days, the first compressed, the last not sealed."""
    folder = tmp_path_factory.mktemp("reading")
    for day in (20, 21, 22):
        path = make_day(folder / "data", f"2026-09-{day}", lost_after=100 * (day == 21), sealed=day < 22)
        if day == 20:
            path.with_name("kalshi.jsonl.zst").write_bytes(zstandard.compress(path.read_bytes()))
            path.unlink()
    return folder


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_prints_what_is_shown(storage, number, monkeypatch):
    example = EXAMPLES[number]
    monkeypatch.chdir(storage)
    match example.language:
        case "sh":
            printed = shell(example.code)
        case "python":
            printed = python(example.code)
        case "sql":
            # A later example uses the view of the first one.
            printed = sql([each.code for each in EXAMPLES[: number + 1] if each.language == "sql"])
        case other:
            raise AssertionError(f"a block of {other}")
    assert printed
    assert example.shown is not None, f"the page does not show what it prints:\n{printed}"
    assert printed == example.shown


def shell(code: str) -> str:
    for tool in ("jq", "zstd"):
        if re.search(rf"\b{tool}\b", code):
            need(tool)
    ended = subprocess.run(["sh", "-e", "-c", code], capture_output=True, text=True, env=ENVIRON, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def python(code: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, env=ENVIRON | {"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def sql(codes: list[str]) -> str:
    printed = ""
    with duckdb.connect() as connection:
        for code in codes:
            printed = ""
            for statement in filter(str.strip, code.split(";\n")):
                found = connection.sql(statement)
                if found is not None and not statement.startswith("CREATE"):
                    output = io.StringIO()
                    with contextlib.redirect_stdout(output):
                        found.show(max_width=120)
                    printed += output.getvalue()
    return printed.rstrip("\n") + "\n"
