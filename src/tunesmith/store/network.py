"""Network file systems: several hosts may see a file there, and SQLite's locks do not reliably keep them apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

#: As the kernel calls them; those of ``fuse`` by what is behind.
_NETWORK: Final = frozenset(
    [
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "afpfs", "9p", "lustre", "gpfs", "beegfs",
        "beegfs_nodev", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "webdav", "davfs", "sshfs", "s3fs",
        "gcsfuse", "goofys", "mountpoint-s3", "rclone", "juicefs", "ceph-fuse", "blobfuse", "blobfuse2", "mfs", "moosefs",
        "lizardfs",
    ]
)  # fmt: skip
_MOUNTS: Final = Path("/proc/self/mountinfo")


def network_of(path: Path) -> str | None:
    """The kind of network file system (``nfs4``, ``cifs``, ..) on which `path` is, or will be; None if it is on none, as
    far as can be known."""
    kind = file_system(path)
    bare = kind.lower().removeprefix("fuse.")
    return bare if bare in _NETWORK else None


def file_system(path: Path) -> str:
    """The kind of file system on which `path` is, or will be; "" where that cannot be known."""
    try:
        there = path.expanduser().absolute()
        while not there.exists() and there != there.parent:
            there = there.parent
        if sys.platform == "linux":
            return _by_device(there)
        return _by_place(there.resolve())
    except (OSError, ValueError):
        return ""


def _by_device(there: Path) -> str:
    """The mount that has the file's device (proc(5): /proc/PID/mountinfo)."""
    device = there.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text(errors="replace").splitlines():
        fields, _, behind = line.partition(" - ")
        if fields.split()[2] == number:
            return behind.split()[0]
    return ""


def _by_place(there: Path) -> str:
    """The innermost mount around a path."""
    import psutil

    mounts = psutil.disk_partitions(all=True)
    around = [mount for mount in mounts if there.is_relative_to(mount.mountpoint)]
    return max(around, key=lambda mount: len(mount.mountpoint)).fstype if around else ""
