"""What every sink must do, as tests: a class that the tests of an engine inherit, with an Engine that starts it.

    class TestNats(Conformance):
        @pytest.fixture
        def engine(self) -> Iterator[Engine]:
            with NatsServer() as server:
                yield server

The sinks run in processes of their own, without gevent, as a relay runs them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from metadata_texts import FEED
from process import Ended, Process, ssmd
from recorded import make_day
from ship_runs import wait_until
from sink_process import ENVIRONMENT, Killed, SinkProcess

from ssmd.contracts.shard import WHOLE, Shard
from ssmd.contracts.sink import Block, Copied, End, Position
from ssmd.errors import EngineError, EngineFenced, EngineMismatch
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.reading.found import column_of
from ssmd.shipping.shipped import Shipped
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

DAY, NEXT = "2026-01-31", "2026-02-01"
OTHER = Position("other", "", DAY, 1, 1)
KILLS = 14
"""At how many of its steps the sending of a block is killed, from the first to the last."""

ODD = (
    b"not JSON",
    b"",
    b" ",
    b"two\nlines\n",
    b"\xff\x00\xfe",
    b"null",
    b'"text"',
    b"[1,2]",
    b"{}",
    b'{"type":"x"}',
    b'{"type":"","msg":{"market_ticker":""}}',
    b'{"type":"trade","msg":{"market_ticker":"KX-26JAN31.T-0.5"}}',
    b'{"type":"orderbook_delta","msg":{"market_ticker":"a b*c>d/e+f#g.%h.$i"}}',
    '{"type":"tïcker","msg":{"market_ticker":"Zürich 日本 \U0001f600"}}'.encode(),
    b'{"type":"ticker","msg":{"market_ticker":"\\ud800 half a pair, \\u0000, \\n"}}',
    b'{"type":"ticker","msg":{"market_ticker":"..a..b.."}}',
    b'{"type":"_","msg":{"market_ticker":"_"}}',
    b'{"type":"ticker","msg":{"market_ticker":"%s"}}' % (b"LONG" * 300),
    b'{"type":"big","msg":{"text":"%s"}}' % (b"x" * 1_000_000),
    b'{"type":"subscribed","id":1,"msg":{"channel":"trade","sid":1}}',
    b'{"type":"fill","msg":{"market_ticker":"KX-1"}}',
)
"""Messages as no well-behaved exchange sends them."""


class Engine(ABC):
    """A real engine for one test, empty at its beginning."""

    @property
    @abstractmethod
    def config(self) -> Mapping[str, Any]:
        """The `transport` section."""

    @property
    def keys(self) -> Mapping[str, str]:
        """The fields of the engine's keys."""
        return {}

    @property
    def too_big(self) -> int | None:
        """The size of a message that the engine does not take, in bytes; None when it takes any."""
        return None

    @abstractmethod
    def stop(self) -> None:
        """Stop the engine, which keeps what it has."""

    @abstractmethod
    def start(self) -> None:
        """Start it again."""

    @abstractmethod
    def lose_tail(self) -> None:
        """Let it lose the last of what it has, as when it is put back from an older copy: some messages at least."""

    @abstractmethod
    def plant_position(self, data: bytes) -> None:
        """Write something else where it has the position of the feed `kalshi`."""

    def open(self, feed: str = "kalshi", shard: Shard = WHOLE) -> SinkProcess:
        return SinkProcess(self.config, self.keys, feed, shard)


class Recorded:
    """What a feed has recorded, and the blocks of it."""

    def __init__(self, feed: str = "kalshi", shard: Shard = WHOLE) -> None:
        self.end = Position(feed, shard.label, DAY, 0, 0)
        self._encoder = LineEncoder(feed)
        self._count = 0
        self.copies: list[Copied] = []
        """What the engine must have of all blocks so far; `where` is empty."""

    def block(self, *payloads: bytes, day: str = DAY, session: str = f"{DAY}T00:00:00.000000Z") -> Block:
        """Return the next block, with these messages."""
        start = self.end if day == self.end.day else self.end._replace(day=day, offset=0, line=0)
        lines, columns = [], []
        for payload in payloads:
            self._count += 1
            line = self._encoder.encode(day_begins(day) + self._count * 1_000_000, [payload])
            lines.append(line)
            columns.append(column_of(line, KalshiReader()))
            ts = line[7:34].decode()
            self.copies.append(Copied("", day, start.line + len(lines), ts, columns[-1][0]))
        end = start._replace(offset=start.offset + sum(map(len, lines)), line=start.line + len(lines))
        self.end = end
        kept, found = zip(*columns, strict=True)
        return Block(start, end, session, "kalshi", lines, kept, found)

    def trades(self, count: int, day: str = DAY) -> Block:
        """Return the next block, with so many messages."""
        return self.block(*(trade(self._count + place) for place in range(count)), day=day)


def trade(number: int) -> bytes:
    message = {"type": "trade", "sid": 1, "seq": number, "msg": {"market_ticker": f"KX-{number % 7}"}}
    return json.dumps(message).encode()


def without_places(copies: Sequence[Copied]) -> list[Copied]:
    assert all(copy.where for copy in copies)
    return [copy._replace(where="", name="") for copy in copies]


def once(copies: Sequence[Copied]) -> list[Copied]:
    """Return each message at the place where it came first."""
    return list(dict.fromkeys(copies))


class Conformance:
    """The tests. A class that inherits it has a fixture `engine`."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        raise NotImplementedError

    def require(self, engine: Engine, recorded: Recorded, sink: SinkProcess) -> None:
        """Fail unless the engine has what was recorded, in order, and nothing twice if it declares that."""
        found = without_places(sink.copies())
        assert (found if sink.traits.exactly_once else once(found)) == recorded.copies

    def ship(self, sink: SinkProcess, blocks: Sequence[Block]) -> Position | None:
        """Send those blocks that the engine does not have, as a relay that is started; return what it had."""
        had = sink.resume()
        for block in blocks:
            if had is None or block.start[2:4] >= had[2:4]:
                sink.send(block)
            elif block.end[2:4] > had[2:4]:
                assert not sink.traits.atomic, "a part of a block is in the engine"
                sink.send(rest_of(block, had))
        return had

    def test_an_empty_engine_has_no_position_and_no_messages(self, engine):
        with contextlib.closing(engine.open()) as sink:
            assert sink.check() == []
            assert sink.resume() is None
            assert sink.copies() == []

    def test_it_has_what_was_sent_and_says_where_that_ends(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            assert sink.resume() is None
            for count in (1, 3, 10):
                block = recorded.trades(count)
                sink.send(block)
            self.require(engine, recorded, sink)
        with contextlib.closing(engine.open()) as sink:
            assert sink.resume() == recorded.end
            sink.send(recorded.trades(2))
            assert sink.resume() == recorded.end
            sink.send(recorded.trades(2))
            self.require(engine, recorded, sink)

    def test_where_it_ends_and_with_which_line_is_known_without_becoming_the_writer(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as writer, contextlib.closing(engine.open()) as other:
            assert other.end() is None
            writer.resume()
            for _ in range(3):
                block = recorded.trades(4)
                writer.send(block)
                end = other.end()
                assert end.position == recorded.end
                whole = End.of(recorded.end, block.lines[-1], recorded.copies[-1].ts)
                # Where messages are stored one by one, the lines are not, only their times.
                assert end in (whole, whole._replace(checksum=whole.checksum if writer.traits.atomic else ""))
        with contextlib.closing(engine.open()) as sink:
            assert sink.end() == end
            sink.resume()
            assert sink.end() == end

    def test_a_position_of_an_earlier_version_is_read(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            block = recorded.trades(3)
            sink.send(block)
        engine.plant_position(block.end.encode())
        with contextlib.closing(engine.open()) as sink:
            assert sink.end().position == recorded.end
            assert sink.resume() == recorded.end
            sink.send(recorded.trades(3))
            self.require(engine, recorded, sink)

    def test_the_largest_block_is_taken(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            sink.send(recorded.trades(sink.most_lines))
            size = sink.most_bytes // min(sink.most_lines, 10)
            sink.send(recorded.block(*(b'{"n":"%s"}' % (b"x" * (size - 8)) for _ in range(min(sink.most_lines, 10)))))
            self.require(engine, recorded, sink)

    def test_days_follow_each_other_and_a_copy_may_begin_within_one(self, engine):
        recorded = Recorded()
        recorded.end = recorded.end._replace(offset=12_345, line=67)
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            sink.send(recorded.trades(3))
            recorded.end = recorded.end._replace(offset=recorded.end.offset + 100, line=recorded.end.line + 1)
            sink.send(recorded.trades(2))
            first = len(recorded.copies)
            sink.send(recorded.trades(4, NEXT))
            sink.send(recorded.trades(1, NEXT))
            self.require(engine, recorded, sink)
            assert sink.resume() == recorded.end
            later = without_places(sink.copies(NEXT))
            assert later[-5:] == recorded.copies[first:]
            assert later in (recorded.copies, recorded.copies[first:])

    def test_odd_messages_come_back_byte_for_byte(self, engine):
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            blocks = [*(recorded.block(payload) for payload in ODD), recorded.block(*ODD[:18])]
            for block in blocks:
                sink.send(block)
            self.require(engine, recorded, sink)
            names = [name for block in blocks for name in sink.names(block)]
            assert [copied.name for copied in sink.copies()] == names

    def test_shards_are_copied_beside_each_other(self, engine):
        shards = [Shard(1, 2), Shard(2, 2)]
        with contextlib.ExitStack() as stack:
            sinks = [stack.enter_context(contextlib.closing(engine.open(shard=shard))) for shard in shards]
            feeds = [Recorded(shard=shard) for shard in shards]
            for sink in sinks:
                assert sink.resume() is None
            for _ in range(3):
                for sink, recorded in zip(sinks, feeds, strict=True):
                    sink.send(recorded.trades(5))
            for sink, recorded in zip(sinks, feeds, strict=True):
                assert sink.resume() == recorded.end
                self.require(engine, recorded, sink)

    @pytest.mark.parametrize("days", [["2026-01-31"], [f"2026-03-{day:02}" for day in range(1, 32)]])
    def test_a_relay_that_is_killed_at_any_step_goes_on_where_the_copy_ends(self, engine, days):
        recorded, day = Recorded(), itertools.cycle(days)
        sink = engine.open()
        sink.resume()
        sink.send(recorded.trades(1, next(day)))
        steps = sink.send(recorded.trades(20, next(day)))
        killed = 0
        for kill in range(KILLS):
            blocks = [recorded.trades(1, next(day)), recorded.trades(20, next(day))]
            sink.send(blocks[0])
            with contextlib.suppress(Killed):
                sink.send(blocks[1], kill_at=1 + kill * steps // KILLS)
                killed -= 1  # It took fewer steps than the first time.
            killed += 1
            sink.close()
            sink = engine.open()
            had = self.ship(sink, blocks)
            if sink.traits.atomic:
                assert had in (blocks[0].end, blocks[1].start, blocks[1].end)
            assert sink.resume() == recorded.end
        assert killed > KILLS // 2
        self.require(engine, recorded, sink)
        sink.close()

    def test_of_two_relays_one_writes(self, engine):
        recorded = Recorded()
        first = engine.open()
        first.resume()
        first.send(recorded.trades(3))
        second = engine.open()
        if not first.traits.fences:
            pytest.skip("the engine cannot refuse a second relay")
        block = recorded.trades(3)
        writer = second
        try:
            second.resume()
        except EngineFenced:
            writer = first
        writer.send(block)
        if writer is second:
            with pytest.raises(EngineFenced):
                first.send(block)
        writer.send(recorded.trades(3))
        self.require(engine, recorded, writer)
        writer.kill()
        (first if writer is second else second).close()
        with contextlib.closing(engine.open()) as third:
            assert third.resume() == recorded.end

    def test_an_engine_that_is_gone_for_a_while_misses_nothing(self, engine):
        recorded = Recorded()
        sink = engine.open()
        sink.resume()
        blocks = [recorded.trades(3), recorded.trades(3)]
        sink.send(blocks[0])
        engine.stop()
        with pytest.raises(EngineError) as gone:
            sink.send(blocks[1])
        assert gone.type is EngineError
        sink.close()
        with pytest.raises(EngineError) as still_gone:
            engine.open().resume()
        assert still_gone.type is EngineError
        engine.start()
        with contextlib.closing(engine.open()) as sink:
            self.ship(sink, blocks)
            self.require(engine, recorded, sink)

    def test_a_message_that_is_too_big_is_refused_with_its_block(self, engine):
        if engine.too_big is None:
            pytest.skip("the engine takes messages of any size")
        recorded = Recorded()
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            sink.send(recorded.trades(3))
            end, had = recorded.end, list(recorded.copies)
            with pytest.raises(EngineMismatch, match=str(recorded.end.line + 2)):
                sink.send(recorded.block(trade(0), b'{"n":"%s"}' % (b"x" * engine.too_big)))
        with contextlib.closing(engine.open()) as sink:
            assert sink.resume() == end
            found = without_places(sink.copies())
            assert found == had or (not sink.traits.atomic and found[: len(had)] == had)

    def test_what_an_engine_has_lost_at_its_end_is_sent_again(self, engine):
        recorded = Recorded()
        blocks = [recorded.trades(5) for _ in range(4)]
        with contextlib.closing(engine.open()) as sink:
            self.ship(sink, blocks)
        engine.lose_tail()
        with contextlib.closing(engine.open()) as sink:
            had = sink.resume()
            assert had != recorded.end
            for block in blocks:
                if had is None or block.start.offset >= had.offset:
                    sink.send(block)
                elif block.end.offset > had.offset:
                    sink.send(rest_of(block, had))
            self.require(engine, recorded, sink)

    @pytest.mark.parametrize(
        "data",
        [OTHER.encode(), OTHER._replace(feed="kalshi", shard="1of2").encode(), b"", b"{}", b"\xff"],
    )
    def test_the_position_of_another_feed_is_refused(self, engine, data):
        with contextlib.closing(engine.open()) as sink:
            sink.resume()
            sink.send(Recorded().trades(1))
        engine.plant_position(data)
        with contextlib.closing(engine.open()) as sink, pytest.raises(EngineMismatch):
            sink.resume()


def rest_of(block: Block, at: Position) -> Block:
    """Return the lines of a block from a position on, which lies within it."""
    count = at.line - block.start.line
    return block._replace(
        start=at, lines=block.lines[count:], payloads=block.payloads[count:], found=block.found[count:]
    )


class EditableEngine(Engine):
    """An engine of which a test can change the copy that it has."""

    @abstractmethod
    def take_out(self) -> list[Any]:
        """Remove all messages of the feed `kalshi` but not its position, and return them as the engine has them, with
        all their facts, in its order.
        """

    @abstractmethod
    def put_in(self, messages: Sequence[Any]) -> None:
        """Write such messages, in this order."""

    @abstractmethod
    def changed(self, message: Any) -> Any:
        """Return such a message with another payload."""

    def misnamed(self, message: Any) -> Any:
        """Return such a message under another name; None when messages have none."""


DIFFERENCES = ("missing", "doubled", "changed", "misnamed", "out of order", "not recorded")
TEXTS = {
    "missing": "is not in the engine",
    "doubled": "is in the engine again, at ",
    "changed": "is not the same in the engine, at ",
    "misnamed": "is in the engine under another name, at ",
    "out of order": "is out of order in the engine, at ",
}


class VerifyConformance:
    """The tests of `ssmd verify --engine`. A class that inherits it has a fixture `engine`."""

    @pytest.fixture
    def engine(self) -> Iterator[EditableEngine]:
        raise NotImplementedError

    @pytest.fixture
    def tree(self, tmp_path: Path, engine: EditableEngine) -> Path:
        """A metadata tree with two recorded days, which are shipped."""
        for day in (DAY, NEXT):
            make_day(tmp_path / "data", day, per_hour=2, sealed=False)
        conf = tmp_path / "conf"
        for folder in ("environments", "feeds", "schemas"):
            (conf / folder).mkdir(parents=True)
        kind = engine.config["type"]
        keys = {"kalshi": {"type": "api_key", "fields": ["api_key", "api_secret"], "source": "env"}}
        if engine.keys:
            keys["engine"] = {"type": kind, "fields": list(engine.keys), "source": "env"}
        sections = {"transport": {**engine.config, "start": "oldest"}, "keys": keys}
        (conf / "feeds" / "kalshi.yaml").write_text(FEED)
        (conf / "environments" / f"{ENVIRONMENT}.yaml").write_text(
            f"name: {ENVIRONMENT}\nfeed: kalshi\nstorage: {{type: local, path: {tmp_path / 'data'}}}\n"
            + "".join(f"{name}: {json.dumps(section)}\n" for name, section in sections.items())
        )
        ended = ssmd("ship", ENVIRONMENT, "--config-dir", conf, "--once", **self.variables(engine))
        assert ended.returncode == 0, ended.stderr
        return conf

    def variables(self, engine: EditableEngine) -> dict[str, str]:
        return {f"SSMD_ENGINE_{name.upper()}": value for name, value in engine.keys.items()}

    def verified(self, engine: EditableEngine, tree: Path) -> Ended:
        return ssmd("verify", "--engine", ENVIRONMENT, "--config-dir", tree, **self.variables(engine))

    def test_a_true_copy_is_ok(self, engine, tree):
        ended = self.verified(engine, tree)
        assert (ended.returncode, ended.stderr) == (0, "")
        [_, row] = ended.stdout.splitlines()
        expected = f"kalshi {DAY}, line 1 {NEXT}, line 47 94 0 0 0 0 0 0 ok"
        assert row.split() == expected.split()

    @pytest.mark.parametrize("kind", DIFFERENCES[:5])
    def test_one_message_that_is_not_as_it_should_be_is_named(self, engine, tree, kind):
        messages = engine.take_out()
        place = 60
        message = messages[place]
        match kind:
            case "missing":
                del messages[place]
            case "doubled":
                messages.insert(place, message)
            case "changed":
                messages[place] = engine.changed(message)
            case "misnamed":
                messages[place] = engine.misnamed(message)
                if messages[place] is None:
                    pytest.skip("messages have no name")
            case "out of order":
                messages[place : place + 2] = messages[place + 1], message
        engine.put_in(messages)
        ended = self.verified(engine, tree)
        assert (ended.returncode, ended.stderr) == (65, "")
        [_, row, finding] = ended.stdout.splitlines()
        counts = [str(int(other == kind)) for other in DIFFERENCES]
        assert row.split()[-7:] == [*counts, "WRONG"]
        path = tree.parent / "data" / NEXT / "kalshi.jsonl"
        assert finding.startswith(f"{path}: line {place - 47 + 1} {TEXTS[kind]}")

    @pytest.mark.parametrize("files", ["older", "other bytes", "another day"])
    def test_a_relay_whose_files_do_not_fit_leaves_alone_the_one_that_ships(self, engine, tree, files):
        """As on another host with a storage of its own, such as one that was put back from a backup."""
        data, other = tree.parent / "data", tree.parent / "other"
        shutil.copytree(data, other / "data")
        shutil.copytree(tree, other / "conf")
        environment = other / "conf" / "environments" / f"{ENVIRONMENT}.yaml"
        environment.write_text(environment.read_text().replace(f"{data}", f"{other / 'data'}"))
        path = other / "data" / NEXT / "kalshi.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        match files:
            case "older":
                path.write_bytes(b"".join(lines[:-3]))
            case "other bytes":
                path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b'"KX-', b'"XK-'), *lines]))
            case "another day":
                path.unlink()
        variables: dict[str, Any] = self.variables(engine)
        with Process("ship", ENVIRONMENT, "--config-dir", tree, **variables) as ship:
            ship.wait_for("connected to the engine")
            ended = ssmd("ship", ENVIRONMENT, "--config-dir", other / "conf", "--once", **variables)
            assert (ended.returncode, "--resume-at" in ended.stderr) == (78, True), ended.stderr
            with open(data / NEXT / "kalshi.jsonl", "ab") as file:
                file.write(b"".join(lines))
            shipped = Shipped(data, "kalshi", engine.config["type"])
            wait_until(lambda: shipped.position().line == 2 * len(lines))
            assert ship.end() == 0
        assert self.verified(engine, tree).returncode == 0

    def test_what_is_missing_at_the_end_is_named(self, engine, tree):
        engine.put_in(engine.take_out()[:-3])
        ended = self.verified(engine, tree)
        assert ended.returncode == 65
        assert ended.stdout.endswith("kalshi.jsonl: lines 45 to 47 are not in the engine\n")

    def test_what_is_not_shipped_yet_is_no_fault_and_is_mentioned(self, engine, tree):
        path = tree.parent / "data" / NEXT / "kalshi.jsonl"
        path.write_bytes(path.read_bytes() + path.read_bytes())
        ended = self.verified(engine, tree)
        assert ended.returncode == 0
        assert ended.stdout.endswith(f"note: kalshi: what is recorded from {NEXT}, line 48 on is not shipped yet\n")

    def test_a_copy_may_have_lost_its_beginning(self, engine, tree):
        if not engine.open().traits.numbers:
            pytest.skip("such a copy has no numbers of lines")
        engine.put_in(engine.take_out()[10:])
        ended = self.verified(engine, tree)
        assert ended.returncode == 0
        assert f"{DAY}, line 11 " in ended.stdout

    def test_a_copy_that_is_gone_is_not_ok(self, engine, tree):
        engine.take_out()
        ended = self.verified(engine, tree)
        assert ended.returncode == 65
        assert "kalshi: the engine has nothing of it, although its copy ended at" in ended.stdout
