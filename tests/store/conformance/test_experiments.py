"""Experiments: what persons contribute to hourly cells, whatever the order, the batches and the ids."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.contributions import AGES_HOURS, CROSSED_OVER
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import HOUR_US
from otel_measure.records.kinds import AbConversion, Exposure, Origin, Record, UserEvent
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase

HERE = Origin("shop")
DAY_US = 24 * HOUR_US
NOBODY: Mapping[str, str] = {}
TEST = Experiment("t", "T", ("a", "b"), (0.5, 0.5), 1.0, created=5)


def met(user: str, variant: str, ts: int, *, id: str = "", test: str = "t", reason: str = "split") -> Exposure:
    """A user met a variant."""
    return Exposure(
        id=id or f"x-{user}-{variant}-{ts}-{test}-{reason}", ts=ts, origin=HERE, user_id=user, experiment=test,
        variant=variant, reason=reason,
    )  # fmt: skip


def converted(user: str, ts: int, *, test: str = "t", client_clock: bool = False) -> AbConversion:
    """A user converted."""
    return AbConversion(
        id=f"c-{user}-{ts}-{test}-{client_clock}", ts=ts, origin=HERE, user_id=user, experiment=test,
        client_clock=client_clock,
    )  # fmt: skip


def told(user: str, ts: int, *, id: str = "", test: object = "t", type: str = "conversion") -> UserEvent:
    """An event of a user that names a test."""
    properties = {"experiment": test, "other": [1]}
    return UserEvent(
        id=id or f"e-{user}-{ts}-{test}-{type}", ts=ts, origin=HERE, user_id=user, type=type, name="n",
        properties=properties,  # type: ignore[arg-type]
    )  # fmt: skip


def cells_of(engine: EngineCase, *batches: Sequence[Record], test: str = "t", rebuilt: bool = False) -> list[ArmHour]:
    """The cells of a fresh store that accepted these batches."""
    store = engine.open()
    for batch in batches:
        store.accept(batch)
    if rebuilt:
        store.rebuild()
    return asked(store, lambda m: m.experiments.hours(test))


def who(record: Record, same: Mapping[str, str]) -> str:
    """The person of a record."""
    assert isinstance(record, Exposure | AbConversion | UserEvent)
    return same.get(record.user_id, record.user_id)


def converts(record: Record, test: str) -> bool:
    """Whether a record is a conversion of a test."""
    if isinstance(record, UserEvent):
        return record.type == "conversion" and (record.properties or {}).get("experiment") == test
    return isinstance(record, AbConversion) and record.experiment == test


def tolerance_us(record: Record) -> int:
    """By how much the conversion may be told to lie before the exposure."""
    return 60_000_000 if isinstance(record, AbConversion) and record.client_clock else 0


def expected(records: Sequence[Record], test: str = "t", same: Mapping[str, str] = NOBODY) -> list[ArmHour]:
    """The definition, a person at a time: who met an arm in each hour, and how late they converted.

    `same` tells who is whom.
    """
    users: Counter[tuple[int, str, int]] = Counter()
    conversions: Counter[tuple[int, str, int]] = Counter()
    for user in {who(r, same) for r in records}:
        seen = sorted(
            (r.ts, r.variant)
            for r in records
            if isinstance(r, Exposure) and (who(r, same), r.experiment, r.reason) == (user, test, "split") and r.variant
        )
        if not seen:
            continue
        first, variant = seen[0]
        crossed = min((ts for ts, other in seen if other != variant), default=None)
        goals = [
            max(r.ts, first)
            for r in records
            if converts(r, test) and who(r, same) == user and r.ts + tolerance_us(r) >= first
        ]
        users[first // HOUR_US, variant, 0] += 1
        if goals:
            later = min(goals) // HOUR_US - first // HOUR_US
            conversions[first // HOUR_US, variant, min(age for age in AGES_HOURS if age >= later)] += 1
        if crossed is not None:
            users[crossed // HOUR_US, CROSSED_OVER, 0] += 1
    keys = {key for counter in (users, conversions) for key, n in counter.items() if n}
    return [
        ArmHour(hour, variant, users[hour, variant, age], conversions[hour, variant, age], age)
        for hour, variant, age in sorted(keys)
    ]


def test_a_definition_is_kept_once(engine: EngineCase) -> None:
    """The first definition of a key stays, in the order of creation, and comes back as it was."""
    store = engine.open()
    other = Experiment("ключ", "N", ("x", "y", "z"), (0.2, 0.3, 0.5), 0.25, created=4)
    changed = Experiment("t", "U", ("a", "c"), (0.5, 0.5), 1.0, created=9)
    kept = [store.define_experiment(one) for one in (TEST, other, changed)]
    assert kept == [TEST, other, TEST]
    assert [one.created for one in kept] == [5, 4, 5]
    assert asked(store, lambda m: m.experiments.experiments()) == [other, TEST]
    assert asked(store, lambda m: [m.experiments.experiments(key) for key in ("ключ", "none")]) == [[other], []]


def test_the_first_exposure_and_the_first_conversion_after_it_count(engine: EngineCase) -> None:
    """Later exposures and conversions, and those before the exposure, change nothing."""
    h = HOUR_US
    records: list[Record] = [
        met("1", "a", 2 * h), met("1", "a", 3 * h), converted("1", h), converted("1", 5 * h), converted("1", 4 * h),
        met("2", "a", 2 * h), converted("2", 2 * h - 1),
        met("3", "b", 2 * h), converted("3", 2 * h),
        converted("never assigned", 9 * h),
    ]  # fmt: skip
    assert cells_of(engine, records) == [ArmHour(2, "a", 2, 0), ArmHour(2, "a", 0, 1, 2), ArmHour(2, "b", 1, 1)]


def test_a_conversion_of_another_clock_counts_a_minute_before_the_exposure(engine: EngineCase) -> None:
    """At the exposure, when it is told to lie up to 60 s before; one whose time is of the same clock does not."""
    h, minute = HOUR_US, 60_000_000
    other_clock: list[Record] = [
        met("1", "a", 2 * h), converted("1", 2 * h - minute, client_clock=True),
        met("2", "a", 2 * h), converted("2", 2 * h - minute - 1, client_clock=True),
        met("3", "a", 2 * h), converted("3", 2 * h - 1),
        met("4", "b", 2 * h), converted("4", h, client_clock=True), converted("4", 4 * h, client_clock=True),
    ]  # fmt: skip
    counted = [ArmHour(2, "a", 3, 1), ArmHour(2, "b", 1, 0), ArmHour(2, "b", 0, 1, 2)]
    assert cells_of(engine, other_clock) == cells_of(engine, other_clock[::-1], rebuilt=True) == counted
    both: list[Record] = [met("1", "a", h), converted("1", h - 1), converted("1", h - 1, client_clock=True)]
    for records in (both, both[::-1]):
        assert cells_of(engine, records[:2], records[2:]) == [ArmHour(1, "a", 1, 1)]


def test_who_is_seen_in_two_arms_stays_in_the_first_and_is_counted(engine: EngineCase) -> None:
    """The first arm has the user and the conversion, however much later, and the second one neither."""
    h = HOUR_US
    records: list[Record] = [met("1", "a", h), met("1", "b", 3 * h), converted("1", 4 * h)]
    assert cells_of(engine, records) == [
        ArmHour(1, "a", 1, 0),
        ArmHour(1, "a", 0, 1, 4),
        ArmHour(3, CROSSED_OVER, 1, 0),
    ]


def test_a_person_is_the_same_in_a_test_under_every_id(engine: EngineCase) -> None:
    """What the person met first is told for each id, and before any exposure the id that all are known by."""
    store = engine.open()
    store.accept([met("laptop", "b", 5), met("phone", "a", 3), met("else", "a", 1)])
    for device in ("laptop", "phone", "tablet"):
        store.identify(device, "ann")
    ids = ("laptop", "phone", "tablet", "ann", "else", "new")
    assert asked(store, lambda m: [m.experiments.person_in_test("t", each) for each in ids]) == [
        *[PersonInTest("ann", "a")] * 4, PersonInTest("else", "a"), PersonInTest("new", None),
    ]  # fmt: skip
    assert asked(store, lambda m: m.experiments.person_in_test("u", "phone")) == PersonInTest("ann", None)


def test_only_the_coverage_of_a_test_is_raised(engine: EngineCase) -> None:
    """A higher one is kept, a lower one is not, and with any other difference nothing is."""
    store = engine.open()
    coverages = [
        store.define_experiment(replace(TEST, **change)).coverage
        for change in (
            {"coverage": 0.1}, {"coverage": 0.5}, {"coverage": 0.2}, {"coverage": 0.9, "weights": (0.6, 0.4)},
            {"coverage": 0.9, "name": "U"},
        )
    ]  # fmt: skip
    assert coverages == [0.1, 0.5, 0.5, 0.5, 0.5]
    assert asked(store, lambda m: m.experiments.experiments("t")) == [replace(TEST, coverage=0.5)]


def test_a_stopped_test_counts_what_was_accepted_and_nothing_later(engine: EngineCase) -> None:
    """Also what a clock that is ahead told before the stop; a second stop changes what is served alone."""
    store, now = engine.open(), HOUR_US
    store.define_experiment(TEST)
    store.accept([met("1", "a", now - 9), met("2", "b", now + 5), converted("2", now + 6)])
    stopped = store.stop_experiment("t", "b", now)
    assert (stopped.stopped, stopped.served) == (now + 7, "b")
    store.accept([met("3", "a", now - 1), met("4", "a", now + 7), converted("1", now + 8), converted("3", now)])
    wanted = [ArmHour(0, "a", 2, 0), ArmHour(0, "a", 0, 1, 1), ArmHour(1, "b", 1, 1)]
    assert asked(store, lambda m: m.experiments.hours("t")) == wanted
    again = store.stop_experiment("t", "a", now + HOUR_US)
    assert (again.stopped, again.served) == (now + 7, "a")
    store.rebuild()
    assert asked(store, lambda m: m.experiments.hours("t")) == wanted
    assert asked(store, lambda m: [(one.stopped, one.served) for one in m.experiments.experiments()]) == [
        (now + 7, "a")
    ]


def test_only_split_exposures_and_marked_conversions_count(engine: EngineCase) -> None:
    """Forced variants, empty ones, other event types and other tests are left alone."""
    records: list[Record] = [
        met("1", "a", 0, reason="static"), met("2", "", 0), met("3", "a", 0), told("3", 1, type="purchase"),
        converted("3", 2, test="u"), told("3", 3, test=7), met("4", "a", 4, test="u"),
        UserEvent(id="plain", ts=5, origin=HERE, user_id="3", type="conversion", name="t"),
    ]  # fmt: skip
    assert cells_of(engine, records) == cells_of(engine, records, rebuilt=True) == [ArmHour(0, "a", 1, 0)]


_TESTS = st.sampled_from(["t", "t", "t\x00", "ü"])
_TIMES = st.integers(0, 3 * 24).map(lambda k: k * HOUR_US // 2)
_EXPOSURES = st.builds(
    lambda user, variant, ts, test, reason: met(user, variant, ts, test=test, reason=reason),
    st.sampled_from("123"), st.sampled_from(["a", "a", "b", ""]), _TIMES, _TESTS,
    st.sampled_from(["split"] * 5 + ["static"]),
)  # fmt: skip
_CONVERSIONS = st.builds(
    lambda user, ts, early, test, client: converted(user, max(ts - early, 0), test=test, client_clock=client),
    st.sampled_from("1234"), _TIMES, st.sampled_from([0, 0, 1, 60_000_000, 60_000_001]), _TESTS, st.booleans(),
)  # fmt: skip
_TOLD = st.builds(
    lambda user, ts, test, type: told(user, ts, test=test, type=type),
    st.sampled_from("1234"), _TIMES, _TESTS | st.just(3), st.sampled_from(["conversion"] * 5 + ["purchase"]),
)  # fmt: skip
_RECORDS = st.lists(_EXPOSURES | _CONVERSIONS | _TOLD, max_size=25)


def batched(records: Sequence[Record], source: random.Random) -> list[list[Record]]:
    """The records and some of them again, in any order and batches."""
    order = [*records, *source.sample(records, source.randrange(len(records) + 1))]
    source.shuffle(order)
    cuts = sorted(source.randrange(len(order) + 1) for _ in range(source.randrange(5)))
    return [order[i:j] for i, j in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@given(_RECORDS, st.randoms(use_true_random=False))
def test_cells_depend_on_the_facts_only(engine: EngineCase, records: list[Record], source: random.Random) -> None:
    """Any order, batches and duplicates give what the definition says, and a rebuild in any zone changes nothing."""
    store = engine.open()
    for batch in batched(records, source):
        store.accept(batch)
    for rebuild in (None, "UTC", "Asia/Kathmandu"):
        if rebuild:
            store.rebuild(Definitions(timezone=rebuild))
        assert asked(store, lambda m: [m.experiments.hours(test) for test in ("t", "ü")]) == [
            expected(records, t) for t in ("t", "ü")
        ]


@given(_RECORDS, st.randoms(use_true_random=False))
def test_removed_facts_leave_what_they_said(engine: EngineCase, records: list[Record], source: random.Random) -> None:
    """After retention has removed facts the cells are the same, after a rebuild as well."""
    store = engine.open(retention_days=1)
    for batch in batched(records, source):
        store.accept(batch)
    before = asked(store, lambda m: m.experiments.hours("t"))
    store.sweep(3 * DAY_US)
    assert asked(store, lambda m: m.experiments.hours("t")) == before
    store.rebuild()
    assert asked(store, lambda m: m.experiments.hours("t")) == before


@given(_RECORDS, st.randoms(use_true_random=False))
def test_an_identified_user_is_one_unit_whenever_that_is_learnt(
    engine: EngineCase, records: list[Record], source: random.Random
) -> None:
    """Exposures and conversions of two ids of a person are those of one, before and after, and after a rebuild."""
    store = engine.open()
    half = source.randrange(len(records) + 1)
    store.accept(records[:half])
    assert store.identify("1", "2") == "linked"
    store.accept(records[half:])
    wanted = expected(records, same={"1": "2"})
    assert asked(store, lambda m: m.experiments.hours("t")) == wanted
    store.rebuild()
    assert asked(store, lambda m: m.experiments.hours("t")) == wanted


@given(_RECORDS, st.sampled_from("1234"), st.booleans())
def test_an_erased_user_was_never_seen(engine: EngineCase, records: list[Record], erased: str, rebuilt: bool) -> None:
    """Cells are those of the others alone."""
    store = engine.open()
    store.accept(records)
    store.erase(erased, 4 * DAY_US)
    if rebuilt:
        store.rebuild()
    assert asked(store, lambda m: m.experiments.hours("t")) == expected(
        [r for r in records if who(r, NOBODY) != erased]
    )
