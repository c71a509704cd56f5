"""What a store says of itself, as values under names: of a name the first counts, or the last."""

from __future__ import annotations

from otel_measure.errors import StoreError
from otel_measure.store.clickhouse.connection import ClickHouseDatabase


def keep(database: ClickHouseDatabase, name: str, value: str) -> None:
    """Keep a value under a name, beside those that were kept before."""
    database.insert("kept", {"name": [name], "value": [value]})


def every_kept(database: ClickHouseDatabase, name: str) -> list[str]:
    """Return all values that were kept under a name, in the order in which all see them."""
    rows = database.rows(
        "SELECT value FROM {db}.kept WHERE name = {name:String} ORDER BY _block_number, _block_offset", name=name
    )
    return [str(value) for (value,) in rows]


def last_kept(database: ClickHouseDatabase, name: str) -> str | None:
    """Return the last value that was kept under a name, `None` for none."""
    rows = database.rows(
        "SELECT value FROM {db}.kept WHERE name = {name:String}"
        " ORDER BY _block_number DESC, _block_offset DESC LIMIT 1",
        name=name,
    )
    return str(rows[0][0]) if rows else None


def first_kept(database: ClickHouseDatabase, name: str) -> str:
    """Return the first value that anybody kept under a name: two who begin a store at once agree on it.

    Raises:
        StoreError: there is none.
    """
    rows = database.rows(
        "SELECT value FROM {db}.kept WHERE name = {name:String} ORDER BY _block_number, _block_offset LIMIT 1",
        name=name,
    )
    if not rows:
        raise StoreError(f"the database {database.name} has no store of ours: it keeps no {name}")
    return str(rows[0][0])
