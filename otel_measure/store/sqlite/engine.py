"""SQLite as `otel_measure.store.engines` knows it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import ConfigurationError, StoreUnavailable
from otel_measure.store.engine import Engine
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.checked_file import StoreFile
from otel_measure.store.sqlite.checkup import checks, library
from otel_measure.store.sqlite.compacting import compact
from otel_measure.store.sqlite.file import LET_GO, has_lost_log, log_of
from otel_measure.store.sqlite.ownership import refuse_foreign
from otel_measure.store.sqlite.restoring import restore
from otel_measure.store.types.backups import Progress, Restored
from otel_measure.store.types.findings import StoreCheck
from otel_measure.store.types.sizes import Compacted


def _open(settings: Settings, definitions: Definitions | None, *, outbox: bool, reads_only: bool) -> SqliteStore:
    return SqliteStore(
        str(settings.store),
        definitions=definitions,
        durability=settings.durability,
        retention_days=settings.retention_days,
        max_bytes=settings.store_max_bytes,
        history_days=settings.history_days,
        notes_outbox=outbox,
        environment=settings.environment or None,
        reads_only=reads_only,
    )


def _checks(settings: Settings, definitions: Definitions) -> tuple[StoreCheck, ...]:
    return checks(StoreFile(settings=settings, definitions=definitions))


def _restore(settings: Settings, backup: Path | None, now: int, progress: Progress) -> Restored:
    if backup is None:
        raise ConfigurationError("name the file of the backup: otel-measure restore FILE")
    return restore(str(settings.store), backup, now, progress)


def _compact(settings: Settings) -> Compacted:
    path = str(settings.store)
    if not os.path.isfile(path):
        raise ConfigurationError(f"there is no store at {path}; name one with --store or OTEL_MEASURE_STORE")
    refuse_foreign(Path(path))
    if has_lost_log(path):
        raise StoreUnavailable("removed", f"{log_of(path)} was removed while in use", LET_GO)
    return compact(Path(path), lambda folder: shutil.disk_usage(folder).free)


ENGINE: Final = Engine("SQLite", sqlite3.sqlite_version, library, _open, _checks, _restore, _compact)
