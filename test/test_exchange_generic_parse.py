"""The `dialect` section of a feed: what it becomes, and that each mistake in it is reported with its place."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd.contracts.exchange import CHAIN, COUNTER, RANGE
from ssmd.exchange.generic.description import (
    EMPTY,
    EXISTS,
    IS,
    NOT,
    PREFIX,
    Asking,
    Condition,
    Confirmation,
    Ending,
    KeepAlive,
    Pick,
    Prepare,
    Reply,
    Sequence,
)
from ssmd.exchange.generic.parse import parse, problems_of
from ssmd.field_path import parse_path
from ssmd.metadata.document import freeform
from ssmd.metadata.document import parse as parse_yaml


def path(text):
    return parse_path(text, every=True)


def pick(text, **more):
    return Pick((path(text),), **more)


def condition(name, test, value):
    return Condition(path(name), test, value)


def section(text):
    """Return the section as the loader makes it of YAML."""
    return freeform(parse_yaml(text.encode(), "feeds/x.yaml").data)


def parsed(text):
    """Return the description of a section in which nothing is wrong."""
    assert list(problems_of(section(text))) == []
    return parse(section(text))


def problems(text):
    """Return the problems as `place: message` lines."""
    return [f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems_of(section(text))]


def test_nothing_is_known_without_a_section():
    assert parse({}) == EMPTY
    assert list(problems_of({})) == []


def test_the_handshake():
    found = parsed(
        "{headers: {X-Key: '${key.k}', Cookie: 'a=${prepared.t}'}, subprotocol: v1.json, decompress: gzip,"
        " prepare: {url: 'https://h/p?k=${key.k}', headers: {A: b}, body: {t: '${now_s}'}, take: {t: d.t}}}"
    )
    assert found.headers == {"X-Key": "${key.k}", "Cookie": "a=${prepared.t}"}
    assert (found.subprotocol, found.decompress) == ("v1.json", "gzip")
    assert found.prepare == Prepare("https://h/p?k=${key.k}", "POST", {"A": "b"}, {"t": "${now_s}"}, {"t": path("d.t")})


def test_what_is_sent_again_and_again():
    found = parsed(
        "keep_alive: [{every_seconds: 20, send: {op: ping}}, {every_seconds: 0.5, send: ping, only_when_quiet: true}]"
    )
    assert found.keep_alive == (KeepAlive(20.0, {"op": "ping"}), KeepAlive(0.5, "ping", True))


def test_replies_and_endings():
    found = parsed(
        "{replies: [{when: {ping: {exists: true}}, send: {pong: '${message.ping}'}}],"
        " end_when: [{when: [{success: false}, {event: {prefix: err}}], as: refused},"
        " {when: {code: '64008'}, as: disconnected}, {close_code: 1008, as: refused}]}"
    )
    ping = ((condition("ping", EXISTS, True),),)
    assert found.replies == (Reply(ping, {"pong": "${message.ping}"}),)
    refusals = ((condition("success", IS, False),), (condition("event", PREFIX, "err"),))
    assert found.end_when == (
        Ending(refusals, None, True),
        Ending(((condition("code", IS, "64008"),),), None, False),
        Ending((), 1008, True),
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{a: 1}", [[("a", IS, 1)]]),
        ("{a: '1'}", [[("a", IS, "1")]]),
        ("{a: true}", [[("a", IS, True)]]),
        ("{a: null}", [[("a", IS, None)]]),
        ("{a: ''}", [[("a", IS, "")]]),
        ("{a: {exists: false}, 'b[0].c': x}", [[("a", EXISTS, False), ("b[0].c", IS, "x")]]),
        ("{'[0].type': x}", [[("[0].type", IS, "x")]]),
        ("[{a: 1}, {text: pong}]", [[("a", IS, 1)], [(None, IS, "pong")]]),
        ("{text: {prefix: NO}}", [[(None, PREFIX, "NO")]]),
        ("{a: {not: 0}, b: {not: null}}", [[("a", NOT, 0), ("b", NOT, None)]]),
    ],
)
def test_a_match(text, match):
    found = parsed(f"ignore: {text}").ignore
    assert [[(each.path and str(each.path), each.test, each.value) for each in one] for one in found] == match
    assert [[type(each.value) for each in one] for one in found] == [[type(each[2]) for each in one] for one in match]


def test_what_is_asked_for_and_confirmed():
    found = parsed(
        "{asked: {when: {method: subscribe}, channel: params.channel, market: 'params.symbol[*]', id: req_id},"
        " confirmed: {when: {success: true}, market: {path: 'result[*]', split: '@', part: 1}, id: req_id}}"
    )
    assert found.asked == Asking(
        ((condition("method", IS, "subscribe"),),), pick("params.channel"), pick("params.symbol[*]"), path("req_id")
    )
    assert found.confirmed == Confirmation(
        ((condition("success", IS, True),),), None, pick("result[*]", split="@", part=1), path("req_id")
    )


def test_paths():
    found = parsed(
        "paths: {type: {path: topic, split: '.', part: -1}, channel: topic, market: [data.s, 'data[0].s'],"
        " time: {path: ts, format: ms}, sequence: [{plus_one: n, scope: connection}, {range: [U, u], scope: market},"
        " {previous: [p, n], scope: {path: ch}, restart_when: {action: snapshot}, when: {n: 1}}]}"
    ).paths
    assert found.type == pick("topic", split=".", part=-1)
    assert found.channel == pick("topic")
    assert found.market == Pick((path("data.s"), path("data[0].s")))
    assert found.time == pick("ts", format="ms")
    snapshot = ((condition("action", IS, "snapshot"),),)
    assert found.sequences == (
        Sequence(COUNTER, path("n"), path("n"), "connection"),
        Sequence(RANGE, path("U"), path("u"), "market"),
        Sequence(CHAIN, path("p"), path("n"), pick("ch"), snapshot, ((condition("n", IS, 1),),)),
    )


def test_a_sequence_need_not_be_a_list_and_may_be_by_type():
    found = parsed("paths: {type: t, sequence: {plus_one: n, scope: channel}}").paths
    assert found.sequences == (Sequence(COUNTER, path("n"), path("n"), "channel"),)


def test_a_sequence_may_be_by_channel_and_market_together():
    found = parsed("paths: {type: t, market: m, sequence: {plus_one: n, scope: channel_and_market}}").paths
    assert found.sequences == (Sequence(COUNTER, path("n"), path("n"), "channel_and_market"),)


WRONG = [
    ("keep_alve: []", "keep_alve: is not a field that ssmd knows here; did you mean `keep_alive`?"),
    ("cheksum: x", "cheksum: is not a field that ssmd knows here; there are `headers`, `subprotocol`,"),
    ("headers: x", "headers: must be a mapping of headers to texts, not `x`"),
    ("headers: {}", "headers: must be a mapping of headers to texts, not a mapping"),
    ("headers: {a b: c}", "headers.a b: is not the name of a header"),
    ("headers: {Host: c}", "headers.Host: is a header that ssmd sets itself; remove it"),
    ("headers: {Sec-WebSocket-Protocol: c}", "headers.Sec-WebSocket-Protocol: is a header that ssmd sets itself; use"),
    ("headers: {A: 5}", "headers.A: must be a text on one line; put it in quotes"),
    ("headers: {A: x, a: y}", "headers.a: is the same header as `A`; keep one of them"),
    ("headers: {A: né}", "headers.A: must be plain ASCII on one line"),
    ("headers: {A: 'x\n\n  y'}", "headers.A: must be plain ASCII on one line"),
    ("headers: {A: '${message.x}'}", "headers.A: cannot have ${message.<path>} here, only ${key.<field>}, "),
    ("headers: {A: '${prepared.x}'}", "headers.A: has ${prepared.x}, a name that is not in `take` of `prepare`"),
    ("subprotocol: a b", "subprotocol: must be one name without spaces, not `a b`"),
    ("subprotocol: ['a']", "subprotocol: must be a text, not a list"),
    ("decompress: brotli", "decompress: must be gzip or deflate, not `brotli`"),
    ("decompress: gzp", "decompress: must be gzip or deflate, not `gzp`; did you mean `gzip`?"),
    ("prepare: {url: 'https://h/'}", "prepare.take: is required; add it"),
    ("prepare: {take: {a: b}}", "prepare.url: is required; add it"),
    ("prepare: {url: 'wss://h/', take: {a: b}}", "prepare.url: must be a URL like https://host/path"),
    ("prepare: {url: 'https://${key.k}/', take: {a: b}}", "prepare.url: must be a URL like https://host/path"),
    ("prepare: {url: 'https://h:99999/', take: {a: b}}", "prepare.url: must be a URL like https://host/path"),
    ("prepare: {url: 'https://u:p@h/', take: {a: b}}", "prepare.url: must not have a user name, a password"),
    ("prepare: {url: 'https://h/${prepared.a}', take: {a: b}}", "prepare.url: cannot have ${prepared.<name>} here"),
    ("prepare: {url: 'https://h/', take: {a: 'b[*]'}}", "prepare.take.a: has `[*]`, which only"),
    ("prepare: {url: 'https://h/', take: {a.b: c}}", "prepare.take.a.b: must be a name of letters"),
    ("prepare: {url: 'https://h/', take: {}}", "prepare.take: must be a mapping of names to paths"),
    ("prepare: {url: 'https://h/', method: GET, body: {}, take: {a: b}}", "prepare.body: cannot go with `method: GET`"),
    ("keep_alive: {every_seconds: 1, send: x}", "keep_alive: must be a list (`- ` lines) of mappings"),
    ("keep_alive: []", "keep_alive: is an empty list; add one of mappings"),
    ("keep_alive: [{every_seconds: 1}]", "keep_alive.0.send: is required; add it"),
    ("keep_alive: [{every_seconds: 1, send: ''}]", "keep_alive.0.send: is an empty text"),
    ("keep_alive: [{every_seconds: 0, send: x}]", "keep_alive.0.every_seconds: must be a number of seconds from 0.05"),
    ("keep_alive: [{every_seconds: 86401, send: x}]", "keep_alive.0.every_seconds: must be a number of seconds"),
    ("keep_alive: [{every_seconds: true, send: x}]", "keep_alive.0.every_seconds: must be a number of seconds"),
    ("keep_alive: [{every_seconds: 1, send: x, only_when_quiet: 'yes'}]", "only_when_quiet: must be true or false"),
    ("keep_alive: [{every_secs: 1, every_seconds: 1, send: x}]", "keep_alive.0.every_secs: is not a field that ssmd"),
    ("keep_alive: [{every_seconds: 1, send: {a: ['${key}']}}]", "keep_alive.0.send.a.0: has `${key}`, which is no"),
    ("replies: [{when: {a: b}, send: '{message.id}'}]", "replies.0.send: has `{message.id}`, which is sent as it is"),
    ("replies: [{when: {a: b}, send: {c: $message.id}}]", "replies.0.send.c: has `$message.id`, which is sent as it"),
    ("headers: {A: '{key.token}'}", "headers.A: has `{key.token}`, which is sent as it is; did you mean"),
    ("replies: [{when: {}, send: x}]", "replies.0.when: is an empty mapping, which would match every message"),
    ("replies: [{when: {a: b}, send: '${message.c..d}'}]", "replies.0.send: has a placeholder without a valid path"),
    ("replies: [{when: {op: ping}, send: {op: ping}}]", "replies.0.when: matches what it sends itself"),
    ("replies: [{when: {n: {exists: true}}, send: {n: '${message.n}'}}]", "replies.0.when: matches what it sends"),
    ("replies: [{when: {text: {prefix: p}}, send: pong}]", "replies.0.when: matches what it sends itself"),
    ("replies: [{when: {n: 1}, send: {n: 1.0}}]", "replies.0.when: matches what it sends itself"),
    ("replies: [{when: {text: p}, send: ['${message.n}']}]", "replies.0.send: has ${message.n}, but `when` is for"),
    ("end_when: [{when: {a: b}}]", "end_when.0.as: is required; add it"),
    ("end_when: [{as: refused}]", "end_when.0: must have either `when`, for a message, or `close_code`"),
    ("end_when: [{method: x, as: refused}]", "end_when.0: needs `when` for the fields of the message"),
    ("end_when: [{when: {a: b}, close_code: 1008, as: refused}]", "end_when.0: must have either `when`"),
    ("end_when: [{when: {a: b}, as: refusd}]", "end_when.0.as: must be refused or disconnected, not `refusd`; did you"),
    ("end_when: [{close_code: 1006, as: refused}]", "end_when.0.close_code: must be the code of a close frame"),
    ("end_when: [{close_code: '1008', as: refused}]", "end_when.0.close_code: must be the code of a close frame"),
    ("end_when: [{close_code: 1008, as: disconnected}]", "end_when.0.as: has no effect with `close_code`"),
    ("ignore: []", "ignore: is an empty list"),
    ("ignore: {}", "ignore: is an empty mapping"),
    ("ignore: heartbeat", "ignore: must be a mapping of paths to values"),
    ("ignore: {a: [1, 2]}", "ignore.a: is a list, but a field is compared with one value"),
    ("ignore: {a: {b: 1}}", "ignore.a: must be a value, {exists: true}, {exists: false}, {prefix: ...} or {n"),
    ("ignore: {a: {exists: true, prefix: b}}", "ignore.a: must be a value, {exists: true}"),
    ("ignore: {a: {exists: 1}}", "ignore.a.exists: must be true or false, not `1`"),
    ("ignore: {a: {prefix: 1}}", "ignore.a.prefix: must be a text, not `1`; put it in quotes"),
    ("ignore: {a: {not: [1]}}", "ignore.a.not: is a list, but a field is compared with one value"),
    ("ignore: {a: {not: {exists: true}}}", "ignore.a.not: is a mapping, but a field is compared with one value"),
    ("ignore: {a: {not: no}}", "ignore.a.not: is the text `no`; write true or false if the exchange sends"),
    ("ignore: {text: {not: PONG}}", "ignore.text: is for a message that is not JSON, so it must be a text or"),
    ("replies: [{when: {n: {not: 1}}, send: {n: 2}}]", "replies.0.when: matches what it sends itself"),
    ("replies: [{when: {n: {not: 1}}, send: {n: '${message.m}'}}]", "replies.0.when: matches what it sends itself"),
    ("ignore: {a..b: 1}", "ignore.a..b: is wrong: 'a..b' is not the path of a field"),
    ("ignore: {'a[*]': 1}", "ignore.a[*]: has `[*]`, which only `asked` and `confirmed` may have"),
    ("ignore: {text: 5}", "ignore.text: is for a message that is not JSON, so it must be a text or {prefix: ...}"),
    ("ignore: {text: PONG, a: 1}", "ignore.text: cannot stand beside paths"),
    ("ignore: {success: no}", "ignore.success: is the text `no`; write true or false if the exchange sends"),
    ("asked: {when: {a: b}, id: c}", "asked: needs `channel` or `market`"),
    ("{asked: {chanel: c}, confirmed: {when: {a: b}, channel: c}}", "asked.chanel: is not a field that ssmd knows"),
    ("{asked: {channel: a..b}, confirmed: {when: {a: b}, id: c}}", "asked.channel: is wrong: 'a..b' is not the path"),
    ("paths: {market: a..b, sequence: {plus_one: a, scope: market}}", "paths.market: is wrong: 'a..b' is not the path"),
    ("confirmed: {when: {a: b}, channel: c}", "confirmed: needs `asked`"),
    ("{asked: {channel: c}, confirmed: {channel: c}}", "confirmed.when: is required; add it"),
    ("{asked: {channel: c}, confirmed: {when: {a: b}}}", "confirmed: needs `channel`, `market` or `id`"),
    ("{asked: {channel: c}, confirmed: {when: {a: b}, id: d}}", "confirmed.id: needs `asked.id`"),
    ("{asked: {channel: c}, confirmed: {when: {a: b}, market: d}}", "confirmed.market: needs `asked.market`"),
    ("paths: {}", "paths: is an empty mapping"),
    ("paths: {type: ''}", "paths.type: is an empty text"),
    ("paths: {type: $.result.channel}", "paths.type: is wrong: '$.result.channel' is not the path of a field; "),
    ("ignore: {/result/channel: a}", "ignore./result/channel: is wrong: '/result/channel' is not the path of a field"),
    ("paths: {type: [a, b..c]}", "paths.type.1: is wrong: 'b..c' is not the path of a field"),
    ("paths: {type: []}", "paths.type: is an empty list"),
    ("paths: {type: {path: a, split: x}}", "paths.type.split: needs `part` beside it"),
    ("paths: {type: {path: a, part: 1}}", "paths.type.part: needs `split` beside it"),
    ("paths: {type: {path: a, split: x, part: 0}}", "paths.type.part: must be 1 for the first part"),
    ("paths: {type: {split: x, part: 1}}", "paths.type.path: is required; add it"),
    ("paths: {type: {path: a, format: ms}}", "paths.type.format: is not a field that ssmd knows here"),
    ("paths: {time: {path: a, format: sec}}", "paths.time.format: must be s or ms or us or ns or rfc3339, not `sec`"),
    ("paths: {sequence: {plus_one: a}}", "paths.sequence.scope: is required: which messages are numbered together; "),
    ("paths: {sequence: {previous: a, scope: connection}}", "paths.sequence.previous: must be a list of two paths"),
    ("paths: {time: [{path: a, format: ms}, b]}", "paths.time: must be a list of paths only; write "),
    ("rate_limit_per_second: 5", "rate_limit_per_second: stands beside `dialect`, not in it; move it one level up"),
    ("reply: []", "reply: is not a field that ssmd knows here; did you mean `replies`?"),
    ("sequence: {plus_one: a}", "sequence: stands in `paths`; move it there"),
    ("paths: {sequence: {plus_one: a, range: [a, b], scope: connection}}", "paths.sequence: must have one of"),
    ("paths: {sequence: {plusone: a, scope: connection}}", "paths.sequence.plusone: is not a field that ssmd"),
    ("paths: {sequence: {scope: connection}}", "paths.sequence: must have one of `plus_one`, `range` and `previous`"),
    ("paths: {sequence: {range: [a], scope: connection}}", "paths.sequence.range: must be a list of two paths"),
    ("paths: {sequence: {range: [a, a], scope: connection}}", "paths.sequence.range: names one path twice"),
    ("paths: {sequence: {plus_one: a, scope: market}}", "paths.sequence.scope: is market, which needs `paths.market`"),
    ("paths: {sequence: [{plus_one: a, scope: channel}]}", "paths.sequence.0.scope: is channel, which needs"),
    (
        "paths: {type: t, sequence: {plus_one: a, scope: channel_and_market}}",
        "paths.sequence.scope: is channel_and_market, which needs `paths.market`",
    ),
    (
        "paths: {market: m, sequence: {plus_one: a, scope: channel_and_market}}",
        "paths.sequence.scope: is channel_and_market, which needs `paths.channel` or `paths.type`",
    ),
    ("paths: {sequence: {plus_one: a, scope: markets}}", "paths.sequence.scope: must be connection, channel, market"),
]


@pytest.mark.parametrize(("text", "line"), WRONG, ids=[text for text, _ in WRONG])
def test_a_mistake_is_reported_once_at_its_place(text, line):
    [found] = problems(text)
    assert line in found
    place = line.partition(": ")[0]
    assert found.startswith(f"{place}: ") or found.split(": ")[0].endswith(place)


REMEDIES = [
    ("end_when: [{as: refused}]", "`close_code`; add one of them"),
    ("end_when: [{when: {a: b}, close_code: 1008, as: refused}]", "`close_code`; keep one of them"),
    ("end_when: [{method: x, as: refused}]", "put `method` below it, as in `when: {a: b}`"),
    ("end_when: [{close_cde: 1008, as: refused}]", "did you mean `close_code`?"),
    ("end_when: [{close_code: '1008', as: refused}]", "and a number, not a text; write it without quotes"),
    ("end_when: [{close_code: 1006, as: refused}]", "from 1000 to 4999, not `1006`"),
    (
        "paths: {sequence: {plus_one: a}}",
        "must be connection, channel, market, channel_and_market, or `{path: ...}` for the value of a field",
    ),
    (
        "paths: {sequence: {previous: a, scope: connection}}",
        "to the number of the message before and its own, as in `[data.prevSeqId, data.seqId]`, not `a`",
    ),
    (
        "paths: {sequence: {range: a, scope: connection}}",
        "to its first and its last number, as in `[data.U, data.u]`, not `a`",
    ),
    (
        "paths: {time: [{path: a, format: ms}, b]}",
        "must be a list of paths only; write `{path: [a, b], format: ms}` for one format of all",
    ),
    ("paths: {type: {path: $.a}}", "write it without the `$`: a"),
]


@pytest.mark.parametrize(("text", "remedy"), REMEDIES, ids=[text for text, _ in REMEDIES])
def test_a_mistake_has_the_remedy_that_fits(text, remedy):
    [found] = problems(text)
    assert found.endswith(remedy)


def test_every_mistake_is_reported_at_once():
    text = "{decompress: x, headers: {a b: c}, keep_alive: [{}, {every_seconds: x, send: y}], paths: {tpe: a, time: 1}}"
    places = [line.partition(": ")[0] for line in problems(text)]
    assert places == [
        "decompress",
        "headers.a b",
        "keep_alive.0.every_seconds",
        "keep_alive.0.send",
        "keep_alive.1.every_seconds",
        "paths.tpe",
        "paths.time",
    ]


def test_what_this_version_does_not_understand_is_left_out():
    """A ledger may have been written by a later version."""
    found = parse(
        {
            "compression": "zstd",
            "ignore": [{"a": 1}, {"b": {"regex": "x"}}],
            "end_when": [{"when": {"a": {"regex": "x"}}, "as": "refused"}],
            "paths": {
                "type": "t",
                "market": {"path": "m", "lower": True},
                "sequence": [{"plus_one": "n", "scope": "market"}, {"plus_one": "n", "by": 2, "scope": "connection"}],
            },
        }
    )
    assert found.ignore == ((condition("a", IS, 1),),)
    assert found.end_when == ()
    assert (found.paths.type, found.paths.market, found.paths.sequences) == (pick("t"), None, ())


def test_a_list_of_picks_is_tried_in_order():
    found = parse({"paths": {"market": [{"path": "s", "split": ".", "part": 2}, "pair", "data.s"]}}).paths.market
    assert found == pick("s", split=".", part=2)._replace(otherwise=pick("pair")._replace(otherwise=pick("data.s")))
    assert [str(path) for path in found.every_path()] == ["s", "pair", "data.s"]


NAMES = re.findall(r"[a-z_]{2,}", " ".join(text for text, _ in WRONG))
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=300)
@given(ANYTHING)
def test_no_section_raises_and_each_is_read_in_one_way(value):
    assert parse(value) == parse(value)
    for problem in problems_of(value):
        assert problem.message


@settings(max_examples=300)
@given(st.sampled_from(WRONG), ANYTHING)
def test_a_section_that_is_nearly_right_does_not_raise_either(wrong, value):
    data = section(wrong[0])
    data[next(iter(data))] = [value, data[next(iter(data))]]
    list(problems_of(data))
    parse(data)


def test_a_number_of_thousands_of_digits_is_no_crash():
    for found in problems_of({"subprotocol": 10**5000, "keep_alive": [{"every_seconds": 10**5000, "send": "x"}]}):
        assert "so many digits" in found.message
