"""The benchmark's pure parts: what is made of the files and the figures of its runs."""

import math
import re
import struct

import pytest
from bench.collector import AT_ONCE, DESCRIBED, GENERIC
from bench.goals import LIMITS, Judgement, judge
from bench.latency import latencies_ms, percentile, stamps
from bench.load import Load
from bench.measure import Result
from bench.observing import CHECKED, DRIFT_ALL, DRIFT_SAMPLE
from bench.peers import READER
from bench.plan import Case, Outcome
from bench.report import BEGIN, END, goals_table, insert
from bench.tables import TABLES
from bench.tabs_report import CASES, Pair, interval, report

SECOND_NS = 1_795_860_000 * 10**9
"""2026-11-28T10:00:00Z."""


def test_percentiles_are_by_nearest_rank():
    values = list(range(1, 101))[::-1]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 0.999, 1)] == [1, 50, 99, 100, 100]
    assert percentile([3.0], 0.5) == 3.0
    assert str(percentile([], 0.5)) == "nan"


def test_an_interval_is_that_of_the_mean_of_the_pairs():
    assert interval([1.0, 1.02, 1.04]) == pytest.approx((2.0, 2 - 4.97, 2 + 4.97), abs=0.01)
    assert interval([1.01] * 10) == pytest.approx((1, 1, 1))
    assert interval([1.5]) == (50, -math.inf, math.inf)


def test_the_goals_of_open_tabs_are_judged_by_the_upper_end():
    pairs = [Pair([1.0, 1.0 + more, 1.0], 1e6, 59.04, 900, 0, [1.0, 60.0]) for more in (0.0, 0.01, 0.02)]
    text = report({CASES[0]: pairs, CASES[2]: pairs})
    assert re.search(r"\| 100 tabs +\| +1.000 \| 1.010 \| +\+1.00 % \| -1.48 to \+3.48 % \| \+10.0 +\|", text)
    goals = [line for line in text.splitlines() if line.startswith("- ")]
    assert [line.rpartition(": ")[2] for line in goals] == [
        "60.0 ms, NOT reached", "+3.48 %, NOT reached", "60.0 ms, NOT reached",
    ]  # fmt: skip


def test_latency_is_from_the_sending_until_the_file_is_seen_long_enough():
    line = b'{"data":{"msg":{"ts":"%027d"}}}\n'
    lines = b'{"ts":"2026-11-22T00:00:00.000000Z","id":1}\n' + b"".join(
        line % ms for ms in (1_000_000, 2_000_000, 9_000_000)
    )
    first = lines.index(b"\n") + 1
    size = len(line % 0)
    seen = [500, first, 3_000_000, first + size, 4_000_000, first + 2 * size + 5, 9_500_000, len(lines)]
    log = struct.pack(f"={len(seen)}q", *seen)
    assert list(latencies_ms(lines, log, 0, 10_000_000)) == [2.0, 2.0, 0.5]
    assert list(latencies_ms(lines, log, 2_000_000, 9_000_000)) == [2.0]
    with pytest.raises(ValueError, match="before the last line"):
        list(latencies_ms(lines, log[:-16], 0, 10_000_000))


def file_of(*times: tuple[str, int], colon: str = ":") -> bytes:
    """Return the lines of a collector, from the time in each and the ns after SECOND_NS at which it was sent."""
    lines = [f'{{"ts"{colon}"2026-11-28T10:00:00{colon.strip(":")}Z","feed":"bench","data":{{"id":1}}}}']
    for fraction, sent_ns in times:
        message = f'{{"seq":1,"msg":{{"ts"{colon}"{SECOND_NS + sent_ns:027d}","ts_ms":1}}}}'
        lines.append(f'{{"ts"{colon}"2026-11-28T10:00:00{fraction}Z","feed":"bench","data":{message}}}')
    return "".join(f"{line}\n" for line in lines).encode()


def test_a_stamp_is_late_by_the_time_since_sending():
    lines = file_of((".000100", 20_000), (".000100", 60_000), (".002000", 1_000_000))
    late_ms, step_ms = stamps(lines, SECOND_NS, SECOND_NS + 10**9)
    # A time in whole microseconds is taken for the middle of one.
    assert late_ms == [0.0805, 0.0405, 1.0005]
    assert step_ms == 0.001
    assert stamps(lines, SECOND_NS + 60_000, SECOND_NS + 1_000_000).late_ms == [0.0405]


def test_stamps_that_json_has_printed_again_are_read():
    assert stamps(file_of((".000100", 20_000), colon=": "), 0, 2 * SECOND_NS).late_ms == [0.0805]


def test_a_stamp_without_a_fraction_is_on_the_second():
    """Python prints it so."""
    late_ms, step_ms = stamps(file_of((".000100", 0), ("", -200_000)), 0, 2 * SECOND_NS)
    assert late_ms == [0.1005, 0.2005]
    assert step_ms == 0.001


def test_stamps_in_milliseconds_are_known_to_be_coarse():
    late_ms, step_ms = stamps(file_of((".001", 900_000), (".002", 2_100_000)), 0, 2 * SECOND_NS)
    assert late_ms == [0.6, 0.4]
    assert step_ms == 1


def test_lines_without_an_envelope_have_no_stamps():
    late_ms, step_ms = stamps(b'{"seq":1,"msg":{"ts":"%027d"}}\n' % SECOND_NS, 0, 2 * SECOND_NS)
    assert late_ms == []
    assert str(step_ms) == "nan"


def outcome(rate, cpu_us=1.0, *, p99=1.0, stamp=(0.1, 1.0), step=0.001) -> Outcome:
    results = [
        Result(
            rate * factor, cpu_us, rate * cpu_us / 1e4, 50, 100, latency_ms=(0, p99, 9), stamp_ms=stamp,
            stamp_step_ms=step,
        )
        for factor in (1, 3, 0.1)
    ]  # fmt: skip
    return Outcome(results)


def paced(rate: float, name: str = "ssmd") -> Case:
    return Case("paced", name, Load(rate=rate))


def test_at_saturation_the_cpu_a_message_is_judged_and_not_the_rate():
    outcomes = {
        Case("saturation", "ssmd", Load()): outcome(1000, 1.0),
        Case("saturation", "picows, tuned", Load()): outcome(2000, 1.26),
        Case("saturation", "picows, orjson", Load()): outcome(100, 1.9),
        Case("saturation", "websocat", Load()): outcome(1000, 1.1),
        Case("saturation", READER, Load()): outcome(4000, 0.19),
        Case("saturation", GENERIC, Load()): outcome(1200, 10),
        Case("saturation", DESCRIBED, Load()): outcome(900, 17),
        Case("saturation", CHECKED, Load()): outcome(900, 1.24),
        Case("saturation", DRIFT_SAMPLE, Load()): outcome(900, 1.06),
        Case("saturation", DRIFT_ALL, Load()): outcome(900, 1.05),
        Case("tls", "ssmd", Load(tls="message")): outcome(100, 2.0),
        Case("tls", "aiohttp, tuned", Load(tls="message")): outcome(100, 3.0),
    }
    found = list(judge(outcomes))
    assert {each.limit for each in found} <= set(LIMITS)
    assert [(each.goal, each.figure, each.reached) for each in found] == [
        ("At saturation at least 1.25 times picows, tuned, by CPU a message", "1.26 times; by rate 0.50 times", True),
        ("At saturation at least 2 times picows, orjson, by CPU a message", "1.90 times; by rate 10.00 times", False),
        ("At saturation no more CPU a message than websocat", "1.10 times as cheap; by rate 1.00 times", True),
        ("At saturation at most 5 times the CPU a message of the C reader", "5.3 times; by rate 0.25 times", False),
        ("TLS, a record for each message: at least 1.5 times aiohttp, tuned, by CPU a message",
         "1.50 times; by rate 1.00 times", True),
        ("Generic with paths of type, time and sequence: at most 60 % more CPU than without", "+70 %", False),
        ("At saturation with each message checked against Kalshi's schema: at most 25 % more CPU than without",
         "+24 %", True),
        ("At saturation with messages compared with the days before, `sample`: at most 5 % more CPU than without",
         "+6 %", False),
        ("At saturation with messages compared with the days before, `all`: at most 5 % more CPU than without",
         "+5 %", True),
        ("Memory under 60 MB everywhere", "50 MB at the most", True),
    ]  # fmt: skip


def test_at_a_rate_the_cpu_is_judged_beside_picows_and_at_the_lowest_of_a_core():
    outcomes = {
        paced(100): outcome(100, 99),
        paced(100, "picows, tuned"): outcome(100, 50),
        paced(1_000): outcome(1_000, 26.1),
        paced(1_000, "picows, tuned"): outcome(1_000, 20),
        paced(10_000): outcome(10_000, 7),
        paced(10_000, "picows, tuned"): outcome(10_000, 10),
    }
    found = [(each.goal, each.figure, each.reached) for each in judge(outcomes) if each.limit == "cpu"]
    assert found == [
        ("At 100 msg/s under 1 % of a core", "0.99 %, beside 0.50 % of picows, tuned", True),
        ("At 1,000 msg/s at most 1.3 times the CPU of picows, tuned", "1.30 times: 2.6 % against 2.0 %", False),
        ("At 10,000 msg/s at most 0.7 times the CPU of picows, tuned", "0.70 times: 7.0 % against 10.0 %", True),
    ]
    del outcomes[paced(100, "picows, tuned")]
    assert "0.99 %" in [each.figure for each in judge(outcomes)]


def test_at_a_rate_the_stamps_are_judged_and_the_latest_lines():
    outcomes = {
        paced(100): outcome(100, p99=14.9, stamp=(9, 2.0)),
        paced(1_000): outcome(1_000, p99=15.1, stamp=(0.151, 1)),
        paced(10_000): outcome(10_000, p99=2, stamp=(0.35, 2.1)),
    }
    wanted = ("stamp", "line")
    found = [(each.goal, each.figure, each.reached) for each in judge(outcomes) if each.limit in wanted]
    assert found == [
        ("At 100 msg/s stamped within 2 ms of sending, p99", "2.00 ms", True),
        ("At 1,000 msg/s stamped within 0.15 ms of sending, p50", "0.151 ms", False),
        ("At 1,000 msg/s stamped within 2 ms of sending, p99", "1.00 ms", True),
        ("At 10,000 msg/s stamped within 0.35 ms of sending, p50", "0.350 ms", True),
        ("At 10,000 msg/s stamped within 2 ms of sending, p99", "2.10 ms", False),
        ("In the file within 15 ms of sending, p99, at any rate", "15.1 ms at the most, at 1,000 msg/s", False),
    ]


def test_a_goal_is_not_reached_without_its_figure():
    nothing = float("nan")
    outcomes = {paced(1_000): outcome(1_000, p99=nothing, stamp=(nothing, nothing))}
    assert [each.reached for each in judge(outcomes) if each.limit in ("stamp", "line")] == [False, False, False]


def test_paced_rows_have_stamps_where_the_collector_writes_them_and_mark_coarse_ones():
    nothing = float("nan")
    rows = [
        (paced(1_000), outcome(1_000, stamp=(0.1, 1.234))),
        (paced(1_000, AT_ONCE), outcome(900, stamp=(0.1, 1.234))),
        (paced(1_000, "Node ws, tuned"), outcome(1_000, stamp=(-0.12, 1.5), step=1.0)),
        (paced(1_000, "websocat"), outcome(1_000, stamp=(nothing, nothing), step=nothing)),
    ]
    _, _, header, rule, *cells = TABLES["paced"](rows).splitlines()
    columns = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (header, *cells)]
    assert [row[3:6] for row in columns] == [
        ["stamp p50 ms", "stamp p99 ms", "p50 ms"],
        ["0.10", "1.23", "0.00"],
        ["behind", "behind", "behind"],
        ["~-0.1", "~1.5", "0.00"],
        ["", "", "0.00"],
    ]
    assert rule.count(":") == 8  # All but the names are numbers.


def test_what_limits_several_goals_is_said_once():
    missed = [Judgement(f"goal {number}", "9 ms", reached, limit) for number, reached, limit in [
        (1, False, "stamp"), (2, True, "stamp"), (3, False, "cpu"), (4, False, "stamp"),
    ]]  # fmt: skip
    text = goals_table(missed)
    assert text.splitlines()[-3:] == ["  - goal 4", f"- {LIMITS['cpu']}:", "  - goal 3"]
    assert "stands in the way" not in goals_table(missed[1:2])


def test_tables_are_put_between_the_marks_of_a_document(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    insert(document, "new\n")
    assert document.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
