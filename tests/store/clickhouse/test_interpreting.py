"""What metrics mean is told by whoever writes; everybody counts with what was told, whatever their own prices are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from otel_measure.ai.aggregates import interpreter
from otel_measure.ai.pricing import Pricer
from otel_measure.ai.rates import Rates
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.streams import Increment, Point
from otel_measure.store.clickhouse.interpreting import Interpretation, Meanings, interpreter_of
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.streams import Interpreted, Interpreter
from tests.closing import closed_later
from tests.facts import MINUTE, NOON, SECOND, inference
from tests.store.conformance.telling import duration, told
from tests.store.conformance.test_received import calls, tokens, totals, used

LEARN = interpreter(Pricer({"m": Rates(input_usd=0.001, output_usd=0.002)}))
POINTS = (calls(3), tokens(3, 300.0), tokens(3, 60.0, "output_tokens"))


def replica() -> Replica:
    """Return a replica with nothing in it."""
    return closed_later(Replica(Definitions(), bytes(16)))


def noted(store: Replica, write: Callable[[SqliteStore, Interpreter], object], interpret: Interpreter) -> Meanings:
    """Return what whoever writes has to tell."""
    interpretation = Interpretation(interpret)
    store.rehearse(lambda each: write(each, interpretation))
    return interpretation.meanings


def ingest(points: Sequence[Point]) -> Callable[[SqliteStore, Interpreter], object]:
    """Return the write of some points."""
    return lambda store, interpret: store.ingest(points, interpret)


def count(store: SqliteStore, interpret: Interpreter) -> object:
    """Count what is to be counted anew."""
    return store.count_signals(interpret, NOON)


def test_what_was_tried_has_not_been() -> None:
    """A store in which a write was tried is as before it, also for ids that it gave to new names."""
    store = replica()
    assert noted(store, ingest(POINTS), LEARN)
    assert totals(store) == {}
    with store.asking() as moment:
        assert (moment.models.models(), moment.models.model_use(0, NOON + MINUTE)) == ([], [])
    store.accept([inference("i", model="other")])
    store.ingest(POINTS, LEARN)
    with store.asking() as moment:
        assert [model.name for model in moment.models.models()] == ["m", "other"]


def test_everybody_counts_what_was_told() -> None:
    """Of metrics and spans in any order: the same uses and totals as where each is interpreted when it is counted."""
    plain, store, elsewhere = closed_later(SqliteStore(":memory:")), replica(), replica()
    everybody = (plain, store, elsewhere)
    parts: list[Sequence[Point]] = [
        [duration(3, NOON)], [*POINTS, duration(2, NOON + SECOND, error_type="Timeout")], [calls(7, NOON + SECOND)],
    ]  # fmt: skip
    for n, part in enumerate(parts):
        meanings = noted(store, ingest(part), LEARN)
        outcomes = [each.ingest(part, interpreter_of(meanings)) for each in (store, elsewhere)]
        assert outcomes == [plain.ingest(part, LEARN)] * 2
        taken = [each.take_tellings([told(n, began=NOON - SECOND, model="m")]) for each in everybody]
        assert taken[1:] == taken[:1] * 2
        meanings = noted(store, count, LEARN)
        reassigned = [each.count_signals(interpreter_of(meanings), NOON) for each in (store, elsewhere)]
        assert reassigned == [plain.count_signals(LEARN, NOON)] * 2
        assert totals(store) == totals(elsewhere) == totals(plain) != {}
        assert _uses(store) == _uses(elsewhere) == _uses(plain) != []


def _uses(store: SqliteStore) -> list[ModelUse]:
    with store.asking() as moment:
        return moment.models.model_use(0, NOON + MINUTE)


def test_what_nobody_was_asked_about_is_counted_in_the_next_turn() -> None:
    """Where other growth came between trying and writing, it is kept and not lost."""
    store = replica()
    later = [calls(5, NOON + MINUTE)]
    meanings = noted(store, ingest(later), LEARN)
    store.ingest([calls(1)], LEARN)
    assert store.ingest(later, interpreter_of(meanings)).outcomes == ("accepted",)
    assert used(store, NOON + MINUTE).requests == 1
    assert store.count_signals(interpreter_of({}), NOON) == 0
    assert used(store, NOON + MINUTE).requests == 1
    store.count_signals(interpreter_of(noted(store, count, LEARN)), NOON)
    assert used(store, NOON + MINUTE).requests == 5


def test_what_is_at_fault_is_so_for_everybody(caplog: pytest.LogCaptureFixture) -> None:
    """Growth that nobody can interpret is left as it was, and not asked about again."""

    def at_fault(increments: Sequence[Increment]) -> list[Interpreted]:
        raise ValueError(f"{len(increments)} too many")

    store = replica()
    store.ingest([calls(3)], interpreter_of({}))
    store.count_signals(interpreter_of(noted(store, count, at_fault)), NOON)
    assert "is left as it was" in caplog.text
    assert noted(store, count, LEARN) == {}


def test_calls_that_others_told_of_are_known() -> None:
    """Also those whose ids are texts; calls that nobody told of are not among them."""
    store = replica()
    store.accept([inference("i"), inference("0198c0de-0000-7000-8000-000000000001")])
    asked = ["i", "j", "0198c0de-0000-7000-8000-000000000001"]
    assert store.told_calls(asked) == {"i", "0198c0de-0000-7000-8000-000000000001"}
