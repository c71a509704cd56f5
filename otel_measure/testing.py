"""For the tests of an application: everything that is measured inside a `with` stays inside it.

    import pytest
    from otel_measure.testing import Capture

    @pytest.fixture
    def measured():
        with Capture() as capture:
            yield capture

    def test_a_question_is_measured(measured):
        ask("why?")                                   # calls get_ai_model_service() somewhere
        assert measured.ai.list_models().total_inferences == 1

The store lives in memory, the OpenTelemetry providers are not the global ones, the clock stands where it is put,
nothing recurs in the background, and a fault of ours raises instead of being counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider

from otel_measure import process
from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.definitions.days import micros
from otel_measure.definitions.exposition import Family
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.records.events import Event
from otel_measure.records.kinds import Json, Origin
from otel_measure.runtime import Runtime
from otel_measure.telemetry import Providers
from otel_measure.telemetry.sdk_internals import in_memory_logger_provider
from otel_measure.users.service import UserAnalyticsService

if TYPE_CHECKING:
    from otel_measure.infrastructure.sampler import Sampler

START = datetime(2026, 1, 15, 12, tzinfo=UTC)


class Clock:
    """Microseconds since 1970 that count: each reading is `step_us` later than the one before.

    Attributes:
        now_us: what the next reading says.
        readings: how often it was read.
    """

    def __init__(self, start: datetime = START, step_us: int = 0) -> None:
        self.now_us = micros(start)
        self.step_us = step_us
        self.readings = 0

    def __call__(self) -> int:
        """Return the time, and move on by one step."""
        now = self.now_us
        self.now_us += self.step_us
        self.readings += 1
        return now

    def set(self, at: datetime) -> None:
        """Put the clock, forwards or back."""
        self.now_us = micros(at)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.now_us += by // timedelta(microseconds=1)


class Capture:
    """A runtime of its own, and this process's as long as the `with` lasts.

    Args:
        settings: by default a store in memory and nothing sent anywhere.
        clock: microseconds since 1970 UTC.
        sampler: reads the machine; the real one when not given.
        raise_faults: raise faults of ours, which are otherwise counted and logged.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        sampler: Sampler | None = None,
        raise_faults: bool = True,
    ) -> None:
        self.clock = clock or Clock()
        loggers, self._exported = in_memory_logger_provider()
        self.providers = Providers(MeterProvider(shutdown_on_exit=False), loggers)
        self.runtime = Runtime(
            settings or replace(Settings(), store=":memory:"),
            clock=self.clock,
            sampler=sampler,
            raise_faults=raise_faults,
            providers=self.providers,
        )
        self._before: Runtime | None = None

    @property
    def ai(self) -> AiModelService:
        """What `get_ai_model_service()` returns."""
        return self.runtime.ai

    @property
    def users(self) -> UserAnalyticsService:
        """What `get_user_analytics_service()` returns."""
        return self.runtime.users

    @property
    def infrastructure(self) -> InfrastructureService:
        """What `get_infrastructure_service()` returns."""
        return self.runtime.infrastructure

    def families(self) -> dict[str, Family]:
        """Return what `/metrics` would show, by instrument."""
        return {family.name: family for family in self.runtime.exposition.families()}

    def events(self) -> list[Event]:
        """Return what has been recorded, as the events that OTLP would carry."""
        self.runtime.recorder.flush()
        origin = Origin(self.runtime.settings.service_name, self.runtime.settings.environment)
        return [_event(emitted.log_record, origin) for emitted in self._exported()]

    def __enter__(self) -> Capture:
        self.runtime.start(background=False)
        self._before = process.install(self.runtime)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        process.install(self._before)
        steps: tuple[Callable[[], object], ...] = (self.runtime.shutdown, self.providers.meters.shutdown)
        for step in steps:
            step()
        if self.providers.loggers is not None:
            self.providers.loggers.shutdown()


def _json(value: object) -> Json:
    """Undo what the SDK does to values: lists become tuples, mappings something of its own."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value  # type: ignore[return-value]


def _event(record: object, origin: Origin) -> Event:
    attributes: Mapping[str, object] = getattr(record, "attributes", None) or {}
    trace_id, span_id = getattr(record, "trace_id", 0), getattr(record, "span_id", 0)
    return Event(
        name=str(getattr(record, "event_name", "")),
        ts=int(getattr(record, "timestamp", 0)) // 1000,
        origin=origin,
        attributes={key: _json(value) for key, value in attributes.items()},
        trace_id=f"{trace_id:032x}" if trace_id else None,
        span_id=f"{span_id:016x}" if span_id else None,
    )
