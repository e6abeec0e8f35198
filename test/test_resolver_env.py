"""Keys from environment variables, and from the files that these name; no message ever shows a value."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import pytest

from ssmd.contracts.resolver import KeySource
from ssmd.errors import ResolveError
from ssmd.resolver import RESOLVERS
from ssmd.resolver.env import EnvResolver, variables

CANARY = "canary-6b1f"


def resolve(source: str, **environ: str) -> Mapping[str, str]:
    """Return the values by the names of their variables, which here are also the names of the fields."""
    names = [name.strip() for name in source.removeprefix("env:").split(",")]
    return EnvResolver(environ, time.monotonic() + 60).resolve(KeySource("kalshi", source, names)).values


def refusal(source: str, **environ: str) -> str:
    with pytest.raises(ResolveError) as refused:
        resolve(source, **environ)
    text = str(refused.value)
    assert "canary" not in text
    # A cause would be printed with a traceback, and may quote the value.
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    return text


def test_the_catalog_has_it():
    assert RESOLVERS["env"]({"A": "1"}, 0.0).resolve(KeySource("k", "env:A", ["a"])).values == {"a": "1"}


@pytest.mark.parametrize("source", ["env:KEY_ID,KEY_SECRET", "env: KEY_ID , KEY_SECRET ", "env:KEY_SECRET,KEY_ID"])
def test_each_field_gets_the_value_of_its_variable_in_order(source):
    values = resolve(source, KEY_ID="id", KEY_SECRET=CANARY, OTHER="x")
    assert values == {"KEY_ID": "id", "KEY_SECRET": CANARY}
    names = [name.strip() for name in source.removeprefix("env:").split(",")]
    assert list(values) == names


def test_a_value_is_not_changed():
    value = f"  {CANARY}\n-----\\n\udcff  "
    assert resolve("env:KEY", KEY=value) == {"KEY": value}


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({}, "A, B, C are not set in the environment"),
        ({"B": CANARY}, "A, C are not set in the environment"),
        ({"A": CANARY, "B": CANARY}, "C is not set in the environment"),
        ({"A": "", "B": " \n\t", "C": CANARY}, "A, B are not set in the environment"),
    ],
)
def test_all_missing_variables_are_named_at_once_and_an_empty_one_is_missing(environ, text):
    them = "each" if "are" in text else "it"
    remedy = f"set {them} to the value, or to the absolute path of a file that contains the value"
    assert refusal("env:A,B,C", **environ) == f"{text}; {remedy}"


def test_the_path_of_a_file_gives_the_content_of_the_file(tmp_path):
    file = tmp_path / "key.pem"
    content = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"
    file.write_text(content)
    for value in (str(file), f"{file}\n", f" {file} "):
        assert resolve("env:KEY", KEY=value) == {"KEY": content}


def test_a_file_that_every_user_may_read_gives_a_warning(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for file, mode in ((one, 0o644), (two, 0o640)):
        file.write_text(CANARY)
        file.chmod(mode)
    key = KeySource("test", "env:ONE,TWO,THREE", ["a", "b", "c"])
    found = EnvResolver({"ONE": str(one), "TWO": str(two), "THREE": CANARY}, time.monotonic() + 60).resolve(key)
    assert list(found.warnings) == [
        "every user of this host may read the files of `ONE`; remove that right: chmod o-r"
    ]


def test_a_mounted_secret_is_a_link_to_a_link(tmp_path):
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "key").write_text(CANARY)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "key").symlink_to("..data/key")
    assert resolve("env:KEY", KEY=str(tmp_path / "key")) == {"KEY": CANARY}


@pytest.mark.parametrize(
    "value",
    [
        "/" + CANARY,
        "/no/such/file/" + CANARY,
        "/dev/null/" + CANARY,
        "/" + "Q2FuYXJ5" * 40,
        "/" + "Q2FuYXJ5/" * 600,
        "/etc/\0" + CANARY,
        "/etc/hostname\n" + CANARY,
        "relative/" + CANARY,
        "~/" + CANARY,
        "file:///" + CANARY,
        "/",
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_key_that_only_looks_like_a_path_is_a_key(value):
    assert resolve("env:KEY", KEY=value) == {"KEY": value}


def test_the_path_of_a_folder_is_a_key(tmp_path):
    assert resolve("env:KEY", KEY=str(tmp_path)) == {"KEY": str(tmp_path)}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path):
    file = tmp_path / "canary"
    file.write_text(CANARY)
    file.chmod(0)
    assert refusal("env:KEY", KEY=str(file)) == (
        "KEY names a file that cannot be read: Permission denied; let the user that ssmd runs as read it"
    )


def test_a_file_that_fails_to_be_read_is_refused():
    # To read the own memory from address 0 is an error for every user, root included.
    assert refusal("env:KEY", KEY="/proc/self/mem").startswith("KEY names a file that cannot be read: Input/output er")


def test_a_file_too_large_for_a_key_is_refused(tmp_path):
    file = tmp_path / "canary"
    file.write_bytes(b"k" * (64 * 1024))
    assert len(resolve("env:KEY", KEY=str(file))["KEY"]) == 64 * 1024
    file.write_bytes(b"k" * (64 * 1024 + 1))
    assert refusal("env:KEY", KEY=str(file)) == (
        "KEY names a file that has more than 65536 bytes, which is too large for a key"
    )


def test_a_file_of_bytes_is_refused(tmp_path):
    file = tmp_path / "canary"
    file.write_bytes(b"0\x82\x04\xbecanary")
    assert refusal("env:KEY", KEY=str(file)) == "KEY names a file that is not text in UTF-8; a PEM file is needed"


@pytest.mark.parametrize("content", ["", "\n", "  \r\n"])
def test_an_empty_file_is_refused(tmp_path, content):
    file = tmp_path / "canary"
    file.write_text(content)
    assert refusal("env:KEY", KEY=str(file)) == "KEY names a file that is empty; write the value to it"


def key(source: str, *fields: str, name: str = "kalshi") -> KeySource:
    return KeySource(name, source, fields)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (key("env:KALSHI_API_KEY,KALSHI_API_SECRET", "a", "b"), ["KALSHI_API_KEY", "KALSHI_API_SECRET"]),
        (key("env: A , B", "a", "b"), ["A", "B"]),
        (
            key("env", "api-key", "secret.v2", name="kalshi-demo"),
            ["SSMD_KALSHI_DEMO_API_KEY", "SSMD_KALSHI_DEMO_SECRET_V2"],
        ),
    ],
)
def test_which_variables_hold_a_key(source, names):
    assert variables(source) == names
    assert list(EnvResolver.check(source)) == []
    values = EnvResolver({name: f"value of {name}" for name in names}, time.monotonic() + 60).resolve(source).values
    assert values == {field: f"value of {name}" for field, name in zip(source.fields, names, strict=True)}


@pytest.mark.parametrize(
    ("source", "fields", "at", "expected"),
    [
        ("env:A", ["a", "b"], ("source",), "names 1 variable(s) for 2 field(s) (`a`, `b`)"),
        ("env:A,B,C", ["a", "b"], ("source",), "names 3 variable(s) for 2 field(s)"),
        ("env:A,A", ["a", "b"], ("source",), "names the same variable twice"),
        ("env:A,", ["a", "b"], ("source",), "must name environment variables"),
        ("env/A,B", ["a", "b"], ("source",), "must name environment variables"),
        ("env:A B", ["a"], ("source",), "must name environment variables"),
        ("env:hunter2-hunter2", ["a"], ("source",), "must name environment variables"),
        ("env", ["a-b", "a_b"], ("fields", 1), "is the same name as fields[0]"),
        (
            "env:A",
            [f"{'M' * 20}hunter2{'M' * 64}", "b"],
            ("source",),
            "names 1 variable(s) for 2 field(s) (`MMMMMMMMMMMM…`, `b`)",
        ),
    ],
)
def test_the_message_about_a_wrong_source_does_not_show_it(source, fields, at, expected):
    [problem] = EnvResolver.check(key(source, *fields))
    assert (problem.path, problem.warning) == (at, False)
    assert problem.message.startswith(expected)
    assert "hunter2" not in problem.message
