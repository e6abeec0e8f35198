"""The file that names collectors, in the form of Prometheus' file_sd."""

from __future__ import annotations

import json

import pytest

from ssmd.collectors.ask import Address
from ssmd.collectors.discover import read_bytes, targets_in
from ssmd.errors import ConfigError


def read_targets(path):
    return targets_in(read_bytes(path), path)


GROUPS = [
    {"targets": ["a:1", "[::1]:2"], "labels": {"region": "eu", "__scheme__": "http"}},
    {"targets": ["a:1", "b:3"]},
]


YAML = """
- targets: [a:1, '[::1]:2']
  labels: {region: eu}
- targets:
  - b:3
"""


@pytest.mark.parametrize("text", [YAML, json.dumps(GROUPS)])
def test_yaml_and_json(tmp_path, text):
    path = tmp_path / "collectors.yaml"
    path.write_text(text)
    found = read_targets(path)
    assert [target.address for target in found] == [Address("a", 1), Address("::1", 2), Address("b", 3)]
    assert [dict(target.labels) for target in found] == [{"region": "eu"}, {"region": "eu"}, {}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ": must be a list of "),
        ("{}", ": must be a list of "),
        ("- 1", r": \[0\]: must have `targets`"),
        ("- targets: a:1", r": \[0\]: must have `targets`"),
        ("- targets: [a]", r": \[0\]\.targets\[0\]: is 'a'; it must be host:port"),
        ("- targets: [a:1]\n  labels: x", r": \[0\]\.labels: must be a mapping"),
        ("- targets: [\n- {", r":2: is neither YAML nor JSON"),
        ("[" * 50_000, ": is neither YAML nor JSON"),
        ("- targets: [a:1]\n" * 50_000, ": has more than 262,144 bytes"),
        ("\0", ": is neither YAML nor JSON"),
    ],
)
def test_a_file_that_is_wrong(tmp_path, text, reason):
    path = tmp_path / "collectors.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"collectors\.yaml{reason}"):
        read_targets(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_targets(tmp_path / "none")
