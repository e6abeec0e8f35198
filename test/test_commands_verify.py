"""`ssmd verify` as a process: what it prints, and its exit codes."""

from __future__ import annotations

import re

import pytest
from process import ssmd
from recorded import DAY, GENERIC, make_day, write_day
from recorded_runs import (
    BEGIN,
    RECORDED_DAY,
    SECOND,
    data_in,
    ledger_in,
    manifest_in,
)

from ssmd.store.ledger import Entry, encode_entry


def test_a_sound_storage_is_ok_and_0(sealed_storage):
    done = ssmd("verify", sealed_storage)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"2025-12-22 +kalshi +2,500 .* ok", done.stdout)


def test_the_outages_of_a_day_are_counted_although_they_are_no_finding(tmp_path):
    """A collector that was killed 19 times is not hidden behind an ok."""
    runs = [(600 * run, 600 * run + 570, "killed") for run in range(19)]
    make_day(tmp_path, "2026-09-20", connected=[*runs, (11_400, DAY, "stopped")], per_hour=3600)
    make_day(tmp_path, "2026-09-21", connected=[*runs, (11_400, 12_000, "killed")], per_hour=3600, sealed=False)
    code, out, err = ssmd("verify", tmp_path)
    assert (code, err) == (0, "")
    sealed, unsealed = out.splitlines()[1:]
    assert re.search(r" 99\.\d\d % +19 +00:09:\d\d +0 +0 +ok *$", sealed)
    # What comes after the last connection of a day that is not sealed may still be collected.
    assert re.search(r" +19 +00:09:\d\d +0 +0 +ok, not sealed yet *$", unsealed)


def test_what_is_not_known_is_a_question_mark(tmp_path):
    started = (0, "started", GENERIC)
    write_day(tmp_path, "2026-09-20", started, (0, "connected", {}), (1, b"{}"), (86_400, "stopped", {}))
    write_day(tmp_path, "2026-09-21", (0, "imported", {"source": "x", "sha256": "0", "lines": 1}), (1, b"{}"))
    out = ssmd("verify", tmp_path).stdout.splitlines()
    assert re.search(r" 100\.00 % +0 +\? +\? +ok *$", out[1])
    assert re.search(r" \? +\? +\? +\? +ok *$", out[2])


@pytest.mark.parametrize("columns", ["20", "60", "100"])
def test_nothing_is_cut_off_in_a_narrow_terminal(sealed_storage, columns):
    done = ssmd("verify", sealed_storage, FORCE_COLOR="1", COLUMNS=columns)
    assert re.search(r"2025-12-22 .*kalshi .*ok\b", done.stdout)
    assert "…" not in done.stdout


def test_a_missing_line_is_named_and_65(own_storage):
    lines = data_in(own_storage).read_bytes().splitlines(keepends=True)
    data_in(own_storage).write_bytes(b"".join(lines[:1233] + lines[1234:]))
    done = ssmd("verify", own_storage / RECORDED_DAY)
    assert done.returncode == 65
    assert "kalshi.jsonl: line 1234 is missing" in done.stdout
    assert "follows a gap that the ledger does not have: sid 1" in done.stdout
    # Each field that differs has both values.
    assert "the manifest and the lines differ in lines (2500 in the manifest, 2499 in the lines); " in done.stdout
    assert "WRONG" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"cause":"stopped"}\n', b'"cause":"stopped"}\n', ""),
        (b'"to":"2025-', b'"to":"2025+', "'2025+12-22T00:00:01.000000Z' where a time should be"),
        (b'"messages_by_hour": [2500,', b'"messages_by_hour": [', "for each of 24 hours"),
        (b'"messages_by_hour": [2500,', b'"messages_by_hour": [-1,', "for each of 24 hours"),
        (b'"sealed": "2', b'"sealed": "x', "where a time should be"),
    ],
)
def test_a_damaged_manifest_is_one_clear_line_for_verify_and_report(own_storage, old, new, reason):
    path = manifest_in(own_storage)
    path.write_bytes(path.read_bytes().replace(old, new))
    for command in ("verify", "report"):
        done = ssmd(command, own_storage)
        assert (done.returncode, "Traceback" in done.stderr) == (65 if reason else 0, False)
        assert reason in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["kalshi.jsonl", "kalshi.ledger.jsonl"])
def test_a_missing_file_is_named_and_65(own_storage, name):
    (own_storage / RECORDED_DAY / name).unlink()
    done = ssmd("verify", own_storage)
    assert done.returncode == 65
    assert "kalshi.jsonl: is missing" in done.stdout or "has no ledger" in done.stdout


def test_a_subscription_of_the_ledger_with_wrong_fields_is_no_crash(own_storage):
    path = ledger_in(own_storage)
    entry = encode_entry(Entry(BEGIN + SECOND, "subscribed", 0, 0, {"sid": [1], "channel": {}}))
    path.write_bytes(path.read_bytes() + entry)
    done = ssmd("verify", own_storage)
    assert (done.returncode, "Traceback" in done.stderr) == (65, False)
    assert "ledger_sha256" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("verify", "/nowhere/at/all"), 64, "there is no such file or folder"),
        (("verify", "bin"), 64, "bin: no data here to prove; name a storage folder, a day or a file"),
        (("verify", "setup.py"), 64, "is not named like data of ssmd"),
        (("verify",), 64, "verify"),
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments, code, reason):
    done = ssmd(*arguments)
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
