"""What models did over time: the columns of a series, of which only steps that may have changed are told anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from heapq import nsmallest
from itertools import pairwise
from math import nan
from typing import Final, NamedTuple, TypeAlias, TypeVar

from otel_measure.ai import reports
from otel_measure.ai.kept_steps import KeptSteps
from otel_measure.ai.latency import latency, mean, percentiles
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.series import Columns, Compare, EarlierSeries, Series, SeriesGroup
from otel_measure.definitions.steps import Steps, earlier, steps
from otel_measure.definitions.windows import TimeSpan, counted
from otel_measure.stats.histograms import ExponentialHistogram
from otel_measure.store.questions import Moment
from otel_measure.store.types.models import SLOT_US, GroupBy, GroupKey, ModelChoice, SeriesGroupBy

MAX_GROUPS: Final = 20
_KEYS: Final[Mapping[GroupBy, tuple[str, ...]]] = {
    "model": ("model_name",),
    "version": ("model_name", "model_version"),
    "provider": ("provider",),
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


_T = TypeVar("_T", str, GroupKey)
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
    """How a series is told: the step, what to tell apart, what to set beside it, and whose calls it is about."""

    step: str
    group_by: SeriesGroupBy | None
    compare: Compare | None
    only: ModelChoice
    service: str | None


def values_of(use: ModelUse, span: TimeSpan) -> dict[str, float]:
    """Return every column of a series over what models did in a whole window."""
    return dict(zip(_COLUMNS, _row(use, span), strict=True))


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


_Row: TypeAlias = tuple[float, ...]  # of a step, a number per column
_Key: TypeAlias = dict[str, str]


class _Groups(NamedTuple):
    """One step by groups: which of them are told apart, and the rows of these and, by an empty key, of all others."""

    apart: Set[GroupKey]
    rows: Mapping[GroupKey, _Row]


def _row(use: ModelUse, span: TimeSpan) -> _Row:
    """Return what the reports of one step say."""
    step = _Step(
        use,
        percentiles(use, _LATENCIES),
        mean(use),
        (use.first_chunk or _NO_CHUNKS).quantiles(_FIRST_CHUNKS),
        reports.cost(use, span),
        reports.errors(use),
    )
    return tuple([float(column(step)) for column in _COLUMNS.values()])


_NO_CALLS: Final = _row(ModelUse("", ""), TimeSpan(0, 1, 0, False, "UTC"))
_UNKNOWN: Final = (nan,) * len(_COLUMNS)


class SeriesTeller:
    """Tells what models did over time, and keeps what it told of each step until calls of its time change."""

    def __init__(self) -> None:
        self._together = KeptSteps[_Row](_NO_CALLS, len)
        self._requests = KeptSteps[Mapping[GroupKey, int]]({}, len)
        self._grouped = KeptSteps[_Groups](_Groups(frozenset(), {}), lambda step: len(step.rows) * len(_COLUMNS))
        self._failed = KeptSteps[Mapping[str, int]]({}, len)

    def of(self, moment: Moment, span: TimeSpan, now_us: int, asked: SeriesAsked) -> Series:
        """Return what models did over time.

        Args:
            moment: of the store.
            span: the window.
            now_us: tells which step is running.
            asked: how it is told.
        """
        span, made = counted(span, moment.models), steps(span, now_us, asked.step)
        together = self._rows_together(moment, made, span, asked)
        groups: tuple[SeriesGroup, ...] = ()
        if asked.group_by == "error_type":
            groups = self._error_groups(moment, together, made, asked)
        elif asked.group_by is not None:
            groups = self._groups(moment, asked.group_by, made, span, asked)
        previous = None
        if asked.compare is not None:
            before = counted(earlier(span), moment.models)
            made_before = steps(before, now_us, asked.step)
            rows = self._rows_together(moment, made_before, before, asked)
            previous = EarlierSeries(made_before.starts, _columns(rows, made_before, moment.horizon), before.window)
        columns = _columns(together, made, moment.horizon)
        return Series(made.starts, made.seconds, made.partial, columns, groups, previous, span.window)

    def _rows_together(self, moment: Moment, made: Steps, span: TimeSpan, asked: SeriesAsked) -> list[_Row]:
        def tell(which: Steps) -> Mapping[int, _Row]:
            uses = moment.models.use_by_step(which, None, asked.only).get((), {})
            return {step: _row(use, span) for step, use in uses.items()}

        return self._together.of(_question(moment, made, asked), moment, made, tell)

    def _groups(
        self, moment: Moment, by: GroupBy, made: Steps, span: TimeSpan, asked: SeriesAsked
    ) -> tuple[SeriesGroup, ...]:
        """Return the 20 groups with the most calls, the most first, and the others together."""
        question = (*_question(moment, made, asked), by)
        parts = replace(made, edges=tuple(sorted({*made.edges, *_whole_slots(made)})))
        requests = self._requests.of(
            question, moment, parts, lambda which: moment.models.requests_by_step(which, by, asked.only)
        )
        largest = _largest(_of_whole_slots(requests, parts))
        there: list[set[GroupKey]] = [set() for _ in made.edges[1:]]
        for start, of_part in zip(parts.edges, requests, strict=False):
            there[made.step_of(start)].update(of_part)
        apart = [keys.intersection(largest) for keys in there]

        def tell(which: Steps) -> Mapping[int, _Groups]:
            rows: dict[int, dict[GroupKey, _Row]] = {}
            for key, uses in moment.models.use_by_step(which, by, asked.only, frozenset(largest)).items():
                for step, use in uses.items():
                    rows.setdefault(step, {})[key] = _row(use, span)
            return {step: _Groups(apart[step], of_step) for step, of_step in rows.items()}

        told = self._grouped.of(question, moment, made, tell, lambda step, groups: groups.apart == apart[step])
        shown: list[tuple[_Key, GroupKey]] = [(dict(zip(_KEYS[by], key, strict=True)), key) for key in largest]
        if any(() in groups.rows for groups in told):
            shown.append(({}, ()))
        return tuple(
            SeriesGroup(
                name,
                not key,
                _columns([groups.rows.get(key, _NO_CALLS) for groups in told], made, moment.horizon),
            )
            for name, key in shown
        )

    def _error_groups(
        self, moment: Moment, together: Sequence[_Row], made: Steps, asked: SeriesAsked
    ) -> tuple[SeriesGroup, ...]:
        """Return the errors of the 20 types that are the most frequent, and all others, of which some have no type."""

        def tell(which: Steps) -> Mapping[int, Mapping[str, int]]:
            by_step: dict[int, dict[str, int]] = {}
            for error_type, in_steps in moment.call_facts.failed_by_step(which, asked.only).items():
                for step, n in in_steps.items():
                    by_step.setdefault(step, {})[error_type] = n
            return by_step

        failed = self._failed.of(_question(moment, made, asked), moment, made, tell)
        largest = _largest(failed)
        others = [
            row[_ERRORS] - sum(of_step.get(error_type, 0) for error_type in largest)
            for row, of_step in zip(together, failed, strict=True)
        ]
        shown: list[tuple[_Key, bool, Sequence[float]]] = [
            ({"error_type": error_type}, False, [of_step.get(error_type, 0) for of_step in failed])
            for error_type in largest
        ]
        if any(n > 0 for n in others):
            shown.append(({}, True, others))
        return tuple(
            SeriesGroup(key, is_other, {"errors": _known([max(float(n), 0.0) for n in counts], made, moment.horizon)})
            for key, is_other, counts in shown
        )


_ERRORS: Final = list(_COLUMNS).index("errors")


def _question(moment: Moment, made: Steps, asked: SeriesAsked) -> tuple[object, ...]:
    """Return what tells two series apart beside their groups and the time."""
    return asked.service, moment.models.environment, asked.only, made.seconds


def _whole_slots(made: Steps) -> tuple[int, int]:
    """Return from when to when a window has whole five minutes; all of it where it has none."""
    start, end = made.edges[0], made.edges[-1]
    first, last = start + -start % SLOT_US, end - end % SLOT_US
    return (first, last) if first < last else (start, end)


def _of_whole_slots(requests: Sequence[Mapping[_T, int]], parts: Steps) -> Iterator[Mapping[_T, int]]:
    """Yield the calls of each part of a window; of those in no whole five minutes only whose there were.

    So the largest are the same for five minutes at a time: which they are decides who the others are in every step.
    """
    first, last = _whole_slots(parts)
    for (start, end), of_part in zip(pairwise(parts.edges), requests, strict=True):
        yield of_part if first <= start and end <= last else dict.fromkeys(of_part, 0)


def _largest(by_step: Iterable[Mapping[_T, int]]) -> list[_T]:
    """Return the 20 that have the most in all steps, the most first."""
    totals: dict[_T, int] = {}
    for of_step in by_step:
        for key, n in of_step.items():
            totals[key] = totals.get(key, 0) + n
    return nsmallest(MAX_GROUPS, totals, key=lambda key: (-totals[key], key))


def _columns(rows: Sequence[_Row], made: Steps, horizon: int) -> Columns:
    """Return a number per column and step; all of a step that ends before the horizon is unknown."""
    known = [row if end > horizon else _UNKNOWN for row, end in zip(rows, made.edges[1:], strict=True)]
    return dict(zip(_COLUMNS, zip(*known, strict=True), strict=True))


def _known(numbers: Sequence[float], made: Steps, horizon: int) -> tuple[float, ...]:
    return tuple(n if end > horizon else nan for n, end in zip(numbers, made.edges[1:], strict=True))
