"""Collect one environment until it is stopped (SIGTERM, SIGHUP or Ctrl-C), or until something fails.

Usage:
  ssmd run <environment> --config-dir <path> [--listen <host:port>] [--page <level>]
  ssmd run (-h | --help)

Options:
  --config-dir <path>   The metadata tree, with environments/, feeds/ and schemas/. Required.
  --listen <host:port>  Where to serve /health, /ready, /metrics and /status [default: 0.0.0.0:8080].
  --page <level>        How much /status shows: `off`, `status` or, with the names of markets, `full`. The default is
                        SSMD_PAGE, or without it `full` where only this host can reach the address, else `status`.
  -h --help             Show this.

Keys come from the environment variables that the environment's `keys` section names. SSMD_LOG_LEVEL is
debug, info, warning or error; SSMD_LOG_FORMAT is text or json; SSMD_PAGE is a level for --page.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent

from ssmd import __version__, wiring
from ssmd.commands.listen import parse_listen, parse_page
from ssmd.errors import SsmdError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.load_in_child import load_in_child
from ssmd.runtime import logs

_log = logging.getLogger("ssmd.runner")


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    terminal = logs.setup(environ)
    listen = parse_listen(arguments["--listen"])
    page = parse_page(arguments["--page"], environ, listen[0])
    config_dir = Path(arguments["--config-dir"])
    today = datetime.now(UTC).date()
    deployment = load_in_child(config_dir, arguments["<environment>"], today, wiring.parts())
    with logs.in_a_thread():  # Not earlier, because loading forks. It ends after the last line is logged.
        run = _assemble(deployment, environ, listen, page, terminal)
        del deployment  # It has the line of each value of the metadata, of which there may be many.
        return _collect(run, terminal)


def _assemble(
    deployment: Deployment,
    environ: Mapping[str, str],
    listen: tuple[str, int],
    page: str,
    terminal: logs.Terminal | None,
) -> wiring.Run:
    """Return the run, which a signal stops."""
    for problem in deployment.warnings:
        _log.warning(str(problem))
    run = wiring.assemble(deployment, environ, listen, terminal.show if terminal else None, page=page)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup sets it, for a run to outlive its terminal.
            gevent.signal_handler(number, run.runner.stop, number.name)
    _log.info(
        "starting",
        extra={
            "version": __version__,
            "environment": deployment.environment.name,
            "feed": deployment.feed.name,
            "endpoint": deployment.shown_endpoint,
            "listen": f"{listen[0]}:{run.port}",
        },
    )
    return run


def _collect(run: wiring.Run, terminal: logs.Terminal | None) -> int:
    """Collect until the run ends; return the exit code."""
    failure: str | None = None
    code = 0
    # What there is by now stays until the end. The garbage collector would look through all of it again and again.
    gc.collect()
    gc.freeze()
    try:
        with run.error_counts:
            run.runner.run()
    except SsmdError as error:
        failure, code = str(error), error.exit_code
    finally:
        if terminal is not None:
            terminal.show("")
    level = logging.ERROR if code else logging.INFO
    _log.log(
        level, "stopped", extra={"reason": failure or run.runner.stopped_by, "exit_code": code, **run.reporter.totals()}
    )
    return code
