"""Keys that a command prints: bounded in time and size, without a shell, and no message shows what it prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import dead_disk
import pytest
from exchange_server import eventually
from patience import PATIENCE

from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.resolver import RESOLVERS
from ssmd.resolver.exec import ExecResolver

CANARY = "canary-91fa"
PATH = os.environ["PATH"]
ROOT = Path(__file__).parent.parent


def resolve(source: str, *fields: str, seconds: float = 60, environ: Mapping[str, str] = MappingProxyType({})) -> Found:
    resolver = ExecResolver({"PATH": PATH, **environ}, time.monotonic() + seconds)
    return resolver.resolve(KeySource("kalshi", source, fields or ("a",)))


def refusal(source: str, *fields: str, kind: type[ResolveError] = ResolveError, seconds: float = 60) -> str:
    with pytest.raises(ResolveError) as refused:
        resolve(source, *fields, seconds=seconds)
    text = str(refused.value)
    assert type(refused.value) is kind, text
    assert "canary" not in text
    assert "\n" not in text
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text


def script(folder: Path, text: str, mode: int = 0o755) -> Path:
    """Write a program; return its path, in which no word has a space."""
    path = folder / "canary-program"
    path.write_text(text)
    path.chmod(mode)
    return path


def shell(folder: Path, text: str) -> str:
    return f"exec:{script(folder, f'#!/bin/sh{chr(10)}{text}')}"


def test_the_catalog_has_it() -> None:
    assert RESOLVERS["exec"] is ExecResolver


def test_one_json_object_has_all_fields(tmp_path: Path) -> None:
    values = {"api_key": "id", "api_secret": f"{CANARY}\nsecond line\n", "more": [CANARY]}
    (tmp_path / "out").write_text(json.dumps(values, indent=1))
    found = resolve(f"exec:cat {tmp_path}/out", "api_key", "api_secret")
    assert found == Found({"api_key": "id", "api_secret": f"{CANARY}\nsecond line\n"})
    assert resolve(f"exec:cat {tmp_path}/out", "api_key").values == {"api_key": "id"}


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("x", "x"), ("x\\n", "x"), ("x\\n\\n", "x\n"), ("a\\nb\\n", "a\nb"), (" x\\r\\n", " x"), ("7", "7"), ("[]", "[]")],
)
def test_one_field_may_be_the_text_itself(printed: str, expected: str) -> None:
    assert resolve(f"exec:printf '{printed}'").values == {"a": expected}


def test_words_are_those_of_a_shell_and_there_is_no_shell(tmp_path: Path) -> None:
    assert resolve("""exec:printf %s. 'a b' "c $HOME" d\\ e ;true | `true` >x #y""").values == {
        "a": "a b.c $HOME.d e.;true.|.`true`.>x.#y."
    }


def test_a_command_gets_only_the_variables_that_it_may_have(tmp_path: Path) -> None:
    environ = {"KALSHI_API_SECRET": CANARY, "HOME": "/home/me", "LC_ALL": "C", "VAULT_TOKEN": CANARY, "OP_A": "1"}
    printed = resolve("exec:env", environ=environ).values["a"].splitlines()
    assert sorted(printed) == ["HOME=/home/me", "LC_ALL=C", f"PATH={PATH}"]
    environ["SSMD_EXEC_VARIABLES"] = "OP_*, VAULT_TOKEN,NONE,"
    printed = resolve("exec:env", environ=environ).values["a"].splitlines()
    assert sorted(printed) == ["HOME=/home/me", "LC_ALL=C", "OP_A=1", f"PATH={PATH}", f"VAULT_TOKEN={CANARY}"]


def test_it_has_no_input(tmp_path: Path) -> None:
    assert resolve(shell(tmp_path, "read -r line || echo none")).values == {"a": "none"}


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        (CANARY, ["a", "b"], "its command has not printed one JSON object with `a`, `b`, as it must for"),
        (f'["{CANARY}"]', ["a", "b"], "its command has not printed one JSON object with `a`, `b`, as it must for"),
        ("{} {}", ["a", "b"], "its command has not printed one JSON object with `a`, `b`, as it must for"),
        ("[" * 20000, ["a", "b"], "its command has not printed one JSON object with `a`, `b`, as it must for"),
        (f'{{"b": "{CANARY}"}}', ["a", "b", "c"], "its command has printed a JSON object without `a`, `c`"),
        (f'{{"b": "{CANARY}"}}', ["a"], "its command has printed a JSON object without `a`"),
        ('{"a": 7}', ["a"], "`a` in the output of its command is empty, or is not a text"),
        ('{"a": " "}', ["a"], "`a` in the output of its command is empty, or is not a text"),
        ("", ["a"], "its command has printed nothing"),
        ("\n \n", ["a"], "its command has printed nothing"),
    ],
)
def test_output_that_is_no_key(tmp_path: Path, text: str, fields: list[str], expected: str) -> None:
    (tmp_path / "out").write_text(text)
    assert refusal(f"exec:cat {tmp_path}/out", *fields).startswith(expected)


def test_output_of_bytes_and_output_without_end() -> None:
    assert refusal("exec:printf '\\377canary'") == "its command has printed something that is not text in UTF-8"
    text = "its command has printed more than 65536 bytes, which is too much for a key"
    assert refusal("exec:yes canary") == text
    assert refusal("exec:head -c 65537 /dev/zero") == text
    assert len(resolve(f"exec:printf %65536s {CANARY}").values["a"]) == 65536


REMEDY = "run it by hand, as the user that ssmd runs as and with the variables that docs/keys.md lists"


def test_a_command_that_fails_is_named_by_its_end(tmp_path: Path) -> None:
    failed = shell(tmp_path, f"echo {CANARY}; echo {CANARY} >&2; exit 3")
    assert refusal(failed, kind=SourceUnavailable) == f"its command has failed: it has ended with exit code 3; {REMEDY}"
    killed = shell(tmp_path, f"echo {CANARY}; kill -SEGV $$")
    assert refusal(killed, kind=SourceUnavailable) == f"its command has failed: it was ended by SIGSEGV; {REMEDY}"
    number = signal.SIGRTMIN + 1
    killed = shell(tmp_path, f"kill -{number} $$")
    text = refusal(killed, kind=SourceUnavailable)
    assert text == f"its command has failed: it was ended by signal {number}; {REMEDY}"


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    missing = "its command is not found; name a program of PATH, or an absolute path"
    for source in ("exec:canary-no-such-program", f"exec:{tmp_path}/canary"):
        assert refusal(source) == missing
    path = script(tmp_path, "#!/bin/sh\n", mode=0o644)
    expected = "its command may not be executed; make the file executable with chmod +x"
    assert refusal(f"exec:{path}") == refusal(f"exec:{tmp_path}") == expected
    path = script(tmp_path, "canary")
    assert refusal(f"exec:{path}") == "its command cannot be executed: Exec format error"


NO_THREAD = """
import resource, sys, time
from ssmd.contracts.resolver import KeySource
from ssmd.resolver.env import EnvResolver
from ssmd.resolver.exec import ExecResolver
from ssmd.resolver.file import FileResolver
kind = {"env": EnvResolver, "exec": ExecResolver, "file": FileResolver}[sys.argv[1].partition(":")[0]]
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    kind({"A": "/etc/hostname"}, time.monotonic() + 60).resolve(KeySource("kalshi", sys.argv[1], ("a",)))
except Exception as error:
    print(type(error).__name__, error)
"""
LIMIT = "; raise its limit, which `ulimit -u` shows"


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "exec:/bin/true",
            f"its command could not be started: the system starts no further thread or process for this user{LIMIT}",
        ),
        (
            "env:A",
            f"A names a file that could not be read: the system starts no further thread for this user{LIMIT}",
        ),
        (
            "file:/etc/hostname",
            f"the file of `a` could not be read: the system starts no further thread for this user{LIMIT}",
        ),
    ],
)
def test_a_system_that_starts_no_further_thread_may_do_so_later(source, said) -> None:
    user = ("--reuid=60518", "--regid=60518", "--clear-groups")
    rights = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")  # The interpreter may stand below /root.
    command = ["setpriv", *user, *rights, sys.executable, "-c", NO_THREAD, source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"SourceUnavailable {said}\n", "")


DEAD = (
    "SourceUnavailable its command could not be started in time; check that the file systems of its program and of all "
    "folders of PATH answer\n"
)


@pytest.mark.needs("strace")
@pytest.mark.parametrize("patched", dead_disk.PATCHED)
@pytest.mark.parametrize("named", ["by its path", "as one of PATH", "as an interpreter"])
def test_a_program_of_a_dead_file_system_does_not_hold_a_run_up(tmp_path: Path, named: str, patched: str) -> None:
    program = script(tmp_path, "#!/bin/sh\necho x\n")
    source = f"exec:{program}"
    if named == "as one of PATH":
        source = f"exec:{program.name}"
    elif named == "as an interpreter":
        (tmp_path / "script").write_text(f"#! {program} -x\n")
        (tmp_path / "script").chmod(0o755)
        source = f"exec:{tmp_path}/script"
    assert dead_disk.refusal(program, patched, source, f"PATH=/nowhere:{tmp_path}:{PATH}") == DEAD


SLOW = (
    "its command has not ended in time, and was killed; it has 10 s, and less when other sources were slow"
)


@pytest.mark.parametrize(
    "text",
    ["sleep 600", "trap '' TERM INT HUP; sleep 600 & wait", "exec >&-; sleep 600", "sleep 600 &", "yes >/dev/null"],
    ids=["sleeps", "ignores signals", "closes its output", "leaves a child", "is busy"],
)
def test_a_command_that_does_not_end_is_killed_with_all_it_has_started(tmp_path: Path, text: str) -> None:
    """Or one whose child still holds its output."""
    begin = time.monotonic()
    source = shell(tmp_path, f"echo $$ >{tmp_path}/group; {text}")
    assert refusal(source, kind=SourceUnavailable, seconds=1.0) == SLOW
    assert time.monotonic() - begin >= 1.0
    group = int((tmp_path / "group").read_text())
    eventually(lambda: not is_alive(group))


def is_alive(group: int) -> bool:
    """Return whether a process of a group runs; one that has ended and that nobody has asked for does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-s", str(group)], capture_output=True, text=True)
    return any(not line.startswith("Z") for line in done.stdout.split())


UNPATCHED = """
import sys, time
from ssmd.contracts.resolver import KeySource
from ssmd.errors import SourceUnavailable
from ssmd.resolver.exec import ExecResolver
resolver = ExecResolver({"PATH": "/usr/bin:/bin"}, time.monotonic() + 1.0)
print(resolver.resolve(KeySource("k", "exec:printf x", ["a"])).values)
try:
    resolver.resolve(KeySource("k", "exec:sleep 600", ["a"]))
except SourceUnavailable as error:
    print(error)
assert "gevent" not in sys.modules
"""


def test_it_does_the_same_without_gevent() -> None:
    done = subprocess.run([sys.executable, "-c", UNPATCHED], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.stdout, done.stderr) == (f"{{'a': 'x'}}\n{SLOW}\n", "")


WRONG = ["exec", "exec:", "exec: ", "exec:'' hunter2", "exec:'hunter2", "exec/hunter2", 'exec:a "hunter2', "exec:a\0b"]


@pytest.mark.parametrize("source", WRONG)
def test_a_source_that_is_no_command_is_not_shown(source: str) -> None:
    [problem] = ExecResolver.check(KeySource("kalshi", source, ["a"]))
    assert problem.path == ("source",)
    assert problem.message == (
        "must be a command, as in `exec:/usr/local/bin/get-key kalshi`: words as in a shell, with quotes in pairs; "
        "never put a key here"
    )
    assert list(ExecResolver.check(KeySource("kalshi", "exec:get-key 'a b'", ["a"]))) == []
