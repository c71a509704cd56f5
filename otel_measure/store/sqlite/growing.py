"""What the metrics of others have grown by in the last hours, as rows, and what of it stands in the cells of models.

The rows of the last hours are kept, since single calls that come later may turn out to be the same ones. What is left
of a row beside the single calls is decided by `definitions/growth.py`; this module puts it into the cells, and takes it
out again when it changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec

from otel_measure.conventions import instruments
from otel_measure.definitions import growth
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.growth import Growth, KnownSingles
from otel_measure.definitions.measurements import Attributes
from otel_measure.definitions.model_ties import ModelNames, ModelTies
from otel_measure.definitions.model_use import SUMS, ModelUse, provider_that_served
from otel_measure.definitions.signals import ModelSeries
from otel_measure.definitions.streams import Increment, Point
from otel_measure.definitions.totals import Sum, TotalKey
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.records.kinds import Origin
from otel_measure.stats.binned import Binned
from otel_measure.store.sqlite import following, models, overshown, silent_versions, tellings
from otel_measure.store.sqlite.chunks import rows_in
from otel_measure.store.sqlite.kept_increments import KeptIncrement, joined
from otel_measure.store.sqlite.transaction import Transaction
from otel_measure.store.types.streams import Interpreted, Interpreter, NotInterpreted

SETTLED_US: Final = 3 * HOUR_US
_COUNTED_AT_ONCE: Final = 1000  # rows; a process with more is counted in the background


class _Placed(msgspec.Struct):
    """What a row has added to the cells and to the totals, and of what: whether that changed."""

    of: tuple[str, str, float, int, bool]
    ts: int
    origin: Origin
    model: str
    version: str
    counts: list[int]
    sources: dict[str, int]
    sources_nano_usd: dict[str, int]
    binned: bytes
    sums: list[tuple[str, Attributes, float]]
    provider: str = ""


_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(KeptIncrement).decode
_placed = msgspec.msgpack.Decoder(_Placed).decode


# ---------------------------------------------------------------- on arrival


def take(transaction: Transaction, increments: Sequence[Increment], interpreter: Interpreter) -> None:
    """Keep what metrics have grown by; where nothing else tells of the calls of a process, it counts at once."""
    connection = transaction.connection
    sources = [series.source for each in increments if (series := each.point.model_series) is not None]
    numbers = tellings.processes(connection, sources)
    kept: dict[int, set[int]] = {}
    for each in increments:
        series = each.point.model_series
        if series is not None and growth.says_something(each, series):
            number = numbers[series.source]
            kept.setdefault(number, set()).add(_keep(connection, number, each, series))
    for number, keys in sorted(kept.items()):
        overshown.drop_undue(transaction, number)
        try:
            is_counted = _counted_at_once(transaction, number, keys, interpreter)
        except NotInterpreted:
            is_counted = False
        if not is_counted:
            following.note_changed(connection, [number])


def _counted_at_once(transaction: Transaction, process: int, keys: Iterable[int], interpreter: Interpreter) -> bool:
    """Count what a process has grown by in some rows, where that is done quickly; return whether it is."""
    connection = transaction.connection
    if _has_singles(connection, process):
        return False
    if _counts_by_itself(connection, process):
        grown, placed = _growth(connection, "id IN", sorted(keys))
        _place(transaction, process, {each.key: each.increment for each in grown}, placed, interpreter)
        return True
    if _rows_of(connection, process) > _COUNTED_AT_ONCE:
        return False
    count(transaction, process, interpreter)
    return True


def _rows_of(connection: sqlite3.Connection, process: int) -> int:
    return int(connection.execute("SELECT count(*) FROM growth WHERE process = ?", (process,)).fetchone()[0])


def _counts_by_itself(connection: sqlite3.Connection, process: int) -> bool:
    """Tell whether each increment of a process is what it says: one scope a role, no cost, names that suffice."""
    said: list[tuple[str, str, int, int]] = connection.execute(
        "SELECT DISTINCT role, scope, asked <> '', answered <> '' FROM growth WHERE process = ?", (process,)
    ).fetchall()
    roles = {role for role, *_ in said}
    scopes = {(role, scope) for role, scope, *_ in said}
    return (
        "cost" not in roles
        and len(scopes) == len(roles)
        and len({(asked, answered) for _, _, asked, answered in said}) == 1
    )


def _keep(connection: sqlite3.Connection, process: int, increment: Increment, series: ModelSeries) -> int:
    """Keep an increment, joined with what its series has grown by in the same minute; return the row."""
    point = increment.point
    # By what the series means: other attributes, such as the id of a request, would make rows without end.
    meaning = _encode((point.name, point.unit, point.kind, series))
    key = (process, sha256(meaning).hexdigest(), point.ts // MINUTE_US)
    row = connection.execute(
        "SELECT after, until, increment FROM growth WHERE process = ? AND series = ? AND minute = ?", key
    ).fetchone()
    new = KeptIncrement(
        point.name, point.unit, point.kind, point.ts, increment.value, increment.count, list(increment.bins),
        point.minimum, point.maximum, point.has_sum, series,
    )  # fmt: skip
    after, until = increment.after_us, point.ts
    if row is not None:
        after, until = min(after, row[0]), max(until, row[1])
        new = joined(_kept(row[2]), new)
    names = (series.request_model or "", series.response_model or "")
    return int(
        connection.execute(
            "INSERT INTO growth (process, series, minute, role, scope, asked, answered, after, until, increment)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (process, series, minute) DO UPDATE SET"
            " after = excluded.after, until = excluded.until, increment = excluded.increment RETURNING id",
            (*key, series.role, series.scope, *names, after, until, _encode(new)),
        ).fetchone()[0]
    )


def _has_singles(connection: sqlite3.Connection, process: int) -> bool:
    return connection.execute("SELECT 1 FROM single WHERE process = ? LIMIT 1", (process,)).fetchone() is not None


# ---------------------------------------------------------------- counting anew


def changed(connection: sqlite3.Connection, limit: int) -> list[int]:
    """Return the processes that are to be counted anew, at most so many."""
    return [each for (each,) in connection.execute("SELECT id FROM process WHERE changed = 1 LIMIT ?", (limit,))]


def count(transaction: Transaction, process: int, interpreter: Interpreter) -> int:
    """Count anew what the metrics of a process tell beyond its single calls; return how many calls were taken back."""
    connection = transaction.connection
    grown, placed = _growth(connection, "process IN", [process])
    singles = _singles(connection, process) if grown else []
    ties = ModelTies(growth.pairs_of(grown, singles))
    reassigned = silent_versions.name(transaction, process) if transaction.rolls_up else 0
    reassigned += _place(transaction, process, growth.left_of(grown, singles, ties), placed, interpreter)
    if added := overshown.deferred(transaction, process):
        overshown.show(transaction, process, added, of_facts=False)
    if transaction.rolls_up:
        connection.execute("UPDATE process SET changed = 0 WHERE id = ?", (process,))
    return reassigned


def _place(
    transaction: Transaction,
    process: int,
    left: Mapping[int, Increment | None],
    placed: Mapping[int, _Placed],
    interpreter: Interpreter,
) -> int:
    """Put what is left of increments into the cells in place of what stood there; return how many calls went."""
    wanted = {key: _what(increment) for key, increment in left.items()}
    stale = [key for key in left if wanted[key] != (placed[key].of if key in placed else None)]
    gone = [placed[key] for key in stale if key in placed]
    come = {key: increment for key in stale if (increment := left[key]) is not None}
    new = {
        key: _to_place(wanted[key], interpreted, _provider(come[key]))
        for key, interpreted in zip(come, interpreter(list(come.values())), strict=True)
    }
    transaction.connection.executemany(
        "UPDATE growth SET placed = ? WHERE id = ?",
        [(_encode(new[key]) if key in new else None, key) for key in stale],
    )
    return _move(transaction, process, gone, list(new.values())) if stale else 0


def _what(increment: Increment | None) -> tuple[str, str, float, int, bool] | None:
    """Return what tells whether an increment still says what was placed of it."""
    if increment is None or increment.point.model_series is None:
        return None
    series = increment.point.model_series
    return (series.model, series.version, increment.value, increment.count, increment.cost_comes)


def _provider(increment: Increment) -> str | None:
    series = increment.point.model_series
    return None if series is None else series.provider


def _growth(
    connection: sqlite3.Connection, where: str, values: Sequence[int]
) -> tuple[list[Growth], dict[int, _Placed]]:
    """Return rows, and what of them stands in the cells."""
    grown, placed = [], {}
    select = f"SELECT id, series, after, until, increment, placed FROM growth WHERE {where}"
    for key, series, after, until, increment, stood in rows_in(connection, select, values):
        grown.append(Growth(key, series, after, until, _increment(_kept(increment), after)))
        if stood is not None:
            placed[key] = _placed(stood)
    return sorted(grown, key=lambda each: each.key), placed


def _increment(kept: KeptIncrement, after: int) -> Increment:
    point = Point(
        kept.name, kept.kind, kept.unit, "", "", "instance", "", 0, kept.ts, kept.value, kept.count,
        minimum=kept.minimum, maximum=kept.maximum, has_sum=kept.has_sum, model_series=kept.series,
    )  # fmt: skip
    return Increment(point, kept.value, kept.count, tuple(kept.bins), after)


def _singles(connection: sqlite3.Connection, process: int) -> list[KnownSingles]:
    rows = connection.execute(
        "SELECT ts / 1000000 * 1000000, asked, answered, failed, count(*), count(input_tokens),"
        " coalesce(sum(input_tokens), 0), count(output_tokens), coalesce(sum(output_tokens), 0), count(cost_nano_usd),"
        " coalesce(sum(cost_nano_usd), 0), sum(counts) FROM single WHERE process = ?"
        " GROUP BY ts / 1000000, asked, answered, failed",
        (process,),
    )
    return [
        KnownSingles(at, ModelNames(asked, answered), bool(failed), *numbers)
        for at, asked, answered, failed, *numbers in rows
    ]


# ---------------------------------------------------------------- cells and totals


def _to_place(of: tuple[str, str, float, int, bool] | None, interpreted: Interpreted, provider: str | None) -> _Placed:
    assert of is not None  # only what is left was interpreted
    use = interpreted.use
    return _Placed(
        of,
        interpreted.ts,
        interpreted.origin,
        use.model,
        use.version,
        [min(getattr(use, column), LARGEST) for column in SUMS],
        use.sources,
        use.sources_nano_usd,
        (use.binned or Binned()).to_json(),
        [(instrument.name, attributes, value) for instrument, value, attributes in interpreted.sums],
        provider_that_served(provider, use.model),
    )


def _move(transaction: Transaction, process: int, gone: Sequence[_Placed], come: Sequence[_Placed]) -> int:
    """Take what has stood in the cells out of them, and put in what stands there now."""
    cells: dict[models.CellKey, ModelUse] = {}
    for placed, sign in (*((each, -1) for each in gone), *((each, 1) for each in come)):
        names = transaction.names
        minute = placed.ts - placed.ts % MINUTE_US
        model, origin = names.model(placed.model, placed.version), names.origin(placed.origin)
        key = (60, minute, model, origin, placed.provider)
        cells.setdefault(key, ModelUse(placed.model, placed.version)).add(_use(placed, sign))
    models.add_received(transaction.connection, cells)
    more, less = _difference(_sums(come), _sums(gone))
    reassigned = overshown.take_back(transaction, process, less, of_facts=False) if less else 0
    if more:
        overshown.show(transaction, process, more, of_facts=False)
    return reassigned


def _use(placed: _Placed, sign: int) -> ModelUse:
    use = ModelUse(placed.model, placed.version)
    for column, n in zip(SUMS, placed.counts, strict=True):
        setattr(use, column, sign * n)
    use.sources = {source: sign * n for source, n in placed.sources.items()}
    use.sources_nano_usd = {source: sign * n for source, n in placed.sources_nano_usd.items()}
    binned = Binned.from_json(placed.binned)
    use.binned = binned if sign > 0 else binned.negated()
    return use


def _sums(placed: Iterable[_Placed]) -> dict[TotalKey, Sum]:
    sums: dict[TotalKey, Sum] = {}
    for each in placed:
        for name, attributes, value in each.sums:
            whole = sums.setdefault(TotalKey(name, attributes, each.origin), Sum(0))
            whole.value += min(round(value * instruments.BY_NAME[name].units_per_value), LARGEST)
            whole.count += 1
    return sums


def _difference(
    come: Mapping[TotalKey, Sum], gone: Mapping[TotalKey, Sum]
) -> tuple[dict[TotalKey, Sum], dict[TotalKey, Sum]]:
    """Return what came beyond what went, and what went beyond what came, of each series."""
    more: dict[TotalKey, Sum] = {}
    less: dict[TotalKey, Sum] = {}
    for key in {*come, *gone}:
        value = (come[key].value if key in come else 0) - (gone[key].value if key in gone else 0)
        if value:
            whole = (more if value > 0 else less).setdefault(key, Sum(0))
            whole.value, whole.count = abs(value), 1
    return more, less


# ---------------------------------------------------------------- upkeep


def settle(connection: sqlite3.Connection, now: int) -> None:
    """Forget what cannot change any more: three hours after its hour nothing is compared with it."""
    edge = now - now % HOUR_US - SETTLED_US
    connection.execute("DELETE FROM growth WHERE until < ?", (edge,))
    connection.execute(
        "DELETE FROM single WHERE ts < min(?1, coalesce((SELECT min(after) FROM growth g"
        " WHERE g.process = single.process), ?1))",
        (edge,),
    )
