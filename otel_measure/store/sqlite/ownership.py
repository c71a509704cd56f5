"""Whether a file is a store of ours: looked at before anything is opened that could change it or what lies beside it.

Opening and closing a database for writing moves its log into it, and even a read-only connection makes the files of
the log. An immutable one does neither, and does not see the log; where that alone has something, a copy is read. For
neither is a lock taken: what others changed meanwhile is looked at again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import string
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.sqlite.file import log_of, no_look, standing, status_of
from otel_measure.store.sqlite.opening import connected_to_unchanging
from otel_measure.store.sqlite.schema_scripts import TABLES, latest, tables_of

APPLICATION_ID: Final = int.from_bytes(b"OTLM")
_LAST_WITHOUT_ID: Final = 8  # the last schema that was released before stores had an id
_ID_AT_BYTE: Final = 68
_SAMPLE_BYTES: Final = 2**18
_ONLY_OURS: Final = b"CREATE TABLE total_base"
_LOOKS: Final = 50  # one second in all; others write the pages of a log into the file in less
_PAUSE_S: Final = 0.02
_ANOTHER_PATH: Final = "set OTEL_MEASURE_STORE to another path; this file is left as it is"


@dataclass(frozen=True, slots=True)
class Contents:
    """What tells whose a database is; of one that has our id the tables are not looked at."""

    application_id: int = 0
    user_version: int = 0
    tables: frozenset[str] = frozenset()
    has_schema: bool = False


def refuse_foreign(path: Path) -> None:
    """Raise when there is a file at the path that this version cannot use; neither it nor its folder is changed.

    Raises:
        StoreUnavailable: it is no store, one with a damaged header, or one that a newer version has made.
    """
    refuse_foreign_contents(str(path), look(path))


def refuse_foreign_contents(path: str, contents: Contents) -> None:
    """Raise when a database with these contents is none that this version can use; see `refuse_foreign`."""
    version = contents.user_version
    if contents.application_id == APPLICATION_ID:
        if version > latest():
            raise StoreUnavailable(
                "newer",
                f"{path} has schema {version}, this otel-measure knows {latest()}",
                "upgrade otel-measure",
            )
        return
    if contents == Contents():
        return  # a database in which nothing is yet
    if contents.application_id == 0 and 1 <= version <= _LAST_WITHOUT_ID and contents.tables == tables_of(version):
        return
    raise StoreUnavailable("foreign", f"{path} is {_told(contents)}", _ANOTHER_PATH)


def contents_of(connection: sqlite3.Connection) -> Contents:
    """Return what tells whose the database of a connection is."""
    application_id, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    if application_id == APPLICATION_ID:
        return Contents(application_id, version)
    tables = frozenset(name for (name,) in connection.execute(TABLES))
    has_schema = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    return Contents(application_id, version, tables, has_schema)


def look(path: Path) -> Contents:
    """Return what tells whose the file at a path is; as of an empty database when there is none.

    Raises:
        StoreUnavailable: it is no database, or may not be looked at.
    """
    for _ in range(_LOOKS):
        before = standing(str(path))
        try:
            contents = _look_once(path)
        except StoreUnavailable:
            if standing(str(path)) == before:
                raise
        else:
            if contents.application_id == APPLICATION_ID or standing(str(path)) == before:
                return contents
        time.sleep(_PAUSE_S)
    return _look_once(path)


def _look_once(path: Path) -> Contents:
    log = log_of(str(path))
    size, has_log = _size(path), _size(Path(log)) > 0
    if not size and has_log:
        state = "empty" if os.path.lexists(path) else "not there"
        raise StoreUnavailable(
            "removed",
            f"{path} is {state}, but its write-ahead log {log} has content, which a new file would destroy",
            f"put the file back beside its log, or delete {log} if you do not need what is in it",
        )
    if not size:
        return Contents()
    try:
        try:
            contents = _read(path)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT or not (has_log and _is_in_use(path)):
                raise
            contents = _read_beside_others(path)
        return _read_copy(path, log) if contents == Contents() and has_log else contents
    except sqlite3.Error as error:
        if "not a database" in str(error).lower():
            raise _no_database(path) from error
        raise store_error(str(path), error) from error
    except OSError as error:
        raise no_look(str(path), error) from error


def _size(path: Path) -> int:
    """Return the size of a file, 0 when there is none."""
    status = status_of(str(path))
    if status is None:
        return 0
    if stat.S_ISDIR(status.st_mode):
        raise StoreUnavailable("foreign", f"{path} is a directory", "set OTEL_MEASURE_STORE to a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise StoreUnavailable("foreign", f"{path} is a device or a pipe, not a file", _ANOTHER_PATH)
    return status.st_size


def _read(path: Path) -> Contents:
    with closing(connected_to_unchanging(path)) as connection:
        return contents_of(connection)


def _is_in_use(path: Path) -> bool:
    return _size(Path(f"{path}-shm")) > 0


def _read_beside_others(path: Path) -> Contents:
    """Read a database whose log is being moved into it, which without the log looks damaged: by the locks of its users.

    The files of the log are there already, so that this makes none.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return contents_of(connection)


def _read_copy(path: Path, log: str) -> Contents:
    # Reading the file by ourselves would let go of the locks that this process has on it.
    with closing(connected_to_unchanging(path)) as connection:
        pages = connection.serialize()
    with tempfile.TemporaryDirectory(prefix="otel-measure-look-") as folder:
        copy = Path(folder) / "copy"
        copy.write_bytes(pages)
        shutil.copyfile(log, f"{copy}-wal")
        with closing(sqlite3.connect(copy)) as connection:
            return contents_of(connection)


def _no_database(path: Path) -> StoreUnavailable:
    # Reading it by ourselves would let go of the locks of this process, which it has on databases only.
    with path.open("rb") as file:
        start = file.read(_SAMPLE_BYTES)
    if start[_ID_AT_BYTE : _ID_AT_BYTE + 4] == APPLICATION_ID.to_bytes(4) or _ONLY_OURS in start:
        return StoreUnavailable(
            "corrupt",
            f"{path} is a store of otel-measure with a damaged header",
            "stop all writers, keep a copy of it and of its -wal file; then restore a backup, or give it a new header"
            " as docs/operations.md shows under 'A damaged header'",
        )
    printable = frozenset(string.printable.encode())
    kind = "a text file" if printable.issuperset(start[:512]) else "no SQLite database"
    return StoreUnavailable("foreign", f"{path} is {kind}", _ANOTHER_PATH)


def _told(contents: Contents) -> str:
    names = sorted(contents.tables)
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    marks = [
        *([f"application_id {contents.application_id}"] if contents.application_id else []),
        f"user_version {contents.user_version}",
        f"{len(names)} table{'' if len(names) == 1 else 's'}" + (f": {shown}" if names else ""),
    ]
    return f"an SQLite database of another program ({'; '.join(marks)})"
