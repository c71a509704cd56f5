"""Roll-ups of inferences: one cell per model, origin and minute, and one per hour; everything in a cell adds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, Final, Literal, TypeAlias

import msgspec

from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.model_use import SUMS, ModelUse, use_by_minute
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import HOUR_US, MINUTE_US, CountedBy, cell_ranges
from otel_measure.records.kinds import Inference, Record
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.sqlite import facts
from otel_measure.store.sqlite.chunks import chunks, marks
from otel_measure.store.sqlite.kept import METRICS, StoreState, counted_by
from otel_measure.store.sqlite.names import Names
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ALL_MODELS, GroupBy, GroupKey, Model, ModelChoice, ModelKey

CellKey: TypeAlias = tuple[int, int, int, int]  # (seconds, start, model, origin)
# Cells of facts, and those of calls that only metrics of others tell of: no fact brings these back, so they stay.
Cells: TypeAlias = Literal["model_cell", "received_cell"]
CELLS: Final[tuple[Cells, ...]] = ("model_cell", "received_cell")
TABLES: Final = ("model_cell",)
FROZEN: Final[Mapping[str, str]] = {}
# The histograms of a cell; of calls that only metrics tell of there are bins, and nothing of first chunks.
_HISTOGRAMS: Final[Mapping[Cells, str]] = {"model_cell": "latency, first_chunk", "received_cell": "latency"}
_BY_SOURCE: Final = "sources, sources_nano_usd"
_OF_CELL: Final = "seconds=? AND start=? AND model=? AND origin=?"
_REGISTERED: Final = "SELECT name, version, type, metadata, targets FROM model"
_GROUPED_BY: Final[Mapping[GroupBy | None, tuple[str, ...]]] = {
    None: (),
    "model": ("m.name",),
    "version": ("m.name", "m.version"),
    "service": ("o.service",),
}
_decode_sources: Callable[[str], dict[str, int]] = msgspec.json.Decoder(dict[str, int]).decode
_encode_sources = msgspec.json.Encoder(order="sorted").encode


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted inferences into the stored minutes and hours."""
    if Inference in new:
        _add(transaction, new[Inference].records)


def _add(transaction: Transaction, records: Iterable[Record]) -> None:
    names = transaction.names
    uses = use_by_minute(record for record in records if isinstance(record, Inference))
    minutes = {
        (60, minute, names.model(model, version), names.origin(origin)): use
        for (minute, model, version, origin), use in uses.items()
    }
    add_minutes(transaction.connection, minutes)


def add_minutes(connection: sqlite3.Connection, minutes: dict[CellKey, ModelUse], cells: Cells = "model_cell") -> None:
    """Merge what minute cells grow by into the stored minutes and hours."""
    hours: dict[CellKey, ModelUse] = {}
    for (_, start, model, origin), use in minutes.items():
        key = (3600, start - start % HOUR_US, model, origin)
        if key not in hours:
            hours[key] = ModelUse(use.model, use.version)
        hours[key].add(use)
    for key, use in (*minutes.items(), *hours.items()):
        _add_cell(connection, key, use, cells)


def recount_minutes(transaction: Transaction, cells: Iterable[CellKey]) -> None:
    """Count minutes anew from their facts, and the hours around them from their minutes."""
    connection = transaction.connection
    hours: set[CellKey] = set()
    for _, start, model, origin in sorted(cells):
        connection.execute(f"DELETE FROM model_cell WHERE {_OF_CELL}", (60, start, model, origin))
        of_minute = facts.read(
            connection,
            facts.INFERENCE,
            "WHERE f.model = ? AND f.origin = ? AND f.ts >= ? AND f.ts < ?",
            (model, origin, start, start + MINUTE_US),
        )
        for use in use_by_minute(record for record in of_minute if isinstance(record, Inference)).values():
            _add_cell(connection, (60, start, model, origin), use, "model_cell")
        hours.add((3600, start - start % HOUR_US, model, origin))
    for key in sorted(hours):
        _recount_hour(connection, key)


def _recount_hour(connection: sqlite3.Connection, key: CellKey) -> None:
    _, start, model, origin = key
    connection.execute(f"DELETE FROM model_cell WHERE {_OF_CELL}", key)
    rows = connection.execute(
        f"SELECT {_columns('model_cell')} FROM model_cell"
        " WHERE seconds = 60 AND start >= ? AND start < ? AND model = ? AND origin = ? ORDER BY start",
        (start, start + HOUR_US, model, origin),
    ).fetchall()
    if not rows:
        return
    whole = ModelUse("", "")
    for row in rows:
        whole.add(_use("", "", row, "model_cell"))
    _add_cell(connection, key, whole, "model_cell")


def _add_cell(connection: sqlite3.Connection, key: CellKey, use: ModelUse, cells: Cells) -> None:
    columns = _columns(cells)
    stored = connection.execute(f"SELECT {columns} FROM {cells} WHERE {_OF_CELL}", key).fetchone()
    if stored:
        use.add(_use(use.model, use.version, stored, cells))
    values = (
        *key,
        *(min(getattr(use, c), LARGEST) for c in SUMS),
        _encode_sources(use.sources).decode(),
        _encode_sources(use.sources_nano_usd).decode(),
        *_histograms(use, cells),
    )
    connection.execute(
        f"INSERT OR REPLACE INTO {cells} (seconds, start, model, origin, {columns}) VALUES {marks(len(values))}", values
    )


def _columns(cells: Cells) -> str:
    return f"{','.join(SUMS)}, {_BY_SOURCE}, {_HISTOGRAMS[cells]}"


def _histograms(use: ModelUse, cells: Cells) -> tuple[bytes | str | None, ...]:
    if cells == "received_cell":
        return ((use.binned or Binned()).to_json().decode(),)
    first_chunk = use.first_chunk.to_bytes() if use.first_chunk is not None else None
    return ((use.latency or ExponentialHistogram()).to_bytes(), first_chunk)


def _use(name: str, version: str, row: tuple[Any, ...], cells: Cells) -> ModelUse:
    n = len(SUMS)
    use = ModelUse(name, version, *row[:n])
    use.sources, use.sources_nano_usd = map(_decode_sources, row[n : n + 2])
    if cells == "received_cell":
        use.binned = Binned.from_json(row[n + 2])
        return use
    latency, first_chunk = row[n + 2 :]
    use.latency = ExponentialHistogram.from_bytes(latency)
    use.first_chunk = ExponentialHistogram.from_bytes(first_chunk) if first_chunk is not None else None
    return use


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells of facts that are gone are of no use to any window."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Replay the inferences."""
    for records in chunks(facts.read(transaction.connection, facts.INFERENCE), facts.READ_AT_ONCE):
        _add(transaction, records)
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
    """Satisfies `otel_measure.store.questions.StoredModels`, within one read transaction."""

    def __init__(self, connection: sqlite3.Connection, where: Filter, seen: StoreState) -> None:
        self._connection = connection
        self._where = where
        self._seen = seen
        self.environment: Final = where.environment or UNNAMED

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions the uses of [start, end) are counted."""
        return counted_by(self._connection, self._seen, start, end, METRICS)

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""
        one, given = ("", ()) if only is None else ("WHERE name = ? AND version = ?", only)
        rows = self._connection.execute(f"{_REGISTERED} {one} ORDER BY name, version", given)
        return [_model(row) for row in rows]

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), from merged cells, sorted by name and version."""
        condition, parameters = conditions(only, self._where)
        uses: dict[ModelKey, ModelUse] = {}
        for (seconds, first, last), cells in product(cell_ranges(start, end), CELLS):
            rows = self._connection.execute(
                f"SELECT m.name, m.version, {_columns(cells)}"
                f" FROM {cells} c JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin"
                f" WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
                (seconds, first, last, *parameters),
            )
            for name, version, *rest in rows:
                use = uses.setdefault((name, version), ModelUse(name, version))
                use.add(_use(name, version, tuple(rest), cells))
        return [uses[key] for key in sorted(uses)]

    def use_by_step(
        self, steps: Steps, by: GroupBy | None = None, only: ModelChoice = ALL_MODELS
    ) -> dict[GroupKey, dict[int, ModelUse]]:
        """Return what each group of models did in each step, from the cells that lie in it."""
        condition, parameters = conditions(only, self._where)
        key = _GROUPED_BY[by]
        groups: dict[GroupKey, dict[int, ModelUse]] = {}
        for (seconds, first, last), cells in product(steps.cells, CELLS):
            rows = self._connection.execute(
                f"SELECT {','.join(('c.start', *key))}, {_columns(cells)} FROM {cells} c"
                " JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin"
                f" WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
                (seconds, first, last, *parameters),
            )
            for row in rows:
                step, group = steps.step_of(row[0]), groups.setdefault(row[1 : len(key) + 1], {})
                use = _use("", "", row[len(key) + 1 :], cells)
                if step in group:
                    group[step].add(use)
                else:
                    group[step] = use
        return groups


def conditions(only: tuple[str | None, str | None] | None, where: Filter) -> tuple[str, list[str]]:
    """Return what narrows a query over `model m` and `origin o`, and its parameters."""
    wanted = {
        "m.name": only[0] if only else None,
        "m.version": only[1] if only else None,
        "o.service": where.service,
        "o.environment": where.environment,
    }
    given = {column: value for column, value in wanted.items() if value is not None}
    return "".join(f" AND {column}=?" for column in given), list(given.values())
