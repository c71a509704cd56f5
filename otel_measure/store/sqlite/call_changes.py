"""What changed in the cells of models, by model and by five minutes, so that what is kept of all others is right.

Whoever writes or removes cells notes it in the same transaction: in both tables the last change has the greatest id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from otel_measure.store.types.models import SLOT_US, CallChanges

_EVERYWHERE: Final = -1  # stands for all times


def note_changes(connection: sqlite3.Connection, cells: Iterable[tuple[int, int]]) -> None:
    """Note that cells (start, model) of at most five minutes were written or removed."""
    models, slots = set(), set()
    for start, model in cells:
        models.add(model)
        slots.add(start - start % SLOT_US)
    for insert, changed in (
        ("INSERT OR REPLACE INTO model_change (model) VALUES (?)", models),
        ("INSERT OR REPLACE INTO slot_change (start) VALUES (?)", slots),
    ):
        connection.executemany(insert, [(each,) for each in sorted(changed)])


def note_change_of_all(connection: sqlite3.Connection) -> None:
    """Note that all cells may be others."""
    connection.execute("INSERT OR REPLACE INTO model_change (model) SELECT id FROM model")
    connection.execute("INSERT OR REPLACE INTO slot_change (start) VALUES (?)", (_EVERYWHERE,))


def last_change_of_models(connection: sqlite3.Connection) -> int:
    """Return the last change of a model; 0 before the first."""
    (change,) = connection.execute("SELECT coalesce(max(id), 0) FROM model_change").fetchone()
    return int(change)


def changes(connection: sqlite3.Connection, since: int | None) -> CallChanges:
    """Return in which five minutes cells changed after a change; see `StoredModels.changes`."""
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM slot_change").fetchone()
    rows = connection.execute(
        "SELECT start FROM slot_change WHERE id > ? ORDER BY start", (last if since is None else since,)
    )
    slots = [start for (start,) in rows]
    return CallChanges(last, None if _EVERYWHERE in slots else slots)


def forget_before(connection: sqlite3.Connection, horizon: int) -> None:
    """Forget the times before the horizon, of which nothing is kept, but for the last change: ids only grow."""
    connection.execute(
        "DELETE FROM slot_change WHERE start + ? <= ? AND start != ? AND id < (SELECT max(id) FROM slot_change)",
        (SLOT_US, horizon, _EVERYWHERE),
    )
