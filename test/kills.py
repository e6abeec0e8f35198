"""Kills of code at any of its steps, to see what is left then."""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["killed_at"]


def killed_at(step: int, work: Callable[[], object], *files: str) -> bool:
    """Do the work in a child process, which is killed at a step; return whether there was such a step.

    A step, counted from 0, is a call of a C function by the code in one of the files, which are named by the ends of
    their paths.
    """
    calls = itertools.count()

    def profile(frame: FrameType, event: str, called: object) -> None:
        if event == "c_call" and frame.f_code.co_filename.endswith(files) and next(calls) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        sys.setprofile(profile)
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
