"""Environments: each is counted by itself, and an answer is about one of them."""

from __future__ import annotations

import pytest

from otel_measure.definitions.days import Days
from otel_measure.records.kinds import Exposure, Maintenance, NpsResponse, Origin, Record, ServiceState
from otel_measure.stats.cells import reference_cells
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.quality import RecordPosition, Reference
from otel_measure.store.types.services import RegisteredService, ServiceHistory, StateChange, WatchRun
from tests.facts import DAY, HOUR, NOON, SECOND, event, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

TODAY = Days(NOON // DAY, NOON // DAY)


def test_origins_are_those_of_facts(engine: EngineCase) -> None:
    """Every service and environment that a fact is from, once, sorted by environment and service."""
    store = engine.open()
    assert asked(store, lambda m: m.origins) == []
    origins = [Origin("worker", "b"), Origin("api", "b"), Origin("worker", "a"), Origin("api", "b"), Origin("", "")]
    store.accept([inference(f"i{i}", NOON, origin=origin) for i, origin in enumerate(origins)])
    assert asked(store, lambda m: m.origins) == [
        Origin("", ""), Origin("worker", "a"), Origin("api", "b"), Origin("worker", "b"),
    ]  # fmt: skip


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


def test_drift_looks_at_the_records_of_one_environment(engine: EngineCase) -> None:
    """Counts, hours and records are those of the environment asked for, whatever lies between and after them."""
    store = engine.open()
    staging = Origin("shop", "staging")
    store.accept(
        [
            *(inference(f"p{n}", NOON + n, prediction=n, origin=Origin(f"s{n}", "production")) for n in range(3)),
            *(inference(f"t{n}", NOON + n, prediction=n, origin=staging) for n in range(5)),
            inference("later", NOON + HOUR, prediction=9, origin=staging),
        ]
    )
    model, day = ("m", "1"), (NOON, NOON + DAY)
    seen: dict[str, tuple[object, ...]] = {}
    for environment in ("production", "staging", "test"):
        with store.asking(Filter(None, environment)) as moment:
            ask = moment.quality
            seen[environment] = (
                [one.position.id for one in ask.oldest(model, 2)],
                [one.position.id for one in ask.newest(model, *day, 2)],
                ask.judged_counts(*day),
                ask.judged_counts(*day, model, RecordPosition(NOON, "z")),
                ask.judged_hours(model, *day),
                [ask.last_judged(model, end) for end in (NOON + DAY, NOON + HOUR, NOON)],
            )
    assert seen == {
        "production": (
            ["p0", "p1"], ["p1", "p2"], {model: 3}, {model: 2}, [(NOON, 3)], [NOON + 2, NOON + 2, None]
        ),
        "staging": (
            ["t0", "t1"], ["t4", "later"], {model: 6}, {model: 5}, [(NOON, 5), (NOON + HOUR, 1)],
            [NOON + HOUR, NOON + 4, None],
        ),
        "test": ([], [], {}, {}, [], [None, None, None]),
    }  # fmt: skip


def test_a_reference_is_of_one_environment(engine: EngineCase) -> None:
    """The one that is named, else the one that answers are about; the others have none, or their own."""
    cells = reference_cells([float(i) for i in range(100)])
    assert cells is not None
    model, ours, theirs = ("m", "1"), Reference("given", {"x": cells}), Reference("window", {"y": cells})
    store = engine.open()
    store.accept([inference(name, origin=Origin("shop", name)) for name in ("staging", "production")])
    store.set_reference(model, ours)
    store.set_reference(model, theirs, "staging")
    kept = [asked(store, lambda m: m.quality.references(), Filter(None, of)) for of in ("production", "staging", "")]
    assert kept == [{model: ours}, {model: theirs}, {}]


def test_a_service_is_of_the_environment_that_it_is_registered_in(engine: EngineCase) -> None:
    """So are its states, its maintenance, its watches and the heartbeats; after retention as before."""
    store = engine.open(retention_days=10)
    for environment, target in (("production", 99.0), ("staging", 95.0)):
        store.register_service(environment, "api", target, NOON)
        origin = Origin("shop", environment)
        is_ours = environment == "production"
        store.accept(
            [
                ServiceState(id=f"d{target}", ts=NOON + 1, origin=origin, service="api", state="down"),
                *([] if is_ours else [ServiceState(id="u", ts=NOON + 2, origin=origin, service="api", state="up")]),
                Maintenance(
                    id=f"m{target}",
                    ts=NOON,
                    origin=origin,
                    service="api",
                    start_us=NOON + 3,
                    end_us=NOON + DAY + is_ours,
                ),
            ]
        )
    store.beat("staging", NOON + SECOND, ["api"])
    store.end_watch("staging", "api", NOON + 2 * SECOND)
    down = [StateChange(NOON + 1, "down", None, f"d{target}") for target in (99.0, 95.0)]
    ours = ServiceHistory(
        RegisteredService("api", NOON, 99.0), (down[0],), ((NOON, NOON),), planned=((NOON + 3, NOON + DAY + 1),)
    )
    theirs = ServiceHistory(
        RegisteredService("api", NOON, 95.0),
        (down[1], StateChange(NOON + 2, "up", None, "u")),
        ((NOON, NOON + SECOND),),
        NOON + SECOND,
        (WatchRun(NOON + SECOND, NOON + 2 * SECOND, True),),
        ((NOON + 3, NOON + DAY),),
    )

    def told(environment: str | None) -> list[ServiceHistory]:
        with store.asking(Filter(None, environment)) as moment:
            assert moment.services.environment == (environment or "production")
            return moment.services.histories(0)

    assert [told(of) for of in (None, "production", "staging", "test")] == [[ours], [ours], [theirs], []]
    store.sweep(NOON + 20 * DAY)
    assert [history.changes for of in ("production", "staging") for history in told(of)] == [(down[0],), ()]


def test_an_environment_is_seen_when_a_service_is_registered_there(engine: EngineCase) -> None:
    """Before anything fails there is no fact of it, and answers are about it all the same."""
    store = engine.open()
    store.accept([inference("a", origin=Origin("shop", "staging"))])
    store.register_service("production", "api", 99.9, NOON)
    assert [history.service.name for history in asked(store, lambda m: m.services.histories(0))] == ["api"]
