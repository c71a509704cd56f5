"""What there is in one process: store, recorder, telemetry, services, each made once and given to the others."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from otel_measure.ai.judged import KpiModels
from otel_measure.ai.service import AiModelService
from otel_measure.ai.spans import SpanCalls
from otel_measure.alert_thread import AlertThread
from otel_measure.alerting.delivery.courier import LEASE_US as ALERT_LEASE_US
from otel_measure.alerting.delivery.courier import Courier
from otel_measure.alerting.delivery.receivers import receivers_of
from otel_measure.alerting.environments import environments_of
from otel_measure.alerting.evaluator import NO_RULES, AlertRules, Evaluator
from otel_measure.alerting.in_force import of_judge, rules_in_force
from otel_measure.alerting.maintenance import in_maintenance
from otel_measure.alerting.messages import Messages
from otel_measure.background import Background, Job, job_of_collector, jobs_of_a_store, jobs_of_every_process
from otel_measure.commands import COMMANDS
from otel_measure.config import Settings
from otel_measure.conventions import dialects
from otel_measure.deferred import Deferred
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.changes import ChangeSubject, Compared
from otel_measure.definitions.days import moment
from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.exposition import STALE_US
from otel_measure.definitions.kpis import Kpi
from otel_measure.definitions.windows import TimeSpan, time_span
from otel_measure.errors import NoStore, StoreUnavailable
from otel_measure.experiments.service import ExperimentService
from otel_measure.forwarder import Forwarder
from otel_measure.infrastructure.availability import Availability
from otel_measure.infrastructure.history import MachineHistory
from otel_measure.infrastructure.hosts import PREFIXES
from otel_measure.infrastructure.ledger import Ledger
from otel_measure.infrastructure.processes import Processes
from otel_measure.infrastructure.sampler import Sampler
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.judging.changes import Changes, block_length, changes
from otel_measure.judging.compared_days import kept_days
from otel_measure.judging.compared_services import compared_services
from otel_measure.judging.environments import Environments, environments
from otel_measure.judging.exposition import Exposition
from otel_measure.judging.kept_readings import KeptReadings
from otel_measure.judging.kpi_rules import KpiJudge, kpis_of
from otel_measure.judging.overview import Overview, overview
from otel_measure.judging.scorecard import Readings, Scorecard, readings, scorecard
from otel_measure.leases import LASTS_US, StoreLease
from otel_measure.otlp.receive.logs import EventRules
from otel_measure.otlp.receive.receiver import Receiver
from otel_measure.otlp.send.push import LEASE_US, HttpPost, Push
from otel_measure.otlp.target import otlp_logs, sdk_is_disabled
from otel_measure.recorder import Recorder
from otel_measure.records.ids import Uuid7
from otel_measure.records.kinds import Origin
from otel_measure.store.engines import open_collector, open_spool, open_store
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.streams import HostReading
from otel_measure.stream_writer import StreamWriter
from otel_measure.telemetry import Providers, Telemetry
from otel_measure.users.service import UserAnalyticsService

_log: Final = logging.getLogger("otel_measure")
_DOUBTED: Final = (
    "the clock says %s, more than a day from the store's last heartbeat: until it is believed nothing is removed;"
    " `otel-measure doctor` tells more"
)
_BELIEVED: Final = "the clock says %s and is believed again"
# Between two parts of what takes long: as long as a part holds others up, and longer where they try again in steps.
_COUNTING_PAUSE_S: Final = 0.02
_CLEARING_PAUSE_S: Final = 0.15


def _paused(has_more: bool, pause_s: float) -> bool:
    """Give others time to write before a store does the next part of something long."""
    if has_more:
        time.sleep(pause_s)
    return has_more


def wall_clock_us() -> int:
    """Return microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Wired:
    """Everything of one process, made and not started: the store is open, and that is all.

    Args:
        settings: what is wanted.
        clock: microseconds since 1970 UTC.
        monotonic: seconds; decides when what recurs is due.
        sampler: reads the machine.
        host: the name under which this machine's readings are kept.
        raise_faults: raise our own faults instead of logging them; for tests.
        providers: OpenTelemetry providers to use instead of the global ones; for tests.
        alert_rules: by what alerts are judged; the rules of the product when not given.
        reads_only: only answer from the store, which is there, by the definitions that it keeps.

    Raises:
        MeasureError: the store cannot be opened.
        ConfigurationError: an alert rule cannot be as the settings have it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = wall_clock_us,
        monotonic: Callable[[], float] = time.monotonic,
        sampler: Sampler | None = None,
        host: str | None = None,
        raise_faults: bool = False,
        providers: Providers | None = None,
        alert_rules: AlertRules | None = None,
        reads_only: bool = False,
    ) -> None:
        self.settings: Final = settings
        self.clock: Final = clock
        self.monotonic: Final = monotonic
        self.host: Final = host or socket.gethostname()
        self._ids: Final = Uuid7(clock)
        self._creates_tracing = settings.auto_instrument
        self._clock_is_believed = True
        rules = rules_with(settings.alert_rules)  # before anything is open that a refusal would leave so
        sends = settings.otlp_endpoint is not None and not sdk_is_disabled(os.environ) and not reads_only
        self.collector: Final = None if reads_only else open_collector(settings)  # it connects when it reads
        self.store: Final = open_store(settings, outbox=sends, reads_only=reads_only)
        self.telemetry: Final = Telemetry(
            settings, str(uuid.uuid4()), host=self.host, exposition=self.store is None, providers=providers
        )
        self.forwarder: Final = None if reads_only else self._forwarder()
        self.recorder: Final = Recorder(
            self.store,
            self.telemetry,
            spool=self.forwarder,
            queue_size=settings.queue_size,
            flush_interval_s=settings.flush_interval_ms / 1000,
            durable=settings.durability == "power",
            raise_faults=raise_faults,
        )
        self.sampler: Final = sampler or Sampler(interval_s=settings.sample_interval_s)
        self._wire_services(Origin(settings.service_name, settings.environment))
        self._streams: Final = None if reads_only else self._stream_writer()
        self._push: Final = self._pusher() if sends else None
        self.background: Final = Background(self._jobs(), self.recorder.fault, monotonic)
        self._alert_rules: Final = alert_rules or (
            NO_RULES if self.store is None else self._rules_of(self.store, rules)
        )
        self.alerts: Final = None if self.store is None else self._alert_thread(self.store, self._alert_rules)

    def _wire_services(self, origin: Origin) -> None:
        settings, recorder, store, clock, ids = self.settings, self.recorder, self.store, self.clock, self._ids
        zone = settings.timezone if store is None else store.definitions.timezone
        self._deferred = Deferred(COMMANDS, self.forwarder, clock, recorder.fault)
        self._machine = MachineHistory(self.sampler.fresh, store, clock, zone)
        self.infrastructure = InfrastructureService(
            self.sampler,
            Ledger(origin, recorder, store, clock, ids, zone, self._deferred),
            Processes(),
            beat_soon=lambda: self.background.run_soon("heartbeat"),
            fault=recorder.fault,
            streams=self._readings_of_hosts,
            history=self._machine,
        )
        self.ai = AiModelService(settings, recorder, store, self.telemetry, clock, ids, zone, deferred=self._deferred)
        self.experiments = ExperimentService(origin, recorder, store, clock, ids, zone, self._deferred)
        self.users = UserAnalyticsService(
            settings, recorder, store, clock, ids, zone, ab_tests=self.experiments, deferred=self._deferred
        )
        self.receiver = Receiver(
            store,
            recorder,
            EventRules(self.ai.pricer, {**dialects.EVENT_TYPES, **settings.event_types}, settings.store_text),
            self.telemetry.count_received,
            clock,
        )
        self.exposition = Exposition(
            store,
            recorder,
            self._write_all_streams,
            self.receiver.families,
            self.infrastructure,
            self.ai,
            self.users,
            self.experiments,
            clock,
        )
        self._kept_readings = KeptReadings()
        self._kept_days = kept_days()
        self._span_calls = SpanCalls(origin, self.ai.pricer, recorder)

    def _stream_writer(self) -> StreamWriter | None:
        if self.store is None:
            return None
        lease = self._lease(self.store, f"host:{self.host}")
        return StreamWriter(self.store, self.telemetry, self.host, self.receiver.interpret, lease)

    def _forwarder(self) -> Forwarder | None:
        """Return what forwards records from the spool to the store; `None` without a spool."""
        spool = open_spool(self.settings)
        if spool is None or self.store is None:
            return None
        store = self.store
        return Forwarder(
            spool,
            store,
            lambda command: self._deferred.do_kept(store, command),
            holder=lambda: self.telemetry.instance_id,
            now_us=self.clock,
            count=self.telemetry.count,
            fault=lambda what, message, error: self.recorder.fault(what, message, error),
        )

    def _pusher(self) -> Push | None:
        """Return what sends events from the store; `None` where nothing is to be sent, or there is no store."""
        endpoint = self.settings.otlp_endpoint
        if self.store is None or endpoint is None:
            return None
        return Push(
            self.store,
            HttpPost(otlp_logs(endpoint, os.environ)),
            lease=self._lease(self.store, "push", LEASE_US),
            resource=self.telemetry.resource_attributes,
            now_us=self.clock,
            count=self.telemetry.count_sent,
        )

    def overview(self, *, environment: str | None = None, models: KpiModels | None = None) -> Overview:
        """Return what every domain says now, from which KPIs and alerts are judged.

        Args:
            environment: of services, models and users, chosen as for every answer where none is asked for.
            models: of that environment, where they were read before.
        """
        if models is None:
            models = self.ai.judged_models(environment=environment)
        return overview(self.infrastructure, models, self.users, moment(self.clock()), environment)

    def changes(self, window: str = "24h", *, service: str | None = None, environment: str | None = None) -> Changes:
        """Return what is another number than in the equally long time before, beyond chance and by 20 % at least.

        Args:
            window: such as "24h".
            service: whose calls and users, and which watched service; all of them when absent.
            environment: chosen as for every answer where none is asked for.

        Raises:
            ValueError: the window is malformed.
            NoStore: there is none.
            StoreUnavailable: the store cannot be read.
        """
        if self.store is None:
            raise NoStore("changes")
        now_us = self.clock()
        span = time_span(window, now_us, self.settings.timezone)
        self.recorder.settle()
        services, where = self._compared_services(span, window, service, environment), Filter(service, environment)
        with self.store.asking(where) as known:
            return changes(known, span, now_us, where, self._kept_days, services)

    def _compared_services(
        self, span: TimeSpan, window: str, service: str | None, environment: str | None
    ) -> list[tuple[ChangeSubject, Compared]]:
        """Return how long services were down, each against the time before."""
        known = self.infrastructure.list_services(environment=environment).services
        step = block_length(span)
        told = {
            each.service_name: self.infrastructure.get_availability_series(
                each.service_name, window, step=step, compare="previous", environment=environment
            )
            for each in known
            if service in (None, each.service_name)
        }
        return list(compared_services(told))

    def environments(self) -> Environments:
        """Return which environments and services there are to ask about.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        return environments(self.store)

    def scorecard(self, overview: Overview) -> Scorecard:
        """Return how everything stands against its KPIs; what is judged of models is kept until they change."""
        return scorecard(overview, kept=self._kept_readings)

    def _rules_of(self, store: Store, rules: Sequence[AlertRule]) -> AlertRules:
        of_kpis = of_judge(rules, "kpi")
        kpis = kpis_of(of_kpis)
        kept = KeptReadings()  # by the thresholds of rules, which may be others than those of KPIs
        by_kpis = KpiJudge(of_kpis, self.host, lambda: self._readings(store, kpis, kept))
        zone = store.definitions.timezone
        return rules_in_force(store, self.host, by_kpis.judge, rules, zone, self._availabilities)

    def _availabilities(self, window: str, environment: str) -> Iterable[Availability]:
        return self.infrastructure.list_availability(window, environment=environment)

    def _readings(self, store: Store, kpis: Mapping[str, Kpi], kept: KeptReadings) -> Iterator[Readings]:
        """Yield how every environment stands against KPIs; the unnamed one while there is none."""
        for name in environments_of(store) or [UNNAMED]:
            yield readings(self.overview(environment=name), kpis, kept)

    def _alert_thread(self, store: Store, rules: AlertRules) -> AlertThread:
        """Return what evaluates alerts and tells of them; nothing of it runs yet."""
        messages = Messages(rules.by_key, self.settings.page_url)
        receivers = receivers_of(self.settings, messages)
        evaluator = Evaluator(
            store,
            rules,
            receivers=[receiver.name for receiver in receivers.each_once],
            in_maintenance=lambda environments, now: in_maintenance(store, environments, now),
            tell=receivers.present,
            holder=lambda: self.telemetry.instance_id,
            clock=self.clock,
            interval_s=self.settings.alert_interval_s,
        )
        lease = self._lease(store, "alerts", ALERT_LEASE_US)
        courier = Courier(store, receivers.each_once, messages, lease, self.clock)
        return AlertThread(evaluator, courier, self.recorder.fault, self.monotonic, self.settings.alert_interval_s)

    def _jobs(self) -> list[Job]:
        always = jobs_of_every_process(watch_spans=self.watch_spans)
        store, streams = self.store, self._streams
        if store is None or streams is None:
            return always
        of_store = jobs_of_a_store(
            keep_time=lambda: self._keep_time(store),
            beat=self.infrastructure.beat,
            count_signals=self.receiver.count_signals,
            write_streams=streams.write,
            note_machine=self._machine.note,
            notes_machine=self._lease(store, "machine"),
            watch_store=store.watch,
            sweep=lambda: store.sweep(self.clock()),
            sweeps=self._lease(store, "sweep"),
            clear_erased=lambda: _paused(store.clear_erased(self.clock()), _CLEARING_PAUSE_S),
            clears=self._lease(store, "erasures"),
            bring_up_to_date=lambda: _paused(
                store.bring_up_to_date(self.telemetry.instance_id, self.clock()), _COUNTING_PAUSE_S
            ),
        )
        return [*always, *of_store, *self._collector_jobs(store)]

    def _collector_jobs(self, store: Store) -> list[Job]:
        collector = self.collector
        if collector is None:
            return []
        from otel_measure.otlp.receive.collector_rows import receive

        take = partial(collector.take, partial(receive, self.receiver))
        return [job_of_collector(read=take, reads=self._lease(store, "collector"))]

    def _keep_time(self, store: Store) -> None:
        """Have the store know what time it is, and say it when a doubt begins or ends."""
        is_believed, believed_before = store.keep_time(self.clock()), self._clock_is_believed
        self._clock_is_believed = is_believed
        if is_believed != believed_before:
            _log.warning(_BELIEVED if is_believed else _DOUBTED, moment(self.clock()))

    def _lease(self, store: Store, key: str, lasts_us: int = LASTS_US) -> StoreLease:
        return StoreLease(store, key, lambda: self.telemetry.instance_id, self.clock, lasts_us)

    # ------------------------------------------------------------ what parts ask of each other

    def watch_spans(self) -> None:
        """Look for the application's tracing, which may be set up after us."""
        self.telemetry.watch_spans(self._span_calls.record, create=self._creates_tracing)
        if self.telemetry.counts_spans:
            self.ai.warm()

    def _write_all_streams(self) -> None:
        """Write what has no fact before it is asked for; what cannot be written to can often be read."""
        if self._streams is None:
            return
        try:
            self._streams.write_all()
        except StoreUnavailable as error:
            # Who asks does not wait for others to write: what is left the background stores at its next turn.
            if error.cause_name != "locked":
                self.recorder.fault("streams", f"readings were not stored: {error}", error)

    def _readings_of_hosts(self) -> list[HostReading]:
        if self.store is None:
            raise NoStore("the readings of all hosts")
        self._write_all_streams()
        with self.store.asking() as now:
            return now.streams.readings(PREFIXES, self.clock() - STALE_US)
