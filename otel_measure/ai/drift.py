"""Drift of a model: its latest records against its reference.

The records of a model that have a prediction or features stand in the order (ts, id). After the reference they are
cut into windows, every 1,000 records; each 24 h (counted from 1970 UTC) begin a new one, and what they leave over is a
window when it has at least 50 records. Two windows are looked at: the running one and the last complete one before it.

So the answer is a function of the stored facts and the reference: order, batches, duplicates and the number of
processes that recorded them do not matter. What was counted is remembered per process, so that looking again reads
only what is new; a record that came late makes one look read the two windows again, at most 2,000 records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, log, nan
from typing import Final

from otel_measure.definitions.days import moment
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.quality import PREDICTION
from otel_measure.definitions.windows import Window
from otel_measure.records.enums import DriftStatus
from otel_measure.stats import cells, drift
from otel_measure.store.protocol import Moment
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import JudgedRecord, RecordPosition, Reference, ReferenceSource

MAX_REFERENCE_RECORDS: Final = 10_000
MAX_REMEMBERED: Final = 1000
_HOUR_US: Final = 3_600_000_000
_FOREVER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Evidence:
    """How sure one may be.

    Attributes:
        log10_e: decimal logarithm of the mean e-value; the model alarms from 3 on, that is 1,000 to 1.
        alarm: whether it does.
        drifted: the features listed at a false discovery rate of 0.001, "prediction" among them when it drifted.
    """

    log10_e: float
    alarm: bool
    drifted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """Drift of a model in its running window, or in the last complete one.

    The running window is shown when it alarms, or when there is no complete one; so an alarm shows as soon as the
    evidence is there and stays until a whole window without drift has passed.

    Attributes:
        drift_status: `NO_DRIFT` unless the model alarms; then by the score.
        drift_score: 0 to 1, the largest of the drifted features (of all, when none is); 0.1 is about 0.24 σ.
        prediction_drift: the score of the prediction; `nan` when it has no verdict.
        feature_drift: the score of every feature that has a verdict.
        data_quality_score: 0 to 1, mean over the features; `nan` without any.
        evidence: how sure one may be.
        samples: records of the window.
        reference_samples: values of the reference.
        reference_source: "given" or "window" when somebody set it, else "first_records".
        window: from the first to the last record of the window.
    """

    drift_status: DriftStatus
    drift_score: float
    prediction_drift: float
    feature_drift: dict[str, float]
    data_quality_score: float
    evidence: Evidence
    samples: int
    reference_samples: int
    reference_source: ReferenceSource
    window: Window


# ---------------------------------------------------------------- references


def reference_of(
    source: ReferenceSource,
    values: Mapping[str, Iterable[cells.Value]],
    first: RecordPosition | None = None,
    last: RecordPosition | None = None,
) -> Reference:
    """Freeze a reference; features on which there can be no verdict are left out."""
    frozen = {name: cells.reference_cells(column) for name, column in values.items()}
    return Reference(source, {name: counted for name, counted in frozen.items() if counted is not None}, first, last)


def columns(records: Sequence[JudgedRecord]) -> dict[str, list[cells.Value]]:
    """Return the values of records by feature; what a record lacks is missing."""
    names = dict.fromkeys(name for record in records for name in record.values)
    return {name: [record.values.get(name) for record in records] for name in names}  # type: ignore[misc]


# ---------------------------------------------------------------- windows


class _Records:
    """The records of one model at one moment."""

    def __init__(self, moment: Moment, model: ModelKey) -> None:
        self._quality = moment.quality
        self._model = model
        self.horizon = moment.horizon

    def count(self, start: int, end: int, after: RecordPosition | None = None) -> int:
        return self._quality.judged_counts(start, end, self._model, after).get(self._model, 0)

    def last_before(self, end: int) -> int | None:
        newest = self.newest(0, end, 1)
        return newest[0].position.ts if newest else None

    def newest(self, start: int, end: int, limit: int, after: RecordPosition | None = None) -> list[JudgedRecord]:
        return self._quality.newest(self._model, start, end, limit, after)

    def oldest(self, limit: int) -> list[JudgedRecord]:
        return self._quality.oldest(self._model, limit)


class _CountedWindow:
    """A window being counted."""

    def __init__(self, reference: Reference) -> None:
        self.counts = cells.WindowCounts(reference.cells)
        self.first_ts = 0
        self.last: RecordPosition | None = None
        self.verdict: tuple[int, Drift | None] = (0, None)  # by how many records it rests on

    def add(self, record: JudgedRecord) -> None:
        if not self.counts.records:
            self.first_ts = record.position.ts
        self.last = record.position
        self.counts.add(record.values)  # type: ignore[arg-type] # what is no scalar counts as of a wrong type


@dataclass(slots=True)
class _RecentWindows:
    """What was counted of a model: the windows after `position` records of the period that starts at `start`.

    Attributes:
        before: start and position of the period before, from which `complete` may be.
    """

    reference: Reference
    start: int
    is_over: bool
    position: int
    running: _CountedWindow
    complete: _CountedWindow | None
    before: tuple[int, int] | None = None

    @property
    def last(self) -> RecordPosition | None:
        """The last record counted."""
        return self.running.last or (self.complete.last if self.complete else None)


class DriftWatch:
    """Looks at the drift of models; safe for several threads.

    Args:
        now_us: the clock.
        window_records, window_hours: when a window ends.
        timezone: shown with windows.
    """

    def __init__(
        self,
        now_us: Callable[[], int],
        definitions: Definitions,
    ) -> None:
        self._now_us = now_us
        self._size = definitions.drift_window_records
        self._period_us = definitions.drift_window_hours * _HOUR_US
        self._reference_records = definitions.drift_reference_records
        self._timezone = definitions.timezone
        self._reset()

    def _reset(self) -> None:
        self._recent: dict[ModelKey, _RecentWindows] = {}
        self._new_references: dict[ModelKey, Reference] = {}
        self._walked: dict[tuple[ModelKey, int], tuple[RecordPosition, int, int]] = {}
        self._lock = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Forget what was counted: another thread may have been in the middle of it."""
        self._reset()

    def detect(self, moment: Moment, model: ModelKey) -> Drift | None:
        """Return the drift of a model; `None` without a reference or with too few records."""
        return self._detect(moment, model, moment.quality.references(model).get(model))

    def detect_all(self, moment: Moment, since: int) -> dict[ModelKey, Drift]:
        """Return the drift of every model that has enough records from a time on to be judged."""
        references = moment.quality.references()
        counts = moment.quality.judged_counts(since - self._period_us, _FOREVER)
        models = [model for model, n in counts.items() if n >= cells.MIN_SAMPLES]
        drifts = {model: self._detect(moment, model, references.get(model)) for model in models}
        return {model: detected for model, detected in drifts.items() if detected is not None}

    def new_references(self) -> dict[ModelKey, Reference]:
        """Return the references that were frozen since the last call: they are to be kept once the moment is over."""
        with self._lock:
            new, self._new_references = self._new_references, {}
        return new

    def _detect(self, moment: Moment, model: ModelKey, kept: Reference | None) -> Drift | None:
        with self._lock:
            view = _Records(moment, model)
            reference = self._reference_in_force(model, view, kept)
            recent = self._recent_windows(model, view, reference) if reference else None
            if reference is not None and reference is not kept:
                self._new_references[model] = reference
            return self._answer(recent) if recent else None

    def _answer(self, recent: _RecentWindows) -> Drift | None:
        running = self._verdict(recent.reference, recent.running)
        if running is not None and running.evidence.alarm:
            return running
        return (self._verdict(recent.reference, recent.complete) if recent.complete else None) or running

    def _reference_in_force(self, model: ModelKey, view: _Records, kept: Reference | None) -> Reference | None:
        """Return what is kept, or the first records when nobody set a reference.

        Records that come late may be among the first ones; then those are frozen anew, as long as the facts are there.
        """
        if kept is not None and (kept.first is None or kept.last is None or view.horizon > kept.first.ts):
            return kept
        if kept is not None and kept.last and self._count_to(model, view, 0, kept.last) == self._reference_records:
            return kept
        if view.count(0, _FOREVER) < self._reference_records:
            return None
        first = view.oldest(self._reference_records)
        return reference_of("first_records", columns(first), first[0].position, first[-1].position)

    # ------------------------------------------------------------ counting

    def _recent_windows(self, model: ModelKey, view: _Records, reference: Reference) -> _RecentWindows | None:
        last_ts = view.last_before(_FOREVER)
        if last_ts is None:
            return None
        start = last_ts - last_ts % self._period_us
        is_over = start + self._period_us <= self._now_us()
        position = self._position(model, view, reference, start)
        before = self._before(model, view, reference, start)
        recent = self._recent.get(model)
        if recent is None or (recent.reference, recent.start, recent.is_over, recent.before) != (
            reference, start, is_over, before,
        ):  # fmt: skip
            recent = None
        if recent is None or not self._caught_up(view, recent, position):
            recent = self._counted(view, reference, start, is_over, position, before)
            if len(self._recent) >= MAX_REMEMBERED:
                self._recent.clear()
                self._walked.clear()
            self._recent[model] = recent
        return recent

    def _before(self, model: ModelKey, view: _Records, reference: Reference, start: int) -> tuple[int, int] | None:
        """Return start and position of the last period before; a late record there changes its last window."""
        last_ts = view.last_before(start)
        if last_ts is None:
            return None
        before = last_ts - last_ts % self._period_us
        return before, self._position(model, view, reference, before)

    def _position(self, model: ModelKey, view: _Records, reference: Reference, start: int) -> int:
        """Return how many records of the period come after the reference."""
        records = view.count(start, start + self._period_us)
        last = reference.last
        return records if last is None or last.ts < start else records - self._count_to(model, view, start, last)

    def _count_to(self, model: ModelKey, view: _Records, start: int, last: RecordPosition) -> int:
        """Count to the end of a reference; walked again only when something was added up to the end of its hour."""
        end = last.ts - last.ts % _HOUR_US + _HOUR_US
        around = view.count(start, end)
        known = self._walked.get((model, start))
        if known is None or known[:2] != (last, around):
            to_last = around - view.count(start, end, last)
            known = self._walked[model, start] = (last, around, to_last)
        return known[2]

    def _caught_up(self, view: _Records, recent: _RecentWindows, position: int) -> bool:
        """Count what came after the last look; `False` when that cannot be told from what came late."""
        new = position - recent.position
        if not new:
            return True
        if not 0 < new <= 2 * self._size or recent.last is None or recent.is_over:
            return False
        records = view.newest(recent.start, recent.start + self._period_us, new + 1, recent.last)
        if len(records) != new:
            return False
        for record in records:
            recent.running.add(record)
            if recent.running.counts.records == self._size:
                recent.complete, recent.running = recent.running, _CountedWindow(recent.reference)
        recent.position = position
        return True

    def _counted(
        self,
        view: _Records,
        reference: Reference,
        start: int,
        is_over: bool,
        position: int,
        before: tuple[int, int] | None,
    ) -> _RecentWindows:
        rest, complete = self._cut(view, reference, start, position)
        running = _CountedWindow(reference)
        if not is_over:
            running = rest
        elif rest.counts.records >= cells.MIN_SAMPLES:
            complete = rest
        if complete is None and before is not None:
            rest, complete = self._cut(view, reference, *before)
            complete = rest if rest.counts.records >= cells.MIN_SAMPLES else complete
        return _RecentWindows(reference, start, is_over, position, running, complete, before)

    def _cut(
        self, view: _Records, reference: Reference, start: int, position: int
    ) -> tuple[_CountedWindow, _CountedWindow | None]:
        """Count what the last full window of a period leaves over, and that window if there is one."""
        left_over = max(position, 0) % self._size
        wanted = left_over + (self._size if position >= self._size else 0)
        records = view.newest(start, start + self._period_us, wanted, reference.last) if wanted else []
        parts = records[: len(records) - left_over], records[len(records) - left_over :]
        complete, rest = (_CountedWindow(reference) for _ in parts)
        for window, part in zip((complete, rest), parts, strict=True):
            for record in part:
                window.add(record)
        return rest, complete if parts[0] else None

    # ------------------------------------------------------------ judging

    def _verdict(self, reference: Reference, counted: _CountedWindow) -> Drift | None:
        records = counted.counts.records
        if counted.verdict[0] != records:
            counted.verdict = records, self._judged(reference, counted)
        return counted.verdict[1]

    def _judged(self, reference: Reference, counted: _CountedWindow) -> Drift | None:
        measured = drift.model_drift(reference.cells, counted.counts.counts)
        if measured is None or counted.last is None:
            return None
        scores = {name: feature.score for name, feature in measured.features.items()}
        return Drift(
            drift_status=DriftStatus(measured.status),
            drift_score=measured.score,
            prediction_drift=scores.pop(PREDICTION, nan),
            feature_drift=scores,
            data_quality_score=_quality(reference, counted.counts),
            evidence=Evidence(measured.log_e / log(10), measured.alarm, measured.drifted),
            samples=counted.counts.records,
            reference_samples=max(feature.samples + feature.missing for feature in reference.cells.values()),
            reference_source=reference.source,
            window=Window(moment(counted.first_ts), moment(counted.last.ts + 1), self._timezone),
        )


def _quality(reference: Reference, window: cells.WindowCounts) -> float:
    """Return the mean quality of the features; the prediction is none."""
    qualities = [
        cells.feature_quality(feature, window.counts[name])
        for name, feature in reference.cells.items()
        if name != PREDICTION
    ]
    known = [quality for quality in qualities if quality is not None]
    return fsum(known) / len(known) if known else nan
