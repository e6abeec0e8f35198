import subprocess
import sys

import pytest

from ssmd.bucket import open_bucket
from ssmd.bucket.address import Address
from ssmd.errors import ConfigError


def test_the_library_is_imported_only_for_a_client():
    code = "import sys, ssmd.bucket, ssmd.bucket.address; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_library_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    monkeypatch.delitem(sys.modules, "ssmd.bucket.client", raising=False)
    with pytest.raises(ConfigError, match=r"s3://lake/x needs the Python package boto3.*ssmd\[s3\]"):
        open_bucket(Address("lake", "x"))
