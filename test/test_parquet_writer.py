"""Whatever the lines are, they come back byte for byte, with declared tables and with learned ones."""

import functools
import itertools
import json

import hypothesis.strategies as st
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings

from ssmd.contracts.table import KINDS, Column, Table
from ssmd.exchange.generic.dialect import Generic
from ssmd.exchange.kalshi.dialect import Kalshi
from ssmd.parquet import form
from ssmd.parquet.lines import lines_in
from ssmd.parquet.writer import PartsWriter
from ssmd.store.line import LineEncoder
from ssmd.tables.learned import Learner

PLACES = {"decimal": (6,), "number": (6,), "levels": (6, 2)}
EVERY_KIND = Table("t", [Column(kind, ("msg", kind), kind, PLACES.get(kind, ())) for kind in KINDS])
READER = Generic().described({"paths": {"type": "type"}}).reader()

# Values as JSON texts: those that some column can hold, those that nearly fit, and any other.
DIGITS = st.text("0123456789", min_size=1, max_size=32)
NUMBERS = st.builds("{}{}{}{}".format, st.sampled_from(["", "-"]), DIGITS, st.sampled_from(["", ".", "e", "."]), DIGITS)
EDGES = st.sampled_from(
    [
        "0", "-0", "0.0", "-0.0", "1e5", "1E+400", "1e-400", "NaN", "Infinity", "9223372036854775807",
        "9223372036854775808", "-9223372036854775809", "18446744073709551616", "0.1234567", "123456789012.123456",
        "1234567890123.1", "null", "true", "false", "[]", "{}", '""', "[[]]", '[["",""]]', '"2026-08-11T01:15:15Z"',
        '"2026-08-11T01:15:15.120Z"', '"2026-08-11T01:15:15.1234567Z"', '"2026-08-11T24:00:00Z"',
        '"2026-02-30T01:15:15Z"', '"2026-08-11t01:15:15Z"', '"2026-08-11T01:15:15+00:00"',
        '"2026-08-11T01:15:15-02:00"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59.999999Z"',
        '"2026-08-11T01:15:60Z"', "253402300800", "253402300800000", '[["0.4800","275.00"],["0.4900","1.00"]]',
        '[["0.48","275"]]', '[["0.4800","275.00"],["x","1.00"]]', '[["1","2","3"]]', '[["0.4800",275.00]]',
        '"\\u0041"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\/"', '"\\u003c"', '"<&>"', '"a\\tb\\u0001"', '"1e3"',
        '"+1"', '" 1"', '"-0.0000"', '"0.4800"', '"00.4800"', '".5"', '"5."', '"1_0"', '"0x1f"', '"٣"', '"NaN"',
        '{"a":{"b":[{}]}}',
    ]
)
TEXTS = st.builds(json.dumps, st.text(max_size=12), ensure_ascii=st.booleans())
DECIMALS = st.builds('"{}"'.format, NUMBERS)
LEVELS = st.builds(
    functools.partial(json.dumps, separators=(",", ":")), st.lists(st.tuples(DIGITS, DIGITS), max_size=4)
)
VALUES = st.one_of(EDGES, NUMBERS, TEXTS, DECIMALS, LEVELS)
KEYS = st.one_of(st.sampled_from([*KINDS, "text", "new"]), st.text(max_size=4))


@st.composite
def objects(draw, values=VALUES):
    """Draw an object as text, with duplicate keys and spaces at times."""
    colon, comma = draw(st.sampled_from([(":", ","), (":", ","), (": ", ", "), ("\t:", " ,")]))
    members = draw(st.lists(st.tuples(KEYS, values), max_size=6))
    return "{" + comma.join(f"{json.dumps(key)}{colon}{value}" for key, value in members) + "}"


TYPES = st.sampled_from(['"t"', '"t"', '"t"', '"u"', '""', "1"])
MESSAGES = st.builds('{{"type":{},"msg":{}}}'.format, TYPES, st.one_of(objects(), VALUES))
ANY = st.one_of(MESSAGES, MESSAGES, MESSAGES, objects(objects()), VALUES, st.text(max_size=20))
HEADS = st.sampled_from(
    [
        '{"ts":"2026-08-11T01:15:15.566273Z","feed":"some","data":',
        '{"ts":"2026-08-11T01:15:15.560000Z","feed":"some","data":',
        '{"ts":"2026-13-11T01:15:15.566273Z","feed":"some","data":',
        '{"ts":"2026-08-11T01:15:15.566273Z","feed":"another","data":',
        '{"ts": "2026-08-11T01:15:15.566273Z", "feed": "some", "data": ',
        '{"feed":"some","ts":"2026-08-11T01:15:15.566273Z","data":',
        "",
    ]
)
BY_OTHERS = st.builds(lambda head, message: f"{head}{message}}}".replace("\n", "").encode(), HEADS, ANY)


def line_of(text, ms):
    return LineEncoder("some").encode(ms * 1_000_000, [text.encode()])[:-1]


LINES = st.lists(
    st.one_of(
        st.builds(line_of, ANY, st.integers(0, 9)),
        BY_OTHERS,
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")),
    ),
    max_size=30,
)


@pytest.fixture(scope="module")
def come_back(tmp_path_factory):
    """Return what writes lines, reads them back and returns the tables."""
    folder = tmp_path_factory.mktemp("days")
    numbers = itertools.count()

    def check(lines, tables, reader):
        day = folder / str(next(numbers))
        writer = PartsWriter(day, tables, reader, form.Facts("some"))
        for start in range(0, len(lines), 7):
            writer.add(b"".join(line + b"\n" for line in lines[start : start + 7]), "one")
        writer.close()
        assert b"".join(lines_in(day)) == b"".join(line + b"\n" for line in lines)
        return {path.parent.name: pq.ParquetFile(path).read() for path in day.glob("*/*.parquet")}

    return check


SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@given(LINES)
@example([b'{"ts":"2026-08-11T01:15:15.566273Z","feed":"some","data":{"type":"t","msg":{"text":"\\ud800"}}}'])
@SETTINGS
def test_any_line_comes_back_from_a_declared_table(come_back, lines):
    come_back(lines, [EVERY_KIND], READER)


@given(LINES)
@example([line_of('{"type":"t","msg":{"\\"":0,"\\\\":1,"\\u001f":2,"a":3}}', 0)] * 2)
@SETTINGS
def test_any_line_comes_back_from_a_learned_table(come_back, lines):
    learner = Learner(READER)
    learner.add(b"".join(line + b"\n" for line in lines[: len(lines) // 2]))
    come_back(lines, learner.tables(), READER)


@given(st.lists(st.sampled_from(Kalshi.tables()), max_size=10), st.data())
@settings(SETTINGS, max_examples=40)
def test_any_message_of_kalshi_comes_back(come_back, picked, data):
    messages = [message_of(table, data) for table in picked]
    lines = [LineEncoder("kalshi").encode(0, [json.dumps(message).encode()])[:-1] for message in messages]
    come_back(lines, Kalshi.tables(), Kalshi.reader())


PLAIN_VALUES: st.SearchStrategy[object] = st.sampled_from([1, 0.5, "0.4800", "x", None, True, [], {}, [["1", "2"]]])


def message_of(table, data):
    """Draw a message with some fields of a table, of the right kinds and of others."""
    message = {"type": table.type}
    for column in table.columns:
        if data.draw(st.booleans()):
            node = message
            for key in column.path[:-1]:
                node = node.setdefault(key, {}) if isinstance(node, dict) else {}
            if isinstance(node, dict):
                node[column.path[-1]] = data.draw(PLAIN_VALUES)
    return message
