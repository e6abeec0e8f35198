"""The container's HEALTHCHECK: exits with 0 when the collector answers /health with 200, else with 1, and prints why.

The address is that of --listen among the arguments of the container's process. A command other than `ssmd run` has no
probes, and counts as healthy as long as it runs. This needs only the standard library, without site-packages, so that a
check twice a minute costs next to nothing. It does not use the proxy of the environment.
"""

from __future__ import annotations

import http.client
import sys
from pathlib import Path

DEFAULT_LISTEN = "0.0.0.0:8080"
OPTION = "--listen"
ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a collector that listens on all interfaces is asked: on the loopback interface."""


def listen_of(arguments: list[str]) -> tuple[str, int] | None:
    """Return the host and the port of the probes of a process with these arguments, None when it has no probes.

    As on the command line, the option may be shortened, and its value may be the next argument or follow a `=`.
    """
    if "run" not in arguments:
        return None
    listen = DEFAULT_LISTEN
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        if len(name) > len("--") and OPTION.startswith(name):
            listen = value if equals else following
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return ANY.get(host, host), int(port)


def main() -> int:
    # With an init process, as of `docker run --init`, the arguments are among those of the init.
    arguments = Path("/proc/1/cmdline").read_bytes().decode(errors="replace").split("\0")
    listen = listen_of(arguments)
    if listen is None:
        return 0
    try:
        connection = http.client.HTTPConnection(*listen, timeout=4)
        connection.request("GET", "/health")
        answer = connection.getresponse()
        print(answer.status, answer.read(1000).decode(errors="replace").strip())
    except (OSError, http.client.HTTPException) as error:
        print(f"{listen[0]}:{listen[1]} does not answer: {error}")
        return 1
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
