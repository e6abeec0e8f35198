"""One event a line, whatever is in it, and a status line that stays below."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import re
import select
import time
from collections.abc import Iterator
from typing import TextIO

import gevent.monkey
import pytest

from ssmd.errors import UsageError, printable
from ssmd.runtime import logs
from ssmd.runtime.line_thread import LINES, LINES_BYTES

TS = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
FORGED = 'x\n2026-01-01T00:00:00.000000Z INFO    forged level=error\r\x1b[2J\u2028\u202e"='


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    logger = logging.getLogger("ssmd")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("ssmd.test")


def setup(stream: io.StringIO | None = None, **environ: str) -> io.StringIO:
    stream = io.StringIO() if stream is None else stream
    logs.setup({f"SSMD_LOG_{name.upper()}": value for name, value in environ.items()}, stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_has_one_event_a_line_with_its_fields(log):
    stream = setup()
    log.info("rotated", extra={"from": "a.jsonl", "messages": 5, "rate": 1.5, "last": None, "ok": True})
    log.warning("sequence gap %d", 7)
    first, second = events(stream)
    assert list(first) == ["ts", "level", "logger", "event", "from", "messages", "rate", "last", "ok"]
    assert re.fullmatch(TS, str(first.pop("ts")))
    assert first == {
        "level": "info",
        "logger": "ssmd.test",
        "event": "rotated",
        "from": "a.jsonl",
        "messages": 5,
        "rate": 1.5,
        "last": None,
        "ok": True,
    }
    assert (second["level"], second["event"]) == ("warning", "sequence gap 7")


def test_json_holds_an_exception_on_one_line(log):
    stream = setup()
    try:
        raise RuntimeError("no\nreason")
    except RuntimeError:
        log.exception("failed")
    (event,) = events(stream)
    assert event["level"] == "error"
    assert str(event["traceback"]).startswith("Traceback (most recent call last):\n")
    assert str(event["traceback"]).endswith("RuntimeError: no\nreason")


def test_json_takes_any_value(log, tmp_path):
    stream = setup()
    log.info(FORGED, extra={"path": tmp_path, "error": ValueError(FORGED), "odd": "\udcff", "many": [b"x", {1}]})
    (event,) = events(stream)
    assert event["event"] == FORGED
    assert event["path"] == str(tmp_path)
    assert event["error"] == FORGED
    assert event["many"] == ["b'x'", "{1}"]
    assert stream.getvalue().isascii()


def test_text_has_one_event_a_line_with_its_fields(log):
    stream = setup(format="text")
    log.info("rotated", extra={"from": "a.jsonl", "messages": 5})
    log.error("sequence gap %d", 7)
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(TS + " INFO    rotated from=a.jsonl messages=5", first)
    assert re.fullmatch(TS + " ERROR   sequence gap 7", second)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("/data/2026-10-01/kalshi.jsonl", "/data/2026-10-01/kalshi.jsonl"),
        ("Zürich", "Zürich"),
        (None, "?"),
        (0, "0"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', '"say \\"no\\""'),
        ("a\nb", '"a\\nb"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("\u2028\u202e\xa0", '"\\u2028\\u202e\\u00a0"'),
        ("\udcff", '"\\udcff"'),
    ],
)
def test_text_quotes_what_could_be_misread(log, value, text):
    stream = setup(format="text")
    log.info("event", extra={"field": value})
    assert stream.getvalue().endswith(f" INFO    event field={text}\n")


@pytest.mark.parametrize("stream", [io.StringIO, FakeTerminal])
def test_nothing_in_a_value_or_a_message_forges_a_line(log, stream):
    out = setup(stream(), format="text")
    log.info(FORGED, extra={"field": FORGED})
    text = out.getvalue().removeprefix("\r\x1b[2K").removesuffix("\x1b[?7l\x1b[?7h")
    assert text.endswith("\n")
    assert text[:-1].isprintable()


def test_text_prints_a_traceback_below_its_event(log):
    stream = setup(format="text")
    try:
        raise RuntimeError("no reason")
    except RuntimeError:
        log.exception("failed")
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(TS + " ERROR   failed", lines[0])
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "RuntimeError: no reason"


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("", ["info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_is_what_the_environment_says(log, level, seen):
    stream = setup(level=level)
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("event")
    assert [event["level"] for event in events(stream)] == seen


@pytest.mark.parametrize(
    ("stream", "form", "is_json"),
    [
        (io.StringIO, "", True),
        (io.StringIO, "json", True),
        (io.StringIO, "TEXT", False),
        (FakeTerminal, "", False),
        (FakeTerminal, "JSON", True),
    ],
)
def test_the_format_is_json_except_on_a_terminal(log, stream, form, is_json):
    out = setup(stream(), format=form)
    log.info("event")
    assert out.getvalue().startswith('{"ts": ') is is_json


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("level", "verbose", "SSMD_LOG_LEVEL is 'verbose'; it may be debug, info, warning, error"),
        ("level", "critical", "SSMD_LOG_LEVEL is 'critical'; it may be debug, info, warning, error"),
        ("format", "xml", "SSMD_LOG_FORMAT is 'xml'; it may be text, json"),
        ("format", "a\nb\x1b", "SSMD_LOG_FORMAT is 'a\\nb\\x1b'; it may be text, json"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(name, value, text):
    with pytest.raises(UsageError) as refused:
        setup(**{name: value})
    assert str(refused.value) == text


def test_a_second_setup_replaces_the_first(log):
    first, second = setup(), setup()
    log.info("event")
    assert (len(events(first)), len(events(second))) == (0, 1)


def test_without_a_stream_it_is_the_stderr_of_now(log, capsys):
    assert logs.setup({}) is None
    log.info("event")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "event"


def test_only_a_terminal_with_text_has_a_status_line():
    assert logs.setup({}, io.StringIO()) is None
    assert logs.setup({"SSMD_LOG_FORMAT": "text"}, io.StringIO()) is None
    assert logs.setup({"SSMD_LOG_FORMAT": "json"}, FakeTerminal()) is None
    assert logs.setup({}, FakeTerminal()) is not None


class Screen:
    """What a terminal shows of what was written to it: enough for carriage returns and the erasing of a line."""

    def __init__(self, written: str) -> None:
        self.lines = [""]
        wraps = at_the_left = True
        for token in re.findall(r"\x1b\[[?0-9]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
            if token == "\n":
                self.lines.append("")
            elif token == "\x1b[2K":
                assert at_the_left
                self.lines[-1] = ""
            elif token in ("\x1b[?7l", "\x1b[?7h"):
                wraps = token.endswith("h")
            elif token != "\r":
                assert not token.startswith("\x1b"), f"unknown sequence {token!r}"
                self.lines[-1] += token
            at_the_left = token == "\r"
        assert wraps, "the terminal was left unable to wrap"


def test_log_lines_are_never_glued_to_the_status_line(log):
    stream = FakeTerminal()
    terminal = logs.setup({}, stream)
    assert terminal is not None
    log.info("one")
    terminal.show("collecting | 1 message")
    log.info("two")
    assert Screen(stream.getvalue()).lines[-1] == "collecting | 1 message"
    terminal.show("collecting | 20 messages")
    terminal.show("short")
    log.warning("three", extra={"field": "value"})
    lines = Screen(stream.getvalue()).lines
    assert [re.sub(TS, "TS", line) for line in lines] == [
        "TS INFO    one",
        "TS INFO    two",
        "TS WARNING three field=value",
        "short",
    ]
    terminal.show("")
    log.info("stopped")
    lines = Screen(stream.getvalue()).lines
    assert re.sub(TS, "TS", lines[-2]) == "TS INFO    stopped"
    assert lines[-1] == ""


def test_a_terminal_that_has_gone_ends_nothing(log):
    class Gone(FakeTerminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    terminal = logs.setup({}, Gone())
    assert terminal is not None
    terminal.show("collecting")
    log.info("event")


def test_an_event_that_cannot_be_formatted_ends_nothing(log, capsys):
    stream = FakeTerminal()
    logs.setup({}, stream)
    log.info("%d messages", "many")
    log.info("next")
    assert "--- Logging error ---" in capsys.readouterr().err
    assert Screen(stream.getvalue()).lines[-2].endswith(" INFO    next")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        (b"bytes \xc3\xa9 \xff", "bytes é \ufffd"),
        (" a\r\nb\x00\x1b[31m\x7f\x9bc ", "a b [31m c"),
        ("a\u2028b\u2029c\u202ed\u2066e\ufefff", "a b c d e f"),
        ("a\udcffb", "a b"),
        ("a\ud7fcb\xa0c\u200bd", "a b c d"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("x" * 10_000_000, "x" * 199 + "…"),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_text_from_outside_is_made_printable(text, shown):
    assert printable(text) == shown


def test_a_log_that_nobody_reads_is_dropped_and_counted_rather_than_waited_for():
    reader, writer = os.pipe()
    with open(reader, "rb") as read_end, open(writer, "w") as write_end:
        logs.setup({"SSMD_LOG_FORMAT": "json"}, write_end)
        logger = logging.getLogger("ssmd.test")
        for number in range(2000):
            logger.info("event", extra={"number": number, "pad": "x" * 100})
        first = os.read(reader, 1 << 20).decode().splitlines()
        logger.info("after")
        write_end.close()
        last = read_end.read().decode().splitlines()
    events = [json.loads(line) for line in first + last]
    dropped = next(event["lines"] for event in events if event["event"] == "log lines dropped")
    assert len(events) - 1 + dropped == 2001
    assert events[-1]["event"] == "after"


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """A pipe for the log, to be read by its number."""
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "w") as write_end:
        yield reader, write_end


def read_log(reader: int, until: str) -> list[dict[str, object]]:
    """The events that come through a pipe, up to one of this name."""
    text = b""
    while f'"{until}"'.encode() not in text or not text.endswith(b"\n"):
        assert gevent.monkey.get_original("select", "select")([reader], [], [], 10)[0], text[-200:]
        text += os.read(reader, 1 << 20)
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("pad", "fewest", "most"),
    [(9000, LINES_BYTES // 9200, (LINES_BYTES + 100_000) // 9000), (1, LINES, LINES + 65536 // 100)],
    ids=["bytes", "lines"],
)
def test_in_a_thread_no_line_is_waited_for_and_what_finds_no_room_is_dropped_and_counted(log, pipe, pad, fewest, most):
    """That a pipe can be written to promises no more than a page."""
    reader, stream = pipe
    setup(stream)
    text, logged = b"", 3000
    with logs.in_a_thread():
        began = time.monotonic()
        for number in range(logged):
            log.info("event", extra={"number": number, "pad": "x" * pad})
        assert time.monotonic() - began < 5
        while b'"after"' not in text:  # A line that is dropped leaves others to be read.
            log.info("after", extra={"number": logged})
            logged += 1
            text += os.read(reader, 1 << 20)
    os.set_blocking(reader, False)
    with contextlib.suppress(BlockingIOError):
        text += os.read(reader, 1 << 20)
    events = [json.loads(line) for line in text.splitlines()]
    numbers = [event["number"] for event in events if "number" in event]
    assert numbers == sorted(numbers)
    assert len(numbers) + sum(event["lines"] for event in events if event["event"] == "log lines dropped") == logged
    assert fewest <= sum(number < 3000 for number in numbers) <= most


@pytest.mark.parametrize("failure", [None, UsageError("refused")])
def test_leaving_the_thread_waits_for_its_lines_and_then_writes_in_place(log, pipe, failure):
    reader, stream = pipe
    setup(stream)
    with contextlib.suppress(UsageError), logs.in_a_thread():
        for number in range(400):
            log.info("event", extra={"number": number})
        if failure is not None:
            raise failure
    log.info("after", extra={"number": 400})
    assert select.select([reader], [], [], 0)[0]
    assert [event["number"] for event in read_log(reader, "after")] == list(range(401))


def test_a_thread_that_is_stuck_is_left_behind(log, pipe):
    reader, stream = pipe
    setup(stream)
    with logs.in_a_thread():
        log.info("event", extra={"pad": "x" * 100_000})
        began = time.monotonic()
    log.info("after")
    assert 0.5 < time.monotonic() - began < 5
    assert [event["event"] for event in read_log(reader, "event")] == ["event"]
    assert not select.select([reader], [], [], 0)[0]


def test_what_a_disk_refuses_for_a_while_is_written_whole_later(log, pipe, monkeypatch):
    """Full, then with room for a few bytes, then not ready: the line is in the log once, and whole."""
    reader, stream = pipe
    setup(stream)
    refusals = [errno.ENOSPC, None, errno.EAGAIN, errno.EDQUOT, None, errno.EIO]
    write = os.write

    def grudging(fd: int, data: bytes) -> int:
        if fd != stream.fileno() or not refusals:
            return write(fd, data)
        refusal = refusals.pop(0)
        if refusal is not None:
            raise OSError(refusal, os.strerror(refusal))
        return write(fd, data[:10])

    monkeypatch.setattr(os, "write", grudging)
    with logs.in_a_thread():
        log.info("first")
        log.info("second")
    assert [event["event"] for event in read_log(reader, "second")] == ["first", "second"]
    assert refusals == []


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ECONNRESET, errno.EBADF, errno.EMSGSIZE])
def test_a_line_that_can_never_be_written_holds_up_no_other(log, pipe, monkeypatch, capsys, code):
    reader, stream = pipe
    setup(stream)
    write, refused = os.write, []

    def refusing(fd: int, data: bytes) -> int:
        if fd == stream.fileno() and b"never" in data:
            refused.append(data)
            raise OSError(code, os.strerror(code))
        return write(fd, data)

    monkeypatch.setattr(os, "write", refusing)
    with logs.in_a_thread():
        log.info("never")
        log.info("after")
    assert [event["event"] for event in read_log(reader, "after")] == ["after"]
    assert len(refused) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("stream", [io.StringIO, FakeTerminal])
def test_what_is_no_file_or_a_terminal_is_written_in_place(log, stream):
    out = setup(stream())
    with logs.in_a_thread():
        log.info("event")
        assert "event" in out.getvalue()


def test_a_real_terminal_is_written_in_place(log):
    master, slave = os.openpty()
    with open(master, "rb", buffering=0) as screen, open(slave, "w") as terminal:
        logs.setup({"SSMD_LOG_FORMAT": "json"}, terminal)
        with logs.in_a_thread():
            log.info("event")
            assert select.select([screen], [], [], 0)[0]


def test_a_status_line_is_cut_to_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((20, 5)))
    stream = FakeTerminal()
    terminal = logs.setup({}, stream)
    terminal.show("x" * 50)
    assert "x" * 18 + "…\x1b" in stream.getvalue()
    assert stream.getvalue().count("x") == 18
    terminal.show("y" * 19)  # What fits is whole.
    assert "y" * 19 + "\x1b" in stream.getvalue()
