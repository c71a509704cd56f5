"""How good a model's answers are, once the truth is known: classes, numbers, probabilities, groups.

Everything is computed from counts and sums that add over windows and processes, so a roll-up and a replay give the same
answer. What is not defined (the precision of a class that was never predicted) is ``nan`` and is left out of means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import add
from typing import Final

from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.quality import GRID_BITS, Confusion, RegressionTotals, predicts_numbers, with_booleans
from otel_measure.definitions.verdicts import Verdict, judge
from otel_measure.definitions.windows import Window
from otel_measure.stats.intervals import Interval, widest_difference
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


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """What happened to one group; two of them add.

    ``n`` and ``selected`` (predicted positive) need no truth; the others count the labelled part.
    """

    n: int = 0
    selected: int = 0
    positives: int = 0
    true_positives: int = 0
    negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            self.n + other.n,
            self.selected + other.selected,
            self.positives + other.positives,
            self.true_positives + other.true_positives,
            self.negatives + other.negatives,
            self.false_positives + other.false_positives,
        )


@dataclass(frozen=True, slots=True)
class Fairness:
    """How differently groups are treated; differences are largest − smallest rate, ratios smallest / largest.

    Attributes:
        n: records by group.
        selection_rate: by group: selected / n.
        true_positive_rate: by group: true positives / positives.
        false_positive_rate: by group: false positives / negatives.
        demographic_parity_difference: of selection rates; the *fairness gap* of the health score.
        demographic_parity_difference_ci: its 95 % interval: for all pairs of groups together (Newcombe 1998,
            Bonferroni).
        demographic_parity_ratio: of selection rates.
        equal_opportunity_difference: of true positive rates.
        equal_opportunity_ratio: of true positive rates.
        equalized_odds_difference: the larger of the true and false positive rates' differences.
        equalized_odds_ratio: the smaller of their ratios.
        undefined: the rates that are a ratio of nothing, as ``group: rate``; they count as no disparity.
        smallest_group: records of the smallest group compared.
        left_out: groups of fewer records than the KPI needs, when two others have them; they are not compared.
        verdict: of the gap against its KPI; ``unknown`` when a group compared has fewer records than it needs.
    """

    n: dict[str, int]
    selection_rate: dict[str, float]
    true_positive_rate: dict[str, float]
    false_positive_rate: dict[str, float]
    demographic_parity_difference: float
    demographic_parity_difference_ci: Interval
    demographic_parity_ratio: float
    equal_opportunity_difference: float
    equal_opportunity_ratio: float
    equalized_odds_difference: float
    equalized_odds_ratio: float
    undefined: tuple[str, ...]
    smallest_group: int
    left_out: tuple[str, ...]
    verdict: Verdict


def fairness(groups: Mapping[str, GroupCounts]) -> Fairness:
    """Compare the rates of groups, counted by name of the group.

    The definitions are fairlearn's (``between_groups``, ``worst_case``), of the groups that have enough records where
    two or more have. With fewer than two groups that have a rate its difference and ratio are ``nan``.
    """
    kpi = BY_KEY["fairness_gap"]
    large = {name: group for name, group in groups.items() if group.n >= kpi.min_evidence}
    compared = large if len(large) > 1 else groups
    selection = _rates(groups, lambda g: _ratio(g.selected, g.n))
    opportunity = _rates(groups, lambda g: _ratio(g.true_positives, g.positives))
    alarm = _rates(groups, lambda g: _ratio(g.false_positives, g.negatives))
    named = (("selection_rate", selection), ("true_positive_rate", opportunity), ("false_positive_rate", alarm))
    of_selection, of_opportunity, of_alarm = ({name: rates[name] for name in compared} for _, rates in named)
    smallest = min((group.n for group in compared.values()), default=0)
    gap, interval = _difference(of_selection), widest_difference([(g.selected, g.n) for g in compared.values()])
    return Fairness(
        n={name: groups[name].n for name in sorted(groups)},
        selection_rate=selection,
        true_positive_rate=opportunity,
        false_positive_rate=alarm,
        demographic_parity_difference=gap,
        demographic_parity_difference_ci=interval,
        demographic_parity_ratio=_quotient(of_selection),
        equal_opportunity_difference=_difference(of_opportunity),
        equal_opportunity_ratio=_quotient(of_opportunity),
        equalized_odds_difference=_worst(max, _difference(of_opportunity), _difference(of_alarm)),
        equalized_odds_ratio=_worst(min, _quotient(of_opportunity), _quotient(of_alarm)),
        undefined=tuple(f"{group}: {name}" for name, rates in named for group in rates if math.isnan(rates[group])),
        smallest_group=smallest,
        left_out=tuple(sorted(groups.keys() - compared.keys())),
        verdict=judge(kpi, gap, evidence=smallest, interval=interval),
    )


def _rates(groups: Mapping[str, GroupCounts], rate: Callable[[GroupCounts], float]) -> dict[str, float]:
    return {name: rate(groups[name]) for name in sorted(groups)}


def _known(rates: Mapping[str, float]) -> list[float]:
    return sorted(rate for rate in rates.values() if not math.isnan(rate))


def _difference(rates: Mapping[str, float]) -> float:
    known = _known(rates)
    return known[-1] - known[0] if len(known) > 1 else math.nan


def _quotient(rates: Mapping[str, float]) -> float:
    known = _known(rates)
    return _ratio(known[0], known[-1]) if len(known) > 1 else math.nan


def _worst(worst: Callable[[list[float]], float], *values: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    return worst(known) if known else math.nan
