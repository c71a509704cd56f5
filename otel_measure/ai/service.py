"""The models of an application: recording calls, and asking how they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final, TypedDict, TypeVar, Unpack

from otel_measure.ai import reports
from otel_measure.ai.drift import Drift
from otel_measure.ai.health import check_targets
from otel_measure.ai.instrument import MeasuredStream, ModelCall, measured
from otel_measure.ai.judge import Judge
from otel_measure.ai.pricing import Pricer, Warming, override_rates
from otel_measure.ai.quality import Accuracy, Regression
from otel_measure.ai.record import CallFields, InferenceBuilder, InferenceFields
from otel_measure.ai.recording import Recording, Records
from otel_measure.ai.registry import Registry
from otel_measure.config import Settings
from otel_measure.definitions.days import moment as moment_of
from otel_measure.definitions.windows import TimeSpan, time_span
from otel_measure.errors import NoStore
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import GroundTruth, Inference, Origin
from otel_measure.store.protocol import ModelQuestions, Moment, Store
from otel_measure.store.types.facts import EVERYTHING, Filter
from otel_measure.store.types.models import Model, ModelKey, ModelUse

F = TypeVar("F", bound=Callable[..., Any])
_TYPES: Final = frozenset(member.value for member in ModelType)


class At(TypedDict, total=False):
    """Whose past a question is about: the day it is asked as of, and one service or environment of several."""

    as_of: date | None
    service: str | None
    environment: str | None


class AiModelService:
    """What `get_ai_model_service()` returns.

    A `window` ("24h") ends now, or with the day `as_of`. Every question may raise `ValueError` for a bad window or a
    day in the future, and `NoStore` where it needs a store and there is none.

    Args:
        settings: names, prices, drift windows.
        recorder: takes the records.
        store: keeps registrations, truths and references; `None` keeps registrations in this process.
        in_process: answers about models where there is no store.
        now_us, new_id, monotonic: clocks and ids.
        timezone: of windows.

    Attributes:
        pricer: finds what calls cost.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        store: Store | None,
        in_process: ModelQuestions,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._recorder = recorder
        self._in_process = in_process
        self._now_us = now_us
        self._monotonic = monotonic
        self._timezone = timezone
        self._registry = Registry(store, monotonic)
        self._judge = (
            Judge(store, now_us, timezone, settings.drift_window_records, settings.drift_window_hours)
            if store is not None
            else None
        )
        self.pricer = Pricer(override_rates(settings.price_overrides))
        self._warming = Warming()
        self._builder = InferenceBuilder(
            Origin(settings.service_name, settings.environment),
            now_us,
            new_id,
            self.pricer,
            self._registry.type_of,
            settings.store_text,
        )
        self._recording = Recording(self._builder, recorder)

    # ------------------------------------------------------------ life

    def warm(self) -> None:
        """Load the price table on a thread of its own, once, so that no call waits for it."""
        self._warming.start()

    def before_fork(self) -> None:
        """Let no import be half-way while the process is copied."""
        self._warming.finish()

    def after_fork_in_child(self) -> None:
        """Start afresh: a lock of the parent may be held by a thread that is not here."""
        if self._judge is not None:
            self._judge.after_fork_in_child()

    # ------------------------------------------------------------ recording

    def register_model(
        self,
        model_name: str,
        model_version: str,
        model_type: ModelType | str = ModelType.OTHER,
        metadata: Mapping[str, object] | None = None,
        *,
        targets: Mapping[str, float] | None = None,
    ) -> None:
        """Say what a model is, in place of what was said before; recording registers an unknown one by itself.

        Args:
            model_name: any text.
            model_version: any text.
            model_type: decides how predictions are judged and whether short texts are labels.
            metadata: kept as it is.
            targets: targets of this model's health components, such as `{"latency_p95_ms": 5000}`.

        Raises:
            ValueError: an argument breaks its rule.
        """
        given = {key: checks.number(f"targets[{key!r}]", value) for key, value in (targets or {}).items()}
        check_targets(given)
        self._registry.register(
            Model(
                checks.text("model_name", model_name),
                checks.text("model_version", model_version),
                checks.one_of("model_type", model_type, _TYPES),
                checks.json_object("metadata", metadata),
                given or None,
            )
        )

    def inference_record(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        **fields: Unpack[InferenceFields],
    ) -> Inference:
        """Return the inference that `record_inference` would record, without recording it."""
        given = {"input_tokens": input_tokens, "output_tokens": output_tokens, "cost_usd": cost_usd}
        return self._recording.records(model_name, model_version, latency_ms, **given, **fields)[0]

    def inference_records(
        self, model_name: str, model_version: str, latency_ms: float, **fields: Unpack[CallFields]
    ) -> Records:
        """Return all that `record_inference` would record: the inference, and its truth when that is given."""
        return self._recording.records(model_name, model_version, latency_ms, **fields)

    def record_inference(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        *,
        prediction: object = None,
        ground_truth: object = None,
        features: Mapping[str, object] | None = None,
        user_id: object = None,
        session_id: str | None = None,
        provider: str | None = None,
        operation: str | None = None,
        error_type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        timestamp: datetime | None = None,
        inference_id: str | None = None,
    ) -> str:
        """Record one call of a model; it is committed within 200 ms.

        Args:
            model_name: any text; an unknown model is registered.
            model_version: any text.
            latency_ms: milliseconds, at least 0.
            input_tokens: tokens read, cached ones included; `None` when unknown, which is not 0.
            output_tokens: tokens written, likewise.
            cost_usd: `None` lets the price table find it.
            prediction: a number, a boolean or a label; of longer text only the length is kept.
            ground_truth: what it should have been, when that is known already.
            features: what the prediction was made from, by name; drift and data quality look at them.
            user_id: an int or a non-empty string.
            session_id: of the user.
            provider: who served the model; found from its name where not given.
            operation: such as "chat"; found from the model's type where not given.
            error_type: why the call failed; `None` when it did not.
            metadata: kept as it is.
            timestamp: aware; now when not given.
            inference_id: a second call with the same id is a duplicate; give it to `record_ground_truth` later.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        inference = self._builder.build(
            model_name,
            model_version,
            latency_ms,
            input_tokens,
            output_tokens,
            cost_usd,
            prediction=prediction,
            features=features,
            user_id=user_id,
            session_id=session_id,
            provider=provider,
            operation=operation,
            error_type=error_type,
            metadata=metadata,
            timestamp=timestamp,
            inference_id=inference_id,
        )
        return self._recording.put(self._recording.with_truth(inference, ground_truth))

    def ground_truth_record(
        self,
        inference_id: str,
        value: object,
        *,
        timestamp: datetime | None = None,
        ground_truth_id: str | None = None,
    ) -> GroundTruth:
        """Return the record that `record_ground_truth` would record, without recording it."""
        return self._builder.truth(inference_id, value, timestamp, ground_truth_id)

    def record_ground_truth(
        self,
        inference_id: str,
        value: object,
        *,
        timestamp: datetime | None = None,
        ground_truth_id: str | None = None,
    ) -> str:
        """Record what a prediction should have been; it counts at the time of the prediction, whichever comes first.

        Of several truths for one inference the first counts: the one with the smallest timestamp, then id.

        Args:
            inference_id: what `record_inference` returned or was given.
            value: a number, a boolean or a label of at most 64 characters.
            timestamp: aware; now when not given.
            ground_truth_id: a second truth with the same id is a duplicate.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        record = self._builder.truth(inference_id, value, timestamp, ground_truth_id)
        self._recorder.put(record)
        return record.id

    def inference(self, model_name: str, model_version: str, **fields: Unpack[CallFields]) -> ModelCall:
        """Measure what happens inside `with` or `async with`; see `record_inference` for the fields.

        Raises:
            ValueError: an argument breaks its rule.
        """
        self._recording.check(model_name, model_version, **fields)
        return self._call(model_name, model_version, fields)

    def _call(self, model_name: str, model_version: str, fields: CallFields) -> ModelCall:
        return ModelCall(self._recording, self._monotonic, model_name, model_version, fields)

    def measure(self, model_name: str, model_version: str, **fields: Unpack[CallFields]) -> Callable[[F], F]:
        """Decorate a function, coroutine function, generator or async generator that calls a model.

        Raises:
            ValueError: an argument breaks its rule; when the function is decorated, not when it is called.
        """
        self._recording.check(model_name, model_version, **fields)

        def decorate(function: F) -> F:
            return measured(function, lambda: self._call(model_name, model_version, fields))

        return decorate

    def measure_stream(
        self, stream: object, model_name: str, model_version: str, **fields: Unpack[CallFields]
    ) -> MeasuredStream:
        """Measure a stream while it is read: time to first chunk, per chunk; it is closed when abandoned."""
        return MeasuredStream(stream, self.inference(model_name, model_version, **fields))

    # ------------------------------------------------------------ references

    def set_drift_reference(
        self,
        model_name: str,
        model_version: str,
        *,
        predictions: Iterable[object] | None = None,
        features: Mapping[str, Iterable[object]] | None = None,
        window: str | None = None,
    ) -> None:
        """Say what drift is measured from, in place of what was said before; it is kept when this returns.

        Args:
            model_name: a model; an unknown one is registered.
            model_version: of it.
            predictions: what the model predicted when it was good, such as on its training data.
            features: the values of its features then, by name.
            window: instead of both: what was recorded in this window ("7d"; the last 10,000 records of it).

        Raises:
            ValueError: nothing is given, or both, or fewer than 50 values, or values that are no scalars.
            NoStore: there is none to keep it.
        """
        name, version = checks.text("model_name", model_name), checks.text("model_version", model_version)
        self._judging("set_drift_reference").set_reference((name, version), predictions, features, window)

    # ------------------------------------------------------------ questions

    def knows_model(self, model_name: str, model_version: str) -> bool:
        """Tell whether a model was registered or recorded."""
        self._recorder.flush()
        with self._asking() as (recorded, _):
            return self._registry.model(recorded, (model_name, model_version)) is not None

    def get_latency_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **at: Unpack[At]
    ) -> reports.Latency:
        """Return the latency percentiles of a model with their error bound."""
        where, asked = self._asked(window, **at)
        return reports.latency(self._use_of((model_name, model_version), asked, where), asked)

    def get_cost_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **at: Unpack[At]
    ) -> reports.Cost:
        """Return cost and tokens of a model with their coverage."""
        where, asked = self._asked(window, **at)
        return reports.cost(self._use_of((model_name, model_version), asked, where), asked)

    def get_accuracy_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **at: Unpack[At]
    ) -> Accuracy:
        """Return how well a classifier did, by the time of its predictions; labels may be text, booleans, integers."""
        judge = self._judging("get_accuracy_metrics")
        where, found = self._asked(window, **at)
        return judge.accuracy((model_name, model_version), found, where)

    def get_regression_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **at: Unpack[At]
    ) -> Regression:
        """Return how well a model of numbers did, by the time of its predictions."""
        judge = self._judging("get_regression_metrics")
        where, found = self._asked(window, **at)
        return judge.regression((model_name, model_version), found, where)

    def get_evaluations(self, window: str = "24h", **at: Unpack[At]) -> reports.Evaluations:
        """Return what answers of models were given by whoever evaluated them, by the events that say so."""
        judge = self._judging("get_evaluations")
        where, found = self._asked(window, **at)
        return judge.evaluations(found, where)

    def detect_model_drift(self, model_name: str, model_version: str) -> Drift | None:
        """Return the drift of a model as it is now; `None` without a reference or with too few records."""
        judge = self._judging("detect_model_drift")
        self._recorder.flush()
        return judge.drift((model_name, model_version))

    def get_model_performance_snapshot(
        self, model_name: str, model_version: str, window: str = "24h", **at: Unpack[At]
    ) -> reports.Snapshot:
        """Return everything about one model; one nobody has heard of has n = 0."""
        where, asked = self._asked(window, **at)
        key = (model_name, model_version)
        with self._asking(where) as (recorded, moment):
            model = self._registry.model(recorded, key) or Model(*key)
            use = reports.use_of(recorded, key, asked)
            judged = self._judge.one(moment, key, asked, where) if self._judge and moment else reports.UNJUDGED
        return reports.snapshot(model, use, judged, asked, moment_of(self._now_us()))

    def list_models(self, *, window: str = "24h", **at: Unpack[At]) -> reports.Models:
        """Return a snapshot of every model."""
        where, asked = self._asked(window, **at)
        with self._asking(where) as (recorded, moment):
            models = self._registry.models(recorded)
            uses = recorded.model_use(asked.start, asked.end)
            judged = self._judge.all(moment, asked, where) if self._judge and moment else {}
        return reports.all_models(models, uses, judged, asked, moment_of(self._now_us()))

    @contextmanager
    def _asking(self, where: Filter = EVERYTHING) -> Iterator[tuple[ModelQuestions, Moment | None]]:
        """Yield who answers about models, and all other questions of the same moment where there is a store."""
        if self._judge is None:
            yield self._in_process, None
            return
        with self._judge.asking(where) as moment:
            yield moment.models, moment

    def _use_of(self, model: ModelKey, asked: TimeSpan, where: Filter) -> ModelUse:
        with self._asking(where) as (recorded, _):
            return reports.use_of(recorded, model, asked)

    def _judging(self, what: str) -> Judge:
        if self._judge is None:
            raise NoStore(what)
        return self._judge

    def _asked(self, window: str, **at: Unpack[At]) -> tuple[Filter, TimeSpan]:
        found = time_span(window, self._now_us(), self._timezone, at.get("as_of"))
        where = Filter(at.get("service"), at.get("environment"))
        if self._judge is None and (where.narrows or at.get("as_of") is not None):
            raise NoStore("a question about another day, service or environment")
        self._recorder.flush()
        return where, found
