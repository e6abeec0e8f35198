"""Keys in files: each field has a file, whose content is the value, and no message ever shows a value or a path."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import dead_disk
import pytest

from ssmd.contracts.resolver import Found, KeySource
from ssmd.errors import ResolveError, SourceUnavailable
from ssmd.resolver import RESOLVERS
from ssmd.resolver.file import FileResolver

CANARY = "canary-2d9e"


def key(source: str, *fields: str) -> KeySource:
    return KeySource("kalshi", source, fields or ("a",))


def resolve(source: str, *fields: str, **environ: str) -> Found:
    return FileResolver(environ, time.monotonic() + 60).resolve(key(source, *fields))


def refusal(source: str, *fields: str, **environ: str) -> str:
    with pytest.raises(ResolveError) as refused:
        resolve(source, *fields, **environ)
    assert not isinstance(refused.value, SourceUnavailable)
    text = str(refused.value)
    assert "canary" not in text
    assert "\n" not in text
    return text


def written(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def test_the_catalog_has_it() -> None:
    assert RESOLVERS["file"] is FileResolver


def test_each_field_has_a_file_in_order(tmp_path: Path) -> None:
    one, two = written(tmp_path / "canary-id", "id\n"), written(tmp_path / "canary-secret", CANARY)
    os.utime(one, (0, 1_000))
    os.utime(two, (0, 2_000))
    found = resolve(f"file:{one} , {two}", "api_key", "api_secret")
    assert found == Found({"api_key": "id", "api_secret": CANARY}, 2_000.0, ())


@pytest.mark.parametrize(
    ("content", "expected"),
    [("x", "x"), ("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x \n", " x "), ("x\r", "x\r"), ("a\nb\n", "a\nb")],
)
def test_one_line_end_is_removed(tmp_path: Path, content: str, expected: str) -> None:
    assert resolve(f"file:{written(tmp_path / 'key', content)}").values == {"a": expected}


def test_a_name_is_that_of_a_credential_of_systemd(tmp_path: Path) -> None:
    written(tmp_path / "kalshi.secret", CANARY)
    assert resolve("file:kalshi.secret", CREDENTIALS_DIRECTORY=str(tmp_path)).values == {"a": CANARY}
    assert refusal("file:kalshi.secret") == (
        "the file of `a` is named as a credential of systemd, and CREDENTIALS_DIRECTORY is not set; add "
        "LoadCredential= to the unit, or name the file with an absolute path"
    )
    assert refusal("file:kalshi.other", CREDENTIALS_DIRECTORY=str(tmp_path)) == "the file of `a` does not exist"


def test_a_mounted_secret_is_a_link_to_a_link(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    written(tmp_path / "..2026" / "key", CANARY)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "key").symlink_to("..data/key")
    assert resolve(f"file:{tmp_path}/key").values == {"a": CANARY}


def test_the_time_of_a_file_in_memory_says_nothing_of_the_key(tmp_path: Path) -> None:
    """It is new with each start, as credentials and mounted Secrets are."""
    shared = Path("/dev/shm", f"ssmd-test-{os.getpid()}")
    try:
        assert resolve(f"file:{written(shared, CANARY)}") == Found({"a": CANARY}, None, ())
    finally:
        shared.unlink()
    assert resolve(f"file:{written(tmp_path / 'key', CANARY)}").changed == pytest.approx(time.time(), abs=60)


def test_a_file_that_all_may_read_gives_a_warning(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", CANARY, 0o644), written(tmp_path / "two", CANARY, 0o640)
    assert list(resolve(f"file:{one},{two}", "a", "b").warnings) == [
        "every user of this host may read the files of `a`; remove that right: chmod o-r"
    ]


def test_all_that_is_wrong_with_the_files_is_named_at_once(tmp_path: Path) -> None:
    empty = written(tmp_path / "empty", "\n")
    assert refusal(f"file:{tmp_path}/canary,{empty}", "api_key", "api_secret") == (
        "the file of `api_key` does not exist, and the file of `api_secret` is empty; write the value to it"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty; write the value to it"),
        (b" \n\t", "is empty; write the value to it"),
        (b"0\x82\x04\xbecanary", "is not text in UTF-8; a PEM file is needed"),
        (b"k" * (64 * 1024 + 1), "has more than 65536 bytes, which is too large for a key"),
    ],
)
def test_a_file_that_is_no_key(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refusal(f"file:{written(tmp_path / 'canary', content)}") == f"the file of `a` {expected}"


def test_what_is_no_file_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "canary")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "canary-socket"))
        pipe = "the file of `a` is a pipe, a socket or a device; write the value to a file"
        for path in (tmp_path / "canary", Path("/dev/zero"), Path("/dev/tty")):
            assert refusal(f"file:{path}") in (pipe, "the file of `a` cannot be read: No such device or address; let "
                                               "the user that ssmd runs as read it")
        assert "cannot be read: No such device or address" in refusal(f"file:{tmp_path}/canary-socket")
    assert refusal(f"file:{tmp_path}") == "the file of `a` is a folder; name a file in it"
    assert refusal(f"file:{tmp_path}/canary/x") == (
        "the file of `a` cannot be read: Not a directory; let the user that ssmd runs as read it"
    )


@pytest.mark.needs("strace")
@pytest.mark.parametrize("patched", dead_disk.PATCHED)
@pytest.mark.parametrize("kind", ["file", "env"])
def test_a_file_of_a_dead_file_system_does_not_hold_a_run_up(tmp_path: Path, kind: str, patched: str) -> None:
    path = written(tmp_path / "canary", "x")
    source = f"file:{path}" if kind == "file" else "env:KEY"
    what = "the file of `a`" if kind == "file" else "KEY names a file that"
    text = f"SourceUnavailable {what} could not be read in time; check that its file system is there\n"
    assert dead_disk.refusal(path, patched, source, f"KEY={path}") == text


def test_a_file_that_fails_to_be_read_is_refused() -> None:
    # To read the own memory from address 0 is an error for every user, root included.
    assert refusal("file:/proc/self/mem").startswith("the file of `a` cannot be read: Input/output error; let the user")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    assert refusal(f"file:{written(tmp_path / 'canary', CANARY, 0)}") == (
        "the file of `a` cannot be read: Permission denied; let the user that ssmd runs as read it"
    )


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        ("file", ["a"], "must name files"),
        ("file:", ["a"], "must name files"),
        ("file:/a,", ["a", "b"], "must name files"),
        ("file:./a", ["a"], "must name files"),
        ("file:hunter2/hunter2", ["a"], "must name files"),
        ("file:..", ["a"], "must name files"),
        ("file:~/a", ["a"], "must name files"),
        ("file:/a\nhunter2", ["a"], "must name files"),
        (f"file:/{'hunter2' * 1000}", ["a"], "must name files"),
        ("file:/a,/a", ["a", "b"], "names the same file twice"),
        ("file:/a", ["a", "b"], "names 1 file(s) for 2 field(s) (`a`, `b`); name one for each, in the same order"),
        ("file:/a,/b", ["a"], "names 2 file(s) for 1 field(s) (`a`); name one for each, in the same order"),
    ],
)
def test_a_wrong_source_is_not_shown(source: str, fields: list[str], expected: str) -> None:
    [problem] = FileResolver.check(key(source, *fields))
    assert problem.path == ("source",)
    assert problem.message.startswith(expected)
    assert "hunter2" not in problem.message


@pytest.mark.parametrize("source", ["file:/run/secrets/a b", "file:kalshi.secret", "file: /a "])
def test_a_source_with_its_form_is_accepted(source: str) -> None:
    assert list(FileResolver.check(key(source))) == []
