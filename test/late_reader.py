"""Runs a command whose output is a full non-blocking pipe, and reads it late, or not at all. Needs no gevent.

    python late_reader.py out|both|gone <command>...

`out` prints what comes on standard output, `both` what comes on standard error too, through the same pipe; `gone`
closes the pipe instead of reading it. Exits with the command's exit code.
"""

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time

PIPE_BYTES = 4096


def main(how: str, *command: str) -> int:
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writer, False)
    process = subprocess.Popen(command, stdout=writer, stderr=writer if how == "both" else None)
    poll = select.poll()
    poll.register(writer, select.POLLOUT)
    while poll.poll(0) and process.poll() is None:
        time.sleep(0.01)
    os.close(writer)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.2)
    if how == "gone":
        os.close(reader)
    else:
        with open(reader, "rb") as pipe:
            sys.stdout.buffer.write(pipe.read())
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
