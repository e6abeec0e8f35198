"""load() in a process of its own, for a run that lasts months: what judges the metadata is needed only once.

pydantic and the YAML parser take 10 MB that a process never gives back, so the collector does not import them.
It forks before it has begun anything; the child loads, sends back plain data through a pipe, and is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle  # nosec B403
import signal
from datetime import date
from pathlib import Path as FilePath
from typing import IO, NoReturn

from gevent import monkey

from ssmd.errors import EXIT_BUG, ConfigError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.parts import Parts

__all__ = ["load_in_child"]

_log = logging.getLogger("ssmd.metadata")
# gevent's own would start its hub, of which the child would then have half a copy.
_fork, _waitpid = monkey.get_original("os", ["fork", "waitpid"])


def load_in_child(config_dir: FilePath, environment: str, today: date, parts: Parts) -> Deployment:
    """What load() returns or raises, without its libraries. To be called before there are threads or a hub.

    A bug in load() ends both processes with its traceback, told by the child, and the code of a bug. When a
    signal ends the child, that is logged, and ends this process with 128 and the signal's number.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # Then nobody would learn how the child has ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    from_child, to_parent = os.pipe()
    with open(from_child, "rb") as answer, open(to_parent, "wb") as told:
        try:
            child = _fork()
        except OSError:  # There may be no further process; then the libraries stay.
            return _load(config_dir, environment, today, parts)
        if child == 0:
            answer.close()
            _send(told, config_dir, environment, today, parts)
        told.close()
        content = answer.read()
    _, status = _waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(code if code == EXIT_BUG else _ended(code))
    # Nobody but our own child has written this.
    loaded: Deployment | str = pickle.loads(content)  # nosec B301
    if isinstance(loaded, str):
        raise ConfigError(loaded)
    return loaded


def _load(config_dir: FilePath, environment: str, today: date, parts: Parts) -> Deployment:
    from ssmd.metadata.loader import load  # Only here, where it is needed, for all that it brings with it.

    return load(config_dir, environment, today, parts)


def _send(told: IO[bytes], config_dir: FilePath, environment: str, today: date, parts: Parts) -> NoReturn:
    """The child's whole life; a bug ends it as it ends any command."""
    loaded: Deployment | str
    try:
        loaded = _load(config_dir, environment, today, parts)
    except ConfigError as error:
        loaded = str(error)
    with contextlib.suppress(BrokenPipeError):  # The parent was stopped meanwhile.
        pickle.dump(loaded, told)
        told.flush()
    os._exit(0)


def _ended(code: int) -> int:
    """Log that the child ended unasked; return the exit code that a shell would show for it."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    shown = 128 - code if code < 0 else code
    remedy = "; if nobody killed it, there was not enough memory" if code == -signal.SIGKILL else ""
    _log.error(f"the process that loads the metadata {how}{remedy}", extra={"exit_code": shown})
    return shown
