"""Drift of a model's inputs and outputs: how far a window is from the reference, and how sure one may be.

The score says how far, whatever the sample size; the e-value says how sure, however often one looks. Under no drift
the expectation of an e-value is at most 1, so e >= 1,000 happens in at most one of a thousand windows, even when it is
looked at after every record (Ville's inequality). A window starts afresh: a test that never resets grows blind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, lgamma, log, log2, sqrt
from operator import add
from typing import Final, Literal, TypeAlias

from otel_measure.stats.cells import MIN_SAMPLES, Cells

Status: TypeAlias = Literal["no_drift", "minor_drift", "moderate_drift", "severe_drift"]

KAPPAS: Final = (10.0, 100.0, 1_000.0, 10_000.0)
ALPHA: Final = 0.001
MIN_EXPECTED: Final = 5.0
STATUS_FROM: Final[tuple[tuple[float, Status], ...]] = (
    (0.3, "severe_drift"),
    (0.2, "moderate_drift"),
    (0.1, "minor_drift"),
)


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """Drift of one feature in one window.

    Attributes:
        score: 0 (same distribution) .. 1 (nothing in common); 0.1 is about a mean shift of 0.24 standard deviations.
        log_e: natural logarithm of the e-value against "no drift".
        samples: values of the window.
        reference_samples: values of the reference.
    """

    score: float
    log_e: float
    samples: int
    reference_samples: int

    @property
    def alarm(self) -> bool:
        """Whether this feature, looked at alone, has drifted: e >= 1,000."""
        return self.log_e >= -log(ALPHA)


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
    """

    status: Status
    score: float
    alarm: bool
    log_e: float
    drifted: tuple[str, ...]
    features: Mapping[str, FeatureDrift]


def feature_drift(cells: Cells, counts: Sequence[int]) -> FeatureDrift | None:
    """Drift of one feature, from the counts of a window over its cells.

    Returns:
        The drift; None (no verdict) under 50 values in the window or in the reference.
    """
    folded = cells.fold(counts)
    samples = sum(folded)
    if samples < MIN_SAMPLES or cells.samples < MIN_SAMPLES:
        return None
    score = drift_score(folded, cells.alpha, cells.samples)
    return FeatureDrift(score, log_e_value(folded, cells.alpha), samples, cells.samples)


def model_drift(reference: Mapping[str, Cells], counts: Mapping[str, Sequence[int]]) -> ModelDrift | None:
    """Drift of a model, from the counts of a window per feature (its prediction is one of them).

    Returns:
        The drift; None when no feature has a verdict.
    """
    judged = {name: feature_drift(cells, counts[name]) for name, cells in reference.items() if name in counts}
    features = {name: drift for name, drift in judged.items() if drift is not None}
    if not features:
        return None
    log_es = {name: drift.log_e for name, drift in features.items()}
    drifted = e_bh(log_es)
    log_e = log_mean_exp(list(log_es.values()))
    alarm = log_e >= -log(ALPHA)
    score = max(features[name].score for name in drifted or features)
    status = drift_status(score) if alarm and drifted else "no_drift"
    return ModelDrift(status, score, alarm, log_e, drifted, features)


def drift_status(score: float) -> Status:
    """The status of an alarm by its score: minor from 0.1, moderate from 0.2, severe from 0.3."""
    return next((status for floor, status in STATUS_FROM if score >= floor), "no_drift")


def drift_score(counts: Sequence[int], alpha: Sequence[float], reference_samples: int) -> float:
    """Jensen-Shannon distance (base 2) of window and reference, corrected for what chance alone would give.

    With p = alpha / sum(alpha), q = counts / n and neighbouring cells pooled until each expects 5 values (K' left):
    ``sqrt(max(0, JSD(p, q) - (K' - 1) (1/n + 1/m) / (8 ln 2)))``, in 0..1; 0 for an empty window.
    """
    n = sum(counts)
    if not n:
        return 0.0
    p, q = _pooled(counts, alpha)
    middle = [(a + b) / 2.0 for a, b in zip(p, q, strict=True)]
    divergence = _entropy(middle) - (_entropy(p) + _entropy(q)) / 2.0
    bias = (len(p) - 1) * (1.0 / n + 1.0 / reference_samples) / (8.0 * log(2.0))
    return sqrt(max(0.0, divergence - bias))


def log_e_value(counts: Sequence[int], alpha: Sequence[float]) -> float:
    """Natural logarithm of the e-value that ``counts`` are not from where the reference is from.

    With DM the Dirichlet-multinomial likelihood of the counts in one order:
    ``logmeanexp over kappa of log DM(c; kappa alpha / sum(alpha)) - log DM(c; alpha)``. While a window grows the
    e-value is a martingale of mean 1 under the reference's predictive distribution.
    """
    n = sum(counts)
    null, *alternatives = [
        constant + sum(map(lgamma, map(add, shape, counts))) - lgamma(total + n)
        for shape, total, constant in _dirichlets(tuple(alpha))
    ]
    return log_mean_exp(alternatives) - null


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
def _dirichlets(alpha: tuple[float, ...]) -> tuple[tuple[tuple[float, ...], float, float], ...]:
    """Shape, its sum and the part of log DM without counts: of the null first, then per kappa."""
    total = sum(alpha)
    shapes = [alpha, *(tuple(kappa * a / total for a in alpha) for kappa in KAPPAS)]
    return tuple((shape, sum(shape), lgamma(sum(shape)) - sum(map(lgamma, shape))) for shape in shapes)


def _pooled(counts: Sequence[int], alpha: Sequence[float]) -> tuple[list[float], list[float]]:
    """Shares of reference and window per pooled cell: neighbours are joined from the first on, a rest to the last."""
    n, total = sum(counts), sum(alpha)
    enough = MIN_EXPECTED * total / n - 1e-9 * total
    if min(alpha) >= enough:
        return [a / total for a in alpha], [c / n for c in counts]
    weights: list[float] = []
    joined: list[int] = []
    weight, count = 0.0, 0
    for a, c in zip(alpha, counts, strict=True):
        weight += a
        count += c
        if weight >= enough:
            weights.append(weight)
            joined.append(count)
            weight, count = 0.0, 0
    if weight and weights:
        weights[-1] += weight
        joined[-1] += count
    elif weight:
        weights, joined = [weight], [count]
    return [w / total for w in weights], [c / n for c in joined]


def _entropy(shares: list[float]) -> float:
    """Shannon entropy in bits."""
    return -sum([x * log2(x) for x in shares if x])
