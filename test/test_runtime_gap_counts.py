"""Gaps by subscription."""

from __future__ import annotations

from ssmd.runtime.gap_counts import LOSS_SECONDS, MOST_COUNTED, GapCount, GapCounts

SECOND = 10**9


def test_by_channel_and_sid_or_by_what_the_numbers_count():
    found = GapCounts()
    found.subscribed(2, "trade")
    found.subscribed(None, "ticker")
    for sid, name, missed in ((2, "", 3), (2, "", 4), (7, "", 1), (1, "BTC-USD", 5), (1, "BTC-USD", None)):
        found.add(sid, name, missed, SECOND)
    assert found.counts == {
        "trade (sid 2)": GapCount(2, 7),
        "sid 7": GapCount(1, 1),
        "BTC-USD": GapCount(2, None),
    }


def test_gaps_that_lie_near_each_other_are_one_loss():
    found = GapCounts()
    seen = []
    for seconds in (0, 500, 1000, 1000 + int(LOSS_SECONDS)):
        found.add(1, "", 1, seconds * SECOND)
        seen.append(found.lost_since_ns)
    assert seen == [0, 0, 0, 1600 * SECOND]
    assert found.last_ns == 1600 * SECOND


def test_a_feed_with_very_many_sequences_takes_no_memory():
    found = GapCounts()
    for number in range(2 * MOST_COUNTED):
        found.subscribed(number, "book")
        found.add(number, f"market {number}", 1, SECOND)
    assert len(found.counts) == MOST_COUNTED


def test_of_very_many_subscriptions_the_newest_keep_their_channels():
    """An exchange may number the subscriptions of each connection anew, or go on counting."""
    found = GapCounts()
    for sid in range(MOST_COUNTED):
        found.subscribed(sid, "trade")
    found.subscribed(0, "ticker")  # Its number is that of an earlier subscription.
    found.subscribed(MOST_COUNTED, "book")
    for sid in (0, 1, 2, MOST_COUNTED):
        found.add(sid, "", 1, SECOND)
    assert list(found.counts) == ["ticker (sid 0)", "sid 1", "trade (sid 2)", f"book (sid {MOST_COUNTED})"]
