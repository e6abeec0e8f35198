"""Broken trees through the command line: exit 78 with file and line, never a traceback, never a hang."""

from __future__ import annotations

import contextlib
import copy
import io
import random
import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from process import ROOT, Process

from ssmd import wiring
from ssmd.cli import run_command
from ssmd.errors import ConfigError
from ssmd.metadata.loader import load

FILES = sorted(path.relative_to(ROOT / "conf") for path in (ROOT / "conf").glob("*/*.yaml"))
TREES = 10

# What replaces right values. A fuzz test is only as good as these.
ODDITIES: list[Any] = [
    *[
        None,
        True,
        False,
        0,
        -1,
        1e309,
        10**40,
        "",
        " ",
        "~",
        "no",
        "10:30",
        "2026-13-01",
        "../../etc/passwd",
        "/dev/full",
    ],
    *[
        "a\0b",
        "\x1b[31mred",
        "line\nerror: forged",
        "é" * 300,
        "\u2028",
        "x" * 5000,
        "&a",
        "*a",
        "!!python/name:os.system",
    ],
    *["env:", "env:A B", "wss://", "ws://user:pw@[::1", "sim://nothing", "http://127.0.0.1", "kalshi:v9", "9" * 30],
    *[[], {}, [[]], [{}], {"name": {}}, {"": ""}, [None], {"a": {"b": {"c": []}}}, list(range(50))],
]


def places(document: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every node of a document, except the document itself."""
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [found for key, value in inner for found in [(*path, key), *places(value, (*path, key))]]


def broken(document: Any, choose: random.Random) -> Any:
    """Return a copy in which one to three nodes are replaced, removed, renamed or wrapped."""
    document = copy.deepcopy(document)
    for _ in range(choose.randint(1, 3)):
        if not (found := places(document)):
            return document
        *way, last = choose.choice(found)
        parent = document
        for key in way:
            parent = parent[key]
        how = choose.choice(["replace", "replace", "replace", "remove", "rename", "wrap"])
        if how == "replace":
            parent[last] = copy.deepcopy(choose.choice(ODDITIES))
        elif how == "wrap":
            parent[last] = choose.choice([[parent[last]], {str(last): parent[last]}])
        else:
            value = parent.pop(last)
            if how == "rename" and isinstance(parent, dict):
                parent[choose.choice([f"{last}s", str(last).upper(), "", 7, None, True])] = value
    return document


def break_tree(tree: Path, file: Path, seed: int) -> None:
    """Break one file of the tree. Mostly it stays well-formed YAML; sometimes single characters are put in."""
    choose = random.Random(seed)
    text = (ROOT / "conf" / file).read_text()
    if choose.random() < 0.7:
        text = yaml.safe_dump(broken(yaml.safe_load(text), choose), allow_unicode=True, sort_keys=False)
    else:
        for _ in range(choose.randint(1, 4)):
            at = choose.randrange(len(text))
            text = (
                text[:at]
                + choose.choice(["\t", "{", "]", "'", ": ", "- ", "\0", "<<: *a", "---\n", "?", "%"])
                + text[at:]
            )
    (tree / file).write_text(text)


@pytest.fixture
def tree(tmp_path):
    """A copy of conf/."""
    return Path(shutil.copytree(ROOT / "conf", tmp_path / "conf"))


PROBLEM = re.compile(r"(error|warning): (environments|feeds|schemas)/[\w.-]+:\d+: .+")
"""A problem in a file has its line. Only a problem of a file that is missing or cannot be read has none."""


@settings(max_examples=200)
@given(file=st.sampled_from(FILES), seed=st.integers(0, 10**9))
def test_validate_names_the_file_and_the_line_whatever_is_broken(tree, file, seed):
    break_tree(tree, file, seed)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(["validate", "--config-dir", str(tree)], {})
    finally:
        shutil.copyfile(ROOT / "conf" / file, tree / file)
    found = out.getvalue().splitlines()
    assert err.getvalue() == ""
    assert all(line.startswith("ok: ") or PROBLEM.fullmatch(line) for line in found), found
    assert code == (78 if any(line.startswith("error: ") for line in found) else 0), found


def test_run_refuses_broken_trees_as_validate_does(tree):
    """Real processes, because only these show a hang, a traceback of the interpreter itself, or the exit code."""
    seeds = random.Random(0 if settings.default.derandomize else time.time_ns())
    own = [file for file in FILES if file.name in ("kalshi-sim.yaml", "kalshi.yaml") and file.parts[0] != "feeds"]
    refused = 0
    while refused < TREES:
        file, seed = seeds.choice(own), seeds.randrange(10**9)
        break_tree(tree, file, seed)
        try:
            load(tree, "kalshi-sim", datetime.now(UTC).date(), wiring.parts())
            continue
        except ConfigError as error:
            problems = str(error).splitlines()
        with Process("run", "kalshi-sim", "--config-dir", tree, "--listen", "127.0.0.1:0") as process:
            assert process.wait() == 78, (file, seed)
        assert process.other == []
        assert [event["event"] for event in process.events if event["level"] == "error"] == problems, (file, seed)
        assert all(PROBLEM.fullmatch(f"error: {problem}") for problem in problems)
        shutil.copyfile(ROOT / "conf" / file, tree / file)
        refused += 1
