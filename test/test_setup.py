"""setup.py: what it requires is what ssmd imports, in versions that were tried (bin/check-versions tries them)."""

import ast
import sys
from pathlib import Path

import pytest
from check_versions import bounds, left_out, locked_versions
from packaging.version import Version

ROOT = Path(__file__).parent.parent
[REQUIREMENTS] = [
    ast.literal_eval(node.value)
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
    if isinstance(node, ast.keyword) and node.arg == "install_requires"
]
BOUNDS = dict(map(bounds, REQUIREMENTS))
LOCKED = locked_versions(ROOT / "requirements.txt")
PACKAGES = {
    "geventwebsocket": "gevent-websocket",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "websocket": "websocket-client",
    "yaml": "pyyaml",
}
"""The package of each module that is named otherwise. pydantic requires one exact version of pydantic_core."""

OVERRIDDEN = {"gevent"}
"""The packages of which ssmd imports public classes alone, but overrides a private method: see server/health.py."""


def imported() -> dict[str, set[str]]:
    """The packages that ssmd imports, each with the names that it takes from them."""
    names: dict[str, set[str]] = {}
    for path in (ROOT / "ssmd").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in found:
                module = name.split(".")[0]
                if module != "ssmd" and module not in sys.stdlib_module_names:
                    names.setdefault(PACKAGES.get(module, module), set()).add(name)
    return names


def test_what_is_imported_is_required_and_nothing_else():
    assert set(imported()) == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_the_locked_version_is_among_those_allowed(name):
    oldest, upper = map(Version, BOUNDS[name])
    assert oldest <= Version(LOCKED[name]) < upper


def test_a_package_whose_private_names_are_used_is_bound_to_the_minor_release_that_was_tried():
    private = {package for package, names in imported().items() if any("._" in name for name in names)}
    assert private == {"websocket-client"}
    for package in private | OVERRIDDEN:
        tried = Version(LOCKED[package])
        assert BOUNDS[package][1] == f"{tried.major}.{tried.minor + 1}"


@pytest.mark.parametrize("requirement", ["flask", "flask>=3.0.0", "flask<4", "flask==3.1.3"])
def test_a_requirement_without_both_bounds_is_refused(requirement):
    with pytest.raises(ValueError, match="has no minimum, or no upper bound"):
        bounds(requirement)


def test_check_versions_leaves_out_only_tests_that_exist():
    assert set(left_out(ROOT / "test", everything=True)) < set(left_out(ROOT / "test"))
