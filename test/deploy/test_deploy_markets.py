"""docs/markets.md: its blocks of commands are run as they are, one after the other, as a reader would."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT

PAGE = (ROOT / "docs" / "markets.md").read_text()


def blocks(heading: str) -> list[str]:
    [text] = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def sh(script: str, cwd: Path) -> str:
    """Run a block in the network that `cwd` has; return its output."""
    alone = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(cwd)}
    command = [*alone, "sh", "-eu", "-c", script]
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.needs("network namespaces", "jq")
def test_the_commands_do_what_the_page_says(checkout):
    series, every, shards, hosts = map(blocks, ("A series", "All books of an exchange", "Shards", "Several hosts"))
    assert len(re.findall("^```sh$", PAGE, re.MULTILINE)) == sum(map(len, (series, every, shards, hosts)))
    export = "export SSMD_CONFIG_DIR=conf-markets\n"
    try:
        # One network for all blocks of a section: the collectors of a block run on in the next.
        output = sh("".join(series), checkout)
        following = json.loads(re.search(r"^\{.*?^\}$", output, re.MULTILINE | re.DOTALL).group())
        assert following["subscribed"] + following["not_subscribed"] >= following["listed"] > 0
        assert f"ssmd_followed_markets{{feed=\"markets\",shard=\"\"}} {following['listed']}" in output
        assert output.count('"event":"asked"') == 3
        assert '"event_type":"created"' in output
        assert '"feed":"markets.listing"' in output
        assert "markets has stopped" in output
        output = sh(export + "".join(every) + "".join(shards), checkout)
        assert "all-markets: 3 of 3 shards running" in output
        assert output.count("has stopped") == 3
        output = sh(export + "".join(hosts), checkout)
        assert output.count("is connected, and nothing that was asked for is missing") == 2
        assert output.count("has stopped") == 2
    finally:
        for environment in ("markets", "all-markets"):
            subprocess.run(["bin/stop", "--force", environment], cwd=checkout, check=False)
