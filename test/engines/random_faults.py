"""Random faults for a collector that ships, then the proof that the engine has what was recorded.

    random_faults.py <engine> [--faults <n>] [--seed <n>]

`engine`: file, nats, nats-single (without atomic batches), kafka or mqtt. The relay, the collector and the engine's
server are killed, frozen and restarted, the network is cut, the engine is full and emptied. Afterwards the engine must
have every message once and in order, with MQTT once at least, and `ssmd verify --engine` must say so. The same seed
makes the same faults, not the same moments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path[1:1] = [str(folder) for folder in Path(__file__).parents[1:3]]

from faulty_engines import ENGINES, FEED, Engine, Message  # noqa: E402
from process import Collector, ssmd, start  # noqa: E402
from ship_runs import relay_below  # noqa: E402

from ssmd.store.line import decode_line  # noqa: E402

RATE = 500
"""Messages a second."""
EMPTIED_EVERY = 50
"""Faults between two times that the engine is emptied, which a person has to mend."""
CAUGHT_UP_SECONDS = 90.0
"""More than the longest pause of a relay."""
REST_SECONDS = 600.0
"""After hundreds of faults much may be left to ship, and to verify."""


class Site:
    """A collector that ships to an engine, in a folder."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.start()

    def start(self) -> None:
        fields = {"type": self.engine.name, **self.engine.transport}
        environment = f"transport: {json.dumps(fields)}\n"
        self.collector = Collector(self.folder, f"sim://kalshi?rate={RATE}", environment=environment)
        self.collector.start_up()

    def faults(self) -> dict[str, Callable[[], None]]:
        return {
            "relay killed": self._relay_killed,
            "relay frozen": self._relay_frozen,
            "collector killed": self._collector_killed,
            "collector restarted": self._collector_restarted,
            **self.engine.faults(),
        }

    def _relay_killed(self) -> None:
        with suppress(ProcessLookupError):  # It may have ended meanwhile.
            if (pid := relay_below(self.collector.process.pid)) is not None:
                os.kill(pid, signal.SIGKILL)

    def _relay_frozen(self) -> None:
        with suppress(ProcessLookupError):
            if (pid := relay_below(self.collector.process.pid)) is not None:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(random.uniform(0, 4))
                os.kill(pid, signal.SIGCONT)

    def _collector_killed(self) -> None:
        self.collector.process.kill()
        self.collector.wait()
        self.start()

    def _collector_restarted(self) -> None:
        assert self.collector.end() == 0
        self.start()

    def emptied(self) -> None:
        """Empty the engine, and let a person choose to begin again."""
        self.wait_until_shipped()
        self.engine.empty()
        self.collector.wait_for("companion is not started again before a reload")
        day = min(path.parent.name for path in self.collector.data.glob(f"*/{FEED}.jsonl"))
        ended = self.ship("--once", "--resume-at", f"{day}/0")
        assert ended == 0, ended
        self.collector.process.send_signal(signal.SIGUSR1)
        self.wait_until_shipped()

    def ship(self, *options: str) -> int:
        """Run `ssmd ship`; return its exit code."""
        process = start("ship", "test", "--config-dir", self.folder / "conf", *options)
        _, log = process.communicate(timeout=REST_SECONDS)
        if process.returncode:
            print(log, flush=True)
        return process.returncode

    def wait_until_shipped(self) -> None:
        """Wait until the relay is connected and has shipped something."""
        until = time.monotonic() + CAUGHT_UP_SECONDS
        while not ((state := self._shipping()).get("up") and state["messages"]):
            assert time.monotonic() < until, state
            time.sleep(0.1)

    def _shipping(self) -> dict:
        return json.loads(self.collector.get("/status")[1])["shipping"] or {}

    def finish(self) -> None:
        """End the collector, and ship the rest."""
        assert self.collector.end() == 0
        until = time.monotonic() + CAUGHT_UP_SECONDS
        while (code := self.ship("--once")) == 69:  # The engine may need a while after its last start.
            assert time.monotonic() < until
            time.sleep(1)
        assert code == 0, code

    def recorded(self) -> list[Message]:
        found: list[Message] = []
        for path in sorted(self.collector.data.glob(f"*/{FEED}.jsonl")):
            lines = path.read_bytes().splitlines()
            place = f"{path.parent.name}/{FEED}"
            found += [(f"{place}/{number}", decode_line(line).payload) for number, line in enumerate(lines, 1)]
        return found


def differences(recorded: list[Message], found: list[Message], repeats: bool) -> list[str]:
    """Return what is wrong with what an engine has, one sentence each."""
    kept = list(dict.fromkeys(found)) if repeats else found
    if kept == recorded:
        return []
    wrong = [f"{len(set(recorded) - set(kept))} of {len(recorded)} messages are missing"]
    wrong += [f"{len(kept) - len(set(kept))} are there twice", f"{len(set(kept) - set(recorded))} are others"]
    place = next((i for i, (one, other) in enumerate(zip(recorded, kept, strict=False)) if one != other), len(kept))
    return [*wrong, f"the first difference is at {recorded[place : place + 1]}, in place of {kept[place : place + 1]}"]


def run(folder: Path, name: str, faults: int) -> list[str]:
    """Let faults happen; return what is wrong then."""
    engine = ENGINES[name](folder)
    site = Site(folder, engine)
    try:
        site.wait_until_shipped()
        possible = site.faults()
        for number in range(faults):
            fault = random.choice(list(possible))
            print(f"{number + 1}/{faults} {fault}", flush=True)
            possible[fault]()
            engine.between()
            time.sleep(random.choice((0, 0.3, 2)) * random.random())
            if random.random() < 0.3:
                site.wait_until_shipped()
            if engine.can_be_empty and number % EMPTIED_EVERY == min(faults, EMPTIED_EVERY) - 1:
                print("emptied", flush=True)
                site.emptied()
        site.finish()
        recorded = site.recorded()
        wrong = differences(recorded, engine.messages(), engine.repeats)
        if not engine.repeats:
            ended = ssmd("verify", "--engine", "test", "--config-dir", folder / "conf")
            wrong += [] if ended.returncode == 0 else ["verify --engine:", *ended.stdout.splitlines()]
        print(f"{len(recorded)} messages, {faults} faults", flush=True)
        return wrong
    finally:
        if site.collector.process.poll() is None:
            site.collector.process.kill()
            site.collector.wait()
        engine.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--faults", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"{options.engine}: seed {options.seed}", flush=True)
    random.seed(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(Path(folder), options.engine, options.faults)
    print("\n".join(wrong) or "the engine has what was recorded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
