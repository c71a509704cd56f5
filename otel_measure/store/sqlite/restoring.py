"""Putting a backup in the place of a store: without whoever was erased since it was taken."""

from __future__ import annotations

from pathlib import Path

from otel_measure.errors import ConfigurationError
from otel_measure.store.sqlite import SqliteStore, erasures
from otel_measure.store.sqlite.backups import copied, put_in_place
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.place import make_folders
from otel_measure.store.types.backups import Progress, Restored


def restore(place: str, backup: Path, now: int, progress: Progress) -> Restored:
    """Put a backup in the place of a store, all or nothing; see `otel_measure.store.engine.Engine`."""
    if place == MEMORY:
        raise ConfigurationError("a store in memory ends with its process: name a file with --store")
    store = Path(place)
    make_folders(store.parent)
    with copied(backup, store, progress) as copy:
        known = erasures.read_file(place)
        erased = 0 if known is None else _erase_again(copy, known, now, progress)
        size_bytes = copy.stat().st_size
        put_in_place(copy, store)
    return Restored(str(store), size_bytes, erased)


def _erase_again(copy: Path, known: erasures.ErasuresFile, now: int, progress: Progress) -> int:
    store = SqliteStore(str(copy))
    try:
        progress("erasing", 0, 1)
        erased = store.erase_again(known)
        while store.clear_erased(now):
            pass
        progress("erasing", 1, 1)
    finally:
        store.close()
    return erased
