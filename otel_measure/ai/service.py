"""The models of an application: recording calls, and asking how they went."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, Unpack

from otel_measure.ai.health import check_targets
from otel_measure.ai.instrument import C, F, MeasuredStream, ModelCall, measured
from otel_measure.ai.price_table import PriceTableLoader
from otel_measure.ai.pricing import Pricer, override_rates
from otel_measure.ai.quality_reader import QualityReader
from otel_measure.ai.questions import ModelQuestions
from otel_measure.ai.record import CallFields, InferenceBuilder
from otel_measure.ai.recording import Recording, Records
from otel_measure.ai.registry import Registry
from otel_measure.config import Settings
from otel_measure.deferred import AT_ONCE, Deferred
from otel_measure.recorder import Recorder
from otel_measure.records import checks
from otel_measure.records.enums import ModelType
from otel_measure.records.kinds import Origin
from otel_measure.store.model_questions import RecordedModels
from otel_measure.store.protocol import Store
from otel_measure.store.types.models import Model

_TYPES: Final = frozenset(member.value for member in ModelType)


class AiModelService(ModelQuestions):
    """What `get_ai_model_service()` returns.

    Args:
        settings: names and prices.
        recorder: takes the records.
        store: keeps registrations, truths and references; `None` keeps registrations in this process.
        in_process: answers about models where there is no store.
        now_us, new_id, monotonic: clocks and ids.
        deferred: keeps what is set while the store is away.
        timezone: of windows.

    Attributes:
        pricer: finds what calls cost.
        ground_truth_record: makes the record that `record_ground_truth` would record, without recording it.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        store: Store | None,
        in_process: RecordedModels,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        timezone: str = "UTC",
        monotonic: Callable[[], float] = time.perf_counter,
        deferred: Deferred = AT_ONCE,
    ) -> None:
        self._monotonic = monotonic
        quality = None
        if store is not None:
            quality = QualityReader(store, now_us, store.definitions, settings.environment or None, deferred)
        registry, trace_url = Registry(store, monotonic, deferred), settings.trace_url
        super().__init__(recorder, in_process, registry, quality, now_us, timezone, trace_url)
        self.pricer = Pricer(override_rates(settings.price_overrides))
        self._price_table = PriceTableLoader()
        self._builder = InferenceBuilder(
            Origin(settings.service_name, settings.environment),
            now_us,
            new_id,
            self.pricer,
            self._registry.type_of,
            settings.store_text,
        )
        self._recording = Recording(self._builder, recorder)
        self.ground_truth_record: Final = self._builder.truth

    # ------------------------------------------------------------ life

    def warm(self) -> None:
        """Load the price table on a thread of its own, once, so that no call waits for it."""
        self._price_table.start()

    @property
    def has_prices(self) -> bool:
        """Whether a call is priced without waiting for the price table to be loaded."""
        return self._price_table.is_done()

    def load_prices(self) -> None:
        """Load the price table, and wait some seconds at most until it is there."""
        self._price_table.start()
        self._price_table.finish()

    def before_fork(self) -> None:
        """Let no import be half-way while the process is copied."""
        self._price_table.finish()

    def after_fork_in_child(self) -> None:
        """Start afresh: a lock of the parent may be held by a thread that is not here."""
        self._price_table.after_fork_in_child()
        if self._quality is not None:
            self._quality.after_fork_in_child()

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

    def inference_records(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        *,
        sent_at: datetime | None = None,
        **fields: Unpack[CallFields],
    ) -> Records:
        """Return all that `record_inference` would record: the inference, and its truth when that is given.

        `sent_at` is when the client sent it, by its own clock.
        """
        return self._recording.records(model_name, model_version, latency_ms, sent_at=sent_at, **fields)

    def record_inference(
        self,
        model_name: str,
        model_version: str,
        latency_ms: float,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        *,
        cached_input_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        units: Mapping[str, float] | None = None,
        service_tier: str | None = None,
        prediction: object = None,
        ground_truth: object = None,
        features: Mapping[str, object] | None = None,
        user_id: object = None,
        session_id: str | None = None,
        provider: str | None = None,
        operation: str | None = None,
        error_type: str | None = None,
        metadata: Mapping[str, object] | None = None,
        groups: Mapping[str, str] | None = None,
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
            cached_input_tokens: the part of the input served from a cache.
            cache_write_tokens: the part of the input written to a cache.
            reasoning_tokens: the part of the output that was thought and not said.
            units: what else is charged apart, as the price table calls it: `{"input_audio_tokens": 20,
                "cache_write_1h_tokens": 300, "web_searches": 2}`.
            service_tier: such as "priority", "flex" or "batch".
            prediction: a number, a boolean or a label; of longer text only the length is kept.
            ground_truth: what it should have been, when that is known already.
            features: what the prediction was made from, by name; drift and data quality look at them.
            user_id: an int, a UUID or a non-empty string.
            session_id: of the user.
            provider: who served the model; found from its name where not given.
            operation: such as "chat"; found from the model's type where not given.
            error_type: why the call failed; `None` when it did not.
            metadata: kept as it is.
            groups: whom the call is about, such as `{"age_band": "60+"}`, at most 8 attributes with a label of at most
                64 characters each: fairness compares them. No metric has them, and they go when the user is erased.
            timestamp: aware; now when not given.
            inference_id: a second call with the same id is a duplicate; give it to `record_ground_truth` later.

        Returns:
            The id of the record.

        Raises:
            ValueError: an argument breaks its rule; the message names it.
        """
        inference = self._builder.build(
            model_name, model_version, latency_ms, input_tokens, output_tokens, cost_usd,
            cached_input_tokens=cached_input_tokens, cache_write_tokens=cache_write_tokens,
            reasoning_tokens=reasoning_tokens, units=units, service_tier=service_tier, prediction=prediction,
            features=features, user_id=user_id, session_id=session_id, provider=provider, operation=operation,
            error_type=error_type, metadata=metadata, groups=groups, timestamp=timestamp, inference_id=inference_id,
        )  # fmt: skip
        return self._recording.put(self._recording.with_truth(inference, ground_truth))

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
        record = self.ground_truth_record(inference_id, value, timestamp, ground_truth_id)
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
        self,
        stream: Iterable[C] | AsyncIterable[C],
        model_name: str,
        model_version: str,
        **fields: Unpack[CallFields],
    ) -> MeasuredStream[C]:
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

        It is said of the environment that answers of this process are about. With a spool, and while the store is away,
        it is said when the store is there; a window is that of the call, and a refusal (too few records) is counted.

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
        quality = self._quality_for("set_drift_reference")
        if window is not None:
            self._recorder.settle()  # what was recorded until now is in it
        quality.set_reference((name, version), predictions, features, window)
