"""setup.py: it requires what ssmd imports, in versions that were tried (bin/check-versions tries them), and it builds
packages that are complete.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from check_versions import FOR_WORK, bounds, left_out, locked_versions
from packaging.version import Version
from patience import PATIENCE

ROOT = Path(__file__).parent.parent
REQUIREMENTS, EXTRAS = (
    ast.literal_eval(node.value)
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text()))
    if isinstance(node, ast.keyword) and node.arg in ("install_requires", "extras_require")
)
for name in FOR_WORK:
    del EXTRAS[name]  # Those that are left are for users of ssmd.
BOUNDS = dict(map(bounds, REQUIREMENTS))
LOCKED = locked_versions(ROOT / "requirements.txt")
EXTRA_BOUNDS = {(extra, name): each for extra in EXTRAS for name, each in map(bounds, EXTRAS[extra])}
PACKAGES = {
    "botocore": "boto3",
    "capnp": "pycapnp",
    "confluent_kafka": "confluent-kafka",
    "geventwebsocket": "gevent-websocket",
    "google": "grpcio-tools",
    "grpc_tools": "grpcio-tools",
    "jsonschema_rs": "jsonschema-rs",
    "nats": "nats-py",
    "paho": "paho-mqtt",
    "prometheus_client": "prometheus-client",
    "pydantic_core": "pydantic",
    "websocket": "websocket-client",
    "yaml": "pyyaml",
}
"""The package of each module that is named otherwise. pydantic requires one exact version of pydantic_core, boto3
one minor release of botocore; and grpcio-tools brings google.protobuf."""

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


DATA = {"tzdata"}
"""What is read by the standard library: zoneinfo takes it where the system has no time zones."""


def test_what_is_imported_is_required_and_nothing_else():
    assert set(imported()) | DATA == set(BOUNDS) | {name for _, name in EXTRA_BOUNDS}


def test_without_the_libraries_of_extras_everything_else_can_be_imported():
    """A library is imported when a sink is opened or a file is read, and not when a catalog or a command is loaded."""
    program = """
import sys
for module in ("nats", "confluent_kafka", "paho", "boto3", "botocore", "pyarrow", "grpc_tools", "google", "capnp"):
    sys.modules[module] = None
import ssmd.__main__
from ssmd import wiring
from ssmd.commands import COMMANDS
from importlib import import_module
for command in COMMANDS.values():
    import_module(command)
print(*sorted(wiring.parts().transports))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == {"file", "memory", *EXTRAS} - {"s3", "parquet", "protobuf", "capnp"}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_locked_version_is_among_those_allowed(name):
    oldest, upper = map(Version, BOUNDS[name])
    assert oldest <= Version(LOCKED[name]) < upper


def locked_for(extra: str) -> dict[str, str]:
    return locked_versions(ROOT / "deploy" / "extras" / f"{extra}.txt")


@pytest.mark.parametrize(("extra", "name"), EXTRA_BOUNDS)
def test_the_locked_version_of_an_extra_is_among_those_allowed(extra, name):
    oldest, upper = map(Version, EXTRA_BOUNDS[extra, name])
    assert oldest <= Version(locked_for(extra)[name]) < upper


@pytest.mark.parametrize("lock", ["test/requirements.txt", "test/bench/requirements.txt"])
@pytest.mark.parametrize("extra", EXTRAS)
def test_tests_and_measurements_use_the_locked_versions_of_the_extras(extra, lock):
    assert locked_for(extra).items() <= locked_versions(ROOT / lock).items()


def test_what_an_extra_adds_is_not_locked_twice():
    for extra in EXTRAS:
        assert locked_for(extra)
        assert not locked_for(extra).keys() & LOCKED.keys()


def test_no_lock_file_has_the_address_of_a_package_index():
    locks = [*ROOT.glob("*requirements.txt"), *ROOT.glob("test/**/requirements.txt"), *ROOT.glob("deploy/**/*.txt")]
    assert len(locks) == 4 + len(EXTRAS)
    assert not [str(lock) for lock in locks if "://" in lock.read_text() or "--index" in lock.read_text()]


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


def build(kind: str, checkout: Path, to: Path) -> Path:
    """Build a `wheel` or an `sdist` with the setuptools of the tests, as pip would; return its file."""
    script = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, to], cwd=checkout, check=True, capture_output=True)
    [built] = to.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The folder of the programs of a new virtual environment, with ssmd installed from a wheel.

    The wheel is built from the source archive, and that from a copy of the checkout. The dependencies are those of the
    tests, so that nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("built")
    away = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "node_modules", "data")
    shutil.copytree(ROOT, folder / "checkout", ignore=away)
    with tarfile.open(build("sdist", folder / "checkout", folder / "sdist")) as archive:
        if hasattr(tarfile, "data_filter"):  # From Python 3.11.4 on.
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(folder / "source")
    [source] = (folder / "source").iterdir()
    wheel = build("wheel", source, folder / "wheel")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    programs = folder / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True, capture_output=True)
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    return programs


def test_an_installed_ssmd_writes_its_example_tree_and_collects_from_it(installed, tmp_path):
    def run(*arguments: str) -> str:
        environ = {**os.environ, "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
        environ.pop("PYTHONPATH", None)
        argv = [installed / "ssmd", *arguments]
        done = subprocess.run(
            argv, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        return done.stdout

    printed = run("init", "example")
    written = {path.relative_to(tmp_path / "example") for path in (tmp_path / "example").rglob("*") if path.is_file()}
    assert written == {path.relative_to(ROOT / "conf") for path in (ROOT / "conf").glob("*/*")}
    # What it prints and what the comments of the tree say are commands for here.
    assert "\n  ssmd run kalshi-sim --config-dir example\n" in printed
    texts = "".join((tmp_path / "example" / path).read_text() for path in written)
    assert "#   ssmd run kalshi-sim --config-dir example\n" in texts
    assert "bin/ssmd" not in texts
    assert "error" not in run("validate", "--strict", "--config-dir", "example")
    # The simulator closes the connection after 100 messages: the run ends by itself, with all of them.
    feed = tmp_path / "example/feeds/kalshi-sim.yaml"
    feed.write_text(re.sub(r"sim://kalshi\S*", "sim://kalshi?rate=0&close-after=100", feed.read_text()))
    with pytest.raises(subprocess.CalledProcessError) as ended:
        run("run", "kalshi-sim", "--config-dir", "example", "--listen", "127.0.0.1:0")
    assert ended.value.returncode == 75
    [data] = tmp_path.glob("data/*/kalshi-sim.jsonl")
    assert len(data.read_bytes().splitlines()) == 100


@pytest.mark.one_day
def test_what_an_installed_simulator_prints_works_as_it_stands(installed, tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KALSHI", "PYTHONPATH"))}
    environ["PATH"] = f"{installed}{os.pathsep}{environ['PATH']}"
    options = ("--listen", "127.0.0.1:0", "--rate", "0", "--fault", "close-after=100")
    simulator = subprocess.Popen(
        [installed / "ssmd", "sim", *options], cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True
    )
    try:
        printed = ""
        while "serving" not in (line := simulator.stderr.readline()):
            assert line, f"it has ended: {printed}"
            printed += line
        commands = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
        assert [command.split()[:2] for command in commands[1:]] == [["ssmd", "init"], ["ssmd", "run"]]
        [(line, file)] = re.findall(r"Set `(endpoint: \S+)` in (\S+), then:", printed)
        change = f"sed -i 's,endpoint: .*,{line},' {file}"
        script = "\n".join([*commands[:-1], change, f"{commands[-1]} --listen 127.0.0.1:0"])
        command = ["sh", "-e", "-c", script]
        ended = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=PATIENCE)
        assert ended.returncode == 75, ended.stderr
    finally:
        simulator.terminate()
        simulator.communicate(timeout=PATIENCE)
    [data] = tmp_path.glob("data/*/kalshi-local.jsonl")
    assert len(data.read_bytes().splitlines()) == 100


def test_no_link_in_the_checkout_leads_out_of_it():
    """Such a link works on one machine only. What is ignored, such as .venv, may be one."""
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()}
    links = [
        Path(folder) / name
        for folder, folders, files in os.walk(ROOT)
        for name in [*folders, *files]
        if (Path(folder) / name).is_symlink()
    ]
    ours = [path for path in links if not ignored & set(path.relative_to(ROOT).parts)]
    assert [path for path in ours if not path.resolve().is_relative_to(ROOT.resolve())] == []
