"""The entry point of `python -m ssmd` and of the `ssmd` command: prepares the process, then runs `cli`."""

import os
import signal
import sys

if os.name != "posix":
    # Before any other import, because some of them do not exist there.
    print(f"ssmd: runs on Linux and macOS, not on {sys.platform}; on Windows, use WSL", file=sys.stderr)
    sys.exit(78)  # As for a wrong configuration, see errors.py: a restart does not help.

# A process may be started without one of its standard streams. The stream's number must not go to a socket or a data
# file, because a stray print would then be written into it.
for stream in ("stdin", "stdout", "stderr"):
    if getattr(sys, stream) is None:
        setattr(sys, stream, open(os.open(os.devnull, os.O_RDWR), "r" if stream == "stdin" else "w"))  # noqa: SIM115

# Until a command sets its own handlers, Ctrl-C ends the process without a traceback. The first process of a container
# is not ended by a signal without a handler, so it gets handlers here. Otherwise an early stop would have no effect.
signal.signal(signal.SIGINT, signal.SIG_DFL)
if os.getpid() == 1:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os._exit(128 + number))

from ssmd.commands import WITHOUT_GEVENT  # noqa: E402

if WITHOUT_GEVENT.isdisjoint(sys.argv[1:2]):
    from gevent import monkey

    # Before all other imports, so that no module keeps a socket, lock or thread that would block gevent's event loop.
    monkey.patch_all()

from ssmd.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
