"""What a report says of changes in the shape of messages: each with the first message that shows it."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
from drifting import messages
from process import ssmd
from recorded import KALSHI, write_day
from test_proof_day_shape import DAYS, MESSAGES, planted, record

TITLE = "changes in the shape of messages, compared with the days before"


def report(storage: Path) -> list[str]:
    """Return the lines below the tables, which the page has too."""
    ended = ssmd("report", storage, "--days", "99999")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    title = f"{TITLE} (docs/drift.md):"
    found = lines[lines.index(title) + 1 :] if title in lines else []
    page = html.unescape(ssmd("report", storage, "--days", "99999", "--html").stdout)
    assert [line for line in found if f"<li>{line}</li>" not in page] == []
    assert (f"<h2>{TITLE.capitalize()}</h2>" in page) == bool(found)
    return found


@pytest.mark.parametrize("form", ["jsonl", "jsonl.zst"])
def test_a_change_is_shown_with_the_first_message_that_has_it(tmp_path, form):
    record(tmp_path, DAYS[0], list(messages(MESSAGES)))
    changed = planted("text to number")
    record(tmp_path, DAYS[1], changed)
    if form != "jsonl":
        assert ssmd("compact", tmp_path, "--older-than", "1").returncode == 0
    assert (tmp_path / DAYS[1] / f"kalshi.{form}").exists()
    what = "messages of type trade: the field msg.price was decimal text, and is number; line 10"
    assert report(tmp_path) == [f"{DAYS[1]} kalshi: {what}: {json.dumps(changed[9])}"]


def test_each_change_has_its_own_message(tmp_path):
    record(tmp_path, DAYS[0], list(messages(MESSAGES)))
    found = list(messages(MESSAGES, seed=5))
    found[4999] = {"type": "quote", "msg": {"spread": 1}}
    found[11_000] = {"type": "trade", "msg": {"fee": None}}
    record(tmp_path, DAYS[1], found)
    assert report(tmp_path) == [
        f"{DAYS[1]} kalshi: messages of type {type}: the field {path} is new ({kind}); line {line:,}: {json.dumps(one)}"
        for type, path, kind, line, one in (
            ("quote", "msg.spread", "integer", 5000, found[4999]),
            ("trade", "msg.fee", "null", 11_001, found[11_000]),
        )
    ]


def test_without_the_messages_the_change_is_still_shown(tmp_path):
    record(tmp_path, DAYS[0], list(messages(MESSAGES)))
    path = record(tmp_path, DAYS[1], planted("new type"))
    path.write_bytes(b"damaged\n" * 20)
    line = f"{DAYS[1]} kalshi: messages of type trade2 are new; line 10"
    assert report(tmp_path) == [line]
    path.unlink()
    assert report(tmp_path) == [line]


@pytest.mark.parametrize("dialect", [KALSHI, {}], ids=["kalshi", "a dialect that no ledger names"])
def test_a_message_that_is_private_to_an_account_is_not_shown(tmp_path, dialect):
    def day(number: int, **more: Any) -> None:
        fill = {"type": "fill", "msg": {"trade_id": "x", "count_fp": "1.00", **more}}
        ends: list[Any] = [(86_000.0, "stopped", {"reason": "SIGTERM"})]
        begin: list[Any] = [(0, "started", dialect), (0, "connected", {})]
        found = [(1.0 + place, json.dumps(fill).encode()) for place in range(1000)]
        write_day(tmp_path, DAYS[number], *begin, *found, *ends)

    day(0)
    day(1, surprise="canary")
    what = "messages of type fill: the field msg.surprise is new (text); line 1"
    assert report(tmp_path) == [f"{DAYS[1]} kalshi: {what}"]
