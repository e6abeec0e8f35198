"""Writers, which keep the messages.

A new one is one file here, with a class that keeps the Writer contract of contracts/writer.py, and one line in this
catalog. Its key is the environment's `storage.type`.
"""

from __future__ import annotations

from typing import Any

from ssmd.writer.file import FileWriter
from ssmd.writer.s3 import S3, S3Writer

__all__ = ["WRITERS"]

WRITERS: dict[str, Any] = {
    "local": FileWriter,
    S3: S3Writer,
}
