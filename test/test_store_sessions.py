"""Sessions are found in the entries of a ledger."""

from ssmd.store.ledger import Entry
from ssmd.store.sessions import sessions


def test_an_unknown_event_does_not_show_that_a_connection_was_open():
    """A later version may write it whenever it likes, and the run may be killed after that."""
    entries = [Entry(ns, event, 0, 0, {}) for ns, event in ((1, "started"), (2, "connected"), (5, "mark"))]
    later = Entry(9, "of a later version", 0, 0, {})
    [session] = sessions([*entries, later])
    assert session.seen_ns == 5
    assert sessions([*entries, later]) == sessions(entries)
