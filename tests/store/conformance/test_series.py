"""What models did over time: the steps of a window add up to its report, whatever tells them apart."""

from __future__ import annotations

import random
from itertools import product

from otel_measure.ai.latency import latency
from otel_measure.definitions.model_use import SUMS, ModelUse
from otel_measure.definitions.steps import LADDER, SeriesWindow, Steps, series_span, step_for, steps
from otel_measure.definitions.windows import TimeSpan
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelChoice
from tests.comparing import comparable
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.asking import asked
from tests.store.conformance.engines import EngineCase


def calls(n: int, days: float) -> list[Inference]:
    """Return calls of three models, two services and an hour of silence, spread over the days before noon."""
    chance = random.Random(11)
    made = []
    for i in range(n):
        ts = NOON - int(chance.random() * days * DAY)
        made.append(
            inference(
                f"i{i}", ts - 2 * HOUR if NOON - 3 * HOUR < ts < NOON - 2 * HOUR else ts,
                model=chance.choice("abc"), version=chance.choice("12"),
                origin=Origin(chance.choice(["api", "worker"]), "production"),
                latency_ms=chance.lognormvariate(5, 1), error_type="Timeout" if chance.random() < 0.1 else None,
                input_tokens=chance.randrange(100), cost_usd=0.001, provider=(None, "openai", "azure.ai.openai")[i % 3],
            )
        )  # fmt: skip
    return made


def window(window: str, zone: str = "UTC", step: str | None = None) -> tuple[TimeSpan, Steps]:
    """Return a window that ends at noon, and its steps."""
    span = series_span(SeriesWindow(window), NOON, zone, "24h")
    return span, steps(span, NOON, step or step_for(span))


def merged(uses: list[ModelUse]) -> ModelUse:
    """Return what uses add up to."""
    whole = ModelUse("", "")
    for use in uses:
        whole.add(use)
    return whole


def test_steps_add_up_to_the_report(engine: EngineCase) -> None:
    """Of any length, in any zone: sums add, and merged histograms give the report's percentiles."""
    store = engine.open()
    store.accept(
        [*calls(300, 29), *(inference(f"j{i}", NOON - i * 17 * MINUTE, latency_ms=i + 1.0) for i in range(99))]
    )
    windows = (("90m", "UTC"), ("25h", "Asia/Kolkata"), ("25h", "Europe/Paris"), ("4w", "Asia/Kolkata"))
    with store.asking() as moment:
        for (length, zone), step in product(windows, LADDER):
            if length == "4w" and LADDER[step] < 3600:  # over 1,500 points, which is refused
                continue
            span, made = window(length, zone, step)
            report = merged(moment.models.model_use(span.start, span.end))
            by_step = moment.models.use_by_step(made)
            together = merged(list(by_step[()].values()))
            assert [getattr(together, name) for name in SUMS] == [getattr(report, name) for name in SUMS]
            assert comparable(latency(together, span)) == comparable(latency(report, span))
            assert together.sources == report.sources
            assert by_step.keys() == {()}


def test_each_call_lies_in_its_step(engine: EngineCase) -> None:
    """A step holds the calls of its time, at the edges too, and one without any is left out."""
    store = engine.open()
    store.accept([inference(f"{at}", at) for at in (NOON - HOUR, NOON - HOUR - 1, NOON - 20 * MINUTE, NOON)])
    _, made = window("2h", step="15m")
    uses = asked(store, lambda m: m.models.use_by_step(made))[()]
    assert {made.edges[step]: use.requests for step, use in uses.items()} == {
        NOON - 75 * MINUTE: 1,
        NOON - 60 * MINUTE: 1,
        NOON - 30 * MINUTE: 1,
        NOON: 1,
    }


def test_groups_add_up_to_all(engine: EngineCase) -> None:
    """What is told apart has each call in one group, and a choice of models leaves the others out."""
    store = engine.open()
    made = calls(200, 1)
    store.accept(made)
    span, of_day = window("24h", step="1h")
    everything = ModelUse("", "")
    with store.asking() as moment:
        for use in moment.models.model_use(span.start, span.end):
            everything.add(use)
        for by, keys in (
            ("model", {("a",), ("b",), ("c",)}),
            ("version", {(model, version) for model in "abc" for version in "12"}),
            ("service", {("api",), ("worker",)}),
            ("provider", {("_OTHER",), ("openai",), ("azure.ai.openai",)}),
        ):
            groups = moment.models.use_by_step(of_day, by)  # type: ignore[arg-type]
            assert groups.keys() == keys
            uses = [use for group in groups.values() for use in group.values()]
            assert merged(uses).requests == everything.requests == 200
        (of_model,) = moment.models.use_by_step(of_day, None, ModelChoice("a")).values()
        (of_version,) = moment.models.use_by_step(of_day, None, ModelChoice("a", "2")).values()
    with store.asking(Filter(service="api")) as moment:
        (of_service,) = moment.models.use_by_step(of_day).values()
    assert [merged(list(uses.values())).requests for uses in (of_model, of_version, of_service)] == [
        sum(call.model == "a" for call in made),
        sum((call.model, call.version) == ("a", "2") for call in made),
        sum(call.origin.service == "api" for call in made),
    ]


def test_without_a_call_there_is_no_group(engine: EngineCase) -> None:
    """An empty store has no series of anything."""
    _, made = window("24h")
    assert asked(engine.open(), lambda m: m.models.use_by_step(made, "model")) == {}
