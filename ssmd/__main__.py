"""The way in, for `python -m ssmd` and for the `ssmd` command: patch first, then everything else."""

import os
import signal
import sys

# A process that was started without one of its standard streams must not give its number to a socket or a
# data file, into which a stray print would then go.
for stream in ("stdin", "stdout", "stderr"):
    if getattr(sys, stream) is None:
        setattr(sys, stream, open(os.open(os.devnull, os.O_RDWR), "r" if stream == "stdin" else "w"))  # noqa: SIM115

# Until a command has its own handlers, Ctrl-C ends the process without a traceback. The first process of a container
# is spared the default action of signals, so without a handler a stop that comes early would be lost on it.
signal.signal(signal.SIGINT, signal.SIG_DFL)
if os.getpid() == 1:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))

from gevent import monkey  # noqa: E402

# Before any other import, so that no module gets hold of a socket, lock or thread that would block the hub.
monkey.patch_all()

from ssmd.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
