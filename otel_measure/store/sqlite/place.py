"""Where the file of a store lies, and who else may reach it: file system, folders, links and modes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreUnavailable

_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs3", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "davfs"}
    | {f"fuse.{kind}" for kind in ("sshfs", "s3fs", "rclone", "glusterfs", "ceph-fuse", "gcsfuse", "davfs2")}
)
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_MOST_LINKS: Final = 40  # as Linux follows
WRITABLE_PLACE: Final = "set OTEL_MEASURE_STORE to a writable path"


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


def refuse_planted_link(path: Path) -> None:
    """Raise when the way to the file passes a symbolic link in a folder that everybody may write to.

    Whoever made such a link decides which file is opened, and may change that at any time.
    """
    folder = "/"
    steps = list(reversed(path.absolute().parts[1:]))
    links = 0
    while steps and links <= _MOST_LINKS:
        step = steps.pop()
        if step == "..":
            folder = os.path.dirname(folder)
            continue
        place = os.path.join(folder, step)
        try:
            target = Path(os.readlink(place))
        except OSError:  # no link, or not there, or not to be looked at: opening the file says so
            folder = place
            continue
        if os.stat(folder).st_mode & stat.S_IWOTH:
            raise StoreUnavailable(
                "link",
                f"{path} leads through {place}, a symbolic link in a folder that everybody may write to",
                f"set OTEL_MEASURE_STORE to the path itself, {os.path.realpath(path)}, if it is the one you mean",
            )
        links += 1
        if target.is_absolute():
            folder, target = "/", target.relative_to("/")
        steps += reversed(target.parts)


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing, each for its owner alone, whatever the umask.

    Raises:
        StoreUnavailable: one cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    try:
        for place in reversed(missing):
            with suppress(FileExistsError):  # another process of this store has made it
                os.mkdir(place, _FOLDER_MODE)
                os.chmod(place, _FOLDER_MODE)
        os.makedirs(folder, exist_ok=True)  # which says what is there when it is no folder
    except OSError as error:
        raise StoreUnavailable("permission", f"{folder} cannot be created: {error.strerror}", WRITABLE_PLACE) from error


def make_file(path: Path) -> None:
    """Make an empty file for its owner alone, whatever the umask; one that is there stays as it is.

    SQLite would make it for everybody whom the umask lets in, and gives log and shared memory the mode of the file.

    Raises:
        OSError: it cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, _FILE_MODE)
    finally:
        os.close(descriptor)


def others_who_may_read(path: Path) -> tuple[str, ...]:
    """Return who beside its owner may read a file, "group" and "everybody", the folders on the way considered."""
    place = Path(os.path.realpath(path))
    mode = place.stat().st_mode
    folders = [folder.stat().st_mode for folder in place.parents]
    kinds = (("group", stat.S_IRGRP, stat.S_IXGRP), ("everybody", stat.S_IROTH, stat.S_IXOTH))
    return tuple(who for who, read, enter in kinds if mode & read and all(folder & enter for folder in folders))
