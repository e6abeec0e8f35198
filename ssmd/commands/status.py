"""Show how running collectors are, from what they say at /status.

Usage:
  ssmd status [--json] <host:port>...
  ssmd status --watch <host:port>...
  ssmd status (-h | --help)

Options:
  --json     Print what each collector says, a JSON object a line: all fields of docs/status.md.
  --watch    Ask again every 2 s, until Ctrl-C.
  -h --help  Show this.

<host:port> is the collector's --listen, such as 127.0.0.1:8080; without a host it is this one. How much a collector
says depends on its --page.

The line `hours` is today in UTC, a letter for half an hour: `=` it listened, `x` it did not, `-` closed by schedule,
`?` not known. Colours are only for a terminal, and not with NO_COLOR.

Exit codes: 0 everything that was asked for is coming, or it is closed by schedule; 75 something is not coming, messages
were lost within the last 10 minutes, a write or a sync takes more than 10 s, it is not connected, or it is ending; 69
no answer within 5 s. For several collectors it is the greatest.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ssmd.collectors.ask import Address, NoAnswer, ask
from ssmd.collectors.said import Said, read
from ssmd.collectors.text import Line, lines, name_of, plain
from ssmd.errors import ConnectError, Disconnected, UsageError, printable, visible

_WATCH_SECONDS = 2.0
_COLOURS = {"good": "bold green", "attention": "bold yellow", "bad": "bold red", "waiting": "bold"}


class _Answer(NamedTuple):
    address: Address
    body: bytes
    said: Said | None
    """None when there is no answer."""
    reason: str
    """Why there is none."""

    @property
    def code(self) -> int:
        if self.said is None:
            return ConnectError.exit_code
        return 0 if self.said.is_well else Disconnected.exit_code


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    addresses = [_address(text) for text in arguments["<host:port>"]]
    if arguments["--watch"]:
        return _watch(addresses)
    code = 0
    for answer in map(_ask, addresses):
        if arguments["--json"]:
            _print_json(answer)
        else:
            _print(_shown(answer))
        code = max(code, answer.code)
    return code


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise UsageError(f"'{visible(text)}' is no address of a collector; {error}") from None


def _ask(address: Address) -> _Answer:
    body = b""
    try:
        body = ask(address)
        return _Answer(address, body, read(body), "")
    except NoAnswer as error:
        return _Answer(address, body, None, printable(str(error)))
    except ValueError:
        return _Answer(address, body, None, "its answer is not that of a collector")


def _print_json(answer: _Answer) -> None:
    import msgspec

    if answer.said is None:
        print(f"ssmd: {answer.address}: {answer.reason}", file=sys.stderr)
    else:
        print(msgspec.json.format(answer.body, indent=-1).decode("utf-8", "replace"))


def _shown(answer: _Answer) -> Iterator[Line]:
    """Yield the lines about a collector; the first has no name."""
    if answer.said is None:
        yield Line("", f"{answer.address}: {answer.reason}", "bad")
        return
    name = name_of(answer.said)
    yield Line("", f"{name} ({answer.address})" if name else f"{answer.address}")
    yield from lines(answer.said, datetime.now(UTC))


def _print(shown: Iterator[Line]) -> None:
    if not sys.stdout.isatty():  # `rich` takes longer to load than all else here.
        for line in shown:
            print(plain(line) if line.name else line.text)
        return
    from rich.console import Console

    Console(highlight=False).print(*_styled(shown), sep="\n")


def _styled(shown: Iterator[Line]) -> Sequence[Any]:
    from rich.text import Text

    found = []
    for line in shown:
        style = _COLOURS.get(line.grade, "" if line.name else "bold")
        head = (f"  {line.name:<8} " if line.name else "", "dim")
        found.append(Text.assemble(head, (line.text, style)))
    return found


def _watch(addresses: Sequence[Address]) -> int:
    """Show the collectors again and again, until a signal."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _interrupt)
    with contextlib.suppress(KeyboardInterrupt):
        if sys.stdout.isatty():
            _watch_on_terminal(addresses)
        while True:
            for address in addresses:
                _print(_shown(_ask(address)))
            sys.stdout.flush()
            time.sleep(_WATCH_SECONDS)
    return 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _watch_on_terminal(addresses: Sequence[Address]) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            found = [text for address in addresses for text in _styled(_shown(_ask(address)))]
            live.update(Group(*found), refresh=True)
            time.sleep(_WATCH_SECONDS)
