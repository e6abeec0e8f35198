"""How the client for a bucket connects: time limits, names of hosts, and checksums."""

from __future__ import annotations

from botocore.config import Config

__all__ = ["CONNECT_SECONDS", "READ_SECONDS", "client_settings"]

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""The longest time without a byte from the server."""


def client_settings(endpoint: str | None) -> Config:
    """Return the settings for a server; `endpoint`: its URL, None for that of AWS."""
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 2},
        # Other servers are seldom known under a name for each bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
        # What is put has a checksum of its own. Others that newer versions of botocore add are unknown to some servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="ssmd",
    )
