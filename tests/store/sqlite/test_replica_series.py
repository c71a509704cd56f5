"""What a replica shows of facts that lie elsewhere, and which of them are to leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.conventions import instruments
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.totals import Sum, TotalKey, summed
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.outbox import Expected
from otel_measure.store.sqlite.replica import Replica
from tests.closing import closed_later
from tests.facts import NOON, event, inference, records
from tests.store.asking import asked


def replica() -> Replica:
    """Return an empty one."""
    return Replica(Definitions(), b"k" * 16)


def exposed(store: SqliteStore, beside: dict[TotalKey, Sum] | None = None) -> list[Family]:
    """Return what a store shows, and what is added from elsewhere."""
    with store.asking() as moment:
        return moment.streams.families(NOON, beside)


@given(here=st.lists(records, max_size=6), elsewhere=st.lists(records, max_size=6))
def test_totals_of_facts_elsewhere_are_shown_as_if_they_were_here(here: list[Record], elsewhere: list[Record]) -> None:
    """Whatever is kept where, the exposition is that of one store with all facts, also when those elsewhere go."""
    here, elsewhere = (
        [each for each in given if each.id not in {other.id for other in before}]
        for given, before in ((here, []), (elsewhere, here))
    )
    one, whole = replica(), SqliteStore(":memory:")
    elsewhere = list({(type(each), each.id): each for each in elsewhere}.values())
    one.accept(here)
    sums = summed(elsewhere)
    one.name_series(sums)
    whole.accept([*here, *elsewhere])
    assert exposed(one, sums) == exposed(whole)
    one.begin_removal("all", sums)
    assert exposed(one, {}) == exposed(one) == exposed(whole)
    one.rebuild()
    assert exposed(one) == exposed(whole)
    one.close()
    whole.close()


def test_series_are_named_in_order_and_the_later_ones_share_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap what facts elsewhere add is in the overflow, wherever the others of the series are."""
    monkeypatch.setattr(instruments, "EXPOSED_ATTRIBUTE_SETS", 2)
    one, whole = closed_later(replica()), closed_later(SqliteStore(":memory:"))
    calls = [inference(f"i{n}", model=f"m{n % 4}", latency_ms=n) for n in range(12)]
    whole.accept(calls)
    one.accept(calls[:4])
    one.name_series(summed(calls[4:]))
    assert exposed(one, summed(calls[4:])) == exposed(whole)
    other = closed_later(replica())
    other.name_series(summed(calls))
    assert exposed(other, summed(calls)) == exposed(whole)


def test_series_that_nobody_named_are_told() -> None:
    """They are not shown; they come in the order in which they are asked for."""
    store, sums = closed_later(replica()), summed([event("e"), inference("i")])
    with store.asking() as moment:
        unnamed = moment.streams.unnamed(sums)
        assert unnamed == list(sums) == store.unnamed(sums)
    assert exposed(store, sums) == []
    store.name_series(unnamed)
    with store.asking() as moment:
        assert moment.streams.unnamed(sums) == []


def test_what_is_to_leave_is_expected_and_then_noted() -> None:
    """What was expected and is not noted yet is told, by its age; whoever notes it instead comes once."""
    store = closed_later(replica())
    for n, token in enumerate(("a", "b")):
        store.expect_to_leave(token, Expected(NOON + n, {"event": [f"e{n}"], "inference": []}))
    store.note_to_leave("a", {"event": ["e0"], "inference": []}, if_expected=True)
    store.note_to_leave("a", {"event": ["e0"]}, if_expected=True)
    assert asked(store, lambda m: m.outbox.length()) == 1
    store.note_to_leave("a", {"event": ["e0"]})
    with store.asking() as moment:
        assert [(each.kind, each.keys) for each in moment.outbox.noted(10)] == [("event", ["e0"])] * 2
        assert moment.outbox.next(10) == ((1, 2), [])
        assert moment.outbox.expected(NOON + 1) == {}
        assert moment.outbox.expected(NOON + 2) == {"b": Expected(NOON + 1, {"event": ["e1"], "inference": []})}
