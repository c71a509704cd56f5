"""The schema of a store, brought up to date."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.ownership import APPLICATION_ID, contents_of, refuse_foreign, refuse_foreign_contents
from otel_measure.store.sqlite.schema_scripts import latest, run
from otel_measure.store.waiting import wait_s

_log: Final = logging.getLogger("otel_measure.store")
# Who holds the lock of such a file most probably brings it up to date, and all processes of a service start together.
_PATIENCE_S: Final = 60.0


def migrate(database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Bring the schema up to date, all in one transaction, which also marks the file as ours.

    While another process writes, it is waited for: for a minute, or until the caller must have an answer.

    Args:
        database: of the store.
        monotonic: seconds.

    Raises:
        StoreUnavailable: the file is not ours, was written by a newer version, or was written by others all the time.
    """
    if database.path != MEMORY:
        refuse_foreign(Path(database.path))
    if _is_up_to_date(database):
        return
    patience_s = wait_s(_PATIENCE_S)
    until_s, is_told = monotonic() + patience_s, False
    while True:
        try:
            return _bring_up_to_date(database)
        except StoreUnavailable as error:
            if error.cause_name != "locked":
                raise
            if monotonic() >= until_s:
                raise _held(database.path, patience_s) from error
        if not is_told:
            _log.warning("%s: another process holds it; waiting to bring its schema up to date", database.path)
            is_told = True


def _is_up_to_date(database: Database) -> bool:
    with database.read() as connection:
        contents = contents_of(connection)
    return (contents.application_id, contents.user_version) == (APPLICATION_ID, latest())


def _held(path: str, waited_s: float) -> StoreUnavailable:
    return StoreUnavailable(
        "locked",
        f"{path}: another process has held the write lock for {waited_s:.0f} s, and its schema is an earlier one",
        "start again when that process has ended",
    )


def _bring_up_to_date(database: Database) -> None:
    with database.write(durable=True) as connection:
        contents = contents_of(connection)  # another process may have been faster
        refuse_foreign_contents(database.path, contents)
        run(connection, contents.user_version, latest())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={latest()}")
