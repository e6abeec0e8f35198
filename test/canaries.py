"""Canaries in the places of keys: what a process prints, writes and serves is searched for every piece of them."""

from __future__ import annotations

import re
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import gevent
from patience import PATIENCE
from ports import free_port
from process import start

PIECE = 16


def pieces(*secrets: str) -> frozenset[str]:
    """Return every run of PIECE characters in any of the secrets."""
    return frozenset(
        text[start : start + PIECE] for text in map(squeezed, secrets) for start in range(len(text) - PIECE + 1)
    )


def squeezed(text: str) -> str:
    """Return a text without the characters that a log or a key store may put between the lines of a PEM."""
    return re.sub(r"\\[nr]|[\s\"'\\]", "", text)


def leaked(output: Mapping[str, str], secrets: frozenset[str]) -> list[str]:
    """Return the places in which a piece of a secret stands, with the text around it."""
    found = []
    for place, text in output.items():
        small = squeezed(text)
        at = next((at for at in range(len(small)) if small[at : at + PIECE] in secrets), None)
        if at is not None:
            found.append(f"{place}: ...{small[max(0, at - 60) : at + 60]}...")
    return found


def output_of(
    folder: Path, *arguments: str | Path, until_data: bool = False, **variables: str
) -> tuple[int, dict[str, str]]:
    """Run ssmd until it ends, or until it has data; return its exit code and all its output, by place.

    That is its command line, what it prints, the answers of its probes, and its files.
    """
    folder.mkdir(exist_ok=True)
    listen = f"127.0.0.1:{free_port()}"
    if arguments[0] == "run":
        arguments = (*arguments, "--listen", listen)
    process = start(*arguments, cwd=folder, **({"SSMD_LOG_LEVEL": "debug"} | variables))
    output: dict[str, str] = {}
    try:
        with gevent.Timeout(PATIENCE):
            while process.poll() is None:
                with suppress(OSError):
                    output["cmdline"] = Path("/proc", str(process.pid), "cmdline").read_text()
                for path in ("/health", "/ready", "/metrics", "/status", "/", "/nothing"):
                    output.update(answer(listen, path))
                if until_data and any(file.stat().st_size > 2000 for file in folder.rglob("*[!r].jsonl")):
                    process.send_signal(signal.SIGTERM)
                    until_data = False
                gevent.sleep(0.02)
            output["stdout"], output["stderr"] = process.communicate()
    finally:
        process.kill()
        process.communicate()
    assert process.returncode is not None
    for file in folder.rglob("*"):
        if file.is_file() and "conf" not in file.parts and file.suffix != ".pem":
            output[str(file)] = file.read_text("utf-8", "replace")
    return process.returncode, output


def answer(listen: str, path: str) -> dict[str, str]:
    """Return the answer of a probe, by its path; nothing when there is none."""
    with suppress(OSError):
        try:
            with urllib.request.urlopen(f"http://{listen}{path}", timeout=PATIENCE) as response:
                return {path: response.read().decode()}
        except urllib.error.HTTPError as error:
            return {f"{path} {error.code}": error.read().decode()}
    return {}
