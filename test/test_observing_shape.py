"""Drift in the collector: what is new is reported once, with the first message, and the time for it is bounded."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import msgspec
import pytest
from drifting import PLANTED, Message, learned, messages
from patience import PATIENCE
from prometheus_client import CollectorRegistry

from ssmd.contracts.exchange import HeadDecoder
from ssmd.errors import printable
from ssmd.exchange.catalog import EXCHANGES
from ssmd.exchange.kalshi.inspector import MessageHead
from ssmd.observing import reported, shape
from ssmd.observing.before import Before
from ssmd.observing.reported import Reported
from ssmd.observing.shape import ALL, LARGEST_BYTES, PART, SAMPLE, ShapeObserver, Sources
from ssmd.runtime.drift import MOST_TYPES, OTHERS, DriftState, FoundDrift
from ssmd.runtime.kept_fresh import KeptFresh
from ssmd.runtime.metrics import Metrics
from ssmd.runtime.status import Status
from ssmd.shape.drift import Known
from ssmd.shape.learned import MOST_FIELDS
from ssmd.store.durable import write_durably
from ssmd.store.timestamps import DAY_NS, day_begins, timestamp

NOW = day_begins("2026-02-03") + DAY_NS // 2
READER = EXCHANGES["generic"].described({"paths": {"type": "type"}}).reader()
SECRET = "canary-0123456789-abcdefghij"
AT_ONCE = [name for name, planted in PLANTED.items() if planted.reported[0][0] != "vanished"]


@pytest.fixture(scope="module")
def known() -> Known:
    return Known(learned(list(messages(15_000))), {})


class Observed:
    """An observer that gets 20 messages in each read, and reads that are a millisecond apart.

    `heads`: how a dialect decodes the heads of the messages, which it does first. `apart`: it does that for others.
    """

    def __init__(
        self,
        known: Known | None,
        level: str = ALL,
        path: Path | None = None,
        heads: HeadDecoder | None = None,
        apart: bool = False,
        **options,
    ) -> None:
        self.state = DriftState(level)
        self.heads = heads
        before = Before.of(known or Known({}, {}), READER, heads)
        self.source = KeptFresh(lambda: before, 600.0)
        reported = None if path is None else Reported(path)
        sources = Sources(READER, lambda type: type != "trade2", lambda: [SECRET], heads, self.source, reported, apart)
        self.observer = ShapeObserver(sources, self.state, NOW, **options)
        self.observer.begin(10)
        self.now_ns = NOW

    def see(self, found: list[Message]) -> None:
        for at in range(0, len(found), 20):
            some = [json.dumps(one).encode() for one in found[at : at + 20]]
            self.now_ns += 1_000_000
            if self.heads is not None:
                self.heads.decode(some)
            self.observer.observe([(self.now_ns - 1000, 5), (self.now_ns, len(some) - 5)], some)

    def notes(self) -> list[dict]:
        return [dict(note.fields) for note in self.observer.notes(self.now_ns, end=True)]


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record)


@pytest.fixture
def warnings() -> Iterator[list[logging.LogRecord]]:
    logger, handler = logging.getLogger("ssmd.drift"), Records()
    logger.addHandler(handler)
    yield handler.found
    logger.removeHandler(handler)


def test_an_ordinary_day_has_no_drift(known, warnings):
    observed = Observed(known)
    observed.see(list(messages(10_000, seed=4)))
    assert (observed.state.found, observed.notes(), warnings) == ([], [], [])
    assert (observed.state.looked_at, observed.state.passed_over, observed.state.days_before) == (10_000, 0, True)


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_new_is_reported_with_the_first_message_that_shows_it(known, warnings, name):
    change, reported = PLANTED[name]
    now = list(messages(2_000, seed=4))
    before = [str(one) for one in now]
    now[1_234:] = map(change, now[1_234:])
    first = next(place for place, (old, new) in enumerate(zip(before, now, strict=True)) if old != str(new))
    observed = Observed(known)
    observed.see(now)
    received = timestamp(NOW + (first // 20 + 1) * 1_000_000 - (1000 if first % 20 < 5 else 0))
    expected = FoundDrift(*reported[0], received)
    assert (observed.state.found, observed.notes()) == ([expected], [expected._asdict()])
    assert observed.state.counts == {(expected.kind, expected.type): 1}
    assert observed.notes() == []
    [record] = warnings
    assert (record.levelname, record.path, record.received) == ("WARNING", expected.path, received)
    if name == "new type":
        assert not hasattr(record, "first")  # Messages of this type are private to an account.
    else:
        assert record.first == printable(json.dumps(now[first]))


def test_what_the_exchange_repeats_of_a_key_is_not_shown(known, warnings, tmp_path):
    """Neither as a value nor as a name, and not a piece of it; and a name may be long."""
    observed = Observed(known, path=tmp_path / ".test.drift")
    observed.see([{"type": "trade", "msg": {"market": "A", f"was {SECRET}": SECRET[:20], "n" * 5000: 1}}])
    observed.see([{"type": f"token {SECRET[:20]}", "msg": "\u202e\n"}])
    shown = [str(observed.notes()), *(str(vars(record)) for record in warnings), (tmp_path / ".test.drift").read_text()]
    assert [record.path[:12] for record in warnings] == ["msg.was (hid", "msg.nnnnnnnn", ""]
    for text in shown:
        assert not any(SECRET[at : at + 16] in text for at in range(len(SECRET) - 15))
        assert "n" * 201 not in text
        assert len(text) < 8000


def no_time() -> Callable[[], int]:
    """Return a timer in which nothing of the first look is left for a second one."""
    ticks = itertools.count(0, 10**12)
    return lambda: next(ticks)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("name", AT_ONCE)
def test_where_the_dialect_shares_its_decoding_no_message_is_looked_at_again(known, name, apart):
    """All but a text that still is one is found by the decoding itself, without any time for skeletons; also where the
    decoding of the dialect is for others.
    """
    change, reported = PLANTED[name]
    observed = Observed(known, heads=HeadDecoder(MessageHead), apart=apart, timer=no_time())
    observed.see(list(messages(2_000, seed=4)))
    assert (observed.state.found, observed.state.looked_at, observed.state.passed_over) == ([], 2_000, 0)
    now = list(map(change, messages(200, seed=5)))
    observed.see(now)
    found = [(one.kind, one.type, one.path, one.was, one.now) for one in observed.state.found]
    assert found == ([] if name == "decimal to integer" else reported[:1])
    in_time = Observed(known, heads=HeadDecoder(MessageHead), apart=apart)
    in_time.see(now)
    assert [one[:5] for one in in_time.state.found] == reported[:1]


def test_the_shared_decoding_gives_the_dialect_its_heads_and_refuses_no_ordinary_message(known):
    heads, plain = HeadDecoder(MessageHead), HeadDecoder(MessageHead)
    observed = Observed(known, heads=heads)
    assert heads.decode is not plain.decode
    day = [json.dumps(one).encode() for one in messages(3_000, seed=4)]
    more = [b'{"type":"new","sid":3,"seq":4}', b'{"type":"quote","id":6,"msg":{"a":1}}', b'{"type":"quote"}', b"{}"]
    for some in (day, more):
        found, expected = heads.decode(some), plain.decode(some)
        assert [(h.type, h.sid, h.seq, h.id) for h in found] == [(h.type, h.sid, h.seq, h.id) for h in expected]
    accepts = observed.source.value.accepts
    refused = [accepts.decode_all(some, lambda payload: None)[1] for some in (day, more)]
    assert refused == [[], [0, 1, 3]]
    for payload in (b"pong", b"[", b'{"type":"quote","sid":-1}'):
        with pytest.raises((msgspec.DecodeError, msgspec.ValidationError)):
            heads.decode([payload])


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "\0"])
def test_the_days_before_may_have_names_that_no_field_of_msgspec_has(name):
    """The run could not start then, since the decoding is made at its start."""
    day: list[Message] = [{"type": kind, name: 1, "msg": {name: 1}} for kind in ("trade", "quote") for _ in range(600)]
    observed = Observed(Known(learned(day), {}), heads=HeadDecoder(MessageHead))
    observed.see(day)
    observed.see([{"type": "trade", name: 1, "msg": {name: "text"}}])
    assert [(one.kind, one.now) for one in observed.state.found] == [("retyped", "text")]


def test_what_others_have_put_into_the_decoding_of_the_dialect_stays_and_what_is_no_json_does_no_harm(known):
    heads = HeadDecoder(MessageHead)
    before = heads.decode
    observed = Observed(known, heads=heads, apart=True)
    assert heads.decode is before
    change, reported = PLANTED["new type"]
    texts = [json.dumps(change(one)).encode() for one in messages(200)]
    observed.observer.observe([(NOW, len(texts) + 2)], [b"pong", *texts, b"["])
    assert [one[:5] for one in observed.state.found] == reported


def test_without_days_before_nothing_is_looked_at_until_there_are_some(known):
    observed = Observed(None)
    change, _ = PLANTED["new type"]
    observed.see([change(one) for one in messages(100)])
    assert (observed.notes(), observed.state.looked_at, observed.state.days_before) == ([], 0, False)
    observed.source.value = Before(known)
    assert observed.notes() == []
    observed.see([change(one) for one in messages(100)])
    assert [note["type"] for note in observed.notes()] == ["trade2"]


def test_a_restart_does_not_report_the_same_drift_again_on_the_same_day(known, tmp_path, warnings):
    change, _ = PLANTED["new field"]
    now = [change(one) for one in messages(100)]
    path = tmp_path / ".kalshi.drift"
    first = Observed(known, path=path)
    first.see(now)
    assert len(first.notes()) == 1
    again = Observed(known, path=path)
    again.see(now)
    assert (again.notes(), again.state.counts, len(again.state.found)) == ([], {}, 1)
    path.write_bytes(path.read_bytes().replace(b"2026-02-03", b"2026-02-02"))
    tomorrow = Observed(known, path=path)
    tomorrow.see(now)
    assert len(tomorrow.notes()) == 1
    for damaged in (b"", b"{}", b"\xff"):
        path.write_bytes(damaged)
        assert Observed(known, path=path).state.found == []


def test_what_is_found_while_the_file_is_being_written_is_kept_at_the_end(known, tmp_path, monkeypatch):
    path, (read, write) = tmp_path / ".kalshi.drift", os.pipe()
    slow = [read]

    def write_slowly(to: Path, data: bytes) -> None:
        if slow:
            os.read(slow.pop(), 1)
        write_durably(to, data)

    monkeypatch.setattr(reported, "write_durably", write_slowly)
    observed = Observed(known, path=path)
    observed.see([{"type": "trade", "msg": {}, "first": 1}])
    observed.observer.notes(observed.now_ns, end=False)
    observed.see([{"type": "trade", "msg": {}, "second": 1}])
    ending = gevent.spawn(observed.observer.notes, observed.now_ns, end=True)
    gevent.sleep(0)
    os.write(write, b"x")
    ending.get(timeout=PATIENCE)
    assert [one.path for one in Reported(path).load("2026-02-03")] == ["first", "second"]


def test_with_sample_the_time_is_bounded_and_a_slow_feed_is_looked_at_whole(known):
    """By a timer in which every look takes 2 ms: twice as long as the time between two reads."""
    ticks = iter(range(0, 10**12, 2_000_000))
    busy = Observed(known, SAMPLE, timer=lambda: next(ticks))
    busy.see(list(messages(40_000, seed=4)))
    assert busy.state.looked_at / (busy.state.looked_at + busy.state.passed_over) == pytest.approx(PART / 2, rel=0.5)
    idle = Observed(known, SAMPLE, timer=lambda: 0)
    idle.see(list(messages(4_000, seed=4)))
    assert (idle.state.looked_at, idle.state.passed_over) == (4_000, 0)


def test_messages_that_are_no_json_or_too_large_do_not_matter(known):
    observed = Observed(known)
    too_large = b'{"type":"new","a":"' + b"x" * LARGEST_BYTES + b'"}'
    observed.observer.observe([(NOW, 4)], [b"pong", b"", b"\xff", too_large])
    assert observed.notes() == []
    observed.observer.observe([(NOW, 2)], [b"pong", b'{"type":"new"}'])
    assert [note["type"] for note in observed.notes()] == ["new"]


def test_names_of_any_length_take_little_memory_and_can_be_written(known, tmp_path, warnings):
    """Half a surrogate pair in a name has Python's json as its reader where a number is too large for a float."""
    observed = Observed(known, path=tmp_path / ".kalshi.drift")
    for number in range(50):
        long = b"k" * number + b"7" * 200_000
        observed.observer.observe([(NOW, 2)], [b'{"type":"%b"}' % long, b'{"type":"trade","%b":1}' % long])
    observed.observer.observe([(NOW, 1)], [b'{"type":"trade","a":1E999,"\\ud800x":1}'])
    notes = observed.notes()
    assert (len(notes), len(observed.state.found)) == (100, 100)
    assert max(len(text) for note in notes for text in note.values()) == 200
    assert observed.observer._bytes < 2 * 1024 * 1024 + 400_000
    assert (tmp_path / ".kalshi.drift").stat().st_size < 100_000


def test_a_message_with_very_many_fields_is_looked_at_as_far_as_a_shape_goes(known):
    observed = Observed(known)
    observed.see([{"type": "trade", "msg": {"new": [{f"a{number}": 1} for number in range(3 * MOST_FIELDS)]}}])
    [note] = observed.notes()
    assert note["path"] == "msg.new"
    observed.see([{"type": "trade", "msg": {}, **{f"b{number}": [] for number in range(60)}}])
    assert len(observed.notes()) == 60


def test_each_day_has_its_own_drifts_and_the_first_ones_are_not_reported_again_at_midnight(known, monkeypatch):
    monkeypatch.setattr(shape, "MOST_DRIFTS", 3)
    observed = Observed(known)

    def day(*names: str) -> list[str]:
        observed.observer.notes(observed.now_ns, end=False)
        observed.see([{"type": "trade", "msg": {}, name: 1} for name in names])
        return [note["path"] for note in observed.notes()]

    assert day("k", "l", "m", "n") == ["k", "l", "m"]
    assert day("n") == []
    observed.now_ns += DAY_NS
    assert day("k", "n", "o") == ["n", "o"]
    observed.now_ns += DAY_NS
    assert day("k", "n") == ["k"]


def test_the_metric_tells_at_most_a_hundred_types_apart():
    status = Status(drift=DriftState(ALL))
    for number in range(MOST_TYPES + 3):
        status.drift.add(FoundDrift("new_type", f"T{number}", "", "", "", ""))
    status.drift.add(FoundDrift("retyped", "T1", "a", "text", "null", ""))
    metrics = Metrics(CollectorRegistry(), "kalshi", status)

    def value(kind: str, type: str) -> float | None:
        labels = {"feed": "kalshi", "shard": "", "kind": kind, "type": type}
        return metrics.registry.get_sample_value("ssmd_drift_total", labels)

    assert (value("new_type", "T0"), value("new_type", OTHERS), value("retyped", "T1")) == (1, 3, 1)
    assert value("new_type", "T102") is None


def test_a_clock_that_is_set_back_does_not_stop_a_sample(known):
    """It would have to be so late again, or much later, until there is time for the next look."""
    observed = Observed(known, SAMPLE, timer=lambda: 0)
    observed.see([{"type": "trade", "msg": {}}])
    observed.now_ns -= 3600 * 10**9
    observed.see([{"type": "trade", "msg": {}, "new": 1}])
    assert [one["path"] for one in observed.notes()] == ["new"]
    assert observed.state.passed_over == 0


def test_a_clock_that_is_set_back_does_not_put_off_the_next_look_at_each_skeleton(known):
    observed = Observed(known, SAMPLE, timer=lambda: 0)
    observed.notes()
    observed.see([{"type": "trade", "msg": {}, "price": "0.5"}])
    observed.now_ns -= 3600 * 10**9
    observed.notes()
    assert not observed.observer._seen
