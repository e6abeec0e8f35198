"""What a run reports to people: a summary a minute, gaps as they come, a status line a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from ssmd.contracts.events import Gap, Refused, SnapshotsReceived, SnapshotsRequested
from ssmd.contracts.exchange import NO_NUMBERS_YET
from ssmd.runtime.status import Status
from ssmd.store.looks_like import decompress_for

__all__ = ["ACKNOWLEDGE_SECONDS", "NUMBERS_SECONDS", "SUMMARY_SECONDS", "Reporter", "some"]

SUMMARY_SECONDS = 60.0
ACKNOWLEDGE_SECONDS = 10.0
"""How long a subscription may stay unconfirmed before a warning is logged."""
NUMBERS_SECONDS = 60.0
"""After how long with data, none of which has a number, a warning is logged."""

NAMED = 24
"""How many markets or subscriptions a line names: there may be thousands, and people have to read it."""

_log = logging.getLogger("ssmd.runner")


class Reporter:
    """Turns the Status of a run into log lines; tick() is called once a second.

    `status_line`, when given, is called with the state in one line at each tick.
    """

    def __init__(
        self,
        feed: str,
        status: Status,
        status_line: Callable[[str], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed = feed
        self._status = status
        self._status_line = status_line
        self._monotonic = monotonic
        self._began = self._summary_at = self._tick_at = monotonic()
        self._summary_messages = self._tick_messages = 0
        self._gaps: list[Gap] = []
        self._refused: dict[tuple[str, int | None], Refused] = {}
        self._refused_before: dict[tuple[str, int | None], str] = {}
        self._requested: dict[tuple[str, str], dict[str, None]] = {}
        self._kinds_reported = 0
        self._sent_at = self._began
        """When the last message of the opening was sent, as far as that is known."""
        self._first_received_ns: int | None = None
        self._unconfirmed_reported = self._pace_reported = self._numbers_reported = False

    def gap(self, gap: Gap) -> None:
        """Keep a gap for the next tick: a thousand gaps must not become a thousand lines."""
        self._gaps.append(gap)

    def refused(self, refused: Refused) -> None:
        """Keep a refusal for the next tick: a later one of the same kind counts what the earlier ones do, too."""
        self._refused[refused.channel, refused.code] = refused

    def snapshots(self, requested: SnapshotsRequested) -> None:
        """Keep a request for order books for the next tick."""
        markets = self._requested.setdefault((requested.channel, requested.why), {})
        markets.update(dict.fromkeys(requested.markets))

    def snapshots_received(self, received: SnapshotsReceived) -> None:
        """Log that order books are known again, after the gaps and the requests before that."""
        self._report_gaps()
        self._report_requests()
        extra: dict[str, object] = {"channel": received.channel, "sid": received.sid, "books": received.markets}
        if received.missing:
            extra |= {"count": len(received.missing), "markets": some(received.missing)}
            _log.warning("the exchange sends no order book of some markets; remove those that are settled", extra=extra)
        else:
            _log.info("order books complete", extra=extra)

    def tick(self, unacknowledged: Sequence[str], unsent: int = 0) -> None:
        """Log what is due. `unsent`: how many messages of the opening are still to be sent."""
        now = self._monotonic()
        self.finish()
        self._report_no_numbers()
        if unsent:
            self._sent_at = now
            self._report_pace(unsent)
        waited = now - self._sent_at
        if unacknowledged and waited > ACKNOWLEDGE_SECONDS and not self._unconfirmed_reported:
            self._unconfirmed_reported = True
            _log.warning(
                "subscriptions not confirmed by the exchange",
                extra={"seconds": round(waited), "subscriptions": some(unacknowledged)},
            )
        if now - self._summary_at >= SUMMARY_SECONDS:
            messages = self._status.messages - self._summary_messages
            _log.info("summary", extra=self.totals(messages / (now - self._summary_at)))
            self._summary_at, self._summary_messages = now, self._status.messages
        if self._status_line is not None:
            rate = (self._status.messages - self._tick_messages) / max(now - self._tick_at, 1e-3)
            self._status_line(self._line(rate))
        self._tick_at, self._tick_messages = now, self._status.messages

    def _report_pace(self, unsent: int) -> None:
        if not self._pace_reported:
            self._pace_reported = True
            text = "messages that ask for data are sent one after another, because of rate_limit_per_second"
            _log.info(text, extra={"still_to_send": unsent})

    def _report_no_numbers(self) -> None:
        """Warn once when data has come for some time, and none of it has a number."""
        last_ns = self._status.last_received_ns
        if self._numbers_reported or last_ns is None:
            return
        if self._first_received_ns is None:
            self._first_received_ns = last_ns
        if last_ns - self._first_received_ns >= NUMBERS_SECONDS * 1e9:
            self._numbers_reported = True
            if self._status.lacks_numbers():
                _log.warning(f"{NO_NUMBERS_YET}; correct `paths.sequence` in the feed")

    def finish(self) -> None:
        """Log what went wrong since the last time."""
        self._report_gaps()
        self._report_refusals()
        self._report_requests()
        self._report_not_json()

    def _report_gaps(self) -> None:
        if not self._gaps:
            return
        last = self._gaps[-1]
        counts = [gap.missing for gap in self._gaps]
        known = [count for count in counts if count is not None]
        missing = sum(known) if len(known) == len(counts) else None
        extra: dict[str, object] = {"gaps": len(counts), "missing": missing}
        extra |= {"last_sid": last.sid, "last_expected": last.expected, "last_got": last.got}
        if last.name:
            extra["last_name"] = last.name
        if books := sorted({gap.books for gap in self._gaps if gap.books}):
            extra["books_not_known"] = ", ".join(books)
        _log.warning("sequence gap", extra=extra)
        self._gaps = []

    def _report_refusals(self) -> None:
        """Log the last refusal of each kind, unless it says the same as the one before."""
        for kind, refused in self._refused.items():
            if self._refused_before.get(kind) == refused.text:
                continue
            self._refused_before[kind] = refused.text
            known = {"channel": refused.channel or None, "code": refused.code, "text": refused.text}
            extra = {name: value for name, value in known.items() if value is not None}
            if refused.for_now:
                _log.warning("refused by the exchange for now", extra=extra)
            else:
                _log.error("refused by the exchange", extra=extra)
        self._refused = {}

    def _report_requests(self) -> None:
        """Log the requests for order books since the last time."""
        for (channel, why), markets in self._requested.items():
            extra = {"channel": channel, "why": why, "books": len(markets), "markets": some(list(markets))}
            _log.info("order books asked for again", extra=extra)
        self._requested = {}

    def _report_not_json(self) -> None:
        """Warn once of each kind. How many there are is in the summary, and in the metrics: a binary feed has nothing
        else, and would fill the log.
        """
        if new := list(self._status.kinds_not_json)[self._kinds_reported :]:
            self._kinds_reported += len(new)
            extra = {"messages": self._status.not_json, "looks_like": ", ".join(new)}
            method = next(filter(None, map(decompress_for, new)), "")
            if method and self._status.not_decompressed() is None:
                extra["remedy"] = f"set `decompress: {method}` in the feed's dialect"
            _log.warning(
                "messages that are not JSON are kept as strings; from now on they are only counted", extra=extra
            )

    def totals(self, rate: float | None = None) -> dict[str, object]:
        """Return the counts so far, as fields of a log line; `rate` is in messages per second."""
        status = self._status
        if rate is None:
            rate = status.messages / max(self._monotonic() - self._began, 1e-3)
        return {
            "feed": self._feed,
            "messages": status.messages,
            "rate": round(rate, 1),
            "bytes": status.written_bytes,
            "gaps": status.known_gaps,
            "missed": status.known_missed,
            "not_json": status.not_json,
        }

    def _line(self, rate: float) -> str:
        status = self._status
        state = "collecting" if status.connected else "connecting"
        age = "none yet"
        if status.last_received_ns is not None:
            age = f"{max(0.0, time.time() - status.last_received_ns / 1e9):.1f} s ago"
        gaps = f" | gaps {status.gaps:,}" if status.gaps else ""
        return f"{state} | {status.messages:,} messages, {rate:,.0f}/s | last {age}{gaps} | {status.location}"


def some(names: Sequence[str]) -> str:
    """Return names for one line of a log: the first NAMED, and how many more there are."""
    more = f", and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
