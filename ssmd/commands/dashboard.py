"""Serve a page over several collectors: one row for each, from what they say at /status.

Usage:
  ssmd dashboard [--listen <host:port>] [--discover <file>] [<host:port>...]
  ssmd dashboard (-h | --help)

Options:
  --listen <host:port>  Where the page is [default: 127.0.0.1:8090].
  --discover <file>     A file that names collectors, as for `file_sd_configs` of Prometheus: YAML or JSON, a list of
                        {targets: [<host:port>], labels: {<name>: <value>}}. It is read again every 3 s.
  -h --help             Show this.

Each <host:port> is the --listen of a collector. Each is asked 3 s after its last answer, and one that does not answer
within 5 s delays no other. The page changes nothing and keeps nothing: it shows what the collectors say now, and needs
no database. SIGTERM and Ctrl-C end it.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent

from ssmd.collectors.ask import Address
from ssmd.collectors.dashboard import make_server
from ssmd.collectors.discover import Target
from ssmd.collectors.watch import Watch
from ssmd.commands.listen import parse_listen
from ssmd.errors import UsageError, visible
from ssmd.runtime import logs
from ssmd.server.local import is_loopback

_log = logging.getLogger("ssmd.dashboard")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    logs.setup(environ)
    host, port = parse_listen(arguments["--listen"])
    discover = arguments["--discover"]
    targets = [Target(_address(text), {}) for text in arguments["<host:port>"]]
    if not (targets or discover):
        raise UsageError("name collectors, each as <host:port>, or a file that does with --discover")
    watch = Watch(targets, Path(discover) if discover else None)
    server = make_server(watch, host, port, only_local=is_loopback(host))
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, server.stop)
    watch.start()
    _log.info("serving", extra={"listen": f"{host}:{server.port}", "collectors": len(watch.collectors)})
    server.serve()
    watch.stop()
    return 0


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise UsageError(f"'{visible(text)}' is no address of a collector; {error}") from None
