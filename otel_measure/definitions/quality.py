"""How predictions and truths are compared: classes, numbers, and sums that add exactly.

An inference contributes what its prediction and its winning truth make together, at the time of the inference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ldexp
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.cells import CellChanges, CellKind
from otel_measure.definitions.windows import LEVELS_S
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import Prediction

PREDICTION: Final = "prediction"
GRID_BITS: Final = 64
_MAX_MAGNITUDE: Final = 1e150


@dataclass(frozen=True, slots=True)
class RegressionTotals:
    """Sums over (prediction, truth) pairs of numbers, in units of 2⁻⁶⁴ (squares: 2⁻¹²⁸); two of them add exactly."""

    n: int = 0
    absolute_error: int = 0
    squared_error: int = 0
    truth: int = 0
    squared_truth: int = 0

    @classmethod
    def of(cls, prediction: Prediction, truth: Prediction) -> RegressionTotals | None:
        """The sums of one pair; `None` unless both are numbers, or when they mean nothing any more (over 1e150)."""
        if isinstance(prediction, str | bool) or isinstance(truth, str | bool):
            return None
        if max(abs(prediction), abs(truth)) > _MAX_MAGNITUDE:
            return None
        guess, true = (round(ldexp(value, GRID_BITS)) for value in (prediction, truth))
        return cls(1, abs(guess - true), (guess - true) ** 2, true, true * true)

    def __add__(self, other: RegressionTotals) -> RegressionTotals:
        return RegressionTotals(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))

    def times(self, n: int) -> RegressionTotals:
        """Return the sums of so many equal parts; of less than none what takes them away."""
        return RegressionTotals(*(n * a for a in self.numbers))

    @property
    def numbers(self) -> tuple[int, int, int, int, int]:
        """The fields in order."""
        return self.n, self.absolute_error, self.squared_error, self.truth, self.squared_truth


def label(value: Prediction) -> str | None:
    """Return the class that a prediction or truth names: `True` is "true", `1` and `1.0` are "1"; `None` for 0.5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else None


class Pair(NamedTuple):
    """What a prediction and its truth tell together: the classes that they name, where both do, and their numbers."""

    classes: tuple[str, str] | None
    sums: RegressionTotals | None

    @classmethod
    def of(cls, prediction: Prediction, truth: Prediction) -> Pair:
        """Compare a prediction with what was true."""
        guess, true = label(prediction), label(truth)
        classes = None if guess is None or true is None else (guess, true)
        return cls(classes, RegressionTotals.of(prediction, truth))


# ---------------------------------------------------------------- classes, or numbers

Confusion: TypeAlias = Mapping[tuple[str, str], int]
"""(prediction, truth) → how often, as the classes that they name; add two windows by adding their counts."""

MAX_NUMBERS_AS_CLASSES: Final = 32
_BOOLEAN_OF: Final[Mapping[str, str]] = {"0": "false", "1": "true", "false": "false", "true": "true"}
_DIGITS: Final = frozenset("01")


def predicts_numbers(model_type: str, confusion: Confusion, regression: RegressionTotals) -> bool:
    """Tell whether a model predicts numbers and no classes.

    What it is registered as decides. Any other model does when what was predicted and what was true are numbers of more
    than 32 distinct values; a pair with a fraction, which names no class, counts as one more.
    """
    if model_type in (ModelType.CLASSIFICATION.value, ModelType.REGRESSION.value):
        return model_type == ModelType.REGRESSION.value
    classes = {name for pair in confusion for name in pair}
    fractions = max(0, regression.n - sum(confusion.values()))
    return (
        regression.n > 0
        and len(classes) + fractions > MAX_NUMBERS_AS_CLASSES
        and all(name.removeprefix("-").isdecimal() for name in classes)
    )


def boolean_spellings(classes: Iterable[str]) -> Mapping[str, str]:
    """Return which classes are `true` and `false`: 1, 0 and words in any case, where one boolean has two spellings."""
    booleans = {name: boolean for name in classes if (boolean := _BOOLEAN_OF.get(name.casefold()))}
    if booleans.keys() <= _DIGITS or len(booleans) == len(set(booleans.values())):
        return {}
    return booleans


def with_booleans(confusion: Confusion) -> Confusion:
    """Return a matrix in which every boolean has one spelling."""
    booleans = boolean_spellings({name for pair in confusion for name in pair})
    if not booleans:
        return confusion
    merged: dict[tuple[str, str], int] = {}
    for (guess, truth), n in confusion.items():
        pair = booleans.get(guess, guess), booleans.get(truth, truth)
        merged[pair] = merged.get(pair, 0) + n
    return merged


# ---------------------------------------------------------------- truths


class Truth(NamedTuple):
    """What somebody said was true of an inference; `id` in the form in which stores keep it."""

    ts: int
    id: bytes | str
    value: Prediction


def winning_truth(truths: Iterable[Truth]) -> Truth | None:
    """Return which truth of one inference counts: the earliest; at one time the smallest id, text before bytes."""
    return min(truths, key=_position, default=None)


def _position(truth: Truth) -> tuple[int, bool, bytes | str]:
    return truth.ts, isinstance(truth.id, bytes), truth.id


# ---------------------------------------------------------------- contributions

_INTERVAL: Final = ("seconds", "start", "model", "origin")
JUDGED: Final = CellKind("quality_cell", _INTERVAL, ("predictions", "judged"))
CONFUSION: Final = CellKind("confusion_cell", (*_INTERVAL, "prediction", "truth"), ("n",))
GROUPED: Final = CellKind("group_cell", (*_INTERVAL, "attribute", "label", "prediction"), ("n",))
GROUPED_CONFUSION: Final = CellKind(
    "group_confusion_cell", (*_INTERVAL, "attribute", "label", "prediction", "truth"), ("n",)
)
IntervalKey: TypeAlias = tuple[int, int, int, int]
"""Seconds, start (microseconds), model and origin of a cell, the last two as the store numbers them."""


class Predicted(NamedTuple):
    """An inference with a prediction; `ts` in microseconds, model and origin as the store numbers them."""

    ts: int
    model: int
    origin: int
    prediction: Prediction
    groups: Mapping[str, str] | None = None


class QualityChanges:
    """What is to be added to the minutes and hours of inferences.

    Attributes:
        cells: counts, and the confusion matrix.
        regression: sums that are too large for a column of whole numbers.
    """

    def __init__(self) -> None:
        self.cells = CellChanges()
        self.regression: dict[IntervalKey, RegressionTotals] = {}

    def count(self, ts: int, model: int, origin: int, *, predictions: int, judged: int) -> None:
        """Add inferences of one time: how many have a prediction, and how many that or features."""
        for interval in _intervals(ts, model, origin):
            self.cells.add(JUDGED, interval, (predictions, judged))

    def predicted_of_groups(self, predicted: Predicted) -> None:
        """Add what a prediction contributes to the groups that it is of."""
        guess = label(predicted.prediction) if predicted.groups else None
        if guess is not None:
            for interval in _intervals(*predicted[:3]):
                for group in (predicted.groups or {}).items():
                    self.cells.add(GROUPED, (*interval, *group, guess), (1,))

    def pair_of_groups(self, predicted: Predicted, truth: Prediction, sign: int) -> None:
        """Add what a prediction and its winning truth contribute to the groups that it is of."""
        classes = Pair.of(predicted.prediction, truth).classes if predicted.groups else None
        if predicted.groups and classes is not None:
            for interval in _intervals(*predicted[:3]):
                for group in predicted.groups.items():
                    self.cells.add(GROUPED_CONFUSION, (*interval, *group, *classes), (1,), sign)

    def pair(self, predicted: Predicted, truth: Prediction, sign: int) -> None:
        """Add what a prediction and its winning truth contribute, or with `sign=-1` take it away."""
        self.pair_of_groups(predicted, truth, sign)
        classes, sums = Pair.of(predicted.prediction, truth)
        for interval in _intervals(*predicted[:3]):
            if classes is not None:
                self.cells.add(CONFUSION, (*interval, *classes), (1,), sign)
            if sums is not None:
                before = self.regression.get(interval, RegressionTotals())
                self.regression[interval] = before + sums.times(sign)


def _intervals(ts: int, model: int, origin: int) -> tuple[IntervalKey, ...]:
    return tuple((seconds, ts - ts % (seconds * 1_000_000), model, origin) for seconds in LEVELS_S)
