"""The house that test_architecture.py holds and package_picture.py draws: the floors, the modules and their imports."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ssmd"
MODULES = sorted(PACKAGE.rglob("*.py"))

ROLES = {"connector", "exchange", "writer", "resolver", "server", "sim", "observing"}
FLOORS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"wiring"},
    {"collectors", "importing", "reports", "shipping", "tables"},
    {"proof"},
    ROLES,
    {"runtime"},
    {"reading", "metadata"},
    {"bucket", "parquet", "schema", "shape"},
    {"store"},
    {"contracts"},
    {"catalog", "extras", "field_path"},
    {"errors", "pace", "spelling", "unpatched", "words"},
]
"""The packages, and the modules at the top, from the top of the house down. Each imports from lower floors only."""


def name_of(path: Path) -> str:
    """Return a module's name without the leading `ssmd.`; the empty text for ssmd/__init__.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    return module.partition(".")[0]


def imports_of(path: Path) -> set[str]:
    """Return the modules of ssmd that a file imports, without the leading `ssmd.`; the bare package is left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ssmd":
            if node.module == "ssmd":
                found |= {alias.name for alias in node.names if alias.name != "__version__"}
            else:
                found.add(node.module.removeprefix("ssmd."))
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("ssmd.") for alias in node.names if alias.name.startswith("ssmd.")}
    return found


def packages() -> dict[str, set[str]]:
    """Return for each package, and each module at the top, the others that it imports."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        if name := name_of(path):
            found = graph.setdefault(package_of(name), set())
            found |= {package_of(imported) for imported in imports_of(path)} - {package_of(name)}
    return graph
