"""Collect one environment until it is stopped (SIGTERM, SIGHUP or Ctrl-C), or until something fails.

Usage:
  ssmd run <environment> --config-dir <path> [--listen <host:port>] [--page <level>] [--shard <i/n>]
  ssmd run (-h | --help)

Options:
  --config-dir <path>   The metadata tree, with environments/, feeds/ and schemas/. Required.
  --listen <host:port>  Where to serve the page, /health, /ready, /metrics and /status [default: 0.0.0.0:8080].
  --page <level>        How much the page and /status show: `off`, `status` or, with the names of markets, `full`.
                        The default is SSMD_PAGE, or without it `full` where only this host can reach the address, else
                        `status`.
  --shard <i/n>         Collect only part i of n parts of the markets, such as 2/4; other runs collect the other parts.
                        The first part also has what cannot be divided: channels that are for all markets. Default:
                        SSMD_SHARD, or without it everything.
  -h --help             Show this.

Keys come from where the environment's `keys` section says: from environment variables, files, Vault or a
command. SSMD_LOG_LEVEL is debug, info, warning or error; SSMD_LOG_FORMAT is text or json; SSMD_PAGE is a level for
--page, and SSMD_SHARD a value for --shard. On SIGUSR1 the run loads the metadata again, and takes a changed `subscribe`
section of its environment without a new connection; companions that have ended for good are started again.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gevent

from ssmd import __version__, wiring
from ssmd.commands.listen import parse_listen, parse_page
from ssmd.commands.shard import shard_to_run
from ssmd.contracts.shard import Shard
from ssmd.errors import SsmdError
from ssmd.metadata.deployment import Deployment
from ssmd.metadata.load_in_child import load_in_child
from ssmd.metadata.problem import Problem
from ssmd.metadata.schedule import hours_of
from ssmd.runtime import logs
from ssmd.runtime.anew import execute_anew
from ssmd.runtime.companions import Companions
from ssmd.runtime.open_hours import next_opening, open_hours, second
from ssmd.wiring.reload import Reloads

_log = logging.getLogger("ssmd.runner")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What ends the process in order."""
_RELOAD = signal.SIGUSR1
"""What lets it load the metadata again."""


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, [_RELOAD])  # Until it is known what to load again.
    terminal = logs.setup(environ)
    listen = parse_listen(arguments["--listen"])
    page = parse_page(arguments["--page"], environ, listen[0])
    shard = shard_to_run(arguments["--shard"], environ)
    config_dir = Path(arguments["--config-dir"])
    now = time.time()
    today = datetime.fromtimestamp(now, UTC).date()
    deployment = load_in_child(config_dir, arguments["<environment>"], today, wiring.parts())
    with logs.in_a_thread():  # Not earlier, because loading forks. It ends after the last line is logged.
        for problem in deployment.warnings:
            _log.warning(str(problem))
        show = terminal.show if terminal else None
        times = hours_of(deployment.environment, deployment.feed)
        opening = next_opening(times, now) if times is not None else None
        if opening is not None:
            wait = wiring.assemble_closed(deployment, environ, listen, opening, show, shard=shard, page=page)
            listener = wait.server.hold()
            signals = _act_on_signals(wait.closed.stop, partial(_not_now, wait.closed.companions))
            address = f"{listen[0]}:{wait.server.port}"  # Signals are handled before the log says that it has begun.
            _log_begin("closed by schedule", deployment, wait.warnings, shard, address, until=second(opening))
            code, again = _wait(wait, signals)
        else:
            hours = open_hours(times, now) if times is not None else None
            run = wiring.assemble(
                deployment, environ, listen, show, shard=shard, page=page, today=today, hours=hours
            )
            listener = run.server.hold() if hours is not None else -1
            reloads = Reloads(deployment, shard, run.runner.reader, companions=run.runner.companions)
            signals = _act_on_signals(run.runner.stop, reloads.ask)
            _log_begin("starting", deployment, run.warnings, shard, f"{listen[0]}:{run.server.port}")
            del deployment  # It has the line of each value of the metadata, of which there may be many.
            code, again = _collect(run, signals, terminal)
    if again:
        # A signal that comes meanwhile is kept until the new program handles it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [*_SIGNALS, _RELOAD])
        # For each opening and each closing: so each loads the metadata as it is by then, and nothing is left over.
        execute_anew(listener)
    return code


def _log_begin(
    event: str, deployment: Deployment, warnings: Iterable[Problem], shard: Shard, listen: str, **more: str
) -> None:
    for problem in warnings:
        _log.warning(str(problem))
    extra = {
        "version": __version__,
        "environment": deployment.environment.name,
        "feed": deployment.feed.name,
        **({} if shard.is_whole else {"shard": str(shard)}),
        "endpoint": deployment.shown_endpoint,
        "listen": listen,
    }
    _log.info(event, extra={**extra, **more})


def _act_on_signals(stop: Callable[[str], None], reload: Callable[[], None]) -> list[str]:
    """Call `stop` with the name of each signal that ends the process; return the list to which they are added.

    Call `reload` for SIGUSR1.
    """
    names: list[str] = []

    def take(name: str) -> None:
        names.append(name)
        stop(name)

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup sets it, for a run to outlive its terminal.
            gevent.signal_handler(number, take, number.name)
    gevent.signal_handler(_RELOAD, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [*_SIGNALS, _RELOAD])  # See execute_anew() in main().
    return names


def _collect(run: wiring.Run, signals: list[str], terminal: logs.Terminal | None) -> tuple[int, bool]:
    """Collect until the run ends; return the exit code, and whether the process is to start anew instead of ending.

    `signals`: see _act_on_signals().
    """
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
    return code, code == 0 and run.runner.is_closed and not signals


def _wait(wait: wiring.ClosedRun, signals: list[str]) -> tuple[int, bool]:
    """Wait for the opening; return the exit code, and whether the process is to start anew instead of ending.

    `signals`: see _act_on_signals().
    """
    with wait.error_counts:
        wait.closed.wait()
    if signals:
        _log.info("stopped", extra={"reason": signals[0], "exit_code": 0})
    return 0, not signals


def _not_now(companions: Companions) -> None:
    _log.info("nothing to reload: closed by schedule, and the metadata is loaded at the opening")
    companions.start_again()
