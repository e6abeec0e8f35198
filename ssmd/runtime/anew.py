"""Executes the running command anew in its own process, which keeps its id, its arguments and where it listens."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import NoReturn

__all__ = ["execute_anew", "inherited_listener"]

_VARIABLE = "SSMD_LISTENER_FD"


def execute_anew(listener: int) -> NoReturn:
    """Execute the same command line. `listener`: the descriptor of a listening socket.

    The new program finds it with inherited_listener(). Whoever connects meanwhile waits until the new program accepts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.set_inheritable(listener, True)
    variables = {**os.environ, _VARIABLE: str(listener)}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)  # nosec B606


def inherited_listener(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the listening socket that execute_anew() has passed on, None in any other process."""
    number = environ.get(_VARIABLE, "")
    if not number.isdecimal():
        return None
    try:
        listener = socket.socket(fileno=int(number))
        accepts = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except (OSError, OverflowError):
        return None
    if not accepts:
        listener.detach()  # The variable was set by somebody else, and the descriptor is theirs.
        return None
    listener.set_inheritable(False)
    return listener
