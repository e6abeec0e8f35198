"""What goes wrong at each exchange is reported: refusals, lost messages, notices of maintenance, and long rules."""

from __future__ import annotations

import json

import pytest
from exchange_runs import NAMES, ExchangeRun, described

from ssmd.sim.exchanges import EXCHANGES
from ssmd.sim.exchanges.server import faults_of

# What each exchange says of a channel that it does not have.
REFUSALS = {
    "binance": '"msg":"Invalid request: invalid stream',
    "bybit": '"ret_msg":"Invalid topic: ',
    "coinbase": '"message":"Failed to subscribe: invalid channel',
    "deribit": '"result":[]',
    "gateio": '"message":"unknown channel or event: ',
    "htx": '"err-msg":"invalid topic ',
    "htx-books": '"err-msg":"invalid topic ',
    "kraken": '"error":"Subscription channel name invalid: book"',
    "kucoin": '"data":"topic /market/',
    "okx": '"code":"60018"',
    "polymarket": '"error":"invalid asset id: ',
}


@pytest.mark.parametrize("name", NAMES)
def test_a_refusal_ends_the_run_with_78_and_quotes_the_exchange(tmp_path, name):
    channels = [channel for channel, weight in EXCHANGES[name].channels.items() if weight]
    with ExchangeRun(tmp_path, name, *(f"refuse={channel}" for channel in channels)) as run:
        stopped = run.stopped()
        assert run.process.returncode == 78
    assert REFUSALS[name] in stopped["reason"]


@pytest.mark.one_day
@pytest.mark.parametrize("name", [name for name in NAMES if "sequence" in described(name).get("paths", {})])
def test_a_gap_in_the_numbers_is_counted(tmp_path, name):
    with ExchangeRun(tmp_path, name, "gap-after=100", rate=200) as run:
        run.start_up()
        status = run.until(lambda status: status["messages"]["gaps"])
        metrics = run.get("/metrics")[1]
        assert run.end() == 0
    gaps = run.events[-1]["gaps"]
    assert gaps >= status["messages"]["gaps"] >= 1
    [line] = [line for line in metrics.splitlines() if line.startswith("ssmd_sequence_gaps_total")]
    assert float(line.split()[-1]) >= 1
    [ledger] = run.data.glob("*/*.ledger.jsonl")
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len([entry for entry in entries if entry["event"] == "gap"]) == gaps


@pytest.mark.parametrize("name", [name for name in NAMES if "notice-after=N" in faults_of(name)])
def test_a_notice_ends_the_run_with_75(tmp_path, name):
    with ExchangeRun(tmp_path, name, "notice-after=100") as run:
        run.stopped()
        assert run.process.returncode == 75
