"""Entries of the ledger as lines, both ways."""

from ssmd.store.ledger import Entry, decode_entry, encode_entry


def test_half_a_character_is_written_as_a_question_mark():
    """A host name need not be UTF-8: Python then returns it with surrogates, which UTF-8 cannot encode."""
    line = encode_entry(Entry(0, "started", 0, 0, {"host": "h\udcffx", "reason": "\ud800"}))
    assert decode_entry(line).fields == {"host": "h?x", "reason": "?"}
