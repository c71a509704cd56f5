"""Copying a store while it is used, and putting a copy in its place.

SQLite's backup copies pages, and begins anew whenever another connection has committed, unless it reads within a
transaction: so it does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.faults import store_error
from otel_measure.store.sqlite.file import held_by_nobody, sync_folder
from otel_measure.store.sqlite.opening import connected_to_unchanging
from otel_measure.store.sqlite.ownership import Contents, look, refuse_foreign_contents
from otel_measure.store.sqlite.place import make_file
from otel_measure.store.types.backups import Backup, Progress

_PAGES_AT_ONCE: Final = 1000
_BYTES_AT_ONCE: Final = 2**20
_ANOTHER: Final = "take another backup"
_STOP: Final = "stop every process that uses it, then restore again"


def back_up(database: Database, target: Path, progress: Progress) -> Backup:
    """Copy a store as of now; the copy has its name when it was read again and is whole.

    Raises:
        StoreUnavailable: something has the name, or the copy cannot be written or is not whole.
    """
    if os.path.lexists(target):
        raise StoreUnavailable("exists", f"{target} is there already", "name a file that is not, or a folder")
    with _unfinished(target) as copy:
        with database.read() as source:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it is one moment
            _copy(source, copy, progress)
        require_whole(copy, progress)
        sha256 = digest_of(copy, progress)
        size_bytes = copy.stat().st_size
        _write_digest(target, sha256)
        os.replace(copy, target)
    sync_folder(target.parent)
    return Backup(target, size_bytes, sha256)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Yield an empty file beside the target, for its owner alone; what is left of it is removed in the end."""
    copy = target.with_name(f".{target.name}.unfinished")
    try:
        copy.unlink(missing_ok=True)
        make_file(copy)
        yield copy
    except OSError as error:
        cause = "full" if error.errno == errno.ENOSPC else "io"
        raise StoreUnavailable(
            cause, f"{target} cannot be written: {error.strerror}", "name a place that can be"
        ) from error
    finally:
        for rest in (copy, *(Path(f"{copy}{end}") for end in ("-wal", "-shm", "-journal", "-erased", "-damage"))):
            rest.unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, copy: Path, progress: Progress) -> None:
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as target:
            target.execute("PRAGMA synchronous=OFF")  # it is synced as a whole
            source.backup(
                target,
                pages=_PAGES_AT_ONCE,
                progress=lambda _, left, pages: progress("copying", pages - left, pages),
            )
            # The copy has no log beside it, so that it can be read from where nobody may write.
            target.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise store_error(str(copy), error) from error
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_whole(path: Path, progress: Progress) -> None:
    """Raise when a file that nobody uses is no whole store.

    Raises:
        StoreUnavailable: it is damaged.
    """
    progress("checking", 0, 1)
    try:
        with closing(connected_to_unchanging(path)) as connection:
            told = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        raise store_error(str(path), error) from error
    if told != "ok":
        raise StoreUnavailable("corrupt", f"{path}: {told.strip().splitlines()[-1]}", _ANOTHER)
    progress("checking", 1, 1)


# ---------------------------------------------------------------- digests


def digest_of(path: Path, progress: Progress) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    done, size = 0, path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_BYTES_AT_ONCE):
            digest.update(part)
            done += len(part)
            progress("reading again", done, size)
    return digest.hexdigest()


def digest_file(backup: Path) -> Path:
    """Return where the digest of a backup lies."""
    return backup.with_name(f"{backup.name}.sha256")


def _write_digest(backup: Path, sha256: str) -> None:
    file = digest_file(backup)
    file.unlink(missing_ok=True)
    make_file(file)
    file.write_text(f"{sha256}  {backup.name}\n", encoding="utf-8")


def require_digest(backup: Path, progress: Progress) -> None:
    """Raise when a backup is not what its digest beside it says; one without is taken as it is.

    Raises:
        StoreUnavailable: it is another file, or a damaged one.
    """
    try:
        expected = digest_file(backup).read_text(encoding="utf-8").split()[:1]
    except FileNotFoundError:
        return
    if expected != [digest_of(backup, progress)]:
        raise StoreUnavailable("corrupt", f"{backup} is not what {digest_file(backup)} says", _ANOTHER)


# ---------------------------------------------------------------- putting back


@contextmanager
def copied(backup: Path, store: Path, progress: Progress) -> Iterator[Path]:
    """Yield a copy of a backup, whole and for its owner alone, in the folder of the store.

    Raises:
        StoreUnavailable: it is no backup, a damaged one, or a store in use.
    """
    contents = look(backup)
    if contents == Contents():
        raise StoreUnavailable("foreign", f"{backup} is not there, or holds nothing", "name a backup")
    refuse_foreign_contents(str(backup), contents)
    if Path(f"{backup}-wal").exists():
        raise StoreUnavailable(
            "in_use", f"{backup} is a store in use", "take a backup of it with `otel-measure backup`"
        )
    require_digest(backup, progress)
    with _unfinished(store) as copy:
        done, size = 0, backup.stat().st_size
        with backup.open("rb") as source, copy.open("wb") as target:
            while part := source.read(_BYTES_AT_ONCE):
                target.write(part)
                done += len(part)
                progress("copying", done, size)
            target.flush()
            os.fsync(target.fileno())
        require_whole(copy, progress)
        yield copy


def put_in_place(copy: Path, store: Path) -> None:
    """Have a copy be the store from now on; the one that was there is no more.

    Raises:
        StoreUnavailable: the store is in use, or its place is that of something else.
    """
    if not os.path.lexists(store):
        os.replace(copy, store)
    else:
        _move_log(store)
        with held_by_nobody(store, _STOP):
            os.replace(copy, store)
            for end in ("-wal", "-shm"):
                Path(f"{store}{end}").unlink(missing_ok=True)
    sync_folder(store.parent)


def _move_log(store: Path) -> None:
    """Leave nothing in the log of the store that goes: the next file of its name would be given it."""
    try:
        refuse_foreign_contents(str(store), look(store))
    except StoreUnavailable as refusal:
        if refusal.cause_name != "corrupt":
            raise
        return
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(store, timeout=1, isolation_level=None)) as old:
        old.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            old.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise StoreUnavailable("in_use", f"{store} is used by another process", _STOP) from error
            raise
        old.execute("COMMIT")
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
