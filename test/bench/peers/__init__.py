"""What ssmd is compared with: one file for each library, started as a process with a URL, a file and a command.

A peer that cannot be had here is not left out silently: `missing()` says what it lacks.
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
    """Something that subscribes at a URL and keeps in a file what comes, until the other side closes."""

    name: str
    tls: bool
    """Whether it is measured over TLS too."""
    exact: bool
    """Whether it keeps the bytes of a message, and not only its meaning."""
    envelope: bool
    """Whether it puts each message into one, with a time."""

    def missing(self) -> str:
        """Why it cannot run here; empty when it can."""

    def start(self, folder: Path, url: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A process that writes its complaints to `folder`/log."""

    def output(self, folder: Path) -> Path | None:
        """The file, once there is one."""


@dataclass(frozen=True)
class Peer:
    """A command that is followed by the URL, the file and the subscribe command.

    `modules` and `program` are what it needs; `pipe` is for one that instead reads the command from its standard
    input and writes to its standard output.
    """

    name: str
    command: list[str]
    modules: Sequence[str] = ()
    program: str = ""
    pipe: bool = False
    tls: bool = False
    exact: bool = True
    envelope: bool = True
    has_output: bool = True

    def missing(self) -> str:
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                return f"the Python package {module} is not installed"
        if self.program and shutil.which(self.program) is None and not Path(self.program).exists():
            return f"{self.program} is not here"
        return ""

    def start(self, folder: Path, url: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        out = folder / "out"
        with open(folder / "log", "wb") as log:
            if not self.pipe:
                command = [*self.command, url, out, SUBSCRIBE]
                return subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
            with open(out, "wb") as file:
                process = subprocess.Popen(
                    [*self.command, url],
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=log,
                    start_new_session=True,  # So that Ctrl-C reaches only who clears away; also above.
                )
        assert process.stdin is not None
        process.stdin.write(SUBSCRIBE.encode() + b"\n")
        process.stdin.flush()  # And left open, or it would hang up.
        return process

    def output(self, folder: Path) -> Path | None:
        path = folder / "out"
        return path if self.has_output and path.exists() else None


def peers(reader: Path | None) -> list[Peer]:
    """Every peer, in the order of the tables; `reader` is reader.c, compiled, if there is a compiler."""

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

    # It has one form: no option makes it faster at this.
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
