"""The house rules that a machine can check: imports point down, rooms are small, every part has its test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "ssmd"
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the top of the house to its foundation; a module imports only from the floors below its own, or,
# within its own package, from its neighbours.
# The archive's formats are pure, and what writes them stands below what reads them back and proves them.
FORMATS = {"archive.layout", "archive.entries", "archive.ledger", "archive.manifest", "archive.sessions"}
# What reads the data is read by the simulator too, which replays it.
READING = {f"archive.{name}" for name in ("lines", "selection", "seek", "merge", "messages")}
FLOORS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"wiring"},
    {"archive"},
    {"connector", "exchange", "writer", "resolver", "server", "sim", "runtime.runner", "runtime.journal", "logs"},
    READING,
    {"runtime.report", "runtime.queue", "runtime.sealer"},
    {"metrics"},
    {"runtime", "metadata", *FORMATS},
    {"envelope", "errors"},
]
ROLES = {"connector", "exchange", "writer", "resolver", "server", "sim"}


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> int:
    for candidate in (module, module.split(".")[0]):
        for number, floor in enumerate(FLOORS):
            if candidate in floor:
                return number
    raise AssertionError(f"{module} has no floor: give it one")


def imports_of(path: Path) -> set[str]:
    """The modules of ssmd that a file imports, without the leading `ssmd.`; the bare package is left out."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ssmd":
            if node.module == "ssmd":
                found |= {alias.name for alias in node.names if alias.name != "__version__"}
            else:
                found.add(node.module.removeprefix("ssmd."))
    return found


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path)], ids=name_of)
def test_imports_point_down(path):
    module = name_of(path)
    for imported in imports_of(path):
        same_package = imported.split(".")[0] == module.split(".")[0]
        assert floor(imported) > floor(module) or (same_package and floor(imported) == floor(module)), imported


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).split(".")[0] in ROLES], ids=name_of)
def test_roles_do_not_know_each_other(path):
    role = name_of(path).split(".")[0]
    assert not {imported for imported in imports_of(path) if imported.split(".")[0] in ROLES - {role}}


def test_there_are_no_cycles():
    graph = {name_of(path): imports_of(path) for path in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail, module])
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_file_is_long_enough_to_get_lost_in(path):
    assert len(path.read_text().splitlines()) <= 250


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_a_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", ","))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_cli_catches_everything(path):
    # The simulator serves strangers: a bug met with one of them is logged with its traceback.
    if name_of(path) in ("cli", "sim.connection"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in ("Exception", "BaseException", "everything"), f"line {node.lineno}"


def test_production_code_reaches_the_simulator_only_behind_its_endpoint():
    top_level = {
        name_of(path)
        for path in MODULES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ssmd.sim")
    }
    assert {name for name in top_level if not name.startswith("sim")} == {
        "commands.sim",
        "commands.replay",
        "commands.serving",
    }
