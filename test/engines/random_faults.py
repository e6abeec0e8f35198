"""Random faults for a collector that ships, then the proof that the engine has what was recorded.

    random_faults.py <engine> [--faults <n>] [--seed <n>] [--shards <n>]

`engine`: file, nats, nats-single (without atomic batches), kafka or mqtt. The relay, the collector and the engine's
server are killed, frozen and restarted, the network is cut, the engine is full and emptied. With `--shards 2` or 3
several collectors share the feed, and their number changes. Afterwards the engine must have every message once and in
order, with MQTT once at least, and `ssmd verify --engine` must say so. The same seed makes the same faults, not the
same moments.
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
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path[1:1] = [str(folder) for folder in Path(__file__).parents[1:3]]

from faulty_engines import ENGINES, FEED, REST_SECONDS, Engine, Message  # noqa: E402
from process import Collector, start  # noqa: E402
from ship_runs import relay_below  # noqa: E402

from ssmd.contracts.shard import WHOLE, Shard  # noqa: E402
from ssmd.errors import UsageError  # noqa: E402
from ssmd.shipping.shards import Shards  # noqa: E402
from ssmd.store.line import decode_line  # noqa: E402

MARKETS = [f"KXSIM-{letter}" for letter in "ABCDEFGH"]
SUBSCRIBE = f"subscribe: {{channels: [orderbook_delta, trade, ticker], market_tickers: [{', '.join(MARKETS)}]}}\n"
SHARDS = (1, 2, 3)
"""The numbers of shards between which a run changes."""
EMPTIED_EVERY = 50
"""Faults between two times that the engine is emptied, which a person has to mend."""
CAUGHT_UP_SECONDS = 90.0
"""More than the longest pause of a relay."""


class Site:
    """A collector that ships to an engine, in a folder; or `shards` of them, each with a part of the markets."""

    def __init__(self, folder: Path, engine: Engine, shards: int) -> None:
        self.folder = folder
        self.engine = engine
        self.collectors: dict[Shard, Collector] = {}
        self.start_all(shards)

    def start_all(self, shards: int) -> None:
        for shard in [Shard(index, shards) for index in range(1, shards + 1)]:
            self.start(shard)
        self.wait_until_shipped()
        self.engine.save()

    def start(self, shard: Shard) -> None:
        fields = {"type": self.engine.name, **self.engine.transport}
        environment = f"transport: {json.dumps(fields)}\n{SUBSCRIBE}"
        options = () if shard.is_whole else ("--shard", str(shard))
        endpoint = f"sim://kalshi?rate={self.engine.rate}"
        self.collectors[shard] = Collector(self.folder, endpoint, environment=environment, options=options)
        self.collectors[shard].start_up()

    def faults(self) -> dict[str, Callable[[], None]]:
        found = {
            "relay killed": self._relay_killed,
            "relay frozen": self._relay_frozen,
            "collector killed": self._collector_killed,
            "collector restarted": self._collector_restarted,
            **self.engine.faults(),
        }
        return found if WHOLE in self.collectors else {**found, "number of shards changed": self._number_changed}

    def _relay(self) -> int | None:
        return relay_below(random.choice(list(self.collectors.values())).process.pid)

    def _relay_killed(self) -> None:
        with suppress(ProcessLookupError):  # It may have ended meanwhile.
            if (pid := self._relay()) is not None:
                os.kill(pid, signal.SIGKILL)

    def _relay_frozen(self) -> None:
        with suppress(ProcessLookupError):
            if (pid := self._relay()) is not None:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(random.uniform(0, 4))
                os.kill(pid, signal.SIGCONT)

    def _collector_killed(self) -> None:
        shard = random.choice(list(self.collectors))
        self.collectors[shard].process.kill()
        self.collectors[shard].wait()
        self.start(shard)

    def _collector_restarted(self) -> None:
        shard = random.choice(list(self.collectors))
        assert self.collectors[shard].end() == 0
        self.start(shard)

    def _number_changed(self) -> None:
        """Start with another number of shards, which ship what the earlier ones have left."""
        before = len(self.collectors)
        if random.random() < 0.5:
            self._end_all()
        else:
            self.close()
        self.start_all(random.choice([number for number in SHARDS if number != before]))

    def emptied(self) -> None:
        """Empty the engine, and let a person choose to begin again."""
        self.wait_until_shipped()
        self.engine.empty()
        for collector in self.collectors.values():
            collector.wait_for("companion is not started again before a reload")
        if not self._resume_all():
            self.engine.empty()  # Now that no relay sends: the end of a block was stored behind the first time.
            assert self._resume_all()
        for collector in self.collectors.values():
            collector.process.send_signal(signal.SIGUSR1)
        self.wait_until_shipped()
        self.engine.save()

    def _resume_all(self) -> bool:
        """Ship all from the beginning; return False when the engine still has messages."""
        for shard in sorted(self._recorded_shards(), key=lambda shard: shard in self.collectors):  # Those left first.
            day = min(path.parent.name for path in self._data.glob(f"*/{shard.stem(FEED)}.jsonl"))
            code, log = self.ship("--once", "--shard", str(shard), "--resume-at", f"{day}/0")
            if code == UsageError.exit_code and "the engine still has the message" in log:
                return False
            assert code == 0, code
        return True

    def ship(self, *options: str) -> tuple[int, str]:
        """Run `ssmd ship`; return its exit code and its log."""
        process = start("ship", "test", "--config-dir", self.folder / "conf", *options)
        _, log = process.communicate(timeout=REST_SECONDS)
        if process.returncode:
            print(log, flush=True)
        return process.returncode, log

    def verify(self) -> list[str]:
        """Return what `ssmd verify --engine` finds wrong."""
        process = start("verify", "--engine", "test", "--config-dir", self.folder / "conf")
        out, log = process.communicate(timeout=REST_SECONDS)
        return ["verify --engine:", *out.splitlines(), *log.splitlines()] if process.returncode else []

    def wait_until_shipped(self) -> None:
        """Wait until each relay is connected and has shipped something."""
        until = time.monotonic() + CAUGHT_UP_SECONDS
        for collector in self.collectors.values():
            while not ((state := _shipping(collector)).get("up") and state["messages"]):
                assert time.monotonic() < until, state
                time.sleep(0.1)

    def finish(self) -> None:
        """End the collectors, and ship the rest."""
        self._end_all()
        until = time.monotonic() + CAUGHT_UP_SECONDS
        while (code := self.ship("--once")[0]) == 69:  # The engine may need a while after its last start.
            assert time.monotonic() < until
            time.sleep(1)
        assert code == 0, code

    def _end_all(self) -> None:
        for collector in self.collectors.values():
            assert collector.end() == 0
        self.collectors.clear()

    def close(self) -> None:
        for collector in self.collectors.values():
            collector.process.kill()
            collector.wait()
        self.collectors.clear()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _recorded_shards(self) -> list[Shard]:
        return Shards(self._data, FEED).look()

    def recorded(self) -> dict[str, list[Message]]:
        """Return what is recorded, by the stem of the files."""
        found: dict[str, list[Message]] = {}
        for stem in (shard.stem(FEED) for shard in self._recorded_shards()):
            found[stem] = []
            for path in sorted(self._data.glob(f"*/{stem}.jsonl")):
                lines = path.read_bytes().splitlines()
                place = f"{path.parent.name}/{stem}"
                for number, line in enumerate(lines, 1):
                    found[stem].append((f"{place}/{number}", decode_line(line).payload))
        return found


def _shipping(collector: Collector) -> dict[str, Any]:
    return json.loads(collector.get("/status")[1])["shipping"] or {}


def by_stem(messages: Iterable[Message]) -> dict[str, list[Message]]:
    found: dict[str, list[Message]] = {}
    for message in messages:
        found.setdefault(message[0].split("/")[1], []).append(message)
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


def run(folder: Path, name: str, faults: int, shards: int) -> list[str]:
    """Let faults happen; return what is wrong then."""
    engine = ENGINES[name](folder)
    site = Site(folder, engine, shards)
    try:
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
        recorded, found = site.recorded(), by_stem(engine.messages())
        wrong = [] if recorded.keys() == found.keys() else [f"recorded are {[*recorded]}, and there are {[*found]}"]
        for stem in recorded.keys() & found.keys():
            wrong += differences(recorded[stem], found[stem], engine.repeats)
        if not engine.repeats:
            wrong += site.verify()
        print(f"{sum(map(len, recorded.values()))} messages of {', '.join(recorded)}; {faults} faults", flush=True)
        return wrong
    finally:
        site.close()
        engine.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--faults", type=int, default=10)
    parser.add_argument("--shards", type=int, choices=SHARDS, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"{options.engine}: seed {options.seed}", flush=True)
    random.seed(options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Its servers and collectors end too.
    with tempfile.TemporaryDirectory() as folder:
        wrong = run(Path(folder), options.engine, options.faults, options.shards)
    print("\n".join(wrong) or "the engine has what was recorded")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
