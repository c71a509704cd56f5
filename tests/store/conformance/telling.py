"""What tells of calls in tests: spans, facts and metrics of processes, and what a store makes of them."""

from __future__ import annotations

from typing import Any

from otel_measure.ai.aggregates import interpreter
from otel_measure.ai.pricing import Pricer
from otel_measure.ai.rates import Rates
from otel_measure.conventions import model_names
from otel_measure.conventions.step_dialects import StepKind
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.signals import ModelSeries
from otel_measure.definitions.streams import Point
from otel_measure.definitions.tellings import Telling, TellingKind
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.kinds import Inference, Origin
from otel_measure.store.protocol import Store
from tests.facts import DAY, NOON, SECOND
from tests.store.asking import asked

LEARN = interpreter(Pricer({"m": Rates(input_usd=0.001, output_usd=0.002)}))


def source(service: str = "shop", instance: str = "1") -> str:
    """Return the name of a process."""
    return f"{service}\n\n{instance}"


def told(
    n: int,
    *,
    kind: TellingKind = "call",
    parent: int | None = None,
    trace: int = 1,
    service: str = "shop",
    instance: str = "1",
    scope: str = "client",
    operation: str = "chat",
    response: str | None = None,
    began: int = NOON,
    took_ms: float = 1000.0,
    span: int | None = None,
    step: AgentStep | None = None,
    **fields: Any,
) -> Telling:
    """Return span `n` of a trace, or fact `n` of which `span` was current; `fields` are those of the call."""
    trace_id = f"{trace:032x}" if trace else ""
    span_id = "" if not trace else f"{(n if span is None else span):016x}"
    ended = began + round(took_ms * 1000)
    record = None
    if kind in ("call", "fact"):
        given: dict[str, Any] = {"model": "m", "response_model": "m-1", "input_tokens": 10, "output_tokens": 5}
        given |= {"cost_usd": 0.02, "cost_source": "table"} | fields
        record = Inference(
            id=f"{trace_id}/{span_id}" if kind == "call" else f"fact {n}",
            ts=ended,
            origin=Origin(service),
            version=model_names.version_of(given["model"], given["response_model"]),
            latency_ms=took_ms,
            trace_id=trace_id or None,
            span_id=span_id or None,
            **given,
        )
    return Telling(
        kind=kind,
        trace_id=trace_id,
        span_id=span_id,
        parent_id=None if parent is None else f"{parent:016x}",
        process=source(service, instance),
        scope=scope,
        operation=operation,
        response_id=response,
        began_us=began,
        ended_us=ended,
        record=record,
        step=step,
    )


def agent(
    n: int, name: str = "planner", *, kind: StepKind = "agent", user: str | None = None, **fields: Any
) -> Telling:
    """Return span `n` of a trace, which is a run of an agent."""
    error_type, environment = fields.pop("error_type", None), fields.pop("environment", "")
    step = AgentStep(kind, name, Origin(fields.get("service", "shop"), environment), error_type, user)
    given: dict[str, Any] = {"scope": "framework"} | fields
    return told(n, kind="plain" if kind == "chain" else "other", step=step, **given)


def tool(
    n: int, name: str = "search", arguments: str | None = None, *, kind: StepKind = "tool", **fields: Any
) -> Telling:
    """Return span `n` of a trace, which is the use of a tool."""
    step = AgentStep(kind, name, Origin(fields.get("service", "shop")), fields.pop("error_type", None), None, arguments)
    given: dict[str, Any] = {"scope": "framework", "took_ms": 100.0} | fields
    return told(n, kind="other", step=step, **given)


def duration(
    n: int,
    ts: int,
    *,
    after: int | None = None,
    service: str = "shop",
    instance: str = "1",
    scope: str = "client",
    error_type: str | None = None,
    asked_for: str | None = "m",
    answered: str | None = "m-1",
) -> Point:
    """Return what a histogram of durations has grown by: `n` calls of a second each since `after`."""
    name = "gen_ai.client.operation.duration"
    model = asked_for or answered or ""
    series = ModelSeries(
        "calls",
        source(service, instance),
        Origin(service),
        model,
        model_names.version_of(model, answered),
        response_model=answered,
        request_model=asked_for,
        error_type=error_type,
        scope=f"{scope}/{name}",
    )
    return Point(
        name=name, kind="histogram", unit="s", description="",
        labels=f'e="{error_type}",s="{service}",i="{instance}",c="{scope}",a="{asked_for}",r="{answered}"',
        scope="instance", instance=instance, start=after if after is not None else ts - 10 * SECOND, ts=ts,
        value=1.0 * n, count=n, bounds=(0.5, 2.0), buckets=(0, n, 0), delta=True, model_series=series,
    )  # fmt: skip


def uses(store: Store) -> dict[tuple[str, str], ModelUse]:
    """Return what each model did, when all signals are counted."""
    while store.count_signals(LEARN, NOON):
        pass
    return {
        (use.model, use.version): use
        for use in asked(store, lambda moment: moment.models.model_use(NOON - DAY, NOON + DAY))
        if use.requests or use.input_tokens or use.cost_nano_usd
    }


def counted(store: Store) -> tuple[int, int]:
    """Return how many calls there are, and how many of them failed."""
    of_models = uses(store).values()
    return sum(use.requests for use in of_models), sum(use.errors for use in of_models)


def shown(store: Store) -> dict[str, float]:
    """Return the running totals, each summed over its labels."""
    return {
        family.name: sum(sample.value for sample in family.samples)
        for family in asked(store, lambda moment: moment.streams.families(NOON))
        if family.name.startswith("otel_measure.ai.")
    }
