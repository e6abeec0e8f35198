"""Bring in recordings of other programs: files with a time and a message in each line become days of the storage.

Usage:
  ssmd import --feed <feed> --to <storage> [options] [--time-field <path>]... [--where <condition>]... <file>...
  ssmd import (-h | --help)

Options:
  --feed <feed>            The feed that the days will belong to.
  --to <storage>           The storage folder, as the environment's storage.path.
  --shard <i/n>            The shard that the days will belong to, such as 2/4, for a recording of that shard alone.
  --time-field <path>      The field of a line that has the time, such as at or data.trades[0].time. Given several
                           times: the first of them that a line has.
  --message-field <path>   The field that has the message. Without it, the whole line is the message.
  --base64                 The message field has the bytes of a binary message, as base64.
  --of-ssmd                The files are data files of ssmd, such as those of a day whose ledger is lost.
  --separator <text>       The lines are not JSON: a time, this text, the message. \\t is a tab.
  --time-format <format>   iso, iso-utc, s, ms, us or ns [default: iso].
  --where <condition>      Only lines whose field has this value, such as direction=received.
  --carry-time             Give a line without a time the time of the line before it.
  --window <lines>         How many lines are sorted by time together, in 64 MiB at most [default: 10000].
  --keep-order             Keep the order of the file. A time that goes back becomes that of the line before.
  --exchange <dialect>     The dialect of the messages, such as kalshi.
  --config-dir <path>      Instead of --exchange: the metadata tree that has the feed. The version that is in force on a
                           day names the dialect and describes the messages of that day.
  -h --help                Show this.

A message keeps its own bytes. When its field has an object or a list, these are the bytes in the line; when it has a
string, they are the text of the string. Files may be compressed with gzip or zstd. Times are ISO 8601 with a zone (iso)
or without one, which means UTC (iso-utc), or Unix times in seconds, milliseconds, microseconds or nanoseconds (s, ms,
us, ns).

When a line cannot be imported (exit code 65), or when one of the days exists already (73), nothing is imported. After a
kill the same command imports what is missing. The ledger of each day says from which files it was imported, and has the
description of the messages. The coverage of such a day is unknown.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ssmd.commands.selecting import shard_asked
from ssmd.contracts.shard import WHOLE
from ssmd.errors import ConfigError, UsageError, printable, visible
from ssmd.exchange.catalog import EXCHANGES
from ssmd.field_path import FieldPath, parse_path
from ssmd.importing.bring_in import Target, bring_in
from ssmd.importing.fields import Condition, Layout
from ssmd.importing.source import Source
from ssmd.importing.times import FORMATS
from ssmd.spelling import nearest
from ssmd.store.layout import FEED, RESERVED_ENDINGS, day_of, read_name
from ssmd.store.sessions import RecordedDialect


def main(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    now_ns = time.time_ns()
    layout, window = _layout(arguments), _window(arguments)
    files = _files(arguments["<file>"])
    if arguments["--of-ssmd"]:
        _require_one_shard(files)
    sources = [Source(path, layout, window, arguments["--carry-time"], now_ns) for path in files]
    for path, lines in bring_in(sources, _target(arguments), now_ns):
        print(f"{path}: imported, {lines:,} lines", flush=True)
    if left_out := sum(source.left_out for source in sources):
        print(f"ssmd: left out because of --where: {left_out:,} lines", file=sys.stderr)
    return 0


def _stop(number: int, frame: object) -> None:
    """End with the code that a shell shows for a signal, and remove what is not finished: it may have gigabytes."""
    sys.exit(128 + number)


def _layout(arguments: Mapping[str, Any]) -> Layout:
    time_format, separator = arguments["--time-format"], arguments["--separator"]
    if time_format not in FORMATS:
        raise UsageError(f"--time-format is '{visible(time_format)}'; it must be {', '.join(FORMATS)}")
    if not (arguments["--time-field"] or separator is not None or arguments["--of-ssmd"]):
        raise UsageError("--time-field is required, or --separator for lines that are not JSON")
    if separator is not None or arguments["--of-ssmd"]:
        other = "--of-ssmd" if arguments["--of-ssmd"] else "--separator"
        for option in ("--time-field", "--message-field", "--base64", "--where", "--carry-time"):
            if arguments[option]:
                raise UsageError(f"{option} cannot be given with {other}, which says where the parts of a line are")
        if separator is not None and arguments["--of-ssmd"]:
            raise UsageError("--separator cannot be given with --of-ssmd, which says where the parts of a line are")
        text = None if separator is None else separator.replace("\\t", "\t")
        return Layout(time_format=time_format, separator=text, of_ssmd=arguments["--of-ssmd"])
    message = arguments["--message-field"]
    if arguments["--base64"] and message is None:
        raise UsageError("--base64 needs --message-field, the field that is base64")
    return Layout(
        time_format=time_format,
        time_fields=tuple(_path(text, "--time-field") for text in arguments["--time-field"]),
        message_field=None if message is None else _path(message, "--message-field"),
        base64=arguments["--base64"],
        where=tuple(map(_condition, arguments["--where"])),
    )


def _path(text: str, option: str) -> FieldPath:
    try:
        return parse_path(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _condition(text: str) -> Condition:
    path, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--where is '{visible(text)}'; it must be like direction=received")
    return Condition(_path(path, "--where"), value)


def _window(arguments: Mapping[str, Any]) -> int | None:
    """Return how many lines are sorted together, None to keep the order of the file."""
    if arguments["--keep-order"]:
        return None
    text = arguments["--window"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"--window is '{visible(text)}'; it must be a number of lines, such as 10000")
    return int(text)


def _target(arguments: Mapping[str, Any]) -> Target:
    feed, storage = arguments["--feed"], Path(arguments["--to"])
    stem = (shard_asked(arguments) or WHOLE).stem(feed)
    if FEED.fullmatch(feed) is None or feed.endswith(RESERVED_ENDINGS):
        raise UsageError(
            f"--feed is '{visible(feed)}'; it must be a name of letters, digits, `.`, `_` and `-` that does not end "
            "like a file of ssmd"
        )
    if day_of(storage.absolute()) is not None:
        raise UsageError(f"--to is '{visible(str(storage))}', the folder of a day; name the folder that has the days")
    exchange, config_dir = arguments["--exchange"], arguments["--config-dir"]
    if exchange is not None and config_dir is not None:
        raise UsageError("--exchange cannot be given with --config-dir, whose feed names the dialect")
    if config_dir is not None:
        return Target(storage, stem, _described(config_dir, feed))
    if exchange is not None and exchange not in EXCHANGES:
        hint = nearest(exchange, EXCHANGES) or f"; there are {', '.join(EXCHANGES)}"
        raise UsageError(f"--exchange is '{visible(exchange)}', which is no dialect of ssmd{hint}")
    return Target(storage, stem, lambda day: None if exchange is None else RecordedDialect(exchange, {}))


def _described(config_dir: str, name: str) -> Callable[[str], RecordedDialect]:
    """Return what gives the dialect of a day, from a feed of the metadata; both may raise ConfigError."""
    # Imported here: they take more memory than an import that does not need them.
    from ssmd import wiring
    from ssmd.metadata.loader import load_feed

    parts = wiring.parts()
    feed = load_feed(config_dir, name, parts)

    def dialect_on(day: str) -> RecordedDialect:
        version = feed.version_in_force(date.fromisoformat(day))
        if version is None:
            spans = ", ".join(each.span() for each in feed.versions[:10])
            raise ConfigError(
                f"the feed {name} of {visible(config_dir)} has no version in force on {day}, a day of the "
                f"recording; there are {spans}; give the version that describes the messages an `effective_from` of "
                "that day or an earlier one"
            )
        dialect = parts.dialect_name(feed.name, version.exchange)
        return RecordedDialect(dialect, EXCHANGES[dialect].needed_to_read(feed.description(version)))

    return dialect_on


def _files(names: list[str]) -> list[Path]:
    paths = list(map(Path, names))
    for path in paths:
        if not path.is_file():
            problem = "is no regular file" if path.exists() else "there is no such file"
            hint = "; the standard input is not read, because a file has to be read twice" if str(path) == "-" else ""
            raise UsageError(f"{printable(str(path))}: {problem}{hint}")
    seen: dict[Path, Path] = {}
    for path in paths:
        if seen.setdefault(path.resolve(), path) is not path:
            raise UsageError(f"{printable(str(path))}: is given twice; its messages would be there twice")
    return paths


def _require_one_shard(paths: list[Path]) -> None:
    """Raise UsageError for data files of several shards: the numbers of one connection do not follow another's."""
    shards = {file.shard: path for path in paths if (file := read_name(path)) is not None}
    if len(shards) > 1:
        first, other = [printable(str(path)) for path in shards.values()][:2]
        raise UsageError(
            f"{other}: is of another shard than {first}, with sequences of its own; import each shard by itself, with "
            "--shard"
        )
