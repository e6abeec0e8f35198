"""The writer for days in a bucket of S3: the writer for local files, and a companion that uploads what they hold.

The collector waits for the local disk alone. What is on it, and durable, is uploaded by a process of its own: see
shipping/s3/.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from ssmd.bucket import CREDENTIALS, VARIABLES
from ssmd.bucket.address import Address
from ssmd.contracts.companion import CONFIG_DIR, ENVIRONMENT, RESTORE, SHIP, UPLOAD, Companion
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.metadata.fields import Fault, Text
from ssmd.metadata.markers import After, Complaint, Within
from ssmd.metadata.problem import excerpt
from ssmd.runtime.status import Status
from ssmd.store.joining import finish_join
from ssmd.store.layout import LISTING, feed_of
from ssmd.store.ledger import APART
from ssmd.store.repair import Repaired
from ssmd.writer.file import FileWriter
from ssmd.writer.storage import LocalStorage

__all__ = ["S3", "S3Storage", "S3Writer"]

S3 = "s3"
"""The `storage.type`, and the name of the engine."""

_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=+@:/-]*")
"""Characters that no server and no program treats as something else:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


def _bucket(text: str) -> str:
    if not Address.is_bucket(text):
        what = f"`{excerpt(text)}` is not the name of a bucket"
        raise Complaint(f"{what}: write the name alone, without s3:// and without a prefix, and the prefix in `prefix`")
    return text


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text) or "//" in text or {".", ".."} & set(text.split("/")):
        raise Complaint(f"`{excerpt(text)}` may have letters, digits and !-_.*'()=+@: only, with one `/` between parts")
    return text


def _endpoint(text: str) -> str:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise Complaint("has a user in it; write only the address, and put the key into `keys`, with the type `s3`")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise Complaint(f"must be a URL such as https://minio.example:9000, without a path, not `{excerpt(text)}`")
    return text


@dataclass(frozen=True, kw_only=True)
class S3Storage(LocalStorage):
    """Messages are kept in files of a folder on this host, and their days in a bucket."""

    path: Text = "data"
    """The folder; relative to the working directory."""
    bucket: Annotated[Text, After(_bucket)]
    prefix: Annotated[Text, After(_prefix)] = ""
    """What the keys of all objects begin with."""
    region: Text | None = None
    """None for the one that the environment variables or the profile of boto3 name."""
    endpoint: Annotated[Text, After(_endpoint)] | None = None
    """The URL of a server that is not that of AWS."""
    ca_file: Text | None = None
    """A PEM file with the certificates of the authorities to trust; None for those of AWS_CA_BUNDLE, or the usual."""
    live_seconds: Annotated[float, Within(ge=0, le=86400)] = 300.0
    """How old a line of today is at most before it is uploaded; 0 for never: then only sealed days are."""
    keep_days: Annotated[int, Within(ge=1, le=36500)] | None = None
    """After how many days `ssmd prune` may remove local data that the bucket has; None for never."""

    @property
    def address(self) -> Address:
        return Address.of(self.bucket, self.prefix)

    @property
    def server(self) -> Mapping[str, str | None]:
        """Return the arguments of open_bucket() that say how to reach the server."""
        return {"region": self.region, "endpoint": self.endpoint, "ca_file": self.ca_file}

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if self.ca_file is not None and (self.endpoint or "https:").startswith("http:"):
            yield ("ca_file",), "is for TLS, so the endpoint must begin with `https://`"
        if 0 < self.live_seconds < 1:
            yield ("live_seconds",), "must be 0, or 1 at least: each upload makes an object"


class S3Writer(FileWriter):
    """Keeps the Writer contract as FileWriter does, and declares the companion that uploads."""

    Config: ClassVar[type[LocalStorage]] = S3Storage
    credentials: ClassVar[Sequence[Sequence[str]]] = CREDENTIALS
    """The fields that a key of the type `s3` may have, each a way to log in."""

    def __init__(
        self,
        config: S3Storage,
        feed: str,
        *,
        shard: Shard = WHOLE,
        status: Status,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(config, feed, shard=shard, status=status, clock=clock)
        arguments = (SHIP, ENVIRONMENT, "--config-dir", CONFIG_DIR, "--engine", S3, "--shard", str(shard))
        restore = (RESTORE, ENVIRONMENT, "--config-dir", CONFIG_DIR, "--shard", str(shard), "--day", "today")
        self._restore = Companion(RESTORE, restore, keys=(S3,), variables=VARIABLES, first=True)
        self._copy = str(config.address)
        self._upload = Companion(UPLOAD, arguments, keys=(S3,), variables=VARIABLES)

    def companions(self) -> Sequence[Companion]:
        """Those of the feed restore and upload what it keeps of its listings too."""
        own = super().companions()
        return own if feed_of(self._stem).endswith(LISTING) else [self._restore, *own, self._upload]

    def _open(self) -> list[Repaired]:
        repaired = super()._open()
        if why := self._status.unprepared:
            # So the lines that follow may be put after those that the bucket turns out to have.
            self._ledger.add(APART, self._clock(), {"copy": self._copy, "why": why})
            self._ledger.write()
        return repaired

    def _open_day(self, ns: int) -> list[Repaired]:
        # Under the collector's lock: until then, `ssmd restore` may be at work on the files.
        finish_join(self._path(ns).parent, self._stem)
        return super()._open_day(ns)
