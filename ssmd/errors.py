"""Every expected way in which a command can fail, as one tree. Each error has its exit code and its metric label.

    SsmdError
    ├── UsageError               64  the command line is wrong
    ├── DataError                65  recorded data cannot be read, or is not what it should be
    ├── ConnectError             69  the exchange cannot be reached; a restart may help
    │   └── AuthError            77  the exchange refused the keys
    ├── EngineError              69  the engine of a transport cannot be reached, or refuses for now; a restart may help
    │   ├── EngineAuthError      77  the engine refused the keys
    │   ├── EngineFenced         78  another relay ships the same feed
    │   └── EngineMismatch       78  what the engine has, or can take, does not fit what is on the disk
    ├── OutputError              73  the output cannot be created
    │   └── AlreadyCollected     73  another process holds it
    ├── WriteError               74  a write or a sync failed; free some disk space first
    ├── Disconnected             75  the feed ended; a restart helps
    ├── NewVersion               75  another version of the feed has come into force; a restart takes it
    ├── ClockError               75  the clock is far behind an earlier time; a restart accepts it
    ├── ConfigError              78  the metadata is wrong
    │   └── ResolveError         78  a key is missing
    │       └── SourceUnavailable 69 the place where a key is kept cannot be reached; a restart may help
    ├── ListenError              78  the address for the probes cannot be used
    └── SubscriptionRefused      78  the exchange refused a subscription of the environment

The codes are those of BSD's sysexits.h. A message is one or more lines, each complete in itself: what is wrong, where,
and what to do about it. It never contains the value of a key. Any other exception is a bug, and ends the command with
its traceback and exit code 70.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import ClassVar

__all__ = [
    "EXIT_BUG",
    "AlreadyCollected",
    "AuthError",
    "ClockError",
    "ConfigError",
    "ConnectError",
    "DataError",
    "Disconnected",
    "EngineAuthError",
    "EngineError",
    "EngineFenced",
    "EngineMismatch",
    "ListenError",
    "NewVersion",
    "OutputError",
    "ResolveError",
    "SourceUnavailable",
    "SsmdError",
    "SubscriptionRefused",
    "UsageError",
    "WriteError",
    "printable",
    "visible",
]

EXIT_BUG = 70


class SsmdError(Exception):
    """The base class: an expected failure, to be reported, and to exit with its code."""

    exit_code: ClassVar[int]
    label: ClassVar[str]
    """The value of the label `type` of ssmd_errors_total."""
    ends_runs: ClassVar[bool] = True
    """Whether it can end a run whose storage is known. Only then ssmd_errors_total counts it."""


class UsageError(SsmdError):
    exit_code = 64
    label = "usage"
    ends_runs = False


class DataError(SsmdError):
    exit_code = 65
    label = "data"
    ends_runs = False


class ConnectError(SsmdError):
    exit_code = 69
    label = "connect"

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds
        """How long the exchange asks to wait before the next attempt; 0 when it does not."""


class AuthError(ConnectError):
    exit_code = 77
    label = "auth"


class EngineError(SsmdError):
    """It never ends a collection: the relay that meets it is another process."""

    exit_code = 69
    label = "engine"
    ends_runs = False


class EngineAuthError(EngineError):
    exit_code = 77


class EngineFenced(EngineError):
    """A restart would fence the other relay in its turn, so a person has to decide."""

    exit_code = 78


class EngineMismatch(EngineError):
    """Only a person can say what is right, so nothing more is shipped."""

    exit_code = 78


class OutputError(SsmdError):
    exit_code = 73
    label = "output"


class AlreadyCollected(OutputError):
    """Not an error of the feed: another collector writes its files."""


class WriteError(SsmdError):
    exit_code = 74
    label = "write"


class Disconnected(SsmdError):
    exit_code = 75
    label = "disconnect"

    def __init__(self, reason: str, code: int | None = None) -> None:
        super().__init__(reason)
        self.code = code
        """The code of the exchange's close frame; None when it sent no frame, or one without a code."""


class NewVersion(SsmdError):
    exit_code = 75
    label = "version"


class ClockError(SsmdError):
    exit_code = 75
    label = "clock"


class ConfigError(SsmdError):
    exit_code = 78
    label = "config"


class ResolveError(ConfigError):
    label = "keys"


class KeyNotSet(ResolveError):
    """The variables that would have the key are not set. For a key that is not required, that is no fault."""


class SourceUnavailable(ResolveError):
    exit_code = 69


class ListenError(SsmdError):
    exit_code = 78
    label = "listen"

    @classmethod
    def at(cls, host: str, port: int, error: Exception) -> ListenError:
        """Return the error for an address that the operating system refuses with `error`."""
        # gevent appends the address to the reason, but the message has it already.
        reason = (getattr(error, "strerror", None) or str(error)).partition(":")[0]
        return cls(f"cannot listen on {host}:{port}: {reason}; choose another address with --listen")


class SubscriptionRefused(SsmdError):
    exit_code = 78
    label = "subscribe"
    code: int | None = None
    """As in Disconnected: the refusal may be a close frame."""


def visible(text: str, limit: int = 200) -> str:
    r"""Return a value that a user has typed, with its control characters written out, as in `127.0.0.1:8080\r`.

    An invisible character at the end may be the mistake: a file with Windows line ends has one in each line.
    """
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[:limit])
    return shown if len(shown) <= limit and len(text) <= limit else shown[: limit - 1] + "…"


_HIDDEN = "(hidden)"

_SHORTEST_SECRET = 8
"""Shorter secrets are not hidden: they would be found inside other words."""

_PIECE = 16
"""Of a longer secret, any piece of at least this many characters is hidden: a server may cut what it repeats."""


def printable(text: str | bytes, limit: int = 200, hidden: Iterable[str] = ()) -> str:
    """Return text from outside in a form for one line of a log: printable characters only, at most `limit` of them.

    Each run of others becomes a space: control characters, line separators, characters that change the order of the
    text on the screen, and half surrogate pairs, which cannot be encoded. A server's answer may contain terminal
    escapes, newlines that forge log lines, or a megabyte of text. And servers repeat what they were sent: "there is no
    key 0123...", or the whole request. So the secrets in `hidden` are left out, and of long ones their pieces too. That
    comes before the text is cut, so that no part of one remains.
    """
    text = text[: 40 * limit]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for secret in hidden:
        if len(secret) > _PIECE:
            text = _without_pieces(text, secret)
        elif len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    runs = groupby(text[: 4 * limit], str.isprintable)
    text = "".join("".join(run) if is_printable else " " for is_printable, run in runs).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _without_pieces(text: str, secret: str) -> str:
    """Return text with every run of _PIECE or more characters of the secret replaced."""
    kept: list[str] = []
    start = at = 0
    while at + _PIECE <= len(text):
        end = at + _PIECE
        if text[at:end] not in secret:
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        kept += [text[start:at], _HIDDEN]
        start = at = end
    return "".join([*kept, text[start:]])
