"""The resolver for keys that a command prints: the way to any other store of secrets."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess  # nosec B404
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.metadata.problem import excerpt, quoted
from ssmd.resolver.in_time import disk_in_time
from ssmd.resolver.key_file import MAX_BYTES, without_line_end
from ssmd.resolver.program import touch

__all__ = ["SECONDS", "VARIABLES", "ExecResolver"]

SECONDS = 10.0
"""How long a command may run."""

_KILL_SECONDS = 1.0
"""How long a command that was killed is waited for."""

_PASSED_ON = ("HOME", "LANG", "LC_*", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")
"""The environment variables that a command gets; with a star, those that begin so."""

VARIABLES = "SSMD_EXEC_VARIABLES"
"""The environment variable that names more of them."""


class ExecResolver:
    """Resolves `exec:<command>`; keeps the KeyResolver contract of contracts/resolver.py.

    The command is a list of words, as a shell reads them, and no shell is involved. Its standard error is not shown,
    since it may contain a key.
    """

    def __init__(self, environ: Mapping[str, str], until: float) -> None:
        self._environ = environ
        self._until = until

    @classmethod
    def check(cls, key: KeySource) -> Iterator[FieldProblem]:
        if not _words(key.source):
            message = (
                "must be a command, as in `exec:/usr/local/bin/get-key kalshi`: words as in a shell, with quotes in "
                "pairs; never put a key here"
            )
            yield FieldProblem(("source",), message)

    def resolve(self, key: KeySource) -> Found:
        output = self._run(_words(key.source), min(self._until, time.monotonic() + SECONDS))
        try:
            text = output.decode("utf-8")
        except UnicodeDecodeError:
            raise ResolveError("its command has printed something that is not text in UTF-8") from None
        return Found(_values(text, key.fields))

    def _run(self, words: Sequence[str], until: float) -> bytes:
        """Return what the command prints. Raises ResolveError."""
        process = self._start(words, until)
        has_ended = False
        try:
            output = _read(process, until)
            code = process.wait(max(0.0, until - time.monotonic()))
            has_ended = True
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SourceUnavailable(
                f"its command has not ended in time, and was killed; it has {SECONDS:.0f} s, and less when other "
                "sources were slow"
            ) from None
        finally:
            if not has_ended:
                _kill(process)
        if code:
            remedy = "run it by hand, as the user that ssmd runs as and with the variables that docs/keys.md lists"
            raise SourceUnavailable(f"its command has failed: {_ending(code)}; {remedy}")
        return output

    def _start(self, words: Sequence[str], until: float) -> subprocess.Popen[bytes]:
        environ = self._passed_on()
        try:
            disk_in_time(partial(touch, words[0], environ.get("PATH", os.defpath)), until)
            return subprocess.Popen(  # nosec B603
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environ,
                start_new_session=True,
            )
        except TimeoutError:
            raise SourceUnavailable(
                "its command could not be started in time; check that the file systems of its program and "
                "of all folders of PATH answer"
            ) from None
        except FileNotFoundError:
            raise ResolveError("its command is not found; name a program of PATH, or an absolute path") from None
        except PermissionError:
            raise ResolveError("its command may not be executed; make the file executable with chmod +x") from None
        except BlockingIOError:
            raise SourceUnavailable(
                "its command could not be started: the system starts no further thread or process for this user; raise "
                "its limit, which `ulimit -u` shows"
            ) from None
        except OSError as error:
            raise ResolveError(f"its command cannot be executed: {error.strerror}") from None

    def _passed_on(self) -> dict[str, str]:
        named = [name.strip() for name in self._environ.get(VARIABLES, "").split(",")]
        allowed = [name for name in (*_PASSED_ON, *named) if name]
        whole = {name for name in allowed if not name.endswith("*")}
        begin = tuple(name[:-1] for name in allowed if name.endswith("*"))
        return {name: value for name, value in self._environ.items() if name in whole or name.startswith(begin)}


def _words(source: str) -> list[str]:
    """Return the words of a command; none when the source has not the form of one."""
    if not source.startswith("exec:") or "\0" in source:
        return []
    try:
        words = shlex.split(source.removeprefix("exec:"))
    except ValueError:
        return []
    return words if words and words[0] else []


def _read(process: subprocess.Popen[bytes], until: float) -> bytes:
    """Return the output of a process. Raises TimeoutError, and ResolveError when it is too long."""
    output = b""
    with process.stdout as pipe:  # type: ignore[union-attr]
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while True:
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
            if not (piece := os.read(pipe.fileno(), MAX_BYTES)):
                return output
            output += piece
            if len(output) > MAX_BYTES:
                raise ResolveError(f"its command has printed more than {MAX_BYTES} bytes, which is too much for a key")


def _kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process, and all that it has started in its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # One that waits for a dead disk may end only when that is back.
    with suppress(subprocess.TimeoutExpired):
        process.wait(_KILL_SECONDS)


def _ending(code: int) -> str:
    if code > 0:
        return f"it has ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"


def _values(text: str, fields: Sequence[str]) -> dict[str, str]:
    """Return the fields in the output of a command."""
    found: Any = None
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
    if not isinstance(found, dict):
        if len(fields) > 1:
            raise ResolveError(
                f"its command has not printed one JSON object with {quoted(fields)}, as it must for several fields"
            )
        if not text.strip():
            raise ResolveError("its command has printed nothing")
        return {fields[0]: without_line_end(text)}
    if missing := [field for field in fields if field not in found]:
        raise ResolveError(f"its command has printed a JSON object without {quoted(missing)}")
    for field in fields:
        if not isinstance(found[field], str) or not found[field].strip():
            raise ResolveError(f"`{excerpt(field)}` in the output of its command is empty, or is not a text")
    return {field: found[field] for field in fields}
