"""The peers that ssmd is compared with: a file for each library, run as a process with a URL, a file and a command.

A peer that cannot be run here is not left out silently: `missing()` returns what it lacks.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.messages import SUBSCRIBE

__all__ = ["READER", "SINK", "Collector", "Peer", "peers"]

HERE = Path(__file__).parent
READER = "C reader"
SINK = "raw sink"


class Collector(Protocol):
    """A program that subscribes at a URL and writes what it receives to a file, until the other side closes."""

    @property
    def name(self) -> str: ...
    @property
    def tls(self) -> bool:
        """Whether it is measured over TLS too."""

    @property
    def exact(self) -> bool:
        """Whether it keeps the bytes of a message, not only what they mean."""

    @property
    def envelope(self) -> bool:
        """Whether it puts each message into an envelope with a time."""

    def missing(self) -> str:
        """Return why it cannot run here; the empty text when it can."""

    def start(self, folder: Path, url: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start its process, which writes errors to `folder`/log."""

    def output(self, folder: Path) -> Path | None:
        """Return its file; None while there is none."""


@dataclass(frozen=True)
class Peer:
    """A command whose last arguments are the URL, the file and the subscribe command."""

    name: str
    command: list[str]
    modules: Sequence[str] = ()
    """The Python modules that it needs."""
    program: str = ""
    """The program that it needs: a name or a path."""
    pipe: bool = False
    """It reads the subscribe command from its standard input, and writes messages to its standard output."""
    tls: bool = False
    exact: bool = True
    envelope: bool = True
    has_output: bool = True

    def missing(self) -> str:
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                return f"the Python package {module} is not installed"
        if self.program and shutil.which(self.program) is None and not Path(self.program).exists():
            return f"{self.program} is not installed"
        return ""

    def start(self, folder: Path, url: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        out = folder / "out"
        with open(folder / "log", "wb") as log:
            if not self.pipe:
                command = [*self.command, url, str(out), SUBSCRIBE]
                return subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
            with open(out, "wb") as file:
                process = subprocess.Popen(
                    [*self.command, url],
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=log,
                    start_new_session=True,  # Also above: Ctrl-C reaches only the benchmark.
                )
        assert process.stdin is not None
        process.stdin.write(SUBSCRIBE.encode() + b"\n")
        process.stdin.flush()  # It stays open: at its end the peer would close the connection.
        return process

    def output(self, folder: Path) -> Path | None:
        path = folder / "out"
        return path if self.has_output and path.exists() else None


def peers(reader: Path | None) -> list[Peer]:
    """Return every peer, in the order of the tables. `reader`: reader.c, compiled; None without a compiler."""

    def python(library: str, modules: Sequence[str], form: str, tls: bool = False) -> Peer:
        name = library if form == "typical" else f"{library}, {form}"
        command = [sys.executable, "-P", "-m", f"bench.peers.with_{library.replace('-', '_')}", form]
        return Peer(name, command, modules, tls=tls, exact=form != "typical")

    def node(form: str) -> Peer:
        script = HERE.parent / "node" / "collect.js"
        name = "Node ws" if form == "typical" else "Node ws, tuned"
        installed = script.parent / "node_modules" / "ws"
        program = str(installed) if shutil.which("node") else "node"
        return Peer(name, ["node", str(script), form], program=program, exact=form == "tuned")

    # It has one form: no option makes it faster here.
    websocat = str(Path(sys.executable).parent / "websocat")
    # fmt: off
    return [
        python("websocket-client", ["websocket"], "typical"),
        python("websocket-client", ["websocket"], "tuned"),
        python("websockets", ["websockets"], "typical"),
        python("websockets", ["websockets"], "tuned", tls=True),
        python("aiohttp", ["aiohttp"], "typical"),
        python("aiohttp", ["aiohttp"], "tuned", tls=True),
        python("picows", ["picows"], "typical"),
        python("picows", ["picows", "orjson"], "orjson"),
        python("picows", ["picows"], "tuned", tls=True),
        node("typical"),
        node("tuned"),
        Peer("websocat", [websocat, "--exit-on-eof"], program=websocat, pipe=True, envelope=False),
        Peer(READER, [str(reader)], program=str(reader or "a C compiler")),
        Peer(SINK, [sys.executable, "-P", "-m", "bench.peers.sink"], has_output=False, tls=True),
    ]
    # fmt: on
