"""The models of an application: recording calls, and asking how they went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from otel_measure import checks
from otel_measure.ai import reports
from otel_measure.ai.instrument import Call, MeasuredStream, measured
from otel_measure.ai.pricing import Pricer, override_rates
from otel_measure.ai.record import InferenceBuilder
from otel_measure.config import Settings
from otel_measure.days import moment
from otel_measure.enums import ModelType
from otel_measure.errors import NoStore
from otel_measure.recorder import Recorder
from otel_measure.records import Inference, Origin
from otel_measure.store.base import Filter, Model, Series, Store
from otel_measure.windows import Span, span

F = TypeVar("F", bound=Callable[..., Any])
_TYPES = frozenset(member.value for member in ModelType)


class _Quietly:
    """Records around calls of a model, where an error of ours would take the model's answer with it."""

    def __init__(self, builder: InferenceBuilder, recorder: Recorder) -> None:
        self._builder = builder
        self._recorder = recorder

    def check(self, model_name: str, model_version: str, **fields: Any) -> None:
        self._builder.build(model_name, model_version, 0.0, **fields)

    def record(self, model_name: str, model_version: str, latency_ms: float, **fields: Any) -> str | None:
        try:
            record = self._builder.build(model_name, model_version, latency_ms, **fields)
            self._recorder.put(record)
            return record.id
        except Exception as error:
            self._recorder.fault("measuring", f"a call of {model_name} was not recorded: {error!r}", error)
            return None


class AiModelService:
    """What `get_ai_model_service()` returns.

    Args:
        settings: names, prices, time zone.
        recorder: takes the records.
        series: answers; the store, or the in-memory reader without one.
        store: keeps registrations; `None` keeps them in this process.
        now_us, new_id, monotonic: clocks and ids.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        series: Series,
        store: Store | None,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._recorder = recorder
        self._series = series
        self._store = store
        self._now_us = now_us
        self._monotonic = monotonic
        self._timezone = timezone
        self._registered: dict[tuple[str, str], Model] = {}
        self._builder = InferenceBuilder(
            Origin(settings.service_name, settings.environment),
            now_us,
            new_id,
            Pricer(override_rates(settings.price_overrides)),
            self._type_of,
            settings.store_text,
        )
        self._quietly = _Quietly(self._builder, recorder)

    def _type_of(self, name: str, version: str) -> str:
        known = self._registered.get((name, version))
        return known.type if known else ModelType.OTHER.value

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
        """Say what a model is; recording registers an unknown one by itself.

        Raises:
            ValueError: an argument breaks its rule.
        """
        given = {key: checks.number(f"targets[{key!r}]", value, low=0.0) for key, value in (targets or {}).items()}
        model = Model(
            checks.text("model_name", model_name),
            checks.text("model_version", model_version),
            checks.one_of("model_type", model_type, _TYPES),
            checks.json_object("metadata", metadata),
            given or None,
        )
        if self._store is not None:
            self._store.register_model(model)
        self._registered[model.name, model.version] = model

    def inference_record(
        self, model_name: str, model_version: str, latency_ms: float, *args: Any, **fields: Any
    ) -> Inference:
        """Return the record that `record_inference` would record, without recording it."""
        return self._builder.build(model_name, model_version, latency_ms, *args, **fields)

    def record_inference(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        **fields: Any,
    ) -> str:
        """Record one call of a model; it is committed within 200 ms.

        Args:
            model_name: any text; an unknown model is registered.
            model_version: any text.
            latency_ms: milliseconds, at least 0.
            input_tokens: tokens read, cached ones included; `None` when unknown, which is not 0.
            output_tokens: tokens written, likewise.
            cost_usd: `None` lets the price table find it.
            fields: `prediction`, `features`, `user_id`, `session_id`, `provider`, `operation`, `error_type`,
                `metadata`, `timestamp` (aware), `inference_id`.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        record = self._builder.build(
            model_name, model_version, latency_ms, input_tokens, output_tokens, cost_usd, **fields
        )
        self._recorder.put(record)
        return record.id

    def inference(self, model_name: str, model_version: str, **fields: object) -> Call:
        """Measure what happens inside `with` or `async with`; see `record_inference` for the fields.

        Raises:
            ValueError: an argument breaks its rule.
        """
        self._quietly.check(model_name, model_version, **fields)
        return self._call(model_name, model_version, fields)

    def _call(self, model_name: str, model_version: str, fields: Mapping[str, object]) -> Call:
        return Call(self._quietly, self._monotonic, model_name, model_version, fields)

    def measure(self, model_name: str, model_version: str, **fields: object) -> Callable[[F], F]:
        """Decorate a function, coroutine function, generator or async generator that calls a model.

        Raises:
            ValueError: an argument breaks its rule; when the function is decorated, not when it is called.
        """
        self._quietly.check(model_name, model_version, **fields)

        def decorate(function: F) -> F:
            return measured(function, lambda: self._call(model_name, model_version, fields))

        return decorate

    def measure_stream(self, stream: object, model_name: str, model_version: str, **fields: object) -> MeasuredStream:
        """Measure a stream while it is read: time to first chunk, per chunk; it is closed when abandoned."""
        return MeasuredStream(stream, self.inference(model_name, model_version, **fields))

    # ------------------------------------------------------------ questions

    def knows_model(self, model_name: str, model_version: str) -> bool:
        """Tell whether a model was registered or recorded."""
        self._recorder.flush()
        return (model_name, model_version) in self._registered or self._series.model(
            model_name, model_version
        ) is not None

    def get_latency_metrics(
        self, model_name: str, model_version: str, window: str = "24h", **at: Any
    ) -> reports.Latency:
        """Return the latency percentiles of a model with their error bound."""
        where, at_span = self._asked(window, **at)
        return reports.latency(reports.use_of(self._series, model_name, model_version, at_span, where), at_span)

    def get_cost_metrics(self, model_name: str, model_version: str, window: str = "24h", **at: Any) -> reports.Cost:
        """Return cost and tokens of a model with their coverage."""
        where, at_span = self._asked(window, **at)
        return reports.cost(reports.use_of(self._series, model_name, model_version, at_span, where), at_span)

    def get_model_performance_snapshot(
        self, model_name: str, model_version: str, window: str = "24h", **at: Any
    ) -> reports.Snapshot:
        """Return everything about one model; one nobody has heard of has n = 0."""
        where, at_span = self._asked(window, **at)
        model = self._model(model_name, model_version)
        use = reports.use_of(self._series, model_name, model_version, at_span, where)
        return reports.snapshot(model, use, at_span, moment(self._now_us()))

    def list_models(self, window: str = "24h", **at: Any) -> reports.Models:
        """Return every model."""
        where, at_span = self._asked(window, **at)
        return reports.all_models(self._series, at_span, moment(self._now_us()), where)

    def _model(self, name: str, version: str) -> Model:
        return self._registered.get((name, version)) or self._series.model(name, version) or Model(name, version)

    def _asked(
        self,
        window: str,
        *,
        as_of: date | None = None,
        service: str | None = None,
        environment: str | None = None,
    ) -> tuple[Filter, Span]:
        found = span(window, self._now_us(), self._timezone, as_of)
        where = Filter(service, environment)
        if self._store is None and (where.narrows or as_of is not None):
            raise NoStore("a question about another day, service or environment")
        self._recorder.flush()
        return where, found
