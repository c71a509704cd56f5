"""What can be asked of models: latency, cost, quality, drift, and everything about one of them or all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final, TypedDict, Unpack

from otel_measure.ai import reports, series
from otel_measure.ai.agents import Agents, agents
from otel_measure.ai.call_facts import (
    MAX_ERROR_TYPES,
    ModelErrors,
    NotableCalls,
    check_limit,
    check_order,
    model_errors,
    notable_calls,
)
from otel_measure.ai.drift import Drift
from otel_measure.ai.evaluations import Evaluations
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.kept_snapshots import KeptSnapshots
from otel_measure.ai.latency import Latency, latency
from otel_measure.ai.quality import Accuracy, Regression
from otel_measure.ai.quality_reader import QualityReader
from otel_measure.ai.registry import Registry
from otel_measure.ai.reports import UNKNOWN_QUALITY
from otel_measure.ai.spending import Spending, dimensions, spending
from otel_measure.definitions.days import moment as utc
from otel_measure.definitions.model_use import ModelUse
from otel_measure.definitions.series import Compare, Series, check_compare
from otel_measure.definitions.steps import SeriesWindow, series_span, step_for
from otel_measure.definitions.windows import TimeSpan, counted, time_span
from otel_measure.errors import NoStore
from otel_measure.recorder import Recorder
from otel_measure.store.model_questions import RecordedModels
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import CallOrder, Model, ModelChoice, ModelKey, SeriesGroupBy


class QuestionFilter(TypedDict, total=False):
    """What narrows a question: the day it is asked as of, and one service or environment of several."""

    as_of: date | None
    service: str | None
    environment: str | None


class ModelQuestions:
    """The questions of `AiModelService`.

    A `window` ("24h") ends now, or with the day `as_of`. Every question may raise `ValueError` for a bad window or a
    day in the future, and `NoStore` where it needs a store and there is none.

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
        self._series: Final = series.SeriesTeller()

    @property
    def pending(self) -> int:
        """How many records of this process the last answer in this thread or task is without; 0 when it has all."""
        return self._recorder.pending

    def knows_model(self, model_name: str, model_version: str) -> bool:
        """Tell whether a model was registered or recorded."""
        self._recorder.settle()
        with self._asking() as (recorded, _):
            return self._registry.model(recorded, (model_name, model_version)) is not None

    def get_latency_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> Latency:
        """Return the latency percentiles of a model with their error bound."""
        where, span = self._narrowed(window, **narrowing)
        return latency(*self._use_of((model_name, model_version), span, where))

    def get_cost_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> reports.Cost:
        """Return cost and tokens of a model with their coverage."""
        where, span = self._narrowed(window, **narrowing)
        return reports.cost(*self._use_of((model_name, model_version), span, where))

    def get_accuracy_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> Accuracy:
        """Return how well a classifier did, by the time of its predictions; labels may be text, booleans, integers."""
        quality = self._quality_for("get_accuracy_metrics")
        where, span = self._narrowed(window, **narrowing)
        return quality.accuracy((model_name, model_version), span, where)

    def get_regression_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> Regression:
        """Return how well a model of numbers did, by the time of its predictions."""
        quality = self._quality_for("get_regression_metrics")
        where, span = self._narrowed(window, **narrowing)
        return quality.regression((model_name, model_version), span, where)

    def get_fairness_metrics(
        self,
        model_name: str,
        model_version: str,
        window: str = "24h",
        *,
        positive: str | float | bool | None = None,
        **narrowing: Unpack[QuestionFilter],
    ) -> FairnessReport:
        """Return how a model treats the groups that its calls were recorded with, by the time of its predictions.

        Args:
            model_name: a model.
            model_version: of it.
            window: such as "24h".
            positive: the class that counts as selected, such as "approved"; `True` or 1 where these are the classes.
            narrowing: see `QuestionFilter`.

        Raises:
            ValueError: the classes are no booleans and `positive` is not given.
        """
        quality = self._quality_for("get_fairness_metrics")
        where, span = self._narrowed(window, **narrowing)
        return quality.fairness((model_name, model_version), span, where, positive)

    def get_evaluations(self, window: str = "24h", **narrowing: Unpack[QuestionFilter]) -> Evaluations:
        """Return what answers of models were given by whoever evaluated them, by the events that say so."""
        quality = self._quality_for("get_evaluations")
        where, span = self._narrowed(window, **narrowing)
        return quality.evaluations(span, where)

    def get_agents(self, window: str = "24h", **narrowing: Unpack[QuestionFilter]) -> Agents:
        """Return what runs of agents took, cost and went through, and how tools did, by what spans say of them."""
        quality = self._quality_for("get_agents")
        where, span = self._narrowed(window, **narrowing)
        with quality.asking(where) as moment:
            activity, span = moment.agents(span.start, span.end), counted(span, moment.models)
        return agents(activity, span)

    def get_errors(
        self,
        model_name: str | None = None,
        model_version: str | None = None,
        window: str = "24h",
        **narrowing: Unpack[QuestionFilter],
    ) -> ModelErrors:
        """Return the failed calls by type: of all models, of one, or of one version of it.

        Raises:
            ValueError: a version is given without a model.
        """
        only = _choice(model_name, model_version)
        facts = self._quality_for("get_errors")
        where, span = self._narrowed(window, **narrowing)
        with facts.asking(where) as moment:
            failed = moment.call_facts.failed(span.start, span.end, only, MAX_ERROR_TYPES)
            span = counted(span, moment.models)
        return model_errors(failed, self._trace_url, span)

    def get_calls(
        self,
        sort: CallOrder = "latency",
        model_name: str | None = None,
        model_version: str | None = None,
        window: str = "24h",
        *,
        limit: int = 20,
        **narrowing: Unpack[QuestionFilter],
    ) -> NotableCalls:
        """Return the slowest calls, or the dearest: of all models, of one, or of one version of it.

        Args:
            sort: "latency" or "cost".
            model_name: one model; all of them when not given.
            model_version: one of its versions; all of them when not given.
            window: such as "24h".
            limit: at most so many, up to 100.
            narrowing: see `QuestionFilter`.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        check_order(sort)
        check_limit(limit)
        only = _choice(model_name, model_version)
        facts = self._quality_for("get_calls")
        where, span = self._narrowed(window, **narrowing)
        with facts.asking(where) as moment:
            calls = moment.call_facts.largest(sort, span.start, span.end, only, limit)
            span = counted(span, moment.models)
        return notable_calls(calls, sort, self._trace_url, span)

    def get_spending(
        self, by: str | Sequence[str] = "user", window: str = "30d", **narrowing: Unpack[QuestionFilter]
    ) -> Spending:
        """Return what calls cost by user (as recorded), repository, model and version; some of them, in any order.

        Raises:
            ValueError: `by` names something else, or something twice.
        """
        asked = dimensions(by)
        quality = self._quality_for("get_spending")
        where, span = self._narrowed(window, **narrowing)
        with quality.asking(where) as moment:
            spent = moment.spending.spent(span.start, span.end, asked)
            uses, span = moment.models.model_use(span.start, span.end), counted(span, moment.models)
        return spending(spent, uses, asked, span)

    def detect_model_drift(
        self, model_name: str, model_version: str, *, environment: str | None = None
    ) -> Drift | None:
        """Return the drift of a model as it is now; `None` without a reference or with too few records."""
        quality = self._quality_for("detect_model_drift")
        self._recorder.settle()
        return quality.drift((model_name, model_version), environment)

    def get_model_performance_snapshot(
        self, model_name: str, model_version: str, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> reports.Snapshot:
        """Return everything about one model; one nobody has heard of has n = 0."""
        where, span = self._narrowed(window, **narrowing)
        key = (model_name, model_version)
        with self._asking(where) as (recorded, moment):
            model, span = self._registry.model(recorded, key) or Model(*key), counted(span, recorded)
            use = reports.use_of(recorded, key, span)
            quality = self._quality.of_model(moment, key, span, where) if self._quality and moment else UNKNOWN_QUALITY
        return reports.snapshot(model, use, quality, span, utc(self._now_us()))

    def list_models(self, *, window: str = "24h", **narrowing: Unpack[QuestionFilter]) -> reports.Models:
        """Return a snapshot of every model."""
        return self._all(*self._narrowed(window, **narrowing))[0]

    def first_models(self, at_most: int) -> tuple[reports.Models, int]:
        """Return what the last 24 hours tell of the first models, by name, and of how many more they do.

        The summary is of those models alone.

        A snapshot takes a tenth of a millisecond: of a hundred thousand models, ten seconds.
        """
        return self._all(*self._narrowed("24h"), at_most)

    def _all(self, where: Filter, span: TimeSpan, at_most: int | None = None) -> tuple[reports.Models, int]:
        with self._asking(where) as (recorded, moment):
            models, span = self._registry.models(recorded), counted(span, recorded)
            uses = recorded.model_use(span.start, span.end)
            qualities = self._quality.of_models(moment, span, where) if self._quality and moment else {}
        beyond = 0
        if at_most is not None:
            told = {*((use.model, use.version) for use in uses), *qualities}
            models = [model for model in models if (model.name, model.version) in told]
            models, beyond = models[:at_most], max(len(models) - at_most, 0)
            shown = {(model.name, model.version) for model in models}
            uses = [use for use in uses if (use.model, use.version) in shown]
        snapshots = self._kept.of(where, models, uses, qualities, span, utc(self._now_us()))
        return reports.all_models(snapshots, uses, span), beyond

    def get_model_series(
        self,
        model_name: str | None = None,
        model_version: str | None = None,
        window: str | None = None,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        step: str | None = None,
        group_by: SeriesGroupBy | None = None,
        compare: Compare | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> Series:
        """Return calls, errors, latencies, tokens and cost over time: of all models, of one, or of one version.

        Args:
            model_name: one model; all of them when not given.
            model_version: one of its versions; all of them together when not given.
            window: such as "24h", which is the default; it ends now.
            start: in the place of a window: from when, aware.
            end: until when; now when not given.
            step: "1m", "5m", "15m", "1h", "6h", "1d" or "1w"; the shortest that makes at most 300 when not given.
            group_by: what to tell apart: the 20 groups with the most calls have columns of their own, of "error_type"
                those with the most errors; the others are one group.
            compare: "previous" adds the equally long time before.
            service: of one service alone.
            environment: of this one.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
            NoStore: there is none; the readers of a process know no times.
        """
        quality = self._quality_for("get_model_series")
        only = _choice(model_name, model_version)
        series.check_group(group_by)
        check_compare(compare)
        now_us = self._now_us()
        span = series_span(SeriesWindow(window, start, end), now_us, self._timezone, "24h")
        asked = series.SeriesAsked(step or step_for(span), group_by, compare, only, service)
        self._recorder.settle()
        with quality.asking(Filter(service, environment)) as moment:
            return self._series.of(moment, span, now_us, asked)

    def get_models_summary(self, *, window: str = "24h", **narrowing: Unpack[QuestionFilter]) -> reports.ModelsSummary:
        """Return what all models did together: latency, cost and errors over all calls."""
        where, span = self._narrowed(window, **narrowing)
        with self._asking(where) as (recorded, _):
            span = counted(span, recorded)
            return reports.summary(recorded.model_use(span.start, span.end), span)

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
        span = time_span(window, self._now_us(), self._timezone, narrowing.get("as_of"))
        where = Filter(narrowing.get("service"), narrowing.get("environment"))
        if self._quality is None and (where.narrows or narrowing.get("as_of") is not None):
            raise NoStore("a question about another day, service or environment")
        self._recorder.settle()
        return where, span


def _choice(model_name: str | None, model_version: str | None) -> ModelChoice:
    if model_version is not None and model_name is None:
        raise ValueError(f"model_version={model_version!r} needs a model_name")
    return ModelChoice(model_name, model_version)
