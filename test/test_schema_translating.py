"""ssmd/schema/translating.py: a definition that cannot be used, and a process that does not do its work."""

from __future__ import annotations

import importlib.util
import os

import pytest

from ssmd.errors import ConfigError
from ssmd.extras import CAPNP
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
        ("import os; os.abort()", "was killed by SIGABRT: "),
        ("raise SystemExit(3)", "ended with exit code 3: "),
        ("raise KeyError('x')", "ended with exit code 1: KeyError: 'x'"),
    ],
)
def test_a_process_that_ends_badly_is_one_error(program, text, reason):
    expected = f"schemas/x.capnp cannot be used: the process that reads it with pycapnp {reason}"
    assert refused("x.capnp", b"", program(text)).startswith(expected)


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
