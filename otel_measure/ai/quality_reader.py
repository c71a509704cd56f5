"""What the service knows of models beyond their use: answers against truths, and drift against references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isnan
from typing import Final

from otel_measure.ai.commands import ReferenceCommand, WindowReferenceCommand, usable
from otel_measure.ai.drift import Drift, reference_of
from otel_measure.ai.drift_watch import DriftWatch, SeenOfModel
from otel_measure.ai.evaluations import Evaluations, evaluations
from otel_measure.ai.fairness import FairnessReport, fairness_report
from otel_measure.ai.quality import Accuracy, Regression, accuracy, regression
from otel_measure.ai.record import LABEL_CHARS
from otel_measure.ai.reports import ModelQuality
from otel_measure.deferred import AT_ONCE, Command, Deferred
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.quality import PREDICTION
from otel_measure.definitions.windows import TimeSpan, counted, time_span
from otel_measure.errors import StoreUnavailable
from otel_measure.records import checks
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import Prediction
from otel_measure.stats.cells import Value
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import ModelKey
from otel_measure.store.types.quality import GroupedLabels, Labels, Reference

_BOOLEANS: Final = frozenset({"bool", "bool_"})


class QualityReader:
    """Answers about the quality of models.

    Args:
        store: where predictions, truths and references are.
        now_us: the clock.
        definitions: of windows and references.
        environment: that a reference is set for; `None` for the one that the store chooses.
        deferred: keeps references that are set while the store is away.
    """

    def __init__(
        self,
        store: Store,
        now_us: Callable[[], int],
        definitions: Definitions,
        environment: str | None = None,
        deferred: Deferred = AT_ONCE,
    ) -> None:
        self._store = store
        self._environment = environment
        self._deferred = deferred
        self._now_us = now_us
        self._timezone = definitions.timezone
        self._drift: Final = DriftWatch(now_us, definitions)

    @contextmanager
    def asking(self, where: Filter = EVERYTHING) -> Iterator[Moment]:
        """Yield the questions of this moment; references that were found meanwhile are kept when it is over."""
        with self._store.asking(where) as moment:
            yield moment
        for (model, environment), reference in self._drift.new_references().items():
            with suppress(StoreUnavailable):  # it is found again from the facts, as long as they are there
                self._store.set_reference(model, reference, environment)

    def after_fork_in_child(self) -> None:
        """Forget what was counted: another thread may have been in the middle of it."""
        self._drift.after_fork_in_child()

    def accuracy(self, model: ModelKey, span: TimeSpan, where: Filter) -> Accuracy:
        """Return the quality of a classifier; a model nobody has heard of has none labelled."""
        with self.asking(where) as moment:
            labels = moment.quality.labels(span.start, span.end, model).get(model) or Labels()
            span, registered = counted(span, moment.quality), moment.models.models(model)
        return accuracy(registered[0].type if registered else ModelType.OTHER.value, labels, span.window)

    def regression(self, model: ModelKey, span: TimeSpan, where: Filter) -> Regression:
        """Return the quality of a model that predicts numbers."""
        with self.asking(where) as moment:
            labels = moment.quality.labels(span.start, span.end, model).get(model) or Labels()
            span = counted(span, moment.quality)
        return regression(labels.regression, labels.predictions, span.window)

    def fairness(self, model: ModelKey, span: TimeSpan, where: Filter, positive: Prediction | None) -> FairnessReport:
        """Return how a model treats groups; one nobody has told groups of has no attribute.

        Raises:
            ValueError: nobody can know which class counts as selected.
        """
        with self.asking(where) as moment:
            grouped = moment.quality.grouped_labels(span.start, span.end, model).get(model) or GroupedLabels()
        return fairness_report(grouped, positive, span.window)

    def evaluations(self, span: TimeSpan, where: Filter) -> Evaluations:
        """Return what answers of models were given by whoever evaluated them."""
        with self.asking(where) as moment:
            evaluated = moment.quality.evaluations(span.start, span.end)
        return evaluations(evaluated, span)

    def drift(self, model: ModelKey, environment: str | None = None) -> Drift | None:
        """Return the drift of a model as it is now; `None` without a reference or with too few records."""
        with self.asking(Filter(environment=environment)) as moment:
            return self._drift.detect(moment, model).drift

    def of_model(self, moment: Moment, model: ModelKey, span: TimeSpan, where: Filter) -> ModelQuality:
        """Return what is known of one model; drift is known as of now, and over all services."""
        labels = moment.quality.labels(span.start, span.end, model).get(model)
        grouped = moment.quality.grouped_labels(span.start, span.end, model).get(model)
        seen = self._drift.detect(moment, model) if _is_now(span, where) else SeenOfModel()
        return ModelQuality(labels, _fairness(grouped, span), *_lately(seen, span))

    def of_models(self, moment: Moment, span: TimeSpan, where: Filter) -> Mapping[ModelKey, ModelQuality]:
        """Return what is known of every model, in as many queries however many models there are."""
        labels = moment.quality.labels(span.start, span.end)
        grouped = moment.quality.grouped_labels(span.start, span.end)
        seen = self._drift.detect_all(moment, span.start) if _is_now(span, where) else {}
        lately = {model: _lately(one, span) for model, one in seen.items()}
        return {
            model: ModelQuality(
                labels.get(model), _fairness(grouped.get(model), span), *lately.get(model, SeenOfModel())
            )
            for model in {*labels, *grouped, *lately}
        }

    def set_reference(
        self,
        model: ModelKey,
        predictions: Iterable[object] | None,
        features: Mapping[str, Iterable[object]] | None,
        window: str | None,
    ) -> None:
        """Freeze a reference from given values, or from what was recorded in a window.

        Raises:
            ValueError: nothing is given, or both, or too little to compare with.
        """
        given = predictions is not None or features is not None
        if given == (window is not None):
            raise ValueError("set_drift_reference takes predictions and features, or a window, and not both")
        command: Command[None]
        if window is None:
            of_values = _of_values(predictions, features)
            command = ReferenceCommand(model, self._environment, of_values.cells, of_values.not_judged)
        else:
            span = time_span(window, self._now_us(), self._timezone)
            command = WindowReferenceCommand(model, self._environment, window, span.start, span.end)
        self._deferred.do(self._store, command, None)


def _fairness(grouped: GroupedLabels | None, span: TimeSpan) -> FairnessReport | None:
    """Return how a model treats groups, where the classes themselves say which is the positive one."""
    if grouped is None:
        return None
    with suppress(ValueError):
        return fairness_report(grouped, None, span.window)
    return None


def _lately(seen: SeenOfModel, span: TimeSpan) -> SeenOfModel:
    """Return what was seen of a model, where its window reaches into that of the answer."""
    one = seen.drift or seen.data_quality  # of the same window
    return seen if one is not None and one.window.end > span.window.start else SeenOfModel()


def _is_now(span: TimeSpan, where: Filter) -> bool:
    return span.is_today and where.service is None


def _of_values(predictions: Iterable[object] | None, features: Mapping[str, Iterable[object]] | None) -> Reference:
    values: dict[str, list[Value]] = {}
    for name, column in (features or {}).items():
        if checks.text("a key of features", name) == PREDICTION:
            raise ValueError(f"features must not have the key {PREDICTION!r}: give predictions=...")
        values.update(_as_recorded(name, f"features[{name!r}]", column))
    if predictions is not None:
        values.update(_as_recorded(PREDICTION, "predictions", predictions))
    most = max(map(len, values.values()), default=0)
    return usable(reference_of("given", values), "the reference", most)


def _as_recorded(name: str, argument: str, column: Iterable[object]) -> dict[str, list[Value]]:
    """Return values as records keep them; long text becomes its length, under another name."""
    if isinstance(column, str | Mapping) or not isinstance(column, Iterable):
        raise ValueError(f"{argument} must be a sequence of values, not {column!r:.100}")
    values = [_value(argument, value) for value in column]
    if not any(isinstance(value, str) and len(value) > LABEL_CHARS for value in values):
        return {name: values}
    lengths: list[Value] = [len(value) if isinstance(value, str) else None for value in values]
    return {f"{name}_chars": lengths}


def _value(argument: str, value: object) -> Value:
    """Return a scalar as plain Python; what is not a number (nan) is missing."""
    if value is None:
        return None
    if isinstance(value, str):
        return str.__str__(value)  # numpy's text is a kind of str that JSON does not know
    if type(value).__name__ in _BOOLEANS:
        return bool(value)
    try:
        number = float(value)  # type: ignore[arg-type] # what cannot be one is refused below
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{argument} must hold numbers, text, booleans or None, not {value!r:.100}") from None
    return None if isnan(number) else number
