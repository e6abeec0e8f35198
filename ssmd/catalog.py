"""The catalogs of parts, which import a part when somebody asks for it."""

from __future__ import annotations

import importlib
from collections import UserDict
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Catalog", "Declared"]


class Catalog(UserDict[str, Any]):
    """Parts by name: each is the part, or where it is, as in `"ssmd.connector.websocket:WebSocketConnector"`.

    A part is imported when it is looked up, so a run holds no part in memory that it has no use for.
    """

    def __getitem__(self, name: str) -> Any:
        part = super().__getitem__(name)
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            part = self.data[name] = getattr(importlib.import_module(module), attribute)
        return part


class Declared(Mapping[str, Any]):
    """What the parts of catalogs declare as one attribute, by their names. A part without the attribute is not here."""

    def __init__(self, attribute: str, *catalogs: Mapping[str, Any]) -> None:
        self._attribute = attribute
        self._catalogs = catalogs

    def __getitem__(self, name: str) -> Any:
        for catalog in self._catalogs:
            if name in catalog and hasattr(catalog[name], self._attribute):
                return getattr(catalog[name], self._attribute)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (name for catalog in self._catalogs for name in catalog if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)
