"""The optional parts of ssmd that need a library of their own, such as `ssmd[s3]`: extras of setup.py."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import NamedTuple

from ssmd.errors import ConfigError

__all__ = ["CAPNP", "PARQUET", "PROTOBUF", "S3", "Extra"]


class Extra(NamedTuple):
    name: str
    """Its name in setup.py, and that of its lock in deploy/extras."""
    library: str
    """The name on PyPI of the library that it brings."""
    imported_as: str = ""
    """The name under which it is imported; empty for the same."""

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
            raise self._missing(what) from None

    def require(self, what: str) -> None:
        """Raise ConfigError as load() does when the library is not installed. It is not imported: that another process
        does.
        """
        if not self.is_installed():
            raise self._missing(what)

    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.imported_as or self.library) is not None

    def _missing(self, what: str) -> ConfigError:
        return ConfigError(
            f"{what} needs the Python package {self.library}, which is not installed; run `bin/extras {self.name}` "
            f"in a checkout, and elsewhere `pip install 'ssmd[{self.name}]'`"
        )


CAPNP = Extra("capnp", "pycapnp", "capnp")
PARQUET = Extra("parquet", "pyarrow")
PROTOBUF = Extra("protobuf", "grpcio-tools", "grpc_tools")
S3 = Extra("s3", "boto3")
