"""The names under which engines have messages: subjects of NATS, topics of MQTT.

They are `{prefix}.{section}.{name}.{market}`, without the market for a message that has none: `prod.kalshi.json.trade.
KXBTC-26NOV28`. In MQTT a slash is between them. Any character but `A-Z a-z 0-9 _ -` is written as in a URL, `%2F` for a
slash, because engines give a meaning to some of them. A token that would be empty is `_`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from ssmd.contracts.exchange import Found
from ssmd.contracts.sink import Position
from ssmd.exchange.readers import KALSHI
from ssmd.exchange.topics import topic_of

__all__ = ["LONGEST", "Subjects", "default_prefix", "fault_of_prefix", "token"]

LONGEST = 255
"""A longer name is cut, and ends in `%-` and a hash of all of it: a server closes the connection for a subject that is
too long for it, 4 KiB for NATS, and a market's name is what an exchange makes of it."""

_EMPTY = "_"
_OTHERS = re.compile(rb"[^A-Za-z0-9_-]")
_MOST_CACHED = 100_000
_PART = re.compile(r"[A-Za-z0-9_%.-]+")


class Subjects:
    """The names for the messages of one feed or shard, below a prefix. `separator` is the engine's: `.` or `/`."""

    def __init__(self, prefix: str, separator: str = ".") -> None:
        self._prefix = prefix
        self._separator = separator
        self._made: dict[str, _Made] = {}

    def of(self, exchange: str, found: Sequence[Found]) -> list[str]:
        """Return the name for each message: `exchange` is its dialect, and `found` its type and market."""
        made = self._made.get(exchange)
        if made is None or len(made) > _MOST_CACHED:
            made = self._made[exchange] = _Made(self, exchange)
        return list(map(made.__getitem__, found))

    def of_one(self, exchange: str, type: str, market: str) -> str:
        """Return the name for one message, as of() does."""
        topic = topic_of(exchange, type)
        tokens = [self._prefix, topic.section, token(topic.name)]
        if market:
            tokens.append(_dotted(market) if exchange == KALSHI else token(market))
        return self._separator.join(tokens)

    def position(self, position: Position) -> str:
        """Return the subject of a feed's positions, or of a shard's, in NATS."""
        tokens = [self._prefix, "position", token(position.feed)]
        if position.shard:
            tokens.append(token(position.shard))
        return self._separator.join(tokens)


class _Made(dict[Found, str]):
    """What was made before: the same few thousand names come again and again."""

    def __init__(self, subjects: Subjects, exchange: str) -> None:
        self._subjects = subjects
        self._exchange = exchange

    def __missing__(self, found: Found) -> str:
        self[found] = made = self._subjects.of_one(self._exchange, *found)
        return made


def token(text: str) -> str:
    """Return a text as one token of a name. Different texts make different tokens."""
    return _short(_escaped(text), text)


def _dotted(market: str) -> str:
    """Return a market of Kalshi. Its dots stay, as consumers of such subjects know it."""
    return _short(".".join(map(_escaped, market.split("."))), market)


def _escaped(text: str) -> str:
    if text in ("", _EMPTY):
        return "%5F" if text else _EMPTY
    # A market's name may have half a surrogate pair, which JSON can write and UTF-8 cannot.
    return _OTHERS.sub(lambda found: b"%%%02X" % found[0][0], text.encode("utf-8", "surrogatepass")).decode("ascii")


def _short(escaped: str, text: str) -> str:
    if len(escaped) <= LONGEST:
        return escaped
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    kept = escaped[: LONGEST - len(digest) - 2]
    return f"{re.sub(r'%.?$', '', kept)}%-{digest}"  # No half of an escape is left.


def default_prefix(environment: str, feed: str, separator: str = ".") -> str:
    """Return the prefix of an environment that names none."""
    return separator.join((token(environment), token(feed)))


def fault_of_prefix(prefix: str, separator: str = ".") -> str:
    """Return what is wrong with a prefix that a user has chosen, as a phrase; empty when nothing is."""
    if len(prefix) > LONGEST:
        return f"is longer than {LONGEST} characters"
    for part in prefix.split(separator):
        if not part:
            return f"has an empty part; write names with one `{separator}` between two of them"
        if not _PART.fullmatch(part):
            return f"may have letters, digits, `_` and `-` only, and `{separator}` between its parts"
    return ""
