"""Environments: each is counted by itself, and an answer is about one of them."""

from __future__ import annotations

import pytest

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import Exposure, NpsResponse, Origin, Record
from otel_measure.store.types.facts import Filter
from tests.facts import DAY, NOON, event, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

TODAY = Days(NOON // DAY, NOON // DAY)


def of_one_user(environment: str, id: str = "") -> list[Record]:
    """Return a purchase, an answer and an exposure of Ann, made in an environment."""
    origin, id = Origin("shop", environment), id or environment
    return [
        event(f"e{id}", "ann", type="purchase", origin=origin),
        NpsResponse(id=f"n{id}", ts=NOON, origin=origin, user_id="ann", score=9),
        Exposure(id=f"x{id}", ts=NOON, origin=origin, user_id="ann", experiment="t", variant="a"),
        event(f"c{id}", "ann", type="conversion", origin=origin, properties={"experiment": "t"}),
    ]


@pytest.mark.parametrize(
    ("seen", "asked_for", "expected"),
    [
        ([], None, ""),
        (["staging", "", "production"], None, "production"),
        (["staging", "", "test"], None, ""),
        (["staging", "test"], None, "staging"),
        (["staging", "production"], "staging", "staging"),
        (["staging", "production"], "", ""),
        (["production"], "nobody", "nobody"),
    ],
)
def test_an_answer_says_which_environment_it_is_about(
    engine: EngineCase, seen: list[str], asked_for: str | None, expected: str
) -> None:
    """The one asked for, else production, else the unnamed, else the first seen."""
    store = engine.open()
    for n, environment in enumerate(seen):
        store.accept([inference(f"{n}-{i}", origin=Origin("shop", environment)) for i in range(3 - n)])
    with store.asking(Filter(None, asked_for)) as moment:
        groups = (moment.users, moment.models, moment.quality, moment.experiments)
        assert [group.environment for group in groups] == [expected] * 4


def test_staging_adds_nothing_to_production(engine: EngineCase) -> None:
    """Neither persons, sessions, conversions and answers, nor the arms of an experiment; after a rebuild as before."""
    store = engine.open()
    store.accept([*of_one_user("production"), *of_one_user("staging"), *of_one_user("staging", "more")])
    for _ in range(2):
        for environment, times in (("production", 1), ("staging", 2), ("test", 0)):
            with store.asking(Filter(None, environment)) as moment:
                assert moment.users.active(TODAY) == (times > 0)
                assert moment.users.sessions(TODAY, NOON).events == 2 * times
                converted = [moment.users.conversions(TODAY, event) for event in ("purchase", "button")]
                assert [one and one.conversions for one in converted] == [times, 2 * times]
                assert moment.users.scores(TODAY) == ({9: 1} if times else {})
                assert sum(hour.conversions for hour in moment.experiments.hours("t")) == (times > 0)
        store.rebuild()


def test_a_person_is_one_in_every_environment(engine: EngineCase) -> None:
    """Two ids that are linked are one person wherever they were met, and an erasure removes them everywhere."""
    store = engine.open()
    places = [Filter(None, environment) for environment in ("production", "staging")]
    for environment in ("production", "staging"):
        origin = Origin("shop", environment)
        store.accept([event(f"{environment}{user}", user, origin=origin) for user in ("anon", "ann", "bob")])
    store.identify("anon", "ann")
    assert [asked(store, lambda m: m.users.active(TODAY), place) for place in places] == [2, 2]
    assert store.erase("ann", NOON + DAY).events == 4
    assert [asked(store, lambda m: m.users.active(TODAY), place) for place in places] == [1, 1]
