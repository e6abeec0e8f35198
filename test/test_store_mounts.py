"""On which kind of file system a folder is."""

import os

import pytest

from ssmd.store.mounts import network_file_system


@pytest.mark.parametrize(
    ("kind", "found"), [("nfs4", "nfs4"), ("cifs", "cifs"), ("ext4", None), ("fuse.sshfs", "fuse.sshfs")]
)
def test_a_network_file_system_is_known_by_its_type(tmp_path, kind, found):
    device = os.stat(tmp_path).st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 99:99 / / rw shared:1 - nfs4 server:/other rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /data rw,noatime shared:1 master:2 - {kind} server:/data rw\n"
    )
    assert network_file_system(tmp_path, mounts) == found


def test_a_folder_of_this_machine_is_on_none(tmp_path):
    assert network_file_system(tmp_path) is None


def test_what_is_not_known_is_none(tmp_path):
    assert network_file_system(tmp_path / "missing") is None
    assert network_file_system(tmp_path, tmp_path / "missing") is None
    (tmp_path / "mountinfo").write_text("\nx\n - nfs\n")
    assert network_file_system(tmp_path, tmp_path / "mountinfo") is None
