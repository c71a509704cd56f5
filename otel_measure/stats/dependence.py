"""How much records in their order of time tell: as much as fewer ones that do not depend on each other.

A mean over n records of a stationary series varies as one over n / T independent records, with the integrated
autocorrelation time ``T = 1 + 2 (rho_1 + rho_2 + ...)``. T is read off an autoregressive model, as R's
``coda::effectiveSize`` does after Heidelberger and Welch (1981). Its order is chosen by Schwarz's criterion, so that
independent records have T = 1 and not nearly 1. A statistic of counts over n records is then taken as one over n / T,
which is the first-order correction of Rao and Scott (1981).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import log, log10
from operator import eq, mul
from statistics import median
from typing import Final, TypeAlias, TypeVar

from otel_measure.stats.cells import MIN_SAMPLES, Category, Value, finite_numbers, is_numeric, present_values

LEAST_LEARNT_FROM: Final = 100
MAX_LEARNT_FROM: Final = 1000
PARTS: Final = 3
PATIENCE: Final = 8
_NEARLY_NOTHING: Final = 1e-12
_Part: TypeAlias = tuple[Iterator[float], int]  # autocovariances by lag, and of how many values
T = TypeVar("T")


def autocorrelation_time(values: Sequence[Value]) -> float:
    """How many of these values, in their order of time, tell as much as one independent value.

    Numbers are looked at as ranks and as squared ranks (a level and a spread can both persist; the slower one counts),
    other values by how often the same one comes again. The median over three parts is taken, so that one shift of the
    level in between is not mistaken for dependence.

    Returns:
        The integrated autocorrelation time, at least 1; 1 for values that do not vary.
    """
    present = present_values(values)
    if not is_numeric(present):
        return _median_time([_of_categories(part) for part in _parts(present)])
    ranks = _ranks(finite_numbers(present))
    return max(
        _median_time([_of_numbers(part) for part in _parts(series)]) for series in (ranks, [u * u for u in ranks])
    )


def known_time(values: Sequence[Value]) -> float | None:
    """The autocorrelation time of values that are enough to tell: None where they are not.

    Read off few values it is far too small, and clean windows alarm (AR(1) with 0.9, 50 values: in 7 to 11 % of cases;
    ``tests.stats.simulated_learning``). 100 are needed, and as many as 50 independent ones, or 1,000.
    """
    if len(values) < LEAST_LEARNT_FROM:
        return None
    time = autocorrelation_time(values)
    return time if len(values) >= min(MAX_LEARNT_FROM, MIN_SAMPLES * time) else None


def ar_time(covariances: Iterable[float], n: int) -> float:
    """The integrated autocorrelation time of the autoregressive model of n values with these autocovariances.

    The Levinson-Durbin recursion gives the models of one order after the other; the one with the smallest
    n log(error) + order log(n) is taken, once it was the smallest for 8 orders.

    Returns:
        The time, at least 1; 1 where the variance (the first autocovariance) is 0.
    """
    lags = iter(covariances)
    known = [next(lags)]
    error = variance = known[0]
    if variance <= _NEARLY_NOTHING:
        return 1.0
    coefficients: list[float] = []
    least, best_order, time = n * log(error), 0, 1.0
    for order, covariance in enumerate(lags, 1):
        reflection = (covariance - sum(map(mul, coefficients, known[:0:-1]))) / error
        if abs(reflection) >= 1.0 or order > best_order + PATIENCE:  # no stationary model has such a reflection
            break
        known.append(covariance)
        before = reversed(coefficients)
        coefficients = [*(a - reflection * b for a, b in zip(coefficients, before, strict=True)), reflection]
        error *= 1.0 - reflection * reflection
        criterion = n * log(max(error, _NEARLY_NOTHING * variance)) + order * log(n)
        if criterion < least:
            least, best_order, time = criterion, order, error / (1.0 - sum(coefficients)) ** 2 / variance
    return max(1.0, time)


def _median_time(parts: Sequence[_Part]) -> float:
    return median(ar_time(covariances, n) for covariances, n in parts) if parts else 1.0


def _parts(series: Sequence[T]) -> list[Sequence[T]]:
    size = len(series) // PARTS
    return [series[k * size : (k + 1) * size] for k in range(PARTS)] if size > 1 else []


def _lags(n: int) -> range:
    """Every lag up to the largest order that is tried, which is the one that R's ``ar`` tries."""
    return range(min(n - 1, int(10.0 * log10(n))) + 1)


def _of_numbers(numbers: Sequence[float]) -> _Part:
    n = len(numbers)
    mean = sum(numbers) / n
    centred = [x - mean for x in numbers]
    return (sum(map(mul, centred, centred[lag:])) / n for lag in _lags(n)), n


def _of_categories(values: Sequence[Category]) -> _Part:
    """Autocovariances of the indicators of all categories, summed: how much oftener than by chance one comes again."""
    n = len(values)
    by_chance = sum(count * count for count in Counter(values).values()) / n / n
    return (sum(map(eq, values, values[lag:])) / n - (n - lag) / n * by_chance for lag in _lags(n)), n


def _ranks(numbers: Sequence[float]) -> list[float]:
    """Middle ranks as shares of the whole, less a half."""
    ordered = sorted(numbers)
    whole = 2.0 * len(ordered)
    rank_of = {x: (bisect_left(ordered, x) + bisect_right(ordered, x)) / whole - 0.5 for x in set(ordered)}
    return [rank_of[x] for x in numbers]
