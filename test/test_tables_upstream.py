"""`ssmd export --layout ssmd`: the files, read by a reader of the schemas of aaronwald/ssmd."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from market_days import DAY, ODD, messages, write_market_day
from process import ssmd
from upstream_reader import SCHEMAS, read_lines, rows

from ssmd.contracts.shard import Shard
from ssmd.store.line import LineEncoder, decode_line
from ssmd.store.timestamps import DAY_NS, day_begins
from ssmd.tables.upstream.layout import LINES_A_DAY
from ssmd.tables.upstream.quarters import message_of, spliced

LIFECYCLE = [
    b'{"type":"market_lifecycle_v2","sid":4,"msg":{"market_ticker":"KX-1","event_type":"created","open_ts":1763000000,'
    b'"close_ts":1763999999,"additional_metadata":{"name":"\xc3\xa9","strike":1.50}}}',
    b'{"type":"market_lifecycle_v2","sid":4,"msg":{"market_ticker":"KX-1","event_type":"determined","result":"yes",'
    b'"settlement_value":"0.123456","determination_ts":1763999999}}',
    b'{"type":"market_lifecycle_v2","sid":4,"msg":{"event_type":"settled"}}',
]


def micros(value: datetime | None) -> int | None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return None if value is None else round((value - epoch).total_seconds() * 1_000_000)


def in_parquet(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, times as microseconds."""
    return [
        {name: micros(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a day that was exported, with messages that no schema has."""
    root = tmp_path_factory.mktemp("upstream")
    write_market_day(root / "data", odd=[*ODD, *LIFECYCLE])
    code, out, err = ssmd("export", root / "data", "--to", root / "lake", "--layout", "ssmd", "--stream", "crypto")
    assert (code, err) == (0, "")
    assert "exported, 2,013 lines to" in out
    return root / "lake" / "kalshi" / "crypto" / DAY


def test_every_message_is_in_the_file_of_its_quarter_with_its_time_and_its_number(exported):
    data = exported.parents[3] / "data" / DAY / "kalshi.jsonl"
    lines = [decode_line(line) for line in data.read_bytes().splitlines()]
    expected: dict[str, list[tuple[int, int, Any]]] = {}
    for number, line in enumerate(lines, 1):
        time = datetime.fromtimestamp(line.received_ns // 10**9, UTC)
        name = f"{time:%H}{time.minute // 15 * 15:02d}.jsonl.gz"
        expected.setdefault(name, []).append((number, line.received_ns // 1000, line.payload))
    assert sorted(path.name for path in exported.glob("*.jsonl.gz")) == sorted(expected)
    first = day_begins(DAY) // DAY_NS * LINES_A_DAY
    for name, wanted in expected.items():
        documents = read_lines(exported / name)
        assert len(documents) == len(wanted)
        for document, (number, received_us, payload) in zip(documents, wanted, strict=True):
            if isinstance(document, dict):
                assert (document.pop("_nats_seq"), document.pop("_received_at")) == (first + number, received_us)
                assert document == json.loads(payload)
            elif isinstance(document, str) and not payload.startswith(b'"'):
                assert document in (payload.decode("latin-1"), "//59")  # A text, or the base64 of bytes that are none.
            else:
                assert document == json.loads(payload)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_rows_are_those_that_its_program_makes_of_the_messages(exported, kind):
    name, version, columns = SCHEMAS[kind]
    names = [column for column, _, _ in columns]
    found = sorted(exported.glob(f"{kind}_*.parquet"))
    total = 0
    for path in found:
        hour = path.stem.removeprefix(f"{kind}_")[:2]
        documents = [one for quarter in sorted(exported.glob(f"{hour}*.jsonl.gz")) for one in read_lines(quarter)]
        schema = pq.read_schema(path)
        assert [(field.name, field.type, field.nullable) for field in schema][: len(columns)] == columns
        assert schema.metadata[b"ssmd.schema_name"] == name.encode()
        assert schema.metadata[b"ssmd.schema_version"] == version.encode()
        wanted = rows(documents, kind)
        assert [{key: row[key] for key in names} for row in in_parquet(path)] == wanted
        total += len(wanted)
    assert len(found) == (1 if kind == "market_lifecycle_v2" else 24)
    assert total == {"ticker": 400, "trade": 400, "market_lifecycle_v2": 2}[kind]


def test_exact_columns_stand_beside_the_rounded_ones(exported):
    sent = [one for one in messages() if one.message["type"] == "ticker"]
    found = [row for path in sorted(exported.glob("ticker_*.parquet")) for row in in_parquet(path)]
    assert len(found) == len(sent)
    for one, row in zip(sent, found, strict=True):
        for name in ("price_dollars", "yes_bid_dollars", "yes_ask_dollars", "volume_fp", "open_interest_fp"):
            assert row[name] == Decimal(one.body[name])
        assert (row["ts_ms"], row["market_id"]) == (one.body["ts_ms"], one.body["market_id"])
    assert any(row["yes_bid_dollars"] != Decimal(row["yes_bid"]) / 100 for row in found)
    [_, settled] = in_parquet(exported / "market_lifecycle_v2_2300.parquet")
    assert (settled["settlement_value"], settled["result"]) == (Decimal("0.123456"), "yes")


def test_the_manifests_count_every_line_and_name_every_file(exported):
    manifest = json.loads((exported / "parquet-manifest.json").read_text())
    assert (manifest["feed"], manifest["stream"], manifest["date"], manifest["version"]) == (
        "kalshi", "crypto", DAY, "2.0.0",
    )  # fmt: skip
    totals = manifest["totals"]
    assert totals["lines_total"] == 2013
    assert totals["files_read"] == len(list(exported.glob("*.jsonl.gz")))
    assert totals["records_written"] == {"market_lifecycle_v2": 2, "ticker": 400, "trade": 400}
    accounted = sum(map(sum, (totals["lines_no_schema"].values(), totals["parse_batch_input"].values())))
    assert accounted + totals["lines_type_unknown"] == 2013
    assert totals["parse_batch_dropped"]["market_lifecycle_v2"] == 1
    files = {file["path"]: file for file in manifest["files"]}
    for path in exported.glob("*.parquet"):
        file = files.pop(f"kalshi/crypto/{DAY}/{path.name}")
        assert (file["bytes"], file["row_count"]) == (path.stat().st_size, pq.read_metadata(path).num_rows)
    assert files == {}
    archived = json.loads((exported / "manifest.json").read_text())
    assert sum(file["records"] for file in archived["files"]) == 2013
    assert [file["name"] for file in archived["files"]] == sorted(path.name for path in exported.glob("*.jsonl.gz"))
    assert "KX-ODD" in archived["tickers"]


def test_a_shard_has_a_stream_of_its_own_and_its_number_in_each_message(tmp_path):
    for index in (1, 2):
        write_market_day(tmp_path / "data", shard=Shard(index, 2), count=50, seed=index)
    code, _, err = ssmd("export", tmp_path / "data", "--to", tmp_path, "--layout", "ssmd")
    assert (code, err) == (0, "")
    for index in (1, 2):
        folder = tmp_path / "kalshi" / f"all-{index}of2" / DAY
        documents = [one for path in sorted(folder.glob("*.jsonl.gz")) for one in read_lines(path)]
        assert [one["_shard_id"] for one in documents] == [index] * 50
        found = [row for path in folder.glob("t*.parquet") for row in in_parquet(path)]
        assert {row["_shard_id"] for row in found} == {index}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"a":{"b":1}}', b'{"a":{"b":1},"_received_at":7,"_nats_seq":9}'),
        (b'{"a":1 }', b'{"a":1,"_received_at":7,"_nats_seq":9}'),
        (b"{}", b'{"_received_at":7,"_nats_seq":9}'),
        (b"{ }", b'{"_received_at":7,"_nats_seq":9}'),
        (b'[{"a":1}]', b'[{"a":1}]'),
        (b'"a }"', b'"a }"'),
        (b'{"a":', b'"{\\"a\\":"'),
        (b"\xff}", b'"/30="'),
    ],
)
def test_fields_are_spliced_into_objects_only_and_each_line_is_json(payload, expected):
    message = message_of(LineEncoder("kalshi").encode(0, [payload]))
    assert spliced(message, None, 7, 9) == expected
    json.loads(expected)


def test_a_clock_that_was_set_back_opens_no_file_again(tmp_path):
    day = write_market_day(tmp_path / "data", count=96, sealed=False)
    lines = day.read_bytes().splitlines(keepends=True)
    day.write_bytes(b"".join([*lines[:50], *lines[40:]]))
    day.with_name("kalshi.ledger.jsonl").unlink()
    assert ssmd("seal", tmp_path / "data").returncode == 0
    assert ssmd("export", tmp_path / "data", "--to", tmp_path, "--layout", "ssmd").returncode == 0
    files = sorted((tmp_path / "kalshi" / "all" / DAY).glob("*.jsonl.gz"))
    numbers = [one["_nats_seq"] for path in files for one in read_lines(path)]
    assert (len(numbers), numbers) == (106, sorted(numbers))
