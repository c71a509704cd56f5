"""Persons: several ids of one, and the removal of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Record
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ACCEPTED, ERASED
from otel_measure.store.types.users import Erasure, ErasureState
from tests.facts import DAY, HERE, HOUR, NOON, SECOND, event, inference
from tests.store.asking import Holdings, asked, asking_users, holdings
from tests.store.conformance.engines import EngineCase
from tests.waiting import until

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


def test_two_users_are_never_one_person(engine: EngineCase) -> None:
    """Who was ever named as a user is nobody's other id: not after a link was refused, nor after it was taken back."""
    store = engine.open()
    assert [store.identify(*link) for link in (("a", "ann"), ("ann", "bob"), ("bob", "cleo"), ("cleo", "dan"))] == [
        *("linked", "refused", "refused", "refused"),
    ]
    assert (store.unlink("a"), store.identify("ann", "bob"), store.identify("a", "bob")) == (True, "refused", "linked")


def test_a_link_is_taken_back(engine: EngineCase) -> None:
    """What an id did, before the link and during it, is its own again, with that of ids that were linked to it."""
    store = engine.open()
    records: list[Record] = [
        *(event(f"{user}{n}", user, NOON + n * HOUR) for user in ("a", "b", "ann", "bob") for n in range(2)),
        event("p", "a", NOON + 3 * HOUR, type="purchase", value=2.5, currency="EUR"),
        event("q", "b", NOON + 4 * HOUR, background=True),
        NpsResponse(id="n1", ts=NOON, origin=HERE, user_id="a", score=1),
        NpsResponse(id="n2", ts=NOON + HOUR, origin=HERE, user_id="ann", score=9),
        Exposure(id="x1", ts=NOON, origin=HERE, user_id="a", experiment="t", variant="a"),
        Exposure(id="x2", ts=NOON, origin=HERE, user_id="ann", experiment="t", variant="b"),
        AbConversion(id="c1", ts=NOON + HOUR, origin=HERE, user_id="a", experiment="t"),
    ]
    store.accept(records[::2])
    assert [store.identify(*link) for link in (("a", "ann"), ("b", "a"))] == ["linked", "linked"]
    store.accept(records[1::2])
    assert store.unlink("a")
    fresh = engine.open()
    fresh.accept(records)
    assert fresh.identify("b", "a") == "linked"
    for _ in range(2):
        found, expected = (_said(each) for each in (store, fresh))
        assert found == expected
        store.rebuild()
    assert (store.unlink("ann"), store.unlink("a"), store.unlink("nobody")) == (False, False, False)


def _said(store: Store) -> tuple[object, ...]:
    with store.asking() as moment:
        ask, today = moment.users, Days(TODAY, TODAY)
        return (
            holdings(ask),
            ask.conversions(today, "purchase"),
            ask.scores(today),
            ask.sessions(today, NOON + DAY),
            moment.experiments.hours("t"),
        )


def test_what_facts_that_are_gone_have_left_behind_stays_with_the_user(engine: EngineCase) -> None:
    """Nothing tells any more which of the two ids it was; what came later is parted, and a rebuild changes nothing."""
    store = engine.open(retention_days=10)
    store.accept([event("old", "a", NOON - 12 * DAY), event("new", "a"), event("other", "ann", NOON - 12 * DAY)])
    store.identify("a", "ann")
    assert store.sweep(NOON) == 2
    assert store.unlink("a")
    for _ in range(2):
        with asking_users(store) as ask:
            assert (ask.active(Days(TODAY - 20, TODAY - 11)), ask.active(Days(TODAY, TODAY))) == (1, 1)
            assert (holdings(ask).users, ask.first_seen(Days(TODAY, TODAY))) == (2, 1)
        store.rebuild()


def test_an_erasure_leaves_whose_link_was_taken_back(engine: EngineCase) -> None:
    """Only what belongs to the person at that moment is erased."""
    store = engine.open()
    store.accept([event("1", "a"), event("2", "ann")])
    store.identify("a", "ann")
    store.unlink("a")
    assert store.erase("ann", NOON + DAY).ids == 1
    with asking_users(store) as ask:
        assert holdings(ask) == Holdings(1, 1, 1)


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
    receipt = store.erase("ann", NOON + DAY)
    assert replace(receipt, bytes_cleared=True) == Erasure("ann", 1, erased_at, 2, 2, 1, 1, 1, 0, 1, bytes_cleared=True)
    until(lambda: not store.clear_erased(NOON + DAY) and _is_cleared(store))
    assert store.erasure(1) == ErasureState(1, erased_at, True, erased_at)
    assert store.erasure(2) is None
    for _ in range(2):
        with asking_users(store) as ask:
            assert (holdings(ask), ask.scores(Days(TODAY, TODAY))) == (Holdings(1, 1, 1), {})
        assert asked(store, lambda m: m.experiments.hours("t")) == []
        families = {family.name: family for family in asked(store, lambda m: m.streams.families(NOON))}
        assert families["otel_measure.users.events"].samples[0].value == 3
        store.rebuild()
    assert store.accept(of_ann[:4]) == [ERASED] * 4
    assert store.accept([event("7", "ann", NOON + 2 * DAY)]) == [ACCEPTED]


def _is_cleared(store: Store) -> bool:
    state = store.erasure(1)
    return state is not None and state.bytes_cleared
