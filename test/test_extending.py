"""A new part of any kind is one file and one catalog line: shown with a toy of each.

Each toy keeps its whole contract, so that what they record is sealed and verified like anything else.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import gevent
import pytest
from exchange_server import TEXT, Peer, close_frame, serving
from process import make_tree

from ssmd import wiring
from ssmd.connector import CONNECTORS
from ssmd.contracts.companion import DAY, Companion
from ssmd.contracts.configuration import FieldProblem
from ssmd.contracts.events import Acknowledged, Asked, ChannelState, Gap
from ssmd.contracts.exchange import COUNTER, Inspection, Opening
from ssmd.contracts.resolver import Found
from ssmd.contracts.writer import Reads
from ssmd.errors import ConfigError, Disconnected, ResolveError
from ssmd.exchange.catalog import EXCHANGES
from ssmd.metadata.fields import Model, Seconds, Text
from ssmd.metadata.loader import load
from ssmd.proof.seal import seal
from ssmd.proof.verify import verify
from ssmd.resolver import RESOLVERS
from ssmd.shipping import TRANSPORTS
from ssmd.store.inventory import data_files
from ssmd.store.line import decode_line
from ssmd.writer import WRITERS
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

pytestmark = pytest.mark.one_day

# Each class below, with its configuration, is what the one new file would hold.


class Heard:
    """What a message says of itself."""

    def __init__(self, payload: bytes) -> None:
        kind, _, number = payload.decode().strip('" \n').partition(" ")
        self.type, self.sid, self.seq = kind, 1, int(number) if number.isdigit() else None


class Overheard:
    """Finds what recorded shouts are about."""

    type_field = "its first word"
    type_path = ()
    market_field = ""

    def read(self, payloads):
        return [(Heard(payload).type, "") for payload in payloads]


class Listening:
    """Understands one connection: numbers its shouts, and answers questions."""

    sequence = COUNTER
    shows_loss = True
    heads = None
    loss_note = ""

    def __init__(self) -> None:
        self._next = 0

    def sequence_name(self, sid):
        return ""

    def inspect(self, payloads):
        events: list[Acknowledged | Gap] = []
        heads = [Heard(payload) for payload in payloads]
        for place, head in enumerate(heads):
            if head.type == "welcome":
                events.append(Acknowledged("bakery", 1, place))
            if head.seq:
                if self._next and head.seq != self._next:
                    events.append(Gap(1, self._next, head.seq, place))
                self._next = head.seq + 1
        answers = [b"YES" for head in heads if head.type == "anybody?"]
        return Inspection(decoded=True, events=events, heads=heads, commands=answers)


class ShoutingExchange(Listening):
    """Asks in capitals, answers questions, and says now and then that it is still there."""

    tick_seconds = 0.05
    knows_markets = can_be_divided = True
    idle = ""
    rest_without_keys = False
    listing = None

    def __init__(self, keys, subscribe, terms):
        super().__init__()
        self.secret = keys["word"]
        self.names = subscribe["names"]

    @classmethod
    def check(cls, subscribe):
        if not subscribe.get("names"):
            yield FieldProblem(("names",), "is required; name what to ask for")

    @classmethod
    def check_keys(cls, fields, endpoint, subscribe):
        if "word" not in fields:
            yield FieldProblem((), "the bakery asks for a key with the field `word`")

    @classmethod
    def inspector(cls):
        return Listening()

    @classmethod
    def check_endpoint(cls, endpoint):
        return None

    @classmethod
    def rest_endpoint(cls, endpoint):
        return ""

    @classmethod
    def followed(cls, subscribe):
        return []

    @classmethod
    def check_description(cls, description):
        return []

    @classmethod
    def described(cls, description):
        return cls

    @classmethod
    def needed_to_read(cls, description):
        return {}

    @classmethod
    def reader(cls):
        return Overheard()

    @classmethod
    def tables(cls):
        return []

    def prepare(self, now_ms):
        return None

    def opening(self, endpoint, now_ms):
        return Opening(endpoint, {"X-Word": self.secret}, hidden=[self.secret], signed=True)

    def closed(self, code, reason):
        return None

    def commands(self):
        return [name.upper().encode() for name in self.names]

    def unsent(self):
        return 0

    def hidden(self):
        return ()

    def expects_text(self, payload):
        return False

    def asked(self):
        return [Asked(1, "bakery", "subscribe", None, [{"shout": name} for name in self.names])]

    def tick(self, now_ms):
        return Inspection(decoded=True, commands=[b"STILL HERE"])

    def unacknowledged(self):
        return []

    @classmethod
    def markets(cls, subscribe):
        return subscribe["names"]

    @classmethod
    def channel_names(cls, subscribe):
        return ["bakery"]

    @classmethod
    def book_channels(cls, subscribe):
        return []

    def channels(self):
        return [ChannelState("bakery", 1, None, None, None, False, self._next)]

    def unheard(self, channel):
        return []

    def unconfirmed(self, channel):
        return []


@dataclass(frozen=True, kw_only=True)
class TapeConfig(Model):
    endpoint: Text
    pause_seconds: Seconds = 0.01


class TapeConnector:
    """Plays the lines of a file, and remembers what it was sent."""

    Config = TapeConfig
    decompress = ""
    not_decompressed = 0
    unchanged: int | None = None
    last_read: float | None = None
    missing: Sequence[str] = ()
    sent: list[bytes] = []  # noqa: RUF012 - shared, so that the test can look into it

    def __init__(self, endpoint, exchange, config, *, data_timeout_seconds=None, direct=False):
        self.lines = Path(endpoint.removeprefix("tape:")).read_bytes().splitlines()
        self.exchange, self.pause = exchange, config.pause_seconds

    def connect(self):
        self.send(self.exchange.commands())

    events = ()

    @property
    def held_ns(self):
        return None

    def messages(self, clock) -> Iterator[tuple[Reads, list[bytes]]]:
        tick = self.exchange.tick_seconds or math.inf
        next_tick = time.monotonic() + tick
        for line in self.lines:
            gevent.sleep(self.pause)
            yield [(clock(), 1)], [line]
            if time.monotonic() >= next_tick:
                next_tick += tick
                yield [(clock(), 0)], []
        raise Disconnected("the tape has ended")

    def expect_silence(self, expected: bool) -> None:
        pass

    def send(self, commands):
        self.sent += commands

    def close(self):
        pass


@dataclass(frozen=True, kw_only=True)
class ShelfConfig(Model):
    type: Text
    shelves: tuple[Text, ...]


class ShelfWriter:
    """Keeps two copies, each on a shelf of its own."""

    Config = ShelfConfig

    def __init__(self, config, feed, **options):
        self.shelves, self.feed = config.shelves, feed
        self.writers = [FileWriter(LocalStorage(type="local", path=path), feed, **options) for path in config.shelves]
        self.state_folder = self.writers[0].state_folder

    @property
    def location(self):
        return self.writers[0].location

    def companions(self):
        seal = ("--feed", self.feed, "--before", DAY)
        return [Companion(f"seal{n}", ("seal", path, *seal), daily=True) for n, path in enumerate(self.shelves)]

    def open(self):
        for writer in self.writers:
            writer.open()

    def encode(self, reads, payloads, decoded):
        return self.writers[0].encode(reads, payloads, decoded)

    def write(self, batch):
        for writer in self.writers:
            writer.write(batch)

    def flush(self):
        for writer in self.writers:
            writer.flush()

    def sync(self):
        return min(filter(None, [writer.sync() for writer in self.writers]), default=None)

    def close(self):
        for writer in self.writers:
            writer.close()


@dataclass(frozen=True, kw_only=True)
class PostConfig(Model):
    type: Text
    address: Text


class PostTransport:
    """Sends a letter a day: here the letter is an ssmd command that there is, run on the address."""

    Config = PostConfig

    def __init__(self, config, environment, config_dir):
        self.address = config.address
        assert (environment, Path(config_dir).name) == ("test", "conf")

    def companions(self, shard):
        return [Companion("post", ("report", self.address), daily=True)]


class DiaryResolver:
    """Finds keys in a diary."""

    def __init__(self, environ, until):
        self.environ = environ

    @classmethod
    def check(cls, key):
        if len(key.fields) > 1:
            yield FieldProblem(("fields",), "are more than one, and a page of the diary holds one")

    def resolve(self, key):
        page = key.source.removeprefix("diary:")
        if page != "may":
            raise ResolveError(f"the diary has no page {page}")
        return Found({key.fields[0]: "sesame"})


@pytest.fixture
def shelves(tmp_path) -> list[Path]:
    return [tmp_path / "left", tmp_path / "right"]


@pytest.fixture
def deployment(tmp_path, monkeypatch, shelves):
    # And these are the catalog lines.
    monkeypatch.setitem(EXCHANGES, "shouting", ShoutingExchange)
    monkeypatch.setitem(CONNECTORS, "tape", TapeConnector)
    monkeypatch.setitem(WRITERS, "shelf", ShelfWriter)
    monkeypatch.setitem(TRANSPORTS, "post", PostTransport)
    monkeypatch.setitem(RESOLVERS, "diary", DiaryResolver)
    monkeypatch.setattr(TapeConnector, "sent", [])
    storage = f"storage: {{type: shelf, shelves: {json.dumps(list(map(str, shelves)))}}}\n"
    storage += f"transport: {{type: post, address: {json.dumps(str(shelves[0]))}}}\n"
    storage += "keys: {test: {type: api_key, fields: [word], source: 'diary:may'}}\n"
    tree = make_tree(tmp_path, "ws://127.0.0.1:1/", "shouting", "", f"subscribe: {{names: [bread, milk]}}\n{storage}")

    def give(**changes: tuple[str, str]):
        feed = tree / "feeds" / "test.yaml"
        for old, new in changes.values():
            feed.write_text(feed.read_text().replace(old, new))
        return load(tree, "test", date(2026, 1, 1), wiring.parts())

    return give


def run(deployment) -> None:
    assembled = wiring.assemble(deployment, {}, ("127.0.0.1", 0))
    with pytest.raises(Disconnected):
        assembled.runner.run()


def proved(shelf: Path) -> list[bytes]:
    """The messages of a shelf, whose only day is sealed, and nothing is wrong with it before and after that."""
    [file] = data_files([shelf])
    assert verify(file).findings == []
    now_ns = int(datetime.now(UTC).timestamp() * 1e9)
    manifest = seal(file, now_ns)
    assert (manifest.sequence_gaps, manifest.missing) == (1, 2)
    assert manifest.messages_by_type == {"anybody?": 1, "shout": 3, "welcome": 1}
    assert [sequence.channel for sequence in manifest.sessions[0].sequences] == ["bakery"]
    verdict = verify(file)
    assert (verdict.sealed, verdict.findings) == (True, [])
    return [decode_line(line).payload for line in file.path.read_bytes().splitlines()]


MESSAGES = [b'"welcome"', b'"shout 1"', b'"shout 2"', b'"anybody?"', b'"shout 5"']


def test_over_a_websocket_the_toys_collect_answer_tick_and_are_proved(deployment, shelves):
    def exchange(peer: Peer) -> tuple[str, list[bytes]]:
        request = peer.upgrade()
        peer.text(*MESSAGES[:4])
        heard: list[bytes] = []
        while heard.count(b"STILL HERE") < 3 or b"YES" not in heard:
            opcode, payload = peer.receive()
            assert opcode == TEXT
            heard.append(payload)
        peer.text(MESSAGES[4])
        peer.send(close_frame(1000))
        return request.headers["X-Word"], heard

    with serving(exchange) as server:
        run(deployment(endpoint=("ws://127.0.0.1:1/", server.url)))
        word, heard = server.result()
    assert word == "sesame"
    assert heard[:2] == [b"BREAD", b"MILK"]
    assert heard.count(b"YES") == 1
    assert [proved(shelf) for shelf in shelves] == [MESSAGES, MESSAGES]


def test_over_a_connector_of_their_own_too(deployment, shelves, tmp_path):
    tape = tmp_path / "tape"
    tape.write_bytes(b"\n".join(MESSAGES))
    run(
        deployment(
            kind=("type: websocket", "type: tape"),
            endpoint=("ws://127.0.0.1:1/", f"tape:{tape}\n  pause_seconds: 0.05"),
        )
    )
    assert TapeConnector.sent[:2] == [b"BREAD", b"MILK"]
    assert TapeConnector.sent.count(b"YES") == 1
    assert TapeConnector.sent.count(b"STILL HERE") >= 1
    assert [proved(shelf) for shelf in shelves] == [MESSAGES, MESSAGES]


def test_the_companions_of_a_toy_run_like_any_other(deployment, shelves, tmp_path):
    assembled = wiring.assemble(deployment(), {}, ("127.0.0.1", 0))
    assert list(assembled.runner._status.companions) == ["seal0", "seal1", "post"]
    with pytest.raises(Exception, match="cannot connect"):  # Nothing listens at the endpoint.
        assembled.runner.run()


def test_the_toys_are_checked_like_the_rest(deployment):
    checked = deployment()
    assert checked.warnings == []
    assert wiring.key_problems(checked, {}) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("source: 'diary:may'", "source: 'diary:june'", None),
        ("fields: [word]", "fields: [word, other]", "keys.test.fields: are more than one"),
        ("names: [bread, milk]", "names: []", "subscribe.names: is required; name what to ask for"),
        ("shelves:", "shelfs:", "storage.shelfs: ssmd does not know this key; did you mean `shelves`?"),
        ("address:", "adress:", "transport.adress: ssmd does not know this key; did you mean `address`?"),
        ("shelves: [", "shelves: 7, x: [", "storage.shelves: must be a list (`- ` lines), not `7`"),
    ],
)
def test_their_own_configuration_is_checked_with_file_and_line(deployment, tmp_path, old, new, expected):
    path = tmp_path / "conf" / "environments" / "test.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    if expected is None:
        [problem] = wiring.key_problems(deployment(), {})
        assert "the diary has no page june" in str(problem)
        return
    with pytest.raises(ConfigError) as refused:
        deployment()
    assert any(
        line.startswith("environments/test.yaml:") and expected in line for line in str(refused.value).splitlines()
    )


def test_without_the_catalog_lines_each_is_a_clear_error(deployment, monkeypatch):
    monkeypatch.delitem(EXCHANGES, "shouting")
    for catalog, name in ((CONNECTORS, "tape"), (WRITERS, "shelf"), (TRANSPORTS, "post"), (RESOLVERS, "diary")):
        monkeypatch.delitem(catalog, name)
    with pytest.raises(ConfigError) as refused:
        deployment(kind=("type: websocket", "type: tape"))
    lines = str(refused.value).splitlines()
    assert len(lines) == 5
    for expected in (
        "feeds/test.yaml:2: type: `tape` is not supported in this version, which has `rest`, `websocket`",
        "feeds/test.yaml:8: versions[0].exchange: `shouting` is not supported in this version, "
        "which has `generic`, `kalshi`",
        "storage.type: `shelf` is not supported in this version, which has `local`",
        "transport.type: `post` is not supported in this version, which has "
        + ", ".join(f"`{name}`" for name in TRANSPORTS),
        "keys.test.source: `diary` is not supported in this version, which has `env`",
    ):
        assert any(expected in line for line in lines), expected
