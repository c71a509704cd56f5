"""Drift of a model's inputs and outputs: how far a window is from the reference, and how sure one may be.

The score says how far, whatever the sample size; the e-value says how sure, however often one looks. Under no drift
the expectation of an e-value is at most 1, so e >= 1,000 happens in at most one of a thousand windows, even when it is
looked at after every record (Ville's inequality). A window starts afresh: a test that never resets grows blind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import exp, inf, lgamma, log, log2, sqrt
from operator import add
from statistics import NormalDist
from typing import Final, Literal, TypeAlias

from otel_measure.stats.cells import MAX_BINS, MIN_SAMPLES, Cells

Status: TypeAlias = Literal["no_drift", "minor_drift", "moderate_drift", "severe_drift"]

KAPPAS: Final = (10.0, 100.0, 1_000.0, 10_000.0)
ALPHA: Final = 0.001
NEEDED_SHIFT: Final = 2.0
_NORMAL: Final = NormalDist()
_LARGEST_SHIFT: Final = 10.0
_SHIFT_STEP: Final = 0.001
STATUS_FROM: Final[tuple[tuple[float, Status], ...]] = (
    (0.3, "severe_drift"),
    (0.2, "moderate_drift"),
    (0.1, "minor_drift"),
)


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """Drift of one feature in one window.

    Attributes:
        cells: how many cells both are compared over.
        score: 0 (same distribution) .. 1 (nothing in common); 0.1 is about a mean shift of 0.24 standard deviations.
        log_e: natural logarithm of the e-value against "no drift".
        samples: values of the window.
        reference_samples: values of the reference.
        autocorrelation_time: how many values tell as much as one independent value.
    """

    score: float
    log_e: float
    samples: int
    reference_samples: int
    autocorrelation_time: float = 1.0
    cells: int = MAX_BINS

    @property
    def alarm(self) -> bool:
        """Whether this feature, looked at alone, has drifted: e >= 1,000."""
        return self.log_e >= -log(ALPHA)

    @property
    def effective_samples(self) -> float:
        """How many independent values tell as much as those of the window."""
        return self.samples / self.autocorrelation_time

    def least_shift(self, features: int) -> float:
        """The mean shift, in standard deviations, that this window would have shown among so many features."""
        return least_shift(self.samples, self.reference_samples, self.autocorrelation_time, features, self.cells)


@dataclass(frozen=True, slots=True)
class ModelDrift:
    """Drift of a model in one window, over its prediction and features.

    Attributes:
        status: by ``score``, and only when ``alarm``.
        score: the largest score among ``drifted``, else among all features.
        alarm: whether the mean e-value reaches 1,000.
        log_e: natural logarithm of the mean e-value.
        drifted: the features listed by e-BH, in the order given.
        features: every feature that has a verdict.
        not_judged: why every other feature has none.
    """

    status: Status
    score: float
    alarm: bool
    log_e: float
    drifted: tuple[str, ...]
    features: Mapping[str, FeatureDrift]
    not_judged: Mapping[str, str]


def feature_drift(cells: Cells, counts: Sequence[int], time: float = 1.0) -> FeatureDrift | None:
    """Drift of one feature, from the counts of a window over its cells.

    Args:
        cells: of the reference.
        counts: of the window.
        time: the autocorrelation time: so many values, of the window and of the reference, count as one.

    Returns:
        The drift; None (no verdict) under 50 independent values in the window, or 50 values in the reference.
    """
    folded = cells.fold(counts)
    samples = sum(folded)
    if samples < MIN_SAMPLES * time or cells.samples < MIN_SAMPLES:
        return None
    score = drift_score(folded, cells.alpha, cells.samples, time)
    return FeatureDrift(score, log_e_value(folded, cells.alpha, time), samples, cells.samples, time, len(cells.alpha))


def reason_without_verdict(cells: Cells, counts: Sequence[int], time: float = 1.0) -> str:
    """Why ``feature_drift`` gives no verdict, as words."""
    if cells.samples < MIN_SAMPLES:
        return f"{cells.samples} values in the reference; {MIN_SAMPLES} are needed"
    if time == inf:
        return "too few records have come to tell how much each depends on those before it"
    *_, missing, wrong_type = counts
    samples = sum(counts) - missing - wrong_type
    beside = f" beside {missing} missing ones and {wrong_type} of another type" if missing or wrong_type else ""
    if samples < MIN_SAMPLES:
        return f"{samples} values in the window{beside}; {MIN_SAMPLES} are needed"
    worth = f"each depends on those before it, so that all tell as much as {int(samples / time)} independent ones"
    return f"{samples} values in the window{beside}: {worth}; {MIN_SAMPLES} are needed"


def model_drift(
    reference: Mapping[str, Cells], counts: Mapping[str, Sequence[int]], times: Mapping[str, float] | None = None
) -> ModelDrift | None:
    """Drift of a model, from the counts of a window per feature (its prediction is one of them).

    Every feature with enough values has a part in the evidence. One that is not listed as drifted has a verdict where a
    mean shift of 2 standard deviations would have been found: otherwise nothing speaks against drift.

    Args:
        reference: the cells of each feature.
        counts: of the window, per feature.
        times: autocorrelation times, 1 where none is given.

    Returns:
        The drift; None when no feature has a verdict.
    """
    features: dict[str, FeatureDrift] = {}
    not_judged: dict[str, str] = {}
    for name, cells in reference.items():
        if name in counts:
            time = 1.0 if times is None else times.get(name, 1.0)
            drift = feature_drift(cells, counts[name], time)
            if drift is None:
                not_judged[name] = reason_without_verdict(cells, counts[name], time)
            else:
                features[name] = drift
    if not features:
        return None
    log_es = {name: drift.log_e for name, drift in features.items()}
    drifted = e_bh(log_es)
    log_e = log_mean_exp(list(log_es.values()))
    alarm = log_e >= -log(ALPHA)
    judged: dict[str, FeatureDrift] = {}
    for name, drift in features.items():
        least = 0.0 if alarm or name in drifted else drift.least_shift(len(features))
        if least <= NEEDED_SHIFT:
            judged[name] = drift
        else:
            not_judged[name] = _reason_without_power(drift, least)
    if not judged:
        return None
    score = max(judged[name].score for name in drifted or judged)
    status = drift_status(score) if alarm else "no_drift"
    return ModelDrift(status, score, alarm, log_e, drifted, judged, not_judged)


def _reason_without_power(drift: FeatureDrift, least: float) -> str:
    would = (
        "no mean shift would be found" if least == inf else f"the least mean shift that would be found is {least:.2g} σ"
    )
    time = drift.autocorrelation_time
    of = (
        f"{int(drift.samples / time)} independent values against {int(drift.reference_samples / time)} of the reference"
    )
    return f"of {of} {would}; one of {NEEDED_SHIFT:.0f} σ has to be"


def drift_status(score: float) -> Status:
    """The status of an alarm by its score: minor from 0.1, moderate from 0.2, severe from 0.3."""
    return next((status for floor, status in STATUS_FROM if score >= floor), "no_drift")


def drift_score(counts: Sequence[int], alpha: Sequence[float], reference_samples: int, time: float = 1.0) -> float:
    """Jensen-Shannon distance (base 2) of window and reference, corrected for what chance alone would give.

    With p = alpha / sum(alpha), q = counts / n over the same K cells as the e-value, and T the autocorrelation time:
    ``sqrt(max(0, JSD(p, q) - (K - 1) (T/n + T/m) / (8 ln 2)))``, in 0..1; 0 for an empty window.
    """
    n, total = sum(counts), sum(alpha)
    if not n:
        return 0.0
    p, q = [a / total for a in alpha], [c / n for c in counts]
    middle = [(a + b) / 2.0 for a, b in zip(p, q, strict=True)]
    divergence = _entropy(middle) - (_entropy(p) + _entropy(q)) / 2.0
    bias = (len(p) - 1) * time * (1.0 / n + 1.0 / reference_samples) / (8.0 * log(2.0))
    return sqrt(max(0.0, divergence - bias))


def log_e_value(counts: Sequence[float], alpha: Sequence[float], time: float = 1.0) -> float:
    """Natural logarithm of the e-value that ``counts`` are not from where the reference is from.

    With DM the Dirichlet-multinomial likelihood of the counts in one order:
    ``logmeanexp over kappa of log DM(c; kappa alpha / sum(alpha)) - log DM(c; alpha)``. While a window grows the
    e-value is a martingale of mean 1 under the reference's predictive distribution. Of values that depend on each other
    so many as the autocorrelation time count as one: c, alpha and kappa are divided by it.
    """
    shares = [c / time for c in counts]
    n = sum(shares)
    null, *alternatives = [
        constant + sum(map(lgamma, map(add, shape, shares))) - lgamma(total + n)
        for shape, total, constant in _dirichlets(tuple(alpha), time)
    ]
    return log_mean_exp(alternatives) - null


@lru_cache(maxsize=1024)
def least_shift(samples: int, reference_samples: int, time: float, features: int, cells: int = MAX_BINS) -> float:
    """The mean shift of a normally distributed feature that its window would have shown in 95 of 100 cases.

    It is the shift, alone among ``features``, at which the expected counts in the cells of the reference, taken as
    equal bins, reach the evidence of an alarm, and 1.645 standard errors of the difference of two means more.

    Args:
        samples: values of the window.
        reference_samples: values of the reference.
        time: the autocorrelation time of both.
        features: how many share the mean e-value.
        cells: how many the reference has.

    Returns:
        The shift in standard deviations; inf where even one of 10 would not have been found.
    """
    alpha = (reference_samples / cells,) * cells
    edges = [_NORMAL.inv_cdf(k / cells) for k in range(1, cells)]
    needed = log(features) - log(ALPHA)

    def is_found(shift: float) -> bool:
        below = [0.0, *(_NORMAL.cdf(edge - shift) for edge in edges), 1.0]
        return log_e_value([samples * (b - a) for a, b in pairwise(below)], alpha, time) >= needed

    low, high = 0.0, _LARGEST_SHIFT
    if not is_found(high):
        return inf
    while high - low > _SHIFT_STEP:
        middle = (low + high) / 2.0
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return high + 1.645 * sqrt(time * (1.0 / samples + 1.0 / reference_samples))


def e_bh(log_es: Mapping[str, float], alpha: float = ALPHA) -> tuple[str, ...]:
    """The names whose e-values are listed at false discovery rate ``alpha`` under any dependence (Wang, Ramdas 2022).

    The k largest of K are listed, k the largest with ``e_(k) >= K / (k alpha)``.
    """
    ranked = sorted(log_es.values(), reverse=True)
    passed = [e for k, e in enumerate(ranked, 1) if e >= log(len(ranked) / (k * alpha))]
    least = passed[-1] if passed else inf
    return tuple(name for name, e in log_es.items() if e >= least)


def log_mean_exp(logarithms: Sequence[float]) -> float:
    """Logarithm of the mean of the numbers with these (one or more) natural logarithms."""
    top = max(logarithms)
    return top + log(sum(exp(x - top) for x in logarithms) / len(logarithms))


@lru_cache(maxsize=4096)
def _dirichlets(alpha: tuple[float, ...], time: float) -> tuple[tuple[tuple[float, ...], float, float], ...]:
    """Shape, its sum and the part of log DM without counts: of the null first, then per kappa."""
    total = sum(alpha)
    scales = (1.0, *(kappa / total for kappa in KAPPAS))
    shapes = [tuple(scale * a / time for a in alpha) for scale in scales]
    return tuple((shape, sum(shape), lgamma(sum(shape)) - sum(map(lgamma, shape))) for shape in shapes)


def _entropy(shares: list[float]) -> float:
    """Shannon entropy in bits."""
    return -sum([x * log2(x) for x in shares if x])
