"""Makes a JSON Schema of a definition in another format, in a process of its own that has the library for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess  # nosec B404
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import ssmd
from ssmd.errors import ConfigError, printable
from ssmd.extras import CAPNP, PROTOBUF, Extra

__all__ = ["TRANSLATORS", "Translator", "translate"]

_SECONDS = 60.0
_PASSED_ON = ("LANG", "LC_", "LD_", "PATH", "PYTHON")
"""Prefixes of the environment variables that the other process gets: it has no use for keys."""
_LONGEST = 300


class Translator(NamedTuple):
    """The program that makes a JSON Schema of a format."""

    extra: Extra
    module: str
    file: str
    """What it wants the file to be called."""
    problem: str
    """What it writes about a mistake in a definition, after the name of the file: a regular expression with `text`, and
    with `line` where it knows one."""
    first_line: int
    """The number that it gives the first line."""


TRANSLATORS = {
    "capnp": Translator(
        CAPNP, "ssmd.schema.capnp", "definition.capnp", r":(?:(?P<line>\d+): failed:)? (?P<text>.+)", 0
    ),
    "protobuf": Translator(
        PROTOBUF, "ssmd.schema.protobuf", "definition.proto", r":(?:(?P<line>\d+):\d+:)? (?P<text>.+)", 1
    ),
}
"""By the `format` of a schema."""


def translate(content: bytes, name: str, translator: Translator) -> bytes:
    """Return the JSON Schema that says what a definition says. `name`: what errors call its file.

    Raises ConfigError: when the library is not installed, for a definition that is not valid, and when the other
    process does not do its work.
    """
    translator.extra.require(name)
    with tempfile.TemporaryDirectory(prefix="ssmd-schema-") as folder:
        source = Path(folder) / translator.file
        source.write_bytes(content)
        try:
            done = subprocess.run(  # nosec B603
                [sys.executable, "-P", "-m", translator.module, str(source)],
                env=_variables(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConfigError(f"{name} was not read within {_SECONDS:.0f} s; make it smaller") from None
    if done.returncode == 0:
        return done.stdout
    written = done.stderr.decode("utf-8", "replace")
    found = re.search(re.escape(translator.file) + translator.problem, written)
    if found is None:
        raise ConfigError(f"{name} cannot be used: {_ended(done.returncode, written, translator)}")
    line = f":{int(found['line']) - translator.first_line + 1}" if found["line"] else ""
    raise ConfigError(f"{name}{line}: {printable(found['text'].rstrip('.;'), _LONGEST)}; correct it")


def _variables() -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    folder = str(Path(ssmd.__file__).parent.parent)
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, found.get("PYTHONPATH"))))
    return found


def _ended(code: int, written: str, translator: Translator) -> str:
    """Return how the other process ended, and the last thing that it wrote."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    last = written.strip().rpartition("\n")[2]
    said = f": {printable(last, _LONGEST)}" if last else ""
    remedy = "correct the definition, or make it simpler"
    return f"the process that reads it with {translator.extra.library} {how}{said}; {remedy}"
