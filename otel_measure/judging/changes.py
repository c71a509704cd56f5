"""What changed against the time before: of every version of a model, of all calls together, and of users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from otel_measure.ai.latency import all_bins
from otel_measure.conventions import instruments
from otel_measure.definitions.changes import (
    CHANGE_LEVEL,
    MIN_EVIDENCE,
    Compared,
    changed,
    cost_variance,
    p_value_of,
    share_variance,
)
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.kpis import Unit
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.steps import LADDER, earlier, steps
from otel_measure.definitions.windows import TimeSpan, Window, counted
from otel_measure.stats.binned import Binned
from otel_measure.stats.blocks import BlockRatio, block_ratio, change_p_value
from otel_measure.stats.drops import BASELINE_WEEKS, RATIO_DAYS, WEEK, weekday_drop
from otel_measure.store.questions import Moment
from otel_measure.store.types.models import ModelChoice, ModelKey

MOST_BLOCKS: Final = 32
MOST_LOOKED_AT: Final = 100
"""Versions of models whose blocks are read; of the others nobody is told, which invents nothing."""
_P95: Final = 0.95
_HISTORY_DAYS: Final = max(RATIO_DAYS + WEEK, BASELINE_WEEKS * WEEK) + 1


@dataclass(frozen=True, slots=True)
class Change:
    """A number that is another one than before.

    Attributes:
        key, unit: which number: `error_rate`, `p95_ms`, `cost_per_request_usd` of a model, `requests` of all of them,
            `active_users`.
        kind, subject: "model" with name and version, "models" or "users".
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


class _Subject(NamedTuple):
    key: str
    unit: Unit | str
    kind: str
    subject: str


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
        "ms", lambda use, p95: (all_bins(use).above(p95), all_bins(use).count),
        lambda use: all_bins(use).quantile(_P95).value, share_variance,
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


def changes(moment: Moment, span: TimeSpan, now_us: int) -> Changes:
    """Return what changed in a window against the equally long time before it.

    Numbers of a model are compared by blocks of time; those that cannot have changed beyond doubt, as their sums tell,
    need none. Requests and users are those of the last complete day, against the same weekdays before.
    """
    span = counted(span, moment.models)
    before = counted(earlier(span), moment.models)
    subjects: list[_Subject] = []
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
    for subject, one in _of_days(moment, span):
        subjects.append(subject)
        compared.append(one)
    told = tuple(
        Change(*subjects[i], compared[i].value, compared[i].before, compared[i].change, p) for i, p in changed(compared)
    )
    return Changes(told, len(compared), span.window, before.window)


def _of_models(
    moment: Moment, span: TimeSpan, before: TimeSpan
) -> Iterator[tuple[_Subject, Compared, _Candidate | None]]:
    """Yield every number of every model that was called in both windows; the p-value is the least that it can be."""
    earlier_uses = {(use.model, use.version): use for use in moment.models.model_use(before.start, before.end)}
    for use in moment.models.model_use(span.start, span.end):
        key = (use.model, use.version)
        then = earlier_uses.get(key)
        if then is None or not use.requests or not then.requests:
            continue
        both = Binned()
        both.merge(all_bins(use))
        both.merge(all_bins(then))
        p95_ms = both.quantile(_P95).value
        for name, number in _NUMBERS.items():
            value, was = number.value(use), number.value(then)
            if isnan(value) or isnan(was):
                continue
            one = Compared(value, was, _least_p_value(number, use, then, p95_ms))
            may_have = one.is_large and one.p_value < CHANGE_LEVEL
            candidate = _Candidate(0, key, number, p95_ms) if may_have else None
            subject = _Subject(name, number.unit, "model", " ".join(key))
            yield subject, one if candidate else one._replace(p_value=1.0), candidate


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
    length_s = (span.end - span.start) / 1_000_000
    step = next((name for name, seconds in LADDER.items() if length_s <= MOST_BLOCKS * seconds), "1w")
    made = steps(span, now_us, step)
    return list(moment.models.use_by_step(made, None, ModelChoice(*candidate.model)).get((), {}).values())


def _of_days(moment: Moment, span: TimeSpan) -> Iterator[tuple[_Subject, Compared]]:
    """Yield what days have, the last complete one against the same weekdays before."""
    zone, last = ZoneInfo(span.timezone), span.day - span.is_today
    days = Days(last - _HISTORY_DAYS + 1, last)
    active = moment.users.active_by_day(days)
    by_key = {
        "requests": ("models", [_requests(moment, day, zone) for day in range(days.first, last + 1)]),
        "active_users": ("users", [active.get(day, 0) for day in range(days.first, last + 1)]),
    }
    for key, (kind, counts) in by_key.items():
        first = next((i for i, count in enumerate(counts) if count), len(counts))
        drop = weekday_drop(counts[first:])
        if not isnan(drop.p_value):
            yield _Subject(key, "", kind, ""), Compared(float(counts[-1]), drop.before, min(drop.p_value, 1.0))


def _requests(moment: Moment, day: int, zone: ZoneInfo) -> int:
    sums = moment.calls.call_sums(day_start(day, zone), day_start(day + 1, zone))
    return sum(one.requests for one in sums.values())
