"""The messages of a block, as the bytes of NATS's protocol."""

import re

import pytest
from sink_conformance import DAY, Recorded, trade

from ssmd.contracts.sink import End
from ssmd.errors import EngineMismatch
from ssmd.reading.ends import end_of
from ssmd.shipping.nats.messages import Limit, Messages, Written, place_of
from ssmd.shipping.subjects import Subjects

BIG = Limit(1024 * 1024, "`max_payload`")


def messages(limit: Limit = BIG) -> Messages:
    return Messages(Subjects("prod.kalshi"), "kalshi", limit)


def read(written: Written) -> list[tuple[str, dict[str, str], bytes]]:
    """Return subject, headers and body of each message, the last one included."""
    found, rest = [], written.first
    while rest:
        head, _, rest = rest.partition(b"\r\n")
        match = re.fullmatch(rb"HPUB (\S+) (\d+) (\d+)", head)
        assert match, head
        header_size, size = int(match[2]), int(match[3])
        text, payload, end = rest[:header_size].decode(), rest[header_size:size], rest[size : size + 2]
        assert text.startswith("NATS/1.0\r\n")
        assert text.endswith("\r\n\r\n")
        assert end == b"\r\n"
        headers = dict(line.split(": ", 1) for line in text.split("\r\n")[1:-2])
        found.append((match[1].decode(), headers, payload))
        rest = rest[size + 2 :]
    return [*found, (written.subject, dict(written.headers), written.payload)]


def test_a_batch_begins_with_the_position_and_ends_with_the_commit():
    block = Recorded().trades(3)
    position, *data = read(messages().batch(block, 17, "id"))
    assert position == (
        "prod.kalshi.position.kalshi",
        {
            "Nats-Batch-Id": "id", "Nats-Batch-Sequence": "1", "Nats-Expected-Last-Subject-Sequence": "17",
            "Ssmd-Lengths": ",".join(str(len(line)) for line in block.lines),
        },
        end_of(block).encode(),
    )  # fmt: skip
    assert [payload for _, _, payload in data] == list(block.payloads)
    assert [subject for subject, _, _ in data] == [f"prod.kalshi.json.trade.KX-{number}" for number in range(3)]
    for number, (_, headers, _) in enumerate(data, 2):
        last = {"Nats-Batch-Commit": "1"} if number == 4 else {}
        assert headers == {
            "Nats-Batch-Id": "id", "Nats-Batch-Sequence": str(number), **last,
            "Ssmd-Ts": f"{DAY}T00:00:00.00{number - 1}000Z", "Ssmd-Line": f"{DAY}/kalshi/{number - 1}",
            "Ssmd-Session": f"{DAY}T00:00:00.000000Z",
        }  # fmt: skip


def test_a_batch_of_one_line_is_its_position_and_its_commit():
    written = messages().batch(Recorded().trades(1), 0, "id")
    assert [headers["Nats-Batch-Sequence"] for _, headers, _ in read(written)] == ["1", "2"]
    assert written.headers["Nats-Batch-Commit"] == "1"


def test_each_message_of_a_chain_names_the_one_before_and_the_first_is_the_position():
    recorded = Recorded()
    recorded.trades(2)
    block = recorded.trades(3)
    begin = End(block.start, "2026-01-31T00:00:00.002000Z", "0123abcd")
    position, *data = read(messages().chain(block, begin, 17, "before", "begin"))
    expected = {"Nats-Expected-Last-Msg-Id": "before", "Nats-Expected-Last-Subject-Sequence": "17"}
    assert position == ("prod.kalshi.position.kalshi", {"Nats-Msg-Id": "begin", **expected}, begin.encode())
    offsets = [block.start.offset + sum(map(len, block.lines[:count])) for count in (1, 2, 3)]
    ids = [f"kalshi/{DAY}/{offset}/{line}/begin" for line, offset in enumerate(offsets, 3)]
    assert [headers["Nats-Msg-Id"] for _, headers, _ in data] == ids
    assert [headers["Nats-Expected-Last-Msg-Id"] for _, headers, _ in data] == ["begin", *ids[:-1]]
    assert place_of(ids[-1], "kalshi") == (block.end.day, block.end.offset, block.end.line)


@pytest.mark.parametrize("message_id", ["", "end", "other/2026-01-31/1/1/x", "kalshi/2026-01-31/1/1", "kalshi/a/b/c/x"])
def test_the_id_of_another_message_is_no_place(message_id):
    assert place_of(message_id, "kalshi") is None


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("form", ["batch", "chain"])
def test_a_message_is_as_large_as_the_limit_allows_and_no_larger(form, which):
    payloads = [trade(0)] * which + [b'"%s"' % (b"x" * 5000)] + [trade(1)] * (2 - which)
    block = Recorded().block(*payloads)

    def made(limit: int) -> Written:
        maker = messages(Limit(limit, "`max_payload`"))
        chained = form == "chain"
        return maker.chain(block, End(block.start), 0, "before", "begin") if chained else maker.batch(block, 0, "id")

    size = max(
        len("NATS/1.0\r\n\r\n") + sum(len(f"{name}: {value}\r\n") for name, value in headers.items()) + len(payload)
        for _, headers, payload in read(made(10_000))
    )
    made(size)
    with pytest.raises(EngineMismatch) as refused:
        made(size - 1)
    assert str(refused.value) == (
        f"{DAY}/kalshi: the message of line {which + 1} has {size} bytes with its headers, and the server takes at "
        f"most {size - 1}; raise `max_payload`"
    )
