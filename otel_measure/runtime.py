"""One process's measuring: settings, store, recorder, telemetry and services wired together, once."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Final

import msgspec

from otel_measure.ai.service import AiModelService
from otel_measure.ai.spans import inference_of
from otel_measure.config import Settings, otlp_logs, sdk_is_disabled
from otel_measure.conventions import dialects, semconv
from otel_measure.conventions.instruments import (
    OTEL_MEASURE_SELF_OUTBOX_LENGTH,
    OTEL_MEASURE_SELF_QUEUE_LENGTH,
)
from otel_measure.definitions.days import moment
from otel_measure.definitions.exposition import STALE_US, Family
from otel_measure.definitions.signals import Span
from otel_measure.errors import MeasureError, NoStore, StoreUnavailable
from otel_measure.experiments.service import ExperimentService
from otel_measure.infrastructure import instruments
from otel_measure.infrastructure.hosts import PREFIXES
from otel_measure.infrastructure.ledger import Ledger
from otel_measure.infrastructure.processes import Processes
from otel_measure.infrastructure.sampler import Sampler
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.judging import gauges
from otel_measure.judging.overview import Overview, overview
from otel_measure.otlp.receive.receiver import Receiver
from otel_measure.otlp.send.push import LEASE_US as PUSH_LEASE_US
from otel_measure.otlp.send.push import HttpPost, Push, outbox_length
from otel_measure.recorder import Recorder
from otel_measure.records.caller import Caller
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Origin
from otel_measure.store.engines import open_store
from otel_measure.store.protocol import Store
from otel_measure.store.types.streams import HostReading
from otel_measure.telemetry import Providers, Telemetry, instrumentations
from otel_measure.users.service import UserAnalyticsService

_log: Final = logging.getLogger("otel_measure")
PUMP_INTERVAL_S: Final = 15.0
SWEEP_INTERVAL_S: Final = 3600.0
LEASE_US: Final = 45_000_000


def wall_clock_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def _sends(settings: Settings) -> bool:
    return settings.otlp_endpoint is not None and not sdk_is_disabled(os.environ)


class _Turn:
    """The turn to send what waits in a store; it ends by itself when the process that has it is killed."""

    def __init__(self, store: Store, holder: Callable[[], str], clock: Callable[[], int]) -> None:
        self._store = store
        self._holder = holder
        self._clock = clock

    def take(self) -> bool:
        """Take or keep the turn; `False` while it is another's."""
        now = self._clock()
        return self._store.take_lease("push", self._holder(), now, now + PUSH_LEASE_US)

    def give_up(self) -> None:
        """Let another process have it."""
        self._store.take_lease("push", self._holder(), self._clock(), 0)


class Runtime:
    """Everything of one process; tests and `create_app` may have several.

    Args:
        settings: what is wanted.
        clock: microseconds since 1970 UTC.
        sampler: reads the machine.
        host: the name under which this machine's readings are kept.
        loud: raise our own faults; for tests.
        providers: OpenTelemetry providers to use instead of the global ones; for tests.

    Raises:
        MeasureError: the store cannot be opened.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = wall_clock_us,
        sampler: Sampler | None = None,
        host: str | None = None,
        loud: bool = False,
        providers: Providers | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.host = host or socket.gethostname()
        self._ids = Uuid7(clock)
        self.store = open_store(settings, outbox=_sends(settings))
        self.telemetry = Telemetry(
            settings, str(uuid.uuid4()), host=self.host, exposition=self.store is None, providers=providers
        )
        self.telemetry.start()
        self.recorder = Recorder(
            self.store,
            self.telemetry,
            queue_size=settings.queue_size,
            flush_interval_s=settings.flush_interval_ms / 1000,
            durable=settings.durability == "power",
            loud=loud,
        )
        self.sampler = sampler or Sampler(interval_s=settings.sample_interval_s)
        origin = Origin(settings.service_name, settings.environment)
        self.infrastructure = InfrastructureService(
            self.sampler,
            Ledger(origin, self.recorder, self.store, clock, self._ids, settings.timezone),
            Processes(),
            stay=self._start_pump,
            fault=self.recorder.fault,
            streams=self._readings_of_hosts,
        )
        self.ai = AiModelService(
            settings, self.recorder, self.store, self.telemetry, clock, self._ids, settings.timezone
        )
        self.experiments = ExperimentService(origin, self.recorder, self.store, clock, self._ids)
        self.users = UserAnalyticsService(
            settings, self.recorder, self.store, clock, self._ids, settings.timezone, ab_tests=self.experiments
        )
        self.receiver = Receiver(
            self.store,
            self.recorder,
            self.ai.pricer,
            self.telemetry.count_received,
            clock,
            {**dialects.EVENT_TYPES, **settings.event_types},
            settings.spans_wait_s,
        )
        self.push = self._made_push()
        instruments.register(self.telemetry.meter(semconv.SCOPE_INFRASTRUCTURE), self.sampler)
        self.telemetry.observe_gauge(OTEL_MEASURE_SELF_QUEUE_LENGTH, lambda: self.recorder.queue_length)
        self._origin = origin
        self._creates_tracing = settings.auto_instrument
        self._watch_spans()
        self._instrumentors = (
            instrumentations.turn_on(instrumentations.installed(), os.environ, self.telemetry.fault)
            if settings.auto_instrument
            else []
        )
        self._reset()

    def _reset(self) -> None:
        self._stop = threading.Event()
        self._pump: threading.Thread | None = None
        self._starting = threading.Lock()

    def _made_push(self) -> Push | None:
        """Return what sends events from the store, started; `None` where nothing is sent, or there is no store."""
        store, endpoint = self.store, self.settings.otlp_endpoint
        if store is None or endpoint is None or not _sends(self.settings):
            return None
        push = Push(
            store,
            HttpPost(otlp_logs(endpoint, os.environ)),
            turn=_Turn(store, lambda: self.telemetry.instance_id, self.clock),
            resource=self.telemetry.resource_attributes,
            now_us=self.clock,
            count=self.telemetry.count_sent,
        )
        self.telemetry.resource_attributes()  # while threads can be started; see there
        self.telemetry.observe_gauge(OTEL_MEASURE_SELF_OUTBOX_LENGTH, lambda: outbox_length(store))
        push.start()
        return push

    # ------------------------------------------------------------ life

    def start(self, *, instrumented: bool = False) -> None:
        """Start reading the machine and keeping its history; again is a no-op.

        Args:
            instrumented: somebody has turned on instrumentations, whose spans are to be seen also where the application
                has no tracing.
        """
        self._creates_tracing |= instrumented
        self.ai.warm()
        self._watch_spans()
        self.sampler.start()
        self._start_pump()

    def _watch_spans(self) -> None:
        """Look for the application's tracing, which may be set up after us."""
        self.telemetry.watch_spans(self._told, create=self._creates_tracing)
        if self.telemetry.counts_spans:
            self.ai.warm()

    def _told(self, span: Span, who: Caller) -> None:
        """Record a call of a model that the span of another instrumentation tells of; never raise."""
        try:
            found = inference_of(span, self._origin, self.ai.pricer)
            self.recorder.put(
                msgspec.structs.replace(
                    found, user_id=found.user_id or who.user_id, session_id=found.session_id or who.session_id
                )
            )
        except Exception as error:
            self.recorder.fault("span", f"a call of a model was not recorded: {error}", error)

    def _start_pump(self) -> None:
        with self._starting:
            if self._pump is None:
                self._pump = threading.Thread(target=self._run_pump, name="otel-measure-streams", daemon=True)
                self._pump.start()

    def _run_pump(self) -> None:
        next_sweep = time.monotonic() + 60
        with suppress(MeasureError):
            self.infrastructure.beat()
        while not self._stop.wait(PUMP_INTERVAL_S):
            try:
                self._watch_spans()
                self._pump_streams()
                if self.store is not None and time.monotonic() >= next_sweep:
                    next_sweep = time.monotonic() + SWEEP_INTERVAL_S
                    if self.store.take_lease(
                        "sweep", self.telemetry.instance_id, self.clock(), self.clock() + LEASE_US
                    ):
                        self.store.sweep(self.clock())
            except Exception as error:  # the thread must outlive whatever the SDK or the store does
                self.telemetry.fault("streams")
                _log.debug("streams were not stored: %s", error)

    def _pump_streams(self) -> None:
        """Store what has no fact; of the machine's own readings one process per host is enough."""
        if self.store is None:
            return
        if self._pump is not None:
            self.infrastructure.beat()
        try:
            self.receiver.flush_waiting()
        except Exception as error:  # what waits there must not keep the readings from being stored
            self.telemetry.fault("waiting")
            _log.debug("calls that waited were not recorded: %s", error)
        now = self.clock()
        leads = self.store.take_lease(f"host:{self.host}", self.telemetry.instance_id, now, now + LEASE_US)
        points = [p for p in self.telemetry.points(self.host) if leads or p.scope != "host"]
        self.store.ingest(points, self.receiver.interpret)

    def _tries_to_pump(self, level: int) -> bool:
        """Store the last readings; where that fails, whoever does (SDK, store, an instrument), count and log it."""
        try:
            self._pump_streams()
        except Exception as error:
            self.telemetry.fault("streams")
            _log.log(level, "the last readings were not stored: %s", error)
            return False
        return True

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Commit what is queued and send what is to be sent; `False` when that did not succeed in time."""
        deadline = time.monotonic() + timeout_s
        done = self.recorder.flush(timeout_s)
        # A locked store has cost all the time already, and would do so once more.
        if done or time.monotonic() < deadline:
            done = self._tries_to_pump(logging.DEBUG) and done
        # Facts before metrics: who hears of a model by its facts knows that its metrics say nothing new.
        if self.push is not None:
            done = self.push.flush(max(deadline - time.monotonic(), 0.0)) and done
        self.telemetry.flush(max(deadline - time.monotonic(), 0.0))
        return done

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Flush, stop every thread and close the store."""
        deadline = time.monotonic() + timeout_s

        def left_s() -> float:
            return max(deadline - time.monotonic(), 0.1)

        self._stop.set()
        instrumentations.turn_off(self._instrumentors)
        self.infrastructure.stop_watching()
        flushed = self.recorder.stop(timeout_s)
        if self._pump is not None:
            self._pump.join(left_s())
        self._tries_to_pump(logging.WARNING)
        self.sampler.stop()
        if self.push is not None:
            self.push.stop()
            self.push.flush(left_s())
        self.telemetry.flush(left_s())
        self.telemetry.shutdown(left_s())
        if self.store is not None:
            self.store.close()
        return flushed

    # ------------------------------------------------------------ exposition

    def families(self, scope: str | None = None) -> list[Family]:
        """Return everything `/metrics` shows; `scope="infrastructure"` leaves models and users out.

        Raises:
            NoStore: there is none; `telemetry.prometheus_text()` has what this process knows.
        """
        if self.store is None:
            raise NoStore("the exposition of all processes")
        self.recorder.flush()
        try:
            self.store.ingest(self.telemetry.points(self.host), self.receiver.interpret)
        except StoreUnavailable:
            self.telemetry.fault("streams")  # what cannot be written to can often be read
        with self.store.asking() as moment:
            stored = moment.streams.families(self.clock())
        found = stored + self.infrastructure.families() + self.receiver.families()
        if scope is None:
            found += self._derived()
        found.sort(key=lambda family: family.name)
        if scope is None:
            return found
        return [f for f in found if f.name.startswith(_INFRASTRUCTURE)]

    def _derived(self) -> list[Family]:
        """Return the gauges of models, users and experiments, from the same reports as the JSON."""
        values = chain(
            gauges.model_values(self.ai.list_models()),
            gauges.user_values(self.users.get_users_overview()),
            gauges.experiment_values(self.experiments.list_ab_tests()),
        )
        return gauges.families(values)

    def _readings_of_hosts(self) -> list[HostReading]:
        if self.store is None:
            raise NoStore("the readings of all hosts")
        self.store.ingest(self.telemetry.points(self.host), self.receiver.interpret)
        with self.store.asking() as moment:
            return moment.streams.readings(PREFIXES, self.clock() - STALE_US)

    # ------------------------------------------------------------ what joins the domains

    def overview(self) -> Overview:
        """Return what every domain says now, from which KPIs and alerts are judged."""
        return overview(self.infrastructure, self.ai, self.users, moment(self.clock()))

    # ------------------------------------------------------------ forks

    def before_fork(self) -> None:
        """Let nothing be half-way while the process is copied."""
        self.ai.before_fork()
        self.recorder.before_fork()
        self.telemetry.before_fork()
        if self.store is not None:
            self.store.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self.store is not None:
            self.store.after_fork_in_parent()
        self.telemetry.after_fork_in_parent()
        self.recorder.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Become a process of its own, with its own threads, connections and id."""
        started = self._pump is not None
        self._reset()
        self._ids.after_fork_in_child()
        if self.store is not None:
            self.store.after_fork_in_child()
        self.recorder.after_fork_in_child()
        self.telemetry.after_fork_in_child(str(uuid.uuid4()))
        if self.push is not None:
            self.push.after_fork_in_child()
        self.ai.after_fork_in_child()
        self.sampler.after_fork_in_child()
        self.infrastructure.after_fork_in_child()
        if started:
            self._start_pump()


_INFRASTRUCTURE: Final = (
    "system.", "process.", "container.", "otel_measure.system.", "otel_measure.process.", "otel_measure.container.",
    "otel_measure.service.",
)  # fmt: skip
