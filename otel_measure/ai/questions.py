"""What can be asked of models: latency, cost, quality, drift, and everything about one of them or all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Unpack

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
from otel_measure.ai.comparison import UseOfVersion, VersionComparison, compare_versions
from otel_measure.ai.drift import Drift
from otel_measure.ai.evaluations import Evaluations
from otel_measure.ai.fairness import FairnessReport
from otel_measure.ai.judged import ManyFigures, figures
from otel_measure.ai.latency import Latency, latency
from otel_measure.ai.model_pages import KnownModels, page_of_models
from otel_measure.ai.model_reader import ModelReader, QuestionFilter
from otel_measure.ai.quality import Accuracy, Regression
from otel_measure.ai.reports import UNKNOWN_QUALITY
from otel_measure.ai.spending import Spending, dimensions, is_told_by_store, page_of_spending, spending
from otel_measure.definitions.days import moment as utc
from otel_measure.definitions.pages import Page
from otel_measure.definitions.series import Compare, Series, check_compare
from otel_measure.definitions.steps import SeriesWindow, series_span, step_for
from otel_measure.definitions.windows import TimeSpan, counted, whole_minutes
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.models import CallOrder, Model, ModelChoice, SeriesGroupBy


class ModelQuestions(ModelReader):
    """The questions of `AiModelService`.

    A `window` ("24h") ends now, or with the day `as_of`. Every question may raise `ValueError` for a bad window or a
    day in the future, and `NoStore` where it needs a store and there is none.
    """

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
            limit: at most so many, up to 1,000.
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
        self,
        by: str | Sequence[str] = "user",
        window: str = "30d",
        *,
        limit: int | None = None,
        **narrowing: Unpack[QuestionFilter],
    ) -> Spending:
        """Return what calls cost by user (as recorded), repository, model and version; some of them, in any order.

        Args:
            by: what the calls of a row have in common.
            window: such as "30d".
            limit: at most so many rows, the dearest, up to 1,000; all when not given. Totals are of all.
            narrowing: see `QuestionFilter`.

        Raises:
            ValueError: `by` names something else, or something twice; `limit` is too small or too large.
        """
        if limit is not None:
            check_limit(limit)
        return self.spending_page(None if limit is None else Page(limit), by, window, **narrowing)[0]

    def spending_page(
        self, page: Page | None, by: str | Sequence[str], window: str = "30d", **narrowing: Unpack[QuestionFilter]
    ) -> tuple[Spending, int, int]:
        """Return the rows of a page beside the totals of all, how many rows there are, and how many match `q`.

        The store finds them, but where rows are sought or sorted by names: then it tells all, as for no page.
        """
        asked, told_page = dimensions(by), page if page is not None and is_told_by_store(page) else None
        quality = self._quality_for("get_spending")
        where, span = self._narrowed(window, **narrowing)
        with quality.asking(where) as moment:
            spent = moment.spending.spent(*whole_minutes(span), asked, told_page)  # as what all calls add up to
            sums, span = moment.calls.call_sums(*whole_minutes(span)), counted(span, moment.models)
        report = spending(spent, sums.values(), asked, span)
        if page is None or page is told_page:
            return report, spent.total, spent.total
        return page_of_spending(report, page)

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

    def get_version_comparison(
        self,
        model_name: str,
        model_version: str,
        baseline_version: str,
        window: str = "24h",
        **narrowing: Unpack[QuestionFilter],
    ) -> VersionComparison:
        """Return two versions of a model side by side: latency, errors, cost and tokens with 95 % intervals.

        Args:
            model_name: a model.
            model_version: the version in question.
            baseline_version: the one that it is compared with.
            window: such as "24h".
            narrowing: see `QuestionFilter`.
        """
        facts = self._quality_for("get_version_comparison")
        where, span = self._narrowed(window, **narrowing)
        with facts.asking(where) as moment:
            version, baseline = (
                UseOfVersion(
                    reports.use_of(moment.models, (model_name, one), span),
                    # Of the same whole minutes as the cells, so that both tell of the same calls.
                    moment.call_facts.moments(*whole_minutes(span), ModelChoice(model_name, one)),
                )
                for one in (model_version, baseline_version)
            )
            span = counted(span, moment.models)
        return compare_versions(model_name, version, baseline, span)

    def list_models(self, *, window: str = "24h", **narrowing: Unpack[QuestionFilter]) -> reports.Models:
        """Return a snapshot of every model."""
        where, span = self._narrowed(window, **narrowing)
        known = self._known(where, span)
        return reports.all_models(self._judged(where, known, known.models), known.uses, known.span)

    def models_page(
        self, page: Page, *, window: str = "24h", **narrowing: Unpack[QuestionFilter]
    ) -> tuple[reports.Models, int, int]:
        """Return the snapshots of a page of models with what all did together, how many there are, and match `q`.

        Only the models of the page are judged, so a page takes no more memory however many models there are.

        Args:
            page: which of them; columns are those of a snapshot, and `q` is sought in name, version and type.
            window: such as "24h".
            narrowing: see `QuestionFilter`.

        Raises:
            ValueError: to sort as is asked, more than 20,000 models would have to be judged.
        """
        where, span = self._narrowed(window, **narrowing)
        return self._page(where, self._known(where, span), page)

    def judged_models(self, *, environment: str | None = None) -> ManyFigures:
        """Return what the KPIs of every model look at, of the last 24 hours."""
        where, span = self._narrowed("24h", environment=environment)
        known = self._known(where, span)
        return self._figures(where, known, known.models)

    def judged_and_page(
        self, page: Page, *, environment: str | None = None
    ) -> tuple[ManyFigures, reports.Models, int, int]:
        """Return, from one reading, what `judged_models` and `models_page` do; it raises what that raises."""
        where, span = self._narrowed("24h", environment=environment)
        known = self._known(where, span)
        return self._figures(where, known, known.models), *self._page(where, known, page)

    def first_judged(self, at_most: int) -> tuple[ManyFigures, int]:
        """Return what the first models are judged by of which the last 24 hours tell, and how many more these are."""
        where, span = self._narrowed("24h")
        known = self._known(where, span)
        told = {*((use.model, use.version) for use in known.uses), *known.qualities}
        models = [model for model in known.models if (model.name, model.version) in told]
        return self._figures(where, known, models[:at_most]), max(len(models) - at_most, 0)

    def _known(self, where: Filter, span: TimeSpan) -> KnownModels:
        with self._asking(where) as (recorded, moment):
            span = counted(span, recorded)
            return KnownModels(
                self._registry.models(recorded),
                recorded.model_use(span.start, span.end),
                self._quality.of_models(moment, span, where) if self._quality and moment else {},
                span,
            )

    def _page(self, where: Filter, known: KnownModels, page: Page) -> tuple[reports.Models, int, int]:
        return page_of_models(known, page, lambda some: self._judged(where, known, some))

    def _judged(self, where: Filter, known: KnownModels, models: Sequence[Model]) -> tuple[reports.Snapshot, ...]:
        return self._kept.of(where, models, known.uses, known.qualities, known.span, utc(self._now_us()))

    def _figures(self, where: Filter, known: KnownModels, models: Sequence[Model]) -> ManyFigures:
        uses, qualities, span = known.uses, known.qualities, known.span
        told = self._kept_figures.of(
            (where, span.end - span.start),
            models,
            uses,
            qualities,
            lambda model, use, quality: figures(model, use, quality, span),
        )
        return ManyFigures(told, span.window)

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


def _choice(model_name: str | None, model_version: str | None) -> ModelChoice:
    if model_version is not None and model_name is None:
        raise ValueError(f"model_version={model_version!r} needs a model_name")
    return ModelChoice(model_name, model_version)
