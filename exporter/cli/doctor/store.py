"""Checks of the store: its place, and the file where there is one."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

from exporter.cli.doctor.findings import Finding, Surroundings, ok, warning, wrong
from otel_measure.definitions.parameters import Definitions
from otel_measure.store.engines import definitions_of
from otel_measure.store.sqlite import kept
from otel_measure.store.sqlite.connection import MEMORY, refuse_network_file_system, unavailable

_MIB: Final = 2**20
_LEAST_FREE_BYTES: Final = 256 * _MIB
_LARGE_WAL_BYTES: Final = 256 * _MIB


def place(s: Surroundings) -> Finding:
    """Where records go, and whether that can exist."""
    if s.settings.store is None:
        return ok("none: measurements leave by OpenTelemetry only, reports are not available")
    if s.settings.store == MEMORY:
        return ok("in memory: it ends with the process")
    if not s.is_file:
        return warning(f"{s.settings.store} is not a file; nothing more is checked here")
    try:
        is_directory = stat.S_ISDIR(s.file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return ok(f"{s.file}, made at the first start")
    except OSError as error:
        way_out = "let this user enter the directory (chmod or chown), or set OTEL_MEASURE_STORE"
        return wrong(f"{s.file} cannot be looked at: {error.strerror}", way_out)
    if is_directory:
        return wrong(f"{s.file} is a directory", "set OTEL_MEASURE_STORE to a file in it")
    return ok(f"{s.file}, exists")


def directory(s: Surroundings) -> Finding:
    """Whether the directory, or the nearest one above it that exists, may be written."""
    place = _existing(s.file.parent)
    if s.may_write(place):
        return ok(f"{place} may be written")
    return wrong(f"{place} may not be written by this user", f"chown or chmod {place}, or set OTEL_MEASURE_STORE")


def file_system(s: Surroundings) -> Finding:
    """Whether the locks of the file system can be trusted."""
    refuse_network_file_system(s.file, s.mounts())
    return ok("local")


def disk(s: Surroundings) -> Finding:
    """Whether the disk has room for what the store may grow to."""
    free, size = s.free_bytes(_existing(s.file.parent)), _size(s.file)
    bound = s.settings.store_max_bytes
    what = f"{_mib(free)} free; the store has {_mib(size)} and may grow to {_mib(bound)}"
    if free < _LEAST_FREE_BYTES:
        return wrong(what, "free disk space; until then records are refused, not lost silently")
    if size > 0.9 * bound:
        return warning(what, "raise store_max_bytes, or the oldest days go first")
    if free < bound - size:
        return warning(what, f"lower store_max_bytes below {_mib(size + free)}")
    return ok(what)


def integrity(s: Surroundings) -> Finding:
    """Whether the file opens and its pages agree with each other."""
    with _open(s) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems == ["ok"]:
        return ok("opens; quick_check finds nothing")
    return wrong("; ".join(problems), "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store")


def journal(s: Surroundings) -> Finding:
    """Whether the write-ahead log is on and is emptied from time to time."""
    with _open(s) as connection:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    wal = _size(Path(f"{s.file}-wal"))
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


def writable(s: Surroundings) -> Finding:
    """Whether a write would go through now."""
    with _open(s, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return ok("a transaction can begin")


def schema(s: Surroundings) -> Finding:
    """Whether this version of otel-measure knows the tables."""
    scripts = (entry.name for entry in (files("otel_measure.store.sqlite") / "schema").iterdir())
    latest = max(int(name[:4]) for name in scripts if name.endswith(".sql"))
    with _open(s) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
    what = f"schema {version}, this otel-measure knows {latest}"
    if version > latest:
        return wrong(what, "upgrade otel-measure: pip install -U otel-measure")
    if version == 0 and tables:
        return wrong("the file has tables of another program", "set OTEL_MEASURE_STORE to a new file")
    return ok(what if version == latest else f"{what}; brought up to date at the next start")


def time_zone(s: Surroundings) -> Finding:
    """Whether the days of the store are those of the settings."""
    found, wanted = _kept(s), s.settings.timezone
    if found is None or found.timezone == wanted:
        return ok(f"days are those of {wanted}")
    return wrong(
        f"days are kept in {found.timezone}, the settings say {wanted}",
        f"set OTEL_MEASURE_TIMEZONE={found.timezone}, or run `otel-measure rebuild --timezone {wanted}`",
    )


def definitions(s: Surroundings) -> Finding:
    """Whether the store is counted as the settings say."""
    found = _kept(s)
    differences = () if found is None else definitions_of(s.settings).refused(found)
    if not differences:
        return ok("counted by the definitions of the settings")
    return wrong(kept.told(differences), kept.ways_out(differences))


def _kept(s: Surroundings) -> Definitions | None:
    with _open(s) as connection:
        has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        return kept.kept(connection) if has_meta else None


@contextmanager
def _open(s: Surroundings, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    path = str(s.file)
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=1, isolation_level=None)
        with closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise unavailable(path, error) from error


def _existing(directory: Path) -> Path:
    # What may not be looked at is as good as not there, here and below; `place` says that it may not.
    while not os.path.exists(directory) and directory != directory.parent:
        directory = directory.parent
    return directory


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.exists(path) else 0


def _mib(n: int) -> str:
    return f"{n / _MIB:,.0f} MiB"
