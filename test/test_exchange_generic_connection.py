"""One connection of the generic dialect: what it sends and when, and what ends it. The test sets the times."""

from __future__ import annotations

import json

import pytest
from generic_connection import NOW, SECRET, Run, connection, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.contracts.events import Refused
from ssmd.contracts.exchange import Inspection
from ssmd.errors import ConfigError, ConnectError, Disconnected, SubscriptionRefused
from ssmd.exchange.generic.replies import MOST_REPLIES, WINDOW_MS
from ssmd.exchange.generic.template import LONGEST

# What is sent, and when.


def test_without_anything_to_do_there_is_no_tick():
    exchange = connection({"ignore": {"a": 1}}, {"op": "subscribe"}, per_second=5)
    assert exchange.tick_seconds is None
    assert exchange.commands() == [b'{"op":"subscribe"}']


def test_messages_may_be_any_json_and_text():
    assert connection({}, "hello", ["a", 1], 5, {"b": None}).commands() == [b"hello", b'["a",1]', b"5", b'{"b":null}']


@pytest.mark.parametrize("per_second", [1, 3, 5])
def test_the_opening_goes_out_at_the_pace_in_order(per_second):
    run = Run(connection({}, *range(20), per_second=per_second))
    assert run.exchange.unsent() == 20 - per_second
    run.until(30_000)
    assert [sent for _, sent in run.sent] == texts(*range(20))
    for begin, _ in run.sent:
        assert sum(begin <= at < begin + 1000 for at, _ in run.sent) <= per_second
    assert run.exchange.unsent() == 0
    assert run.exchange.tick_seconds is None, "and then there is nothing more to do"
    assert run.sent[-1][0] <= 1200 * (20 / per_second)


def test_replies_go_first_then_keep_alives_then_the_opening():
    description = {
        "keep_alive": [{"every_seconds": 2, "send": "alive"}],
        "replies": [{"when": {"ping": {"exists": True}}, "send": "pong"}],
    }
    run = Run(connection(description, *range(10), per_second=1))
    run.until(1900)
    run.take({"ping": 1}, {"ping": 2})
    run.until(6000)
    assert [sent for _, sent in run.sent][2:5] == [b"pong", b"pong", b"alive"]
    assert run.exchange.unsent() > 0


def test_a_keep_alive_is_sent_at_its_times_with_the_time_of_sending():
    run = Run(connection({"keep_alive": [{"every_seconds": 20, "send": {"ping": "${now_ms}", "s": "${now_s}"}}]}))
    run.until(70_000)
    for number, (at, sent) in enumerate(run.sent, start=1):
        assert 20_000 * number <= at <= 20_000 * number + 100
        assert json.loads(sent) == {"ping": NOW + at, "s": (NOW + at) // 1000}
    assert len(run.sent) == 3


def test_a_keep_alive_for_silence_is_sent_only_when_nothing_has_come():
    run = Run(connection({"keep_alive": [{"every_seconds": 5, "send": "ping", "only_when_quiet": True}]}))
    for second in range(12):
        run.until(1000 * second)
        run.take({"trade": second})
    run.until(30_000)
    assert 16_000 <= run.times(b"ping")[0] <= 17_100
    assert len(run.times(b"ping")) == 3


def test_after_a_pause_of_the_process_a_keep_alive_is_sent_once():
    run = Run(connection({"keep_alive": [{"every_seconds": 10, "send": "ping"}]}))
    run.until(5000)
    run.now += 100_000
    run._tick()
    assert len(run.sent) == 1


def test_while_the_clock_stands_still_keep_alives_go_on():
    exchange = connection({"keep_alive": [{"every_seconds": 10, "send": "ping"}]})
    sent = [command for _ in range(100) for command in exchange.tick(NOW).commands]
    assert 8 <= len(sent) <= 10


def test_a_reply_has_what_came_and_never_more_than_its_own_placeholders():
    description = {"replies": [{"when": {"type": "ping"}, "send": {"pong": "${message.id}", "at": "${now_ms}"}}]}
    run = Run(connection(description))
    inspection = run.take({"type": "ping", "id": "${key.secret}"}, {"type": "trade", "id": 7})
    assert inspection.due
    assert [json.loads(sent) for _, sent in run.sent] == [{"pong": "${key.secret}", "at": NOW}]


def test_a_text_is_answered_too():
    run = Run(connection({"replies": [{"when": {"text": "ping"}, "send": "pong"}]}))
    run.take("ping")
    assert [sent for _, sent in run.sent] == [b"pong"]


def test_an_answer_that_cannot_be_made_ends_the_run():
    run = Run(connection({"replies": [{"when": {"type": "ping"}, "send": {"pong": "${message.id}"}}]}))
    run.take({"type": "ping"})
    assert isinstance(run.failure, ConfigError), "a restart does not help"
    assert str(run.failure) == (
        "`replies[0].send` cannot be sent: there is no value for ${message.id}; correct this path in the feed's "
        "`dialect`, or make `when` match only messages that have it"
    )


# Circles.


@pytest.mark.parametrize("per_batch", [1, 50, 10_000])
def test_replies_without_end_end_the_run(per_batch):
    run = Run(connection({"replies": [{"when": {"echo": {"exists": True}}, "send": {"again": "${message.echo}"}}]}))
    for _ in range(0, MOST_REPLIES + 1, per_batch):
        assert run.failure is None
        run.take(*[{"echo": 1}] * per_batch)
    assert isinstance(run.failure, Disconnected)
    assert "`replies[0].when` (echo: {exists: true})" in str(run.failure)
    assert "make this `when` of the feed's `dialect` match fewer messages" in str(run.failure)
    assert len(run.sent) <= MOST_REPLIES


def test_as_many_replies_in_more_time_are_right():
    run = Run(connection({"replies": [{"when": {"ping": {"exists": True}}, "send": "pong"}]}))
    for number in range(2 * MOST_REPLIES):
        run.until(number * (WINDOW_MS // MOST_REPLIES + 1))
        run.take({"ping": 1})
    assert run.failure is None
    assert len(run.sent) == 2 * MOST_REPLIES


def test_replies_that_the_pace_holds_back_do_not_pile_up():
    description = {"replies": [{"when": {"ping": {"exists": True}}, "send": "pong"}]}
    run = Run(connection(description, per_second=1))
    for number in range(60 * 60):
        run.until(number * 100)
        run.take({"ping": 1})
        if run.failure:
            break
    assert "replies wait to be sent" in str(run.failure)
    assert "rate_limit_per_second" in str(run.failure)


def test_a_message_that_is_very_long_is_not_answered():
    run = Run(connection({"replies": [{"when": {"ping": {"exists": True}}, "send": "pong"}]}))
    run.take({"ping": "x" * LONGEST})
    assert isinstance(run.failure, Disconnected)
    assert "more than 65,536 bytes" in str(run.failure)


# What ends a run.


def test_a_refusal_quotes_the_exchange_without_keys_and_names_the_channel():
    description = {
        "asked": {"channel": "params.channel", "id": "req_id"},
        "end_when": [{"when": {"success": False}, "as": "refused"}],
    }
    message = {"params": {"channel": "book", "token": "${key.token}"}, "req_id": 7}
    run = Run(connection(description, message, token=SECRET))
    refusal = {"success": False, "req_id": 7, "error": f"no\nsuch channel for {SECRET}"}
    inspection = run.take({"trade": 1}, refusal)
    assert isinstance(inspection.failure, SubscriptionRefused)
    text = str(inspection.failure)
    assert "such channel for (hidden)" in text
    assert "\n" not in text
    assert SECRET not in text
    assert list(inspection.events) == [Refused("book", None, text, 1)]


def test_a_quote_is_cut():
    inspection = connection({"end_when": [{"when": {"a": 1}, "as": "refused"}]}).inspect(
        [json.dumps({"a": 1, "b": "x" * 5000}).encode()]
    )
    assert 300 <= len(str(inspection.failure)) <= 500


def test_a_notice_ends_the_run_as_a_disconnection():
    description = {"end_when": [{"when": {"event": "notice", "code": "64008"}, "as": "disconnected"}]}
    exchange = connection(description)
    assert exchange.inspect(texts({"event": "notice", "code": 64008})).failure is None
    inspection = exchange.inspect(texts({"event": "notice", "code": "64008", "msg": "upgrade soon"}))
    assert isinstance(inspection.failure, Disconnected)
    assert "upgrade soon" in str(inspection.failure)
    assert inspection.events == ()


def test_a_close_code_may_mean_a_refusal():
    exchange = connection({"end_when": [{"close_code": 1008, "as": "refused"}]})
    found = exchange.closed(1008, "invalid subscription payload")
    assert isinstance(found, SubscriptionRefused)
    assert "code 1008, invalid subscription payload" in str(found)
    assert exchange.closed(1000, "") is None
    assert exchange.closed(None, "") is None


# What is no data.


def test_a_batch_is_data_unless_all_of_it_is_ignored():
    exchange = connection({"ignore": [{"channel": "heartbeat"}, {"text": "pong"}]})
    assert exchange.inspect(texts({"channel": "trade"})).data
    assert exchange.inspect(texts({"channel": "heartbeat"}, {"channel": "trade"})).data
    assert not exchange.inspect(texts({"channel": "heartbeat"}, "pong")).data
    assert [exchange.expects_text(text) for text in (b"pong", b"PONG", b"", b"\xff")] == [True, False, False, False]
    assert not connection({}).expects_text(b"pong")


# How it is opened.


def test_keys_are_put_into_the_url_and_the_headers_and_are_hidden():
    headers = {"X-Key": "${key.token}", "X-Plain": "something plain"}
    exchange = connection({"headers": headers, "subprotocol": "v2", "decompress": "gzip"}, token="a/b c" + SECRET)
    opening = exchange.opening("wss://host/ws?token=${key.token}", NOW)
    assert opening.url == f"wss://host/ws?token=a%2Fb%20c{SECRET}"
    assert opening.headers == {"X-Key": "a/b c" + SECRET, "X-Plain": "something plain"}
    assert (opening.subprotocol, opening.decompress, opening.signed) == ("v2", "gzip", True)
    assert {"a/b c" + SECRET, f"a%2Fb%20c{SECRET}"} <= set(opening.hidden)
    assert "something plain" not in opening.hidden
    assert not connection({"headers": {"X-Plain": "a"}}).opening("wss://host/ws", NOW).signed


def test_a_key_that_is_missing_is_named():
    with pytest.raises(ConfigError, match="no key with the field `token`"):
        connection({"headers": {"X-Key": "${key.token}"}})


def test_a_key_cannot_add_lines_to_the_headers():
    exchange = connection({"headers": {"X-Key": "${key.token}"}}, token="a\r\nX-Other: b")
    with pytest.raises(ConnectError, match="the header X-Key would have a character") as caught:
        exchange.opening("wss://host/ws", NOW)
    assert "X-Other" not in str(caught.value)


PREPARE = {
    "prepare": {
        "url": "https://host/${key.token}",
        "headers": {"X-At": "${now_s}"},
        "body": {"token": "${key.token}"},
        "take": {"token": "data.token", "server": "data.servers[0].endpoint"},
    }
}


def test_what_the_prepared_answer_gives_is_used_and_hidden():
    exchange = connection(PREPARE, {"token": "${prepared.token}"}, token=SECRET)
    request = exchange.prepare(NOW)
    assert request is not None
    assert (request.method, request.url, request.signed) == ("POST", f"https://host/{SECRET}", True)
    assert dict(request.headers) == {"X-At": str(NOW // 1000)}
    assert json.loads(request.body or b"") == {"token": SECRET}
    assert SECRET in request.hidden
    exchange.prepared(b'{"data":{"token":"taken-0123456789","servers":[{"endpoint":"wss://other/ws"}]}}')
    opening = exchange.opening("${prepared.server}?token=${prepared.token}", NOW)
    assert opening.url == "wss://other/ws?token=taken-0123456789"
    assert "taken-0123456789" in opening.hidden
    assert "wss://other/ws" not in opening.hidden
    assert exchange.commands() == [b'{"token":"taken-0123456789"}']


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"<html>", "the answer to the request of `prepare` is not JSON"),
        (b"[" * 100_000, "the answer to the request of `prepare` is not JSON"),
        (b"{}", "has no text or number at `data.token`, which `take` names for token"),
        (b'{"data":{"token":{"a":1}}}', "has no text or number at `data.token`, which `take` names for token"),
        (b'{"data":{"token":""}}', "has no text or number at `data.token`, which `take` names for token"),
    ],
)
def test_an_answer_without_what_is_needed_is_one_clear_error(answer, error):
    exchange = connection(PREPARE, token=SECRET)
    with pytest.raises(ConnectError) as caught:
        exchange.prepared(answer)
    assert error in str(caught.value)
    assert SECRET not in str(caught.value)


# Whatever comes.

EVERYTHING = {
    "keep_alive": [{"every_seconds": 1, "send": "${now_ms}"}],
    "replies": [{"when": [{"a": {"exists": True}}, {"text": {"prefix": "p"}}], "send": {"b": "${message.a}"}}],
    "end_when": [{"when": {"b": 1}, "as": "refused"}, {"when": {"b": None}, "as": "disconnected"}],
    "ignore": [{"c": 1}, {"text": ""}],
    "asked": {"channel": "args[*].a", "market": "args[*].b", "id": "c"},
    "confirmed": {"when": {"c": {"exists": True}}, "id": "c"},
    "paths": {"type": "a", "market": "b", "time": "c", "sequence": {"plus_one": "c", "scope": "market"}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.binary(max_size=40) | st.builds(lambda value: json.dumps(value).encode(), JSON)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.lists(PAYLOADS, min_size=1, max_size=4), max_size=6), st.integers(-5000, 5000))
def test_nothing_that_comes_raises(batches, step):
    exchange = connection(EVERYTHING, {"args": [{"a": "x", "b": "y"}], "c": 1}, "text", per_second=2)
    exchange.commands()
    for number, payloads in enumerate(batches):
        assert isinstance(exchange.inspect(payloads), Inspection)
        assert isinstance(exchange.tick(NOW + number * step), Inspection)
        [exchange.expects_text(payload) for payload in payloads]
        exchange.channels()
        exchange.unacknowledged()
