"""Checks of a store that SQLite keeps: its place, its file where there is one, the library. None changes anything."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import journal, kept
from otel_measure.store.sqlite.faults import RECOVER, store_error
from otel_measure.store.sqlite.file import MEMORY, OWN_IT
from otel_measure.store.sqlite.ownership import look, refuse_foreign
from otel_measure.store.sqlite.place import (
    local_mounts,
    others_who_may_read,
    refuse_network_file_system,
    refuse_planted_link,
)
from otel_measure.store.sqlite.recounting import began, is_being_copied
from otel_measure.store.sqlite.schema_scripts import latest
from otel_measure.store.types.findings import Finding, StoreCheck, ok, warning, wrong

_MIB: Final = 2**20
_LEAST_FREE_BYTES: Final = 256 * _MIB
_LARGE_WAL_BYTES: Final = 256 * _MIB
_STRICT_TABLES: Final = (3, 37, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFile:
    """What the checks look at: a store as it is wanted, and the machine around its file.

    Attributes:
        settings: where it is, and how large it may grow.
        definitions: by which it is to be counted.
    """

    settings: Settings
    definitions: Definitions
    mounts: Callable[[], list[tuple[str, str]]] = local_mounts
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    may_write: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)

    @property
    def path(self) -> Path:
        """The path of the file, which need not exist."""
        return Path(str(self.settings.store))


def _always(s: StoreFile) -> bool:
    return True


def _is_file(s: StoreFile) -> bool:
    return s.settings.store != MEMORY


def _exists(s: StoreFile) -> bool:
    return _is_file(s) and os.path.isfile(s.path)


def _is_ours(s: StoreFile) -> bool:
    # Opening what is not ours would change it, or make files beside it; `place` says whose it is.
    try:
        if _exists(s):
            refuse_foreign(s.path)
            return True
    except StoreUnavailable:
        pass
    return False


def place(s: StoreFile) -> Finding:
    """Where records go, whether that can exist, and whether what is there is ours."""
    if s.settings.store == MEMORY:
        return ok("in memory: it ends with the process")
    try:
        refuse_planted_link(s.path)
        refuse_foreign(s.path)
    except StoreUnavailable as refusal:
        return wrong(refusal.what, refusal.way_out)
    return ok(f"{s.path}, exists" if os.path.exists(s.path) else f"{s.path}, made at the first start")


def privacy(s: StoreFile) -> Finding:
    """Whether its owner alone may read the file."""
    others = others_who_may_read(s.path)
    if not others:
        return ok("its owner alone may read it")
    return warning(f"{' and '.join(others)} may read {s.path}", f"chmod 600 {s.path}*, which its log is among")


def directory(s: StoreFile) -> Finding:
    """Whether the directory, or the nearest one above it that exists, may be written."""
    place = _existing(s.path.parent)
    if s.may_write(place):
        return ok(f"{place} may be written")
    return wrong(f"{place} may not be written by this user", f"chown or chmod {place}, or set OTEL_MEASURE_STORE")


def file_system(s: StoreFile) -> Finding:
    """Whether the locks of the file system can be trusted."""
    refuse_network_file_system(s.path, s.mounts())
    return ok("local")


def disk(s: StoreFile) -> Finding:
    """Whether the disk has room for what the store may grow to."""
    free, size = s.free_bytes(_existing(s.path.parent)), _size(s.path)
    bound = s.settings.store_max_bytes
    what = f"{_mib(free)} free; the store has {_mib(size)} and may grow to {_mib(bound)}"
    if free < _LEAST_FREE_BYTES:
        return wrong(what, "free disk space; until then records are refused, not lost silently")
    if size > 0.9 * bound:
        return warning(what, "raise store_max_bytes, or the oldest days go first")
    if free < bound - size:
        return warning(what, f"lower store_max_bytes below {_mib(size + free)}")
    return ok(what)


def integrity(s: StoreFile) -> Finding:
    """Whether the file opens and its pages agree with each other."""
    with _open(s) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems == ["ok"]:
        return ok("opens; quick_check finds nothing")
    return wrong("; ".join(problems), RECOVER)


def log(s: StoreFile) -> Finding:
    """Whether the write-ahead log is on and is emptied from time to time."""
    with _open(s) as connection:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    wal = _size(Path(f"{s.path}-wal"))
    if mode != "wal":
        return warning(
            f"journal mode {mode}: readers and writers wait for each other",
            "start otel-measure once; it switches to the write-ahead log",
        )
    if wal > _LARGE_WAL_BYTES:
        return warning(
            f"the write-ahead log has {_mib(wal)}: a reader keeps it from being emptied",
            "look for a long-running query or an open sqlite3 shell, and end it",
        )
    return ok(f"write-ahead log, {_mib(wal)}")


def writable(s: StoreFile) -> Finding:
    """Whether a write would go through now."""
    if not s.may_write(s.path):
        return wrong(f"{s.path} may not be written by this user", OWN_IT)
    with _open(s, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return ok("a transaction can begin")


def schema(s: StoreFile) -> Finding:
    """Whether the tables are those of this version of otel-measure; a newer one's are not opened."""
    version, known = look(s.path).user_version, latest()
    what = f"schema {version}, this otel-measure knows {known}"
    return ok(what if version == known else f"{what}; brought up to date at the next start")


def time_zone(s: StoreFile) -> Finding:
    """Whether the days of the store are those of the settings."""
    keeps, wanted = _kept(s), s.settings.timezone
    if keeps is None or keeps.timezone == wanted:
        return ok(f"days are those of {wanted}")
    return wrong(
        f"days are kept in {keeps.timezone}, the settings say {wanted}",
        f"set OTEL_MEASURE_TIMEZONE={keeps.timezone}, or run `otel-measure rebuild --timezone {wanted}`",
    )


def definitions(s: StoreFile) -> Finding:
    """Whether the store is counted as the settings say."""
    keeps = _kept(s)
    differences = () if keeps is None else s.definitions.refused(keeps)
    if not differences:
        return ok("counted by the definitions of the settings")
    return wrong(kept.told(differences), kept.ways_out(differences))


def counting(s: StoreFile) -> Finding:
    """Whether all that is stored is counted, by the rules of this version."""
    keeps = _kept(s)
    with _open(s) as connection:
        if keeps is None or look(s.path).user_version < latest():
            return ok("begins with the next start")
        state, is_copied = kept.state(connection), is_being_copied(connection)
        waiting = journal.length(connection)
    what = f"{waiting:,} entries of the journal wait" if waiting else "nothing waits"
    if state.updating is not None:
        step = "the result is being copied" if is_copied else "facts are being counted anew"
        return ok(f"updating by a process that began at {began(state.updating):%Y-%m-%d %H:%M:%S} UTC: {step}, {what}")
    if keeps.rules < s.definitions.rules:
        return ok(f"updating from rules {keeps.rules} to {s.definitions.rules} begins with the next process, {what}")
    return ok(f"updating: {what}" if waiting else "all that is stored is counted")


def _kept(s: StoreFile) -> Definitions | None:
    with _open(s) as connection:
        has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        return kept.kept(connection) if has_meta else None


@contextmanager
def _open(s: StoreFile, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    path = str(s.path)
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=1, isolation_level=None)
        with closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise store_error(path, error) from error


def _existing(directory: Path) -> Path:
    # What may not be looked at is as good as not there, here and below; `place` says that it may not.
    while not os.path.exists(directory) and directory != directory.parent:
        directory = directory.parent
    return directory


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.exists(path) else 0


def _mib(n: int) -> str:
    return f"{n / _MIB:,.0f} MiB"


def library(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Finding:
    """Whether SQLite has what the schema uses."""
    has, needs = (".".join(map(str, v)) for v in (version, _STRICT_TABLES))
    if version >= _STRICT_TABLES:
        return ok(has)
    return wrong(f"{has} has no STRICT tables", f"use a Python with SQLite {needs} or newer")


_CHECKS: Final[tuple[tuple[str, Callable[[StoreFile], Finding], Callable[[StoreFile], bool]], ...]] = (
    ("store", place, _always),
    ("store directory", directory, _is_file),
    ("store file system", file_system, _is_file),
    ("store disk", disk, _is_file),
    ("store privacy", privacy, _exists),
    ("store integrity", integrity, _is_ours),
    ("store log", log, _is_ours),
    ("store writable", writable, _is_ours),
    ("store schema", schema, _is_ours),
    ("store time zone", time_zone, _is_ours),
    ("store definitions", definitions, _is_ours),
    ("store counting", counting, _is_ours),
)


def checks(file: StoreFile) -> tuple[StoreCheck, ...]:
    """Return the checks that have something to look at, in their order."""
    return tuple(StoreCheck(name, partial(look, file)) for name, look, applies in _CHECKS if applies(file))
