"""ssmd/schema/translating.py: a definition that cannot be used, and a process that does not do its work."""

from __future__ import annotations

import importlib.util
import json
import os

import pytest

from ssmd.errors import ConfigError
from ssmd.extras import CAPNP
from ssmd.schema.check import make_checker
from ssmd.schema.translating import TRANSLATORS, Translator, translate

ID = b"@0xbf5147cbbecf40c1;\n"


def refused(name: str, content: bytes, translator: Translator | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        translate(content, f"schemas/{name}", translator or TRANSLATORS[{"p": "protobuf", "c": "capnp"}[name[2]]])
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.proto", b'syntax = "proto3";\nmessage X { strin a = 1; }', ':2: "strin" is not defined; correct it'),
        ("x.proto", b'syntax = "proto3";\nmessage X {', ":2: Reached end of input in message definition"),
        ("x.proto", b'import "other.proto";', ':1: Import "other.proto" was not found or had errors'),
        ("x.proto", b"", ": no message is described at the top of the file; correct it"),
        ("x.proto", bytes(range(256)), ":1: "),
        ("x.capnp", ID + b"struct X {\n  a_b @0 :Text;\n}", ":3: Cap'n Proto declaration names should use camelCase"),
        ("x.capnp", ID + b"struct X { a @0 :Txt; }", ":2: Not defined: Txt; correct it"),
        ("x.capnp", ID + b"struct X {", ":2: Parse error; correct it"),
        ("x.capnp", ID + b'using Y = import "y.capnp";\nstruct X { y @0 :Y.Z; }', ":2: Import failed: y.capnp"),
        ("x.capnp", ID, ": no message is described at the top of the file; correct it"),
        ("x.capnp", b"", ":1: File does not declare an ID."),
        ("x.capnp", bytes(range(256)), ":1: "),
    ],
)
def test_a_definition_that_is_not_valid_is_one_error_with_its_line(name, content, reason):
    text = refused(name, content)
    assert text.startswith(f"schemas/{name}{reason}")
    assert len(text.splitlines()) == 1
    assert "/tmp" not in text


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return what makes a translator of a program in Python."""

    def make(text: str) -> Translator:
        (tmp_path / "stand_in.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return TRANSLATORS["capnp"]._replace(module="stand_in")

    return make


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os; os.abort()", "was killed by SIGABRT; correct the definition, or make it simpler"),
        ("raise SystemExit(3)", "ended with exit code 3; correct the definition"),
        ("raise KeyError('x')", "ended with exit code 1: KeyError: 'x'"),
    ],
)
def test_a_process_that_ends_badly_is_one_error(program, text, reason):
    expected = f"schemas/x.capnp cannot be used: the process that reads it with pycapnp {reason}"
    assert refused("x.capnp", b"", program(text)).startswith(expected)


LISTS = ID + b"struct Message { a @0 :" + b"List(" * 3000 + b"Int32" + b")" * 3000 + b"; }"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.capnp", LISTS, " cannot be used: the process that reads it with pycapnp was killed by SIGSEGV; "),
        ("x.proto", b"message M {" * 5000 + b"}" * 5000, ":1: Reached maximum recursion limit for nested messages"),
    ],
)
def test_a_definition_that_is_nested_very_deep_is_one_error(name, content, reason):
    assert refused(name, content).startswith(f"schemas/{name}{reason}")


FIELDS = range(500)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "x.proto",
            b'syntax = "proto3"; message Message { oneof any { %b } }'
            % b"".join(b"int32 f%d = %d;" % (at, at + 1) for at in FIELDS),
        ),
        (
            "x.capnp",
            ID + b"struct Message { union { %b } }" % b"".join(b"f%d @%d :Int32;" % (at, at) for at in FIELDS),
        ),
    ],
)
def test_of_very_many_fields_one_at_most_may_be_there(name, content):
    """All pairs of a thousand took a gigabyte, and a minute."""
    made = translate(content, name, TRANSLATORS[{"p": "protobuf", "c": "capnp"}[name[2]]])
    assert len(made) < 2_000_000
    fields = ["f1", "f498", "f499"]
    payloads = [json.dumps(dict.fromkeys(some, 1)).encode() for some in ([], fields[:1], fields[::2], fields[1:])]
    assert [each.index for each in make_checker(made, name).check([*payloads, b'{"f1":1,"f2":null}'])] == [2, 3]


def test_a_definition_that_takes_very_much_memory_does_not_take_that_of_the_host(program):
    large = "from ssmd.schema.assembly import be_bounded\nbe_bounded()\nx = bytes(3 << 30)"
    text = refused("x.capnp", b"", program(large))
    assert "ended with exit code 1: MemoryError; correct the definition, or make it simpler" in text


def test_a_process_that_does_not_end_is_one_error(program, monkeypatch):
    monkeypatch.setattr("ssmd.schema.translating._SECONDS", 0.2)
    text = refused("x.capnp", b"", program("import time; time.sleep(600)"))
    assert text == "schemas/x.capnp was not read within 0 s; make it smaller"


def test_the_other_process_gets_no_key(program, monkeypatch):
    monkeypatch.setenv("KALSHI_API_SECRET", "canary")
    made = translate(b"", "x.capnp", program("import os; print(sorted(os.environ))")).decode()
    assert "PYTHONPATH" in made
    assert "KALSHI_API_SECRET" not in made


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    refused("x.capnp", b"")
    refused("x.proto", b"")
    assert os.listdir(tmp_path) == []


def test_a_library_that_is_not_installed_is_the_error_of_its_extra(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "capnp" else find(name))
    assert not CAPNP.is_installed()
    assert refused("x.capnp", b"") == (
        "schemas/x.capnp needs the Python package pycapnp, which is not installed; run `bin/extras capnp` in a "
        "checkout, and elsewhere `pip install 'ssmd[capnp]'`"
    )
