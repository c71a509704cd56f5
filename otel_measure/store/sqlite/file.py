"""The file of a database and its write-ahead log: that they are still the ones that were opened.

SQLite finds the write-ahead log by the path alone. Another file under the path would be given the log of the one that
was opened, so it is refused, to read and to write.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.connected_files import CONNECTED_FILES, Inode
from otel_measure.store.sqlite.place import (
    WRITABLE_PLACE,
    local_mounts,
    make_file,
    make_folders,
    refuse_network_file_system,
    refuse_planted_link,
)

MEMORY: Final = ":memory:"
IMMUTABLE: Final = "&immutable=1"  # ends the URI that a file is opened by without a lock, and without its log
_PUT_BACK: Final = (
    "put it back, its -wal and -shm files beside it as they are; or stop every process that uses it and start again"
)
LET_GO: Final = (
    "what it held is moved into the file; every process that uses the store lets go of it within 15 s, and then it goes"
    " on by itself; stop those that do not"
)
OWN_IT: Final = "chown or chmod it for this user, its -wal and -shm files too, or set OTEL_MEASURE_STORE"
_LOCKS_OF_CONNECTIONS: Final = (510, 0x40000002)  # length and start, as SQLite's format of files has them
_OPENING_S: Final = 2.0  # how long opening or closing a file may take at most
_DESCRIPTORS: Final[dict[Inode, int]] = {}
_START_AGAIN: Final = (
    "stop every process that uses it, delete the -wal and -shm files beside it if you restore another file, "
    "then start again"
)


class DatabaseFile:
    """The file at a path, known by its inode once it was opened, for this process and its children.

    Args:
        path: it need not be there; its directory is made.

    Attributes:
        log: the inode of the log that the connections of this process have; `None` while there are none.
        log_size: of the log when it was looked at last, bytes.
        lost_log: the log was no longer at its path when that was looked at last.
        was_cut: the file was once larger than when it was looked at next.

    Raises:
        StoreUnavailable: it may not lie there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.log_path = log_of(path)
        self.inode: Inode | None = None
        self.log: Inode | None = None
        self.log_size = 0
        self.lost_log = False
        self.was_cut = False
        self._size = 0
        file = Path(path)
        self._uri = f"{file.absolute().as_uri()}?mode=rw"
        refuse_planted_link(file)
        refuse_network_file_system(file, local_mounts())
        make_folders(file.parent)

    def uri_to_open(self) -> str:
        """Return what opens it. It is made once: an empty one in its place for a moment would take its log from it."""
        if self.inode is None:
            try:
                with CONNECTED_FILES.unconnected(self.path):  # until it is closed, nobody else here opens it
                    make_file(Path(self.path))
            except OSError as error:
                raise StoreUnavailable(
                    "permission", f"{self.path} cannot be created: {error.strerror}", WRITABLE_PLACE
                ) from error
        if os.path.exists(self.path) and not os.access(self.path, os.W_OK):
            # SQLite would open it to read only, and begin a transaction for writing all the same.
            raise StoreUnavailable("read_only", f"{self.path} may not be written by this user", OWN_IT)
        return self._uri

    def refuse_another(self) -> None:
        """Raise when the file, or its log, is no longer the one at the path; `lost_log` tells which."""
        self.lost_log = False
        now = self.inode_now()
        if self.inode in {None, now}:
            self.lost_log = self.log is not None and self.log_now() != self.log
            if self.lost_log:
                raise StoreUnavailable("removed", f"{self.log_path} was removed while in use", LET_GO)
            return
        if now is None:
            raise StoreUnavailable("removed", f"{self.path} was removed while in use", _PUT_BACK)
        raise StoreUnavailable("removed", f"{self.path} was replaced by another file while in use", _START_AGAIN)

    def inode_now(self) -> Inode | None:
        """Return device and inode of what is at the path, `None` for nothing."""
        status = status_of(self.path)
        if status is None:
            return None
        self.was_cut = self.was_cut or status.st_size < self._size
        self._size = status.st_size
        return status.st_dev, status.st_ino

    def log_now(self) -> Inode | None:
        """Return device and inode of the log at its path, `None` for nothing."""
        status = status_of(self.log_path)
        self.log_size = 0 if status is None else status.st_size
        return None if status is None else (status.st_dev, status.st_ino)

    def descriptor(self) -> int:
        """Return a descriptor of the file that was opened, to read and write.

        It stays open as long as the process: closing it would let go of all locks that SQLite has on the file.

        Raises:
            StoreUnavailable: another file lies there.
        """
        if self.inode is not None and (known := _DESCRIPTORS.get(self.inode)) is not None:
            return known
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        _DESCRIPTORS[status.st_dev, status.st_ino] = descriptor
        self.refuse_another()
        return descriptor

    def refuse_log_of_others(self) -> None:
        """Raise when another process uses the file with a log that is no longer at its path.

        Whoever opened the file now would begin a log of its own, and the two would overwrite each other.
        """
        if has_lost_log(self.path):
            raise StoreUnavailable("removed", f"{self.log_path} was removed while in use", LET_GO)


def has_lost_log(path: str) -> bool:
    """Tell whether a process uses a file with a log that is no longer at its path.

    One that is just opening or closing it has none for a moment.
    """
    until_s = time.monotonic() + _OPENING_S
    while status_of(log_of(path)) is None and _is_held(path):
        if time.monotonic() >= until_s:
            return True
        time.sleep(0.01)
    return False


def log_of(path: str) -> str:
    """Return the path of the log of a file."""
    return f"{path}-wal"


@contextmanager
def held_by_nobody(path: Path, way_out: str) -> Iterator[None]:
    """Keep every process from opening a store, as long as it lasts; this one has no connection to it.

    Raises:
        StoreUnavailable: another process has it open.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if not _takes_locks(descriptor):
            raise StoreUnavailable("in_use", f"{path} is used by another process", way_out)
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names of the files in a folder survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_held(path: str) -> bool:
    with CONNECTED_FILES.unconnected(path) as is_unconnected:
        if not is_unconnected:
            return True
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False  # opening it says why
        try:
            return not _takes_locks(descriptor)
        finally:
            os.close(descriptor)


def _takes_locks(descriptor: int) -> bool:
    """Take the locks of all connections to a file, where no other process has one; tell whether they are taken."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *_LOCKS_OF_CONNECTIONS)
    except OSError:
        return False
    return True


def status_of(path: str) -> os.stat_result | None:
    """Return what a file is like, or `None` when there is none.

    Raises:
        StoreUnavailable: it may not be looked at.
    """
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise no_look(path, error) from error


class Standing(NamedTuple):
    """What is another when a file or its log was written to, put there or removed: of each inode, size and time."""

    file: tuple[int, ...]
    log: tuple[int, ...]


def standing(path: str) -> Standing:
    """Return how a file and its log stand.

    Raises:
        StoreUnavailable: they may not be looked at.
    """
    file, log = (
        (status.st_ino, status.st_size, status.st_mtime_ns) if status else ()
        for status in (status_of(path), status_of(log_of(path)))
    )
    return Standing(file, log)


def no_look(path: str, error: OSError) -> StoreUnavailable:
    """Return what is told when a file, or one beside it, may not be looked at."""
    return StoreUnavailable(
        "permission" if isinstance(error, PermissionError) else "io",
        f"{error.filename or path} cannot be looked at: {error.strerror}",
        "let this user enter the directory and read it (chmod or chown), or set OTEL_MEASURE_STORE",
    )
