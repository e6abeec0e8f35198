"""ssmd, stupid simple market data: keeps every message an exchange sends.

Usage:
  ssmd <command> [<argument>...]
  ssmd (-h | --help)
  ssmd --version

Commands:
  run        collect one environment until told to stop
  validate   check a metadata tree without connecting to anything
  sim        serve a simulated exchange, or a recording, over a WebSocket
  verify     prove that recorded data is what it was, or tell which line is not
  seal       write the manifests of finished days
  cat        print recorded lines, or the exchange's own messages
  compact    compress sealed days
  replay     serve recorded days as the exchange
  report     tell what was recorded, day by day, as text or HTML

`ssmd <command> --help` tells more about each. Exit codes: 0 stopped as asked, 64 wrong usage,
65 data damaged, 69 exchange unreachable, 70 a bug, 73 output cannot be created, 74 write failed,
75 disconnected, 77 keys refused, 78 configuration or keys wrong.
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
from ssmd.errors import EXIT_BUG, SsmdError, UsageError, WriteError, printable
from ssmd.spelling import nearest

__all__ = ["main", "run_command"]

EXIT_SIGPIPE = 141
"""What a shell shows of a program that a closed pipe has ended before it was done."""

_OUTPUT_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How a file or a device that stdout goes to refuses a write. What commands write elsewhere they answer for."""

_OPTION = re.compile(r"--[a-z-]+")


def main() -> None:
    """The process: run the command of sys.argv and exit with its code."""
    # A path may be no text, a terminal may not have every character, and a pipe may be full and non-blocking: none
    # of these may end a command half-way.
    for name in ("stdout", "stderr"):
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, waiting(stream))
    sys.exit(run_command(sys.argv[1:], os.environ))


def run_command(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command line; return the exit code. Whatever a command raises ends here."""
    code = EXIT_SIGPIPE
    try:
        try:
            code = _run(argv, environ)
        except SystemExit as left:
            # rich makes 1 of a pipe that nobody reads, and has turned the rest of the output away.
            if isinstance(left.__context__, BrokenPipeError):
                return EXIT_SIGPIPE
            code = 0  # docopt has shown the help, or the version.
            raise
        finally:
            sys.stdout.flush()  # At the end of the process a broken pipe could not be handled any more.
        return code
    except SsmdError as error:
        _tell(error)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone, as `| head` does; the rest has no reader.
        _discard_output()
        return code
    except OSError as error:
        if error.filename is not None or error.errno not in _OUTPUT_REFUSED:
            return _bug()
        _discard_output()
        _tell(WriteError(f"the standard output cannot be written: {error.strerror}; send it elsewhere or free some"))
        return WriteError.exit_code
    except Exception:
        return _bug()


def _bug() -> int:
    traceback.print_exc()
    print(f"ssmd {__version__}: this is a bug in ssmd; please report it with the lines above", file=sys.stderr)
    return EXIT_BUG


def _discard_output() -> None:
    """What is still buffered would fail again at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    command = _parse_command(argv)
    module = importlib.import_module(COMMANDS[command])
    arguments = _parse(module.__doc__ or "", argv)
    _require_values(arguments)
    code: int = module.main(arguments, environ)
    return code


def _tell(error: SsmdError) -> None:
    """One line for each problem: in the log's own format once a command has set it up."""
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
        raise UsageError(f"there is no command {printable(command)!r}{hint}")
    return command


def _parse(usage: str, argv: Sequence[str], options_first: bool = False) -> dict[str, Any]:
    """The arguments by docopt. Exits for --help and --version; raises UsageError with what was wrong."""
    try:
        arguments: dict[str, Any] = docopt(
            usage, list(argv), version=f"ssmd {__version__}", options_first=options_first
        )
    except DocoptExit as misfit:
        raise UsageError(f"{_reason(usage, argv, str(misfit))}\n{DocoptExit.usage.strip()}") from None
    return arguments


def _require_values(arguments: Mapping[str, Any]) -> None:
    """Raises UsageError for an empty one: what a shell makes of a variable that is not set would select everything."""
    for name, value in arguments.items():
        if value == "" or (isinstance(value, list) and "" in value):
            raise UsageError(f"{name} is empty; perhaps a variable of the shell is not set")


def _reason(usage: str, argv: Sequence[str], told: str) -> str:
    """What does not fit: docopt mostly leaves that open."""
    first_line = told.splitlines()[0] if told else ""
    if first_line and not first_line.startswith("Usage"):
        return first_line
    known = sorted({"-h", *_OPTION.findall(usage)})
    for argument in argv:
        name = argument.partition("=")[0]
        if name.startswith("-") and len(name) > 1 and not any(option.startswith(name) for option in known):
            return f"there is no option {printable(name)}{nearest(name, known)}"
    # What stands outside of brackets in the first pattern of a usage is required.
    pattern = DocoptExit.usage.splitlines()[1]
    for option in _OPTION.findall(re.sub(r"\[[^\]]*\]", "", pattern)):
        if not any(len(argument) > 2 and option.startswith(argument.partition("=")[0]) for argument in argv):
            return f"{option} is required"
    if not argv:
        return f"a command is required: {', '.join(COMMANDS)}"
    return "the arguments do not fit"
