"""The tree as a whole: references, all problems at once and each of them once, and no way out of the tree."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssmd import wiring
from ssmd.errors import ConfigError
from ssmd.metadata.keys import SOURCE_FAULT
from ssmd.metadata.loader import Deployment, Problem, check, load

TODAY = date(2026, 3, 1)
PARTS = wiring.parts()
EMPTY_HASH = "sha256:" + hashlib.sha256(b"").hexdigest()

ENVIRONMENT = """\
name: kalshi-dev
feed: kalshi
schema: trade:v1
keys:
    kalshi: {type: api_key, description: d, required: true, fields: [api_key, api_secret], source: "env:A,B"}
transport: {type: memory}
storage: {type: local, path: /var/lib/ssmd/data}
data_timeout_seconds: 60
"""
FEED = """\
name: kalshi
type: websocket
status: active
versions:
  - version: v1
    effective_from: 2025-12-22
    endpoint: wss://example.com/ws
"""
SCHEMA = f"""\
name: trade
format: capnp
schema_file: trade.capnp
versions:
  - version: v1
    effective_from: 2025-12-22
    status: active
    hash: {EMPTY_HASH}
"""


@pytest.fixture
def tree(tmp_path):
    """A valid tree."""
    for folder in ("environments", "feeds", "schemas"):
        (tmp_path / folder).mkdir()
    (tmp_path / "environments/kalshi-dev.yaml").write_text(ENVIRONMENT)
    (tmp_path / "feeds/kalshi.yaml").write_text(FEED)
    (tmp_path / "schemas/trade.yaml").write_text(SCHEMA)
    (tmp_path / "schemas/trade.capnp").write_bytes(b"")
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def errors(tree, name="kalshi-dev") -> list[str]:
    """The lines of the error with which load() refuses the environment."""
    with pytest.raises(ConfigError) as caught:
        load(tree, name, TODAY, PARTS)
    return str(caught.value).split("\n")


def everything(tree) -> list[str]:
    """What check() reports of an environment: its errors, which are those of load(), and its warnings."""
    problems = check(tree, TODAY, PARTS, ["kalshi-dev"]).problems
    assert [str(problem) for problem in problems if not problem.warning] == errors(tree)
    return [str(problem) for problem in problems]


def warnings(tree) -> list[str]:
    """The warnings with which load() accepts the environment; check() must report the same."""
    found = load(tree, "kalshi-dev", TODAY, PARTS).warnings
    assert all(problem.warning for problem in found)
    assert check(tree, TODAY, PARTS, ["kalshi-dev"]).problems == found
    return [str(problem) for problem in found]


def test_a_valid_tree(tree):
    deployment = load(tree, "kalshi-dev", TODAY, PARTS)
    assert isinstance(deployment, Deployment)
    assert deployment.environment.name == "kalshi-dev"
    assert deployment.feed.name == "kalshi"
    assert (deployment.version.version, deployment.version_index) == ("v1", 0)
    assert deployment.schema.name == "trade"
    assert deployment.schema_version.version == "v1"
    assert deployment.warnings == []
    report = check(tree, TODAY, PARTS)
    assert report.files == ["environments/kalshi-dev.yaml", "feeds/kalshi.yaml", "schemas/trade.yaml"]
    assert report.problems == []
    assert report.deployments == {"kalshi-dev": deployment}


def test_schema_and_transport_may_be_left_out(tree):
    edit(tree / "environments/kalshi-dev.yaml", "schema: trade:v1\n", "")
    edit(tree / "environments/kalshi-dev.yaml", "transport: {type: memory}\n", "")
    shutil.rmtree(tree / "schemas")
    deployment = load(tree, "kalshi-dev", TODAY, PARTS)
    assert (deployment.schema, deployment.schema_version) == (None, None)
    assert deployment.environment.transport.type == "memory"


def test_a_run_reads_only_what_its_environment_needs(tree):
    (tree / "environments/other.yaml").write_text("[")
    (tree / "feeds/other.yaml").write_text("[")
    (tree / "schemas/other.yaml").write_text("[")
    assert load(tree, "kalshi-dev", TODAY, PARTS).warnings == []
    assert check(tree, TODAY, PARTS, ["kalshi-dev"]).problems == []
    assert [problem.file for problem in check(tree, TODAY, PARTS).problems] == [
        "environments/other.yaml",
        "feeds/other.yaml",
        "schemas/other.yaml",
    ]


def test_a_deployment_knows_the_lines_of_its_fields(tree):
    deployment = load(tree, "kalshi-dev", TODAY, PARTS)
    problem = deployment.problem(("storage", "type"), "is not supported")
    assert problem == Problem("environments/kalshi-dev.yaml", 7, "storage.type", "is not supported")
    assert str(problem) == "environments/kalshi-dev.yaml:7: storage.type: is not supported"
    path = ("versions", deployment.version_index, "endpoint")
    assert str(deployment.problem(path, "x", of="feed")) == "feeds/kalshi.yaml:7: versions[0].endpoint: x"
    assert deployment.problem(("subscribe", "channels"), "x", warning=True).line == 1


def test_all_problems_of_all_files_are_reported_at_once_and_each_once(tree):
    edit(tree / "environments/kalshi-dev.yaml", "path: /var", "pth: /var")
    edit(tree / "environments/kalshi-dev.yaml", "required: true", "required: maybe")
    edit(tree / "feeds/kalshi.yaml", "2025-12-22", "yesterday")
    edit(tree / "feeds/kalshi.yaml", "wss://example.com/ws", "https://example.com")
    edit(tree / "schemas/trade.yaml", "name: trade", "name: trades")
    expected = [
        "environments/kalshi-dev.yaml:5: keys.kalshi.required: must be true or false, not `maybe`",
        "environments/kalshi-dev.yaml:7: storage.pth: ssmd does not know this key; did you mean `path`?",
        "environments/kalshi-dev.yaml:7: storage.path: is required; add it",
        "feeds/kalshi.yaml:6: versions[0].effective_from: must be a date such as 2025-12-22, not `yesterday`",
        "feeds/kalshi.yaml:7: versions[0].endpoint: must be the URL of a websocket: wss://host/path, ws://host/path, "
        "or sim://kalshi for the simulator",
        "schemas/trade.yaml:1: name: is `trades` in a file named trade.yaml; make the two agree",
    ]
    assert errors(tree) == expected
    # A second environment with the same feed and schema has nothing to add.
    shutil.copy(tree / "environments/kalshi-dev.yaml", tree / "environments/second.yaml")
    (tree / "environments/second.yaml").write_text(ENVIRONMENT.replace("kalshi-dev", "second"))
    report = check(tree, TODAY, PARTS)
    # Except that it cannot be used either.
    unusable = [
        f"environments/second.yaml:{line}: {field}: cannot be used, because {file} has errors; correct those"
        for line, field, file in ((2, "feed", "feeds/kalshi.yaml"), (3, "schema", "schemas/trade.yaml"))
    ]
    assert [str(problem) for problem in report.problems] == expected[:3] + unusable + expected[3:]
    assert report.deployments == {}


def test_a_wrong_field_anywhere_hides_no_problem_of_another_section(tree):
    """An error in each section but one: what that one has wrong is reported as if the others were right."""
    file = tree / "environments/kalshi-dev.yaml"
    edit(file, "feed: kalshi", "feed: kalshi\nsubscribe: {chanels: [trade]}")
    edit(file, "fields: [api_key, api_secret]", "fields: [api_key, api_secrt]")
    edit(file, "transport: {type: memory}", "transport: {type: memry}")
    edit(file, "type: local", "type: locl")
    edit(tree / "schemas/trade.yaml", EMPTY_HASH, "sha256:1")
    alone = errors(tree)
    assert [line.split(": ")[1] for line in alone] == [
        "subscribe.chanels", "keys.kalshi.fields[1]", "transport.type", "storage.type", "versions[0].hash",
    ]  # fmt: skip
    # Now each file has an error that keeps its model from loading.
    edit(file, "data_timeout_seconds: 60", "data_timeout_seconds: none\nschedule: {auto_roll: maybe}")
    edit(tree / "feeds/kalshi.yaml", "status: active", "status: none")
    edit(tree / "schemas/trade.yaml", "format: capnp", "format: none")
    assert {line.split(": ", 1)[1] for line in alone} < {line.split(": ", 1)[1] for line in errors(tree)}
    # And now the feed's version has one too, so that it is not known which version is in force.
    edit(tree / "feeds/kalshi.yaml", "effective_from: 2025-12-22", "effective_from: never")
    assert any("subscribe.chanels" in line for line in errors(tree))


def test_what_has_no_effect_is_reported_beside_errors(tree):
    wrong = "data_timeout_seconds: none\ncache: {type: redis}\n"
    edit(tree / "environments/kalshi-dev.yaml", "data_timeout_seconds: 60\n", wrong)
    assert everything(tree)[1:] == ["environments/kalshi-dev.yaml:9: cache: has no effect in this version"]


def test_a_section_without_its_type_is_one_error_without_further_warnings(tree):
    edit(tree / "environments/kalshi-dev.yaml", "transport: {type: memory}", "transport: {url: x}")
    assert errors(tree) == ["environments/kalshi-dev.yaml:6: transport.type: is required; add it"]


@pytest.mark.parametrize(
    ("file", "field"), [("feeds/kalshi.yaml", "feed"), ("schemas/trade.yaml", "schema")], ids=["feed", "schema"]
)
@pytest.mark.parametrize("text", ["[", "type: 1\n", ""])
def test_an_environment_is_not_ok_when_its_feed_or_schema_has_an_error(tree, file, field, text):
    (tree / file).write_text(text)
    report = check(tree, TODAY, PARTS)
    [problem] = [problem for problem in report.problems if problem.file.startswith("environments/")]
    assert (problem.field, problem.warning) == (field, False)
    assert problem.message == f"cannot be used, because {file} has errors; correct those"
    assert report.deployments == {}
    # A run is for one environment. It lists the errors themselves, and nothing else.
    assert [line for line in errors(tree) if not line.startswith(file)] == []


@pytest.mark.parametrize(
    ("file", "line"), [("environments/kalshi-dev.yaml", 1), ("feeds/kalshi.yaml", 1), ("schemas/trade.yaml", 1)]
)
def test_a_name_must_equal_the_name_of_its_file(tree, file, line):
    (tree / file).write_text("name: other\n" + (tree / file).read_text().split("\n", 1)[1])
    assert errors(tree) == [f"{file}:{line}: name: is `other` in a file named {Path(file).name}; make the two agree"]


def test_a_type_without_a_part_is_an_error_whatever_its_endpoint_is(tree):
    edit(tree / "feeds/kalshi.yaml", "type: websocket", "type: multicast")
    for endpoint in ("239.1.1.1:5000", "'[::1/'", "SIM://kalshi?rate=none", "':'"):
        edit(tree / "feeds/kalshi.yaml", "    endpoint: wss://example.com/ws\n", f"    endpoint: {endpoint}\n")
        found = [line for line in errors(tree) if "keys.kalshi.fields: have no effect on this feed" not in line]
        message = "type: `multicast` is not supported in this version, which has `rest`, `websocket`"
        assert found[0] == f"feeds/kalshi.yaml:2: {message}"
        assert [line for line in found[1:] if "endpoint" not in line] == []
        edit(tree / "feeds/kalshi.yaml", f"    endpoint: {endpoint}\n", "    endpoint: wss://example.com/ws\n")


def test_a_type_that_is_misspelt_is_one_error_and_nothing_is_checked_by_the_rules_of_another_type(tree):
    edit(tree / "feeds/kalshi.yaml", "type: websocket", "type: REST")
    environment = tree / "environments/kalshi-dev.yaml"
    environment.write_text(environment.read_text() + "subscribe: {chanels: [trade]}\n")
    message = "type: `REST` is not supported in this version, which has `rest`, `websocket`; did you mean `rest`?"
    found = [line for line in errors(tree) if "keys.kalshi.fields" not in line and "cannot be used" not in line]
    assert found == [f"feeds/kalshi.yaml:2: {message}"]


@pytest.mark.parametrize("source", ["hunter2hunter2", "hunter2-hunter2"])
def test_a_key_that_was_pasted_in_place_of_its_source_is_not_shown(tree, source):
    """It looks like the name of a resolver."""
    edit(tree / "environments/kalshi-dev.yaml", '"env:A,B"', source)
    [found] = errors(tree)
    assert found.endswith(f"keys.kalshi.source: {SOURCE_FAULT}")
    assert "hunter2" not in found


def test_a_reference_that_leads_nowhere_is_an_error(tree):
    edit(tree / "environments/kalshi-dev.yaml", "feed: kalshi", "feed: kalsi")
    edit(tree / "environments/kalshi-dev.yaml", "trade:v1", "trad:v1")
    assert errors(tree) == [
        "environments/kalshi-dev.yaml:2: feed: there is no feed `kalsi` in feeds/; did you mean `kalshi`? "
        "(it has `kalshi`)",
        "environments/kalshi-dev.yaml:3: schema: there is no schema `trad` in schemas/; did you mean `trade`? "
        "(it has `trade`)",
    ]
    shutil.rmtree(tree / "feeds")
    assert "there is no feed `kalsi` in feeds/ (it has none)" in errors(tree)[0]


def test_references_are_checked_even_when_the_environment_has_other_errors(tree):
    edit(tree / "environments/kalshi-dev.yaml", "feed: kalshi", "feed: kalsi")
    edit(tree / "environments/kalshi-dev.yaml", "trade:v1", "trade:v2")
    edit(tree / "environments/kalshi-dev.yaml", "type: local", "kind: local")
    assert [line.split(": ")[1] for line in everything(tree)] == ["feed", "schema", "storage.kind", "storage.type"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".hidden"])
def test_a_reference_cannot_lead_out_of_the_tree(tree, name):
    (tree / "secret.yaml").write_text(FEED)
    edit(tree / "environments/kalshi-dev.yaml", "feed: kalshi", f"feed: {name}")
    edit(tree / "environments/kalshi-dev.yaml", "schema: trade:v1", f"schema: {name}:v1")
    first, second = errors(tree)
    assert f"feed: `{name}` is not a valid name" in first
    assert f"schema: there is no schema `{name}`" in second


@pytest.mark.parametrize("ending", [".ledger", ".listing"])
def test_a_feed_cannot_be_named_like_a_ledger_or_the_listing_of_a_feed(tree, ending):
    edit(tree / "environments/kalshi-dev.yaml", "feed: kalshi", f"feed: kalshi{ending}")
    edit(tree / "feeds/kalshi.yaml", "name: kalshi", f"name: kalshi{ending}")
    (tree / "feeds/kalshi.yaml").rename(tree / f"feeds/kalshi{ending}.yaml")
    expected = f"name: `kalshi{ending}` ends in `{ending}`"
    assert any(expected in line and "choose another" in line for line in errors(tree))


def test_a_version_that_a_schema_does_not_have_is_an_error(tree):
    edit(tree / "environments/kalshi-dev.yaml", "trade:v1", "trade:v11")
    assert errors(tree) == [
        "environments/kalshi-dev.yaml:3: schema: `trade` has no version `v11`; did you mean `v1`? (it has `v1`)"
    ]


@pytest.mark.parametrize("status", ["draft", "deprecated"])
def test_a_schema_that_is_not_active_is_a_warning(tree, status):
    edit(tree / "schemas/trade.yaml", "status: active", f"status: {status}")
    assert warnings(tree) == [
        f"environments/kalshi-dev.yaml:3: schema: version v1 of `trade` has the status {status}; "
        "name one that is active"
    ]


def test_a_schema_version_that_is_over_is_a_warning(tree):
    edit(tree / "schemas/trade.yaml", "    status: active\n", "    effective_to: 2026-01-31\n")
    assert warnings(tree) == [
        "environments/kalshi-dev.yaml:3: schema: version v1 of `trade` is not in force on 2026-03-01: "
        "v1 from 2025-12-22 to 2026-01-31; name one that is"
    ]


def test_a_changed_definition_is_an_error_that_names_both_hashes(tree):
    (tree / "schemas/trade.capnp").write_bytes(b"changed")
    actual = "sha256:" + hashlib.sha256(b"changed").hexdigest()
    (line,) = errors(tree)
    assert line.startswith("schemas/trade.yaml:8: versions[0].hash: schemas/trade.capnp has changed: ")
    assert f"expected {EMPTY_HASH}, actual {actual}; restore the file, or write the actual hash here" in line
    edit(tree / "schemas/trade.yaml", EMPTY_HASH, actual.upper().replace("SHA", "sha"))
    assert load(tree, "kalshi-dev", TODAY, PARTS)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("schema_file: trade.capnp", "schema_file: none.capnp", ":3: schema_file: schemas/none.capnp cannot be read"),
        ("schema_file: trade.capnp", "schema_file: ../feeds/kalshi.yaml", ":3: schema_file: `../feeds/kalshi.yaml` le"),
        ("schema_file: trade.capnp", "schema_file: /etc/passwd", ":3: schema_file: `/etc/passwd` leads out of schemas"),
        ("schema_file: trade.capnp", "schema_file: .", ":3: schema_file: schemas/. cannot be read: it is a directory"),
        ("schema_file: trade.capnp", f"schema_file: {'x' * 300}", "cannot be read: File name too long"),
        (EMPTY_HASH, "md5:123", ":8: versions[0].hash: must be `sha256:` and 64 hexadecimal digits"),
        (EMPTY_HASH, "sha256:123", ":8: versions[0].hash: must be `sha256:` and 64 hexadecimal digits"),
    ],
)
def test_a_definition_that_cannot_be_read_or_has_no_valid_hash_is_an_error(tree, old, new, expected):
    edit(tree / "schemas/trade.yaml", old, new)
    (line,) = errors(tree)
    assert expected in line


def test_thousands_of_problems_of_one_section_are_cut_short(tree):
    edit(tree / "environments/kalshi-dev.yaml", "fields: [api_key, api_secret]", f"fields: [{'a, ' * 5000}]")
    edit(tree / "environments/kalshi-dev.yaml", "env:A,B", "env")
    of_keys, *rest = everything(tree)
    same, unknown = rest[:101], rest[101:]
    assert (len(same), len(unknown)) == (101, 100)
    at = "environments/kalshi-dev.yaml:5: keys"
    more = "has more problems; only the first 100 are shown"
    assert same[0] == f"{at}.kalshi.fields[1]: is the same name as fields[0]; give each field its own"
    assert same[-1] == f"{at}.kalshi: {more}"
    assert unknown[0] == f"{at}.kalshi.fields[0]: is not a key field of Kalshi, and has no effect; remove it"
    assert of_keys == f"environments/kalshi-dev.yaml:4: keys: {more}"


def test_a_schema_without_a_hash_is_a_warning_that_states_the_hash(tree):
    edit(tree / "schemas/trade.yaml", f"    hash: {EMPTY_HASH}\n", "")
    assert warnings(tree) == [
        f"schemas/trade.yaml:5: versions[0].hash: is missing, so no change would be noticed; add `hash: {EMPTY_HASH}`"
    ]


def test_the_hash_of_an_older_version_is_checked_only_if_an_environment_refers_to_it(tree):
    actual = "sha256:" + hashlib.sha256(b"new").hexdigest()
    (tree / "schemas/trade.capnp").write_bytes(b"new")
    with (tree / "schemas/trade.yaml").open("a") as file:
        file.write(f"  - {{version: v2, effective_from: 2026-01-01, hash: '{actual}'}}\n")
    edit(tree / "environments/kalshi-dev.yaml", "trade:v1", "trade:v2")
    assert load(tree, "kalshi-dev", TODAY, PARTS).schema_version.version == "v2"
    assert check(tree, TODAY, PARTS).problems == []
    # An environment that refers to the old version makes it need a file of its own.
    edit(tree / "environments/kalshi-dev.yaml", "trade:v2", "trade:v1")
    (line,) = errors(tree)
    assert "if v1 had another file, give it a `schema_file` of its own" in line
    (tree / "schemas/trade-v1.capnp").write_bytes(b"")
    edit(
        tree / "schemas/trade.yaml",
        f"    hash: {EMPTY_HASH}\n",
        f"    hash: {EMPTY_HASH}\n    schema_file: trade-v1.capnp\n",
    )
    assert load(tree, "kalshi-dev", TODAY, PARTS).schema_version.version == "v1"
    (tree / "schemas/trade-v1.capnp").write_bytes(b"changed")
    assert [problem.field for problem in check(tree, TODAY, PARTS).problems] == ["schema", "versions[0].hash"]


def test_a_disabled_feed_is_an_error_for_the_environments_that_use_it(tree):
    edit(tree / "feeds/kalshi.yaml", "status: active", "status: disabled")
    assert errors(tree) == [
        "environments/kalshi-dev.yaml:2: feed: `kalshi` is disabled; enable it in feeds/kalshi.yaml:3, "
        "or name another feed"
    ]
    (tree / "environments/kalshi-dev.yaml").unlink()
    assert [problem.file for problem in check(tree, TODAY, PARTS).problems] == ["environments/"]


def test_a_deprecated_feed_is_a_warning(tree):
    edit(tree / "feeds/kalshi.yaml", "status: active", "status: deprecated")
    (line,) = warnings(tree)
    assert line.startswith("environments/kalshi-dev.yaml:2: feed: `kalshi` is deprecated (in feeds/kalshi.yaml:3)")


def test_without_a_version_in_force_the_error_lists_the_dates(tree):
    (tree / "feeds/kalshi.yaml").write_text(
        FEED.partition("versions")[0] + "versions:\n"
        "- {version: v1, effective_from: 2025-01-01, effective_to: 2026-02-28, endpoint: wss://a}\n"
        "- {version: v2, effective_from: 2026-03-02, endpoint: wss://b}\n"
    )
    assert errors(tree) == [
        "environments/kalshi-dev.yaml:2: feed: `kalshi` has no version in force on 2026-03-01: "
        "v1 from 2025-01-01 to 2026-02-28, v2 from 2026-03-02; correct the dates in feeds/kalshi.yaml"
    ]
    deployment = load(tree, "kalshi-dev", date(2026, 3, 2), PARTS)
    assert (deployment.version.version, deployment.version_index) == ("v2", 1)


def test_an_unknown_environment_is_an_error_that_lists_those_of_the_tree(tree):
    assert errors(tree, "kalshi-dve") == [
        f"{tree}: there is no environment `kalshi-dve` in environments/; did you mean `kalshi-dev`? "
        "(it has `kalshi-dev`)"
    ]
    with pytest.raises(ConfigError, match="did you mean `kalshi-dev`"):
        check(tree, TODAY, PARTS, ["kalshi-dev.yaml"])


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../feeds/kalshi", "/etc/passwd", "a/b", "kalshi-dev\0", "kalshi-dev\n", "x" * 500, "-h", "é"],
)
def test_a_path_is_not_the_name_of_an_environment(tree, name):
    (line,) = errors(tree, name)
    assert "is not the name of an environment" in line
    assert "`kalshi-dev`" in line
    assert len(line) < 1000


def test_both_endings_are_read_and_two_files_of_one_name_are_refused(tree):
    (tree / "feeds/kalshi.yaml").rename(tree / "feeds/kalshi.yml")
    assert load(tree, "kalshi-dev", TODAY, PARTS).problem(("type",), "x", of="feed").file == "feeds/kalshi.yml"
    (tree / "feeds/kalshi.yaml").write_text(FEED)
    assert errors(tree) == ["feeds/kalshi.yaml: there is also feeds/kalshi.yml; keep one of the two"]


def test_files_that_are_hidden_or_not_yaml_are_not_read(tree):
    for name in ("README.md", ".kalshi-dev.yaml.swp", ".hidden.yaml", "kalshi-dev.yaml.bak", "notes"):
        (tree / "environments" / name).write_text("[")
    assert check(tree, TODAY, PARTS).problems == []


def test_a_mounted_config_map_is_read(tree, tmp_path_factory):
    """The files are links into ..data, which is a link to a dated directory."""
    mount = tmp_path_factory.mktemp("mount")
    for folder in ("environments", "feeds", "schemas"):
        real = mount / folder / "..2026_03_01_10_30_00.123456789"
        shutil.copytree(tree / folder, real)
        (mount / folder / "..data").symlink_to(real.name)
        for file in real.iterdir():
            (mount / folder / file.name).symlink_to(f"..data/{file.name}")
    assert load(mount, "kalshi-dev", TODAY, PARTS) == load(tree, "kalshi-dev", TODAY, PARTS)
    report = check(mount, TODAY, PARTS)
    assert (report.problems, list(report.deployments)) == ([], ["kalshi-dev"])


def test_each_file_that_cannot_be_read_is_one_line(tree):
    (tree / "feeds/kalshi.yaml").unlink()
    (tree / "feeds/kalshi.yaml").mkdir()
    (tree / "schemas/trade.yaml").unlink()
    (tree / "schemas/trade.yaml").symlink_to("nowhere")
    os.mkfifo(tree / "environments/pipe.yaml")
    (tree / "environments/bad name.yaml").write_text(ENVIRONMENT)
    assert [str(problem) for problem in check(tree, TODAY, PARTS).problems] == [
        "environments/bad name.yaml: the file's name must be letters, digits, `.`, `_` and `-`; rename it",
        "environments/kalshi-dev.yaml:2: feed: cannot be used, because feeds/kalshi.yaml has errors; correct those",
        "environments/kalshi-dev.yaml:3: schema: cannot be used, because schemas/trade.yaml has errors; correct those",
        "environments/pipe.yaml: cannot be read: it is not a regular file; correct or remove it",
        "feeds/kalshi.yaml: cannot be read: it is a directory, not a file; correct or remove it",
        "schemas/trade.yaml: cannot be read: No such file or directory; correct or remove it",
    ]


def test_a_configuration_directory_that_cannot_be_used_is_one_line(tree):
    def message(config_dir) -> str:
        with pytest.raises(ConfigError) as caught:
            load(config_dir, "kalshi-dev", TODAY, PARTS)
        with pytest.raises(ConfigError) as again:
            check(config_dir, TODAY, PARTS)
        assert str(again.value) == str(caught.value)
        return str(caught.value).replace(str(tree), "T")

    unusable = "the configuration directory T{} cannot be used: "
    remedy = "; name the directory that has environments/ in it"
    missing = "there is no such directory; name the one that has environments/ in it"
    assert message(tree / "none") == unusable.format("/none") + missing
    assert message(tree / "feeds/kalshi.yaml") == unusable.format("/feeds/kalshi.yaml") + "it is a file" + remedy
    assert message(f"{tree}/a\0b").endswith(f" cannot be used: its path contains a NUL character{remedy}")
    assert "File name too long" in message(tree / ("x" * 500))
    shutil.rmtree(tree / "environments")
    (tree / "environments").write_text("x")
    assert message(tree) == "T/environments: cannot be listed: Not a directory; correct that first"


def test_a_tree_without_environments_is_a_warning_whether_it_has_the_folder_or_not(tree):
    """git keeps no empty folder, so that the two are the same tree."""
    (tree / "environments/kalshi-dev.yaml").unlink()
    with_folder = check(tree, TODAY, PARTS)
    (tree / "environments").rmdir()
    assert check(tree, TODAY, PARTS) == with_folder
    [problem] = with_folder.problems
    assert (problem.file, problem.warning) == ("environments/", True)
    assert problem.message == "has no environment in it; add one, or name another directory with --config-dir"
    assert errors(tree) == [f"{tree}: there is no environment `kalshi-dev` in environments/ (it has none)"]


def test_a_folder_that_may_not_be_listed_is_one_line(tree, monkeypatch):
    # Permission bits do not stop root, who often runs the tests.
    def denied(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", denied)
    assert errors(tree) == [f"{tree}/environments: cannot be listed: Permission denied; correct that first"]


def test_the_contents_of_a_file_never_make_a_second_line(tree):
    with (tree / "environments/kalshi-dev.yaml").open("a") as file:
        file.write('"forged\\nerror: \\e[31m": 1\n')
    (line,) = warnings(tree)
    assert line == "environments/kalshi-dev.yaml:9: forged error:  [31m: ssmd does not know this key"


SNIPPETS = [
    *ENVIRONMENT.splitlines(),
    *FEED.splitlines(),
    *[
        "- ",
        "  ",
        "\t",
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "&a ",
        "*a",
        "!!x ",
        "? ",
        ": ",
        "|",
        ">",
        "---",
        "%YAML 1.1",
        "<<: ",
    ],
    *["\n", "\r", "\0", "\x85", "\u2028", "\ufeff", "\\ud800", "~", "null", "9" * 30, "é", "#", "@", "`", "true"],
]


@settings(max_examples=150)
@given(data=st.data())
def test_broken_text_is_a_deployment_or_an_error_with_the_file_s_name(tree, data):
    file = data.draw(st.sampled_from(["environments/kalshi-dev.yaml", "feeds/kalshi.yaml", "schemas/trade.yaml"]))
    original = {"environments": ENVIRONMENT, "feeds": FEED, "schemas": SCHEMA}[file.partition("/")[0]]
    text = original
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 5, 40])))
        text = text[:start] + data.draw(st.sampled_from(SNIPPETS) | st.text(max_size=5)) + text[end:]
    (tree / file).write_bytes(text.encode("utf-8", "replace"))
    try:
        report = check(tree, TODAY, PARTS)
        found = outcome(tree)
    finally:
        (tree / file).write_text(original)
    if isinstance(found, Deployment):
        assert report.deployments == {"kalshi-dev": found}
    else:
        assert report.deployments == {}
        assert all(line.startswith(("environments/", "feeds/", "schemas/")) for line in found.split("\n"))
        assert file in found or "environments/kalshi-dev.yaml" in found


def outcome(tree) -> Deployment | str:
    try:
        return load(tree, "kalshi-dev", TODAY, PARTS)
    except ConfigError as error:
        return str(error)
