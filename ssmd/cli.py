"""ssmd, stupid simple market data: keeps every message an exchange sends.

Usage:
  ssmd <command> [<argument>...]
  ssmd (-h | --help)
  ssmd --version

Commands:
  run        collect one environment until it is stopped
  validate   check a metadata tree without connecting to anything
  init       write an example of a metadata tree
  sim        serve a simulated exchange, or a recording, over a WebSocket
  verify     prove that recorded data is unchanged, or name the lines that are not
  check      check recorded messages against a schema
  shape      show which fields recorded messages have, and of which kind
  seal       write the manifests of finished days
  cat        print recorded lines, or the exchange's own messages
  compact    compress sealed days, or make Parquet of them
  replay     serve recorded days over a WebSocket, as the exchange did
  report     show what was recorded, day by day, as text or HTML
  import     bring in recordings of other programs
  ship       copy what is recorded to an engine, such as NATS or Kafka, or to a bucket
  export     write recorded days as Parquet, to a folder or a bucket
  restore    bring back what this host has lost and a bucket has
  prune      remove old local data that a bucket has
  status     show how running collectors are
  dashboard  serve a page over several collectors

`ssmd <command> --help` explains each command. Exit codes: 0 success, or stopped on request,
64 wrong usage, 65 data damaged, 69 exchange, engine or source of a key unreachable, 70 a bug, 73 output cannot be
created, 74 write failed, 75 disconnected, 77 keys refused, 78 configuration or keys wrong.
"""

from __future__ import annotations

import errno
import importlib
import io
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from docopt import DocoptExit, docopt

from ssmd import __version__
from ssmd.commands import COMMANDS
from ssmd.commands.output import waiting
from ssmd.errors import EXIT_BUG, SsmdError, UsageError, WriteError, printable, visible
from ssmd.spelling import nearest

__all__ = ["main", "run_command"]

EXIT_SIGPIPE = 141
"""The exit code that a shell shows for a program that a closed pipe has ended before it was done."""

_OUTPUT_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""The errors with which a file or a device behind stdout refuses a write. Commands handle their own files."""

_OPTION = re.compile(r"--[a-z-]+")


def main() -> None:
    """Run the command of sys.argv and exit with its code."""
    # A path that is not valid text, a character that the terminal does not have, or a pipe that is full and
    # non-blocking must not end a command half-way.
    for name in ("stdout", "stderr"):
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, waiting(stream))
    sys.exit(run_command(sys.argv[1:], os.environ))


def run_command(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command line and return the exit code. Raises only SystemExit, after --help and --version."""
    code = EXIT_SIGPIPE
    try:
        try:
            code = _run(argv, environ)
        except SystemExit as exiting:
            # rich exits with 1 when nobody reads its output, after it has discarded the rest.
            if isinstance(exiting.__context__, BrokenPipeError):
                return EXIT_SIGPIPE
            code = 0  # docopt has printed the help or the version.
            raise
        finally:
            sys.stdout.flush()  # At the end of the process a broken pipe could no longer be handled.
        return code
    except SsmdError as error:
        _report(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of the output has ended, as `head` does when it has enough.
        _discard_output()
        return code
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_REFUSED:
            return _bug()
        _discard_output()
        _report(WriteError(f"the standard output cannot be written: {error.strerror}; send it elsewhere or free some"))
        return WriteError.exit_code
    except Exception:
        return _bug()


def _bug() -> int:
    traceback.print_exc()
    print(f"ssmd {__version__}: this is a bug in ssmd; please report it with the lines above", file=sys.stderr)
    return EXIT_BUG


def _discard_output() -> None:
    """Send what is still buffered to the null device: it would fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    command = _parse_command(argv)
    module = importlib.import_module(COMMANDS[command])
    arguments = _parse(module.__doc__ or "", argv)
    _require_values(arguments)
    code: int = module.main(arguments, environ)
    return code


def _report(error: SsmdError) -> None:
    """Print one line for each problem, in the format of the log when the command has set up one."""
    logger = logging.getLogger("ssmd")
    for line in str(error).splitlines():
        if logger.handlers:
            logger.error(line, extra={"exit_code": error.exit_code})
        else:
            print(f"ssmd: {line}", file=sys.stderr)


def _parse_command(argv: Sequence[str]) -> str:
    arguments = _parse(__doc__ or "", argv, options_first=True)
    command: str = arguments["<command>"]
    if command not in COMMANDS:
        hint = nearest(command, COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        raise UsageError(f"there is no command '{visible(command)}'{hint}")
    return command


def _parse(usage: str, argv: Sequence[str], options_first: bool = False) -> dict[str, Any]:
    """Return the arguments as docopt parses them. Exits for --help and --version; raises UsageError."""
    try:
        arguments: dict[str, Any] = docopt(
            usage, list(argv), version=f"ssmd {__version__}", options_first=options_first
        )
    except DocoptExit as misfit:
        raise UsageError(f"{_reason(usage, argv, str(misfit))}\n{DocoptExit.usage.strip()}") from None
    return arguments


def _require_values(arguments: Mapping[str, Any]) -> None:
    """Raise UsageError for an empty value, which a shell passes for a variable that is not set: it would select all."""
    for name, value in arguments.items():
        if value == "" or (isinstance(value, list) and "" in value):
            raise UsageError(f"{name} is empty; perhaps a variable of the shell is not set")


def _reason(usage: str, argv: Sequence[str], message: str) -> str:
    """Return what is wrong with the arguments. docopt's own `message` mostly does not say it."""
    first_line = message.splitlines()[0] if message else ""
    if first_line and not first_line.startswith("Usage"):
        return first_line
    known = sorted({"-h", *_OPTION.findall(usage)})
    for argument in argv:
        name = argument.partition("=")[0]
        if name.startswith("-") and len(name) > 1 and not any(option.startswith(name) for option in known):
            return f"there is no option {printable(name)}{nearest(name, known)}"
    # Options outside brackets, in the first pattern of the usage, are required.
    pattern = DocoptExit.usage.splitlines()[1]
    for option in _OPTION.findall(re.sub(r"\[[^\]]*\]", "", pattern)):
        if not any(len(argument) > 2 and option.startswith(argument.partition("=")[0]) for argument in argv):
            return f"{option} is required"
    if not argv:
        return f"a command is required: {', '.join(COMMANDS)}"
    return "the arguments do not fit"
