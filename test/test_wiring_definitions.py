"""`ssmd validate` reads the definitions of schemas."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import pytest
from process import ROOT, ssmd

from ssmd.metadata.problem import Problem
from ssmd.wiring.definitions import definition_problems

GOOD = {
    "json_schema": '{"type": "object"}',
    "protobuf": 'syntax = "proto3";\nmessage Trade { string price = 1; }\n',
    "capnp": "@0xbf5147cbbecf40c1;\nstruct Trade { price @0 :Text; }\n",
}
BAD = {
    "json_schema": '{"type": "objct"}',
    "protobuf": 'syntax = "proto3";\nmessage Trade { strin price = 1; }\n',
    "capnp": "@0xbf5147cbbecf40c1;\nstruct Trade { price @0 :Txt; }\n",
}


def tree(folder: Path, format: str, text: str) -> Path:
    """Make a tree with one schema of a format, whose two versions have the same definition."""
    schemas = folder / "schemas"
    schemas.mkdir(parents=True)
    (schemas / "feed.def").write_text(text)
    hash = hashlib.sha256(text.encode()).hexdigest()
    versions = "".join(
        f"- {{version: v{number}, effective_from: 2026-0{number}-01, hash: 'sha256:{hash}'{own}}}\n"
        for number, own in ((1, ""), (2, ""), (3, ", schema_file: feed.def"))
    )
    (schemas / "feed.yaml").write_text(f"name: feed\nformat: {format}\nschema_file: feed.def\nversions:\n{versions}")
    for part in ("environments", "feeds"):
        (folder / part).mkdir()
        (folder / part / "kalshi-sim.yaml").write_bytes((ROOT / "conf" / part / "kalshi-sim.yaml").read_bytes())
    environment = folder / "environments" / "kalshi-sim.yaml"
    environment.write_text(re.sub(r"(?m)^schema:.*$", "schema: feed:v3", environment.read_text()))
    return folder


def printed(folder: Path) -> list[str]:
    """Return what `ssmd validate` prints of the schema."""
    done = ssmd("validate", "--config-dir", folder)
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if "schemas/" in line]


@pytest.mark.parametrize("format", GOOD)
def test_a_definition_that_can_be_used_is_ok(tmp_path, format):
    assert printed(tree(tmp_path, format, GOOD[format])) == ["ok: schemas/feed.yaml"]
    assert ssmd("validate", "--strict", "--config-dir", tmp_path).returncode == 0


@pytest.mark.parametrize("format", BAD)
def test_a_definition_that_cannot_be_used_is_a_warning(tmp_path, format):
    """Until a run checks messages, its definition does nothing."""
    first, second = printed(tree(tmp_path, format, BAD[format]))
    assert first.startswith("warning: schemas/feed.yaml: schema_file: schemas/feed.def")
    assert second == first.replace("schema_file:", "versions[2].schema_file:", 1)
    assert ssmd("validate", "--strict", "--config-dir", tmp_path).returncode == 78


def test_without_the_library_a_tree_loads_and_a_warning_says_so(tmp_path, monkeypatch):
    tree(tmp_path, "capnp", BAD["capnp"])
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "capnp" else find(name))
    message = (
        "is not read, because its format needs the Python package pycapnp, which is not installed; run "
        "`bin/extras capnp` in a checkout, and elsewhere `pip install 'ssmd[capnp]'`"
    )
    assert list(definition_problems(tmp_path, ["schemas/feed.yaml"])) == [
        Problem("schemas/feed.yaml", None, at, message, warning=True, lenient=True)
        for at in ("schema_file", "versions[2].schema_file")
    ]
