"""Writers, which keep the messages.

A new one is one file here, with a class that keeps the Writer contract of contracts/writer.py, and one line in this
catalog. Its key is the environment's `storage.type`.
"""

from __future__ import annotations

from ssmd.catalog import Catalog

__all__ = ["WRITERS"]

WRITERS = Catalog(
    {
        "local": "ssmd.writer.file:FileWriter",
        "s3": "ssmd.writer.s3:S3Writer",
    }
)
