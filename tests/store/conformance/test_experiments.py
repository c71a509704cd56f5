"""Experiments: what persons contribute to hourly cells, whatever the order, the batches and the ids."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.contributions import MIXED
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import HOUR_US
from otel_measure.records.kinds import Exposure, Origin, Record, UserEvent
from otel_measure.store.types.experiments import ArmHour, Experiment
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


def converted(user: str, ts: int, *, id: str = "", test: object = "t", type: str = "conversion") -> UserEvent:
    """A user converted."""
    properties = {"experiment": test, "other": [1]}
    return UserEvent(
        id=id or f"c-{user}-{ts}-{test}-{type}", ts=ts, origin=HERE, user_id=user, type=type, name="n",
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
    assert isinstance(record, Exposure | UserEvent)
    return same.get(record.user_id, record.user_id)


def expected(records: Sequence[Record], test: str = "t", same: Mapping[str, str] = NOBODY) -> list[ArmHour]:
    """The definition, a person at a time: what changes in an arm at each moment; `same` tells who is whom."""
    users: Counter[tuple[int, str]] = Counter()
    conversions: Counter[tuple[int, str]] = Counter()
    for user in {who(r, same) for r in records}:
        seen = sorted(
            (r.ts, r.variant)
            for r in records
            if isinstance(r, Exposure) and (who(r, same), r.experiment, r.reason) == (user, test, "split") and r.variant
        )
        if not seen:
            continue
        first, variant = seen[0]
        left = min((ts for ts, other in seen if other != variant), default=None)
        goals = [
            r.ts
            for r in records
            if isinstance(r, UserEvent) and (who(r, same), r.type) == (user, "conversion") and r.ts >= first
            and (r.properties or {}).get("experiment") == test and (left is None or r.ts < left)
        ]  # fmt: skip
        users[first // HOUR_US, variant] += 1
        if goals:
            conversions[min(goals) // HOUR_US, variant] += 1
        if left is not None:
            users[left // HOUR_US, variant] -= 1
            conversions[left // HOUR_US, variant] -= bool(goals)
            users[left // HOUR_US, MIXED] += 1
    keys = {key for counter in (users, conversions) for key, n in counter.items() if n}
    return [ArmHour(*key, users[key], conversions[key]) for key in sorted(keys)]


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
    assert cells_of(engine, records) == [ArmHour(2, "a", 2, 0), ArmHour(2, "b", 1, 1), ArmHour(4, "a", 0, 1)]


def test_who_is_seen_in_two_arms_leaves_the_first_and_is_counted(engine: EngineCase) -> None:
    """From that hour on neither arm has the user or a conversion of theirs."""
    h = HOUR_US
    records: list[Record] = [met("1", "a", h), converted("1", 2 * h), met("1", "b", 3 * h), converted("1", 4 * h)]
    assert cells_of(engine, records) == [
        ArmHour(1, "a", 1, 0),
        ArmHour(2, "a", 0, 1),
        ArmHour(3, MIXED, 1, 0),
        ArmHour(3, "a", -1, -1),
    ]


def test_only_split_exposures_and_marked_conversions_count(engine: EngineCase) -> None:
    """Forced variants, empty ones, other event types and other tests are left alone."""
    records: list[Record] = [
        met("1", "a", 0, reason="static"), met("2", "", 0), met("3", "a", 0), converted("3", 1, type="purchase"),
        converted("3", 2, test="u"), converted("3", 3, test=7), met("4", "a", 4, test="u"),
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
    lambda user, ts, test, type: converted(user, ts, test=test, type=type),
    st.sampled_from("1234"), _TIMES, _TESTS | st.just(3), st.sampled_from(["conversion"] * 5 + ["purchase"]),
)  # fmt: skip
_RECORDS = st.lists(_EXPOSURES | _CONVERSIONS, max_size=25)


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
