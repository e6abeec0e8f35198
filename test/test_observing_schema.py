"""ssmd/observing/schema.py, schema/shared.py and runtime/schema_counts.py: the check of what is received."""

import hashlib
import json
import logging
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from exchange_server import Peer
from process import KEYS, make_tree, ssmd
from schemas import broken
from test_described_live import CANARY, collecting
from test_described_live import KEYS as TOKEN
from test_never_silent import entries, eventually

from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.inspector import MessageHead
from ssmd.exchange.kalshi.reader import KalshiReader
from ssmd.observing.schema import MOST_A_SECOND, MOST_GATHERED, MOST_GATHERED_BYTES, SchemaCheck
from ssmd.proof.examine import examine
from ssmd.runtime.schema_counts import MOST_TYPES, OTHERS, SchemaCounts, schema_metrics
from ssmd.runtime.threads import LARGE_BYTES
from ssmd.schema.budget import LONGEST_EXPLAINED, Budget
from ssmd.schema.check import make_checker
from ssmd.schema.judge import NOT_EXPLAINED, judge_of
from ssmd.store.inventory import data_files
from ssmd.wiring.schema_check import schema_check

KALSHI = Path(__file__).parent.parent.joinpath("conf/schemas/kalshi.json").read_bytes()
KALSHI_V2 = Path(__file__).parent.parent.joinpath("conf/schemas/kalshi-v2.json").read_bytes()
SECOND = 10**9
NOW = 1_767_225_600 * SECOND
"""The beginning of a minute."""


def delta(seq: int, price: str = "0.2900", size: str = "5.00") -> bytes:
    body = {"market_ticker": "A", "price_dollars": price, "delta_fp": size, "side": "yes"}
    return json.dumps({"type": "orderbook_delta", "sid": 1, "seq": seq, "msg": body}).encode() + b"\n"


def checking(schema: Any, *, is_sample: bool = False, **options: Any) -> tuple[SchemaCheck, SchemaCounts]:
    checker = make_checker(json.dumps(schema).encode(), "schemas/x.json")
    counts = SchemaCounts("x:v1", is_sample=is_sample, types=checker.types)
    return SchemaCheck(checker, counts, **options), counts


def observe(check: SchemaCheck, *payloads: bytes, ns: int = NOW) -> None:
    check.observe([(ns, len(payloads))], list(payloads))
    check.check_gathered()


NUMBERS = {"type": "object", "properties": {"a": {"type": "number"}}}


def test_violations_are_counted_by_type():
    check, counts = checking(NUMBERS)
    observe(check, b'{"type":"x","a":1}', b'{"type":"x","a":"1"}', b'{"type":"y","a":[]}', b'{"a":{}}', b'{"type":"x"}')
    assert counts.checked == 5
    assert counts.violations == {"x": 1, "y": 1, "": 1}


def test_what_the_exchange_repeats_of_a_key_is_not_shown(caplog):
    """Neither in a type nor in the name of a field, and no piece of it."""
    secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    check, counts = checking({"additionalProperties": {"type": "string"}}, hidden=lambda: [secret])
    observe(check, json.dumps({"type": f"no {secret}", f"was {secret[:20]}": 1}).encode())
    [note] = check.notes(NOW, end=True)
    assert (note.fields["type"], note.fields["path"]) == ("no (hidden)", "was (hidden)")
    assert counts.violations == {"": 0, "no (hidden)": 1}
    shown = str([note, counts.violations, *(vars(record) for record in caplog.records)])
    assert "(hidden)" in shown
    assert not any(secret[at : at + 16] in shown for at in range(17))


def test_types_that_a_schema_names_and_messages_without_one_are_counted_from_zero():
    """Prometheus sees no increase of a counter that begins at 1."""
    assert SchemaCounts("kalshi:v1", is_sample=False, types=make_checker(KALSHI, "x").types).violations == {
        "": 0,
        "orderbook_snapshot": 0,
        "orderbook_delta": 0,
        "trade": 0,
        "ticker": 0,
        "error": 0,
    }
    assert checking(NUMBERS)[1].violations == {"": 0}


def test_there_are_at_most_a_hundred_types_and_the_others():
    check, counts = checking(NUMBERS)
    observe(check, *[b'{"type":"t%d","a":""}' % number for number in range(300)])
    assert len(counts.violations) == MOST_TYPES + 1
    assert counts.violations[OTHERS] == 300 - (MOST_TYPES - 1)
    assert sum(counts.violations.values()) == 300


def test_without_a_check_there_is_no_metric():
    assert list(schema_metrics(None)) == []


def test_the_metrics_have_each_type_and_what_was_looked_at():
    check, counts = checking(NUMBERS)
    observe(check, b'{"type":"x","a":""}', b" " * LARGE_BYTES + b"{}")
    samples = [sample for each in schema_metrics(counts) for sample in each.samples]
    assert {(sample.name, *sample.labels.values()): sample.value for sample in samples} == {
        ("ssmd_schema_violations_total", ""): 0,
        ("ssmd_schema_violations_total", "x"): 1,
        ("ssmd_schema_checked_total",): 1,
        ("ssmd_schema_not_checked_total",): 1,
    }


def test_the_ledger_gets_one_entry_for_each_type_and_minute():
    check, _ = checking(NUMBERS)
    observe(check, b'{"type":"x","a":""}', b'{"type":"x","a":[]}', ns=NOW + SECOND)
    observe(check, b'{"type":"x","a":{}}', b'{"type":"y","a":null}', ns=NOW + 59 * SECOND)
    assert check.notes(NOW + 59 * SECOND, end=False) == []
    observe(check, b'{"type":"x","a":true}', ns=NOW + 60 * SECOND)
    reason = 'is not of type "number"'
    x = {"type": "x", "count": 3, "path": "a", "reason": reason, "first": "2026-01-01T00:00:01.000000Z"}
    y = {"type": "y", "count": 1, "path": "a", "reason": reason, "first": "2026-01-01T00:00:59.000000Z"}
    notes = check.notes(NOW + 60 * SECOND, end=False)
    assert [(note.event, note.ts_ns, note.place, note.fields) for note in notes] == [
        ("violations", NOW + 60 * SECOND, 0, x),
        ("violations", NOW + 60 * SECOND, 0, y),
    ]
    [last] = check.notes(NOW + 61 * SECOND, end=True)
    assert (last.fields["count"], last.fields["first"]) == (1, "2026-01-01T00:01:00.000000Z")
    assert check.notes(NOW + 200 * SECOND, end=True) == []


def test_the_log_has_the_first_of_each_type_and_field_and_never_a_value(caplog):
    check, _ = checking({"properties": {name: {"type": "number"} for name in "abcd"}})
    for name in "abcd" * 5:
        observe(check, json.dumps({"type": "x", name: "canary"}).encode())
    found = [(record.type, record.path, record.reason, record.schema) for record in caplog.records]
    assert found == [("x", name, 'is not of type "number"', "x:v1") for name in "abc"]
    assert "canary" not in caplog.text
    caplog.clear()
    observe(check, *[b'{"type":"t%d","a":""}' % number for number in range(90)])
    assert len(caplog.records) == 20 - 3
    observe(check, *[b'{"type":"t%d","a":""}' % number for number in range(90)], ns=NOW + 60 * SECOND)
    assert len(caplog.records) == 20 - 3 + 20
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_reason_is_sought_only_while_there_is_time_and_the_verdict_stays_the_same(caplog):
    """By a timer in which each takes 10 s. Half a minute was spent on a message of 900 kB, and the run stood still."""
    now = iter(range(0, 10**9, 10))
    checker = make_checker(json.dumps(NUMBERS).encode(), "schemas/x.json")
    checker.limit(Budget(lambda: next(now)))
    counts = SchemaCounts("x:v1", is_sample=False, types=checker.types)
    check = SchemaCheck(checker, counts)
    long = b'{"type":"x","a":"' + b"b" * LONGEST_EXPLAINED + b'"}'
    observe(check, long, b'{"type":"x","a":""}', b'{"type":"x","a":[]}', b'{"type":"x","a":1}', b'{"type":"y","a":""}')
    assert counts.violations == {"": 0, "x": 3, "y": 1}
    assert [(record.type, record.path, record.reason) for record in caplog.records] == [
        ("x", "", NOT_EXPLAINED),
        ("x", "a", 'is not of type "number"'),
        ("y", "", NOT_EXPLAINED),
    ]
    found = [(note.fields["type"], note.fields["count"], note.fields["path"]) for note in check.notes(NOW, end=True)]
    assert found == [("x", 3, "a"), ("y", 1, "")]


def test_a_sample_looks_at_a_hundred_messages_a_second_at_most():
    check, counts = checking(NUMBERS, is_sample=True)
    observe(check, *[b'{"a":""}'] * 1000)
    assert counts.checked == sum(counts.violations.values()) == MOST_A_SECOND
    check.observe([(NOW, 1)], [b'{"a":""}'])
    assert not check._waiting.reads  # They would be many, where a sample leaves out nearly all reads.
    assert counts.checked == MOST_A_SECOND
    for step in range(1, 1001):
        observe(check, *[b'{"a":""}'] * 5, ns=NOW + step * SECOND // 100)
    assert counts.checked == MOST_A_SECOND + 1000


def test_what_the_exchange_is_known_to_send_is_no_violation():
    check, counts = checking(NUMBERS, expects_text=lambda payload: payload == b"pong")
    observe(check, b"pong", b"ping", b'{"a":1}')
    assert (counts.checked, counts.violations) == (3, {"": 1})


class Shared:
    """The check beside the dialect of Kalshi, with one decoding for both."""

    def __init__(self, status: Any, schema: bytes = KALSHI) -> None:
        keys = {"api_key": KEYS["KALSHI_API_KEY"], "api_secret": KEYS["KALSHI_API_SECRET"]}
        self.exchange = Kalshi(keys, {"channels": ["trade"], "market_tickers": ["A"]})
        self.plain = self.exchange.heads.decode
        reader = KalshiReader()
        self.check = schema_check(schema, "x.json", "kalshi:v1", self.exchange, reader, status)
        self.counts = status.schema

    def receive(self, *payloads: bytes) -> Any:
        received = list(payloads)
        inspection = self.exchange.inspect(received)
        self.check.observe([(NOW, len(received))], received)
        self.check.notes(NOW, end=False)
        return inspection


@pytest.fixture
def shared(status):
    return Shared(status)


def test_a_run_limits_the_time_for_reasons(shared):
    """Where an exchange has renamed a field, all messages are violations."""
    assert shared.check._checker._judge.budget is not None


def test_a_message_is_decoded_once_for_the_dialect_and_for_the_check(shared):
    assert shared.exchange.heads.decode is not shared.plain
    inspection = shared.receive(delta(1), delta(2), delta(4))
    assert inspection.decoded
    assert [head.type for head in inspection.heads] == ["orderbook_delta"] * 3
    assert [(gap.expected, gap.got) for gap in inspection.events] == [(3, 4)]
    assert (shared.counts.checked, sum(shared.counts.violations.values())) == (3, 0)


def test_the_dialect_reads_messages_that_are_not_as_the_schema_says(shared):
    inspection = shared.receive(delta(1), delta(2, size="5,00"), delta(3).replace(b'"yes"', b"7"), delta(4), delta(6))
    assert inspection.decoded
    assert [head.seq for head in inspection.heads] == [1, 2, 3, 4, 6]
    assert len(inspection.events) == 1
    assert shared.counts.violations["orderbook_delta"] == 2
    assert [note.fields["path"] for note in shared.check.notes(NOW, end=True)] == ["msg.side"]


def test_a_type_that_the_schema_does_not_name_is_left_to_the_judge(shared):
    inspection = shared.receive(b'{"type":"new","sid":1,"seq":1}', b'{"type":"new","sid":1,"seq":"3"}')
    assert [head.seq for head in inspection.heads] == [1, None]
    assert shared.counts.violations["new"] == 1


def test_what_is_not_json_is_a_violation_and_the_others_are_checked_all_the_same(shared):
    inspection = shared.receive(delta(1), b"pong", delta(2, price="x"), delta(3))
    assert not inspection.decoded
    assert [head.seq for head in inspection.heads] == [1, None, 2, 3]
    assert {kind: count for kind, count in shared.counts.violations.items() if count} == {"": 1, "orderbook_delta": 1}


@pytest.mark.parametrize(
    "field",
    [
        *(b'"x":"\xff"', b'"\xff":1', b'"x":{"\xc3":[]}'),
        *(b'"x":%b1%b' % (b"[" * 251, b"]" * 251), b'"x":%b' % (b"7" * 4301)),
    ],
    ids=["text", "name", "inner name", "deep", "digits"],
)
@pytest.mark.parametrize("count", [1, 300])
def test_what_the_decoding_skips_has_to_be_json_too(status, field, count):
    """Such a message is kept as bytes, since it is no JSON that everybody reads; the check says so as well."""
    shared, plain = Shared(status), Shared(status)
    plain.exchange.heads.decode = plain.plain
    payloads = [delta(seq) for seq in range(1, count + 1)]
    payloads[count // 2] = payloads[count // 2].replace(b'"sid"', field + b',"sid"')
    found, expected = (one.receive(*payloads) for one in (shared, plain))
    assert found.decoded == expected.decoded
    assert [head.seq for head in found.heads] == [head.seq for head in expected.heads]
    assert shared.counts.violations["orderbook_delta"] + shared.counts.violations.get("", 0) == 1


@pytest.mark.parametrize("is_shared", [False, True])
def test_after_a_slow_check_nothing_is_checked_for_a_while(status, caplog, is_shared):
    """By a timer in which each check takes a second. The wall clock jumps back by hours at every read."""
    ticks, now = iter(range(10**6)), 0.0
    check: Any
    if is_shared:
        shared = Shared(status)
        check, counts = shared.check, shared.counts
        check._timer, check._clock = lambda: next(ticks), lambda: now
    else:
        check, counts = checking(json.loads(KALSHI), timer=lambda: next(ticks), clock=lambda: now)

    def receive(second: int) -> tuple[int, int, int]:
        nonlocal now
        now = float(second)
        wall_ns = NOW - second * 3600 * SECOND
        received = [delta(2 * second + 1, price="x")]
        if is_shared:
            shared.exchange.inspect(received)
        check.observe([(wall_ns, 1)], received)
        check.notes(wall_ns, end=False)
        return counts.checked, counts.not_checked, counts.violations["orderbook_delta"]

    assert [receive(second) for second in (0, 1, 29, 30)] == [(1, 0, 1), (1, 1, 1), (1, 2, 1), (2, 2, 2)]
    assert [record.message.split(";")[0] for record in caplog.records if "takes long" in record.message] == [
        "checking messages against the schema takes long"
    ]
    if is_shared:
        receive(31)
        assert not any(bucket.values for bucket in check._shared._compiled._buckets)


def test_a_large_message_is_passed_over_and_counted(shared):
    large = delta(1, size="x").rstrip().replace(b'"A"', b'"' + b"A" * LARGE_BYTES + b'"')
    inspection = shared.receive(large)
    assert [head.seq for head in inspection.heads] == [1]
    assert (shared.counts.checked, shared.counts.not_checked) == (0, 1)
    assert sum(shared.counts.violations.values()) == 0


def test_nothing_of_the_messages_is_kept_once_they_are_checked(shared):
    payload = b"".join([delta(1)])
    before = sys.getrefcount(payload)
    shared.receive(payload)
    assert sys.getrefcount(payload) == before
    assert not any(bucket.values for bucket in shared.check._shared._compiled._buckets)


def test_patterns_are_checked_when_there_are_many_messages_or_notes_are_taken(shared):
    def receive(*payloads: bytes) -> int:
        received = list(payloads)
        shared.exchange.inspect(received)
        shared.check.observe([(NOW, len(received))], received)
        return shared.counts.violations["orderbook_delta"]

    assert [receive(delta(seq, price="x")) for seq in range(1, MOST_GATHERED)] == [0] * (MOST_GATHERED - 1)
    assert receive(delta(MOST_GATHERED)) == MOST_GATHERED - 1
    assert receive(delta(MOST_GATHERED + 1, price="x")) == MOST_GATHERED - 1
    assert shared.check.notes(NOW, end=False) == []
    assert receive(delta(MOST_GATHERED + 2)) == MOST_GATHERED
    padded = delta(MOST_GATHERED + 3, price="x").replace(b'"A"', b'"' + b"A" * MOST_GATHERED_BYTES + b'"')
    assert receive(padded) == MOST_GATHERED + 1
    assert shared.counts.checked == MOST_GATHERED + 3


def test_a_message_that_is_decoded_but_not_observed_yet_is_checked_all_the_same(shared):
    received = [delta(1), delta(2, price="x")]
    shared.exchange.inspect(received)
    shared.check.notes(NOW, end=False)  # As once a second, while the reader waits between the two.
    shared.check.observe([(NOW, 2)], received)
    shared.check.notes(NOW, end=False)
    assert (shared.counts.checked, shared.counts.violations["orderbook_delta"]) == (2, 1)


def test_the_time_of_a_violation_is_that_of_its_read(shared):
    for second, price in enumerate(("1.00", "x", "1.00")):
        received = [delta(2 * second + 1), delta(2 * second + 2, price=price)]
        shared.exchange.inspect(received)
        shared.check.observe([(NOW + second * SECOND, 2)], received)
    [note] = shared.check.notes(NOW + 3 * SECOND, end=True)
    assert note.fields["first"] == "2026-01-01T00:00:01.000000Z"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_counted_is_always_the_verdict_of_the_judge(status, seed):
    random = Random(seed)
    shared = Shared(status, KALSHI_V2)
    judge = judge_of(json.loads(KALSHI_V2), "kalshi-v2.json")
    seen: list[bytes] = []
    while len(seen) < 1000:
        received = [a_message(random) for _ in range(random.choice((1, 1, 2, 20, 240)))]
        shared.exchange.inspect(received)
        if random.random() < 0.1:
            shared.check.notes(NOW, end=False)
        shared.check.observe([(NOW, len(received))], received)
        seen += received
    shared.check.notes(NOW, end=True)
    assert shared.counts.checked == len(seen)
    assert sum(shared.counts.violations.values()) == sum(judge.reason(payload) is not None for payload in seen)


WRONG = ((b'"0.2900"', b'"0.29000000"'), (b".00", b",00"), (b'"yes"', b"7"), (b'"A"', b'"\xff"'))


def a_message(random: Random) -> bytes:
    """Return a change of an order book, of which one in twenty is not as the schema says, or is no JSON."""
    payload = delta(random.randrange(1, 9), random.choice(("0.2900", "1")), random.choice(("-7.00", "12345.67")))
    payload = payload.replace(b'"side"', b'"market_id":"a","side"')
    if random.random() < 0.05:
        payload = broken(random, payload)
    if random.random() < 0.05:
        payload = payload.replace(*random.choice(WRONG))
    return payload


def test_a_schema_that_contradicts_the_head_is_checked_with_a_decoding_of_its_own(status):
    schema = b'{"type":"object","properties":{"sid":{"type":"string"}}}'
    shared = Shared(status, schema)
    assert shared.exchange.heads.decode is shared.plain
    shared.receive(delta(1), b'{"type":"x","sid":"1"}')
    assert (shared.counts.checked, shared.counts.violations["orderbook_delta"]) == (2, 1)


def test_heads_are_those_of_the_dialect(shared):
    payloads = [delta(1), b'{"id":3,"type":"error","msg":{"code":6}}', b'{"type":"ticker","sid":4,"msg":{}}']
    assert shared.exchange.heads.type is MessageHead
    found, plain = shared.exchange.heads.decode(payloads), shared.plain(payloads)
    assert [(head.type, head.sid, head.seq, head.id) for head in found] == [
        (head.type, head.sid, head.seq, head.id) for head in plain
    ]


def with_schema(folder: Path, definition: str, format: str = "json_schema") -> None:
    """Add the schema x:v1 to the tree of a collector."""
    schemas = folder / "conf/schemas"
    schemas.mkdir(parents=True)
    (schemas / "x.json").write_text(definition)
    digest = hashlib.sha256(definition.encode()).hexdigest()
    version = f"{{version: v1, effective_from: 2025-01-01, hash: 'sha256:{digest}'}}"
    (schemas / "x.yaml").write_text(f"name: x\nformat: {format}\nschema_file: x.json\nversions: [{version}]\n")


PROTOBUF = 'syntax = "proto3"; message Message { double a = 1; }'
CAPNP = "@0xbf5147cbbecf40c1; struct Message { a @0 :Float64; }"


@pytest.mark.one_day
@pytest.mark.parametrize(
    ("mode", "format", "definition"),
    [
        ("count", "json_schema", json.dumps(NUMBERS)),
        ("sample", "json_schema", json.dumps(NUMBERS)),
        ("count", "protobuf", PROTOBUF),
        ("sample", "capnp", CAPNP),
    ],
)
def test_a_run_checks_what_it_receives_and_drops_nothing(tmp_path, mode, format, definition):
    repeated = {"type": f"no {CANARY}", "a": CANARY}
    sent = [{"type": "x", "a": 1}, {"type": "x", "a": "secret"}, repeated, {"type": "y", "a": []}, {"a": 2.5}]

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(*[json.dumps(message).encode() for message in sent], b"pong")
        peer.drained()

    with_schema(tmp_path, definition, format)
    dialect = {"paths": {"type": "type"}, "ignore": [{"text": "pong"}]}
    options = {"schema": "x:v1", "schema_check": mode, **TOKEN}
    with collecting(tmp_path, script, dialect, **options) as (collector, _):
        collector.wait_for_lines(6)
        series = 'ssmd_schema_violations_total{feed="test",shard="",type="%s"} %s'
        eventually(lambda: series % ("y", "1.0") in collector.get("/metrics")[1])
        metrics = collector.get("/metrics")[1]
        assert series % ("x", "1.0") in metrics
        assert 'ssmd_schema_checked_total{feed="test",shard=""} 6.0' in metrics
        status = collector.get("/status")[1]
        assert collector.end() == 0
    assert [json.loads(payload) for payload in collector.payloads()[:5]] == sent
    assert [entry["schema"] for entry in entries(collector, "started")] == ["x:v1"]
    [file] = data_files([collector.data])
    assert examine(file).manifest.schema_violations == {"x": 1, "no (hidden)": 1, "y": 1}
    found = [{name: entry[name] for name in ("type", "count", "path")} for entry in entries(collector, "violations")]
    assert found == [{"type": kind, "count": 1, "path": "a"} for kind in ("x", "no (hidden)", "y")]
    logged = [event for event in collector.events if event["event"] == "a message is not as the schema says"]
    assert [(event["type"], event["path"]) for event in logged] == [("x", "a"), ("no (hidden)", "a"), ("y", "a")]
    assert "secret" not in json.dumps(collector.events)
    assert CANARY not in json.dumps([metrics, status, collector.events, entries(collector, "violations")])


def test_a_run_without_a_check_has_no_such_metric(tmp_path):
    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.text(b"{}")
        peer.drained()

    with_schema(tmp_path, json.dumps(NUMBERS))
    with collecting(tmp_path, script, {}, schema="x:v1") as (collector, _):
        collector.wait_for_lines(1)
        assert "ssmd_schema" not in collector.get("/metrics")[1]
        assert json.loads(collector.get("/status")[1])["schema"] is None


def problems(folder: Path, environment: str) -> list[str]:
    tree = make_tree(folder, "ws://127.0.0.1:1", "generic", "", environment)
    ended = ssmd("validate", "--config-dir", tree)
    assert ended.returncode == 78, ended
    return [line for line in (ended.stdout + ended.stderr).splitlines() if "schema" in line]


@pytest.mark.parametrize(
    ("definition", "format", "environment", "expected"),
    [
        ("{}", "json_schema", "schema_check: count\n", "schema_check: needs a schema; name one in `schema`"),
        ("\n{}", "protobuf", "schema: x:v1\nschema_check: sample\n", "schema: schemas/x.json:2: "),
        ("{", "json_schema", "schema: x:v1\nschema_check: count\n", "schema: schemas/x.json is not JSON"),
        ('{"$ref": "https://a.b/c"}', "json_schema", "schema: x:v1\nschema_check: count\n", "nothing is fetched"),
        ("{}", "json_schema", "schema: x:v1\nschema_check: always\n", "schema_check: must be one of"),
    ],
)
def test_a_check_that_cannot_be_made_is_an_error_of_the_environment(
    tmp_path, definition, format, environment, expected
):
    with_schema(tmp_path, definition, format)
    found = problems(tmp_path, environment)
    assert any("environments/test.yaml:" in line and expected in line for line in found), found
