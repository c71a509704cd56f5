"""A call that is recorded and told of by others is in one of the two places, whoever was first and how close it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Inference, Record
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Receipt
from otel_measure.store.types.models import ALL_MODELS
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import MINUTE, NOON
from tests.store.conformance.telling import told

pytestmark = pytest.mark.e2e
FACT = told(1, kind="fact")
OTHER = told(2, kind="fact", trace=2)


def recorded() -> list[Record]:
    """Return the calls that are told of, as an application records them."""
    return [each.record for each in (FACT, OTHER) if each.record is not None]


def new_store(server: ClickHouseServer) -> ClickHouseStore:
    """Return a store with nothing in it."""
    settings = Settings(store=server.url_for_one_test())
    return closed_later(ClickHouseStore.of_settings(settings, Definitions(), notes_outbox=False))


def calls(store: ClickHouseStore) -> int:
    """Return how many calls there are, which is also how many single ones are found."""
    with store.asking() as moment:
        (use,) = moment.models.model_use(NOON - MINUTE, NOON + MINUTE)
        single = moment.call_facts.largest("latency", NOON - MINUTE, NOON + MINUTE, ALL_MODELS, 10)
    assert len({each.id for each in single}) == len(single) == use.requests
    return use.requests


def test_who_comes_second_is_a_duplicate(clickhouse: ClickHouseServer) -> None:
    """A call that is recorded cannot be told of by its id, and one that was told of is not recorded again."""
    store = new_store(clickhouse)
    assert store.accept(recorded()[:1]) == [ACCEPTED]
    taken = store.take_tellings([FACT, OTHER])
    assert (taken.outcomes, taken.new_calls) == (["duplicate", "accepted"], [OTHER.id])
    assert store.accept(recorded()) == [DUPLICATE, DUPLICATE]
    assert calls(store) == 2


def test_of_two_at_the_same_moment_what_is_told_stays(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wrote finds what came between looking and writing, and removes the row of the fact."""
    place = Settings(store=clickhouse.url_for_one_test())
    store, other = (
        closed_later(ClickHouseStore.of_settings(place, Definitions(), notes_outbox=False)) for _ in range(2)
    )
    write: Callable[..., list[Receipt]] = store._accepting.accept

    def while_another_tells(records: Sequence[Record], **more: Any) -> list[Receipt]:
        other.take_tellings([FACT])
        return write(records, **more)

    with monkeypatch.context() as patched:
        patched.setattr(store._accepting, "accept", while_another_tells)
        assert store.accept(recorded()) == [DUPLICATE, ACCEPTED]
    assert calls(store) == calls(other) == 2
    state_do = other._state.do

    def while_another_records(operation: Any) -> Any:
        outcome = state_do(operation)
        store._writer.accept([_third()])
        return outcome

    with monkeypatch.context() as patched:
        patched.setattr(other._state, "do", while_another_records)
        assert other.take_tellings([told(4, kind="fact", trace=4)]).outcomes == ["accepted"]
    assert calls(store) == calls(other) == 3


def _third() -> Inference:
    third = told(4, kind="fact", trace=4).record
    assert third is not None
    return third
