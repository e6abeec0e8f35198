"""Kalshi's dialect: what it signs and sends, and how it reads everything that may come back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.contracts.events import Acknowledged, Gap
from ssmd.contracts.exchange import Inspection
from ssmd.errors import ConfigError, Disconnected, SubscriptionRefused
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.exchange.kalshi.inspector import MOST_SIDS
from ssmd.exchange.kalshi.section import TICKERS_PER_COMMAND
from ssmd.store.ledger import Entry, encode_entry
from ssmd.store.line import LineEncoder

KEY_ID = "7d1c2a52-16b4-4f0b-9d53-21a94f0c7a10"
ED25519 = Ed25519PrivateKey.generate()
RSA = generate_private_key(65537, 2048)
NOW_MS = 1_790_000_000_123


def pem(key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


KEYS = {"api_key": KEY_ID, "api_secret": pem(ED25519)}


def kalshi(**subscribe: Any) -> Kalshi:
    return Kalshi(KEYS, subscribe)


def frame(**fields: Any) -> bytes:
    """A message as Kalshi sends it: compact, with a newline at the end."""
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def subscribed(id: int, channel: str, sid: int) -> bytes:
    return frame(type="subscribed", id=id, msg={"channel": channel, "sid": sid})


def ok(id: int, sid: int, seq: int, *tickers: str) -> bytes:
    return frame(id=id, sid=sid, seq=seq, type="ok", msg={"market_tickers": list(tickers)})


def trade(sid: int, seq: int, ts_ms: int = NOW_MS) -> bytes:
    return frame(type="trade", sid=sid, seq=seq, msg={"market_ticker": "KXRAIN-26OCT01-T2.5", "ts_ms": ts_ms})


def ticker(sid: int) -> bytes:
    return frame(type="ticker", sid=sid, msg={"market_ticker": "KXRAIN-26OCT01-T2.5", "price_dollars": "0.4100"})


def error(code: object, text: object = "no such thing", *, head: dict[str, Any] | None = None, **more: Any) -> bytes:
    return frame(type="error", **(head or {}), msg={"code": code, "msg": text, **more})


# What is signed and sent.


def test_the_signature_of_an_rsa_key_verifies_with_its_public_key():
    dialect = Kalshi({"api_key": KEY_ID, "api_secret": pem(RSA)}, {})
    headers = dialect.opening("wss://host/trade-api/ws/v2", NOW_MS).headers
    assert list(headers) == ["KALSHI-ACCESS-KEY", "KALSHI-ACCESS-TIMESTAMP", "KALSHI-ACCESS-SIGNATURE"]
    assert headers["KALSHI-ACCESS-KEY"] == KEY_ID
    assert headers["KALSHI-ACCESS-TIMESTAMP"] == "1790000000123"
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"], validate=True)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    RSA.public_key().verify(signature, b"1790000000123GET/trade-api/ws/v2", pss, hashes.SHA256())


def test_the_signature_of_an_ed25519_key_verifies_with_its_public_key():
    headers = kalshi().opening("wss://host/trade-api/ws/v2/margin", NOW_MS).headers
    signature = base64.b64decode(headers["KALSHI-ACCESS-SIGNATURE"], validate=True)
    ED25519.public_key().verify(signature, b"1790000000123GET/trade-api/ws/v2/margin")


def test_white_space_around_the_key_id_is_removed():
    headers = Kalshi({**KEYS, "api_key": f" {KEY_ID}\n"}, {}).opening("wss://host/ws", NOW_MS).headers
    assert headers["KALSHI-ACCESS-KEY"] == KEY_ID


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({}, "api_key and api_secret"),
        ({"api_key": KEY_ID}, "api_secret"),
        ({"api_key": KEY_ID, "api_secret": ""}, "api_secret"),
        ({"api_key": " \n", "api_secret": KEYS["api_secret"]}, "api_key"),
    ],
)
def test_missing_key_fields_are_named(keys, missing):
    with pytest.raises(ConfigError, match=f"give a value to {missing}$"):
        Kalshi(keys, {})


def test_a_private_key_in_the_place_of_the_key_id_is_never_sent():
    for private in (KEYS["api_secret"].replace("\n", "\\n"), "M" * 64):
        with pytest.raises(ConfigError, match="is it the private key") as refusal:
            Kalshi({**KEYS, "api_key": private}, {})
        assert "MMM" not in str(refusal.value)


def test_an_error_that_repeats_the_key_id_is_shown_without_it():
    error = {"type": "error", "id": 1, "msg": {"code": 5, "msg": f"{'x' * 180} {KEY_ID}", "market_ticker": KEY_ID}}
    failure = Kalshi(KEYS, {}).inspect([json.dumps(error).encode()]).failure
    assert "(hidden)" in str(failure)
    assert KEY_ID[:8] not in str(failure)


def test_an_error_that_repeats_the_handshake_is_shown_without_its_signature():
    exchange = Kalshi(KEYS, {})
    headers = exchange.opening("wss://host/trade-api/ws/v2", 1_767_225_600_250).headers
    signature = headers["KALSHI-ACCESS-SIGNATURE"]
    for repeated in (signature, signature[:40], signature[40:], f"headers {dict(headers)}"):
        error = {"type": "error", "id": 1, "msg": {"code": 5, "msg": f"bad {repeated}"}}
        shown = str(exchange.inspect([json.dumps(error).encode()]).failure)
        assert "bad (hidden)" in shown or "headers {'KALSHI-ACCESS-KEY': '(hidden)'" in shown
        assert not any(signature[at : at + 16] in shown for at in range(len(signature)))


@pytest.mark.parametrize("key_id", ["two\nlines-of-canary", "zwölf-canary", "bell\x07canary"])
def test_a_key_id_that_cannot_be_sent_in_a_header_is_refused_without_being_shown(key_id):
    with pytest.raises(ConfigError, match="is not plain text") as refusal:
        Kalshi({**KEYS, "api_key": key_id}, {})
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize(
    ("subscribe", "command"),
    [
        ({}, b'{"id":1,"cmd":"subscribe","params":{"channels":["ticker","trade","market_lifecycle_v2"]}}'),
        ({"channels": ["trade"]}, b'{"id":1,"cmd":"subscribe","params":{"channels":["trade"]}}'),
        (
            {"channels": ["orderbook_delta"], "market_tickers": ["KXA-1", "KXB-2.5"]},
            b'{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"],"use_yes_price":false,'
            b'"market_tickers":["KXA-1","KXB-2.5"]}}',
        ),
        (
            {"channels": ["ticker", "orderbook_delta"], "market_ticker": "KXA-1", "use_yes_price": True},
            b'{"id":1,"cmd":"subscribe","params":{"channels":["ticker","orderbook_delta"],'
            b'"market_ticker":"KXA-1","use_yes_price":true}}',
        ),
        (
            {"channels": ["ticker"], "send_initial_snapshot": True, "market_ids": ["c5ff"]},
            b'{"id":1,"cmd":"subscribe","params":{"channels":["ticker"],'
            b'"send_initial_snapshot":true,"market_ids":["c5ff"]}}',
        ),
    ],
)
def test_the_command_is_exactly_this(subscribe, command):
    assert list(kalshi(**subscribe).commands()) == [command]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (TICKERS_PER_COMMAND, [TICKERS_PER_COMMAND]),
        (TICKERS_PER_COMMAND + 1, [TICKERS_PER_COMMAND, 1]),
        (2 * TICKERS_PER_COMMAND + 7, [TICKERS_PER_COMMAND, TICKERS_PER_COMMAND, 7]),
    ],
)
def test_a_long_list_of_tickers_is_sent_in_several_commands(count, sizes):
    tickers = [f"KXLONG-{number}" for number in range(count)]
    subscribe = {"channels": ["orderbook_delta", "trade"], "market_tickers": tickers, "skip_ticker_ack": True}
    commands = [json.loads(command) for command in kalshi(**subscribe).commands()]
    assert [command["id"] for command in commands] == list(range(1, len(sizes) + 1))
    params = [command["params"] for command in commands]
    assert [len(each["market_tickers"]) for each in params] == sizes
    assert [ticker for each in params for ticker in each.pop("market_tickers")] == tickers
    assert params == [
        {"channels": ["orderbook_delta", "trade"], "skip_ticker_ack": True, "use_yes_price": False}
    ] * len(sizes)


@pytest.mark.parametrize(
    ("subscribe", "problems"),
    [
        ({}, []),
        ({"channels": ["trade"]}, []),
        ({"channels": ["orderbook_delta"], "market_ticker": "KXA-1"}, []),
        ({"channels": ["orderbook_delta"], "market_tickers": ["KXA-1"], "use_yes_price": True}, []),
        ({"channels": []}, [("channels", "is empty", False)]),
        ({"channels": None}, [("channels", "must be a list of names", False)]),
        ({"channels": 5}, [("channels", "must be a list of names", False)]),
        ({"channels": True}, [("channels", "must be a list of names", False)]),
        ({"channels": "orderbook_delta"}, [("channels", "must be a list of names", False)]),
        ({"channels": {"orderbook_delta": 1}}, [("channels", "must be a list of names", False)]),
        ({"channels": [["orderbook_delta"]]}, [(("channels", 0), "must be a name", False)]),
        ({"market_tickers": "KXA-1"}, [("market_tickers", "must be a list of names", False)]),
        ({"market_tickers": ["KXA-1", 7]}, [(("market_tickers", 1), "must be a name", False)]),
        ({"market_ids": {}}, [("market_ids", "must be a list of names", False)]),
        ({"channels": ["orderbook_delta"]}, [("channels", "orderbook_delta needs market_tickers", False)]),
        (
            {"channels": ["orderbook_delta"], "market_tickers": []},
            [("market_tickers", "is empty; name at least one, or leave it out", False)],
        ),
        (
            {"market_ticker": "KXA-1", "market_tickers": ["KXB-2"]},
            [("market_ticker", "cannot be used together with market_tickers", False)],
        ),
        ({"chanels": ["trade"]}, [("chanels", "Kalshi's subscribe command; did you mean `channels`?", False)]),
        ({"marketTickers": ["KXA-1"]}, [("marketTickers", "did you mean `market_tickers`?", False)]),
        ({"tickers": ["KXA-1"]}, [("tickers", "it is sent as it is; did you mean `market_tickers`?", True)]),
        ({"zzz": 1}, [("zzz", "is not a parameter of Kalshi's subscribe command; it is sent as it is", True)]),
    ],
)
def test_the_subscribe_section_is_checked(subscribe, problems):
    found = list(Kalshi.check(subscribe))
    assert [(problem.path, problem.warning) for problem in found] == [
        (place if isinstance(place, tuple) else (place,), warning) for place, _, warning in problems
    ]
    for problem, (_, message, _) in zip(found, problems, strict=True):
        assert message in problem.message


# What is confirmed.


def bare(inspection):
    """Return the inspection without what is only for the ledger and the manifest: places, tickers and heads."""
    events = [
        event._replace(place=0, tickers=(), acknowledged=None)
        if isinstance(event, Acknowledged)
        else event._replace(place=0)
        for event in inspection.events
    ]
    return inspection._replace(events=events, heads=())


def test_every_channel_of_a_command_is_acknowledged_on_its_own():
    dialect = kalshi(channels=["ticker", "trade"])
    assert list(dialect.unacknowledged()) == ["ticker (command 1)", "trade (command 1)"]
    assert bare(dialect.inspect([subscribed(1, "trade", 1)])).events == [Acknowledged("trade", 1)]
    assert list(dialect.unacknowledged()) == ["ticker (command 1)"]
    assert bare(dialect.inspect([subscribed(1, "ticker", 2)])).events == [Acknowledged("ticker", 2)]
    assert list(dialect.unacknowledged()) == []


def test_further_tickers_are_acknowledged_by_ok():
    tickers = [f"KXLONG-{number}" for number in range(2 * TICKERS_PER_COMMAND)]
    dialect = kalshi(channels=["orderbook_delta", "trade"], market_tickers=tickers)
    dialect.inspect([subscribed(1, "orderbook_delta", 1), subscribed(1, "trade", 2)])
    assert list(dialect.unacknowledged()) == ["orderbook_delta (command 2)", "trade (command 2)"]
    inspection = dialect.inspect([trade(2, 1), ok(2, 2, 2, *tickers)])
    assert bare(inspection) == Inspection(True, [Acknowledged("trade", 2)])
    assert list(dialect.unacknowledged()) == ["orderbook_delta (command 2)"]
    assert bare(dialect.inspect([ok(2, 1, 1, *tickers)])).events == [Acknowledged("orderbook_delta", 1)]
    assert list(dialect.unacknowledged()) == []


def test_an_ok_with_its_tickers_at_the_top_counts_too():
    tickers = [f"KXLONG-{number}" for number in range(TICKERS_PER_COMMAND + 1)]
    dialect = kalshi(channels=["trade"], market_tickers=tickers)
    dialect.inspect([subscribed(1, "trade", 6)])
    reply = frame(id=2, sid=6, seq=1, type="ok", market_tickers=tickers)
    assert bare(dialect.inspect([reply])) == Inspection(True, [Acknowledged("trade", 6)])
    assert list(dialect.unacknowledged()) == []


def test_an_ok_without_a_known_subscription_confirms_the_whole_command():
    dialect = kalshi(channels=["ticker", "trade"])
    reply = frame(id=1, type="ok", msg=[{"channel": "ticker", "sid": 1}])
    assert bare(dialect.inspect([reply])).events == [Acknowledged("ticker", None), Acknowledged("trade", None)]
    assert list(dialect.unacknowledged()) == []


def test_data_may_come_before_the_acknowledgement():
    dialect = kalshi(channels=["trade"])
    assert bare(dialect.inspect([trade(4, 1), trade(4, 2)])) == Inspection(True, [], NOW_MS)
    inspection = dialect.inspect([trade(4, 3), subscribed(1, "trade", 4), trade(4, 4)])
    assert bare(inspection) == Inspection(True, [Acknowledged("trade", 4)], NOW_MS)


def test_an_acknowledgement_has_its_place_and_what_was_asked_for():
    tickers = [f"KXLONG-{number}" for number in range(TICKERS_PER_COMMAND + 1)]
    dialect = kalshi(channels=["trade"], market_tickers=tickers)
    [first, second] = dialect.inspect([trade(6, 1), subscribed(1, "trade", 6), ok(2, 6, 2, *tickers)]).events
    assert first == Acknowledged("trade", 6, 1, tickers[:TICKERS_PER_COMMAND], None)
    assert second == Acknowledged("trade", 6, 2, tickers[TICKERS_PER_COMMAND:], 1)


def test_without_keys_a_recording_gives_the_same_gaps_as_live():
    payloads = [subscribed(1, "trade", 1), trade(1, 1), b"oops", trade(1, 4), error(25, head={"sid": 1, "seq": 6})]
    live, kept = kalshi(channels=["trade"]).inspect(payloads), Kalshi.inspector().inspect(payloads)
    assert [event for event in live.events if isinstance(event, Gap)] == list(kept.events)
    assert kept.events == [Gap(1, 2, 4, place=3), Gap(1, 5, 6, place=4)]
    assert [(head.type, head.sid, head.seq) for head in kept.heads] == [
        ("subscribed", 0, None),
        ("trade", 1, 1),
        ("", 0, None),
        ("trade", 1, 4),
        ("error", 1, 6),
    ]


def test_a_channel_named_twice_is_acknowledged_once():
    dialect = kalshi(channels=["trade", "trade"])
    assert list(dialect.unacknowledged()) == ["trade (command 1)"]
    dialect.inspect([subscribed(1, "trade", 1)])
    assert list(dialect.unacknowledged()) == []


@pytest.mark.parametrize(
    "reply",
    [
        subscribed(9, "trade", 1),
        subscribed(1, "ticker", 1),
        frame(type="subscribed", id=1, msg=None),
        frame(type="subscribed", id=1),
        frame(type="subscribed", id=1, msg=["trade"]),
        frame(type="subscribed", id=1, msg={"channel": ["trade"], "sid": {}}),
        frame(type="subscribed", id="1", msg={"channel": "trade", "sid": 1}),
        frame(type="orderbook_snapshot", id=1, sid=1, seq=1, msg={}),
        frame(id=1),
        frame(id=1, type=None),
    ],
)
def test_what_does_not_answer_a_command_confirms_nothing(reply):
    dialect = kalshi(channels=["trade"])
    inspection = dialect.inspect([reply])
    assert (inspection.events, inspection.failure) == ([], None)
    assert list(dialect.unacknowledged()) == ["trade (command 1)"]


@pytest.mark.parametrize("head", [{}, {"id": 1}])
def test_a_subscription_that_ends_unasked_ends_the_run(head):
    dialect = kalshi(channels=["trade"])
    dialect.inspect([subscribed(1, "trade", 5)])
    failure = dialect.inspect([trade(5, 1), frame(type="unsubscribed", sid=5, seq=2, **head)]).failure
    assert isinstance(failure, Disconnected)
    assert str(failure) == "Kalshi has ended the subscription on trade (sid 5)"


@pytest.mark.parametrize("channel", ["\ud800", "x" * 900_000, "\x1b[2J", KEY_ID])
def test_a_channel_that_was_not_asked_for_is_not_repeated(channel):
    dialect = kalshi(channels=["trade"])
    dialect.inspect([subscribed(1, channel, 5)])
    failure = dialect.inspect([error(10, head={"sid": 5})]).failure
    assert "on a subscription (sid 5)" in str(failure)


# Sequence numbers.


def gaps_of(*inspections: Inspection) -> list[Gap]:
    """Return the gaps without their places, which depend on the batches."""
    return [event._replace(place=0) for each in inspections for event in each.events if isinstance(event, Gap)]


@pytest.mark.parametrize(
    ("payloads", "gaps"),
    [
        ([trade(1, 1), trade(1, 2), trade(1, 3)], []),
        ([trade(1, 700), trade(1, 701)], []),
        ([trade(1, 1), trade(1, 3)], [Gap(1, 2, 3)]),
        ([trade(1, 1), trade(1, 100), trade(1, 101), trade(1, 103)], [Gap(1, 2, 100), Gap(1, 102, 103)]),
        ([trade(1, 1), trade(2, 1), trade(1, 2), trade(2, 2)], []),
        ([trade(1, 1), trade(2, 5), trade(1, 3), trade(2, 6), trade(2, 8)], [Gap(1, 2, 3), Gap(2, 7, 8)]),
        ([trade(1, 1), ticker(2), ticker(2), trade(1, 2), ticker(1), trade(1, 3)], []),
        ([trade(1, 1), ok(5, 1, 2), trade(1, 3)], []),
        ([trade(1, 1), ok(5, 1, 3), trade(1, 4)], [Gap(1, 2, 3)]),
        ([trade(1, 1), frame(id=5, sid=1, seq=2, type="unsubscribed"), trade(1, 3)], []),
        ([trade(1, 1), error(8, head={"sid": 1, "seq": 2}), trade(1, 3)], []),
        ([trade(1, 1), error(8, head={"id": 1}), trade(1, 2)], []),
        ([trade(1, 5), trade(1, 4), trade(1, 5)], [Gap(1, 6, 4)]),
        ([trade(1, 5), trade(1, 5), trade(1, 6)], [Gap(1, 6, 5)]),
        ([frame(type="trade", sid=1, seq=0), frame(type="trade", sid=1, seq=0), trade(1, 1)], []),
        ([frame(type="trade", sid=1, seq=None, msg={}), trade(1, 1), trade(1, 2)], []),
        ([frame(type="trade", seq=1), frame(type="trade", seq=3)], [Gap(0, 2, 3)]),
    ],
)
def test_gaps_are_found_however_the_messages_are_batched(payloads, gaps):
    assert gaps_of(kalshi(channels=["trade"]).inspect(payloads)) == gaps
    dialect = kalshi(channels=["trade"])
    assert gaps_of(*[dialect.inspect([payload]) for payload in payloads]) == gaps


@pytest.mark.parametrize("size", [1, 7, MOST_SIDS + 2], ids="in batches of {}".format)
def test_an_exchange_that_always_uses_new_sids_ends_the_run(size):
    """What is kept for each sid would grow without limit. Up to the limit gaps are found as ever."""
    dialect = kalshi(channels=["trade"])
    payloads = [trade(sid, 1) for sid in range(1, MOST_SIDS + 1)] + [trade(7, 3)]
    batches = [payloads[at : at + size] for at in range(0, len(payloads), size)]
    inspections = [dialect.inspect(batch) for batch in batches]
    assert [inspection.failure for inspection in inspections if inspection.failure] == []
    assert len(gaps_of(*inspections)) == sum(len(inspection.events) for inspection in inspections)
    assert gaps_of(*inspections) == [Gap(7, 2, 3)]
    one_more = dialect.inspect([trade(7, 4), trade(MOST_SIDS + 1, 1), trade(7, 6), error(25)])
    assert isinstance(one_more.failure, Disconnected)
    assert str(one_more.failure) == f"Kalshi has numbered the messages of more than {MOST_SIDS:,} subscriptions"
    assert one_more.events == [Gap(7, 5, 6, place=2)]


@pytest.mark.parametrize(("expected", "got", "missing"), [(2, 3, 1), (2, 100, 98), (6, 4, 0), (6, 5, 0)])
def test_a_gap_says_how_many_messages_are_missing(expected, got, missing):
    assert Gap(1, expected, got).missing == missing


GARBAGE = [
    b"",
    b"\n",
    b"\0",
    b"\xff\xfe\xfd",
    b"\xef\xbb\xbf{}",
    b"[]",
    b"[1,2,3,4]",
    b"null",
    b"true",
    b"5",
    b'"type"',
    b"{}{}",
    b'{"type":"trade","sid":1,"seq":9',
    b'{"type":1}',
    b'{"type":["error"]}',
    b'{"type":null,"sid":null,"seq":null,"id":null}',
    b'{"seq":"x"}',
    b'{"seq":1.5,"sid":1}',
    b'{"seq":true,"sid":1}',
    b'{"seq":-7,"sid":1}',
    b'{"seq":[],"sid":{}}',
    b'{"sid":"1","seq":99,"seq":"99"}',
    b'{"id":5,"type":"subscribed","msg":null}',
    b'{"id":true,"type":"ok"}',
    b'{"id":-5,"type":"ok"}',
    b'{"id":1.5,"type":"ok"}',
    b'{"id":5}',
    b'{"type":"trade","sid":1,"seq":' + b"9" * 30 + b"}",
    b'{"type":"trade","sid":1,"seq":' + b"9" * 5000 + b"}",
    b'{"type":"trade","sid":1,"seq":1e400}',
    b'{"type":"trade","msg":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"type":"subscribed","id":1,"msg":{"x":"\xff"}}',
    b'{"type":"subscribed","id":1,"msg":{"x":' + b"9" * 5000 + b"}}",
    b'{"type":"ok","id":1,"sid":77,"msg":{"x":"\\ud800"}}',
    b'{"type":"trade","msg":{"ts_ms":' + b"9" * 400 + b"}}",
    b'{"type":"trade","msg":{"ts_ms":NaN}}',
]


def label(payload: bytes) -> str:
    return repr(payload[:40])


@pytest.mark.parametrize("garbage", GARBAGE, ids=label)
def test_garbage_does_not_end_the_run_and_hides_no_gap(garbage):
    inspection = kalshi().inspect([garbage])
    assert inspection.failure is None
    assert inspection.exchange_ms is None
    assert not [event for event in inspection.events if isinstance(event, Gap)]
    batch = [trade(1, 1), garbage, trade(1, 2), trade(1, 4), garbage, trade(1, 5)]
    inspection = kalshi().inspect(batch)
    assert [event for event in inspection.events if isinstance(event, Gap)] == [Gap(1, 3, 4, place=3)]
    assert inspection.exchange_ms == NOW_MS


def test_a_message_that_is_not_quite_json_still_uses_up_its_number():
    odd = b'{"type":"trade","sid":1,"seq":2,"msg":{"note":"\\ud800"}}\n'
    assert bare(kalshi().inspect([trade(1, 1), odd, trade(1, 3)])) == Inspection(False, [], NOW_MS)


@pytest.mark.parametrize(
    ("payloads", "decoded"),
    [
        ([trade(1, 1), ticker(2)], True),
        ([subscribed(1, "trade", 1)], True),
        ([trade(1, 1), b"not json"], False),
        ([b"{}{}"], False),
        ([b'{"a":NaN}'], False),
        ([b'{"a":"\\ud800"}'], False),
        # Valid JSON, but not the form that the decoder expects: the encoder of lines checks it again.
        ([b"[]"], False),
    ],
)
def test_decoded_says_whether_a_decoder_has_accepted_every_payload(payloads, decoded):
    assert kalshi().inspect(payloads).decoded is decoded


@pytest.mark.parametrize(
    ("payloads", "exchange_ms"),
    [
        ([trade(1, 1, 1_790_000_000_001), trade(1, 2, 1_790_000_000_009)], 1_790_000_000_009),
        ([trade(1, 1), ticker(2)], None),
        ([ticker(2), trade(1, 1)], NOW_MS),
        ([subscribed(1, "trade", 1)], None),
        ([frame(type="trade", msg={"ts_ms": "1790000000009"})], None),
        ([frame(type="trade", msg={"ts_ms": None})], None),
        ([frame(type="trade", msg={"ts_ms": -5})], None),
        ([frame(type="trade", msg={"ts_ms": 10**17})], None),
        ([frame(type="trade", msg=[])], None),
        ([b"not json"], None),
    ],
)
def test_the_exchange_time_is_that_of_the_last_message(payloads, exchange_ms):
    assert kalshi().inspect(payloads).exchange_ms == exchange_ms


# Errors.

RESTART_HELPS = {10, 17, 18, 25}
NO_END = {26, 27}


@pytest.mark.parametrize("code", sorted({*range(1, 30)} - NO_END))
def test_every_error_ends_the_run_with_the_code_that_says_whether_a_restart_helps(code):
    failure = kalshi().inspect([error(code, f"reason of {code}", head={"id": 1}, market_ticker="KXGONE-1")]).failure
    expected = Disconnected if code in RESTART_HELPS else SubscriptionRefused
    assert type(failure) is expected
    assert failure.exit_code == (75 if code in RESTART_HELPS else 78)
    assert str(failure).startswith(f"Kalshi error {code}: reason of {code} (KXGONE-1); ")


def test_an_error_of_a_subscription_names_its_channel():
    dialect = kalshi(channels=["trade"])
    dialect.inspect([subscribed(1, "trade", 3)])
    failure = dialect.inspect([error(25, "buffer overflow", head={"sid": 3, "seq": 1})]).failure
    assert str(failure) == (
        "Kalshi error 25 on trade (sid 3): buffer overflow; that subscription is over; a restart asks again; "
        "if this happens often, name fewer markets, or divide them among several collectors with --shard"
    )
    failure = dialect.inspect([error(10, "broken", head={"sid": 4})]).failure
    assert str(failure) == (
        "Kalshi error 10 on a subscription (sid 4): broken; that subscription is over; a restart asks again"
    )


def test_an_error_in_the_middle_of_a_batch_does_not_hide_what_is_around_it():
    inspection = kalshi(channels=["trade"]).inspect(
        [subscribed(1, "trade", 1), trade(1, 1), error(25, head={"sid": 1, "seq": 2}), trade(1, 4)]
    )
    assert bare(inspection).events == [Acknowledged("trade", 1), Gap(1, 3, 4)]
    assert isinstance(inspection.failure, Disconnected)
    assert inspection.decoded


def test_an_error_names_the_tickers():
    failure = kalshi().inspect([error(8, "unknown", market_tickers=["KXA-1", "KXB-2"])]).failure
    assert "KXA-1" in str(failure)
    assert "KXB-2" in str(failure)


@pytest.mark.parametrize(
    "payload",
    [
        error(8, "one\ntwo\x1b[31m\u2028\u202e"),
        error("8\nforged\x1b[0m"),
        error(8, market_ticker="A\nB\x1b[2J"),
        error(8, market_tickers=["A\u2028", "\x9b"]),
        error(8, "x" * 100_000, market_tickers=["KXLONG-1"] * 10_000),
        error(["x" * 100_000]),
        error(8, "a lone \udcff surrogate"),
        b'{"type":"error","msg":{"code":8,"msg":"\xff\xfe"}}',
    ],
    ids=label,
)
def test_the_text_of_an_error_is_made_fit_for_a_log(payload):
    failure = kalshi().inspect([payload]).failure
    text = str(failure)
    assert text.isprintable()
    assert text.encode("utf-8")
    assert len(text) < 700


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (frame(type="error"), SubscriptionRefused),
        (frame(type="error", msg=None), SubscriptionRefused),
        (frame(type="error", msg="text"), SubscriptionRefused),
        (frame(type="error", msg=[]), SubscriptionRefused),
        (frame(type="error", msg={}), SubscriptionRefused),
        (error(None, None), SubscriptionRefused),
        (error([10]), SubscriptionRefused),
        (error({"code": 10}), SubscriptionRefused),
        (error("10"), SubscriptionRefused),
        (error(10, head={"id": None, "sid": None, "seq": None}), Disconnected),
        (error(10, head={"id": "1", "sid": "2"}), Disconnected),
        (error(10, "a lone \udcff surrogate"), Disconnected),
        (b'{"type":"error","msg":{"code":10,"msg":"\xff"}}', Disconnected),
        (b'{"type":"error","msg":{"code":' + b"1" * 5000 + b"}}", SubscriptionRefused),
    ],
    ids=lambda value: label(value) if isinstance(value, bytes) else None,
)
def test_an_error_of_any_form_ends_the_run(payload, kind):
    failure = kalshi().inspect([payload]).failure
    assert type(failure) is kind
    assert str(failure).startswith("Kalshi error ")
    assert "None" not in str(failure) or payload == error(None, None)


# Anything.

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 30)
    | st.integers()
    | st.sampled_from([10**30, 2**53, 2**53 + 1, 2**63, 2**64])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["error", "ok", "subscribed", "unsubscribed", "trade", "ticker", "orderbook_snapshot"])
    | st.sampled_from(["orderbook_delta", "KXA-1", "KXB-2"]),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "msg", "channel", "sid", "ts_ms", "market_ticker", "market_tickers"]),
            children,
            max_size=4,
        )
    ),
    max_leaves=6,
)
REPLIES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["error", "ok", "subscribed", "orderbook_snapshot"]),
        "id": st.integers(0, 5),
        "msg": st.fixed_dictionaries(
            {},
            optional={
                "channel": st.sampled_from(["orderbook_delta", "ticker", "trade"]) | VALUES,
                "sid": st.integers(1, 3) | VALUES,
                "code": st.integers(1, 30) | VALUES,
                "market_ticker": st.sampled_from(["KXA-1", "KXB-2"]) | VALUES,
                "market_tickers": VALUES,
            },
        ),
    },
    optional={"sid": st.integers(1, 3), "seq": st.integers(0, 9)},
)
MESSAGES = REPLIES | st.dictionaries(st.sampled_from(["type", "sid", "seq", "id", "msg", "other"]), VALUES, max_size=6)
BYTES = (
    st.binary(max_size=40)
    | (MESSAGES | VALUES).map(lambda value: json.dumps(value).encode())
    | (MESSAGES | VALUES).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
)


@settings(max_examples=500)
@given(st.lists(BYTES, min_size=1, max_size=5))
def test_inspect_never_raises(payloads):
    dialect = kalshi()
    inspection = dialect.inspect(payloads)
    for event in inspection.events:
        if isinstance(event, Gap):
            # These are added up as floats.
            assert 0 <= (event.missing or 0) <= 2**53
    assert inspection.failure is None or str(inspection.failure).isprintable()
    assert all(isinstance(text, str) for text in dialect.unacknowledged())
    # Whatever it accepted makes the lines that a careful look makes.
    fast, careful = LineEncoder("kalshi"), LineEncoder("kalshi")
    assert fast.encode(0, payloads, inspection.decoded) == careful.encode(0, payloads)


@settings(max_examples=500)
@given(st.lists(st.lists(BYTES, min_size=1, max_size=5), max_size=5))
def test_a_connection_with_order_books_never_raises_and_what_it_reports_fits_into_the_ledger(batches):
    books = {"channels": ["orderbook_delta", "ticker"], "market_tickers": ["KXA-1", "KXB-2"]}
    dialect = Kalshi(KEYS, [books, {"channels": ["trade"]}])
    for number, payloads in enumerate(batches):
        for inspection in (dialect.inspect(payloads), dialect.tick(NOW_MS + 40_000 * number)):
            for event in inspection.events:
                encode_entry(Entry(0, "x", 0, 0, event._asdict()))
    for state in dialect.channels():
        assert 0 <= (state.heard or 0) <= 2
        assert 0 <= (state.confirmed or 0) <= 2
        assert (state.books_pending or 0) + (state.books_missing or 0) <= 2


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2)), min_size=1, max_size=40),
    st.lists(st.integers(1, 7), min_size=1, max_size=40),
)
def test_missing_messages_are_counted_exactly(steps, sizes):
    """Messages on three subscriptions, each preceded by some that are lost, in batches of any size."""
    last: dict[int, int] = {}
    payloads, lost = [], 0
    for sid, skipped in steps:
        lost += skipped if sid in last else 0
        last[sid] = last.get(sid, 0) + skipped + 1
        payloads.append(trade(sid, last[sid]))
    dialect = kalshi()
    missing = 0
    while payloads:
        size = sizes.pop() if sizes else len(payloads)
        batch, payloads = payloads[:size], payloads[size:]
        missing += sum(event.missing or 0 for event in dialect.inspect(batch).events if isinstance(event, Gap))
    assert missing == lost


def test_of_two_errors_the_first_ends_the_run():
    exchange = kalshi()
    payloads = [b'{"type":"error","id":1,"msg":{"code":8,"msg":"first"}}', b'{"type":"error","id":1,"msg":{"code":25}}']
    assert "first" in str(exchange.inspect(payloads).failure)


@pytest.mark.parametrize("name", ["channels", "market_tickers"])
def test_an_empty_list_is_an_error_and_does_not_mean_everything(name):
    assert [problem.path for problem in Kalshi.check({name: []})] == [(name,)]


@pytest.mark.parametrize(
    ("channel", "message", "warning"),
    [
        ("tickr", "is not a channel that ssmd knows; did you mean `ticker`?", False),
        ("trades", "is not a channel that ssmd knows; did you mean `trade`?", False),
        ("of_the_future", "is not a channel that ssmd knows; if Kalshi does not know it either, it refuses it", True),
        # The names of channels to come.
        ("ticker_v2", "it refuses it; did you mean `ticker`?", True),
        ("market_lifecycle_v3", "it refuses it; did you mean `market_lifecycle_v2`?", True),
        ("cfbenchmarks_value_10hz", "it refuses it", True),
        ("orderbook_snapshot", "it refuses it", True),
    ],
)
def test_a_misspelt_channel_is_an_error_and_another_unknown_one_a_warning(channel, message, warning):
    [problem] = Kalshi.check({"channels": ["trade", channel]})
    assert (problem.path, problem.warning) == (("channels", 1), warning)
    assert message in problem.message


# Parameters that Kalshi might add, or has for other commands.
@pytest.mark.parametrize(
    "name", ["action", "sids", "series_ticker", "event_tickers", "send_final_snapshot", "compression", "since", "shard"]
)
def test_a_parameter_to_come_is_a_warning(name):
    [problem] = Kalshi.check({name: 1})
    assert (problem.path, problem.warning) == ((name,), True)
