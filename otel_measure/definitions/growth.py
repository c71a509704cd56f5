"""What the metrics of one process tell of calls of models beyond those that are told one by one, and under which names.

Counted per process when something came, from all that its metrics have grown by in the last hours and all its single
calls of that time: so it depends on neither order nor batches. What is matched with what is told in `surplus.py`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from otel_measure.conventions import dialects, instruments, model_names, semconv
from otel_measure.definitions.cells import LARGEST
from otel_measure.definitions.model_ties import ModelNames, ModelTies
from otel_measure.definitions.signals import ModelSeries, Role
from otel_measure.definitions.streams import Increment
from otel_measure.definitions.surplus import MetricIncrement, Remainder, SingleCalls, surplus
from otel_measure.stats.binned import Bin

NEAREST_US: Final = 3_600_000_000
"""How far the answered call may lie whose version a call counts to that does not say its own."""


# Roles of which a single call does not tell an amount that could be taken off: what is left goes by the counts.
_BY_COUNT: Final[frozenset[Role]] = frozenset({"calls", "cached_input_tokens"})


class KnownSingles(NamedTuple):
    """Calls of a process that were told one by one, alike and of one second.

    Attributes:
        at_us: when they ended.
        names: what they say of their model.
        calls: how many.
        input_calls, input_tokens: how many know their tokens, and these; output and cost alike.
        counted: of how many the numbers are this process's own: of the others, another process tells.
    """

    at_us: int
    names: ModelNames
    failed: bool
    calls: int
    input_calls: int
    input_tokens: int
    output_calls: int
    output_tokens: int
    priced: int
    cost_nano_usd: int
    counted: int

    def of_role(self, role: Role) -> tuple[int, int]:
        """Return how many of them the role knows, and how much that is."""
        return {
            "calls": (self.calls, self.calls),
            "input_tokens": (self.input_calls, self.input_tokens),
            "cached_input_tokens": (self.input_calls, self.input_calls),
            "output_tokens": (self.output_calls, self.output_tokens),
            "cost": (self.priced, self.cost_nano_usd),
        }[role]


class Growth(NamedTuple):
    """What one series of a process has grown by over (after, until]."""

    key: int
    series: str
    after_us: int
    until_us: int
    increment: Increment

    @property
    def names(self) -> ModelNames:
        """What it says of the model."""
        said = self.increment.point.model_series
        return ModelNames(said.request_model or "", said.response_model or "") if said is not None else ModelNames()


def says_something(increment: Increment, series: ModelSeries) -> bool:
    """Tell whether an increment tells of calls: a cost of 0 says that its sender knows no price."""
    return series.role != "cost" or increment.value > 0


def left_of(growth: Sequence[Growth], singles: Sequence[KnownSingles], ties: ModelTies) -> dict[int, Increment | None]:
    """Return what is left of each increment, under the names of its calls; `None` where nothing is.

    Args:
        growth: of one process.
        singles: of the same process.
        ties: of its names.
    """
    answered = AnsweredCalls(
        [(each.at_us, each.names) for each in singles] + [(each.until_us, each.names) for each in growth], ties
    )
    counting = _counting_scopes(growth, ties)
    priced = {_named(each, ties, answered)[0] for each in growth if _role(each) == "cost"}
    share = _share_that_counts(singles)
    left: dict[int, Increment | None] = dict.fromkeys((each.key for each in growth), None)
    by_role: dict[tuple[Role, bool], list[Growth]] = defaultdict(list)
    for each in growth:
        if each.key in counting:
            by_role[_role(each), bool(each.increment.count)].append(each)
    for (role, has_counts), of_role in by_role.items():
        rest = surplus(_singles_of(singles, role, has_counts=has_counts), map(_metric_increment, of_role), ties)
        for each in of_role:
            model, version = _named(each, ties, answered)
            whole = _metric_increment(each)
            kept = Remainder(round(rest[each.key].units * share), round(rest[each.key].amount * share))
            left[each.key] = _less(each.increment, whole, kept, model, version, cost_comes=model in priced)
    return left


def _role(growth: Growth) -> Role:
    series = growth.increment.point.model_series
    assert series is not None  # only what tells of models is kept
    return series.role


def _scale(role: Role) -> float:
    return float(instruments.NANO) if role == "cost" else 1.0


def _metric_increment(growth: Growth) -> MetricIncrement:
    increment, role = growth.increment, _role(growth)
    amount = increment.count if role in _BY_COUNT else round(min(increment.value * _scale(role), LARGEST))
    series = increment.point.model_series
    return MetricIncrement(
        growth.key,
        growth.series,
        growth.after_us,
        growth.until_us,
        growth.names,
        _has_failures(series),
        increment.count or amount,
        amount,
    )


def _has_failures(series: ModelSeries | None) -> bool | None:
    """Tell whether a series is of failures alone, of successes alone, or nobody knows."""
    if series is None:
        return None
    if series.error_type:
        return True
    return False if dialects.failures_of(series.scope) in ("typed", "none") else None


def _singles_of(singles: Iterable[KnownSingles], role: Role, *, has_counts: bool) -> list[SingleCalls]:
    found = []
    for each in singles:
        calls, amount = each.of_role(role)
        units = calls if has_counts else amount
        if units:
            found.append(SingleCalls(each.at_us, each.names, each.failed, units, amount))
    return found


def _share_that_counts(singles: Sequence[KnownSingles]) -> float:
    """Return the share of a process's own calls whose numbers are its own: of the rest, a process behind it tells."""
    calls = sum(each.calls for each in singles)
    return sum(each.counted for each in singles) / calls if calls else 1.0


def _counting_scopes(growth: Sequence[Growth], ties: ModelTies) -> set[int]:
    """Return the keys of the increments that count: of scopes that tell of one model, the one that tells the most."""
    told: dict[tuple[Role, str], Counter[str]] = defaultdict(Counter)
    for each in growth:
        told[_role(each), _model(each, ties)][_scope(each)] += _metric_increment(each).units
    chosen = {model: min(scopes, key=lambda scope: (-scopes[scope], scope)) for model, scopes in told.items()}
    return {each.key for each in growth if _scope(each) == chosen[_role(each), _model(each, ties)]}


def _model(growth: Growth, ties: ModelTies) -> str:
    """Return the name asked for, "" where neither name is said."""
    return growth.names.asked or (ties.asked_of(growth.names.answered) if growth.names.answered else "")


def _scope(growth: Growth) -> str:
    series = growth.increment.point.model_series
    return series.scope if series is not None else ""


# ---------------------------------------------------------------- names


class AnsweredCalls:
    """The calls of a process that say which version answered, in order of time.

    Args:
        calls: times and names; those without an answer's name are passed over.
        ties: of the process.
    """

    def __init__(self, calls: Iterable[tuple[int, ModelNames]], ties: ModelTies) -> None:
        by_asked: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for at_us, names in calls:
            if names.answered:
                by_asked[names.asked or ties.asked_of(names.answered)].append((at_us, names.answered))
        self._by_asked = {asked: sorted(of_model) for asked, of_model in by_asked.items()}

    def nearest(self, asked: str, at_us: int) -> str | None:
        """Return the name that answered nearest in time within an hour (a tie: the earlier), `None` for none."""
        calls = self._by_asked.get(asked, ())
        i = bisect_left(calls, (at_us, ""))
        around = [calls[j] for j in (i - 1, i) if 0 <= j < len(calls) and abs(calls[j][0] - at_us) <= NEAREST_US]
        return min(around, key=lambda call: (abs(call[0] - at_us), call))[1] if around else None


def _named(growth: Growth, ties: ModelTies, answered: AnsweredCalls) -> tuple[str, str]:
    """Return model and version of what a series tells: what it does not say, the calls around it do."""
    asked, answer = growth.names
    model = asked or ties.asked_of(answer)
    return model, version_of(model, answer or answered.nearest(model, growth.until_us))


def version_of(model: str, answered: str | None) -> str:
    """Return the version of a model that answered."""
    return model_names.version_of(model, answered or None) or semconv.VERSION_UNKNOWN


# ---------------------------------------------------------------- what is left, as an increment


def _less(
    increment: Increment, whole: MetricIncrement, kept: Remainder, model: str, version: str, *, cost_comes: bool
) -> Increment | None:
    series = increment.point.model_series
    if not kept.units or series is None:
        return None
    point = replace(increment.point, model_series=series._replace(model=model, version=version))
    if kept == Remainder(whole.units, whole.amount):
        return replace(increment, point=point, cost_comes=cost_comes)
    by_count = series.role in _BY_COUNT
    value = increment.value * kept.units / whole.units if by_count else kept.amount / _scale(series.role)
    count = kept.units if increment.count else 0
    return Increment(point, value, count, scaled(increment.bins, count), increment.after_us, cost_comes)


def scaled(bins: Sequence[Bin], count: int) -> tuple[Bin, ...]:
    """Return bins of the same shape that hold `count` values, by the largest remainder."""
    total = sum(n for _, _, n in bins)
    if not total or count >= total:
        return tuple(bins)
    shares = [n * count / total for _, _, n in bins]
    whole = [int(share) for share in shares]
    by_remainder = sorted(range(len(bins)), key=lambda i: (whole[i] - shares[i], i))
    for i in by_remainder[: count - sum(whole)]:
        whole[i] += 1
    return tuple((low, high, n) for (low, high, _), n in zip(bins, whole, strict=True) if n)


def pairs_of(growth: Iterable[Growth], singles: Iterable[KnownSingles]) -> Mapping[ModelNames, int]:
    """Return the names that a process says, each as often as its single calls say it; metrics say it once."""
    pairs = Counter[ModelNames]()
    for single in singles:
        pairs[single.names] += single.calls
    for each in growth:
        pairs[each.names] += 1
    return pairs
