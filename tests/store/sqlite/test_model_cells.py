"""The cells of models: longer ones are the sum of their minutes, whatever becomes of a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.steps import SeriesWindow, series_span, steps
from otel_measure.store.sqlite import SqliteStore, models
from otel_measure.store.sqlite.kept import NO_STATE
from otel_measure.store.sqlite.kept_uses import KeptUses
from otel_measure.store.types.facts import EVERYTHING
from tests.facts import HOUR, MINUTE, NOON, inference
from tests.store.asking import asked


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """A store with a call in every seventh minute of three hours."""
    store = SqliteStore(":memory:")
    store.accept([inference(f"i{n}", NOON - n * 7 * MINUTE, latency_ms=n + 1.0) for n in range(3 * 60 // 7)])
    yield store
    store.close()


def test_one_model_is_read_by_its_index(store: SqliteStore) -> None:
    """What one model did takes no look at the cells of others, however many these are."""
    with store._database.read() as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        seen = models.SqliteRecordedModels(connection, EVERYTHING, NO_STATE, Definitions().rules, KeptUses())
        seen.model_use(NOON - HOUR, NOON, ("m", "1"))
        connection.set_trace_callback(None)
        asked_of_cells = [statement for statement in statements if "_cell c" in statement]
        plans = [" ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")) for one in asked_of_cells]
    assert asked_of_cells
    assert all("_cell_of_model (model=? AND seconds=? AND start>? AND start<?)" in plan for plan in plans), plans


def longer_cells(store: SqliteStore, seconds: int) -> list[tuple[int, int]]:
    """Return when cells of some length begin, and how many calls they hold."""
    with store._database.read() as connection:
        select = "SELECT start, requests FROM model_cell WHERE seconds = ? ORDER BY start"
        return connection.execute(select, (seconds,)).fetchall()


def sums_of_minutes(store: SqliteStore, seconds: int) -> list[tuple[int, int]]:
    """Return what they would hold by the minutes in them."""
    sums: dict[int, int] = {}
    for start, requests in longer_cells(store, 60):
        begins = start - start % (seconds * 1_000_000)
        sums[begins] = sums.get(begins, 0) + requests
    return sorted(sums.items())


@pytest.mark.parametrize("seconds", [300, 3600])
def test_longer_cells_are_the_sum_of_their_minutes(store: SqliteStore, seconds: int) -> None:
    """Also when calls of a minute are counted anew, and after a rebuild, which makes the same cells."""
    assert sum(requests for _, requests in longer_cells(store, seconds)) == 25
    gone = NOON - 7 * MINUTE
    with store._transaction() as transaction:
        transaction.connection.execute("DELETE FROM inference WHERE ts = ?", (gone,))
        models.recount_minutes(transaction, [(60, gone, 1, 1)])
    corrected = longer_cells(store, seconds)
    assert corrected == sums_of_minutes(store, seconds)
    assert sum(requests for _, requests in corrected) == 24
    store.rebuild()
    assert longer_cells(store, seconds) == corrected


def test_a_store_of_earlier_rules_is_read_by_its_minutes(store: SqliteStore) -> None:
    """Until it is counted anew it may have no cells of five minutes, or some that lack calls."""
    span = series_span(SeriesWindow("3h"), NOON, "UTC", "24h")
    made = steps(span, NOON, "5m")
    before = asked(store, lambda moment: moment.models.use_by_step(made))
    store.rebuild(replace(Definitions(), rules=1))
    with store._database.write() as connection:
        connection.execute("DELETE FROM model_cell WHERE seconds = 300")
    assert asked(store, lambda moment: moment.models.use_by_step(made)) == before
    assert asked(store, lambda moment: moment.models.model_use(NOON - HOUR, NOON + 1))[0].requests == 9


def test_more_cells_than_are_read_at_once_add_up(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are merged a part at a time, and it makes no difference how large the parts are."""
    whole = asked(store, lambda moment: moment.models.model_use(NOON - 3 * HOUR, NOON + 1))
    monkeypatch.setattr(models, "_ROWS_AT_ONCE", 2)
    assert asked(store, lambda moment: moment.models.model_use(NOON - 3 * HOUR, NOON + 1)) == whole
