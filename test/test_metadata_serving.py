"""The names of an environment's key fields are checked for its exchange, without looking for their values."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ssmd import wiring
from ssmd.commands import validate
from ssmd.metadata.loader import check

TODAY = date(2026, 3, 1)
ENVIRONMENT = "name: x\nfeed: x\nstorage: {type: local, path: data}\ndata_timeout_seconds: 60\n"
KEY = "{{type: {}, fields: [{}], source: env}}"
RIGHT = KEY.format("api_key", "api_key, api_secret")


LIVE = "wss://example.com/ws"
UNNUMBERED = (
    "warning (lenient): versions[0].dialect: has no `paths.sequence`, so lost messages cannot be detected on this feed"
)


def problems(
    folder, keys: str, endpoint: str = LIVE, exchange: str = "kalshi", version: str = "", more: str = ""
) -> list[str]:
    """The problems of an environment with these keys, without the name of the file; `version` has further fields, and
    `more` those of the feed.

    UNNUMBERED, which nearly every feed with the generic dialect has here, is left out.
    """
    found = all_problems(folder, keys, endpoint, exchange, version, more)
    return [line for line in found if line != UNNUMBERED]


def all_problems(folder, keys: str, endpoint: str, exchange: str, version: str, more: str = "") -> list[str]:
    for name in ("environments", "feeds"):
        (folder / name).mkdir(exist_ok=True)
    version = f"{{version: v1, effective_from: 2025-01-01, endpoint: '{endpoint}', exchange: {exchange}{version}}}"
    (folder / "feeds/x.yaml").write_text(f"name: x\ntype: websocket\nversions: [{version}]\n{more}\n")
    (folder / "environments/x.yaml").write_text(f"{ENVIRONMENT}{keys}\n")
    found = check(folder, TODAY, wiring.parts()).problems
    return [
        f"{'warning' if problem.warning else 'error'}{' (lenient)' if problem.lenient else ''}: "
        f"{problem.field}: {problem.message}"
        for problem in found
    ]


def test_valid_key_fields_have_no_problem(tmp_path):
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}") == []
    two = f"{{id: {KEY.format('api_key', 'api_key')}, secret: {KEY.format('api_key', 'private_key')}}}"
    assert problems(tmp_path, f"keys: {two}") == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "api_key, api_secrt",
            ["error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?"],
        ),
        (
            "id, secret",
            [
                "warning: keys.one.fields[0]: is not a key field of Kalshi, and has no effect; remove it",
                "error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?",
                "error: keys.one.fields: Kalshi signs every connection; a key of the type api_key must have `api_key` "
                "(the key's id) in `fields`",
            ],
        ),
        (
            "api_key, api_secret, passphrase",
            ["warning: keys.one.fields[2]: is not a key field of Kalshi, and has no effect; remove it"],
        ),
        (
            "api_key, api_secret, private_key",
            ["error: keys.one.fields[2]: is another name of `api_secret`; keep one of the two"],
        ),
    ],
)
def test_wrong_fields_are_found_without_looking_for_the_values(tmp_path, fields, expected):
    assert problems(tmp_path, f"keys: {{one: {KEY.format('api_key', fields)}}}") == expected


@pytest.mark.parametrize("keys", ["", "keys:", f"keys: {{one: {KEY.format('oauth', 'api_key, api_secret')}}}"])
def test_an_environment_without_the_keys_that_its_exchange_demands_is_an_error(tmp_path, keys):
    assert problems(tmp_path, keys)[-1] == (
        "error: keys: Kalshi signs every connection; a key of the type api_key must have `api_key` (the key's id) and "
        "`api_secret` (its private key) in `fields`"
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [(("type: api_key", "type: api-key"), "type"), (("source: env", "source: 5, rotation_days: x"), "rotation_days")],
)
def test_the_fields_are_checked_whatever_else_is_wrong_with_the_key(tmp_path, change, field):
    key = KEY.format("api_key", "api_key, api_secrt").replace(*change)
    found = problems(tmp_path, f"keys: {{one: {key}}}")
    assert f"error: keys.one.{field}: " in "".join(found)
    assert "error: keys.one.fields[1]: is not a key field of Kalshi; did you mean `api_secret`?" in found


def test_two_keys_of_one_type_may_not_share_a_field(tmp_path):
    assert problems(tmp_path, f"keys: {{one: {RIGHT}, two: {KEY.format('api_key', 'api_key')}}}") == [
        "error: keys.two.fields[0]: `api_key` is also a field of the key `one`, which has the same type; give each its "
        "own name, or remove one of the keys"
    ]
    other = KEY.format("nats", "api_key")
    assert [line for line in problems(tmp_path, f"keys: {{one: {RIGHT}, two: {other}}}") if "error" in line] == []


def test_a_key_of_an_unknown_type_is_a_warning_and_a_misspelt_type_is_an_error(tmp_path):
    for kind in ("vault", "oauth"):
        assert problems(tmp_path, f"keys: {{one: {RIGHT}, two: {KEY.format(kind, 'x')}}}") == [
            "warning (lenient): keys.two.type: has no effect in this version: only keys of the types api_key, nats, "
            "kafka, mqtt and s3 are used"
        ]
    found = problems(tmp_path, f"keys: {{one: {KEY.format('api-key', 'api_key, api_secret')}}}")
    assert found[0] == "error: keys.one.type: is not a type that ssmd knows; did you mean `api_key`?"
    assert problems(tmp_path, f"keys: {{one: {KEY.format('', 'api_key, api_secret')}}}") == [
        "error: keys.one.type: is required; add it"
    ]


@pytest.mark.parametrize(
    ("endpoint", "exchange", "message"),
    [
        (
            "wss://example.com",
            "generic",
            "have no effect in this version: neither the feed nor `subscribe` has a placeholder for them",
        ),
        ("sim://kalshi", "kalshi", "have no effect on this feed, whose exchange is simulated"),
    ],
)
def test_keys_that_nobody_uses_are_a_warning(tmp_path, endpoint, exchange, message):
    expected = [f"warning (lenient): keys.one.fields: {message}"]
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}", endpoint, exchange) == expected
    assert problems(tmp_path, "", endpoint, exchange) == []


def test_a_simulated_exchange_needs_its_own_dialect(tmp_path):
    assert problems(tmp_path, "", "sim://kalshi", "generic")[-1:] == [
        "error: versions[0].endpoint: simulates kalshi, and the feed's dialect is `generic`; set `exchange: kalshi` "
        "beside it"
    ]
    assert [line for line in problems(tmp_path, "", "sim://kalshi", "kalshy") if "simulates" in line] == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("auth_method: api_key", "nothing that is sent to the exchange uses a key"),
        ("max_symbols_per_connection: 5", "the exchange's dialect does not know markets"),
    ],
)
def test_a_field_of_a_feed_that_its_dialect_does_not_heed_is_a_warning(tmp_path, field, message):
    name = field.partition(":")[0]
    found = problems(tmp_path, "", exchange="generic", version=f", {field}")
    assert found == [f"warning (lenient): versions[0].{name}: has no effect in this version: {message}"]
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}", version=f", {field}") == []


ASKED = "asked: {channel: params.channel, market: 'params.symbol[*]'}"
MESSAGES = "subscribe: {messages: [{params: {channel: a, symbol: [A, B]}}, {params: {channel: b, symbol: [B, C]}}]}\n"


@pytest.mark.parametrize(
    ("most", "found"),
    [(2, ["error: subscribe: has 3 markets; the feed allows 2 (max_symbols_per_connection); remove some"]), (3, [])],
)
def test_the_markets_of_a_described_exchange_are_counted(tmp_path, most, found):
    version = f", dialect: {{{ASKED}}}, max_symbols_per_connection: {most}"
    reported = problems(tmp_path, MESSAGES, exchange="generic", version=version)
    assert [line for line in reported if "max_symbols" in line] == found


def test_a_limit_of_markets_that_a_description_does_not_know_is_a_warning(tmp_path):
    version = ", dialect: {asked: {channel: params.channel}}, max_symbols_per_connection: 2"
    reported = problems(tmp_path, MESSAGES, exchange="generic", version=version)
    assert [line for line in reported if "max_symbols" in line] == [
        "warning (lenient): versions[0].max_symbols_per_connection: has no effect in this version: the exchange's "
        "dialect does not know markets"
    ]


def in_feed(*arguments, **more) -> list[str]:
    """The problems of the feed's file alone."""
    return [line for line in problems(*arguments, **more) if ": versions[0]" in line]


GENERIC = {"endpoint": "wss://example.com/ws", "exchange": "generic"}


def test_a_feed_on_which_loss_cannot_be_detected_is_noted(tmp_path):
    for exchange, found in (("generic", [UNNUMBERED]), ("kalshi", [])):
        keys = f"keys: {{one: {RIGHT}}}" if exchange == "kalshi" else ""
        assert all_problems(tmp_path, keys, "wss://example.com/ws", exchange, "") == found


@pytest.mark.parametrize(
    ("version", "more", "field"),
    [
        (", dialect: {paths: {sequence: {plus_one: a..b, scope: connection}}}", "", "versions[0].dialect.paths"),
        (", dialect: {paths: {sequnce: {plus_one: a, scope: connection}}}", "", "versions[0].dialect.paths.sequnce"),
        ("", "dialect: {paths: {sequence: {plus_one: a, scope: connection}}}", "dialect"),
        ("", "message_types: {trade: {sequenced: true, sequence_scope: global}}", "message_types.trade.sequence_field"),
    ],
)
def test_a_feed_whose_sequence_has_an_error_is_not_called_one_without(tmp_path, version, more, field):
    found = all_problems(tmp_path, "", LIVE, "generic", version, more)
    [error] = [line for line in found if field in line]
    assert error.startswith(f"error: {field}")
    assert UNNUMBERED not in found


def test_a_description_is_checked_with_its_place_in_the_file(tmp_path):
    version = ", dialect: {keep_alve: 1, paths: {time: {path: a, format: x}}}, parser_config: {}"
    lines = in_feed(tmp_path, "", **GENERIC, version=version)
    assert [line.partition(": must")[0].partition(": is")[0] for line in lines] == [
        "warning (lenient): versions[0].parser_config: has no effect in this version",
        "error: versions[0].dialect.keep_alve",
        "error: versions[0].dialect.paths.time.format",
    ]


def test_a_description_is_for_the_generic_dialect(tmp_path):
    assert in_feed(tmp_path, f"keys: {{one: {RIGHT}}}", version=", dialect: {decompress: gzip}") == [
        "error: versions[0].dialect: is for the dialect `generic`: `kalshi` knows Kalshi's messages; remove it"
    ]
    # Existing feeds of Kalshi have these.
    assert problems(tmp_path, f"keys: {{one: {RIGHT}}}", more="message_types: {trade: {sequenced: true}}") == [
        "warning (lenient): message_types: has no effect in this version: the dialect `kalshi` knows "
        "Kalshi's messages"
    ]


def test_message_types_stand_beside_the_description(tmp_path):
    found = problems(tmp_path, "", **GENERIC, version=", dialect: {message_types: {}}")
    assert "error: versions[0].dialect.message_types: stands beside `versions`, not in `dialect`; move it there" in (
        found
    )


def test_message_types_are_a_description(tmp_path):
    types = "message_types: {trade: {identifier_field: product_id, sequenced: true, sequence_field: seq%s}}"
    scope = ", sequence_scope: per_product"
    assert all_problems(tmp_path, "", "wss://h/", "generic", "", types % scope) == []
    [deployment] = check(tmp_path, TODAY, wiring.parts()).deployments.values()
    assert list(deployment.description) == ["message_types"]
    found = all_problems(tmp_path, "", "wss://h/", "generic", "", types % "")
    assert found[0].startswith("error: feed: cannot be used")
    assert "error: message_types.trade.sequenced: needs `sequence_group_by` beside it" in "".join(found)


@pytest.mark.parametrize(
    ("endpoint", "exchange", "fault"),
    [
        ("wss://example.com/?t=${now_ms}&k=${key.k}", "generic", None),
        ("${prepared.endpoint}?t=${prepared.token}", "generic", None),
        ("wss://example.com/$${x}", "generic", None),
        ("${prepared.other}/ws", "generic", "has ${prepared.other}, a name that is not in `take` of `prepare`"),
        ("wss://example.com/${message.x}", "generic", "cannot have ${message.<path>} here"),
        ("wss://example.com/${kee.x}", "generic", "has `${kee.x}`, which is no placeholder"),
        ("wss://${key.k}/ws", "generic", "must not have a placeholder in its host"),
        ("${key.k}/ws", "generic", "must be the URL of a websocket"),
        ("wss://example.com/${now_ms}", "kalshi", "has `${`, and the dialect `kalshi` has no placeholders"),
    ],
)
def test_the_placeholders_of_an_endpoint(tmp_path, endpoint, exchange, fault):
    fields, prepare = "api_key, api_secret", ""
    if exchange == "generic":
        fields, prepare = "k", ", dialect: {prepare: {url: 'https://h/', take: {endpoint: a, token: b}}}"
    keys = f"keys: {{one: {KEY.format('api_key', fields)}}}"
    found = in_feed(tmp_path, keys, endpoint, exchange, prepare)
    assert [line[:31] for line in found] == ([] if fault is None else ["error: versions[0].endpoint: " + fault[:2]])
    assert all(fault in line for line in found)


TOKEN = f"keys: {{one: {KEY.format('api_key', 'token')}}}"


@pytest.mark.parametrize(
    ("version", "place"),
    [
        ("dialect: {headers: {X-Key: '${key.token}'}}", "dialect.headers.X-Key of the feed"),
        ("dialect: {keep_alive: [{every_seconds: 1, send: [{a: '${key.token}'}]}]}", "dialect.keep_alive[0].send of"),
        ("dialect: {replies: [{when: {a: b}, send: 'x${key.token}'}]}", "dialect.replies[0].send of the feed"),
        ("dialect: {prepare: {url: 'https://h/', body: '${key.token}', take: {a: b}}}", "dialect.prepare of the feed"),
        ("supports_trades: true, subscribe", "subscribe.messages[1]"),
    ],
)
def test_a_key_field_that_a_placeholder_names_must_be_there(tmp_path, version, place):
    more = ""
    if version.endswith("subscribe"):
        version, more = version.partition(",")[0], "\nsubscribe: {messages: [{}, {auth: ['${key.token}']}]}"
    assert problems(tmp_path, TOKEN + more, **GENERIC, version=f", auth_method: api_key, {version}") == []
    [problem] = problems(tmp_path, more, **GENERIC, version=f", auth_method: api_key, {version}")
    assert problem.startswith(f"error: keys: lack the field `token`, which {place}")
    assert problem.endswith("; add it to `fields` of a key of the type api_key")
    [misspelt] = problems(tmp_path, TOKEN.replace("token", "tokn") + more, **GENERIC, version=f", {version}")
    assert misspelt.startswith("error: keys.one.fields[0]: is used by no placeholder; did you mean `token`, which")


def test_a_key_field_that_no_placeholder_names_is_a_warning_where_others_are_used(tmp_path):
    keys = f"keys: {{one: {KEY.format('api_key', 'token, spare')}}}"
    assert problems(tmp_path, keys, **GENERIC, version=", dialect: {headers: {X-Key: '${key.token}'}}") == [
        "warning: keys.one.fields[1]: has no effect: no placeholder `${key.spare}` uses it; remove it"
    ]


def test_prepared_values_may_stand_in_the_messages(tmp_path):
    messages = "subscribe: {messages: ['${prepared.token}']}"
    version = ", dialect: {prepare: {url: 'https://h/', take: {token: a}}}"
    assert problems(tmp_path, messages, **GENERIC, version=version) == []
    [problem] = problems(tmp_path, messages, **GENERIC)
    assert problem.startswith("error: subscribe.messages[0]: has ${prepared.token}, a name that is not in `take`")


def test_a_line_of_the_file_is_named(tmp_path):
    for name in ("environments", "feeds"):
        (tmp_path / name).mkdir()
    (tmp_path / "environments/x.yaml").write_text(ENVIRONMENT)
    feed = """name: x
type: websocket
versions:
- version: v1
  effective_from: 2025-01-01
  endpoint: wss://example.com/ws
  dialect:
    end_when:
    - when: {success: false}
      as: refused
    - when:
        data[0].x..y: 5
      as: refused
"""
    (tmp_path / "feeds/x.yaml").write_text(feed)
    found = check(tmp_path, TODAY, wiring.parts()).problems
    [problem] = [each for each in found if each.file == "feeds/x.yaml" and not each.warning]
    assert str(problem) == (
        "feeds/x.yaml:12: versions[0].dialect.end_when[1].when.data[0].x..y: is wrong: 'data[0].x..y' is not the path "
        "of a field; write it like data.trades[0].time"
    )


def test_the_version_in_force_counts(tmp_path):
    later = "}, {version: v2, effective_from: 2030-01-01, endpoint: 'wss://h/', dialect: {no: 1}"
    assert problems(tmp_path, "", **GENERIC, version=later) == []


SECRET = "q7Rk2Vx9Lm4Tz8Wn"
WRITTEN_OUT = (
    "looks like a key that is written out; move it to `keys` of the environment, and write `${key.<field>}` here"
)


@pytest.mark.parametrize(
    ("dialect", "field"),
    [
        (f"headers: {{X-API-KEY: {SECRET}}}", "headers.X-API-KEY"),
        (f"headers: {{Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{SECRET}.x}}", "headers.Authorization"),
        ("headers: {apiKey: 01234567-89ab-cdef-0123-456789abcdef}", "headers.apiKey"),
        (f"prepare: {{url: 'https://example.com/a?token={SECRET}', take: {{t: t}}}}", "prepare.url"),
        (f"prepare: {{url: 'https://example.com', body: {{a: {{signature: {SECRET}}}}}, take: {{t: t}}}}",
         "prepare.body.a.signature"),
        (f"keep_alive: [{{every_seconds: 5, send: {{auth: [1, {SECRET}]}}}}]", "keep_alive[0].send.auth[1]"),
        ("replies: [{when: {a: 1}, send: {api_secret: 'two words'}}]", "replies[0].send.api_secret"),
    ],
)  # fmt: skip
def test_a_key_that_is_written_out_in_a_description_is_a_warning(tmp_path, dialect, field):
    found = problems(tmp_path, "", LIVE, "generic", f", dialect: {{{dialect}}}")
    assert found == [f"warning: versions[0].dialect.{field}: {WRITTEN_OUT}"]
    assert SECRET not in str(found)


def test_a_key_that_is_written_out_in_an_endpoint_or_in_a_message_is_a_warning(tmp_path):
    messages = f"subscribe: {{messages: [{{op: login, args: {{key: {SECRET}}}}}]}}"
    assert problems(tmp_path, messages, f"{LIVE}?feed=a&apiKey={SECRET}", "generic") == [
        f"warning: subscribe.messages[0].args.key: {WRITTEN_OUT}",
        f"warning: versions[0].endpoint: {WRITTEN_OUT}",
    ]


@pytest.mark.parametrize(
    "message",
    [
        'key: "${key.token}"',
        "key: orderBookL2_25",
        "key: public-market-data-v1",
        "token_id: 71321045679252212594626385532706912750332728571942532289631379312455583992563",
        "token: ethereum",
        f"market: {SECRET}",
        "key: 12345678901234567890",
        "sign: [[[1]]]",
    ],
)
def test_what_only_has_a_name_like_a_key_is_no_warning(tmp_path, message):
    keys = f"keys: {{one: {KEY.format('api_key', 'token')}}}" if "${" in message else ""
    found = problems(tmp_path, f"{keys}\nsubscribe: {{messages: [{{op: a, {message}}}]}}", LIVE, "generic")
    assert found == []


def test_strict_passes_with_what_its_help_and_the_documents_name(tmp_path):
    match = ", dialect: {ignore: {ok: no}}"
    found = [line for line in all_problems(tmp_path, "", LIVE, "generic", match) if "dialect" in line]
    assert [line.partition(": ")[0] for line in found] == ["warning (lenient)"] * 2
    configuration = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text()
    for text in (validate.__doc__, configuration):
        assert "`paths.sequence`" in text
        assert "a match" in text


def test_an_error_in_asked_is_no_reason_to_call_other_fields_without_effect(tmp_path):
    version = ", max_symbols_per_connection: 5, dialect: {asked: {channel: a, market: b..c}}"
    found = problems(tmp_path, "silent_after_seconds: 5", LIVE, "generic", version)
    assert [line for line in found if "has no effect" in line] == []
    assert [line for line in found if "dialect.asked.market" in line]
