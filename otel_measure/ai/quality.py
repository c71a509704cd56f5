"""How good a model's answers are, once the truth is known: classes, numbers, probabilities.

Everything is computed from counts and sums that add over windows and processes, so a roll-up and a replay give the same
answer. What is not defined (the precision of a class that was never predicted) is ``nan`` and is left out of means.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from operator import add
from typing import Final

from otel_measure.definitions.quality import GRID_BITS, Confusion, RegressionTotals, predicts_numbers, with_booleans
from otel_measure.definitions.windows import Window
from otel_measure.store.types.quality import Labels

CALIBRATION_BINS: Final = 15
MAX_MATRIX_CLASSES: Final = 256


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """How well one class is found. ``support`` is how often it is the truth."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Quality of a classifier over a window; of a model that predicts numbers it is unknown.

    Attributes:
        accuracy: correct / labelled.
        precision: mean over classes (macro), as are ``recall`` and ``f1_macro``.
        recall: see ``precision``.
        f1_macro: see ``precision``.
        per_class: by class, sorted by name.
        confusion_matrix: truth → prediction → how often; every class has a row and a column, and it is empty beyond
            256 classes, where nobody could read it.
        labelled: predictions whose truth is known.
        label_coverage: labelled / predictions.
        window: the time looked at, by prediction time.
    """

    accuracy: float
    precision: float
    recall: float
    f1_macro: float
    per_class: dict[str, ClassQuality]
    confusion_matrix: dict[str, dict[str, int]]
    labelled: int
    label_coverage: float
    window: Window


def accuracy(model_type: str, labels: Labels, window: Window) -> Accuracy:
    """Compute how right a model was; of one that predicts numbers nothing but how many truths are known."""
    if not predicts_numbers(model_type, labels.confusion, labels.regression):
        return accuracy_of_classes(labels, window)
    labelled = labels.regression.n
    unknown = math.nan
    return Accuracy(
        *(unknown, unknown, unknown, unknown), {}, {}, labelled, _ratio(labelled, labels.predictions), window
    )


def accuracy_of_classes(labels: Labels, window: Window) -> Accuracy:
    """Compute the quality of a classifier whose truths may spell booleans otherwise than its predictions."""
    return classification(with_booleans(labels.confusion), labels.predictions, window)


def classification(confusion: Confusion, predictions: int, window: Window) -> Accuracy:
    """Compute the quality of a classifier.

    Precision = TP/(TP+FP), recall = TP/(TP+FN), F1 = 2TP/(2TP+FP+FN) per class; the classes are those predicted or
    true at least once; macro means leave undefined classes out (scikit-learn's ``zero_division=nan``).

    Args:
        confusion: counts by (prediction, truth) of the labelled predictions.
        predictions: all predictions of the window, labelled or not.
        window: the time looked at.

    Raises:
        ValueError: a count is negative, or more are labelled than predicted.
    """
    labelled = sum(confusion.values())
    if any(count < 0 for count in confusion.values()):
        raise ValueError("confusion has a negative count; counts must be at least 0")
    if labelled > predictions:
        raise ValueError(f"predictions is {predictions}; it must be at least the {labelled} labelled ones")
    classes = sorted({name for pair, count in confusion.items() if count for name in pair})
    predicted, support = dict.fromkeys(classes, 0), dict.fromkeys(classes, 0)
    for (guess, truth), count in confusion.items():
        if count:
            predicted[guess] += count
            support[truth] += count
    hits = {name: confusion.get((name, name), 0) for name in classes}
    per_class = {name: _class_quality(hits[name], predicted[name], support[name]) for name in classes}
    shown = classes if len(classes) <= MAX_MATRIX_CLASSES else []
    return Accuracy(
        accuracy=_ratio(sum(hits.values()), labelled),
        precision=_mean(quality.precision for quality in per_class.values()),
        recall=_mean(quality.recall for quality in per_class.values()),
        f1_macro=_mean(quality.f1 for quality in per_class.values()),
        per_class=per_class,
        confusion_matrix={truth: {guess: confusion.get((guess, truth), 0) for guess in shown} for truth in shown},
        labelled=labelled,
        label_coverage=_ratio(labelled, predictions),
        window=window,
    )


def _class_quality(hits: int, predicted: int, support: int) -> ClassQuality:
    return ClassQuality(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, predicted + support),
        support=support,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return _ratio(math.fsum(known), len(known))


@dataclass(frozen=True, slots=True)
class Regression:
    """Quality of a model that predicts numbers, over a window.

    Attributes:
        mae: mean absolute error, in the unit of the prediction.
        rmse: root of the mean squared error, likewise.
        r2: 1 − squared error / squared deviation of the truth; `nan` when the truth does not vary.
        labelled: predictions whose truth is known, both being numbers.
        label_coverage: labelled / predictions.
        window: the time looked at, by prediction time.
    """

    mae: float
    rmse: float
    r2: float
    labelled: int
    label_coverage: float
    window: Window


def regression(totals: RegressionTotals, predictions: int, window: Window) -> Regression:
    """Compute the quality of a model that predicts numbers, in whole numbers until the last division.

    Args:
        totals: of the labelled predictions.
        predictions: all predictions of the window, labelled or not.
        window: the time looked at.
    """
    n = totals.n
    spread = n * totals.squared_truth - totals.truth * totals.truth
    return Regression(
        mae=_ratio(totals.absolute_error, n << GRID_BITS),
        rmse=math.sqrt(_ratio(totals.squared_error, n << 2 * GRID_BITS)),
        r2=1 - _ratio(n * totals.squared_error, spread),
        labelled=n,
        label_coverage=_ratio(n, predictions),
        window=window,
    )


@dataclass(frozen=True, slots=True)
class RegressionSums:
    """Sufficient statistics of (prediction, truth) pairs; two of them add.

    The spread of the truth is kept as its mean and squared deviations (Welford; merged after Chan, Golub and LeVeque
    1983), because a difference of sums of squares loses every digit when the mean is large.
    """

    n: int = 0
    absolute_error: float = 0.0
    squared_error: float = 0.0
    truth_mean: float = 0.0
    truth_deviation: float = 0.0

    @classmethod
    def of(cls, prediction: float, truth: float) -> RegressionSums:
        """The statistics of one pair of finite numbers."""
        error = prediction - truth
        return cls(1, abs(error), error * error, truth, 0.0)

    def __add__(self, other: RegressionSums) -> RegressionSums:
        n = self.n + other.n
        if not n:
            return self
        gap = other.truth_mean - self.truth_mean
        return RegressionSums(
            n,
            self.absolute_error + other.absolute_error,
            self.squared_error + other.squared_error,
            self.truth_mean + gap * other.n / n,
            self.truth_deviation + other.truth_deviation + gap * gap * self.n * other.n / n,
        )

    @property
    def mae(self) -> float:
        """Mean absolute error, in the unit of the prediction."""
        return _ratio(self.absolute_error, self.n)

    @property
    def rmse(self) -> float:
        """Root of the mean squared error, in the unit of the prediction."""
        return math.sqrt(_ratio(self.squared_error, self.n))

    @property
    def r2(self) -> float:
        """1 − squared error / squared deviation of the truth; ``nan`` when the truth does not vary."""
        return 1 - _ratio(self.squared_error, self.truth_deviation)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Sufficient statistics of (probability, outcome) pairs in equal bins of probability; two of them add.

    For more than two classes feed the probability of the predicted class, and whether it was right.
    Bins are (lower, upper], the first with its lower edge.
    """

    counts: tuple[int, ...] = (0,) * CALIBRATION_BINS
    probabilities: tuple[float, ...] = (0.0,) * CALIBRATION_BINS
    outcomes: tuple[int, ...] = (0,) * CALIBRATION_BINS
    squared_error: float = 0.0

    @classmethod
    def of(cls, probability: float, outcome: bool) -> Calibration:
        """The statistics of one pair.

        Raises:
            ValueError: the probability is not in 0 to 1.
        """
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability!r}; it must be in 0 to 1")
        place = max(0, math.ceil(probability * CALIBRATION_BINS) - 1)
        here = [int(index == place) for index in range(CALIBRATION_BINS)]
        return cls(
            counts=tuple(here),
            probabilities=tuple(probability * one for one in here),
            outcomes=tuple(int(outcome) * one for one in here),
            squared_error=(probability - outcome) ** 2,
        )

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(
            tuple(map(add, self.counts, other.counts)),
            tuple(map(add, self.probabilities, other.probabilities)),
            tuple(map(add, self.outcomes, other.outcomes)),
            self.squared_error + other.squared_error,
        )

    @property
    def brier(self) -> float:
        """Brier score: mean squared difference of probability and outcome (0 is perfect)."""
        return _ratio(self.squared_error, sum(self.counts))

    @property
    def ece(self) -> float:
        """Expected calibration error (Guo et al. 2017): Σ n_b/n · |share of outcomes − mean probability| over bins."""
        gaps = (abs(hits - total) for hits, total in zip(self.outcomes, self.probabilities, strict=True))
        return _ratio(math.fsum(gaps), sum(self.counts))
