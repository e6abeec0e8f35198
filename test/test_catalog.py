"""Catalogs: every part is in the catalog's own folder, and looking one part up imports no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ssmd.connector
import ssmd.exchange.catalog
import ssmd.resolver
import ssmd.shipping
import ssmd.writer
from ssmd.catalog import Catalog, Declared

CATALOGS = {
    "ssmd.connector": ssmd.connector.CONNECTORS,
    "ssmd.exchange": ssmd.exchange.catalog.EXCHANGES,
    "ssmd.resolver": ssmd.resolver.RESOLVERS,
    "ssmd.shipping": ssmd.shipping.TRANSPORTS,
    "ssmd.writer": ssmd.writer.WRITERS,
}


@pytest.mark.parametrize("folder", CATALOGS)
def test_every_part_is_in_the_folder_of_its_catalog(folder: str) -> None:
    for part in CATALOGS[folder].values():
        module = part.__module__ if hasattr(part, "__module__") else type(part).__module__
        assert module.startswith(f"{folder}.")


def test_a_part_is_imported_when_it_is_looked_up() -> None:
    code = (
        "import sys\nfrom ssmd.connector import CONNECTORS\nfrom ssmd.exchange.catalog import EXCHANGES\n"
        "EXCHANGES['kalshi'], CONNECTORS['websocket']\n"
        "print(*sorted({n.removeprefix('ssmd.') for n in sys.modules} & {\n"
        "    'connector.rest.connector', 'connector.websocket',\n"
        "    'exchange.generic.dialect', 'exchange.kalshi.dialect'}))"
    )
    root = Path(__file__).parent.parent
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["connector.websocket", "exchange.kalshi.dialect"]


def test_the_name_of_no_part_is_not_there() -> None:
    with pytest.raises(KeyError):
        Catalog({"one": "ssmd.words:a"})["two"]


def test_what_parts_declare() -> None:
    class One:
        kind = 1

    found = Declared("kind", {"a": One, "b": object}, {"c": One})
    assert (dict(found), len(found), "b" in found, found.get("d")) == ({"a": 1, "c": 1}, 2, False, None)
