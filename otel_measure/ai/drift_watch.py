"""Who reads the records of models for drift, and remembers what was counted of them.

The answer is a function of the stored facts of one environment and its reference: order, batches, duplicates and the
number of processes that recorded them do not matter. What was counted is remembered per process, so that looking again
reads only what is new; a record that came late makes one look read the two windows again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple, TypeAlias

from otel_measure.ai.drift import CountedWindow, DataQuality, Drift, columns, reference_of
from otel_measure.definitions.drift_windows import Cut, HourCount, WindowRule, cut, window_rule
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import HOUR_US
from otel_measure.stats import cells
from otel_measure.stats.dependence import LEAST_LEARNT_FROM, MAX_LEARNT_FROM, known_time
from otel_measure.store.questions import Moment
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import JudgedRecord, RecordPosition, Reference

MAX_REMEMBERED: Final = 1000
_FOREVER: Final = HOUR_US * 10**9  # hours of 1970 and after
_Key: TypeAlias = tuple[ModelKey, str]
"""A model and an environment."""


class SeenOfModel(NamedTuple):
    """What was seen of a model: its drift, and how good its data is where nothing can be said of drift as well."""

    drift: Drift | None = None
    data_quality: DataQuality | None = None


class _Records:
    """The records of one model in one environment, at one moment."""

    def __init__(self, moment: Moment, model: ModelKey) -> None:
        self._quality = moment.quality
        self._model = model
        self.key: Final[_Key] = (model, moment.quality.environment)
        self.horizon = moment.horizon

    def count(self, start: int, end: int, after: RecordPosition | None = None) -> int:
        return self._quality.judged_counts(start, end, self._model, after).get(self._model, 0)

    def hours(self, start: int, end: int) -> list[HourCount]:
        return self._quality.judged_hours(self._model, start, end)

    def last_before(self, end: int) -> int | None:
        return self._quality.last_judged(self._model, end)

    def newest(self, start: int, end: int, limit: int, after: RecordPosition | None = None) -> list[JudgedRecord]:
        return self._quality.newest(self._model, start, end, limit, after)

    def oldest(self, limit: int) -> list[JudgedRecord]:
        return self._quality.oldest(self._model, limit)


class _Dependence(NamedTuple):
    """The autocorrelation times that were learnt from the first records of a model, up to the last of them."""

    records: int
    last: RecordPosition
    times: Mapping[str, float]


class _Stretch(NamedTuple):
    """Records between two times, and the windows in them."""

    start: int
    cut: Cut


class _Looked(NamedTuple):
    """What decides which windows are looked at, but for how many records the running one has."""

    reference: Reference
    times: Mapping[str, float]
    rule: WindowRule
    start: int
    running_from: int
    complete_in: _Stretch | None


@dataclass(slots=True)
class _RecentWindows:
    """What was counted of a model."""

    looked: _Looked
    running: CountedWindow
    complete: CountedWindow | None


class DriftWatch:
    """Looks at the drift of models; safe for several threads.

    Args:
        now_us: the clock.
        definitions: when a window ends, how many records are a reference, and the zone shown with windows.
    """

    def __init__(self, now_us: Callable[[], int], definitions: Definitions) -> None:
        self._now_us = now_us
        self._definitions = definitions
        self._reset()

    def _reset(self) -> None:
        self._recent: dict[_Key, _RecentWindows] = {}
        self._new_references: dict[_Key, Reference] = {}
        self._walked: dict[tuple[_Key, int, RecordPosition], tuple[int, int]] = {}
        self._learnt: dict[_Key, _Dependence] = {}
        self._lock = threading.Lock()

    def after_fork_in_child(self) -> None:
        """Forget what was counted: another thread may have been in the middle of it."""
        self._reset()

    def detect(self, moment: Moment, model: ModelKey) -> SeenOfModel:
        """Return what is seen of a model; nothing without a reference or with too few records."""
        return self._detect(moment, model, moment.quality.references(model).get(model))

    def detect_all(self, moment: Moment, since: int) -> dict[ModelKey, SeenOfModel]:
        """Return what is seen of every model that has enough records from a time on to be judged, if anything is."""
        references = moment.quality.references()
        longest_us = window_rule(self._definitions, ()).stretch_us
        counts = moment.quality.judged_counts(since - longest_us, _FOREVER)
        models = [model for model, n in counts.items() if n >= cells.MIN_SAMPLES]
        seen = {model: self._detect(moment, model, references.get(model)) for model in models}
        return {model: one for model, one in seen.items() if one != SeenOfModel()}

    def new_references(self) -> dict[tuple[ModelKey, str], Reference]:
        """Return the references that were frozen since the last call: they are to be kept once the moment is over.

        The keys are the model and the environment.
        """
        with self._lock:
            new, self._new_references = self._new_references, {}
        return new

    def _detect(self, moment: Moment, model: ModelKey, kept: Reference | None) -> SeenOfModel:
        with self._lock:
            view = _Records(moment, model)
            reference = self._reference_in_force(view, kept)
            recent = self._recent_windows(view, reference) if reference else None
            if reference is not None and reference is not kept:
                self._new_references[view.key] = reference
            return _shown(recent) if recent else SeenOfModel()

    def _reference_in_force(self, view: _Records, kept: Reference | None) -> Reference | None:
        """Return what is kept, or the first records when nobody set a reference.

        Records that come late may be among the first ones; then those are frozen anew, as long as the facts are there.
        """
        wanted = self._definitions.drift_reference_records
        if kept is not None and (kept.first is None or kept.last is None or view.horizon > kept.first.ts):
            return kept
        if kept is not None and kept.last and self._count_to(view, 0, kept.last) == wanted:
            return kept
        if view.count(0, _FOREVER) < wanted:
            return None
        first = view.oldest(wanted)
        return reference_of("first_records", columns(first), first[0].position, first[-1].position)

    # ------------------------------------------------------------ dependence

    def _times(self, view: _Records, reference: Reference) -> Mapping[str, float] | None:
        """Return the autocorrelation time of every feature; `None` as long as too few records have come to tell.

        Those of a list that somebody gave, and of too few records to tell, are learnt from the first records of the
        model, at most 1,000, ever more of them as they come. A time that these cannot tell yet is infinite.
        """
        known = {name: one.autocorrelation_time for name, one in reference.cells.items()}
        learnt = None if None not in known.values() else self._learn(view)
        if None in known.values() and learnt is None:
            return None
        others = learnt.times if learnt else {}
        return {name: others.get(name, 1.0) if time is None else time for name, time in known.items()}

    def _learn(self, view: _Records) -> _Dependence | None:
        wanted = _learnt_from(view.count(0, _FOREVER))
        if not wanted:
            return None
        known = self._learnt.get(view.key)
        if known is None or known.records != wanted or self._count_to(view, 0, known.last) != wanted:
            records = view.oldest(wanted)
            times = {name: known_time(column) or inf for name, column in columns(records).items()}
            known = self._learnt[view.key] = _Dependence(wanted, records[-1].position, times)
        return known

    # ------------------------------------------------------------ counting

    def _recent_windows(self, view: _Records, reference: Reference) -> _RecentWindows | None:
        last_ts = view.last_before(_FOREVER)
        times = self._times(view, reference)
        if last_ts is None or times is None:
            return None
        rule = window_rule(self._definitions, times.values())
        now = self._stretch(view, reference, rule, rule.stretch_of(last_ts))
        complete_in: _Stretch | None = now
        if now.cut.complete is None:
            before = view.last_before(now.start)
            complete_in = (before and self._stretch(view, reference, rule, rule.stretch_of(before))) or None
        looked = _Looked(
            reference, times, rule, now.start, now.cut.running.first, complete_in and _settled(complete_in)
        )
        recent = self._recent.get(view.key)
        if recent is None or recent.looked != looked or not _caught_up(view, recent, now.cut.running.records):
            if len(self._recent) >= MAX_REMEMBERED:
                self._reset_counted()
            recent = self._recent[view.key] = self._counted(view, looked, now, complete_in)
        return recent

    def _reset_counted(self) -> None:
        self._recent.clear()
        self._walked.clear()
        self._learnt.clear()

    def _stretch(self, view: _Records, reference: Reference, rule: WindowRule, start: int) -> _Stretch:
        last = reference.last
        skipped = 0 if last is None or last.ts < start else self._count_to(view, start, last)
        return _Stretch(start, cut(view.hours(start, start + rule.stretch_us), skipped, rule, self._now_us()))

    def _count_to(self, view: _Records, start: int, last: RecordPosition) -> int:
        """Count to the end of a reference; walked again only when something was added up to the end of its hour."""
        end = last.ts - last.ts % HOUR_US + HOUR_US
        around = view.count(start, end)
        known = self._walked.get((view.key, start, last))
        if known is None or known[0] != around:
            to_last = around - view.count(start, end, last)
            known = self._walked[view.key, start, last] = (around, to_last)
        return known[1]

    def _counted(self, view: _Records, looked: _Looked, now: _Stretch, complete_in: _Stretch | None) -> _RecentWindows:
        timezone, (_, environment) = self._definitions.timezone, view.key
        windows = [CountedWindow(looked.reference, looked.times, timezone, environment) for _ in range(2)]
        running, complete = windows
        of_now = self._read(view, looked, now)
        running.extend(of_now[len(of_now) - now.cut.running.records :])
        if complete_in is None or complete_in.cut.complete is None:
            return _RecentWindows(looked, running, None)
        records = of_now if complete_in is now else self._read(view, looked, complete_in)
        complete.extend(records[: complete_in.cut.complete.records])
        return _RecentWindows(looked, running, complete)

    @staticmethod
    def _read(view: _Records, looked: _Looked, stretch: _Stretch) -> list[JudgedRecord]:
        """Read the last records of a stretch: those of its windows, and what may lie between them."""
        complete, running = stretch.cut
        wanted = running.first + running.records - (complete or running).first
        end = stretch.start + looked.rule.stretch_us
        return view.newest(stretch.start, end, wanted, looked.reference.last) if wanted else []


def _learnt_from(records: int) -> int:
    """Return from how many of the first records dependence is learnt: 100, then a quarter more each time, to 1,000."""
    step = next_step = LEAST_LEARNT_FROM
    while next_step <= records and step < MAX_LEARNT_FROM:
        step, next_step = next_step, min(next_step + next_step // 4, MAX_LEARNT_FROM)
    return min(step, MAX_LEARNT_FROM) if records >= LEAST_LEARNT_FROM else 0


def _settled(stretch: _Stretch) -> _Stretch:
    """Return what of a stretch does not change while records come to its running window."""
    return stretch._replace(cut=Cut(stretch.cut.complete, stretch.cut.running._replace(records=0)))


def _caught_up(view: _Records, recent: _RecentWindows, records: int) -> bool:
    """Count what came after the last look; `False` when that cannot be told from what came late."""
    new = records - recent.running.counts.records
    if not new:
        return True
    if new < 0 or recent.running.last is None:
        return False
    start = recent.looked.start
    came = view.newest(start, start + recent.looked.rule.stretch_us, new + 1, recent.running.last)
    if len(came) == new:
        recent.running.extend(came)
    return len(came) == new


def _shown(recent: _RecentWindows) -> SeenOfModel:
    """Return what is shown: of the running window where it alarms, else of the last one that has a verdict.

    Where none has one, the data quality is that of the complete window: nearly every value may be missing there.
    """
    now = recent.running.verdict()
    in_order = [recent.running, recent.complete] if now and now.evidence.alarm else [recent.complete, recent.running]
    windows = [window for window in in_order if window is not None]
    shown = next((window for window in windows if window.verdict() is not None), windows[0])
    return SeenOfModel(shown.verdict(), shown.quality())
