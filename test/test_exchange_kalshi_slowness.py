"""The pace of commands after a refusal, against an exchange that allows so many a second."""

from __future__ import annotations

from collections import deque

import pytest

from ssmd.exchange.kalshi.sending import Sending
from ssmd.exchange.kalshi.slowness import FASTEST, RECOVERY_MS, SLOWEST, Slowness


def carried_out(limit: int, commands: int, seconds: int) -> tuple[int, int]:
    """Send commands for some seconds to an exchange that refuses those beyond `limit` in a second; return how many it
    has carried out, and how many it has refused.
    """
    sending = Sending([], None)
    now, done, refused = 1_790_000_000_000, 0, 0
    taken: deque[int] = deque()
    for _ in range(20 * seconds):
        now += 50
        sending.tick(now, 0)
        for _ in range(min(sending.room(), commands - done)):
            sending.sent(1)
            while taken and taken[0] <= now - 1000:
                taken.popleft()
            if len(taken) < limit:
                taken.append(now)
                done += 1
                sending.confirmed()
            else:
                refused += 1
                sending.refused([])
    return done, refused


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10])
def test_the_pace_is_found_out_that_the_exchange_allows(limit):
    """At least a third of what the exchange allows is used, and few commands are refused after the first burst."""
    done, _ = carried_out(limit, 10_000, 120)
    burst = 10_000 - limit
    _, refused = carried_out(limit, 10_000, 120)
    assert done >= 120 * limit / 3 - 20
    assert refused - burst <= 12


def test_a_few_commands_are_soon_carried_out():
    """As many as 3,600 markets on two channels need, with three commands a second."""
    assert carried_out(3, 36, 36)[0] == 36


def test_the_pace_falls_with_each_refusal_and_rises_with_time():
    slowness = Slowness()
    assert slowness.allowed(99) == 99
    slowness.refused()
    assert slowness.allowed(99) == int(FASTEST / 3)
    for _ in range(10):
        slowness.refused()
    slowness.sent(1)
    slowness.pass_time(int(1000 / SLOWEST) - 100)
    assert slowness.allowed(99) == 0
    slowness.pass_time(int(1000 / SLOWEST) + 100)
    assert slowness.allowed(99) == 1
    for minute in range(1, 5):
        slowness.pass_time(minute * RECOVERY_MS)
    assert slowness.allowed(99) == 99
