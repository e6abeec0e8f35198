"""What a run needs beside the rest when the markets of its environment are followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ssmd.connector.rest.client import RestClient
from ssmd.contracts.companion import Companion
from ssmd.contracts.exchange import Exchange
from ssmd.contracts.shard import Shard
from ssmd.contracts.writer import Writer
from ssmd.metadata.deployment import Deployment
from ssmd.runtime.follow_watch import FollowWatch
from ssmd.runtime.lister import Lister, ListingFiles
from ssmd.runtime.status import Status
from ssmd.store.layout import LISTING
from ssmd.writer import WRITERS

__all__ = ["NO_LISTING", "ListingParts", "listing_parts"]


class ListingParts(NamedTuple):
    lister: Lister | None = None
    companions: Sequence[Companion] = ()


NO_LISTING = ListingParts()


def listing_parts(
    deployment: Deployment,
    shard: Shard,
    exchange: Exchange,
    status: Status,
    clock: Callable[[], int],
    *,
    direct: bool,
) -> ListingParts:
    """Return what makes the requests of a listing, and keeps the answers if the environment says so.

    `status`: the run's, which gets the state of these files too. `direct`: without the proxy of the environment.
    """
    if exchange.listing is None:
        return NO_LISTING
    client, watch = RestClient(direct=direct), FollowWatch(exchange.listing, status, clock)
    if not deployment.environment.keep_listing:
        return ListingParts(Lister(exchange.listing, client, watch=watch))
    feed, own = f"{deployment.feed.name}{LISTING}", Status()
    make_writer = WRITERS[deployment.environment.storage.type]
    writer: Writer = make_writer(deployment.storage, feed, shard=shard, status=own, clock=clock)
    status.beside = [own]
    companions = [companion._replace(name=f"{companion.name}_listing") for companion in writer.companions()]
    files = ListingFiles(feed, writer, own)
    return ListingParts(Lister(exchange.listing, client, files, watch), companions)
