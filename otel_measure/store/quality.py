"""What a store keeps so that models can be judged: predictions with their truths, and references with records.

Truth and prediction are joined by the id of the inference, whichever comes first. Of several truths for one inference
the one with the smallest (ts, id) counts, so the answer does not depend on the order they arrived in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import ldexp
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from otel_measure.records.kinds import Json, Prediction
from otel_measure.stats.cells import Cells
from otel_measure.store.base import EVERYTHING, Filter

ModelKey: TypeAlias = tuple[str, str]
ReferenceSource: TypeAlias = Literal["given", "window", "first_records"]
PREDICTION: Final = "prediction"
GRID_BITS: Final = 64
_MAX_MAGNITUDE: Final = 1e150


class Place(NamedTuple):
    """Where a record stands among those of its model: by time, then id (in the store's own form)."""

    ts: int
    id: bytes | str


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


@dataclass(slots=True)
class Labels:
    """Predictions of a model in a window and what became known of them.

    Attributes:
        predictions: inferences with a prediction.
        confusion: (prediction, truth) → how often, where both are labels: text, booleans, whole numbers.
        regression: over the pairs in which both are numbers.
    """

    predictions: int = 0
    confusion: dict[tuple[str, str], int] = field(default_factory=dict)
    regression: RegressionTotals = RegressionTotals()


class Evaluated(NamedTuple):
    """What answers of one model were given under one name of an evaluation: how many, their scores, their labels."""

    model: str
    version: str
    name: str
    answers: int
    scored: int
    score_sum: float
    score_min: float
    score_max: float
    labels: Mapping[str, int]


class Judged(NamedTuple):
    """A record with a prediction or features, as drift looks at it: the prediction is one of the values."""

    place: Place
    values: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows of a model are compared with.

    Attributes:
        source: "given" and "window" were set; "first_records" are the first records of the version.
        cells: per feature; the prediction is the feature named "prediction".
        first, last: the first and last record of "first_records".
    """

    source: ReferenceSource
    cells: Mapping[str, Cells]
    first: Place | None = None
    last: Place | None = None


class JudgedRecords(Protocol):
    """The records of one model that drift looks at, all methods as of one moment; ordered by (ts, id)."""

    @property
    def horizon(self) -> int:
        """Time before which facts may have been removed, microseconds; 0 when none were."""

    def last_before(self, end: int) -> int | None:
        """Return the time of the last record before `end`."""

    def count(self, start: int, end: int) -> int:
        """Return the records of [start, end); both are whole hours."""

    def count_to(self, start: int, last: Place) -> int:
        """Return the records from `start` up to and including the place; they are walked, so let them be few."""

    def newest(self, start: int, end: int, after: Place | None, limit: int) -> list[Judged]:
        """Return the last records of [start, end) that come after a place, at most `limit`, in order."""

    def oldest(self, limit: int) -> list[Judged]:
        """Return the first records of the model, at most `limit`, in order."""


class QualityStore(Protocol):
    """What is known of predictions and drift. Every method may raise `StoreUnavailable`."""

    def evaluations(self, start: int, end: int, where: Filter = EVERYTHING) -> list[Evaluated]:
        """Return what answers were given in [start, end), sorted by model, version and name."""

    def labels(
        self, start: int, end: int, only: ModelKey | None = None, where: Filter = EVERYTHING
    ) -> dict[ModelKey, Labels]:
        """Return the predictions of [start, end), by the time of the prediction, and their truths, per model."""

    def judged_models(self, start: int, at_least: int) -> Sequence[ModelKey]:
        """Return the models with at least so many records to judge from `start` on."""

    def judged(self, name: str, version: str) -> AbstractContextManager[JudgedRecords]:
        """Open the records of a model for reading, as of one moment."""

    def reference(self, name: str, version: str) -> Reference | None:
        """Return the reference kept for a model."""

    def references(self) -> Mapping[ModelKey, Reference]:
        """Return every reference kept."""

    def set_reference(self, name: str, version: str, reference: Reference) -> None:
        """Keep a reference in place of what was kept before (one found by itself replaces none that was set)."""


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
