"""What drift says: references are frozen from values, and a window is judged by its counts.

Which records a window has is told in `definitions.drift_windows`, who reads them in `drift_watch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isnan, log, nan
from typing import Final

from otel_measure.definitions.days import moment
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.quality import PREDICTION
from otel_measure.definitions.verdicts import format_value
from otel_measure.definitions.windows import Window
from otel_measure.records.enums import DriftStatus
from otel_measure.stats import cells, drift
from otel_measure.stats.dependence import known_time
from otel_measure.stats.intervals import UNKNOWN, Interval
from otel_measure.store.types.quality import JudgedRecord, RecordPosition, Reference, ReferenceSource

MAX_UNKNOWN_FEATURES: Final = 100
_SCORE: Final = BY_KEY["drift_score"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How sure one may be.

    Attributes:
        log10_e: decimal logarithm of the mean e-value; the model alarms from 3 on, that is 1,000 to 1.
        alarm: whether it does.
        drifted: the features listed at a false discovery rate of 0.001, "prediction" among them when it drifted.
        effective_samples: as how many independent values those of the window count, for the feature with the fewest.
        least_shift: the mean shift, in standard deviations, that this window would have shown in 95 of 100 cases.
        message: what follows from all this, as a sentence.
    """

    log10_e: float
    alarm: bool
    drifted: tuple[str, ...]
    effective_samples: float
    least_shift: float
    message: str


@dataclass(frozen=True, slots=True)
class Drift:
    """Drift of a model in its running window, or in the last complete one.

    The running window is shown when it alarms, or when there is no complete one; so an alarm shows as soon as the
    evidence is there and stays until a whole window without drift has passed.

    Attributes:
        drift_status: by the score, and `NO_DRIFT` unless the model alarms.
        drift_score: 0 to 1, the largest of the drifted features (of all, when none is); 0.1 is about 0.24 σ.
        prediction_drift: the score of the prediction; `nan` when it has no verdict.
        feature_drift: the score of every feature that has a verdict.
        not_judged: why each of the others has none.
        data_quality_score: 0 to 1, mean over the features; `nan` without any.
        data_quality_score_ci: what it may be but for chance.
        evidence: how sure one may be.
        samples: records of the window.
        reference_samples: values of the reference.
        reference_source: "given" or "window" when somebody set it, else "first_records".
        window: from the first to the last record of the window, and the environment that all this is about.
    """

    drift_status: DriftStatus
    drift_score: float
    prediction_drift: float
    feature_drift: dict[str, float]
    not_judged: dict[str, str]
    data_quality_score: float
    data_quality_score_ci: Interval
    evidence: Evidence
    samples: int
    reference_samples: int
    reference_source: ReferenceSource
    window: Window


@dataclass(frozen=True, slots=True)
class DataQuality:
    """How complete and valid the features of a window are, whether or not drift can be told from it.

    Attributes:
        score: 0 to 1, as the `data_quality_score` of its drift, where it has one.
        score_ci: what it may be but for chance.
        samples: records of the window.
        window: from the first to the last record.
    """

    score: float
    score_ci: Interval
    samples: int
    window: Window


# ---------------------------------------------------------------- references


def reference_of(
    source: ReferenceSource,
    values: Mapping[str, Sequence[cells.Value]],
    first: RecordPosition | None = None,
    last: RecordPosition | None = None,
) -> Reference:
    """Freeze a reference; of a feature on which there can be no verdict the reason is kept.

    How much values depend on each other is read off records in their order of time, never off a list that is given.
    """
    frozen: dict[str, cells.Cells] = {}
    not_judged: dict[str, str] = {}
    for name, column in values.items():
        if name == PREDICTION and not any(value is not None for value in column):
            continue  # a model that predicts nothing is judged by its features
        counted = cells.reference_cells(column, None if source == "given" else known_time(column))
        if counted is None:
            not_judged[name] = cells.reason_without_cells(column)
        else:
            frozen[name] = counted
    return Reference(source, frozen, first, last, not_judged)


def columns(records: Sequence[JudgedRecord]) -> dict[str, list[cells.Value]]:
    """Return the values of records by feature; what a record lacks is missing."""
    names = dict.fromkeys(name for record in records for name in record.values)
    return {name: [record.values.get(name) for record in records] for name in names}  # type: ignore[misc]


# ---------------------------------------------------------------- windows


class CountedWindow:
    """A window being counted."""

    def __init__(self, reference: Reference, times: Mapping[str, float], timezone: str, environment: str) -> None:
        self._reference = reference
        self._times = times
        self._timezone = timezone
        self._environment = environment
        self._unknown: set[str] = set()
        self._predicts = False
        self._verdict: tuple[int, Drift | None] = (0, None)  # by how many records it rests on
        self._first_ts = 0
        self.counts = cells.WindowCounts(reference.cells)
        self.last: RecordPosition | None = None

    def extend(self, records: Iterable[JudgedRecord]) -> None:
        """Count records, which come in their order."""
        for record in records:
            if not self.counts.records:
                self._first_ts = record.position.ts
            self.last = record.position
            self.counts.add(record.values)  # type: ignore[arg-type] # what is no scalar counts as of a wrong type
            if len(self._unknown) < MAX_UNKNOWN_FEATURES:
                self._unknown.update(record.values.keys() - self._reference.cells.keys())
                self._predicts = self._predicts or record.values.get(PREDICTION) is not None

    def verdict(self) -> Drift | None:
        """Return the drift of the window; `None` when no feature has a verdict."""
        if self._verdict[0] != self.counts.records:
            self._verdict = self.counts.records, self._judged()
        return self._verdict[1]

    def quality(self) -> DataQuality | None:
        """Return the data quality of the window; `None` of few records, and where no feature has a reference."""
        if self.counts.records < cells.MIN_SAMPLES:
            return None
        score = _quality(self._reference, self.counts)
        if isnan(score):
            return None
        interval = _quality_interval(self._reference, self.counts, self._times)
        return DataQuality(score, interval, self.counts.records, self._window())

    def _window(self) -> Window:
        last_ts = self._first_ts if self.last is None else self.last.ts
        return Window(moment(self._first_ts), moment(last_ts + 1), self._timezone, environment=self._environment)

    def _judged(self) -> Drift | None:
        reference = self._reference
        measured = drift.model_drift(reference.cells, self.counts.counts, self._times)
        if measured is None or self.last is None:
            return None
        scores = {name: feature.score for name, feature in measured.features.items()}
        unknown = self._unknown if self._predicts else self._unknown - {PREDICTION}
        not_judged = {
            **dict.fromkeys(sorted(unknown), "it is not in the reference"),
            **reference.not_judged,
            **measured.not_judged,
        }
        return Drift(
            drift_status=DriftStatus(measured.status),
            drift_score=measured.score,
            prediction_drift=scores.pop(PREDICTION, nan),
            feature_drift=scores,
            not_judged=not_judged,
            data_quality_score=_quality(reference, self.counts),
            data_quality_score_ci=_quality_interval(reference, self.counts, self._times),
            evidence=_evidence(measured),
            samples=self.counts.records,
            reference_samples=max(one.samples + one.missing for one in reference.cells.values()),
            reference_source=reference.source,
            window=self._window(),
        )


def _evidence(measured: drift.ModelDrift) -> Evidence:
    features = measured.features.values()
    fewest = min(features, key=lambda feature: feature.effective_samples)
    least = fewest.least_shift(len(measured.features))
    return Evidence(
        log10_e=measured.log_e / log(10),
        alarm=measured.alarm,
        drifted=measured.drifted,
        effective_samples=fewest.effective_samples,
        least_shift=least,
        message=_message(measured, least),
    )


def _message(measured: drift.ModelDrift, least_shift: float) -> str:
    if not measured.alarm:
        return f"No drift was found; a mean shift of {least_shift:.2g} σ would have been, 95 times in 100."
    score, minor = (format_value(_SCORE, value) for value in (measured.score, drift.STATUS_FROM[-1][0]))
    if measured.status == "no_drift":
        return f"The data changed beyond doubt, but by less than drift is: its score is {score}, below {minor}."
    return f"The data has drifted beyond doubt: the score is {score}."


def _quality_interval(reference: Reference, window: cells.WindowCounts, times: Mapping[str, float]) -> Interval:
    """Return the means of the ends of the features' intervals; unknown without a feature that has one."""
    intervals = [
        cells.feature_quality_interval(feature, window.counts[name], times.get(name, 1.0))
        for name, feature in reference.cells.items()
        if name != PREDICTION
    ]
    known = [interval for interval in intervals if interval[0] == interval[0]]
    if not known:
        return UNKNOWN
    return fsum(low for low, _ in known) / len(known), fsum(high for _, high in known) / len(known)


def _quality(reference: Reference, window: cells.WindowCounts) -> float:
    """Return the mean quality of the features; the prediction is none."""
    qualities = [
        cells.feature_quality(feature, window.counts[name])
        for name, feature in reference.cells.items()
        if name != PREDICTION
    ]
    known = [quality for quality in qualities if quality is not None]
    return fsum(known) / len(known) if known else nan
