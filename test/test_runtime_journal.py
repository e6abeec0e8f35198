"""What the journal tells the ledger."""

import pytest

from ssmd.contracts.exchange import Acknowledged, Gap
from ssmd.errors import ConnectError, Disconnected
from ssmd.runtime.journal import PRESSURE_NS, Journal
from ssmd.runtime.reporter import Reporter


@pytest.fixture
def journal(status, metrics):
    return Journal(status, metrics, Reporter("kalshi", status))


def told(journal: Journal) -> list[tuple]:
    return [(note.event, note.ts_ns, dict(note.fields)) for note in journal.take()]


def test_a_disk_that_stays_behind_is_one_thing_that_happened(journal, metrics):
    for step in range(100):
        journal.waited(0.25, 10**9 + step * 1000)
    assert told(journal) == [("backpressure_began", 750_000_000, {})]
    journal.waited(0, 10**9 + PRESSURE_NS)  # Not a second since the last wait.
    assert told(journal) == []
    last = 10**9 + 99_000
    journal.waited(0, last + PRESSURE_NS)
    assert told(journal) == [("backpressure_ended", last, {"seconds": 25.0, "waits": 100})]
    assert not journal.pressed
    assert metrics.registry.get_sample_value("ssmd_backpressure_seconds_total", {"feed": "kalshi"}) == 25


def test_the_end_closes_what_is_open(journal):
    journal.waited(1.0, 5)
    journal.end(9, None, Disconnected("gone", 1001))
    events = told(journal)
    assert [event for event, _, _ in events] == [
        "backpressure_began",
        "backpressure_ended",
        "disconnected",
        "stopped",
    ]
    assert events[2][2] == {"code": 1001, "reason": "gone"}


def test_one_who_asked_and_one_that_never_connected_are_no_disconnect(journal):
    journal.end(9, "SIGTERM", Disconnected("closed by us"))
    assert told(journal) == [("stopped", 9, {"reason": "SIGTERM"})]
    journal.end(9, None, ConnectError("refused"))
    assert [event for event, _, _ in told(journal)] == ["stopped"]


def test_gaps_keep_their_place(journal, status):
    journal.events([Gap(1, 5, 8, place=3)], 7)
    [note] = journal.take()
    assert (note.event, note.place) == ("gap", 3)
    assert note.fields == {"sid": 1, "expected": 5, "got": 8, "missing": 3}
    assert status.missed == 3


@pytest.mark.parametrize(
    ("tickers", "acknowledged", "warned"),
    [(["A", "B", "B"], 1, True), (["A", "B", "B"], 2, False), (["A"], None, False), ([], None, False)],
)
def test_a_subscription_that_is_confirmed_in_part_is_a_warning(journal, caplog, tickers, acknowledged, warned):
    journal.events([Acknowledged("trade", 5, 0, tickers, acknowledged)], 1)
    told = [(record.tickers, record.acknowledged) for record in caplog.records if record.levelname == "WARNING"]
    assert told == ([(2, 1)] if warned else [])
