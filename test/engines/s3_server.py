"""A real S3 server, SeaweedFS, as a process of its own, with two keys: one may do all, and one may only read."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from ports import free_port
from server_process import DEADLINE, ServerProcess

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.errors import EngineError

BUCKET = "market-data"
PREFIX = "capture"
ADDRESS = Address(BUCKET, PREFIX)

KEY = {"access_key_id": "collector", "secret_access_key": "collector-secret-0123456789"}
READER = {"access_key_id": "reader", "secret_access_key": "reader-secret-0123456789"}

_WEED = Path(sys.executable).with_name("weed")
_VOLUMES = 8
"""Few and small ones: each takes a file."""


class S3Server(ServerProcess):
    """SeaweedFS with all its parts in one process. `bucket`: whether to make one."""

    def __init__(self, folder: Path, *, bucket: bool = True, volumes: int = _VOLUMES) -> None:
        super().__init__()
        self._folder = folder / "s3"
        (self._folder / "data").mkdir(parents=True)
        self._volumes = volumes
        self.endpoint = f"http://127.0.0.1:{self.port}"
        identities = [
            {"name": "all", "credentials": [_login(KEY)], "actions": ["Admin", "Read", "Write", "List"]},
            {"name": "reader", "credentials": [_login(READER)], "actions": ["Read", "List"]},
        ]
        (self._folder / "s3.json").write_text(json.dumps({"identities": identities}))
        self._ports = {name: free_port() for name in ("master", "volume", "filer", "admin")}
        self._grpc = {name: free_port() for name in ("master", "volume", "filer", "admin", "s3")}
        self.start()
        if bucket:
            self.make_bucket()

    def start(self) -> None:
        ports = [f"-{name}.port={port}" for name, port in self._ports.items()]
        ports += [f"-{name}.port.grpc={port}" for name, port in self._grpc.items()]
        os.environ.setdefault("GOGC", "50")
        self.launch(
            [
                _WEED,
                "mini",
                f"-dir={self._folder / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                *ports,
                f"-s3.port={self.port}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={self._folder / 's3.json'}",
                "-s3.autoCreateBucket=false",
                "-s3.iam=false",
                "-webdav=false",
                "-admin.ui=false",
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=64",
                f"-volume.max={self._volumes}",
                "-master.electionTimeout=1s",
            ],
            self._folder / "log",
        )
        self._wait()

    def _wait(self) -> None:
        """Wait until it answers requests, and not only accepts connections.

        After a restart it can list objects before it can read them.
        """
        end = time.monotonic() + DEADLINE
        while (reason := self._fault()) is not None:
            assert time.monotonic() < end, reason
            time.sleep(0.1)

    def _fault(self) -> str | None:
        try:
            bucket = self.bucket(Address(BUCKET, ""))
            for each in bucket.list():
                bucket.get(each.name)
        except EngineError as error:
            return None if "no such bucket" in str(error) else str(error)
        return None

    def bucket(self, address: Address = ADDRESS, key: dict[str, str] = KEY, **options: int):
        """Return a client of ours."""
        found = open_bucket(address, region="us-east-1", endpoint=self.endpoint, credentials=key)
        for name, value in options.items():
            setattr(found, f"_{name}", value)
        return found

    def make_bucket(self, name: str = BUCKET) -> None:
        self.bucket()._client.create_bucket(Bucket=name)


def _login(key: dict[str, str]) -> dict[str, str]:
    return {"accessKey": key["access_key_id"], "secretKey": key["secret_access_key"]}
