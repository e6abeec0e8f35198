"""Collectors that share a feed, as real processes: whoever reads it has one feed, and each shard seals its own days."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from moved_clock import DAY_SECONDS, MovedClock
from patience import PATIENCE
from process import Collector, Simulator, ssmd, start
from recorded import make_day

from ssmd.contracts.shard import Shard
from ssmd.proof.compact import candidates, compact
from ssmd.proof.pack_zst import ZstPacker
from ssmd.store.layout import data_path, manifest_path

pytestmark = pytest.mark.one_day

MARKETS = [f"KXSIM-{letter}" for letter in "ABCDEFGH"]
SUBSCRIBE = f"subscribe: {{channels: [trade, orderbook_delta], market_tickers: [{', '.join(MARKETS)}]}}\n"
FOLLOW = "subscribe: {channels: [trade, market_lifecycle_v2], follow: all}\nkeep_listing: true\n"
LINES = 40


def collector(
    folder: Path,
    simulator: Simulator,
    shard: Shard,
    clock: MovedClock | None = None,
    environment: str = SUBSCRIBE,
) -> Collector:
    variables = clock.variables if clock is not None else {}
    options = ["--shard", str(shard)]
    return Collector(folder, simulator.endpoint, environment=environment, options=options, variables=variables)


def shards(of: int) -> list[Shard]:
    return [Shard(index, of) for index in range(1, of + 1)]


def lines_of(storage: Path, shard: Shard) -> list[bytes]:
    """Return the lines of a shard on the newest day."""
    path = data_path(max(storage.glob("2*")), shard.stem("test"))
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def await_true(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def await_lines(folder: Path, some: list[Shard], more: int = LINES) -> None:
    """Wait until each shard has so many more lines than now."""
    storage = folder / "data"
    await_true(lambda: any(storage.glob("2*")), "there is no day")
    before = {shard: len(lines_of(storage, shard)) for shard in some}
    await_true(lambda: all(len(lines_of(storage, one)) >= before[one] + more for one in some), "a shard has no lines")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two shards, and then three, have recorded of a feed; the second of the three was killed once."""
    folder = tmp_path_factory.mktemp("feed")
    with Simulator("--rate", "200") as simulator, contextlib.ExitStack() as stack:
        two = [stack.enter_context(collector(folder, simulator, shard)) for shard in shards(2)]
        await_lines(folder, shards(2))
        three = [stack.enter_context(collector(folder, simulator, shard)) for shard in shards(3)]
        await_lines(folder, shards(3))
        assert [each.end() for each in two] == [0, 0]
        three[1].process.kill()
        three[1].wait()
        await_lines(folder, [Shard(1, 3), Shard(3, 3)])
        three[1] = stack.enter_context(collector(folder, simulator, Shard(2, 3)))
        await_lines(folder, shards(3))
        assert [each.end() for each in three] == [0, 0, 0]
    return folder / "data"


def test_each_market_is_in_the_file_of_its_shard_alone(storage):
    for of in (2, 3):
        for shard in shards(of):
            messages = [json.loads(line)["data"] for line in lines_of(storage, shard)]
            tickers = {message.get("msg", {}).get("market_ticker") for message in messages}
            assert tickers - {None} == set(filter(shard.takes, MARKETS))


def test_cat_has_every_line_of_every_shard_in_the_order_of_time(storage):
    everything = [line for of in (2, 3) for shard in shards(of) for line in lines_of(storage, shard)]
    ended = ssmd("cat", "--feed", "test", storage)
    printed = ended.stdout.encode().splitlines(keepends=True)
    assert ended.returncode == 0
    assert Counter(printed) == Counter(everything)
    times = [line[:40] for line in printed]
    assert times == sorted(times)
    for shard in shards(3):
        chosen = ssmd("cat", "--shard", str(shard), storage).stdout.encode()
        assert chosen.splitlines(keepends=True) == lines_of(storage, shard)
    market = next(filter(Shard(2, 3).takes, MARKETS))
    of_market = ssmd("cat", "--market", market, storage).stdout
    assert set(of_market.encode().splitlines(keepends=True)) < set(printed)
    assert of_market.count("\n") == sum(f'"market_ticker":"{market}"' in line.decode() for line in printed)


def test_every_file_is_right_and_only_the_kill_is_an_outage_of_the_feed(storage):
    code, out, err = ssmd("verify", storage)
    assert (code, err) == (0, "")
    rows = [line.split()[1] for line in out.splitlines() if re.match(r"\d{4}-", line)]
    assert rows == [shard.stem("test") for of in (2, 3) for shard in shards(of)]
    assert "note:" not in out
    out = ssmd("report", storage).stdout
    assert re.findall(r" killed +(\S+)", out) == ["2of3"]
    assert sum(line.startswith("2") and "messages" not in line for line in out.splitlines()) >= 2
    assert out.splitlines()[0] == "test"


def test_shards_seal_side_by_side_and_no_file_is_sealed_twice(storage, tmp_path):
    copied = tmp_path / "data"
    shutil.copytree(storage, copied)
    options = ("--feed", "test", "--before", "9999-12-31", "--jobs", "1")
    running = {shard: start("seal", copied, "--shard", str(shard), *options) for shard in shards(3)}
    for shard, process in running.items():
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
        expected = [one for one in (*shards(2), *shards(3)) if one.index == shard.index]
        assert [Path(line.partition(":")[0]).name for line in out.splitlines()] == [
            f"{each.stem('test')}.jsonl" for each in expected
        ]
    code, out, _ = ssmd("verify", copied)
    assert (code, out.count("ok, not sealed yet")) == (0, 0)


def test_the_listings_that_shards_keep_are_one_feed_too(tmp_path):
    data, stems = tmp_path / "data", [shard.stem(feed) for feed in ("test", "test.listing") for shard in shards(2)]
    with Simulator("--births", "3600") as simulator, contextlib.ExitStack() as stack:
        two = [stack.enter_context(collector(tmp_path, simulator, shard, environment=FOLLOW)) for shard in shards(2)]
        await_true(lambda: any(data.glob("2*")), "there is no day")
        day = max(data.glob("2*"))
        await_true(lambda: all(data_path(day, stem).exists() for stem in stems), "a file is not there")
        await_true(lambda: all(data_path(day, stem).stat().st_size for stem in stems), "a file has no line")
        assert [each.end() for each in two] == [0, 0]
    code, out, _ = ssmd("verify", data)
    assert (code, [line.split()[1] for line in out.splitlines() if re.match(r"\d{4}-", line)]) == (0, stems)
    report = ssmd("report", data).stdout.splitlines()
    assert [line for line in report if line.startswith("test")] == ["test", "test.listing"]
    listed = ssmd("cat", "--raw", "--feed", "test.listing", data).stdout.splitlines()
    assert all(isinstance(json.loads(answer), dict) for answer in listed)
    assert len(listed) == sum(data_path(day, stem).read_bytes().count(b"\n") for stem in stems[2:])


def test_at_midnight_each_shard_seals_its_day_and_compaction_runs_beside_them(tmp_path):
    """The first of two also seals what the third of three has left, which is no more."""
    clock, data = MovedClock(tmp_path), tmp_path / "data"
    left = make_day(data, "2026-01-05", feed="test", shard=Shard(3, 3), per_hour=5, sealed=False)
    with Simulator("--rate", "200") as simulator, contextlib.ExitStack() as stack:
        two = [stack.enter_context(collector(tmp_path, simulator, shard, clock)) for shard in shards(2)]
        await_true(lambda: len(list(data.glob("2*"))) == 2, "there is no day")
        await_true(lambda: all(lines_of(data, one) for one in shards(2)), "a shard has no line")
        yesterday = max(data.glob("2*"))
        clock.forward(DAY_SECONDS)
        manifests = [manifest_path(yesterday, one.stem("test")) for one in shards(2)]
        await_true(lambda: all(path.exists() for path in manifests), "a day is not sealed")

        def all_compacted() -> bool:  # A day that is still being sealed, or written, is left as it is.
            for file in candidates(data, "9999-12-31", "jsonl.zst"):
                compact(file, ZstPacker(1), dry_run=False, progress=lambda count: None)
            return len(list(data.glob("*/*.jsonl.zst"))) == 3

        await_true(all_compacted, "a day is not compacted")
        for each, one in zip(two, shards(2), strict=True):  # It says so after the manifest is there.
            each.wait_for(f"{data_path(yesterday, one.stem('test'))}: sealed, ", begins=True)
        assert [each.end() for each in two] == [0, 0]
    for each, shard in zip(two, shards(2), strict=True):
        sealed = [event["event"].partition(": sealed, ") for event in each.events if event.get("companion") == "seal"]
        expected = [left, data_path(yesterday, "test+1of2")] if shard.is_first else [data_path(yesterday, "test+2of2")]
        assert [path for path, what, _ in sealed if what] == list(map(str, expected))
    code, out, _ = ssmd("verify", data)
    assert (code, out.count("ok, not sealed yet")) == (0, 2)
