"""The compose files: valid by the Compose Specification, and with environments that a collector can use.

They are not run, because that needs a container engine.
"""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyOptions
from patience import PATIENCE
from process import ROOT

from ssmd import __version__, wiring
from ssmd.metadata.loader import load

FOLDER = ROOT / "deploy" / "compose"
FILES = sorted(FOLDER.iterdir())
TREE = "/etc/ssmd/exchanges"


def check(text: str) -> dict[str, Any]:
    """Return a compose file as data. Raises ValueError when it is not valid."""
    compose = PyOptions().from_yaml(text)
    compose.validate()
    data = yaml.safe_load(text)
    # What the tool does not check.
    for service in data["services"].values():
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        if unknown := named - set(data["volumes"]) | set(service.get("depends_on", ())) - set(data["services"]):
            raise ValueError(f"{unknown} is not defined")
    return data


def test_each_engine_that_is_a_server_has_a_compose_file():
    extras = {path.stem for path in (ROOT / "deploy" / "extras").iterdir()}
    assert {path.stem for path in FILES} == extras - {"capnp", "parquet", "protobuf"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_compose_file_is_valid(file):
    check(file.read_text())


@pytest.mark.parametrize(
    "change",
    [
        ("image: ssmd", "imag: ssmd"),
        ("service_completed_successfully", "completed"),
        ("8080:8080", "8080:80800"),
        ("[{source: environment,", "[{source: other,"),
        ('"data:/var', '"other:/var'),
        ("depends_on: {stream", "depends_on: {other"),
        ("interval: 1s", "interval: often"),
    ],
)
def test_a_mistake_would_be_noticed(change):
    text = (FOLDER / "nats.yaml").read_text()
    assert change[0] in text
    with pytest.raises(ValueError, match=r"."):
        check(text.replace(*change))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_collector_has_the_image_of_this_version_and_an_environment_that_loads(file, tmp_path):
    text = file.read_text()
    data = check(text)
    assert set(re.findall(r"ssmd:(\d[\w.]*)", text)) == {__version__}
    collector = data["services"]["collector"]
    [config] = collector["configs"]
    assert collector["command"] == ["run", "kalshi-sim", "--config-dir", TREE]
    assert config == {"source": "environment", "target": f"{TREE}/environments/kalshi-sim.yaml"}
    for folder in ("feeds", "schemas"):
        (tmp_path / folder).symlink_to(ROOT / "conf" / folder)
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "kalshi-sim.yaml").write_text(data["configs"]["environment"]["content"])
    deployment = load(tmp_path, "kalshi-sim", datetime.now(UTC).date(), wiring.parts())
    # It ships, or uploads, to the server that the file starts.
    [server] = set(data["services"]) - {"collector", "stream"}
    copied = deployment.storage if file.stem == "s3" else deployment.transport
    assert copied.type == file.stem
    assert re.match(rf"\w+://{server}:\d+$", copied.endpoint if file.stem == "s3" else copied.url)
    # Every port is for this host alone.
    for service in data["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_stream_is_made_as_the_page_says():
    page = (ROOT / "docs" / "shipping.md").read_text()
    codes = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [shown] = [code for code in codes if "add_stream" in code]
    code = yaml.safe_load((FOLDER / "nats.yaml").read_text())["configs"]["stream"]["content"]
    assert code.replace("nats://nats:", "nats://127.0.0.1:") == shown


def test_seaweedfs_knows_its_options_and_the_key_of_the_collector():
    data = yaml.safe_load((FOLDER / "s3.yaml").read_text())
    command, *options = data["services"]["seaweedfs"]["command"]
    weed = Path(sys.executable).with_name("weed")
    shown = subprocess.run([weed, command, "-h"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    known = set(re.findall(r"^  (-[\w.]+)", shown.stdout + shown.stderr, re.MULTILINE))
    assert {option.partition("=")[0] for option in options} <= known
    storage = yaml.safe_load(data["configs"]["environment"]["content"])["storage"]
    assert f"-bucket={storage['bucket']}" in options
    [identity] = json.loads(data["configs"]["keys"]["content"])["identities"]
    collector = data["services"]["collector"]["environment"]
    assert identity["credentials"] == [
        {"accessKey": collector["AWS_ACCESS_KEY_ID"], "secretKey": collector["AWS_SECRET_ACCESS_KEY"]}
    ]
