"""Persons: several ids of one, and the removal of one."""

from __future__ import annotations

from datetime import UTC, datetime

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Record
from otel_measure.store.types.facts import ACCEPTED, ERASED
from otel_measure.store.types.users import Erasure
from tests.facts import DAY, HERE, HOUR, NOON, SECOND, event, inference
from tests.store.asking import Holdings, asked, asking_users, holdings
from tests.store.conformance.engines import EngineCase

TODAY = NOON // DAY


def test_two_ids_become_one_person(engine: EngineCase) -> None:
    """The first link stays, in either order; a later one to somebody else is refused."""
    store = engine.open()
    store.accept([event("1", "anon"), event("2", "ann", NOON + SECOND), event("3", "bob")])
    assert asked(store, lambda m: m.users.active(Days(TODAY, TODAY))) == 3
    assert [store.identify("anon", user) for user in ("ann", "ann", "bob")] == ["linked", "known", "refused"]
    with asking_users(store) as ask:
        assert (ask.active(Days(TODAY, TODAY)), holdings(ask)) == (2, Holdings(2, 3, 2))
    store.rebuild()
    with asking_users(store) as ask:
        assert (ask.active(Days(TODAY, TODAY)), holdings(ask)) == (2, Holdings(2, 3, 2))


def test_a_conversion_is_counted_once_the_person_is_known(engine: EngineCase) -> None:
    """Who came as one id and converted as another has converted, with the time from the first to the second."""
    store = engine.open()
    store.accept([event("1", "anon"), event("2", "ann", NOON + HOUR, type="purchase", value=2.5, currency="EUR")])
    store.identify("anon", "ann")
    with asking_users(store) as ask:
        totals = ask.conversions(Days(TODAY, TODAY), "purchase")
    assert totals == (1, 1, 1, HOUR, 2.5)


def test_an_erased_person_has_never_been(engine: EngineCase) -> None:
    """Under all ids; inferences stay without their user, totals do not fall, and a replay is refused."""
    store = engine.open()
    of_ann: list[Record] = [
        event("1", "anon"),
        event("2", "ann"),
        NpsResponse(id="3", ts=NOON, origin=HERE, user_id="ann", score=9),
        Exposure(id="4", ts=NOON, origin=HERE, user_id="ann", experiment="t", variant="a"),
        AbConversion(id="7", ts=NOON, origin=HERE, user_id="ann", experiment="t"),
        inference("5", user_id="ann"),
    ]
    store.accept([*of_ann, event("6", "bob")])
    store.identify("anon", "ann")
    erased_at = datetime.fromtimestamp((NOON + DAY) // 1_000_000, UTC)
    assert store.erase("ann", NOON + DAY) == Erasure("ann", erased_at, 2, 2, 1, 1, 1, 1)
    for _ in range(2):
        with asking_users(store) as ask:
            assert (holdings(ask), ask.scores(Days(TODAY, TODAY))) == (Holdings(1, 1, 1), {})
        assert asked(store, lambda m: m.experiments.hours("t")) == []
        families = {family.name: family for family in asked(store, lambda m: m.streams.families(NOON))}
        assert families["otel_measure.users.events"].samples[0].value == 3
        store.rebuild()
    assert store.accept(of_ann[:4]) == [ERASED] * 4
    assert store.accept([event("7", "ann", NOON + 2 * DAY)]) == [ACCEPTED]
