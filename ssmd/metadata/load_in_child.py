"""Runs load() in a child process, so that a long-lived process does not keep the libraries that check the metadata.

pydantic and the YAML parser take 10 MB that a process never gives back, and a run lasts months. So the process forks
before it has begun anything; the child loads the metadata, sends back plain data through a pipe, and ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle  # nosec B403
import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path as FilePath
from typing import IO, NoReturn, TypeVar

from ssmd.errors import EXIT_BUG, ConfigError, UsageError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.parts import Parts
from ssmd.unpatched import unpatched

__all__ = ["in_child", "load_in_child", "load_in_process"]

T = TypeVar("T")

_log = logging.getLogger("ssmd.metadata")
# gevent's own functions would start its hub, and the child would have an unusable copy of it.
_fork = unpatched("os", "fork")
_waitpid = unpatched("os", "waitpid")


def load_in_child(config_dir: FilePath, environment: str, today: date, parts: Parts) -> Deployment:
    """Return what load() returns, or raise what it raises; see in_child()."""
    return in_child(lambda: load_in_process(config_dir, environment, today, parts))


def in_child(work: Callable[[], T]) -> T:
    """Return what work() returns, or raise ConfigError or UsageError as it does. To be called before there are threads
    or a gevent hub.

    A bug in it ends both processes with the exit code of a bug; the child prints its traceback. When a signal ends
    the child, this process logs that and ends with 128 and the signal's number.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # Then the exit code of the child would be lost.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    from_child, to_parent = os.pipe()
    with open(from_child, "rb") as answer, open(to_parent, "wb") as output:
        try:
            child = _fork()
        except OSError:  # The user may have no further process. Then the libraries stay in this one.
            return work()
        if child == 0:
            answer.close()
            _send(output, work)
        output.close()
        content = answer.read()
    _, status = _waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(code if code == EXIT_BUG else _ended(code))
    # Only the child above has written this.
    outcome: T | ConfigError | UsageError = pickle.loads(content)  # nosec B301
    if isinstance(outcome, ConfigError | UsageError):
        raise outcome
    return outcome


def load_in_process(config_dir: FilePath, environment: str, today: date, parts: Parts) -> Deployment:
    """Return what load() returns, or raise what it raises; this process keeps the libraries."""
    from ssmd.metadata.loader import load  # Not at the top: it imports pydantic and the YAML parser.

    return load(config_dir, environment, today, parts)


def _send(output: IO[bytes], work: Callable[[], object]) -> NoReturn:
    """In the child: work, write the outcome to `output`, and exit. A bug ends the child as it ends any command."""
    outcome: object
    try:
        outcome = work()
    except (ConfigError, UsageError) as error:
        outcome = error
    with contextlib.suppress(BrokenPipeError):  # The parent has been stopped meanwhile.
        pickle.dump(outcome, output)
        output.flush()
    os._exit(0)


def _ended(code: int) -> int:
    """Log how the child ended before it was done; return the exit code that a shell would show for it."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    shown = 128 - code if code < 0 else code
    remedy = "; if nobody killed it, there was not enough memory" if code == -signal.SIGKILL else ""
    _log.error(f"the process that loads the metadata {how}{remedy}", extra={"exit_code": shown})
    return shown
