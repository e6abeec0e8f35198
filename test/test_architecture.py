"""The house rules: imports point down, files and functions are small, each test is named after what it tests."""

import ast

import pytest
from house import FLOORS, MODULES, ROLES, ROOT, imports_of, name_of, package_of, packages

ROLES_THAT_PROOF_KNOWS = {"exchange"}

LONGEST_FILE = 250
LONGEST_FUNCTION = 40
"""Lines, from its `def` to its last."""

# Tests of the whole product, whose names are not those of modules.
OF_THE_WHOLE = {"architecture", "bench", "bench_figures", "bin", "cli_fuzz", "conf", "docs", "end_to_end", "extending"}
OF_THE_WHOLE |= {"capture_and_proof", "changed_description", "described_live", "followed_markets", "following"}
OF_THE_WHOLE |= {"hostile_messages", "kalshi_schema", "keys", "parquet_days", "lake", "open_tabs", "schemas_page"}
OF_THE_WHOLE |= {"never_silent", "one_feed", "order_books", "platforms", "reload", "schedule", "secrets", "setup"}
OF_THE_WHOLE |= {"drift_live", "first_line", "pages_shell", "shards", "simulated_days"}


def floor(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if package_of(module) in names:
            return number
    raise AssertionError(f"{module} has no floor: add its package to FLOORS in house.py")


def circle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """Return the names of a circle of imports; None when there is none."""
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> list[str] | None:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return None
        for imported in sorted(graph.get(name, ())):
            if circle := visit(imported, (*trail, name)):
                return circle
        done.add(name)
        return None

    for name in sorted(graph):
        if circle := visit(name, ()):
            return circle
    return None


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path)], ids=name_of)
def test_imports_point_down(path):
    module = name_of(path)
    for imported in imports_of(path):
        assert floor(imported) > floor(module) or package_of(imported) == package_of(module), imported


def test_proof_imports_no_role_but_exchange():
    assert packages()["proof"] & ROLES == ROLES_THAT_PROOF_KNOWS


def test_no_packages_import_each_other_in_a_circle():
    assert circle_in(packages()) is None


def test_no_modules_import_each_other_in_a_circle():
    assert circle_in({name_of(path): imports_of(path) for path in MODULES}) is None


def test_a_circle_would_be_found():
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_file_is_too_long(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_is_too_long(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, f"line {node.lineno}: {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_begins_with_a_docstring(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", ","))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_cli_catches_everything(path):
    # In the simulator a bug ends one connection, and is logged with its traceback. What a thread or the event loop
    # catches is raised again in the greenlet or the thread that waits for it, which would wait for ever otherwise.
    # A bug in what only looks at the messages must not end their recording; it is logged with its traceback.
    raised_again = ("runtime.work_thread", "connector.timed_socket", "resolver.in_time", "shipping.relays")
    if name_of(path) in ("cli", "observing.harmless", "sim.connection", *raised_again):
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


def test_every_test_is_named_after_the_module_that_it_tests():
    modules = {name_of(path).replace(".", "_") for path in MODULES}
    # The tests have modules of their own, of which the larger ones are tested too.
    here = ROOT / "test"
    modules |= {"_".join(path.relative_to(here).with_suffix("").parts) for path in here.rglob("*.py")}
    modules |= {path.name for path in here.iterdir() if path.is_dir()}
    named = {path.stem.removeprefix("test_") for path in (ROOT / "test").glob("test_*.py")}
    assert named - modules - OF_THE_WHOLE == set()
    assert OF_THE_WHOLE - named == set()
