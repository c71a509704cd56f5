"""What is kept of series: whoever asks, and whoever else writes meanwhile, is told what reading everything tells."""

from __future__ import annotations

import random
from typing import Any

import pytest

from otel_measure.ai.series import MAX_GROUPS, SeriesAsked, SeriesTeller
from otel_measure.definitions.series import Series
from otel_measure.definitions.steps import SeriesWindow, series_span
from otel_measure.records.kinds import Origin
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ALL_MODELS, ModelChoice
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.conformance.engines import CLICKHOUSE, EngineCase
from tests.store.conformance.telling import LEARN, told
from tests.store.conformance.test_received import calls

QUESTIONS = (
    ("90m", SeriesAsked("5m", None, "previous", ALL_MODELS, None)),
    ("90m", SeriesAsked("5m", "model", None, ALL_MODELS, None)),
    ("24h", SeriesAsked("1h", "version", "previous", ALL_MODELS, None)),
    ("24h", SeriesAsked("1h", "error_type", None, ALL_MODELS, None)),
    ("24h", SeriesAsked("1h", "provider", None, ALL_MODELS, None)),
    ("24h", SeriesAsked("15m", "service", None, ModelChoice("m"), "shop")),
    ("2w", SeriesAsked("1w", "model", None, ModelChoice("m"), None)),
)
HAPPENINGS = (
    "call", "call", "many", "telling", "telling", "telling",
    "metric", "erasure", "environment", "sweep", "rebuild", "nothing",
)  # fmt: skip
AGES = (0, 1, MINUTE, 4 * MINUTE, 17 * MINUTE, 3 * HOUR, 23 * HOUR, 30 * HOUR, 50 * HOUR)


def happen(store: Store, what: str, n: int, age: int, now: int) -> None:
    """Have something happen to a store, number n, at a time that lies back."""
    at = now - age
    match what:
        case "call" | "late":
            failed = "Timeout" if n % 3 == 0 else None
            store.accept(
                [inference(f"i{n}", at, version=str(n % 2), latency_ms=n + 1.0, error_type=failed, user_id="u")]
            )
            store.accept([inference(f"p{n}", at, provider=("openai", "azure.ai.openai")[n % 2], user_id="u")])
        case "many":
            store.accept([inference(f"g{n}-{k}", at, model=f"m{k}", latency_ms=k + 1.0) for k in range(n % 3, 23)])
        case "telling":  # a span, or a fact that tells more of the call of one, which is then counted anew
            if n % 2:
                store.take_tellings([told(1, trace=n // 6 + 1, input_tokens=None, output_tokens=None)])
            else:
                store.take_tellings([told(2, trace=n // 6 + 1, kind="fact", span=1, took_ms=500.0 + n)])
        case "metric":
            store.ingest([calls(n + 1, now)], LEARN)
            store.count_signals(LEARN, now)
        case "erasure":
            store.erase("u", now)
        case "environment":
            store.accept([inference(f"e{n}", at, origin=Origin("shop", "production"))])
        case "sweep":
            store.sweep(now)
        case "rebuild":
            store.rebuild()


def answer(store: Store, series: SeriesTeller, now: int, window: str, asked: SeriesAsked, env: str | None) -> Series:
    """Return what a series is told to be."""
    span = series_span(SeriesWindow(window), now, "UTC", "24h")
    with store.asking(Filter(asked.service, env)) as moment:
        return series.of(moment, span, now, asked)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_never_stale(engine: EngineCase, seed: int) -> None:
    """Calls come late, are told of again, counted anew and erased, in environments old and new, by others too."""
    chance = random.Random(seed)
    place = engine.new_place()
    store = engine.open(place, retention_days=2)
    other = engine.open(place, retention_days=2) if engine.is_shared else store
    kept, now = SeriesTeller(), NOON
    # Of a server each answer takes a dozen queries.
    questions, turns = (chance.sample(QUESTIONS, 1), 10) if engine is CLICKHOUSE else (QUESTIONS, 16)
    for n in range(turns):
        now += chance.choice((0, 0, 15_000_000, 4 * MINUTE, 2 * HOUR))
        happen(chance.choice((store, other)), chance.choice(HAPPENINGS), n, chance.choice(AGES), now)
        env = chance.choice((None, "test"))
        for window, question in questions:
            told_by_kept = answer(store, kept, now, window, question, env)
            assert repr(told_by_kept) == repr(answer(other, SeriesTeller(), now, window, question, env))
            if told_by_kept.groups and question.group_by != "error_type":
                in_groups = zip(*(group.columns["requests"] for group in told_by_kept.groups), strict=True)
                assert repr([sum(step) for step in in_groups]) == repr(list(told_by_kept.columns["requests"]))


def test_a_call_that_was_another_one_is_taken_out_of_its_step(engine: EngineCase) -> None:
    """A span that turns out to be the frame of a call is none in the step in which it ended."""
    store, kept = engine.open(), SeriesTeller()
    asked, now = SeriesAsked("5m", None, None, ALL_MODELS, None), NOON + 20 * MINUTE

    def requests() -> dict[str, float]:
        series = answer(store, kept, now, "30m", asked, None)
        calls = zip(series.start, series.columns["requests"], strict=True)
        return {f"{start:%H:%M}": n for start, n in calls if n}

    store.take_tellings([told(1, took_ms=600_000)])
    assert requests() == {"12:10": 1}
    store.take_tellings([told(2, parent=1, scope="sdk")])
    assert requests() == {"12:00": 1}


def test_providers_are_those_of_each_call(engine: EngineCase) -> None:
    """As told by the call, or by the metrics that alone tell of it, else as the model's name says, also anew."""
    store = engine.open()
    asked = SeriesAsked("1h", "provider", None, ALL_MODELS, None)
    store.accept([inference(f"i{n}", model="gpt-4o", provider="azure.ai.openai" if n < 2 else None) for n in range(5)])
    store.accept([inference("other", NOON - 3 * HOUR), inference("late", NOON - HOUR, provider="groq", user_id="u")])
    said = calls(7, NOON).model_series
    assert said is not None
    for n, provider in ((7, "mistral_ai"), (3, None)):
        series = said._replace(provider=provider, source=f"process {n}")
        store.ingest([calls(n, NOON, source=f"process {n}", model_series=series)], LEARN)

    def by_provider() -> dict[str, float]:
        told = answer(store, SeriesTeller(), NOON, "24h", asked, None)
        sums = {group.key["provider"]: sum(group.columns["requests"]) for group in told.groups}
        assert sum(sums.values()) == sum(told.columns["requests"])
        return sums

    before = by_provider()
    assert before == {"mistral_ai": 7, "_OTHER": 4, "openai": 3, "azure.ai.openai": 2, "groq": 1}
    store.erase("u", NOON)
    store.rebuild()
    assert by_provider() == before


def test_groups_add_up_when_others_become_the_largest(engine: EngineCase) -> None:
    """A model that rises leaves the others in every step, and each call is in one group all the time."""
    store, kept = engine.open(), SeriesTeller()
    for hours in range(3):
        store.accept([inference(f"{k}-{hours}", NOON - hours * HOUR, model=f"m{k:02}") for k in range(25)])
    asked = SeriesAsked("5m", "model", None, ALL_MODELS, None)
    for rising in range(24, 18, -1):
        store.accept([inference(f"r{rising}-{k}", NOON - HOUR, model=f"m{rising:02}") for k in range(rising)])
        series = answer(store, kept, NOON, "24h", asked, None)
        names = [group.key.get("model_name") for group in series.groups]
        assert (len(names), names[-1], f"m{rising:02}" in names) == (MAX_GROUPS + 1, None, True)
        of_groups = zip(*(group.columns["requests"] for group in series.groups), strict=True)
        assert [sum(step) for step in of_groups] == list(series.columns["requests"])


def test_only_what_changed_is_asked_again(engine: EngineCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second question reads the steps that the window cuts, the running one, and those that a late call lies in."""
    store, kept = engine.open(), SeriesTeller()
    store.accept([inference(f"i{hours}", NOON - hours * HOUR) for hours in range(1, 24)])
    asked = SeriesAsked("1h", None, None, ALL_MODELS, None)
    answer(store, kept, NOON, "24h", asked, None)
    store.accept([inference("late", NOON - 5 * HOUR + MINUTE)])
    read: list[int] = []
    with store.asking() as moment:
        use_by_step = moment.models.use_by_step

        def noting(steps: Any, *more: Any) -> Any:
            read.extend(start for start, _ in steps.spans())
            return use_by_step(steps, *more)

        monkeypatch.setattr(moment.models, "use_by_step", noting)
        kept.of(moment, series_span(SeriesWindow("24h"), NOON + MINUTE, "UTC", "24h"), NOON + MINUTE, asked)
    assert read == [NOON - DAY + MINUTE, NOON - 5 * HOUR, NOON]
