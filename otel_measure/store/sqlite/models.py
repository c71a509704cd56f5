"""Roll-ups of inferences: a cell per model, origin, provider and minute, five minutes, hour; all in a cell adds."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from otel_measure.definitions import windows
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.model_use import SUMS, ModelUse, use_by_minute
from otel_measure.definitions.steps import Steps
from otel_measure.definitions.windows import MINUTE_US, MODEL_LEVELS_S, CellRange, CountedBy, cell_ranges
from otel_measure.records.kinds import Inference, Record
from otel_measure.stats.binned import Binned
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.sqlite import call_changes, facts, registered_models
from otel_measure.store.sqlite.call_changes import note_changes
from otel_measure.store.sqlite.chunks import chunks, marks
from otel_measure.store.sqlite.kept import METRICS, StoreState, counted_by
from otel_measure.store.sqlite.kept_uses import KeptUse, KeptUses, to_read_again
from otel_measure.store.sqlite.transaction import Accepted, Frozen, Transaction
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import (
    ALL_MODELS,
    CallChanges,
    GroupBy,
    GroupKey,
    Model,
    ModelChoice,
    ModelKey,
)

CellPlace: TypeAlias = tuple[int, int, int, int]  # (seconds, start, model, origin)
CellKey: TypeAlias = tuple[int, int, int, int, str]  # and the provider: "" in cells of before it was told apart
# Cells of facts, and those of calls that only metrics of others tell of: no fact brings these back, so they stay.
Cells: TypeAlias = Literal["model_cell", "received_cell"]
CELLS: Final[tuple[Cells, ...]] = ("model_cell", "received_cell")
LEVELS_S: Final[Mapping[Cells, tuple[int, ...]]] = {"model_cell": MODEL_LEVELS_S, "received_cell": windows.LEVELS_S}
"""How long cells are; those of metrics, which were not counted anew, have no five minutes."""
_RULES_WITH_FIVE_MINUTES: Final = 2  # a store of earlier rules has no such cells until it is counted anew
TABLES: Final = ("model_cell",)
FROZEN: Final[Mapping[str, str]] = {}
# The histograms of a cell; of calls that only metrics tell of there are bins, and nothing of first chunks.
_HISTOGRAMS: Final[Mapping[Cells, str]] = {"model_cell": "latency, first_chunk", "received_cell": "latency"}
_BY_SOURCE: Final = "sources, sources_nano_usd"
_ROWS_AT_ONCE: Final = 10_000
_K = TypeVar("_K")
_OF_PLACE: Final = "seconds=? AND start=? AND model=? AND origin=?"
_OF_CELL: Final = f"{_OF_PLACE} AND provider=?"
_MODEL: Final = ("c.model", "m.name", "m.version")
_name_and_version: Final = attrgetter("model", "version")
_GROUPED_BY: Final[Mapping[GroupBy | None, tuple[str, ...]]] = {
    None: (),
    "model": ("m.name",),
    "version": ("m.name", "m.version"),
    "provider": ("c.provider",),
    "service": ("o.service",),
}
_decode_sources: Callable[[str], dict[str, int]] = msgspec.json.Decoder(dict[str, int]).decode
_encode_sources = msgspec.json.Encoder(order="sorted").encode


def add(transaction: Transaction, new: Accepted) -> None:
    """Merge newly accepted inferences into the stored minutes and hours."""
    if Inference in new:
        _note_changes(transaction.connection, _add(transaction, new[Inference].records))


def _add(transaction: Transaction, records: Iterable[Record]) -> Collection[CellKey]:
    """Add the calls of some records to their cells; return their minutes."""
    names = transaction.names
    uses = use_by_minute(record for record in records if isinstance(record, Inference))
    minutes = {
        (60, minute, names.model(model, version), names.origin(origin), provider): use
        for (minute, model, version, origin, provider), use in uses.items()
    }
    _add_minutes(transaction.connection, minutes, "model_cell")
    return minutes.keys()


def add_received(connection: sqlite3.Connection, minutes: dict[CellKey, ModelUse]) -> None:
    """Merge calls that only metrics tell of into the stored minutes, and into the hours around them."""
    _add_minutes(connection, minutes, "received_cell")
    _note_changes(connection, minutes)


def _note_changes(connection: sqlite3.Connection, cells: Iterable[CellPlace | CellKey]) -> None:
    note_changes(connection, [(cell[1], cell[2]) for cell in cells])


def _add_minutes(connection: sqlite3.Connection, minutes: dict[CellKey, ModelUse], cells: Cells) -> None:
    longer: dict[CellKey, ModelUse] = {}
    for minute, use in minutes.items():
        for key in _around(minute, cells):
            if key not in longer:
                longer[key] = ModelUse(use.model, use.version)
            longer[key].add(use)
    for key, use in (*minutes.items(), *longer.items()):
        _add_cell(connection, key, use, cells)


def _around(minute: CellKey, cells: Cells) -> list[CellKey]:
    """Return the longer cells that a minute lies in."""
    _, start, model, origin, provider = minute
    return [(seconds, _start(start, seconds), model, origin, provider) for seconds in LEVELS_S[cells][1:]]


def _start(at: int, seconds: int) -> int:
    return at - at % (seconds * 1_000_000)


def recount_minutes(transaction: Transaction, places: Iterable[CellPlace]) -> None:
    """Count minutes anew from their facts, and the longer cells around them from their minutes."""
    connection = transaction.connection
    longer: set[CellPlace] = set()
    minutes = sorted(places)
    _note_changes(connection, minutes)
    for minute in minutes:
        _, start, model, origin = minute
        connection.execute(f"DELETE FROM model_cell WHERE {_OF_PLACE}", minute)
        of_minute = facts.read(
            connection,
            facts.INFERENCE,
            "WHERE f.model = ? AND f.origin = ? AND f.ts >= ? AND f.ts < ?",
            (model, origin, start, start + MINUTE_US),
        )
        uses = use_by_minute(record for record in of_minute if isinstance(record, Inference))
        for key, use in uses.items():
            _add_cell(connection, (*minute, key.provider), use, "model_cell")
        longer.update((seconds, _start(start, seconds), model, origin) for seconds in LEVELS_S["model_cell"][1:])
    for place in sorted(longer):
        _recount_longer(connection, place)


def _recount_longer(connection: sqlite3.Connection, place: CellPlace) -> None:
    seconds, start, model, origin = place
    connection.execute(f"DELETE FROM model_cell WHERE {_OF_PLACE}", place)
    rows = connection.execute(
        f"SELECT provider, {_columns('model_cell')} FROM model_cell"
        " WHERE seconds = 60 AND start >= ? AND start < ? AND model = ? AND origin = ? ORDER BY provider, start",
        (start, start + seconds * 1_000_000, model, origin),
    ).fetchall()
    for provider, of_provider in groupby(rows, itemgetter(0)):
        cells = [row[1:] for row in of_provider]
        _add_cell(connection, (*place, provider), _use("", "", cells, "model_cell"), "model_cell")


def _add_cell(connection: sqlite3.Connection, key: CellKey, use: ModelUse, cells: Cells) -> None:
    columns = _columns(cells)
    stored = connection.execute(f"SELECT {columns} FROM {cells} WHERE {_OF_CELL}", key).fetchone()
    if stored:
        use.add(_use(use.model, use.version, [stored], cells))
    values = (
        *key,
        *(min(getattr(use, c), LARGEST) for c in SUMS),
        _encode_sources(use.sources).decode(),
        _encode_sources(use.sources_nano_usd).decode(),
        *_histograms(use, cells),
    )
    connection.execute(
        f"INSERT OR REPLACE INTO {cells} (seconds, start, model, origin, provider, {columns})"
        f" VALUES {marks(len(values))}",
        values,
    )


def _columns(cells: Cells) -> str:
    return f"{','.join(SUMS)}, {_BY_SOURCE}, {_HISTOGRAMS[cells]}"


def _histograms(use: ModelUse, cells: Cells) -> tuple[bytes | str | None, ...]:
    if cells == "received_cell":
        return ((use.binned or Binned()).to_json().decode(),)
    first_chunk = use.first_chunk.to_bytes() if use.first_chunk is not None else None
    return ((use.latency or ExponentialHistogram()).to_bytes(), first_chunk)


def _use(name: str, version: str, rows: Sequence[tuple[Any, ...]], cells: Cells) -> ModelUse:
    """Return what cells add up to; one after the other they would take three times as long."""
    columns, n = list(zip(*rows, strict=True)), len(SUMS)
    use = ModelUse(name, version)
    for column, numbers in zip(SUMS, columns[:n], strict=True):
        setattr(use, column, sum(numbers))
    use.sources, use.sources_nano_usd = map(_by_source, columns[n : n + 2])
    if cells == "received_cell":
        use.binned = Binned()
        for binned in map(Binned.from_json, columns[n + 2]):
            use.binned.merge(binned)
        return use
    latency, first_chunk = columns[n + 2 :]
    use.latency = ExponentialHistogram.from_bytes(*latency)
    streamed = [encoded for encoded in first_chunk if encoded is not None]
    use.first_chunk = ExponentialHistogram.from_bytes(*streamed) if streamed else None
    return use


def _by_source(texts: Iterable[str]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for text, times in Counter(texts).items():  # most cells say the same
        for source, n in _decode_sources(text).items():
            sums[source] = sums.get(source, 0) + n * times
    return {source: n for source, n in sums.items() if n}  # of calls that were taken back nothing is left


def restore(_: Transaction, __: Frozen) -> Iterator[None]:
    """Cells of facts that are gone are of no use to any window."""
    yield


def recount(transaction: Transaction, _: Frozen) -> Iterator[None]:
    """Replay the inferences."""
    for records in chunks(facts.read(transaction.connection, facts.INFERENCE), facts.READ_AT_ONCE):
        _add(transaction, records)
        yield


def levels_by(rules: int) -> Mapping[Cells, tuple[int, ...]]:
    """Return how long the cells are of a store that is counted by rules of a version."""
    return LEVELS_S if rules >= _RULES_WITH_FIVE_MINUTES else dict.fromkeys(CELLS, windows.LEVELS_S)


class SqliteRecordedModels:
    """Satisfies `otel_measure.store.model_questions.StoredModels`, within one read transaction."""

    def __init__(
        self, connection: sqlite3.Connection, where: Filter, seen: StoreState, rules: int, kept: KeptUses
    ) -> None:
        self._connection = connection
        self._kept = kept
        self._where = where
        self._seen = seen
        self._levels = levels_by(rules)
        self.environment: Final = where.environment or UNNAMED

    def counted_by(self, start: int, end: int) -> CountedBy:
        """Return by which definitions the uses of [start, end) are counted."""
        return counted_by(self._connection, self._seen, start, end, METRICS)

    def models(self, only: ModelKey | None = None) -> list[Model]:
        """Return every model that was registered or recorded (or one, if it was), sorted by name and version."""
        return registered_models.read(self._connection, only)

    def model_use(self, start: int, end: int, only: ModelKey | None = None) -> list[ModelUse]:
        """Return what models did in [start, end), from merged cells, sorted by name and version."""
        by_model = self._of_all(start, end) if only is None else self._of_models(start, end, only)
        return sorted(by_model.values(), key=_name_and_version)

    def _of_all(self, start: int, end: int) -> Mapping[int, ModelUse]:
        """Return what each model did, of which only what changed is read where the window was asked for before."""
        start, end = start - start % MINUTE_US, end + -end % MINUTE_US
        change = call_changes.last_change_of_models(self._connection)
        if self._seen.is_updating or start < self._seen.horizon:  # cells come and go that nobody notes
            return self._of_models(start, end)
        kept = self._kept.near(self._where, change, start, end, self._seen.horizon)
        again = to_read_again(self._connection, kept, start, end) if kept else None
        if kept is None or again is None:
            by_model = self._of_models(start, end)
        else:
            others = {model: use for model, use in kept.by_model.items() if model not in again}
            by_model = others | self._of_models(start, end, numbers=again)
        self._kept.keep(self._where, KeptUse(change, start, end, by_model))
        return by_model

    def _of_models(
        self, start: int, end: int, only: ModelKey | None = None, numbers: Iterable[int] | None = None
    ) -> dict[int, ModelUse]:
        """Return what all models did, by their numbers; or one by its name, or some by their numbers."""
        by_model: dict[int, ModelUse] = {}
        for some in [None] if numbers is None else chunks(numbers):
            uses = self._uses(partial(cell_ranges, start, end), _MODEL, only, itemgetter(1, 2, 3), some)
            for (number, name, version), use in uses.items():
                use.model, use.version = name, version
                by_model[number] = use
        return by_model

    def use_by_step(
        self,
        steps: Steps,
        by: GroupBy | None = None,
        only: ModelChoice = ALL_MODELS,
        apart: Collection[GroupKey] | None = None,
    ) -> dict[GroupKey, dict[int, ModelUse]]:
        """Return what each group of models did in each step, from the cells that lie in it."""

        def key_of(row: tuple[Any, ...]) -> tuple[GroupKey, int]:
            group = row[1:]
            return group if apart is None or group in apart else (), steps.step_of(row[0])

        groups: dict[GroupKey, dict[int, ModelUse]] = {}
        for (group, step), use in self._uses(steps.cells, _GROUPED_BY[by], only, key_of).items():
            groups.setdefault(group, {})[step] = use
        return groups

    def requests_by_step(self, steps: Steps, by: GroupBy, only: ModelChoice) -> dict[int, dict[GroupKey, int]]:
        """Return how many calls each group had in each step, of which a group has the same key in each."""
        keys: dict[GroupKey, GroupKey] = {}
        requests: dict[int, dict[GroupKey, int]] = {}
        for _, rows in self._cells(steps.cells, _GROUPED_BY[by], lambda _: "c.requests", only):
            for start, *group, n in rows:
                key = keys.setdefault(tuple(group), tuple(group))
                in_step = requests.setdefault(steps.step_of(start), {})
                in_step[key] = in_step.get(key, 0) + n
        return requests

    def changes(self, since: int | None) -> CallChanges | None:
        """Return what changed since a change; nobody notes cells that come and go while the store is updated."""
        return None if self._seen.is_updating else call_changes.changes(self._connection, since)

    def _uses(
        self,
        ranges: Callable[[Sequence[int]], Iterable[CellRange]],
        columns: tuple[str, ...],
        only: ModelChoice | ModelKey | None,
        key_of: Callable[[tuple[Any, ...]], _K],
        numbers: Sequence[int] | None = None,
    ) -> dict[_K, ModelUse]:
        """Return what cells add up to that have the same key.

        Args:
            ranges: returns which cells, of those lengths that there are.
            columns: that tell them apart, beside their start.
            only: which models.
            key_of: makes the key of start and columns.
            numbers: of the models, where not all.
        """
        uses: dict[_K, ModelUse] = {}
        n = 1 + len(columns)
        for cells, rows in self._cells(ranges, columns, _columns, only, numbers):
            while some := rows.fetchmany(_ROWS_AT_ONCE):
                alike: dict[_K, list[tuple[Any, ...]]] = {}
                for row in some:
                    alike.setdefault(key_of(row[:n]), []).append(row[n:])
                for key, values in alike.items():
                    use = _use("", "", values, cells)
                    if key in uses:
                        uses[key].add(use)
                    else:
                        uses[key] = use
        return uses

    def _cells(
        self,
        ranges: Callable[[Sequence[int]], Iterable[CellRange]],
        columns: tuple[str, ...],
        more: Callable[[Cells], str],
        only: ModelChoice | ModelKey | None,
        numbers: Sequence[int] | None = None,
    ) -> Iterator[tuple[Cells, sqlite3.Cursor]]:
        """Yield which cells, and their start, columns and more columns; arguments as for `_uses`."""
        condition, parameters = conditions(only, self._where)
        if numbers is not None:
            condition, parameters = f"{condition} AND c.model IN {marks(len(numbers))}", [*parameters, *numbers]
        few = numbers is not None or (only is not None and only[0] is not None)
        for cells in CELLS:
            index = self._index_of_model(cells) if few else ""
            for one in ranges(self._levels[cells]):
                yield (
                    cells,
                    self._connection.execute(
                        f"SELECT {','.join(('c.start', *columns))}, {more(cells)} FROM {cells} c {index}"
                        " JOIN model m ON m.id = c.model JOIN origin o ON o.id = c.origin"
                        f" WHERE c.seconds=? AND c.start >= ? AND c.start < ? {condition}",
                        (*one, *parameters),
                    ),
                )

    def _index_of_model(self, cells: Cells) -> str:
        """Return what has SQLite read the cells of a few models by their index.

        It knows no statistics, and would go over the cells of all models in the window. A recount names indexes anew.
        """
        name = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql LIKE '%(model, %'"
        (index,) = self._connection.execute(name, (cells,)).fetchone()
        return f"INDEXED BY {index}"


def conditions(only: tuple[str | None, str | None] | None, where: Filter) -> tuple[str, list[Any]]:
    """Return what narrows a query over `model m` and `origin o`, and its parameters."""
    wanted = {
        "m.name": only[0] if only else None,
        "m.version": only[1] if only else None,
        "o.service": where.service,
        "o.environment": where.environment,
    }
    given = {column: value for column, value in wanted.items() if value is not None}
    return "".join(f" AND {column}=?" for column in given), list(given.values())
