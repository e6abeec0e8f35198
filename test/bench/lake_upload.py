"""How fast a day is uploaded: by the uploader of ssmd, by its client alone, and by boto3 alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.session
from botocore.config import Config
from s3_server import BUCKET, KEY, S3Server

from bench.archive import environ_of
from bench.collector import ROOT
from ssmd.bucket.address import Address

__all__ = ["ship", "upload"]

FEED = "name: kalshi\ntype: websocket\nversions:\n- version: v1\n  effective_from: 2025-01-01\n  protocol: wss\n"
FEED += "  endpoint: sim://kalshi\n  exchange: kalshi\n  auth_method: none\n"
KEYS = "keys:\n  bucket: {type: s3, fields: [access_key_id, secret_access_key], source: 'env:S3_ID,S3_SECRET'}\n"


def upload(root: Path, day: Path, rounds: int) -> Iterator[list[str]]:
    """Upload the storage of a day in three ways, in turn, each time to a place where nothing is.

    Yields the name of each way, its MB of JSONL a second, and how many MB it has sent.
    """
    server = S3Server(root, volumes=100)
    try:
        bare = botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=server.endpoint,
            aws_access_key_id=KEY["access_key_id"],
            aws_secret_access_key=KEY["secret_access_key"],
            config=Config(s3={"addressing_style": "path"}),
        )

        def put_bare(prefix: str) -> None:
            with open(day, "rb") as file:
                bare.put_object(Bucket=BUCKET, Key=f"{prefix}/{day.name}", Body=file)

        ways: dict[str, Callable[[str], object]] = {
            "ssmd ship --engine s3 --once": lambda prefix: ship(root, day.parent.parent, server.endpoint, prefix),
            "its client alone: checksum and condition": (
                lambda prefix: server.bucket(Address(BUCKET, prefix)).put_new(day.name, day)
            ),
            "boto3 alone: put_object": put_bare,
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for place, (name, way) in enumerate(ways.items()):
                began = time.monotonic()
                way(f"{place}/{number}")
                seconds[name].append(time.monotonic() - began)
        for place, (name, found) in enumerate(seconds.items()):
            sent = sum(one.size for one in server.bucket(Address(BUCKET, f"{place}/0")).list())
            speed = day.stat().st_size / 1e6 / statistics.median(found)
            yield [name, f"{speed:,.0f}", f"{sent / 1e6:,.0f} MB"]
    finally:
        server.kill()


def ship(root: Path, storage: Path, endpoint: str, prefix: str) -> None:
    """Let the uploader upload all days of a storage; its start is part of the time. Raises RuntimeError if it fails."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        tree = Path(scratch)
        for kind in ("environments", "feeds"):
            (tree / kind).mkdir()
        (tree / "feeds" / "kalshi.yaml").write_text(FEED)
        place = {"bucket": BUCKET, "prefix": prefix, "region": "us-east-1", "endpoint": endpoint}
        wanted = {"type": "s3", **place, "path": str(storage), "live_seconds": 0}
        environment = f"name: bench\nfeed: kalshi\n{KEYS}storage: {json.dumps(wanted)}\n"
        (tree / "environments" / "bench.yaml").write_text(environment)
        variables = {"S3_ID": KEY["access_key_id"], "S3_SECRET": KEY["secret_access_key"]}
        command = [sys.executable, "-P", "-m", "ssmd", "ship", "bench", "--engine", "s3", "--once"]
        done = subprocess.run(
            [*command, "--config-dir", tree],
            env={**environ_of(ROOT), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"ssmd ship has ended with {done.returncode}: {done.stderr[-1000:]}")
