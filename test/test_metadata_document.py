"""YAML is read as it was written, with its lines, and a file that cannot be used is refused, whatever it contains."""

from __future__ import annotations

import errno
import os
import time

import pytest
import yaml

from ssmd.errors import ConfigError
from ssmd.metadata import document
from ssmd.metadata.document import Document, DocumentError, Plain, freeform, parse, read
from ssmd.metadata.tree import MAX_DEPTH, MAX_NODES

LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__)
def loader(request, monkeypatch):
    """Both parsers: an installation may have either."""
    monkeypatch.setattr(document, "_LOADER", request.param)


def data(text: str) -> dict:
    return parse(text.encode(), "feeds/x.yaml").data


def refusal(content: str | bytes) -> str:
    """The message with which a file is refused, without its name."""
    with pytest.raises(DocumentError) as caught:
        parse(content.encode() if isinstance(content, str) else content, "feeds/x.yaml")
    assert isinstance(caught.value, ConfigError)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("feeds/x.yaml:").strip()


@pytest.mark.parametrize("text", ["2025-12-22", "10:30", "no", "1.10", "010", "1_000", "0x1F", "1e3", ".inf", "=", "y"])
def test_unquoted_scalars_keep_their_text(loader, text):
    value = data(f"a: {text}")["a"]
    assert value == text
    assert type(value) is Plain


def test_quoted_scalars_are_text_and_empty_ones_are_nothing(loader):
    found = data("a: '1'\nb: \"true\"\nc: |\n  5\nd:\ne: ~\nf: null\ng: ''\nh: 'null'\n")
    assert found == {"a": "1", "b": "true", "c": "5\n", "d": None, "e": None, "f": None, "g": "", "h": "null"}
    assert {type(value) for value in found.values()} == {str, type(None)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("010", 10),
        ("0o10", 8),
        ("0x1f", 31),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("2025-01-01", "2025-01-01"),
        ("10:30", "10:30"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_free_form_follows_yaml_1_2_and_stays_within_json(text, value):
    found = freeform(Plain(text))
    assert (found, type(found)) == (value, type(value))


def test_free_form_reaches_inside_and_leaves_quoted_text_alone():
    found = freeform(data("a: [1, '1', {b: true, c: 'true', d: }]"))
    assert found == {"a": [1, "1", {"b": True, "c": "true", "d": None}]}


def test_lines_are_those_of_the_keys(loader):
    text = "# comment\nname: x\nkeys:\n  kalshi:\n    fields:\n      - a\n      - b\nlist: [\n 1,\n 2]\n"
    found = parse(text.encode(), "x")
    paths = {("name",): 2, ("keys",): 3, ("keys", "kalshi"): 4, ("keys", "kalshi", "fields", 1): 7, ("list", 1): 10}
    assert {path: found.line(path) for path in paths} == paths


def test_a_field_that_is_missing_has_the_line_of_what_is_around_it():
    found = parse(b"\nname: x\nstorage:\n  type: local\n", "x")
    assert found.line(("storage", "path")) == 3
    assert found.line(("feed",)) == 2
    assert str(found.problem(("storage", "path"), "is required")) == "x:3: storage.path: is required"


def test_aliases_are_copies(loader):
    found = data("a: &a {x: [1]}\nb: *a\nc: [*a, *a]\n")
    assert found["b"] == {"x": ["1"]}
    found["b"]["x"].append("2")
    assert found["a"] == found["c"][0] == found["c"][1] == {"x": ["1"]}


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(loader):
    found = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x")
    assert (found.data, found.line(("b",))) == ({"a": "1", "b": "2"}, 2)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{key}: &{key} [{','.join([f'*{before}'] * 10)}]\n" for before, key in zip("abcdefg", "bcdefgh", strict=True)
)
TOWER = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 400))

VICIOUS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "is empty"),
    "only a comment": ("# nothing\n", "is empty"),
    "only a marker": ("---\n", "is empty"),
    "a list": ("- a\n- b\n", "1: must be a mapping (`key: value` lines), not a list"),
    "a text": ("hello", "1: must be a mapping (`key: value` lines), not text"),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "3: the key `a` is written twice (first in line 1)"),
    "duplicate key, once in quotes": ("a: 1\n'a': 3\n", "2: the key `a` is written twice"),
    "duplicate key further in": ("a:\n  b: 1\n  c: [{d: 1, d: 2}]\n", "3: the key `d` is written twice"),
    "duplicate key that forges a line": ('"a\\nb": 1\n"a\\nb": 1\n', "2: the key `a b` is written twice"),
    "list as key": ("? [a]\n: b\n", "1: a list or a mapping cannot be a key"),
    "mapping as key": ("{a: b}: c\n", "1: a list or a mapping cannot be a key"),
    "number as key": ("a: 1\n5: c\n", "2: the key `5` is not text"),
    "truth as key": ("true: c\n", "1: the key `true` is not text"),
    "nothing as key": ("~: c\n", "1: a key is empty"),
    "two documents": ("a: 1\n---\nb: 2\n", "2: a second YAML document"),
    "python tag": ("a: 1\nb: !!python/object/apply:os.system [id]\n", "2: the tag `!!python/object/apply:os.system`"),
    "own tag": ("a: !secret x\n", "1: the tag `!secret` is not allowed"),
    "standard tag": ("a: !!str 1\n", "1: the tag `!!str` is not allowed"),
    "tag on a mapping": ("a: !!map {}\n", "1: the tag `!!map` is not allowed"),
    "merge key": ("a: &a {x: 1}\nb:\n  <<: *a\n", "3: the merge key `<<` is not supported"),
    "alias within itself": ("a: &a [1, *a]\n", "1: the alias `*a` is inside the value that it repeats; write it out"),
    "alias within itself, further in": ("a: &a {b: {c: *a}}\n", "1: the alias `*a` is inside"),
    "unknown alias": ("a: *b\n", "1: the alias `*b` has no anchor before it; write `&name` before the value"),
    "alias bomb": (BOMB, f": contains more than {MAX_NODES} values"),
    "tower of aliases": (TOWER, f": nested more than {MAX_DEPTH} levels deep"),
    "brackets": ("a: " + "[" * 20_000, f"1: nested more than {MAX_DEPTH} levels deep"),
    "braces": ("a: " + "{a: " * 20_000, f"1: nested more than {MAX_DEPTH} levels deep"),
    "dashes": ("- " * 20_000, f"1: nested more than {MAX_DEPTH} levels deep"),
    "question marks": ("? " * 20_000, "1: a list or a mapping cannot be a key"),
    "many entries": ("a:\n" + "- x\n" * (MAX_NODES + 1), f": contains more than {MAX_NODES} values"),
    "tab": ("a:\n\tb: c\n", "2: a tab where YAML wants spaces"),
    "tab in the first line": ("\ta: b\n", "1: a tab where YAML wants spaces"),
    "colon in a value": ("a: b: c\n", "1: a `:` where none can be"),
    "indented too far": ("a: 1\n  b: 2\n", "2: a `:` where none can be"),
    "indentation": ("a:\n    b: 1\n  c: 2\n", "3: the indentation does not fit"),
    "entry after a list": ("a:\n- b\nc\n", "3: this is neither `key: value` nor a list entry"),
    "open quote": ("a: 1\nb: 'x\nc: 1\n", "2: a quote is opened and never closed"),
    "open double quote": ('a: 1\nb: "x\nc: 1\n', "2: a quote is opened and never closed"),
    "open bracket": ("a: 1\nb: [1, 2\n", "2: a bracket is opened and never closed"),
    "wrong bracket": ("a: [1, 2}\n", "1: a bracket is opened and never closed"),
    "at sign": ("a: @x\n", "1: a value cannot begin with this character"),
    "backquote": ("a: `x`\n", "1: a value cannot begin with this character"),
    "escape": ('a: "\\q"\n', "1: a double-quoted text has a `\\` escape"),
    "YAML 9": ("%YAML 9.9\n---\na: 1\n", "1: the %YAML line asks for another version"),
    "text after the end": ("a: 1\n...\nb\n", "3: text follows where the document should end"),
    "NUL": ("a: 1\nb: \x00\n", "2: contains the control character U+0000"),
    "terminal escape": ("a: \x1b[31m\n", "1: contains the control character U+001B"),
    "not UTF-8": (b"a: 1\nb: \xff\n", "2: is not UTF-8 text"),
    "UTF-16": ("a: 1\n".encode("utf-16"), "1: is not UTF-8 text"),
}


@pytest.mark.parametrize("name", VICIOUS)
def test_vicious_files_are_refused_with_file_line_and_reason(loader, name):
    content, expected = VICIOUS[name]
    began = time.thread_time()  # This thread's time alone: the machine may be busy.
    message = refusal(content)
    assert expected in message
    assert expected[0] not in "123" or message.startswith(expected)
    # Far above what it takes, and far below what an exponential expansion would take.
    assert time.thread_time() - began < 20


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: {path: params.channels[*], split: x}\n", 2),
        ("a: 1\ntype: [0].event\n", 2),
        ("a:\n- [0].s\n", 2),
        ("a: [data.s, data[0].s]\n", 1),
        ("a: [data[*].s]\n", 1),
        ("a: [data.s,\n  data[0].s]\n", 2),
    ],
)
def test_a_path_with_brackets_that_yaml_cannot_read_has_its_remedy(loader, text, line):
    message = refusal(text)
    assert message.startswith(f"{line}: ")
    assert message.endswith("; if it is a path with brackets, put it in quotes")


def test_a_path_as_a_key_has_its_remedy_too(loader):
    assert refusal("a:\n  [0].event: x\n") == (
        "2: a list or a mapping cannot be a key; write a name before the `:`, and put a path with brackets in quotes"
    )


@pytest.mark.parametrize("text", ["a: [0\nb: 1\n", "a: {path: 'b[0]', c: d\n", 'a: ["b[0]", c: [d\n'])
def test_other_brackets_have_no_remedy_for_paths(loader, text):
    assert "path" not in refusal(text)


# The two parsers refuse these with different messages.
@pytest.mark.parametrize(
    "content",
    [
        'a: "\\ud800"',
        'a: "\\UFFFFFFFF"',
        "%YAML " + "9" * 5000 + ".1\n---\na: 1",
        "a: !<\n",
        "a: !x!y z",
        "a: &",
        "a: }",
    ],
)
def test_what_the_parsers_themselves_cannot_read_is_refused(loader, content):
    assert refusal(content)


def test_depth_and_size_up_to_the_limit_are_read(loader):
    deep = MAX_DEPTH - 2
    assert data("a: " + "[" * deep + "]" * deep)
    assert len(data("a:\n" + "- x\n" * (MAX_NODES - 3))["a"]) == MAX_NODES - 3


def test_a_file_is_read_and_has_its_name_in_the_tree(tmp_path):
    (tmp_path / "x.yaml").write_text("a: 1\n")
    found = read(tmp_path / "x.yaml", "feeds/x.yaml")
    assert isinstance(found, Document)
    assert (found.file, found.data) == ("feeds/x.yaml", {"a": "1"})


def unreadable(path, make) -> str:
    make(path)
    with pytest.raises(DocumentError) as caught:
        read(path, "feeds/x.yaml")
    return str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_without_waiting(tmp_path):
    messages = {
        "missing": unreadable(tmp_path / "a", lambda path: None),
        "directory": unreadable(tmp_path / "b", lambda path: path.mkdir()),
        "pipe": unreadable(tmp_path / "c", os.mkfifo),
        "device": unreadable(tmp_path / "d", lambda path: path.symlink_to("/dev/zero")),
        "loop": unreadable(tmp_path / "e", lambda path: path.symlink_to(path)),
        "large": unreadable(tmp_path / "f", lambda path: path.write_bytes(b"#" * (document.MAX_BYTES + 1))),
        "nul": unreadable(tmp_path / "g\0h", lambda path: None),
    }
    assert messages == {
        "missing": "feeds/x.yaml: cannot be read: No such file or directory; correct or remove it",
        "directory": "feeds/x.yaml: cannot be read: it is a directory, not a file; correct or remove it",
        "pipe": "feeds/x.yaml: cannot be read: it is not a regular file; correct or remove it",
        "device": "feeds/x.yaml: cannot be read: it is not a regular file; correct or remove it",
        "loop": "feeds/x.yaml: cannot be read: Too many levels of symbolic links; correct or remove it",
        "large": f"feeds/x.yaml: cannot be read: it is larger than {document.MAX_BYTES} bytes; correct or remove it",
        "nul": "feeds/x.yaml: cannot be read: its path contains a NUL character; correct or remove it",
    }


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    # Permission bits do not stop root, who often runs the tests.
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    message = unreadable(tmp_path / "x", lambda path: path.touch())
    assert message == "feeds/x.yaml: cannot be read: Permission denied; correct or remove it"
