"""Roll-ups of inferences: one cell per model, origin and minute, and one per hour; everything in a cell adds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final, Literal, TypeAlias

import msgspec

from otel_measure.conventions import instruments
from otel_measure.definitions.cells import LARGEST
from otel_measure.records.kinds import Inference, Record
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.chunks import chunks
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import Model, ModelKey, ModelUse

MINUTE_US: Final = 60 * 1_000_000
HOUR_US: Final = 60 * MINUTE_US
LEVELS_US: Final = (MINUTE_US, HOUR_US)
CellKey: TypeAlias = tuple[int, int, int, int]  # (seconds, start, model, origin)
# Cells of facts, and those of calls that only metrics of others tell of: no fact brings these back, so they stay.
Cells: TypeAlias = Literal["model_cell", "received_cell"]
CELLS: Final[tuple[Cells, ...]] = ("model_cell", "received_cell")
TABLES: Final = ("model_cell",)
FROZEN: Final[Mapping[str, str]] = {}
_COLUMNS: Final = (
    "requests", "errors", "input_tokens", "input_known", "output_tokens", "output_known",
    "cost_nano_usd", "priced", "priced_tokens",
)  # fmt: skip
_OF_CELL: Final = "seconds=? AND start=? AND model=? AND origin=?"
_REGISTERED: Final = "SELECT name, version, type, metadata, targets FROM model"
_decode_sources: Callable[[str], dict[str, int]] = msgspec.json.Decoder(dict[str, int]).decode
_encode_sources = msgspec.json.Encoder(order="sorted").encode


def histogram() -> ExponentialHistogram:
    """Return an empty histogram of latencies in milliseconds."""
    return ExponentialHistogram()


def summed(records: Iterable[Record], names: Names) -> dict[CellKey, ModelUse]:
    """Return what inferences add to each minute cell; latencies are left for `histograms` to count at once."""
    cells: dict[CellKey, ModelUse] = {}
    latencies: dict[CellKey, list[float]] = {}
    for record in records:
        if not isinstance(record, Inference):
            continue
        key = (
            60,
            record.ts - record.ts % MINUTE_US,
            names.model(record.model, record.version),
            names.origin(record.origin),
        )
        use = cells.get(key)
        if use is None:
            use = cells[key] = ModelUse(record.model, record.version)
            latencies[key] = []
        _count(use, record)
        latencies[key].append(record.latency_ms)
    for key, use in cells.items():
        use.latency = histogram()
        use.latency.extend(latencies[key])
    return cells


def _count(use: ModelUse, record: Inference) -> None:
    use.requests += 1
    use.errors += record.error_type is not None
    if record.input_tokens is not None:
        use.input_tokens += record.input_tokens
        use.input_known += 1
    if record.output_tokens is not None:
        use.output_tokens += record.output_tokens
        use.output_known += 1
    if record.cost_usd is not None:
        use.cost_nano_usd += round(record.cost_usd * instruments.NANO)
        use.priced += 1
        use.priced_tokens += (record.input_tokens or 0) + (record.output_tokens or 0)
        source = record.cost_source or "caller"
        use.sources[source] = use.sources.get(source, 0) + 1


def merge(into: ModelUse, other: ModelUse) -> None:
    """Add another cell's figures."""
    for column in _COLUMNS:
        setattr(into, column, getattr(into, column) + getattr(other, column))
    for source, n in other.sources.items():
        into.sources[source] = into.sources.get(source, 0) + n
    if other.latency is not None:
        into.latency = into.latency or histogram()
        into.latency.merge(other.latency)
    if other.binned is not None:
        into.binned = into.binned or Binned()
        into.binned.merge(other.binned)


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted inferences into the stored minutes and hours."""
    if Inference in new:
        add_minutes(transaction.connection, summed(new[Inference].records, transaction.names))


def add_minutes(connection: sqlite3.Connection, minutes: dict[CellKey, ModelUse], cells: Cells = "model_cell") -> None:
    """Merge what minute cells grow by into the stored minutes and hours."""
    hours: dict[CellKey, ModelUse] = {}
    for (_, start, model, origin), use in minutes.items():
        key = (3600, start - start % HOUR_US, model, origin)
        if key not in hours:
            hours[key] = ModelUse(use.model, use.version)
        merge(hours[key], use)
    for key, use in (*minutes.items(), *hours.items()):
        _add_cell(connection, key, use, cells)


def recount_minutes(transaction: Transaction, cells: Iterable[CellKey]) -> None:
    """Count minutes anew from their facts, and the hours around them from their minutes."""
    connection, names = transaction.connection, transaction.names
    hours: set[CellKey] = set()
    for _, start, model, origin in sorted(cells):
        connection.execute(f"DELETE FROM model_cell WHERE {_OF_CELL}", (60, start, model, origin))
        of_minute = facts.read(
            connection,
            facts.INFERENCE,
            "WHERE f.model = ? AND f.origin = ? AND f.ts >= ? AND f.ts < ?",
            (model, origin, start, start + MINUTE_US),
        )
        for key, use in summed(of_minute, names).items():
            _add_cell(connection, key, use, "model_cell")
        hours.add((3600, start - start % HOUR_US, model, origin))
    for key in sorted(hours):
        _recount_hour(connection, key)


def _recount_hour(connection: sqlite3.Connection, key: CellKey) -> None:
    _, start, model, origin = key
    connection.execute(f"DELETE FROM model_cell WHERE {_OF_CELL}", key)
    rows = connection.execute(
        f"SELECT {','.join(_COLUMNS)}, sources, latency FROM model_cell"
        " WHERE seconds = 60 AND start >= ? AND start < ? AND model = ? AND origin = ? ORDER BY start",
        (start, start + HOUR_US, model, origin),
    ).fetchall()
    if not rows:
        return
    whole = ModelUse("", "")
    for row in rows:
        merge(whole, _use("", "", row, "model_cell"))
    _add_cell(connection, key, whole, "model_cell")


def _add_cell(connection: sqlite3.Connection, key: CellKey, use: ModelUse, cells: Cells) -> None:
    stored = connection.execute(
        f"SELECT {','.join(_COLUMNS)}, sources, latency FROM {cells} WHERE {_OF_CELL}",
        key,
    ).fetchone()
    if stored:
        merge(use, _use(use.model, use.version, stored, cells))
    marks = ",".join("?" * (len(_COLUMNS) + 6))
    connection.execute(
        f"INSERT OR REPLACE INTO {cells} (seconds, start, model, origin, {','.join(_COLUMNS)}, sources, latency)"
        f" VALUES ({marks})",
        (
            *key,
            *(min(getattr(use, c), LARGEST) for c in _COLUMNS),
            _encode_sources(use.sources).decode(),
            (use.latency or histogram()).to_bytes()
            if cells == "model_cell"
            else (use.binned or Binned()).to_json().decode(),
        ),
    )


def _use(name: str, version: str, row: tuple[Any, ...], cells: Cells) -> ModelUse:
    use = ModelUse(name, version, *row[: len(_COLUMNS)])
    use.sources = _decode_sources(row[-2])
    if cells == "model_cell":
        use.latency = ExponentialHistogram.from_bytes(row[-1])
    else:
        use.binned = Binned.from_json(row[-1])
    return use


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells of facts that are gone are of no use to any window."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Replay the inferences."""
    for records in chunks(facts.read(transaction.connection, facts.INFERENCE), facts.READ_AT_ONCE):
        add_minutes(transaction.connection, summed(records, transaction.names))
        yield


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


class SqliteRecordedModels:
    """Satisfies `otel_measure.store.protocol.RecordedModels`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._where = where

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""
        one, given = ("", ()) if only is None else ("WHERE name = ? AND version = ?", only)
        rows = self._connection.execute(f"{_REGISTERED} {one} ORDER BY name, version", given)
        return [_model(row) for row in rows]

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), from merged cells, sorted by name and version."""
        condition, parameters = conditions(only, self._where)
        uses: dict[ModelKey, ModelUse] = {}
        for (seconds, first, last), cells in product(parts(start, end), CELLS):
            rows = self._connection.execute(
                f"SELECT m.name, m.version, {','.join('c.' + c for c in _COLUMNS)}, c.sources, c.latency"
                f" FROM {cells} c JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin"
                f" WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
                (seconds, first, last, *parameters),
            )
            for name, version, *rest in rows:
                use = uses.setdefault((name, version), ModelUse(name, version))
                merge(use, _use(name, version, tuple(rest), cells))
        return [uses[key] for key in sorted(uses)]


def parts(start: int, end: int) -> list[tuple[int, int, int]]:
    """Return (seconds, start, end) stretches that cover [start, end) with as few cells as can be.

    A window begins and ends on whole minutes; the whole hours inside are read as hours.
    """
    start -= start % MINUTE_US
    end += -end % MINUTE_US
    first_hour, last_hour = start + -start % HOUR_US, end - end % HOUR_US
    if first_hour >= last_hour:
        return [(60, start, end)]
    stretches = [(60, start, first_hour), (3600, first_hour, last_hour), (60, last_hour, end)]
    return [part for part in stretches if part[1] < part[2]]


def conditions(only: ModelKey | None, where: Filter) -> tuple[str, list[str]]:
    """Return what narrows a query over `model m` and `origin o`, and its parameters."""
    wanted = {
        "m.name": only[0] if only else None,
        "m.version": only[1] if only else None,
        "o.service": where.service,
        "o.environment": where.environment,
    }
    given = {column: value for column, value in wanted.items() if value is not None}
    return "".join(f" AND {column}=?" for column in given), list(given.values())
