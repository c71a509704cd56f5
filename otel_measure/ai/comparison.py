"""Two versions of a model side by side: each number with its interval, and by how much the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.ai.latency import all_bins, percentiles
from otel_measure.conventions import instruments
from otel_measure.definitions.kpis import Unit
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.windows import TimeSpan, Window
from otel_measure.stats.intervals import (
    UNKNOWN,
    Interval,
    difference_interval,
    fewest_values,
    ratio_interval,
    wilson_interval,
)
from otel_measure.stats.means import Moments, skewed_mean_interval
from otel_measure.store.types.models import CallMoments

ChangeVerdict: TypeAlias = Literal["higher", "lower", "unclear", "unknown"]
"""Which way a number differs beyond chance; unclear where the interval holds no difference."""

MIN_CALLS: Final = 20
"""Of fewer calls no interval of a mean is told."""


@dataclass(frozen=True, slots=True)
class ComparedNumber:
    """One number of two versions.

    Attributes:
        key, unit: which number it is.
        value, value_ci, samples: of the version, with its 95 % interval and the calls that it rests on.
        baseline, baseline_ci, baseline_samples: of the version that it is compared with.
        change: value / baseline - 1, or value - baseline where `change_is` says "absolute".
        change_ci: its 95 % interval.
        verdict: which way the whole interval lies.
        missing: why there is no interval, as a sentence, else empty.
    """

    key: str
    unit: str
    value: float
    value_ci: Interval
    samples: int
    baseline: float
    baseline_ci: Interval
    baseline_samples: int
    change: float
    change_ci: Interval
    change_is: Literal["relative", "absolute"]
    verdict: ChangeVerdict
    missing: str


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """A version of a model against another one, over one window."""

    model_name: str
    model_version: str
    baseline_version: str
    numbers: tuple[ComparedNumber, ...]
    window: Window


class UseOfVersion(NamedTuple):
    """What one version did, and how costs and tokens of its single calls are distributed."""

    use: ModelUse
    moments: CallMoments


class _Estimate(NamedTuple):
    """A number of one version; `missing` says why there is no interval."""

    value: float
    interval: Interval
    samples: int
    missing: str = ""


_QUANTILES: Final[Mapping[str, float]] = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


class _Mean(NamedTuple):
    """A number per call: its unit, how many calls tell it, their sum, and the distribution of those told singly."""

    unit: Unit | Literal["tokens"]
    known: Callable[[ModelUse], int]
    total: Callable[[ModelUse], float]
    moments: Callable[[CallMoments], Moments]


_MEANS: Final[Mapping[str, _Mean]] = {
    "cost_per_request_usd": _Mean(
        "usd", lambda use: use.priced, lambda use: use.cost_nano_usd / instruments.NANO, lambda all_: all_.cost_usd
    ),
    "input_tokens_per_request": _Mean(
        "tokens", lambda use: use.input_known, lambda use: use.input_tokens, lambda all_: all_.input_tokens
    ),
    "output_tokens_per_request": _Mean(
        "tokens", lambda use: use.output_known, lambda use: use.output_tokens, lambda all_: all_.output_tokens
    ),
}


def compare_versions(
    model_name: str, version: UseOfVersion, baseline: UseOfVersion, span: TimeSpan
) -> VersionComparison:
    """Compare two versions of a model number by number; each interval holds for itself in 95 of 100 cases."""
    return VersionComparison(
        model_name, version.use.version, baseline.use.version, tuple(_numbers(version, baseline)), span.window
    )


def _numbers(version: UseOfVersion, baseline: UseOfVersion) -> Iterator[ComparedNumber]:
    for key, q in _QUANTILES.items():
        yield _relative(key, "ms", _quantile(version.use, key, q), _quantile(baseline.use, key, q))
    yield _error_rate(version.use, baseline.use)
    for key, mean in _MEANS.items():
        yield _relative(key, mean.unit, _mean(version, mean), _mean(baseline, mean))


def _quantile(use: ModelUse, key: str, q: float) -> _Estimate:
    bins = all_bins(use)
    value, samples = percentiles(use, (q,))[0], bins.count
    needed = fewest_values(q)
    if samples < needed:
        name = key.removesuffix("_ms")
        return _Estimate(value, UNKNOWN, samples, f"{name} needs {needed} timed calls, {use.version} has {samples:,}")
    return _Estimate(value, bins.quantile_interval(q), samples)


def _mean(version: UseOfVersion, of: _Mean) -> _Estimate:
    use, moments = version.use, of.moments(version.moments)
    known = of.known(use)
    value = of.total(use) / known if known else nan
    if known < MIN_CALLS:
        return _Estimate(
            value, UNKNOWN, known, f"{MIN_CALLS} calls that tell it are needed, {use.version} has {known:,}"
        )
    if moments.n != known:
        why = f"of {known:,} calls of {use.version} that tell it, {moments.n:,} are kept singly"
        return _Estimate(value, UNKNOWN, known, why)
    return _Estimate(value, skewed_mean_interval(moments), known)


def _relative(key: str, unit: str, version: _Estimate, baseline: _Estimate) -> ComparedNumber:
    low, high = ratio_interval(version.value, version.interval, baseline.value, baseline.interval)
    missing = version.missing or baseline.missing
    if isnan(low) and not missing:
        missing = "an interval that reaches 0 tells no ratio"
    change = version.value / baseline.value - 1.0 if baseline.value > 0.0 else nan
    return _compared(key, unit, version, baseline, change, (low - 1.0, high - 1.0), "relative", missing)


def _error_rate(version: ModelUse, baseline: ModelUse) -> ComparedNumber:
    rates = [
        _Estimate(use.errors / use.requests, wilson_interval(use.errors, use.requests), use.requests)
        if use.requests
        else _Estimate(nan, UNKNOWN, 0, f"{use.version} was not called")
        for use in (version, baseline)
    ]
    interval = difference_interval((version.errors, version.requests), (baseline.errors, baseline.requests))
    change, missing = rates[0].value - rates[1].value, rates[0].missing or rates[1].missing
    return _compared("error_rate", "ratio", rates[0], rates[1], change, interval, "absolute", missing)


def _compared(
    key: str,
    unit: str,
    version: _Estimate,
    baseline: _Estimate,
    change: float,
    interval: Interval,
    change_is: Literal["relative", "absolute"],
    missing: str,
) -> ComparedNumber:
    return ComparedNumber(
        key, unit, version.value, version.interval, version.samples,
        baseline.value, baseline.interval, baseline.samples,
        change, interval, change_is, _verdict(interval), missing,
    )  # fmt: skip


def _verdict(interval: Interval) -> ChangeVerdict:
    low, high = interval
    if isnan(low):
        return "unknown"
    return "higher" if low > 0.0 else "lower" if high < 0.0 else "unclear"
