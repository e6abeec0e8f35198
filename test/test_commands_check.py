"""`ssmd check` as a process: what it prints, and its exit codes."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from market_days import ODD, write_market_day
from process import ROOT, ssmd
from recorded import write_day

from ssmd.proof.schema_check import MOST_EXPLAINED

CONF = ROOT / "conf"
KALSHI = ("--schema", "kalshi:v2", "--config-dir", CONF)
MSG = {"market_ticker": "KX", "market_id": "x", "price_dollars": "0.5000", "delta_fp": "1.00", "side": "yes"}


def delta(**changes: object) -> bytes:
    """Return a delta with other fields in its `msg`; `...` for none."""
    msg = {name: value for name, value in {**MSG, **changes}.items() if value is not ...}
    return json.dumps({"type": "orderbook_delta", "sid": 1, "seq": 1, "msg": msg}).encode()


def write(storage: Path, day: str, *messages: bytes) -> Path:
    return write_day(storage, day, *((float(second), message) for second, message in enumerate(messages)), sealed=False)


def test_a_day_as_the_schema_says_is_0(tmp_path):
    write_market_day(tmp_path, count=1000)
    done = ssmd("check", *KALSHI, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == (
        ["type", "messages", "violations", "orderbook_delta", "600", "0", "ticker", "200", "0", "trade", "200", "0"]
    )  # fmt: skip


def test_each_fault_is_named_with_its_first_line_and_65(tmp_path):
    first = write(tmp_path, "2026-09-20", delta(), delta(side="both"), delta(price_dollars=0.5), delta(side="none"))
    write(tmp_path, "2026-09-21", delta(side="left"), delta(delta_fp=...), b'{"type":"new"}', b"pong", b'{"a":1}')
    done = ssmd("check", *KALSHI, tmp_path)
    second = first.parent.parent / "2026-09-21" / first.name
    assert done.returncode == 65
    table, faults = done.stdout.splitlines()[:4], done.stdout.splitlines()[4:]
    assert [re.split("  +", line.strip()) for line in table] == [
        ["type", "messages", "violations"],
        ["orderbook_delta", "6", "5"],
        ["without a type", "2", "2"],
        ["new", "1", "0"],
    ]
    assert faults == [
        f'{first}:2: orderbook_delta: msg.side is not one of "yes" or "no" (3 messages)',
        f'{first}:3: orderbook_delta: msg.price_dollars is not of type "string"',
        f"{second}:2: orderbook_delta: msg.delta_fp is missing",
        f"{second}:4: without a type: is not valid JSON",
        f"{second}:5: without a type: {faults[-1].partition('without a type: ')[2]}",
    ]
    assert ssmd("check", *KALSHI, "--jobs", "2", tmp_path) == done


def test_every_form_of_a_day_is_checked(tmp_path):
    path = write_market_day(tmp_path / "plain", "2026-09-20", odd=ODD, count=500)
    done = ssmd("check", *KALSHI, path)
    assert done.returncode == 65
    packed = tmp_path / "gz" / "2026-09-20" / "kalshi.jsonl.gz"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert ssmd("check", *KALSHI, tmp_path / "gz").stdout == done.stdout.replace(str(path), str(packed))
    assert ssmd("compact", "--parquet", tmp_path / "plain").returncode == 0
    [folder] = path.parent.glob("kalshi.parquet")
    assert ssmd("check", *KALSHI, path.parent).stdout == done.stdout.replace(str(path), str(folder))


def test_the_types_are_those_that_the_description_of_the_exchange_names(tmp_path):
    started = {"version": "9.9", "exchange": "generic", "description": {"paths": {"type": "e"}}}
    (tmp_path / "x.json").write_text('{"properties": {"e": {"const": "trade"}}}')
    messages = (1.0, b'{"e":"trade"}'), (2.0, b'{"e":"depth"}')
    path = write_day(tmp_path / "data", "2026-09-20", (0.0, "started", started), *messages, sealed=False)
    done = ssmd("check", "--schema", tmp_path / "x.json", tmp_path / "data")
    assert done.stdout.splitlines()[1:] == [
        "trade         1           0",
        "depth         1           1",
        f'{path}:2: depth: e "trade" was expected',
    ]


def test_a_line_that_cannot_be_read_is_named_and_65(tmp_path):
    path = write(tmp_path, "2026-09-20", *[delta()] * 30)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3] + [b"x\n"] * 12 + lines[3:]))
    done = ssmd("check", *KALSHI, path)
    assert done.returncode == 65
    assert done.stdout.splitlines()[1].split() == ["orderbook_delta", "30", "0"]
    assert done.stdout.splitlines()[2:] == [
        *(f"{path}:{line}: not a line of ssmd" for line in range(4, 14)),
        f"{path}: 2 more lines that are none of ssmd",
    ]
    path.with_name("kalshi.jsonl.gz").write_bytes(gzip.compress(b"".join(lines))[:200])
    path.unlink()
    done = ssmd("check", *KALSHI, tmp_path)
    assert done.returncode == 65
    assert done.stdout.splitlines()[-1].startswith(f"{path}.gz: ")


def test_types_without_end_are_counted_together(tmp_path):
    path = write(tmp_path, "2026-09-20", *(b'{"type":"t%d","pad":"%s"}' % (n, b"x" * 1000) for n in range(1000)))
    (tmp_path / "x.json").write_text('{"required": ["sid"]}')
    done = ssmd("check", "--schema", tmp_path / "x.json", path)
    table = [line.split() for line in done.stdout.splitlines() if len(line.split()) == 3][1:]
    assert [name for name, *_ in table if not name.startswith("t")] == ["(others)"]
    assert len(table) < 300
    assert sum(int(count.replace(",", "")) for _, count, _ in table) == 1000
    assert len(done.stdout.splitlines()) == 1 + len(table) + 100


def test_of_very_many_violations_the_first_ones_are_explained(tmp_path):
    (tmp_path / "x.json").write_text('{"required": ["sid"]}')
    many = [b'{"type":"a"}'] * (MOST_EXPLAINED + 7)
    path = write(tmp_path, "2026-09-20", *many, b'{"type":"b"}')
    done = ssmd("check", "--schema", tmp_path / "x.json", path)
    assert done.stdout.splitlines()[1:] == [
        "a       10,007      10,007",
        "b            1           1",
        f"{path}:1: a: sid is missing (10,000 messages)",
        f"{path}:10001: a: is not as the schema says; the reason is sought for the first 10,000 only (7 messages)",
        f"{path}:10008: b: sid is missing",
    ]


def test_types_of_any_length_take_little_memory(tmp_path):
    (tmp_path / "x.json").write_text('{"required": ["sid"]}')
    path = write(tmp_path, "2026-09-20", *(b'{"type":"%d%s"}' % (n, b"x" * 100_000) for n in range(20)))
    done = ssmd("check", "--json", "--schema", tmp_path / "x.json", path)
    assert {len(name) for name in json.loads(done.stdout)["types"]} == {200}


def test_types_that_the_schema_is_not_about_are_named(tmp_path):
    path = write(tmp_path, "2026-09-20", delta(), b'{"type":"new"}', b'{"type":"ok","sid":1}', b'{"type":"new"}')
    schema = ("--schema", CONF / "schemas" / "kalshi.json")
    done = ssmd("check", *schema, path)
    note = "ssmd: note: no part of the schema is about messages of the type new, ok\n"
    assert (done.returncode, done.stderr) == (0, note)
    assert json.loads(ssmd("check", *schema, "--json", path).stdout)["not_described"] == ["new", "ok"]
    (tmp_path / "x.json").write_text('{"required": ["type"]}')  # It does not tell types apart.
    assert ssmd("check", "--schema", tmp_path / "x.json", path).stderr == ""


def test_json_has_the_same(tmp_path):
    path = write(tmp_path, "2026-09-20", delta(), delta(side="both"))
    done = ssmd("check", *KALSHI, "--json", path)
    assert done.returncode == 65
    assert json.loads(done.stdout) == {
        "schema": "kalshi:v2",
        "types": {"orderbook_delta": {"messages": 2, "violations": 1}},
        "faults": [
            {
                "file": str(path),
                "line": 2,
                "type": "orderbook_delta",
                "path": "msg.side",
                "reason": 'is not one of "yes" or "no"',
                "messages": 1,
            }
        ],
        "unread": [],
        "not_described": [],
    }


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["kalshi:v2"], 64, "is 'kalshi:v2'; give --config-dir for a schema of a metadata tree, or the path of a file"),
        (["none.json"], 64, "none.json: cannot be read: No such file or directory; name a schema"),
        (["text.json"], 78, "text.json is not JSON: "),
        (["odd.json"], 78, 'odd.json is not a JSON Schema that can be used: at `type`: '),
        (["kalshi", "--config-dir", CONF], 78, "`kalshi` names no schema; write <name>:<version>, such as kalshi:v2"),
        (["kalshi:v3", "--config-dir", CONF], 78, "schemas/kalshi.yaml: there is no version `v3`"),
        (["kalsh:v2", "--config-dir", CONF], 78, "there is no schema `kalsh` in schemas/; did you mean `kalshi`?"),
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_used_is_one_clear_error(tmp_path, monkeypatch, arguments, code, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.json").write_text("{")
    (tmp_path / "odd.json").write_text('{"type": "strin"}')
    path = write(tmp_path, "2026-09-20", delta())
    schema, *tree = arguments
    done = ssmd("check", "--schema", tmp_path / schema if schema.endswith(".json") else schema, *tree, path)
    assert (done.returncode, done.stdout) == (code, "")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_definition_that_has_changed_is_an_error(tmp_path):
    (tmp_path / "schemas").mkdir()
    for file in (CONF / "schemas").iterdir():
        (tmp_path / "schemas" / file.name).write_bytes(file.read_bytes() + b" \n" * (file.name == "kalshi-v2.json"))
    done = ssmd("check", "--schema", "kalshi:v2", "--config-dir", tmp_path, tmp_path)
    assert done.returncode == 78
    assert "schemas/kalshi-v2.json has changed: expected sha256:" in done.stderr


def test_no_data_is_an_error(tmp_path):
    done = ssmd("check", *KALSHI, tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == f"ssmd: {tmp_path}: no data here; name a storage folder, a day or a file\n"
