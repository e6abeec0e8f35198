"""On which kind of file system a folder or a file is."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["file_system", "network_file_system"]

_NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "gpfs", "lustre"}
    | {"nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
)
"""Those on which another host, or the host of a virtual machine, may write too."""

_MOUNTS = Path("/proc/self/mountinfo")


def network_file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the network file system that a path is on; None when it is on none, or when that is not known.

    `mounts`: see file_system().
    """
    kind = file_system(path, mounts)
    return kind if kind in _NETWORK else None


def file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system that a path is on; None when that is not known.

    `mounts`: a file as in https://docs.kernel.org/filesystems/proc.html, section 3.5.
    """
    try:
        device = os.stat(path).st_dev
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    name = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mounted, _, system = line.partition(" - ")
        if mounted.split(" ")[2:3] == [name]:
            return system.partition(" ")[0]
    return None
