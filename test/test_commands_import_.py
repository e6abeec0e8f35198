"""`ssmd import` as a process: its options, its errors, its memory, and that the source's bytes come back."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from process import ROOT, ssmd
from recorded import make_day

from ssmd.contracts.shard import Shard
from ssmd.store.line import LineEncoder

MESSAGES = [b'{"e":"trade","p":"1.50", "q":[ 1,2 ]}', b'[1664,{"as":[]}]', b"PONG", "é ☃".encode(), b"\x1f\x8b\x00"]
AT = 1_633_998_512


def lines_of(messages: list[bytes]) -> bytes:
    """Return lines of JSON with a time in seconds, and with each message as an object or a string."""
    found = []
    for number, message in enumerate(messages):
        try:
            json.loads(message)
            text = message.decode()
        except ValueError:
            text = json.dumps(message.decode())
        found.append(f'{{"at": {AT + number / 10}, "text" : {text}}}\n')
    return "".join(found).encode()


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "data"


def imported(storage: Path, *arguments: str | Path) -> str:
    code, out, err = ssmd("import", "--feed", "other", "--to", storage, *arguments)
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gz", "zst"])
def test_what_was_imported_is_sealed_verified_and_comes_back_byte_for_byte(tmp_path, storage, packed):
    recording = tmp_path / "recording"
    recording.write_bytes(packed(lines_of(MESSAGES[:4])))
    fields = ("--time-field", "at", "--time-format", "s", "--message-field", "text")
    assert imported(storage, *fields, recording) == f"{storage}/2021-10-12/other.jsonl: imported, 4 lines\n"
    assert ssmd("seal", storage).returncode == 0
    assert ssmd("verify", storage).returncode == 0
    raw = subprocess.run(
        [sys.executable, "-m", "ssmd", "cat", "--raw", storage], cwd=ROOT, capture_output=True, check=True
    )
    assert raw.stdout == b"".join(message + b"\n" for message in MESSAGES[:4])


def test_text_base64_and_whole_lines_come_back_too(tmp_path, storage):
    text = tmp_path / "text"
    text.write_bytes(b"".join(b"%d\t%b\n" % ((AT + place) * 1000, message) for place, message in enumerate(MESSAGES)))
    imported(storage, "--separator", r"\t", "--time-format", "ms", text)
    raw = subprocess.run(
        [sys.executable, "-m", "ssmd", "cat", "--raw", storage], cwd=ROOT, capture_output=True, check=True
    )
    assert raw.stdout == b"".join(message + b"\n" for message in MESSAGES)


def test_a_day_of_ssmd_without_its_ledger_is_brought_in_with_every_message(tmp_path, storage):
    lost = tmp_path / "lost" / "2021-10-12" / "other.jsonl"
    lost.parent.mkdir(parents=True)
    lost.write_bytes(LineEncoder("other").encode(AT * 10**9, MESSAGES))
    assert ssmd("verify", lost).returncode == 65
    imported(storage, "--of-ssmd", lost)
    assert (storage / "2021-10-12" / "other.jsonl").read_bytes() == lost.read_bytes()
    assert ssmd("seal", storage).returncode == 0
    assert ssmd("verify", storage).returncode == 0


def test_a_day_of_a_shard_without_its_ledger_stays_that_of_the_shard(tmp_path, storage):
    for index in (1, 2):
        path = make_day(tmp_path / "lost", "2021-10-12", feed="other", shard=Shard(index, 2), per_hour=5, sealed=False)
        path.with_name(f"other+{index}of2.ledger.jsonl").unlink()
    folder = tmp_path / "lost" / "2021-10-12"
    both = [folder / "other+1of2.jsonl", folder / "other+2of2.jsonl"]
    refused = ssmd("import", "--feed", "other", "--to", storage, "--of-ssmd", *both)
    assert (refused.returncode, list(storage.glob("*"))) == (64, [])
    assert "other+2of2.jsonl: is of another shard than" in refused.stderr
    for index, path in enumerate(both, 1):
        imported(storage, "--of-ssmd", "--exchange", "kalshi", "--shard", f"{index}/2", path)
        assert (storage / "2021-10-12" / path.name).read_bytes() == path.read_bytes()
    assert ssmd("seal", storage).returncode == 0
    assert ssmd("verify", storage).returncode == 0


def test_a_day_that_shards_have_recorded_exists_already(tmp_path, storage):
    path = make_day(storage, "2021-10-12", feed="other", shard=Shard(1, 2), per_hour=5)
    before = sorted(storage.rglob("*"))
    text = tmp_path / "text"
    text.write_bytes(b"%d\t{}\n" % AT)
    options = ("--feed", "other", "--to", storage, "--separator", r"\t", "--time-format", "s", text)
    refused = ssmd("import", *options)
    assert (refused.returncode, sorted(storage.rglob("*"))) == (73, before)
    assert f"{path}: this day exists already" in refused.stderr
    assert ssmd("import", "--shard", "2/2", *options).returncode == 0


def test_the_lines_that_where_leaves_out_are_counted(tmp_path, storage):
    recording = tmp_path / "a.jsonl"
    recording.write_text('{"t":"2021-10-12T00:00:00Z","dir":"in"}\n{"dir":"out"}\n{"dir":"out"}\n')
    code, out, err = ssmd(
        "import", "--feed", "other", "--to", storage, "--time-field", "t", "--where", "dir=in", recording
    )
    assert (code, out) == (0, f"{storage}/2021-10-12/other.jsonl: imported, 1 lines\n")
    assert err == "ssmd: left out because of --where: 2 lines\n"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "--time-field is required, or --separator for lines that are not JSON"),
        (["--separator", ":", "--time-field", "t"], "--time-field cannot be given with --separator, which says"),
        (["--separator", ":", "--base64"], "--base64 cannot be given with --separator"),
        (["--of-ssmd", "--where", "a=b"], "--where cannot be given with --of-ssmd, which says where the parts"),
        (["--of-ssmd", "--separator", ":"], "--separator cannot be given with --of-ssmd, which says where the parts"),
        (["--time-field", "t", "--base64"], "--base64 needs --message-field"),
        (["--time-field", "a..b"], "--time-field: 'a..b' is not the path of a field"),
        (["--time-field", "t", "--message-field", "[x]"], "--message-field: '[x]' is not the path of a field"),
        (["--time-field", "t", "--where", "dir"], "--where is 'dir'; it must be like direction=received"),
        (["--time-field", "t", "--time-format", "min"], "--time-format is 'min'; it must be iso, iso-utc, s, ms,"),
        (["--time-field", "t", "--window", "-1"], "--window is '-1'; it must be a number of lines"),
        (["--time-field", "t", "--exchange", "kalshy"], "--exchange is 'kalshy', which is no dialect of ssmd; did"),
        (["--time-field", "t", "--feed", "a/b"], "--feed is 'a/b'; it must be a name of letters, digits"),
        (["--time-field", "t", "--feed", "a.ledger"], "--feed is 'a.ledger'; it must be a name of letters, digits"),
        (["--time-field", "t", "--to", "data/2021-10-12"], "the folder of a day; name the folder that has the days"),
        (["--time-field", "t", "no-such-file"], "no-such-file: there is no such file"),
        (["--time-field", "t", "."], ".: is no regular file"),
        (["--time-field", "t", "-"], "-: there is no such file; the standard input is not read"),
        (["--time-field", "t", "./README.md"], "README.md: is given twice; its messages would be there twice"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_made(storage, arguments, what):
    for option, value in (("--feed", "other"), ("--to", str(storage))):
        if option not in arguments:
            arguments = [*arguments, option, value]
    code, out, err = ssmd("import", "README.md", *arguments)
    assert (code, out) == (64, "")
    assert what in err
    assert not storage.exists()


def test_a_line_that_cannot_be_imported_ends_with_65_and_a_day_that_exists_with_73(tmp_path, storage):
    recording = tmp_path / "a.jsonl"
    recording.write_text('{"t":"2021-10-12T00:00:00Z"}\n{"t":"2021-10-12"}\n')
    code, out, err = ssmd("import", "--feed", "other", "--to", storage, "--time-field", "t", recording)
    assert (code, out) == (65, "")
    assert err.startswith(f"ssmd: {recording}:2: `t` is '2021-10-12', which is not a time of ISO 8601")
    assert not storage.exists()
    recording.write_text('{"t":"2021-10-12T00:00:00Z"}\n')
    imported(storage, "--time-field", "t", recording)
    recording.write_text('{"t":"2021-10-12T00:00:01Z"}\n')
    code, out, err = ssmd("import", "--feed", "other", "--to", storage, "--time-field", "t", recording)
    assert (code, out) == (73, "")
    assert err.startswith(f"ssmd: {storage}/2021-10-12/other.jsonl: this day exists already")


def test_the_memory_does_not_grow_with_the_file(tmp_path, storage):
    """The window holds 10,000 lines of 230 bytes, and the file thirty times as many."""
    recording = tmp_path / "large.jsonl.gz"
    message = "x" * 200
    with gzip.open(recording, "wt", compresslevel=1) as file:
        for number in range(300_000):
            file.write(f'{{"t":{AT + number / 10},"m":["{message}"]}}\n')
    code = (
        "import os, sys; from ssmd.cli import run_command; run_command(sys.argv[1:], os.environ); "
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "import", "--feed", "other", "--to", storage, "--time-field", "t",
         "--time-format", "s", "--message-field", "m", recording],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "imported, 300,000 lines" in ended.stdout
    peak = int(ended.stdout.splitlines()[-1])
    assert peak < 60 * 1024


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_removes_what_is_not_finished(tmp_path, storage, number):
    recording = tmp_path / "a.jsonl"
    recording.write_text('{"t":"2021-10-12T00:00:00Z"}\n')
    code = (
        "import os, sys; import ssmd.importing.days as days; from ssmd.cli import run_command; "
        f"days.write_pieces = lambda fd, pieces: os.kill(os.getpid(), {int(number)}); "
        "run_command(sys.argv[1:], os.environ)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "import", "--feed", "other", "--to", storage, "--time-field", "t", recording],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (128 + number, "", "")
    assert not list(storage.iterdir())


def test_importing_imports_neither_the_writer_nor_the_runtime():
    code = "import sys, ssmd.commands.import_; print(*(name for name in sys.modules if name.startswith('ssmd.')))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in ended.stdout.split()}
    assert "importing" in packages
    assert not packages & {"connector", "metadata", "runtime", "server", "shipping", "sim", "wiring", "writer"}


FEED = """
name: other
type: websocket
versions:
- version: v1
  effective_from: 2021-01-01
  effective_to: 2021-10-12
  protocol: wss
  endpoint: wss://example.com/ws
  dialect: {paths: {type: e, market: s, sequence: {previous: [p, n], scope: market}}}
- version: v2
  effective_from: 2021-10-13
  protocol: wss
  endpoint: wss://example.com/ws
  dialect: {paths: {type: kind, market: symbol, sequence: {plus_one: n, scope: connection}}}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A metadata tree with two versions of the feed, the second of which begins a day later."""
    for name in ("environments", "feeds"):
        (tmp_path / "conf" / name).mkdir(parents=True)
    (tmp_path / "conf" / "feeds" / "other.yaml").write_text(FEED)
    return tmp_path / "conf"


def test_an_imported_day_is_read_by_the_description_of_its_feed_on_that_day(tmp_path, storage, tree):
    first = [{"e": "trade", "s": "A", "p": -1, "n": 4}, {"e": "book", "s": "A", "p": 6, "n": 9}]
    second = [{"kind": "trade", "symbol": "B", "n": 1}, {"kind": "trade", "symbol": "A", "n": 4}]
    lines = [{"at": AT + place, "text": message} for place, message in enumerate(first)]
    lines += [{"at": AT + 86_400 + place, "text": message} for place, message in enumerate(second)]
    recording = tmp_path / "recording"
    recording.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    fields = ("--time-field", "at", "--time-format", "s", "--message-field", "text", "--config-dir", tree)
    imported(storage, *fields, recording)
    (tree / "feeds" / "other.yaml").unlink()  # From here on the ledgers have all that is needed.
    for sealed in (False, True):
        assert ssmd("verify", storage).returncode == 0
        assert len(ssmd("cat", "--type", "trade", storage).stdout.splitlines()) == 3
        assert len(ssmd("cat", "--market", "A", storage).stdout.splitlines()) == 3
        assert sealed or ssmd("seal", storage).returncode == 0
    paths = sorted(storage.glob("*/other.manifest.json"))
    days = [json.loads(path.read_text()) for path in paths]
    assert [(day["sequence_gaps"], day["missing"]) for day in days] == [(1, None), (1, 2)]
    assert [day["messages_by_type"] for day in days] == [{"book": 1, "trade": 1}, {"trade": 2}]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--exchange", "generic"), 64, "--exchange cannot be given with --config-dir, whose feed names the dialect"),
        (("--feed", "toher"), 78, "there is no feed `toher` in feeds/; did you mean `other`?"),
    ],
)
def test_a_feed_that_cannot_describe_a_recording_is_an_error(tmp_path, storage, tree, arguments, code, error):
    recording = tmp_path / "recording"
    recording.write_text(f"{AT} 1\n")
    feed = () if "--feed" in arguments else ("--feed", "other")
    given = ("--to", storage, "--separator", " ", "--time-format", "s", "--config-dir", tree, *feed, *arguments)
    ended = ssmd("import", *given, recording)
    assert (ended.returncode, storage.exists()) == (code, False)
    assert error in ended.stderr


def test_a_day_without_a_version_in_force_is_an_error_that_names_the_dates(tmp_path, storage, tree):
    recording = tmp_path / "recording"
    recording.write_text(f"{AT - 400 * 86_400} 1\n")
    given = ("--feed", "other", "--to", storage, "--separator", " ", "--time-format", "s", "--config-dir", tree)
    ended = ssmd("import", *given, recording)
    assert ended.returncode == 78
    assert "has no version in force on 2020-09-07" in ended.stderr
    assert "v1 from 2021-01-01 to 2021-10-12, v2 from 2021-10-13; give the version" in ended.stderr
    assert list(storage.glob("*/*")) == []
