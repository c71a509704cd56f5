"""How predictions and truths are compared: classes, numbers, and sums that add exactly."""

from __future__ import annotations

from dataclasses import dataclass
from math import ldexp
from typing import Final

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
    def of(cls, prediction: float, truth: float) -> RegressionTotals | None:
        """The sums of one pair; `None` for numbers too large to mean anything (over 1e150)."""
        if max(abs(prediction), abs(truth)) > _MAX_MAGNITUDE:
            return None
        guess, true = (round(ldexp(value, GRID_BITS)) for value in (prediction, truth))
        return cls(1, abs(guess - true), (guess - true) ** 2, true, true * true)

    def __add__(self, other: RegressionTotals) -> RegressionTotals:
        return RegressionTotals(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))

    def __neg__(self) -> RegressionTotals:
        return RegressionTotals(*(-a for a in self.numbers))

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


def is_number(value: Prediction) -> bool:
    """Tell whether a prediction or truth is a number; a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
