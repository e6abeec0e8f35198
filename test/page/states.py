"""The states in which an operator may find a collector: real runs, brought there by the faults of a simulator."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ports import free_port
from process import Collector, Simulator
from slow_disk import slow_disk

MARKETS = "market_tickers: [KXSIM-A, KXSIM-B, KXSIM-C]"
CHANNELS = f"""subscribe:
- {{channels: [ticker, orderbook_delta], {MARKETS}}}
- {{channels: [trade], {MARKETS}}}
"""
RATE = ("--rate", "200")
FAULT_AFTER = 1000
"""After so many messages the faults of the simulator come."""
SLOW_SECONDS = 3.0
"""How long the slow disk takes for each write and each sync."""


class Running(NamedTuple):
    """A collector. `fail`: what brings the state about, once the page is open."""

    collector: Collector
    fail: Callable[[], object] = lambda: None


@contextmanager
def collecting(
    folder: Path, *simulated: str, environment: str = CHANNELS, event: str = "starting"
) -> Iterator[Collector]:
    """Collect from a simulator. `event`: the first line of the log."""
    with (
        Simulator(*simulated) as simulator,
        Collector(folder, simulator.endpoint, environment=environment) as collector,
    ):
        collector.listen = collector.wait_for(event)["listen"]
        yield collector


@contextmanager
def _simulated(folder: Path, *simulated: str, environment: str = "", event: str = "starting") -> Iterator[Running]:
    with collecting(folder, *simulated, environment=CHANNELS + environment, event=event) as collector:
        yield Running(collector)


def _faulty(fault: str, environment: str = "") -> Callable[[Path], AbstractContextManager[Running]]:
    return lambda folder: _simulated(folder, *RATE, "--fault", fault, environment=environment)


def _closed(folder: Path) -> AbstractContextManager[Running]:
    """Be closed until an hour that is not far."""
    opens = datetime.now(UTC) + timedelta(hours=2)
    hours = f"day_start: '{opens:%H}:30', day_end: '{opens + timedelta(hours=1):%H}:00'"
    schedule = f"schedule: {{timezone: UTC, {hours}, enforce: true}}\n"
    return _simulated(folder, environment=schedule, event="closed by schedule")


@contextmanager
def _disconnected(folder: Path) -> Iterator[Running]:
    """Lose the connection to an exchange that answers no handshake from then on. Each run that cannot connect ends, and
    another one is started, as by bin/keep or systemd.
    """
    simulator_port, port = free_port(), free_port()
    ended = threading.Event()
    with ExitStack() as stack:
        simulator = stack.enter_context(Simulator(*RATE, port=simulator_port))
        first = stack.enter_context(Collector(folder, simulator.endpoint, environment=CHANNELS, port=port))
        first.start_up()

        def keep() -> None:
            first.wait()
            while not ended.is_set():
                with Collector(folder, simulator.endpoint, environment=CHANNELS, port=port) as another:
                    while another.process.poll() is None and not ended.wait(0.1):
                        pass

        def fail() -> None:
            first.wait_for_lines(FAULT_AFTER)
            simulator.end()
            stack.enter_context(Simulator("--fault", "slow-handshake", port=simulator_port))
            keeper = threading.Thread(target=keep)
            keeper.start()
            stack.callback(keeper.join)
            stack.callback(ended.set)

        yield Running(first, fail)


@contextmanager
def _behind(folder: Path) -> Iterator[Running]:
    """Collect more than a slow disk takes."""
    with ExitStack() as stack:
        collector = stack.enter_context(collecting(folder, "--rate", "6000"))

        def fail() -> None:
            collector.wait_for_lines(FAULT_AFTER)
            [file] = collector.data.glob("*/test.jsonl")
            stack.enter_context(slow_disk(collector.process.pid, file, folder / "strace", SLOW_SECONDS))

        yield Running(collector, fail)


@contextmanager
def _no_answer(folder: Path) -> Iterator[Running]:
    """Stop the process: it answers nothing, as if its host were gone."""
    with collecting(folder, *RATE) as collector:
        yield Running(collector, lambda: os.kill(collector.process.pid, signal.SIGSTOP))
        os.kill(collector.process.pid, signal.SIGCONT)


class State(NamedTuple):
    """A state, and what the page says in it."""

    run: Callable[[Path], AbstractContextManager[Running]]
    grade: str
    text: str
    """What the sentence begins with."""


STATES: Mapping[str, State] = {
    "collecting": State(lambda folder: _simulated(folder, *RATE), "good", "Collecting 3 markets, "),
    "silent": State(
        _faulty(f"mute-after={FAULT_AFTER}:orderbook_delta", "silent_after_seconds: 4\n"),
        "bad",
        "Connected, but no orderbook_delta messages for ",
    ),
    "disconnected": State(_disconnected, "bad", "Not connected to the exchange since "),
    "refused": State(
        _faulty("refuse=trade:26"),
        "bad",
        "Connected, but the exchange refused the subscription to trade (error 26)",
    ),
    "lost": State(
        _faulty(f"gap-after={FAULT_AFTER}:trade"),
        "bad",
        "Collecting, but 3 messages were lost since the start, the last at ",
    ),
    "behind": State(_behind, "attention", "Collecting, but the disk is behind: "),
    "closed": State(_closed, "waiting", "Closed by schedule until "),
    "no answer": State(_no_answer, "bad", "No answer from the collector"),
}
