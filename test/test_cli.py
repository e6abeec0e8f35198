"""The command line: the message and the exit code of each mistake."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT
from recorded import make_day

from ssmd import __version__, errors
from ssmd.cli import EXIT_SIGPIPE, run_command
from ssmd.commands import COMMANDS, WITHOUT_GEVENT
from ssmd.commands.listen import parse_listen
from ssmd.errors import EXIT_BUG, ConfigError, SsmdError, UsageError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SsmdError)]
KINDS.remove(SsmdError)  # The base, which is never raised.

FEED = """\
name: example
type: websocket
versions:
  - version: v1
    effective_from: 2026-01-01
    protocol: wss
    endpoint: wss://feed.example/ws
    dialect: {paths: {sequence: {plus_one: n, scope: connection}}}
"""

ENVIRONMENT = """\
name: example-dev
feed: example
storage: {{type: local, path: {path}}}
data_timeout_seconds: 60
"""


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    logger = logging.getLogger("ssmd")
    before = (logger.handlers[:], logger.level, logger.propagate)
    logger.handlers.clear()
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("environments", "feeds", "schemas"):
        (root / folder).mkdir(parents=True)
    (root / "feeds" / "example.yaml").write_text(FEED)
    (root / "environments" / "example-dev.yaml").write_text(ENVIRONMENT.format(path=tmp_path / "data"))
    return root


def run(*argv: object, **environ: str) -> int:
    return run_command([str(argument) for argument in argv], environ)


def refused(capsys: pytest.CaptureFixture[str], *argv: object) -> list[str]:
    """Run a command line that is wrong, and return the lines on stderr."""
    assert run(*argv) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


@pytest.mark.parametrize("flag", ["--help", "-h", "--he"])
def test_help_names_every_command_and_every_exit_code(capsys, flag):
    with pytest.raises(SystemExit) as ended:
        run(flag)
    assert ended.value.code is None
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command}  " in out
    codes = {kind.exit_code for kind in KINDS} | {0, EXIT_BUG}
    assert not [code for code in codes if f" {code} " not in out.replace("\n", " ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_own_help(capsys, command):
    with pytest.raises(SystemExit) as ended:
        run(command, "--help")
    assert ended.value.code is None
    out = capsys.readouterr().out
    assert f"\nUsage:\n  ssmd {command} " in out
    assert f"  ssmd {command} (-h | --help)\n" in out


def test_version_prints_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--version")
    assert ended.value.code is None
    assert capsys.readouterr().out == f"ssmd {__version__}\n"


TOP_USAGE = [
    "ssmd: Usage:",
    "ssmd:   ssmd <command> [<argument>...]",
    "ssmd:   ssmd (-h | --help)",
    "ssmd:   ssmd --version",
]
RUN_USAGE = [
    "ssmd: Usage:",
    "ssmd:   ssmd run <environment> --config-dir <path> [--listen <host:port>] [--page <level>] [--shard <i/n>]",
    "ssmd:   ssmd run (-h | --help)",
]


@pytest.mark.parametrize(
    ("argv", "lines"),
    [
        ([], [f"ssmd: a command is required: {', '.join(COMMANDS)}", *TOP_USAGE]),
        (["rum"], ["ssmd: there is no command 'rum'; did you mean `run`?"]),
        (["Validate"], ["ssmd: there is no command 'Validate'; did you mean `validate`?"]),
        (["help"], [f"ssmd: there is no command 'help'; there are {', '.join(COMMANDS)}"]),
        (["x\n\x1b[31my"], [f"ssmd: there is no command 'x\\n\\x1b[31my'; there are {', '.join(COMMANDS)}"]),
        (["--versoin"], ["ssmd: there is no option --versoin; did you mean `--version`?", *TOP_USAGE]),
        (["-x"], ["ssmd: there is no option -x", *TOP_USAGE]),
        (["run"], ["ssmd: --config-dir is required", *RUN_USAGE]),
        (["run", "example-dev"], ["ssmd: --config-dir is required", *RUN_USAGE]),
        (["run", "--config-dir", "tree"], ["ssmd: the arguments do not fit", *RUN_USAGE]),
        (["run", "a", "b", "--config-dir", "tree"], ["ssmd: the arguments do not fit", *RUN_USAGE]),
        (["run", "a", "--config-dir"], ["ssmd: --config-dir requires argument", *RUN_USAGE]),
        (
            ["run", "a", "--confg-dir", "tree"],
            ["ssmd: there is no option --confg-dir; did you mean `--config-dir`?", *RUN_USAGE],
        ),
        (["run", "a", "--config-dir=tree", "--verbose"], ["ssmd: there is no option --verbose", *RUN_USAGE]),
        (["run", "a", "--config-dir=tree", "--x\ny=1"], ["ssmd: there is no option --x y", *RUN_USAGE]),
        (["validate"], ["ssmd: --config-dir is required"]),
        (
            ["validate", "--config-dir", "tree", "--strictly"],
            ["ssmd: there is no option --strictly; did you mean `--strict`?"],
        ),
        (["sim", "somewhere"], ["ssmd: the arguments do not fit"]),
        (["sim", "--rate"], ["ssmd: --rate requires argument"]),
    ],
    ids=lambda value: " ".join(value)[:40].replace("\n", " ") if value and not value[0].startswith("ssmd") else None,
)
def test_a_wrong_command_line_gets_a_message_that_says_what_is_wrong(capsys, argv, lines):
    printed = refused(capsys, *argv)
    assert printed[: len(lines)] == lines
    assert len(printed) == len(lines) or printed[len(lines)] == "ssmd: Usage:"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["cat", "--from", "", "."], "--from"),
        (["cat", "--to=", "."], "--to"),
        (["cat", "--type", "trade", "--type", "", "."], "--type"),
        (["cat", "--market", "", "."], "--market"),
        (["cat", "--feed", "", "."], "--feed"),
        (["cat", ".", ""], "<path>"),
        (["replay", "--from", "", "."], "--from"),
        (["replay", "--feed", "", "."], "--feed"),
        (["seal", ".", "--before", ""], "--before"),
        (["seal", ".", "--feed", ""], "--feed"),
        (["compact", ""], "<storage>"),
        (["verify", ""], "<path>"),
        (["report", ""], "<storage>"),
        (["sim", "--replay", ""], "--replay"),
        (["validate", "--config-dir", ""], "--config-dir"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_an_empty_value_is_refused_and_never_selects_everything(capsys, tmp_path, monkeypatch, argv, name):
    """A shell passes one for a variable that is not set."""
    monkeypatch.chdir(tmp_path)
    assert refused(capsys, *argv) == [f"ssmd: {name} is empty; perhaps a variable of the shell is not set"]


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:8080\r", "8080", "localhost", "localhost:", "x:http", ":65536", ":-1", ":8 0", "[::1]", "a:²"]
)
def test_a_bad_address_for_the_probes_is_refused(capsys, tree, listen):
    (line,) = refused(capsys, "run", "example-dev", "--config-dir", tree, "--listen", listen)
    event = json.loads(line)
    assert event["level"] == "error"
    shown = listen.replace("\r", "\\r")
    assert event["event"] == f"--listen is '{shown}'; it must be host:port, such as 127.0.0.1:8080"
    assert event["exit_code"] == 64


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":0", ("0.0.0.0", 0)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:8080", ("::1", 8080)),
        ("[::]:80", ("::", 80)),
    ],
)
def test_the_forms_of_an_address(text, address):
    assert parse_listen(text) == address


def test_a_port_of_thousands_of_digits_is_a_usage_error():
    with pytest.raises(UsageError):
        parse_listen("localhost:" + "9" * 5000)


@pytest.mark.parametrize("variable", ["SSMD_LOG_LEVEL", "SSMD_LOG_FORMAT"])
def test_a_bad_choice_for_the_log_is_refused(capsys, tree, variable):
    assert run("run", "example-dev", "--config-dir", tree, **{variable: "loud"}) == 64
    assert capsys.readouterr().err.startswith(f"ssmd: {variable} is 'loud'; it may be ")


def test_an_environment_that_does_not_exist_is_a_configuration_error(capsys, tree):
    assert run("run", "example-prod", "--config-dir", tree) == 78
    captured = capsys.readouterr()
    (event,) = map(json.loads, captured.err.splitlines())
    assert captured.out == ""
    assert (event["level"], event["exit_code"]) == ("error", 78)
    assert "example-prod" in event["event"]
    assert "example-dev" in event["event"]


def test_a_directory_that_does_not_exist_is_a_configuration_error(capsys, tree):
    for argv in (["run", "example-dev"], ["validate"], ["validate", "example-dev"]):
        assert run(*argv, "--config-dir", tree / "none") == 78
        assert "there is no such directory" in capsys.readouterr().err


def test_every_problem_has_a_line_of_its_own_in_the_log(capsys, tree):
    (tree / "environments" / "example-dev.yaml").write_text("name: example-dev\nfeed: other\n")
    assert run("run", "example-dev", "--config-dir", tree, SSMD_LOG_FORMAT="text") == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(" ERROR   environments/example-dev.yaml" in line and line.endswith(" exit_code=78") for line in lines)
    assert "feed: " in lines[0] + lines[1]
    assert "storage: " in lines[0] + lines[1]


def test_missing_keys_are_a_configuration_error(capsys, tree):
    text = (tree / "environments" / "example-dev.yaml").read_text()
    keys = "keys: {example: {type: api_key, fields: [id, secret], source: 'env:EXAMPLE_ID,EXAMPLE_SECRET'}}\n"
    (tree / "environments" / "example-dev.yaml").write_text(text + keys)
    assert run("run", "example-dev", "--config-dir", tree, EXAMPLE_ID="canary-5e") == 78
    captured = capsys.readouterr()
    assert "EXAMPLE_SECRET is not set in the environment" in captured.err
    assert "canary" not in captured.out + captured.err
    assert run("validate", "--config-dir", tree) == 0
    capsys.readouterr()
    assert run("validate", "--config-dir", tree, "--keys", EXAMPLE_ID="canary-5e") == 78
    captured = capsys.readouterr()
    assert "EXAMPLE_SECRET is not set in the environment" in captured.out
    assert "canary" not in captured.out + captured.err
    assert run("validate", "--config-dir", tree, "--keys", EXAMPLE_ID="canary-5e", EXAMPLE_SECRET="canary-5f") == 0
    captured = capsys.readouterr()
    assert "canary" not in captured.out + captured.err


def test_validate_has_a_line_for_each_file(capsys, tree):
    assert run("validate", "--config-dir", tree) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == ["ok: environments/example-dev.yaml", "ok: feeds/example.yaml"]


def test_validate_fails_on_warnings_when_it_is_strict(capsys, tree):
    feed = tree / "feeds" / "example.yaml"
    feed.write_text(feed.read_text() + "colour: red\n")
    assert run("validate", "--config-dir", tree) == 0
    out = capsys.readouterr().out
    assert "warning: feeds/example.yaml:9: colour: ssmd does not know this key\n" in out
    assert run("validate", "--strict", "--config-dir", tree) == 78
    assert capsys.readouterr().out == out.replace("warning: ", "warning (fails with --strict): ", 1)
    # The other warning, of a field without effect, is not the reason.
    feed.write_text(feed.read_text().replace("colour: red", "calendar: {timezone: UTC}\ncolour: red"))
    assert run("validate", "--strict", "--config-dir", tree) == 78
    assert re.findall(r"^(warning.*?): .*: (\w+): ", capsys.readouterr().out, re.MULTILINE) == [
        ("warning", "calendar"),
        ("warning (fails with --strict)", "colour"),
    ]


def test_validate_is_not_ok_for_an_environment_that_cannot_run(capsys, tree):
    feed = tree / "feeds" / "example.yaml"
    feed.write_text(feed.read_text() + "status: none\n")
    assert run("validate", "--config-dir", tree, "--keys") == 78
    assert [line.partition(" must be")[0] for line in capsys.readouterr().out.splitlines()] == [
        "error: environments/example-dev.yaml:2: feed: cannot be used, because feeds/example.yaml has errors; "
        "correct those",
        "warning: environments/example-dev.yaml: keys: not looked for, because the environment has errors; "
        "correct them, then check again",
        "error: feeds/example.yaml:9: status:",
    ]


def test_run_logs_the_warnings_of_validate_as_warnings(capsys, tree):
    """All of them, in the same order and words."""
    feed = tree / "feeds" / "example.yaml"
    text = feed.read_text().replace("wss://feed.example", "ws://127.0.0.1:1")
    feed.write_text(text + "calendar: {timezone: UTC}\ncolour: red\n")
    assert run("validate", "--config-dir", tree, "example-dev") == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("ok: ")]
    assert run("run", "example-dev", "--config-dir", tree, "--listen", "127.0.0.1:0", SSMD_LOG_FORMAT="json") == 69
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [f"warning: {line['event']}" for line in logged if line["level"] == "warning"] == warnings
    assert len(warnings) >= 2


def test_validate_fails_on_a_misspelt_key(capsys, tree):
    feed = tree / "feeds" / "example.yaml"
    feed.write_text(feed.read_text() + "displayname: Example\n")
    assert run("validate", "--config-dir", tree) == 78
    assert (
        "error: feeds/example.yaml:9: displayname: ssmd does not know this key; did you mean `display_name`?\n"
        in capsys.readouterr().out
    )


def test_validate_warns_of_a_field_without_effect_but_does_not_fail_even_when_strict(capsys, tree):
    feed = tree / "feeds" / "example.yaml"
    feed.write_text(feed.read_text() + "calendar: {timezone: UTC}\n")
    assert run("validate", "--strict", "--config-dir", tree) == 0
    what = "has no effect without `enforce: true` in the environment's `schedule`"
    assert capsys.readouterr().out.splitlines()[-1] == f"warning: feeds/example.yaml:9: calendar: {what}"


def test_validate_reports_a_field_that_only_the_dialect_can_check(capsys, tree):
    text = (tree / "environments" / "example-dev.yaml").read_text()
    (tree / "environments" / "example-dev.yaml").write_text(text + "subscribe: {messages: ['']}\n")
    assert run("validate", "--config-dir", tree, "example-dev") == 78
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error: environments/example-dev.yaml:5: subscribe.messages[0]: is empty; write")


@pytest.mark.parametrize("command", sorted(WITHOUT_GEVENT))
def test_a_command_on_files_starts_without_gevent(command):
    """gevent takes half of the time of a short command."""
    started = "import runpy, sys; runpy.run_module('ssmd', run_name='__main__')"
    report = "import atexit; atexit.register(lambda: print('gevent' in sys.modules, file=sys.stderr))"
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; {report}; {started}", command, "--help"], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "False\n")


@pytest.fixture
def own_command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command of one module and one line in the catalog."""
    module = types.ModuleType("own_command", "Try.\n\nUsage:\n  ssmd own [<word>]\n  ssmd own (-h | --help)\n")
    monkeypatch.setitem(sys.modules, "own_command", module)
    monkeypatch.setitem(COMMANDS, "own", "own_command")
    return module


def test_a_command_gets_its_arguments_and_the_environment(own_command):
    seen = []
    own_command.main = lambda arguments, environ: seen.append((arguments["<word>"], environ)) or 0
    assert run("own", "hello", HOME="/home/x") == 0
    assert seen == [("hello", {"HOME": "/home/x"})]


def test_the_exit_code_of_a_command_is_returned(own_command):
    own_command.main = lambda arguments, environ: 75
    assert run("own") == 75


@pytest.mark.parametrize("kind", KINDS)
def test_every_expected_error_gives_its_exit_code_and_one_line_for_each_problem(own_command, capsys, kind):
    def main(arguments: object, environ: object) -> int:
        raise kind("first problem\nsecond problem")

    own_command.main = main
    assert run("own") == kind.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "ssmd: first problem\nssmd: second problem\n"


def test_any_other_exception_is_a_bug_with_its_traceback(own_command, capsys):
    def main(arguments: object, environ: object) -> int:
        raise ZeroDivisionError("a mistake")

    own_command.main = main
    assert run("own") == 70
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2] == "ZeroDivisionError: a mistake"
    assert lines[-1] == f"ssmd {__version__}: this is a bug in ssmd; please report it with the lines above"


def test_a_long_message_of_a_configuration_error_is_not_cut_off(own_command, capsys):
    def main(arguments: object, environ: object) -> int:
        raise ConfigError("\n".join(f"problem {number}" for number in range(500)))

    own_command.main = main
    assert run("own") == 78
    assert len(capsys.readouterr().err.splitlines()) == 500


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argv", [["--help"], ["validate", "--config-dir", "."]], ids=" ".join)
def test_an_output_without_a_reader_is_not_an_error(tree, argv, unbuffered):
    reader, writer = os.pipe()
    open(reader, "rb").close()  # gevent's os.close() would leave it open until its loop runs again.
    ended = subprocess.run(
        [sys.executable, "-m", "ssmd", *argv],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tree,
        env={"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": unbuffered, "PATH": os.environ["PATH"]},
        check=False,
    )
    os.close(writer)
    # Unbuffered output fails at once, as in any program without a reader. Buffered output fails when all is done.
    assert (ended.returncode, ended.stderr) == (EXIT_SIGPIPE if unbuffered else 0, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("verify", "--help"), ("validate", "--config-dir", "conf")]
)
def test_a_full_output_gives_one_line_and_74(arguments: tuple[str, ...], unbuffered: str) -> None:
    command = [sys.executable, "-m", "ssmd", *arguments]
    environ = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, cwd=ROOT, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE
        )
    message = "the standard output cannot be written: No space left on device; send it elsewhere or free some"
    assert (done.returncode, done.stderr) == (74, f"ssmd: {message}\n")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:surrogateescape", "latin-1:strict"])
@pytest.mark.parametrize("html", [[], ["--html"]])
def test_every_command_can_print_a_path_that_is_not_valid_text(tmp_path: Path, encoding: str, html: list[str]) -> None:
    storage = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff \xe2\x82\xac"))
    plain = [make_day(storage, day, per_hour=2, sealed=False) for day in ("2025-12-22", "2025-12-23")]
    lines = b"".join(path.read_bytes() for path in plain)
    environ = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    for code, command in (
        (0, ["seal"]), (0, ["verify"]), (0, ["report", *html]), (0, ["compact"]), (0, ["cat"]), (65, ["verify"])
    ):  # fmt: skip
        if code:
            (storage / "2025-12-23" / "kalshi.manifest.json").write_bytes(b"{")
        done = subprocess.run(
            [sys.executable, "-m", "ssmd", *command, storage],
            cwd=ROOT, env=environ, capture_output=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (code, b""), (command, done)
        if command == ["cat"]:
            assert done.stdout == lines
        elif command in (["seal"], ["compact"]):
            assert done.stdout.count(rb"/d\udcff ") == 2
        elif code:
            assert rb"/d\udcff " in done.stdout
