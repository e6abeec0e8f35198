"""The optional parts of ssmd that need a library of their own, such as `ssmd[s3]`: extras of setup.py."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import NamedTuple

from ssmd.errors import ConfigError

__all__ = ["PARQUET", "S3", "Extra"]


class Extra(NamedTuple):
    name: str
    """Its name in setup.py, and that of its lock in deploy/extras."""
    library: str
    """The name on PyPI of the library that it brings."""

    def load(self, module: str, what: str) -> ModuleType:
        """Import a module of ssmd that imports the library: `PARQUET.load("ssmd.parquet.writer", "a Parquet file")`.

        The other modules of ssmd never import it, so that a run that has no use for it neither needs it nor holds it in
        memory. Raises ConfigError, which says what needs the library, when it is not installed.
        """
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "ssmd":
                raise
            raise ConfigError(
                f"{what} needs the Python package {self.library}, which is not installed; run `bin/extras {self.name}` "
                f"in a checkout, and elsewhere `pip install 'ssmd[{self.name}]'`"
            ) from None


PARQUET = Extra("parquet", "pyarrow")
S3 = Extra("s3", "boto3")
