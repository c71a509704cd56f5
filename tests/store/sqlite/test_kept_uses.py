"""What is kept of the uses of models: an answer is the one that reading everything would give, and little is read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_measure.definitions.model_use import ModelUse
from otel_measure.store.sqlite import SqliteStore, kept_uses, models
from otel_measure.store.sqlite.kept_uses import KeptUse, KeptUses
from otel_measure.store.types.facts import EVERYTHING, Filter
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store with ten models, of which each was called once in the last hours."""
    store = SqliteStore(str(tmp_path / "measure.db"))
    store.accept([inference(f"i{n}", NOON - n * HOUR - MINUTE, model=f"m{n}") for n in range(10)])
    yield store
    store.close()


def used(store: SqliteStore, now: int, where: Filter = EVERYTHING) -> list[ModelUse]:
    """Return what models did in the 24 hours until a time."""
    return asked(store, lambda moment: moment.models.model_use(now - DAY, now + 1), where)


def afresh(store: SqliteStore, now: int, where: Filter = EVERYTHING) -> list[ModelUse]:
    """Return the same as a process says that has kept nothing."""
    other = SqliteStore(store.path)
    try:
        return used(other, now, where)
    finally:
        other.close()


def test_only_models_that_changed_are_read_again(store: SqliteStore) -> None:
    """A model of which nothing came or left is the very object of the answer before, in a window that moved."""
    before = {use.model: use for use in used(store, NOON)}
    store.accept([inference("new", NOON, model="m3")])
    after = {use.model: use for use in used(store, NOON + MINUTE)}
    assert [model for model, use in after.items() if use is not before[model]] == ["m3"]
    assert (before["m3"].requests, after["m3"].requests) == (1, 2)


def test_the_time_before_is_kept_beside_the_window(store: SqliteStore) -> None:
    """Who compares a window with the time before takes nothing from who asks for the window alone."""
    now, before = used(store, NOON), used(store, NOON - DAY)
    again = [(used(store, NOON + MINUTE), used(store, NOON - DAY + MINUTE)) for _ in range(2)]
    assert all(one is other for these in again for one, other in zip(these[0], now, strict=True))
    assert [these[1] for these in again] == [before, before] == [[], []]
    assert again[0] == (afresh(store, NOON + MINUTE), afresh(store, NOON - DAY + MINUTE))


def test_who_leaves_the_window_is_not_kept(store: SqliteStore) -> None:
    """A model whose only call is older than the window by now did nothing, without any change of a cell."""
    used(store, NOON)
    left = NOON + DAY - 9 * HOUR + MINUTE
    for now in range(NOON + 5 * HOUR, left + 1, 5 * HOUR):
        used(store, now)
    assert [use.model for use in used(store, left)] == [f"m{n}" for n in range(9)]
    assert used(store, left) == afresh(store, left)


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_it_is_what_all_cells_say(store: SqliteStore, seed: int) -> None:
    """Calls come late and twice, are counted anew, windows move forth and back, in several environments."""
    chance = random.Random(seed)
    now, n = NOON, 0
    for _ in range(25):
        now += chance.choice([0, 0, 15_000_000, 7 * MINUTE, 3 * HOUR, 9 * HOUR, -HOUR])
        match chance.randrange(6):
            case 0 | 1:
                n += chance.randrange(2)
                late = chance.choice([0, 0, MINUTE, 5 * HOUR, 23 * HOUR])
                store.accept([inference(f"n{n}", now - late, model=f"m{chance.randrange(12)}", latency_ms=n + 1.0)])
            case 2:
                minute = now - chance.randrange(20) * HOUR
                minute -= minute % MINUTE
                with store._transaction() as transaction:
                    transaction.connection.execute("DELETE FROM inference WHERE ts >= ? AND ts < ?", (minute, now))
                    cells = transaction.connection.execute(
                        "SELECT seconds, start, model, origin FROM model_cell WHERE seconds = 60 AND start >= ?",
                        (minute,),
                    ).fetchall()
                    models.recount_minutes(transaction, cells)
            case 3:
                with store._transaction() as transaction:
                    minute = now - now % MINUTE
                    use = ModelUse("m1", "1", requests=chance.randrange(9))
                    names = transaction.names
                    origin = transaction.connection.execute("SELECT id FROM origin").fetchone()[0]
                    models.add_received(transaction.connection, {(60, minute, names.model("m1", "1"), origin, ""): use})
            case 4:
                store.rebuild()
            case _:
                pass
        where = chance.choice([EVERYTHING, Filter(service="shop"), Filter(environment="elsewhere")])
        assert used(store, now, where) == afresh(store, now, where)


def test_cells_that_went_are_not_kept(store: SqliteStore) -> None:
    """Where room was made within a window, and after it, answers are those of the cells that are left."""
    used(store, NOON)
    store._sweeper._purge(NOON - 4 * HOUR - 30 * MINUTE)
    for now in (NOON, NOON + 5 * HOUR, NOON + 22 * HOUR):
        assert used(store, now) == afresh(store, now)


def test_another_process_is_heard_of(store: SqliteStore) -> None:
    """What another connection to the file adds is in the next answer."""
    used(store, NOON)
    other = SqliteStore(store.path)
    other.accept([inference("theirs", NOON, model="m3")])
    other.close()
    assert {use.model: use.requests for use in used(store, NOON)}["m3"] == 2


def test_a_moment_does_not_see_what_came_after_it(store: SqliteStore) -> None:
    """A question that began before a change is answered without it, though another one has kept it."""
    with store.asking() as moment:
        assert len(moment.models.models()) == 10  # the moment is that of the first question
        store.accept([inference("new", NOON, model="m3")])
        assert {use.model: use.requests for use in used(store, NOON)}["m3"] == 2
        assert {use.model: use.requests for use in moment.models.model_use(NOON - DAY, NOON + 1)}["m3"] == 1
    assert used(store, NOON) == afresh(store, NOON)


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window that was asked for last is kept, and of the others what fits beside it."""
    monkeypatch.setattr(kept_uses, "MAX_KEPT", 3)
    kept = KeptUses()
    one, two, four = ({n: ModelUse(str(n), "1") for n in range(size)} for size in (1, 2, 4))
    first, second, third = (Filter(environment=name) for name in "abc")
    kept.keep(first, KeptUse(1, 0, DAY, two))
    kept.keep(second, KeptUse(1, 0, DAY, one))
    assert all(kept.near(where, 1, 0, DAY, 0) for where in (first, second))
    kept.keep(third, KeptUse(1, 0, DAY, two))
    assert [kept.near(where, 1, 0, DAY, 0) is not None for where in (first, second, third)] == [False, True, True]
    kept.keep(first, KeptUse(1, 0, DAY, four))
    assert kept.near(first, 1, 0, DAY, 0) is None
