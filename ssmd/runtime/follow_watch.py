"""Watches, once a second, whether the markets that are followed are subscribed to.

What is not coming is in /ready, /status and the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from ssmd.contracts.listing import Listing, ListingState
from ssmd.runtime.reason import Reason
from ssmd.runtime.reporter import some
from ssmd.runtime.status import Status

__all__ = ["LATE_SECONDS", "OLD_SECONDS", "FollowWatch"]

LATE_SECONDS = 60.0
"""How long a market may wait until it is confirmed, and the first listing may take, before that is reported."""
OLD_SECONDS = 1800.0
"""How old the last whole listing may be: about two more should have ended since."""

_log = logging.getLogger("ssmd.runner")


class FollowWatch:
    """Sets `status.listing` and `status.not_followed`. `clock`: returns ns since the epoch."""

    def __init__(self, listing: Listing, status: Status, clock: Callable[[], int]) -> None:
        self._listing = listing
        self._status = status
        self._clock = clock
        self._is_listed = False
        self._was_late = False
        self._over_limit = 0
        """The largest number that was logged."""
        self._unlisted: Sequence[str] = ()
        """The names of which it was logged that the exchange lists no market of them."""

    def tick(self) -> None:
        """Look at the listing; called once a second."""
        if not self._status.connected:
            return
        state = self._listing.state()
        if state.is_over:
            self._status.listing, self._status.not_followed = None, []
            return
        self._status.listing = state
        now_ms = self._clock() // 1_000_000
        self._status.not_followed = list(self._reasons(state, now_ms))
        self._report(state, now_ms)

    def _reasons(self, state: ListingState, now_ms: int) -> Iterator[Reason]:
        """Yield why markets that are followed are not coming."""
        begun_ms = max(self._status.connected_ns or 0, self._status.reconfigured_ns or 0) // 1_000_000
        error = f": {state.error}" if state.error else ""
        if state.last_listed_ms is None:
            if now_ms - begun_ms > 1000 * LATE_SECONDS:
                text = f"the markets to follow are not all listed after {(now_ms - begun_ms) // 1000} s{error}"
                yield Reason(text, says_how_long=True)
        elif now_ms - state.last_listed_ms > 1000 * OLD_SECONDS:
            text = f"the markets to follow were last listed {(now_ms - state.last_listed_ms) // 1000} s ago{error}"
            yield Reason(text, says_how_long=True)
        if state.over_limit:
            yield Reason(f"{state.over_limit} markets to follow are left out because of a limit")
        if (seconds := _waiting_seconds(state, now_ms)) > LATE_SECONDS:
            missing = state.not_subscribed - state.over_limit
            text = f"{max(1, missing)} markets to follow are not subscribed, the first for {seconds:.0f} s"
            yield Reason(text, says_how_long=True)

    def _report(self, state: ListingState, now_ms: int) -> None:
        was_listed, self._is_listed = self._is_listed, state.last_listed_ms is not None
        if self._is_listed and not was_listed:
            if state.listed:
                _log.info("markets listed", extra={"markets": state.listed, "subscribed": state.subscribed})
            elif not state.unlisted:
                _log.warning("the exchange lists no market that is to be followed")
        if state.unlisted != self._unlisted:
            self._unlisted = state.unlisted
            if state.unlisted:
                remedy = "correct the names in `follow`, unless their markets are still to come"
                extra = {"count": len(state.unlisted), "names": some(state.unlisted), "remedy": remedy}
                _log.warning("the exchange lists no market of these names", extra=extra)
        if state.over_limit > self._over_limit:
            # The number may grow by one again and again.
            self._over_limit = 2 * state.over_limit
            remedy = "raise max_symbols_per_connection where that is the limit, or run several shards with --shard"
            extra = {"left_out": state.over_limit, "remedy": remedy}
            _log.warning("more markets to follow than a limit allows", extra=extra)
        is_late = _waiting_seconds(state, now_ms) > LATE_SECONDS
        if is_late and not self._was_late:
            extra = {"markets": state.not_subscribed, "seconds": round(_waiting_seconds(state, now_ms))}
            _log.warning("markets to follow are not subscribed", extra=extra)
        elif self._was_late and not is_late:
            _log.info("the markets to follow are subscribed again", extra={"subscribed": state.subscribed})
        self._was_late = is_late


def _waiting_seconds(state: ListingState, now_ms: int) -> float:
    return 0.0 if state.waiting_since_ms is None else max(0.0, (now_ms - state.waiting_since_ms) / 1000)
