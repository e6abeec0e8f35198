"""The scripts in bin/: from any folder, through a link, and without the Python that they need."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from patience import PATIENCE
from process import ROOT

from ssmd import __version__


def run(*command: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_ssmd_runs_from_another_folder_through_a_link_with_a_space(tmp_path):
    link = tmp_path / "my ssmd"
    link.symlink_to(ROOT / "bin" / "ssmd")
    (tmp_path / "ssmd").mkdir()  # A folder of that name in the working directory is not imported.
    (tmp_path / "ssmd" / "__main__.py").write_text("raise SystemExit(99)")
    ended = run(link, "--version", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"ssmd {__version__}\n", "")


def test_the_exit_code_of_ssmd_is_passed_on():
    assert run(ROOT / "bin" / "ssmd", "run").returncode == 64


@pytest.fixture
def checkout(tmp_path):
    """A checkout before its first use, without a virtual environment."""
    root = tmp_path / "a check out"
    (root / "test").mkdir(parents=True)
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "requirements.txt").write_text("")
    return root


def test_the_first_use_reports_what_it_does_and_the_second_prints_nothing(checkout):
    first = run(checkout / "bin" / "venv", "requirements.txt")
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert "making .venv with Python 3" in first.stderr
    assert (checkout / ".venv" / "bin" / "python").exists()
    second = run(checkout / "bin" / "venv", "requirements.txt")
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    (checkout / "requirements.txt").write_text("# changed\n")
    third = run(checkout / "bin" / "venv", "requirements.txt")
    assert "installing requirements.txt" in third.stderr
    assert "making .venv" not in third.stderr


def test_without_a_suitable_python_the_error_is_one_line(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp", "tr", "flock", "printf", "rm"):
        if path := shutil.which(tool):
            (tools / tool).symlink_to(path)
    ended = run(checkout / "bin" / "venv", "requirements.txt", PATH=str(tools), SSMD_PYTHON="")
    assert ended.returncode == 78
    assert ended.stderr == "ssmd: needs Python 3.11 or later; install it, or name it in SSMD_PYTHON\n"


def test_a_failed_installation_is_tried_again_by_the_next_use(used):
    (used / "requirements.txt").write_text("no-such-file.whl --hash=sha256:00\n")
    for _ in range(2):
        ended = run(used / "bin" / "venv", "requirements.txt")
        assert ended.returncode != 0
        assert "is ready" not in ended.stderr


def python_in(folder: Path) -> Path:
    """Make a Python that a test may remove or change: a copy of the interpreter and links to its library."""
    library = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    real = Path(sysconfig.get_path("stdlib")).parent.parent
    for name in {"lib", sys.platlibdir}:
        (folder / name).mkdir(parents=True)
        (folder / name / library).symlink_to(real / name / library)
    (folder / "bin").mkdir()
    return Path(shutil.copy(os.path.realpath(sys.executable), folder / "bin" / "python3"))


@pytest.fixture(scope="module")
def first_use(tmp_path_factory):
    """A checkout after its first use; its Python is in the folder `python` beside it."""
    root = tmp_path_factory.mktemp("first") / "checkout"
    root.mkdir()
    shutil.copytree(ROOT / "bin", root / "bin")
    (root / "requirements.txt").write_text("")
    made = use(root, python_in(root.parent / "python"))
    assert made.returncode == 0, made.stderr
    assert made.stderr.startswith("ssmd: first use: making .venv with Python 3.")
    return root


@pytest.fixture
def used(first_use, tmp_path):
    """A copy of that checkout, beside a link `python` to its Python, which a test may remove or change."""
    python = first_use.parent / "python"
    (tmp_path / "python").symlink_to(python)
    root = Path(shutil.copytree(first_use, tmp_path / "checkout", symlinks=True))
    again = use(root)
    assert (again.returncode, again.stderr) == (0, "")
    yield root
    shutil.rmtree(python, ignore_errors=True)
    python_in(python)


def use(checkout: Path, python: str | Path = "", prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run(*prefix, checkout / "bin" / "venv", "requirements.txt", SSMD_PYTHON=str(python))


def assert_kept(checkout: Path, first_use: Path, ended: subprocess.CompletedProcess[str]) -> None:
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert made(checkout) == made(first_use)


def assert_made_again(checkout: Path, first_use: Path, ended: subprocess.CompletedProcess[str], why: str) -> None:
    """It was reported in one line, and the new environment works, so that the next use has nothing to do."""
    assert ended.returncode == 0, ended.stderr
    first, *others = ended.stderr.splitlines()
    assert first.startswith(f"ssmd: {why}: making .venv with Python 3.")
    assert others == [
        "ssmd: installing requirements.txt into .venv; this takes a minute, once",
        "ssmd: .venv is ready",
    ]
    assert made(checkout) != made(first_use)
    pip = run(checkout / ".venv" / "bin" / "python", "-m", "pip", "--version")
    assert (pip.returncode, pip.stderr) == (0, "")
    again = use(checkout)
    assert (again.returncode, again.stderr) == (0, "")


def made(checkout: Path) -> int:
    """Return the time at which its .venv was made, which a copy keeps."""
    return (checkout / ".venv" / "pyvenv.cfg").stat().st_mtime_ns


def test_a_venv_whose_python_has_gone_is_made_again(used, first_use, tmp_path):
    shutil.rmtree((tmp_path / "python").resolve())
    assert_made_again(used, first_use, use(used), "the Python of .venv has gone")


def other_python() -> Path | None:
    """Return an installed Python of another version than this one, None without one."""
    for minor in {11, 12, 13, 14} - {sys.version_info[1]}:
        installed = Path("~/.pyenv/versions").expanduser().glob(f"3.{minor}.*/bin/python3")
        for python in filter(shutil.which, (f"python3.{minor}", *map(str, installed))):
            ended = run(python, "-c", "import ensurepip, sys; print(sys._base_executable)")
            if ended.returncode == 0:
                return Path(ended.stdout.strip())
    return None


def test_a_venv_whose_python_was_replaced_by_another_version_is_made_again(used, first_use, tmp_path):
    other = other_python()
    if other is None:
        pytest.skip("needs a Python of another version")
    interpreter = tmp_path / "python" / "bin" / "python3"
    interpreter.unlink()
    interpreter.symlink_to(other)
    assert run(used / ".venv" / "bin" / "python", "-c", "import pip").returncode == 1
    assert_made_again(used, first_use, use(used), "the Python of .venv has changed")


@pytest.mark.parametrize("library", ["as it was made", "of another version"])
def test_a_venv_of_ssmd_0_1_0_is_made_again_only_if_its_python_has_changed(used, first_use, library):
    (used / ".venv" / ".interpreter").unlink()
    if library == "as it was made":
        assert_kept(used, first_use, use(used))
        assert (used / ".venv" / ".interpreter").exists()
    else:
        [packages] = (used / ".venv" / "lib").glob("python3.*")
        packages.rename(packages.with_name("python3.0"))
        assert_made_again(used, first_use, use(used), "the Python of .venv has changed")


def test_a_venv_whose_python_was_upgraded_in_place_is_kept(used, first_use, tmp_path):
    """A patch release is another file, and the packages work with it."""
    os.utime(tmp_path / "python" / "bin" / "python3", (1, 1))
    before = (used / ".venv" / ".interpreter").read_text()
    assert_kept(used, first_use, use(used))
    after = (used / ".venv" / ".interpreter").read_text()
    assert before.splitlines()[0] == after.splitlines()[0]
    assert before.splitlines()[1] != after.splitlines()[1]


def test_a_use_with_nothing_to_do_starts_no_python(used, first_use, tmp_path):
    interpreter = tmp_path / "python" / "bin" / "python3"
    interpreter.chmod(0)
    assert run("env", used / ".venv" / "bin" / "python", "--version").returncode == 126
    assert_kept(used, first_use, use(used))


def test_a_venv_of_another_python_than_the_named_one_is_made_again(used, first_use, tmp_path):
    other = python_in(tmp_path / "other")
    why = "SSMD_PYTHON names another Python than that of .venv"
    assert_made_again(used, first_use, use(used, other), why)
    assert str(tmp_path / "other") in (used / ".venv" / "pyvenv.cfg").read_text()
    for name in (other, "", tmp_path / "other" / "." / "bin" / "python3"):
        again = use(used, name)
        assert (again.returncode, again.stderr) == (0, "")


def test_a_named_python_that_is_not_suitable_leaves_the_venv_alone(used, first_use):
    ended = use(used, "/bin/false")
    assert ended.returncode == 78
    assert ended.stderr == "ssmd: SSMD_PYTHON names /bin/false, which is not Python 3.11 or later\n"
    assert_kept(used, first_use, use(used))


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_a_user_who_may_not_write_can_use_a_working_venv_and_gets_an_error_for_a_broken_one(used, first_use, tmp_path):
    """The user is root without the right to ignore permissions."""
    bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    os.utime(tmp_path / "python" / "bin" / "python3", (1, 1))
    for folder in (used, used / ".venv"):
        folder.chmod(0o555)
    assert_kept(used, first_use, use(used, prefix=bound))
    shutil.rmtree((tmp_path / "python").resolve())
    ended = use(used, prefix=bound)
    assert ended.returncode == 73
    assert ended.stderr == (
        f"ssmd: the Python of .venv has gone: cannot write to {used}, where .venv belongs; "
        "run this once as somebody who can\n"
    )


def test_unpack_does_nothing_for_a_program_that_is_there(tmp_path):
    ended = run(ROOT / "bin" / "unpack", tmp_path / "tools", "sh:dash")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not (tmp_path / "tools").exists()


def test_unpack_does_nothing_without_apt(tmp_path):
    ended = run(shutil.which("sh") or "", ROOT / "bin" / "unpack", tmp_path / "tools", "no-such-program:dash", PATH="")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not (tmp_path / "tools").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "usage: reload <environment> [--shard <i/n>]"),
        (["a", "b"], 2, "usage: "),
        (["kalshi-sim", "--shards", "2"], 2, "usage: "),
        (["kalshi-sim"], 3, "ssmd: kalshi-sim is not running"),
        (["kalshi-sim", "--shard", "2/4"], 3, "ssmd: kalshi-sim shard 2/4 is not running"),
    ],
)
def test_reload_without_a_collector(tmp_path, arguments, code, text):
    ended = run(ROOT / "bin" / "reload", *arguments, SSMD_STATE_DIR=str(tmp_path), SSMD_ETC=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith(text)


@pytest.fixture
def tree(used, tmp_path):
    """A metadata tree with the environment `live`, and in the checkout a lock for each of some extras."""
    for extra in ("capnp", "kafka", "nats", "parquet", "protobuf", "s3"):
        wheel = used / f"try_{extra}-1.0-py3-none-any.whl"
        facts = f"try_{extra}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"try_{extra}.py", "")
            archive.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: try_{extra}\nVersion: 1.0\n")
            archive.writestr(f"{facts}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{facts}/RECORD", "")
        lock = used / "deploy" / "extras" / f"{extra}.txt"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(f"file://{wheel} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    for folder in ("environments", "schemas"):
        (tmp_path / "a tree" / folder).mkdir(parents=True)
    (tmp_path / "a tree" / "schemas" / "book.yaml").write_text("name: book\nformat: protobuf  # or capnp\n")
    (tmp_path / "a tree" / "schemas" / "tape.yml").write_text("name: tape\nformat: json_schema\n")
    (tmp_path / "a tree" / "environments" / "live.yaml").write_text("transport:\n  type: nats\n")
    return tmp_path / "a tree"


def extras(checkout: Path, tree: Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return run(*prefix, checkout / "bin" / "extras", "live", "--config-dir", tree)


def test_extras_installs_what_an_environment_needs_once_and_then_starts_no_python(used, tree, tmp_path):
    ended = extras(used, tree)
    assert (ended.returncode, ended.stdout, ended.stderr.splitlines()) == (
        0,
        "",
        [
            "ssmd: live needs nats",
            "ssmd: installing deploy/extras/nats.txt into .venv; this takes a minute, once",
            "ssmd: .venv is ready",
        ],
    )
    python = used / ".venv" / "bin" / "python"
    assert run(python, "-c", "import try_nats").returncode == 0
    assert run(python, "-c", "import try_kafka").returncode == 1
    (tmp_path / "python" / "bin" / "python3").chmod(0)
    again = extras(used, tree)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    # Another lock, after an upgrade of the checkout: it is installed, which here cannot be.
    with (used / "deploy" / "extras" / "nats.txt").open("a") as lock:
        lock.write("# newer\n")
    assert extras(used, tree).stderr.startswith("ssmd: live needs nats\n")


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("transport:\n  type: nats\n", "nats"),
        ("transport:\n  url: nats://here\n  type : 'nats'  # or kafka\n", "nats"),
        ('transport: {url: "kafka://here#x", "type": "kafka"}\n', "kafka"),
        ("transport: {type: kafka}\nkeys: {one: {type: nats, sources: env:A}, two: {type: kafka}}\n", "kafka nats"),
        ("transport: {type: memory}\nstorage: {type: local, path: nats}\n", ""),
        ("storage:\n  type: s3\n  bucket: parquet\n  format: jsonl.zst\n", "s3"),
        ("storage: {type: local, path: s3, format: 'parquet'}\n", "parquet"),
        ("storage:\n  type: s3\n  format: parquet # small\ntransport: {type: nats}\n", "nats parquet s3"),
        ("# transport: {type: nats}\n#type: nats\nname: live # type: nats\n", ""),
        ("name: nats\nfeed: kafka\nmy_type: nats\nkeys: {x: {type: api_key}}\n", ""),
        ("transport: {type: natss}\nfurther: {type: ../nats}\n", ""),
        ("schema: book:v1\nschema_check: sample\n", "protobuf"),
        ("schema: 'book:v1'\nschema_check: 'count' # all\nstorage: {type: s3}\n", "protobuf s3"),
        ("schema: book:v1\nschema_check: off\n", ""),
        ("schema: book:v1\n", ""),
        ("schema: tape:v1\nschema_check: count\n", ""),
        ("schema: none:v1\nschema_check: count\n", ""),
        ("schema_check: count\n", ""),
    ],
)
def test_extras_reads_the_types_of_an_environment(used, tree, text, needed):
    (tree / "environments" / "live.yaml").unlink()
    (tree / "environments" / "live.yml").write_text(text)
    ended = extras(used, tree)
    assert ended.returncode == 0
    first, *_ = [*ended.stderr.splitlines(), ""]
    assert " ".join(sorted(first.removeprefix("ssmd: live needs ").split())) == needed


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_extras_says_what_to_run_where_it_may_not_write(used, tree, tmp_path):
    bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    for folder in (used, used / ".venv"):
        folder.chmod(0o555)
    ended = extras(used, tree, prefix=bound)
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr == (
        f"ssmd: live needs nats, and .venv in {used} cannot be written; run this once as somebody who can write there: "
        f"{used}/bin/extras live --config-dir {tree}\n"
    )


@pytest.mark.needs_root
@pytest.mark.needs("setpriv")
def test_extras_by_name_says_what_to_run_where_it_may_not_write(used, tree):
    for folder in (used, used / ".venv"):
        folder.chmod(0o555)
    bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    ended = run(*bound, used / "bin" / "extras", "s3", "parquet")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr == (
        f"ssmd: the command needs s3 parquet, and .venv in {used} cannot be written; run this once as somebody who can "
        f"write there: {used}/bin/extras s3 parquet\n"
    )


def test_extras_can_be_named(used, tree):
    ended = run(used / "bin" / "extras", "s3", "parquet", "s3")
    assert (ended.returncode, ended.stdout, ended.stderr.splitlines()) == (
        0,
        "",
        [
            "ssmd: installing deploy/extras/s3.txt into .venv; this takes a minute, once",
            "ssmd: .venv is ready",
            "ssmd: installing deploy/extras/parquet.txt into .venv; this takes a minute, once",
            "ssmd: .venv is ready",
        ],
    )
    assert run(used / ".venv" / "bin" / "python", "-c", "import try_s3, try_parquet").returncode == 0
    again = run(used / "bin" / "extras", "parquet", "s3")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_an_extra_that_is_not_there(used, tree):
    ended = run(used / "bin" / "extras", "nats", "s4")
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr == "ssmd: there is no extra s4; there are: capnp kafka nats parquet protobuf s3\n"


@pytest.mark.parametrize(
    "arguments",
    ["", "live --config conf", "live --config-dir conf more", "--help", "nats -h", "../nats", "nats ''", "."],
)
def test_wrong_usage_of_extras(used, arguments):
    ended = run(used / "bin" / "extras", *shlex.split(arguments))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "usage: extras <environment> --config-dir <path>, extras --schema <schema> --config-dir <path>, or extras "
        "<extra>...\n"
    )


def test_extras_installs_what_a_schema_needs(used, tree):
    for schema, needed in (("tape:v1", []), ("none:v1", []), ("book:v1", ["protobuf"])):
        ended = run(used / "bin" / "extras", "--schema", schema, "--config-dir", tree)
        assert ended.returncode == 0
        assert [line for line in ended.stderr.splitlines() if "installing" in line] == [
            f"ssmd: installing deploy/extras/{extra}.txt into .venv; this takes a minute, once" for extra in needed
        ]


def test_extras_for_an_environment_that_is_not_there(used, tree):
    ended = run(used / "bin" / "extras", "other", "--config-dir", tree)
    assert (ended.returncode, ended.stderr) == (78, f"ssmd: there is no environment other in {tree}\n")


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("run live --config-dir TREE --listen 127.0.0.1:0", True),
        ("run --config=TREE live", True),
        ("ship --config-dir TREE --check live", True),
        ("verify --engine live --config-dir TREE", True),
        ("compact live --config-dir TREE", True),
        ("prune live --config-dir TREE --dry-run", True),
        ("restore --config-dir TREE live", True),
        ("verify --jobs 1 live", False),
        ("run other --config-dir TREE", False),
        ("run live", False),
        ("validate --config-dir TREE live", False),
    ],
)
def test_ssmd_asks_for_the_extras_of_the_environment_that_it_works_with(used, tree, arguments, asked):
    (used / "bin" / "extras").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nexit 78\n')
    ended = run(used / "bin" / "ssmd", *(word.replace("TREE", str(tree)) for word in arguments.split()))
    assert ended.stdout == (f"live\n--config-dir\n{tree}\n" if asked else "")
    assert (ended.returncode == 78) == asked  # Without its packages, ssmd itself ends with another code.


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("compact data --parquet", "parquet"),
        ("compact --parq data", "parquet"),
        ("compact data --jobs 1", ""),
        ("compact parquet", ""),
        ("export data --to tables", "parquet"),
        ("export data --to s3://bucket/tables", "parquet s3"),
        ("cat s3://bucket/data 2026-11-28 kalshi", "s3"),
        ("verify data", ""),
        ("export --help", ""),
        ("check data --schema x.proto", "protobuf"),
        ("check --sch=a/x.capnp s3://bucket/data", "capnp s3"),
        ("check --schema x.json data", ""),
        ("check --schema a:v1 data", ""),
        ("check --schema a:v1 --config=conf data", "--schema a:v1 --config-dir conf"),
        ("check --config-dir conf --schema a:v1 data", "--schema a:v1 --config-dir conf"),
    ],
)
def test_ssmd_asks_for_the_extras_that_a_command_without_an_environment_needs(used, arguments, asked):
    (used / "bin" / "extras").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    ended = run(used / "bin" / "ssmd", *arguments.split())
    assert ended.stdout.split() == asked.split()
