"""The file of a database: where it may lie, and that it is still the one that was opened.

SQLite finds the write-ahead log by the path alone. Another file under the path would be given the log of the one that
was opened, so it is refused, to read and to write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeAlias

from otel_measure.errors import StoreUnavailable

MEMORY: Final = ":memory:"
Inode: TypeAlias = tuple[int, int]
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "davfs"}
    | {f"fuse.{kind}" for kind in ("sshfs", "s3fs", "rclone", "glusterfs", "ceph-fuse", "gcsfuse", "davfs2")}
)
_PUT_BACK: Final = (
    "put it back, its -wal and -shm files beside it as they are; or stop every process that uses it and start again"
)
_START_AGAIN: Final = (
    "stop every process that uses it, delete the -wal and -shm files beside it if you restore another file, "
    "then start again"
)


class DatabaseFile:
    """The file at a path, known by its inode once it was opened, for this process and its children.

    Args:
        path: it need not be there; its directory is made.

    Raises:
        StoreUnavailable: it may not lie there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.inode: Inode | None = None
        file = Path(path)
        self._uri = file.absolute().as_uri()
        refuse_network_file_system(file, local_mounts())
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreUnavailable(
                "permission",
                f"{file.parent} cannot be created: {error}",
                "set OTEL_MEASURE_STORE to a writable path",
            ) from error

    @property
    def uri(self) -> str:
        """What opens it. It is made once: an empty file in its place for a moment would take its log from it."""
        return f"{self._uri}?mode={'rwc' if self.inode is None else 'rw'}"

    def refuse_another(self) -> None:
        """Raise when the file is no longer the one at the path."""
        now = self.inode_now()
        if self.inode in {None, now}:
            return
        if now is None:
            raise StoreUnavailable("removed", f"{self.path} was removed while in use", _PUT_BACK)
        raise StoreUnavailable("removed", f"{self.path} was replaced by another file while in use", _START_AGAIN)

    def inode_now(self) -> Inode | None:
        """Return device and inode of what is at the path, `None` for nothing."""
        try:
            status = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailable(
                "permission" if isinstance(error, PermissionError) else "io",
                f"{self.path} cannot be looked at: {error.strerror}",
                "let this user enter the directory (chmod or chown), or set OTEL_MEASURE_STORE",
            ) from error
        return status.st_dev, status.st_ino


def refuse_network_file_system(path: Path, mounts: list[tuple[str, str]]) -> None:
    """Raise when the file would lie on a network file system, where SQLite's locks and shared memory do not hold.

    Args:
        path: of the file.
        mounts: (mount point, type) of every file system.
    """
    place = os.path.realpath(path)
    best = max((m for m in mounts if _is_below(place, m[0])), key=lambda m: len(m[0]), default=None)
    if best and best[1].lower() in _NETWORK_FILE_SYSTEMS:
        raise StoreUnavailable(
            "network_file_system",
            f"{path} lies on {best[0]}, a network file system ({best[1]}), where SQLite's locks do not hold",
            "set OTEL_MEASURE_STORE to a local disk; the processes of other hosts send OTLP to `otel-measure serve`",
        )


def _is_below(place: str, mount_point: str) -> bool:
    return mount_point == "/" or place == mount_point or place.startswith(mount_point.rstrip("/") + "/")


def local_mounts() -> list[tuple[str, str]]:
    """Return (mount point, type) of every file system of this machine."""
    import psutil

    return [(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]
