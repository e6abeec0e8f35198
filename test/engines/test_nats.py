"""The sink of the transport `nats`, with servers that are processes of their own."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import gevent
import pytest
from exchange_server import Authority, eventually
from house import ROOT
from mounts import mounted, remount
from nats_keys import Nkey, with_credentials
from nats_server import PREFIX, Kept, NatsServer
from patience import PATIENCE
from ports import free_port
from process import Ended, make_tree, ssmd
from sink_conformance import Recorded, rest_of, trade, without_places
from sink_process import SinkProcess

from ssmd.contracts.shard import Shard
from ssmd.contracts.sink import Block, Position
from ssmd.errors import ConfigError, EngineAuthError, EngineError, EngineFenced, EngineMismatch
from ssmd.shipping.nats.login import login_of

T = TypeVar("T")

USER = {"user": "relay", "password": "correct-horse"}


@pytest.fixture(autouse=True)
def _no_traceback(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Whatever happens, nothing of the library is printed."""
    yield
    assert capfd.readouterr().err == ""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Any]:
    """Starts servers, which end with the test."""
    servers: list[NatsServer] = []

    def start(more: str = "", **options: Any) -> NatsServer:
        servers.append(NatsServer(tmp_path / f"nats{len(servers)}", more, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def server(started) -> NatsServer:
    """A server with a stream as it should be."""
    server = started()
    server.create()
    return server


def opened(server: NatsServer, keys: dict[str, str] | None = None, **config: Any) -> SinkProcess:
    usual = {"type": "nats", "url": server.url, "stream": "FEED", "subject_prefix": PREFIX}
    return SinkProcess(usual | config, keys or {})


def refusal(server: NatsServer, keys: dict[str, str] | None = None, **config: Any) -> Exception:
    """Return the error with which the sink is not opened."""
    with pytest.raises((EngineError, ConfigError)) as refused:
        opened(server, keys, **config)
    return refused.value


def data(server: NatsServer) -> list[Kept]:
    """Return the messages of the stream but the positions."""
    return [kept for kept in server.kept() if ".position." not in kept.subject]


# What is written.


def test_a_consumer_gets_the_subjects_the_bytes_and_the_facts(server):
    recorded = Recorded()
    messages = {
        b'{"type":"trade","sid":1,"seq":1,"msg":{"market_ticker":"KXBTC-26NOV28.5"}}': "json.trade.KXBTC-26NOV28.5",
        b'{"type":"orderbook_delta","sid":1,"seq":2,"msg":{"market_ticker":"KX-1"}}': "json.orderbook.KX-1",
        b'{"type":"event_lifecycle","sid":1,"msg":{"event_ticker":"KX"}}': "json.event_lifecycle",
        b'{"type":"subscribed","id":1,"msg":{"channel":"trade","sid":1}}': "control.subscribed",
        b'{"type":"fill","sid":2,"msg":{"market_ticker":"KX-1"}}': "private.fill.KX-1",
    }
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(recorded.block(*messages))
    assert [kept.subject.removeprefix(f"{PREFIX}.") for kept in data(server)] == list(messages.values())
    assert [kept.payload for kept in data(server)] == list(messages)
    for line, (kept, copied) in enumerate(zip(data(server), recorded.copies, strict=True), 1):
        assert kept.headers["Ssmd-Ts"] == copied.ts
        assert kept.headers["Ssmd-Line"] == f"2026-01-31/kalshi/{line}"
        assert kept.headers["Ssmd-Session"] == "2026-01-31T00:00:00.000000Z"
    assert Position.decode(server.kept(pattern=f"{PREFIX}.position.kalshi")[-1].payload) == recorded.end


def test_a_session_that_is_not_known_or_is_no_word_is_no_way_to_write_headers(server):
    recorded = Recorded()
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(recorded.block(trade(1), session=""))
        sink.send(recorded.block(trade(2), session="a\r\nNats-Rollup: all\r\n"))
    first, second = data(server)
    assert "Ssmd-Session" not in first.headers
    assert second.headers["Ssmd-Session"] == "a__Nats-Rollup:_all__"


# How it logs in.


def test_a_user_and_a_password(started):
    more = f"authorization {{ user: {USER['user']}, password: {USER['password']} }}"
    server = started(more, **USER)
    server.create()
    with contextlib.closing(opened(server, USER)) as sink:
        assert sink.check() == []
    for keys in ({}, USER | {"password": "wrong"}, {"token": "correct-horse"}):
        error = refusal(server, keys)
        assert isinstance(error, EngineAuthError)
        assert "Authorization Violation" in str(error)
        assert "correct-horse" not in str(error)


def test_the_command_tries_the_keys_and_looks_at_the_settings(started, tmp_path: Path):
    more = f"authorization {{ user: {USER['user']}, password: {USER['password']} }}"
    server = started(more, **USER)
    server.create(subjects=["test.test.>"], discard="old", max_msgs=1000)
    tree = make_tree(
        tmp_path, "sim://kalshi", "kalshi", "",
        f"transport: {{type: nats, url: '{server.url}', stream: FEED}}\n"
        "keys: {stream: {type: nats, fields: [user, password], source: 'env:NATS_USER,NATS_PASSWORD'}}\n",
    )  # fmt: skip

    def checked(password: str) -> Ended:
        return ssmd("ship", "test", "--config-dir", tree, "--check", NATS_USER="relay", NATS_PASSWORD=password)

    right, wrong = checked(USER["password"]), checked("a-wrong-password")
    assert right.returncode == 0, right.stderr
    assert "`discard: old`" in right.stdout + right.stderr
    assert wrong.returncode == 77
    assert "Authorization Violation" in wrong.stderr
    assert "a-wrong-password" not in wrong.stdout + wrong.stderr
    assert "Traceback" not in right.stderr + wrong.stderr


def test_a_stream_that_is_not_named_is_the_one_that_has_the_subjects(server):
    server.create("OTHER", subjects=["prod.polymarket.>"])
    recorded = Recorded()
    with contextlib.closing(opened(server, stream=None)) as sink:
        assert sink.resume() is None
        sink.send(recorded.trades(3))
        assert without_places(sink.copies()) == recorded.copies
    assert [kept.payload for kept in data(server)] == [copied.payload for copied in recorded.copies]


def test_a_stream_that_is_not_named_and_not_there_is_an_error(server):
    none = refusal(server, stream=None, subject_prefix="prod.coinbase")
    assert str(none) == (
        "no stream of NATS has the subjects prod.coinbase.>; make one, or correct transport.subject_prefix"
    )


def test_of_several_streams_one_has_to_be_named(server):
    server.create("B", subjects=["test.json.>"])
    server.create("A", subjects=["test.position.>", "test.control.>"])
    several = refusal(server, stream=None, subject_prefix="test")
    assert str(several) == (
        "several streams have the subjects test.>: A, B; name one of them as transport.stream, which has to have all "
        "of them"
    )


def test_a_token(started):
    server = started("authorization { token: a-long-token }", token="a-long-token")
    server.create()
    with contextlib.closing(opened(server, {"token": "a-long-token"})) as sink:
        assert sink.resume() is None
    assert isinstance(refusal(server, {"token": "another"}), EngineAuthError)


def test_an_nkey(started):
    nkey = Nkey("user")
    more = f"authorization {{ users: [{{ nkey: {nkey.public} }}, {{ user: admin, password: admin }}] }}"
    server = started(more, user="admin", password="admin")
    server.create()
    with contextlib.closing(opened(server, {"nkey_seed": nkey.seed})) as sink:
        assert sink.resume() is None
    assert isinstance(refusal(server, {"nkey_seed": Nkey("user").seed}), EngineAuthError)


def test_a_credentials_file(started):
    content, more = with_credentials()
    server = started(more, **login_of({"creds": content}).options)
    server.create()
    with contextlib.closing(opened(server, {"creds": content})) as sink:
        assert sink.resume() is None
    assert isinstance(refusal(server, {"creds": with_credentials()[0]}), EngineAuthError)


@pytest.mark.parametrize("denied", ["$JS.API.STREAM.INFO.FEED", f"{PREFIX}.position.kalshi", f"{PREFIX}.json.>"])
def test_a_user_that_may_not_do_what_is_needed_is_refused_in_the_servers_words(started, denied):
    allowed = f"{{ user: relay, password: correct-horse, permissions: {{ publish: {{ deny: '{denied}' }} }} }}"
    more = f"authorization {{ users: [{allowed}, {{ user: admin, password: admin }}] }}"
    server = started(more, user="admin", password="admin")
    server.create()

    def ship() -> None:
        with contextlib.closing(opened(server, USER)) as sink:
            sink.resume()
            sink.send(Recorded().trades(2))

    with pytest.raises(EngineAuthError, match=r"permissions violation for publish to \"") as refused:
        ship()
    assert denied.removesuffix(">").lower() in str(refused.value)


def test_a_user_needs_no_more_rights_than_the_document_says(started):
    page = (ROOT / "docs" / "shipping.md").read_text()
    [rights] = re.findall(r"^    permissions (\{\n.*?\n    \})$", page, re.MULTILINE | re.DOTALL)
    rights = rights.replace("kalshi-sim.kalshi-sim", PREFIX).replace("ssmd", "FEED")
    relay = f"{{ user: relay, password: correct-horse, permissions: {rights} }}"
    more = f"authorization {{ users: [{relay}, {{ user: admin, password: admin }}] }}"
    server = started(more, user="admin", password="admin")
    server.create()
    recorded = Recorded()
    for atomic in (True, False):
        server.change(allow_atomic=atomic)
        for _ in range(2):
            with contextlib.closing(opened(server, USER)) as sink:
                sink.check()
                sink.resume()
                sink.send(recorded.trades(3))
                assert without_places(sink.copies()) == recorded.copies


# TLS.


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def encrypted(started, authority, tmp_path: Path) -> NatsServer:
    """A server that demands TLS."""
    authority.context()
    pem = tmp_path / "127.0.0.1.pem"
    more = f"tls {{ cert_file: '{pem}', key_file: '{pem}' }}"
    server = started(more, tls=ssl.create_default_context(cafile=str(authority.path)))
    server.create()
    return server


def test_tls_with_an_authority_of_its_own(encrypted, authority):
    url = encrypted.url.replace("nats://", "tls://")
    recorded = Recorded()
    with contextlib.closing(opened(encrypted, url=url, ca_file=str(authority.path))) as sink:
        assert sink.resume() is None
        for _ in range(3):
            sink.send(recorded.trades(999))
        assert without_places(sink.copies()) == recorded.copies


def test_a_certificate_of_an_unknown_authority_is_not_accepted(encrypted, tmp_path: Path):
    url = encrypted.url.replace("nats://", "tls://")
    for config in ({}, {"url": url}, {"url": url, "ca_file": str(Authority(tmp_path, "Another").path)}):
        error = refusal(encrypted, **config)
        assert type(error) is EngineError
        assert "its certificate is not accepted: " in str(error)
        assert "transport.ca_file" in str(error)


def test_the_password_is_not_sent_to_a_server_that_offers_no_tls(server):
    assert "the server offers no TLS" in str(refusal(server, USER, url=server.url.replace("nats://", "tls://")))
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pretend() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b'INFO {"server_id":"x","version":"2.12.0","headers":true,"max_payload":1048576}\r\n')
                while piece := peer.recv(4096):
                    heard.extend(piece)

        pretending = gevent.spawn(pretend)
        refusal(server, USER, url=f"tls://127.0.0.1:{listener.getsockname()[1]}")
        pretending.get(timeout=PATIENCE)
    assert heard == b""


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_is_none_is_an_error_of_the_configuration(server, tmp_path: Path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    error = refusal(server, url=server.url.replace("nats://", "tls://"), ca_file=str(path))
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"transport.ca_file: {path} cannot be read: ")


# What the stream is like.


def test_what_is_missing_is_said_and_the_next_attempt_goes_on_once_it_is_there(started):
    server = started()
    assert "there is no stream FEED; make it, or correct transport.stream" in str(refusal(server))
    server.create(subjects=[f"{PREFIX}.json.>"])
    with contextlib.closing(opened(server)) as sink:
        with pytest.raises(EngineError, match=rf"does not have the subjects {PREFIX}\.control\.>, .*position\.kalshi"):
            sink.check()
        with pytest.raises(EngineError):
            sink.resume()
    server.change()
    with contextlib.closing(opened(server)) as sink:
        assert sink.check() == []
        assert sink.resume() is None


def test_a_server_without_jetstream(tmp_path: Path, started):
    server = started(ready=False)
    server.kill()
    server.configure("", jetstream=False)
    server.start(ready=False)
    error = refusal(server)
    assert type(error) is EngineError
    assert "JetStream" in str(error)


def test_settings_that_lose_messages_are_warnings(server):
    server.change(discard="old", max_msgs=1000, max_age=3600 * 10**9)
    with contextlib.closing(opened(server)) as sink:
        dropping, aging = sink.check()
    assert "`discard: old`" in dropping
    assert "after 1 hours (`max_age`)" in aging


@pytest.mark.parametrize("limit", [{"max_msgs": 8}, {"max_bytes": 3000}])
def test_a_full_stream_refuses_and_goes_on_when_there_is_room(server, limit):
    server.change(**limit)
    recorded = Recorded()
    blocks = [recorded.trades(5), recorded.trades(5)]
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(blocks[0])
        with pytest.raises(EngineError, match=r"maximum (messages|bytes) exceeded .*; remove messages, or raise"):
            sink.send(blocks[1])
    with contextlib.closing(opened(server)) as sink:
        with contextlib.suppress(EngineError):
            assert sink.resume() == blocks[0].end
        server.change()
        assert sink.resume() == blocks[0].end
        sink.send(blocks[1])
        assert without_places(sink.copies()) == recorded.copies


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    ("more", "settings", "setting"),
    [
        ("max_payload: 2000", {}, "`max_payload` in the configuration of the NATS server"),
        ("", {"max_msg_size": 2000}, "`max_msg_size` of the stream FEED"),
    ],
)
def test_a_message_that_is_too_large_is_named_with_its_line_its_size_and_the_setting(
    started, atomic, more, settings, setting
):
    server = started(more)
    server.create(allow_atomic=atomic, **settings)
    recorded = Recorded()
    with contextlib.closing(opened(server)) as sink:
        assert f"raise {setting}" in sink.check()[-1]
        sink.resume()
        fits = recorded.block(*(b'{"n":"%s"}' % (b"x" * size) for size in range(1500, 1700, 10)))
        sink.send(fits)
        large = recorded.block(trade(1), trade(2), b'{"n":"%s"}' % (b"x" * 1990))
        with pytest.raises(EngineMismatch) as refused:
            sink.send(large)
        assert str(refused.value).startswith("2026-01-31/kalshi: the message of line 23 has 2")
        assert str(refused.value).endswith(f"and the server takes at most 2000; raise {setting}")
        assert len(data(server)) == 20


def test_the_largest_message_that_is_sent_is_the_largest_that_the_server_takes(server):
    """Where the limit is, is computed before anything is sent: a server closes the connection of a sender beyond it."""
    recorded = Recorded()
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(recorded.block(trade(0)))
        headers = int(refused_size(sink, recorded, 1024 * 1024)) - 1024 * 1024
        payload = b'"%s"' % (b"x" * (1024 * 1024 - headers - 2))
        sink.send(recorded.block(payload))
        assert data(server)[-1].payload == payload


def refused_size(sink: SinkProcess, recorded: Recorded, size: int) -> str:
    """Return the size that the error says of a message with so many bytes."""
    end, copies = recorded.end, list(recorded.copies)
    with pytest.raises(EngineMismatch) as refused:
        sink.send(recorded.block(b'"%s"' % (b"x" * (size - 2))))
    recorded.end, recorded.copies = end, copies
    sink.resume()
    return str(refused.value).split(" bytes with its headers")[0].split()[-1]


# What happens to the server, and to the relay.


def test_a_frozen_server_ends_the_wait_and_what_it_finds_later_is_not_stored_twice(server):
    recorded = Recorded()
    blocks = [recorded.trades(50) for _ in range(3)]
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(blocks[0])
        server.freeze()
        with pytest.raises(EngineError, match="no answer from NATS within 10 s"):
            sink.send(blocks[1])
    with pytest.raises(EngineError, match="no answer within 5 s"):
        opened(server)
    server.thaw()
    with contextlib.closing(opened(server)) as sink:
        had = sink.resume()
        assert had in (blocks[0].end, blocks[1].end)
        for block in blocks[1 if had == blocks[0].end else 2 :]:
            sink.send(block)
        assert without_places(sink.copies()) == recorded.copies


def test_a_batch_whose_acknowledgement_was_lost_is_refused_when_it_comes_again(server):
    """The network ends in one direction: the server gets the batch, and its answer does not arrive."""
    recorded = Recorded()
    blocks = [recorded.trades(3), recorded.trades(3)]
    with OneWay(server.port) as network:
        sink = opened(server, url=f"nats://127.0.0.1:{network.port}")
        sink.resume()
        sink.send(blocks[0])
        expected = [kept.headers for kept in server.kept() if ".position." in kept.subject][-1]
        network.is_cut = True
        with pytest.raises(EngineError, match="no answer from NATS within 10 s"):
            sink.send(blocks[1])
        sink.kill()
    assert len(data(server)) == 6
    again = {"Nats-Expected-Last-Subject-Sequence": "2", "Nats-Batch-Id": "again", "Nats-Batch-Sequence": "1"}
    assert expected["Nats-Expected-Last-Subject-Sequence"] == "1"
    answer = server.publish(f"{PREFIX}.position.kalshi", blocks[1].end.encode(), again | {"Nats-Batch-Commit": "1"})
    assert answer["error"]["err_code"] == 10071
    with contextlib.closing(opened(server)) as sink:
        assert sink.resume() == recorded.end
        assert without_places(sink.copies()) == recorded.copies


class OneWay:
    """A way to a server on which its answers are lost as soon as `is_cut` is set."""

    def __init__(self, port: int) -> None:
        self.is_cut = False
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> OneWay:
        self._running = [gevent.spawn(self._serve)]
        return self

    def __exit__(self, *_: object) -> None:
        gevent.killall(self._running)
        self._listener.close()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        with peer, socket.create_connection(("127.0.0.1", self._to)) as target:
            self._running.append(gevent.spawn(self._copy, target, peer))
            with contextlib.suppress(OSError):
                while piece := peer.recv(65536):
                    target.sendall(piece)

    def _copy(self, target: socket.socket, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := target.recv(65536):
                if not self.is_cut:
                    peer.sendall(piece)


@pytest.mark.needs("mount")
@pytest.mark.parametrize("atomic", [True, False])
def test_a_server_whose_disk_was_full_gets_the_rest_after_its_restart(tmp_path, atomic):
    recorded = Recorded()
    small = mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=3m", "ssmd-test")
    with small as disk, ended(NatsServer(disk / "nats")) as full:
        full.create(allow_atomic=atomic)
        with contextlib.closing(opened(full)) as sink:
            sink.resume()
            failed = send_until_it_fails(sink, recorded)
            with pytest.raises(EngineError, match=r"insufficient resources.*then restart the server if its log says"):
                sink.resume()
        remount(disk, "size=64m")
        full.stop()
        full.start()
        with contextlib.closing(opened(full)) as sink:
            had = sink.resume()
            if had is not None and had != failed.end:
                sink.send(rest_of(failed, had))
            assert without_places(sink.copies()) == recorded.copies


@contextlib.contextmanager
def ended(server: NatsServer) -> Iterator[NatsServer]:
    """Kill the server at the end, so that the disk is free."""
    try:
        yield server
    finally:
        server.kill()


def send_until_it_fails(sink: SinkProcess, recorded: Recorded) -> Block:
    """Send one block after another; return the one that the engine did not acknowledge."""
    while True:
        block = recorded.block(*[b'{"type":"trade","msg":{"x":"%1000d"}}' % 0] * 100)
        try:
            sink.send(block)
        except EngineError:
            return block


@pytest.mark.parametrize("atomic", [True, False])
def test_a_purged_stream_is_not_guessed_about(server, atomic):
    server.change(allow_atomic=atomic)
    with contextlib.closing(opened(server)) as sink:
        recorded = Recorded()
        sink.resume()
        sink.send(recorded.trades(3))
        server.ask("STREAM.PURGE.FEED")
        with pytest.raises(EngineMismatch, match=r"has no position of kalshi any more: it was purged.*--resume-at"):
            sink.send(recorded.trades(3))
        assert server.kept() == []
    with contextlib.closing(opened(server)) as sink:
        assert sink.resume() is None
        again = Recorded()
        sink.send(again.trades(3))
        assert without_places(sink.copies()) == again.copies


CLAIMING = """
import sys
from ssmd.contracts.shard import WHOLE
from ssmd.shipping.nats.sink import connect
from ssmd.shipping.nats.transport import NatsConfig

config = NatsConfig(type="nats", url=sys.argv[1], stream="FEED", subject_prefix=sys.argv[2])
sink = connect(config, "test", "kalshi", WHOLE, {})
claim = sink._claim

def pausing(*found):
    sink._claim = claim
    print("it has seen where the copy ends", flush=True)
    input()
    claim(*found)

sink._claim = pausing
print(sink.resume())
sink.close()
"""
"""Becomes the writer, and pauses on the way."""


@pytest.mark.parametrize("atomic", [True, False])
def test_a_purge_while_a_relay_becomes_the_writer_is_noticed(server, atomic):
    server.change(allow_atomic=atomic)
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(Recorded().trades(3))
    command = [sys.executable, "-c", CLAIMING, server.url, PREFIX]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "it has seen where the copy ends\n"
        server.ask("STREAM.PURGE.FEED")
        assert process.communicate("\n")[0] == "None\n"


@pytest.mark.parametrize("atomic", [True, False])
def test_a_feed_that_is_silent_for_longer_than_the_stream_keeps_messages_goes_on(server, atomic):
    server.change(max_age=10**9, allow_atomic=atomic)
    recorded = Recorded()
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        sink.send(recorded.trades(3))
        eventually(lambda: server.state()["messages"] == 0)
        server.change(allow_atomic=atomic)  # What comes now is to stay, however long the test takes.
        before = len(recorded.copies)
        sink.send(recorded.trades(3))
        sink.send(recorded.trades(3))
        assert without_places(sink.copies()) == recorded.copies[before:]


def test_a_sink_that_is_idle_answers_the_servers_pings(started):
    server = started("ping_interval: '0.5s'\nping_max: 10")
    server.create()
    recorded = Recorded()
    with contextlib.closing(opened(server)) as sink:
        sink.resume()
        gevent.sleep(8)  # The server ends a connection that has left ten pings unanswered.
        sink.send(recorded.trades(3))


def test_of_two_relays_at_the_same_time_only_one_writes_whatever_their_order(server):
    recorded = Recorded()
    sinks = [opened(server) for _ in range(2)]
    blocks = [recorded.trades(3) for _ in range(12)]
    position: Position | None = None
    for number, block in enumerate(blocks):
        writer = sinks[number // 3 % 2]
        if number % 3 == 0:
            assert writer.resume() == position
        writer.send(block)
        position = block.end
        if number >= 3:
            other = sinks[(number // 3 + 1) % 2]
            with pytest.raises(EngineFenced if number % 3 == 0 else EngineError):
                other.send(block)
    assert without_places(sinks[0].copies()) == recorded.copies
    for sink in sinks:
        sink.close()


def test_shards_in_one_stream_do_not_disturb_each_other_whatever_fails(server):
    feeds = [Recorded(shard=Shard(index, 2)) for index in (1, 2)]
    config = {"type": "nats", "url": server.url, "stream": "FEED", "subject_prefix": PREFIX}
    for _ in range(3):
        for recorded in feeds:
            shard = Shard(1, 2) if recorded is feeds[0] else Shard(2, 2)
            sink = SinkProcess(config, {}, "kalshi", shard)
            sink.resume()
            sink.send(recorded.trades(20))
            sink.kill()
    for index, recorded in enumerate(feeds, 1):
        with contextlib.closing(SinkProcess(config, {}, "kalshi", Shard(index, 2))) as sink:
            assert sink.resume() == recorded.end
            assert without_places(sink.copies()) == recorded.copies


def test_a_server_that_is_killed_while_it_stores_batches_has_all_or_nothing_of_each(server):
    recorded = Recorded()
    blocks = [recorded.trades(999) for _ in range(12)]
    for kill in range(4):
        with contextlib.closing(opened(server)) as sink:
            killer = gevent.spawn_later(0.05 + 0.02 * kill, server.kill)
            with contextlib.suppress(EngineError):
                ship_rest(sink, blocks)
            killer.get(timeout=PATIENCE)
        server.start()
    with contextlib.closing(opened(server)) as sink:
        ship_rest(sink, blocks)
        assert without_places(sink.copies()) == recorded.copies
    assert len(data(server)) == len(recorded.copies)


def test_nobody_listens_at_the_address_and_at_one_of_two(server):
    nobody = f"nats://127.0.0.1:{free_port()}"
    error = refusal(server, url=nobody)
    assert type(error) is EngineError
    assert str(error) == f"{nobody}: Connection refused"
    with contextlib.closing(opened(server, url=f"{nobody},{server.url}")) as sink:
        assert sink.resume() is None
    both = refusal(server, url=f"{nobody},nats://no.such.host.invalid")
    assert str(both).startswith(f"{nobody}: Connection refused; nats://no.such.host.invalid:4222: ")


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {\r\n", b"", b"\x00" * 5000])
def test_what_answers_is_no_nats_server(server, greeting):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pretend() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(greeting)

        pretending = gevent.spawn(pretend)
        error = refusal(server, url=f"nats://127.0.0.1:{listener.getsockname()[1]}")
        pretending.get(timeout=PATIENCE)
    assert type(error) is EngineError
    assert len(str(error)) < 300


# A cluster.


@pytest.fixture
def cluster(started) -> list[NatsServer]:
    """Three servers, with a stream that each has."""
    routes = [free_port() for _ in range(3)]
    addresses = ", ".join(f"nats://127.0.0.1:{port}" for port in routes)
    servers = []
    for number, port in enumerate(routes):
        more = f"server_name: n{number}\ncluster {{ name: c, listen: '127.0.0.1:{port}', routes: [{addresses}] }}"
        servers.append(started(more, ready=False))
    servers[0].ask("INFO")
    servers[0].create(num_replicas=3)
    return servers


def test_a_cluster_loses_its_leader_and_nothing_else(cluster):
    recorded = Recorded()
    config = {"type": "nats", "url": ",".join(server.url for server in cluster), "stream": "FEED"}
    config["subject_prefix"] = PREFIX
    blocks = [recorded.trades(200) for _ in range(30)]
    with contextlib.closing(SinkProcess(config, {})) as sink:
        assert sink.check() == []
        sink.resume()
        for block in blocks[:10]:
            sink.send(block)
        leader = cluster[0].ask("STREAM.INFO.FEED")["cluster"]["leader"]
        killed = cluster[int(leader[1:])]
        killed.kill()
        with contextlib.suppress(EngineError):
            sink.send(blocks[10])
    retried(config, lambda sink: ship_rest(sink, blocks))
    assert without_places(retried(config, SinkProcess.copies)) == recorded.copies
    killed.start(ready=False)
    next(server for server in cluster if server is not killed).kill()
    assert retried(config, SinkProcess.resume) == recorded.end
    assert without_places(retried(config, SinkProcess.copies)) == recorded.copies


def ship_rest(sink: SinkProcess, blocks: list[Block]) -> None:
    """Send those blocks that the engine does not have."""
    had = sink.resume()
    for block in blocks:
        if had is None or block.start.offset >= had.offset:
            sink.send(block)


def retried(config: dict[str, Any], work: Callable[[SinkProcess], T]) -> T:
    """Return what a new sink does; try again for a while, as a relay does: the cluster may be electing a leader."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with contextlib.closing(SinkProcess(config, {})) as sink:
                return work(sink)
        except EngineError as error:
            if type(error) is not EngineError or time.monotonic() > end:
                raise
            gevent.sleep(0.2)
