"""The work of `ssmd ship` for the bucket of a `storage` of the type `s3`: uploaders."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from ssmd.bucket import open_bucket
from ssmd.commands.packers import packer_of
from ssmd.commands.shipping_work import ShippingWork
from ssmd.contracts.companion import UPLOAD
from ssmd.contracts.shard import WHOLE, Shard
from ssmd.errors import UsageError
from ssmd.extras import S3
from ssmd.shipping.relays import Maker, Relays
from ssmd.shipping.s3.parts import Part, Parts
from ssmd.shipping.shipment import Shipment

if TYPE_CHECKING:
    from ssmd.bucket.client import Bucket

__all__ = ["Uploading"]

_LOCAL = ("http://127.", "http://localhost", "http://[::1]")


class Uploading(ShippingWork[Part]):
    """Uploads sealed days, and the lines of today, of each feed or shard."""

    kind: ClassVar = UPLOAD

    def __init__(self, shipment: Shipment, keys: Mapping[str, str], shard: Shard | None) -> None:
        super().__init__(shipment, keys, shard)
        self._config = shipment.config

    def check(self) -> int:
        """Ask the bucket, which shows whether it is there and whether it may be read; return the exit code."""
        with closing(self._open()) as bucket:
            next(bucket.list(), None)
        for warning in self.warnings(alone=True):
            print(f"warning: {warning}")
        print(f"ok: {self.shipment.environment} can be shipped to {self._config.address}")
        return 0

    def warnings(self, *, alone: bool) -> list[str]:
        warnings = super().warnings(alone=alone)
        endpoint = self._config.endpoint or ""
        if endpoint.startswith("http://") and not endpoint.startswith(_LOCAL):
            warnings.append("storage.endpoint is not https, so whoever is on the way can read and change the data")
        return warnings

    def maker(self, place: tuple[str, int] | None, stopped: threading.Event, *, once: bool) -> Maker[Part]:
        if place is not None:
            raise UsageError("--resume-at is for a transport: what a bucket does not have is always uploaded")
        config, shipment = self._config, self.shipment
        # Loaded here: it imports the library.
        module = S3.load("ssmd.shipping.s3.maker", f"the bucket {config.address}")
        parts = Parts(shipment.storage, shipment.feed, self.shard, live=config.live_seconds > 0)
        plan = module.Plan(shipment.storage, self._open, packer_of(config.format), config.live_seconds, once)
        maker: Maker[Part] = module.UploadMaker(parts, plan, stopped)
        return maker

    def reports(self, relays: Relays[Part]) -> Mapping[str, Mapping[str, Any]]:
        return {(self.shard or WHOLE).label: relays.report()}

    def _open(self) -> Bucket:
        config = self._config
        return open_bucket(config.address, **config.server, credentials=self.keys)
