"""The history of the machine: cells of its readings, by 10 seconds, minute and hour."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping

import msgspec

from otel_measure.definitions.days import DAY_US
from otel_measure.definitions.machine_cells import FINEST_S, MACHINE_LEVELS_S, MachineCell, add_to, cell_of
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import LEVELS_S

_encode = msgspec.json.Encoder(order="sorted").encode
_decode: Callable[[bytes], MachineCell] = msgspec.json.Decoder(MachineCell).decode


def note(connection: sqlite3.Connection, readings: Mapping[str, float], at: int) -> None:
    """Add the readings of one moment, microseconds."""
    for seconds in MACHINE_LEVELS_S:
        start = at - at % (seconds * 1_000_000)
        cell = cell_of(readings)
        stored = connection.execute(
            "SELECT readings FROM machine_cell WHERE seconds = ? AND start = ?", (seconds, start)
        ).fetchone()
        if stored is not None:
            add_to(cell, _decode(stored[0]))
        connection.execute("INSERT OR REPLACE INTO machine_cell VALUES (?, ?, ?)", (seconds, start, _encode(cell)))


def by_step(connection: sqlite3.Connection, steps: Steps) -> dict[int, MachineCell]:
    """Return the readings of each step; steps without any are left out."""
    levels = (FINEST_S,) if steps.seconds % LEVELS_S[0] else LEVELS_S
    by_step: dict[int, MachineCell] = {}
    for seconds, first, last in steps.cells(levels):
        rows = connection.execute(
            "SELECT start, readings FROM machine_cell WHERE seconds = ? AND start >= ? AND start < ?",
            (seconds, first, last),
        )
        for start, readings in rows:
            add_to(by_step.setdefault(steps.step_of(start), {}), _decode(readings))
    return by_step


def sweep(connection: sqlite3.Connection, now: int, history_days: int) -> None:
    """Forget what is too old, and what a clock that is ahead said."""
    for seconds in MACHINE_LEVELS_S:
        days = 1 if seconds == FINEST_S else history_days
        connection.execute(
            "DELETE FROM machine_cell WHERE seconds = ? AND (start < ? OR start > ?)",
            (seconds, now - days * DAY_US, now + DAY_US),
        )
