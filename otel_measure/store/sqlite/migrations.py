"""The schema of a store, brought up to date."""

from __future__ import annotations

from pathlib import Path

from otel_measure.store.sqlite.connection import Database
from otel_measure.store.sqlite.file import MEMORY
from otel_measure.store.sqlite.ownership import APPLICATION_ID, contents_of, refuse_foreign, refuse_foreign_contents
from otel_measure.store.sqlite.schema_scripts import latest, run


def migrate(database: Database) -> None:
    """Bring the schema up to date, all in one transaction, which also marks the file as ours.

    Raises:
        StoreUnavailable: the file is not ours, or was written by a newer version.
    """
    if database.path != MEMORY:
        refuse_foreign(Path(database.path))
    with database.read() as connection:
        contents = contents_of(connection)
        if (contents.application_id, contents.user_version) == (APPLICATION_ID, latest()):
            return
    with database.write(durable=True) as connection:
        contents = contents_of(connection)  # another process may have been faster
        refuse_foreign_contents(database.path, contents)
        run(connection, contents.user_version, latest())
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={latest()}")
