"""What changed against the time before: of every version of a model, of all calls together, of users and services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, NamedTuple

from otel_measure.ai.latency import percentiles, slower_than, together
from otel_measure.conventions import instruments
from otel_measure.definitions.changes import (
    CHANGE_LEVEL,
    MIN_EVIDENCE,
    ChangeSubject,
    Compared,
    changed,
    cost_variance,
    p_value_of,
    share_variance,
)
from otel_measure.definitions.kpis import Unit
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.steps import LADDER, earlier, steps
from otel_measure.definitions.windows import TimeSpan, Window, counted
from otel_measure.judging.compared_days import KeptDays, compared_days
from otel_measure.stats.blocks import BlockRatio, block_ratio, change_p_value
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import ModelChoice, ModelKey

MOST_BLOCKS: Final = 32
MOST_LOOKED_AT: Final = 100
"""Versions of models whose blocks are read; of the others nobody is told, which invents nothing."""
_P95: Final = 0.95


@dataclass(frozen=True, slots=True)
class Change:
    """A number that is another one than before.

    Attributes:
        key, unit: which number: `error_rate`, `p95_ms`, `cost_per_request_usd` and `requests` of a model, `requests` of
            all of them, `active_users` and `converted_users`, `downtime_ratio` of a service.
        kind, subject: "model" with name and version, "models", "users", or "service" with its name.
        value, before: now and in the time before; of requests and users yesterday, and the mean of the same weekdays.
        change: by which share it is larger; `nan` where it was 0.
        p_value: after Holm's correction for everything that was compared.
    """

    key: str
    unit: str
    kind: str
    subject: str
    value: float
    before: float
    change: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, the largest change first, of `compared` numbers."""

    changes: tuple[Change, ...]
    compared: int
    window: Window
    previous: Window


class _Number(NamedTuple):
    """A ratio of calls of a model: its parts in a time, what it is in it, and how much one call strays at least."""

    unit: Unit
    parts: Callable[[ModelUse, float], tuple[float, float]]
    value: Callable[[ModelUse], float]
    least_variance: Callable[[BlockRatio, BlockRatio], float]


def _cost(use: ModelUse) -> float:
    return use.cost_nano_usd / instruments.NANO


_NUMBERS: Final[Mapping[str, _Number]] = {
    "error_rate": _Number(
        "ratio", lambda use, _: (use.errors, use.requests), lambda use: use.errors / use.requests, share_variance
    ),
    # The share of calls that took longer than the p95 of both windows together.
    "p95_ms": _Number(
        "ms", slower_than, lambda use: percentiles(use, (_P95,))[0], share_variance,
    ),
    "cost_per_request_usd": _Number(
        "usd", lambda use, _: (_cost(use), use.priced),
        lambda use: _cost(use) / use.priced if use.priced else nan, cost_variance,
    ),
}  # fmt: skip


class _Candidate(NamedTuple):
    """A number of a model that may have changed, as far as its sums tell."""

    at: int
    model: ModelKey
    number: _Number
    p95_ms: float


def changes(
    moment: Moment,
    span: TimeSpan,
    now_us: int,
    where: Filter,
    kept: KeptDays,
    services: Iterable[tuple[ChangeSubject, Compared]] = (),
) -> Changes:
    """Return what changed in a window against the equally long time before it.

    Numbers of a model are compared by blocks of time; those that cannot have changed beyond doubt, as their sums tell,
    need none. Calls by the day and users are those of the last complete day, against the same weekdays before.

    Args:
        moment: of the store.
        span: the window.
        now_us: the time of the question.
        where: whose calls and users; those of the moment.
        kept: the calls of days as they were told before.
        services: what was compared of them.
    """
    span = counted(span, moment.models)
    before = counted(earlier(span), moment.models)
    subjects: list[ChangeSubject] = []
    compared: list[Compared] = []
    candidates: list[_Candidate] = []
    for subject, one, candidate in _of_models(moment, span, before):
        if candidate is not None:
            candidates.append(candidate._replace(at=len(compared)))
        subjects.append(subject)
        compared.append(one)
    candidates.sort(key=lambda candidate: compared[candidate.at].p_value)
    for rank, candidate in enumerate(candidates):
        p_value = _by_blocks(moment, candidate, span, before, now_us) if rank < MOST_LOOKED_AT else 1.0
        compared[candidate.at] = compared[candidate.at]._replace(p_value=p_value)
    for subject, one in (*compared_days(moment, span, where, kept), *services):
        subjects.append(subject)
        compared.append(one)
    told = tuple(
        Change(*subjects[i], compared[i].value, compared[i].before, compared[i].change, p) for i, p in changed(compared)
    )
    return Changes(told, len(compared), span.window, before.window)


def _of_models(
    moment: Moment, span: TimeSpan, before: TimeSpan
) -> Iterator[tuple[ChangeSubject, Compared, _Candidate | None]]:
    """Yield every number of every model that was called in both windows; the p-value is the least that it can be."""
    earlier_uses = {(use.model, use.version): use for use in moment.models.model_use(before.start, before.end)}
    for use in moment.models.model_use(span.start, span.end):
        key = (use.model, use.version)
        then = earlier_uses.get(key)
        if then is None or not use.requests or not then.requests:
            continue
        for name, number in _NUMBERS.items():
            one = Compared(number.value(use), number.value(then), 1.0)
            if isnan(one.value) or isnan(one.before):
                continue
            candidate = None
            if one.is_large:
                p95_ms = together(use, then, _P95) if name == "p95_ms" else nan
                p_value = _least_p_value(number, use, then, p95_ms)
                if p_value < CHANGE_LEVEL:
                    one, candidate = one._replace(p_value=p_value), _Candidate(0, key, number, p95_ms)
            yield ChangeSubject(name, number.unit, "model", " ".join(key)), one, candidate


def _least_p_value(number: _Number, use: ModelUse, then: ModelUse, p95_ms: float) -> float:
    """Return the p-value as if calls were independent and the spread known: blocks only make it larger."""
    sums = [number.parts(one, p95_ms) for one in (use, then)]
    if min(total for _, total in sums) < MIN_EVIDENCE:
        return 1.0
    now, before = (BlockRatio(part / total, total, 0.0, 1e9) for part, total in sums)
    return change_p_value(now, before, number.least_variance(now, before))


def _by_blocks(moment: Moment, candidate: _Candidate, span: TimeSpan, before: TimeSpan, now_us: int) -> float:
    now, then = (
        block_ratio(candidate.number.parts(use, candidate.p95_ms) for use in _blocks(moment, candidate, one, now_us))
        for one in (span, before)
    )
    if not now.total or not then.total:
        return 1.0
    return p_value_of(now, then, candidate.number.least_variance(now, then))


def _blocks(moment: Moment, candidate: _Candidate, span: TimeSpan, now_us: int) -> list[ModelUse]:
    made = steps(span, now_us, block_length(span))
    return list(moment.models.use_by_step(made, None, ModelChoice(*candidate.model)).get((), {}).values())


def block_length(span: TimeSpan) -> str:
    """Return how long the blocks of a window are: the shortest steps of which it has 32 at most."""
    length_s = (span.end - span.start) / 1_000_000
    return next((name for name, seconds in LADDER.items() if length_s <= MOST_BLOCKS * seconds), "1w")
