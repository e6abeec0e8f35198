"""`ssmd ship` and `ssmd run` with a bucket: what is in it is held against what was recorded."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import zstandard
from process import Collector, Ended, Process, make_tree, ssmd
from s3_server import BUCKET, KEY, S3Server

from ssmd.bucket.address import Address, Segment, chain, live_prefix, read_segment
from ssmd.bucket.client import Bucket
from ssmd.reading.blocks import LineBlocks
from ssmd.store.file_kinds import MANIFEST
from ssmd.store.layout import forms_of
from ssmd.store.line import LineEncoder
from ssmd.store.timestamps import day_begins

FEED = "test"
VARIABLES = {"S3_ID": KEY["access_key_id"], "S3_SECRET": KEY["secret_access_key"]}
KEYS = """keys:
  bucket: {type: s3, fields: [access_key_id, secret_access_key], source: "env:S3_ID,S3_SECRET"}
"""


class Site:
    """A folder with a metadata tree and a storage folder, and a storage in a bucket."""

    def __init__(
        self, folder: Path, server: S3Server, endpoint: str = "sim://kalshi", environment: str = "", **storage: Any
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.bucket: Bucket = server.bucket(Address(BUCKET, folder.name))
        fields = {"bucket": BUCKET, "prefix": folder.name, "region": "us-east-1", "endpoint": server.endpoint}
        self.storage = {"type": "s3", **fields, "path": str(self.data), **storage}
        self._endpoint = endpoint
        self._more = environment
        self.configure()

    def configure(self, **storage: Any) -> None:
        """Write the metadata tree, with other values in the environment's `storage`."""
        self.storage |= storage
        self.environment = f"{KEYS}storage: {json.dumps(self.storage)}\n{self._more}"
        self.tree = make_tree(self.folder, self._endpoint, "kalshi", "", self.environment)

    def collect(self) -> Collector:
        """Start `ssmd run`."""
        return Collector(self.folder, self._endpoint, environment=self.environment, variables=VARIABLES)

    def ship(self, *options: str, **variables: Any) -> Ended:
        """Run the command to its end."""
        return ssmd("ship", "test", "--config-dir", self.tree, *options, **{**VARIABLES, **variables})

    def shipping(self, *options: str, **process: Any) -> Process:
        """Start the command."""
        return Process("ship", "test", "--config-dir", self.tree, *options, **{**VARIABLES, **process})

    def write(self, day: str, messages: int, stem: str = FEED, first: int = 0) -> bytes:
        """Append messages to a day, with a ledger of one entry each; return them as lines."""
        folder = self.data / day
        folder.mkdir(parents=True, exist_ok=True)
        start = day_begins(day) + 10**9 * (1 + first)
        encoder = LineEncoder(stem.partition("+")[0])
        numbers = range(first, first + messages)
        payloads = [b'{"type":"trade","msg":{"market_ticker":"KX-%d"}}' % number for number in numbers]
        data = encoder.encode(start, payloads)
        with open(folder / f"{stem}.jsonl", "ab") as file:
            file.write(data)
        return data

    def seal(self) -> None:
        ended = ssmd("seal", str(self.data))
        assert ended.returncode == 0, ended.stderr

    def complete_days(self) -> dict[tuple[str, str], bytes]:
        """Return the lines of each day that is complete in the bucket, by day and stem."""
        found = {}
        for one in list(self.bucket.list()):
            day, _, name = one.name.partition("/")
            if name.endswith(MANIFEST):
                stem = name.removesuffix(MANIFEST)
                found[day, stem] = self._lines(day, stem)
        return found

    def _lines(self, day: str, stem: str) -> bytes:
        """Return the lines of a day in the bucket, in whatever form; nothing when it has none."""
        with tempfile.TemporaryDirectory() as folder:
            for one in list(self.bucket.list(f"{day}/{stem}.")):
                path = Path(folder) / one.name.removeprefix(f"{day}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                self.bucket.download(one.name, path)
            forms = [path for path in forms_of(Path(folder), stem) if path.exists()]
            return b"".join(LineBlocks(forms[0])) if forms else b""

    def differences(self) -> list[str]:
        """Return what is wrong with the days in the bucket: every sealed one must be there, and equal."""
        wrong = []
        complete = self.complete_days()
        sealed = {}
        for path in self.data.glob(f"*/*{MANIFEST}"):
            day, stem = path.parent.name, path.name.removesuffix(MANIFEST)
            sealed[day, stem] = path
            for ending in (MANIFEST, ".ledger.jsonl", ".jsonl.torn"):
                local = path.with_name(f"{stem}{ending}")
                if local.exists():
                    there = self.bucket.find(f"{day}/{local.name}")
                    same = there is not None and self.bucket.get(f"{day}/{local.name}") == local.read_bytes()
                    wrong += [] if same else [f"{day}/{local.name} is not there as it is here"]
            data = path.with_name(f"{stem}.jsonl").read_bytes()
            if complete.get((day, stem)) != data:
                wrong.append(f"{day}/{stem} is not complete in the bucket")
        return wrong + [f"{key} is complete in the bucket, and not sealed" for key in complete.keys() - sealed.keys()]

    def live(self, day: str, stem: str = FEED) -> tuple[bytes, bytes]:
        """Return the lines of a day's segments, and what the ledger says of them."""
        prefix = live_prefix(day, stem)
        names = [found.name.removeprefix(prefix) for found in self.bucket.list(prefix)]
        found = chain(read[0] for name in names if (read := read_segment(name)) and not read[1])
        end = Segment(found[-1].last + 1, found[-1].last) if found else Segment(1, 0)
        lines = b"".join(
            zstandard.ZstdDecompressor().decompressobj().decompress(self.bucket.get(prefix + one.data)) for one in found
        )
        ledgers = [one for one in [*found, end] if one.ledger in names]
        return lines, b"".join(self.bucket.get(prefix + one.ledger) for one in ledgers)
