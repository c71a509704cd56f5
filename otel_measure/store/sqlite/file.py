"""The file of a database: that it is still the one that was opened.

SQLite finds the write-ahead log by the path alone. Another file under the path would be given the log of the one that
was opened, so it is refused, to read and to write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeAlias

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.place import (
    local_mounts,
    make_file,
    make_folders,
    refuse_network_file_system,
    refuse_planted_link,
)

MEMORY: Final = ":memory:"
Inode: TypeAlias = tuple[int, int]
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
        self._uri = f"{file.absolute().as_uri()}?mode=rw"
        refuse_planted_link(file)
        refuse_network_file_system(file, local_mounts())
        make_folders(file.parent)

    def uri_to_open(self) -> str:
        """Return what opens it. It is made once: an empty one in its place for a moment would take its log from it."""
        if self.inode is None:
            make_file(Path(self.path))
        return self._uri

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
