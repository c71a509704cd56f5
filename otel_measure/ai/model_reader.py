"""What questions about models have in common: whom they ask, of which moment, and what narrows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final, TypedDict, Unpack

from otel_measure.ai import reports
from otel_measure.ai.judged import ModelFigures
from otel_measure.ai.kept_models import KeptModels
from otel_measure.ai.kept_snapshots import KeptSnapshots
from otel_measure.ai.quality_reader import QualityReader
from otel_measure.ai.registry import Registry
from otel_measure.ai.series import SeriesTeller
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.steps import SeriesWindow, series_span
from otel_measure.definitions.windows import TimeSpan, counted, time_span
from otel_measure.errors import NoStore
from otel_measure.recorder import Recorder
from otel_measure.store.model_questions import RecordedModels
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import ModelKey


class QuestionFilter(TypedDict, total=False):
    """What narrows a question: the day it is asked as of, and one service or environment of several.

    In the place of a window stands the time from `start` (to `end`, else now), both aware.
    """

    as_of: date | None
    start: datetime | None
    end: datetime | None
    service: str | None
    environment: str | None


class ModelReader:
    """Reads what is known of models.

    Args:
        recorder: is flushed before a question is answered.
        in_process: what models did by this process, where there is no store.
        registry: which models there are.
        quality: asks the store; `None` without one.
        now_us: the clock.
        timezone: of windows.
        trace_url: where a trace is shown, with `{trace_id}`; `None` for nowhere.
    """

    def __init__(
        self,
        recorder: Recorder,
        in_process: RecordedModels,
        registry: Registry,
        quality: QualityReader | None,
        now_us: Callable[[], int],
        timezone: str,
        trace_url: str | None = None,
    ) -> None:
        self._trace_url = trace_url
        self._recorder = recorder
        self._in_process = in_process
        self._registry = registry
        self._quality = quality
        self._now_us = now_us
        self._timezone = timezone
        self._kept: Final = KeptSnapshots()
        self._kept_figures: Final = KeptModels[ModelFigures]()
        self._series: Final = SeriesTeller()

    @property
    def pending(self) -> int:
        """How many records of this process the last answer in this thread or task is without; 0 when it has all."""
        return self._recorder.pending

    @contextmanager
    def _asking(self, where: Filter = EVERYTHING) -> Iterator[tuple[RecordedModels, Moment | None]]:
        """Yield who answers about models, and all other questions of the same moment where there is a store."""
        if self._quality is None:
            yield self._in_process, None
            return
        with self._quality.asking(where) as moment:
            yield moment.models, moment

    def _use_of(self, model: ModelKey, span: TimeSpan, where: Filter) -> tuple[ModelUse, TimeSpan]:
        with self._asking(where) as (recorded, _):
            return reports.use_of(recorded, model, span), counted(span, recorded)

    def _quality_for(self, question: str) -> QualityReader:
        if self._quality is None:
            raise NoStore(question)
        return self._quality

    def _narrowed(self, window: str, **narrowing: Unpack[QuestionFilter]) -> tuple[Filter, TimeSpan]:
        span = self._span(window, narrowing.get("as_of"), narrowing.get("start"), narrowing.get("end"))
        where = Filter(narrowing.get("service"), narrowing.get("environment"))
        is_window = narrowing.get("as_of") is None and narrowing.get("start") is None
        if self._quality is None and (where.narrows or not is_window):
            raise NoStore("a question about another time, service or environment")
        self._recorder.settle()
        return where, span

    def _span(self, window: str, as_of: date | None, start: datetime | None, end: datetime | None) -> TimeSpan:
        if start is None and end is None:
            return time_span(window, self._now_us(), self._timezone, as_of)
        if as_of is not None:
            raise ValueError(f"as_of={as_of} and start or end exclude each other: give one of them")
        return series_span(SeriesWindow(None, start, end), self._now_us(), self._timezone, window)
