"""What is known of models beside their calls: what they are, and the targets that were registered for them."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from otel_measure.store.sqlite.names import Names
from otel_measure.store.types.models import Model, ModelKey

_REGISTERED: Final = "SELECT name, version, type, metadata, targets FROM model"


def read(connection: sqlite3.Connection, only: ModelKey | None = None) -> list[Model]:
    """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""
    one, given = ("", ()) if only is None else ("WHERE name = ? AND version = ?", only)
    rows = connection.execute(f"{_REGISTERED} {one} ORDER BY name, version", given)
    return [_model(row) for row in rows]


def _model(row: tuple[Any, ...]) -> Model:
    name, version, kind, metadata, targets = row
    return Model(name, version, kind, *(msgspec.json.decode(text) if text else None for text in (metadata, targets)))


def register(connection: sqlite3.Connection, names: Names, model: Model) -> None:
    """Add a model, or replace what is known of it."""
    connection.execute(
        "UPDATE model SET type=?, metadata=?, targets=? WHERE id=?",
        (
            model.type,
            msgspec.json.encode(model.metadata).decode() if model.metadata else None,
            msgspec.json.encode(model.targets).decode() if model.targets else None,
            names.model(model.name, model.version),
        ),
    )
