"""What models did over time: pure functions of what they did in each step of a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import nan
from typing import Final, NamedTuple

from otel_measure.ai import reports
from otel_measure.ai.latency import latency, mean, percentiles
from otel_measure.definitions.model_use import ModelUse, added_by_step
from otel_measure.definitions.series import Columns, Compare, EarlierSeries, Series, SeriesGroup
from otel_measure.definitions.steps import Steps, earlier, steps
from otel_measure.definitions.windows import TimeSpan, counted
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.model_questions import StoredModels
from otel_measure.store.questions import Moment
from otel_measure.store.types.models import GroupBy, GroupKey, ModelChoice, SeriesGroupBy

MAX_GROUPS: Final = 20
_KEYS: Final[Mapping[GroupBy, tuple[str, ...]]] = {
    "model": ("model_name",),
    "version": ("model_name", "model_version"),
    "service": ("service",),
}


class _Step(NamedTuple):
    """One step as its report says it, as far as the columns show it."""

    use: ModelUse
    latency_ms: list[float]
    mean_ms: float
    first_chunk_ms: list[float]
    cost: reports.Cost
    errors: reports.Errors


_NOTHING: Final = ModelUse("", "")
_LATENCIES: Final = (0.5, 0.95, 0.99)
_FIRST_CHUNKS: Final = (0.5, 0.95)
_NO_CHUNKS: Final = ExponentialHistogram()
# Sums are 0 where no call was, and unknown where calls were that did not tell; what describes calls needs one.
_COLUMNS: Final[Mapping[str, Callable[[_Step], float]]] = {
    "requests": lambda step: step.use.requests,
    "errors": lambda step: step.use.errors,
    "error_rate": lambda step: step.errors.rate,
    "p50_ms": lambda step: step.latency_ms[0],
    "p95_ms": lambda step: step.latency_ms[1],
    "p99_ms": lambda step: step.latency_ms[2],
    "mean_ms": lambda step: step.mean_ms,
    "first_chunk_p50_ms": lambda step: step.first_chunk_ms[0],
    "first_chunk_p95_ms": lambda step: step.first_chunk_ms[1],
    "input_tokens": lambda step: step.cost.input_tokens if step.use.requests else 0,
    "output_tokens": lambda step: step.cost.output_tokens if step.use.requests else 0,
    "cached_input_tokens": lambda step: step.cost.cached_input_tokens if step.use.requests else 0,
    "reasoning_tokens": lambda step: step.cost.reasoning_tokens if step.use.requests else 0,
    "cache_hit_ratio": lambda step: step.cost.cache_hit_ratio,
    "cost_usd": lambda step: step.cost.total_usd if step.use.requests else 0,
    "cost_per_request_usd": lambda step: step.cost.per_request_usd,
    "priced_ratio": lambda step: step.cost.priced_ratio,
}


class SeriesAsked(NamedTuple):
    """How a series is told: the step, what to tell apart, what to set beside it, and which models it is about."""

    step: str
    group_by: SeriesGroupBy | None
    compare: Compare | None
    only: ModelChoice


def values_of(use: ModelUse, span: TimeSpan) -> dict[str, float]:
    """Return every column of a series over what models did in a whole window."""
    told = _told(use, span)
    return {name: float(column(told)) for name, column in _COLUMNS.items()}


def evidence_of(column: str, use: ModelUse, span: TimeSpan) -> int:
    """Return how many calls a column rests on."""
    return _EVIDENCE.get(column, _calls)(use, span)


def _calls(use: ModelUse, _: TimeSpan) -> int:
    return use.requests


def _timed(use: ModelUse, span: TimeSpan) -> int:
    return latency(use, span).sample_count


def _streamed(use: ModelUse, span: TimeSpan) -> int:
    return latency(use, span).time_to_first_chunk.sample_count


def _priced(use: ModelUse, span: TimeSpan) -> int:
    return reports.priced_evidence(reports.cost(use, span))


_EVIDENCE: Final[Mapping[str, Callable[[ModelUse, TimeSpan], int]]] = {
    **dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "mean_ms"), _timed),
    **dict.fromkeys(("first_chunk_p50_ms", "first_chunk_p95_ms"), _streamed),
    "cost_per_request_usd": _priced,
    "cache_hit_ratio": lambda use, _: use.cached_known,
}


def check_group(group_by: str | None) -> None:
    """Check what a series is told apart by.

    Raises:
        ValueError: there is no such thing.
    """
    known = (*_KEYS, "error_type")
    if group_by is not None and group_by not in known:
        raise ValueError(f"group_by must be one of {', '.join(known)}, not {group_by!r}")


def model_series(moment: Moment, span: TimeSpan, now_us: int, asked: SeriesAsked) -> Series:
    """Return what models did over time.

    Args:
        moment: of the store.
        span: the window.
        now_us: tells which step is running.
        asked: how it is told.
    """
    ask, horizon = moment.models, moment.horizon
    span, made = counted(span, ask), steps(span, now_us, asked.step)
    groups: tuple[SeriesGroup, ...] = ()
    if asked.group_by is None or asked.group_by == "error_type":
        together = ask.use_by_step(made, None, asked.only).get((), {})
        if asked.group_by == "error_type":
            groups = _error_groups(moment.call_facts.failed_by_step(made, asked.only), together, made, horizon)
    else:
        uses = ask.use_by_step(made, asked.group_by, asked.only)
        together = added_by_step(uses.values())
        groups = _groups(uses, asked.group_by, made, span, horizon)
    return Series(
        start=made.starts,
        step_seconds=made.seconds,
        partial=made.partial,
        columns=_columns(together, made, span, horizon),
        groups=groups,
        previous=_earlier(ask, horizon, earlier(span), now_us, asked) if asked.compare is not None else None,
        window=span.window,
    )


def _earlier(ask: StoredModels, horizon: int, span: TimeSpan, now_us: int, asked: SeriesAsked) -> EarlierSeries:
    span, made = counted(span, ask), steps(span, now_us, asked.step)
    uses = ask.use_by_step(made, None, asked.only).get((), {})
    return EarlierSeries(made.starts, _columns(uses, made, span, horizon), span.window)


def _columns(uses: Mapping[int, ModelUse], made: Steps, span: TimeSpan, horizon: int) -> Columns:
    """Return a number per column and step; all of a step that lies before the horizon is unknown."""
    told = [_told(uses.get(step, _NOTHING), span) if end > horizon else None for step, end in enumerate(made.edges[1:])]
    return {
        name: tuple(float(column(step)) if step is not None else nan for step in told)
        for name, column in _COLUMNS.items()
    }


def _told(use: ModelUse, span: TimeSpan) -> _Step:
    return _Step(
        use,
        percentiles(use, _LATENCIES),
        mean(use),
        (use.first_chunk or _NO_CHUNKS).quantiles(_FIRST_CHUNKS),
        reports.cost(use, span),
        reports.errors(use),
    )


def _groups(
    uses: Mapping[GroupKey, Mapping[int, ModelUse]], by: GroupBy, made: Steps, span: TimeSpan, horizon: int
) -> tuple[SeriesGroup, ...]:
    """Return the 20 groups with the most calls, the most first, and the others together."""
    ranked = sorted(uses, key=lambda key: (-sum(use.requests for use in uses[key].values()), key))
    largest, others = ranked[:MAX_GROUPS], ranked[MAX_GROUPS:]
    shown = [
        SeriesGroup(dict(zip(_KEYS[by], key, strict=True)), False, _columns(uses[key], made, span, horizon))
        for key in largest
    ]
    if others:
        shown.append(SeriesGroup({}, True, _columns(added_by_step(uses[key] for key in others), made, span, horizon)))
    return tuple(shown)


def _error_groups(
    failed: Mapping[str, Mapping[int, int]], together: Mapping[int, ModelUse], made: Steps, horizon: int
) -> tuple[SeriesGroup, ...]:
    """Return the errors of the 20 types that are the most frequent, and all others, of which some have no type."""
    ranked = sorted(failed, key=lambda error_type: (-sum(failed[error_type].values()), error_type))[:MAX_GROUPS]
    others = {
        step: use.errors - sum(failed[error_type].get(step, 0) for error_type in ranked)
        for step, use in together.items()
    }
    shown = [({"error_type": error_type}, False, failed[error_type]) for error_type in ranked]
    if any(n > 0 for n in others.values()):
        shown.append(({}, True, others))
    return tuple(SeriesGroup(key, other, {"errors": _counts(n, made, horizon)}) for key, other, n in shown)


def _counts(by_step: Mapping[int, int], made: Steps, horizon: int) -> tuple[float, ...]:
    return tuple(
        float(max(by_step.get(step, 0), 0)) if end > horizon else nan for step, end in enumerate(made.edges[1:])
    )
