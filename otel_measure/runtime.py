"""The life of a process's measuring: how what there is starts, flushes, forks and ends."""

from __future__ import annotations

import os
import time
import uuid
from functools import cached_property
from typing import Any

from otel_measure.alerting.messages import Messages
from otel_measure.alerting.report import RuleAlerts, rule_alerts
from otel_measure.conventions import semconv
from otel_measure.conventions.instruments import (
    OTEL_MEASURE_SELF_OUTBOX_LENGTH,
    OTEL_MEASURE_SELF_QUEUE_LENGTH,
    OTEL_MEASURE_SELF_SPOOL_LENGTH,
)
from otel_measure.errors import NoStore, StoreUnavailable
from otel_measure.infrastructure import instruments
from otel_measure.judging.alerts import Alerts, alerts
from otel_measure.judging.overview import Overview
from otel_measure.judging.scorecard import Scorecard
from otel_measure.judging.status import Status, status
from otel_measure.parts import LEAST_S, Part, Parts
from otel_measure.store.waiting import waiting_until
from otel_measure.telemetry import instrumentations
from otel_measure.wiring import Wired


class Runtime(Wired):
    """Everything of one process, and its life; tests and `create_app` may have several.

    Building it opens the store, and that is all: before `start()` no thread runs and nothing of the process is changed.
    """

    _started = False
    _ended = False
    _instrumentors: tuple[Any, ...] = ()

    def start(self, *, background: bool = True) -> None:
        """Take part in the process: its OpenTelemetry providers, threads of ours; again is a no-op.

        Args:
            background: do what recurs on a thread; without one, `self.background.run_due()` does it, for tests.
        """
        if not self._started:
            self._parts.start()
            self._started = True
            if background:
                self.background.start()
            if background and self.settings.alert_evaluation == "always":
                self._start_alerts()

    def keep_watch(self) -> None:
        """Read the machine from now on, and note heartbeats: this process is there to see. Again is a no-op."""
        self.watch_spans()
        if self._knows_models():
            self.ai.warm()
        self.sampler.start()
        self.infrastructure.keep_watch()

    def _knows_models(self) -> bool:
        """Tell whether models are called here: who is told of none does without the price table, and its 14 MB."""
        if self.store is None:
            return False
        try:
            with self.store.asking() as moment:
                return bool(moment.models.models())
        except StoreUnavailable:
            return True

    def evaluate_alerts(self) -> None:
        """Evaluate alerts from now on, unless the settings say that this process never does. Again is a no-op."""
        if self.settings.alert_evaluation != "never":
            self._start_alerts()

    def create_tracing(self) -> None:
        """See the spans of instrumentations that somebody has turned on, also where the application has no tracing."""
        self._creates_tracing = True
        self.watch_spans()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Commit what is queued and send what is to be sent; `False` when that did not succeed in time."""
        with waiting_until(time.monotonic() + timeout_s):
            return self._parts.flush(timeout_s)

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Flush, stop every thread and close the store; `False` when records were lost. Again is a no-op."""
        if self._ended:
            return True
        self._ended = True
        with waiting_until(time.monotonic() + timeout_s):
            return self._parts.stop(timeout_s)

    def before_fork(self) -> None:
        """Let nothing be half-way while the process is copied."""
        self._parts.before_fork()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._parts.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Become a process of its own, with its own threads, connections and id."""
        self._parts.after_fork_in_child()

    def rule_alerts(self, *, environment: str | None = None) -> RuleAlerts:
        """Return how the alerts of rules stand, of one environment and of what has none, or of all.

        Without a store there are none.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        if self.store is None:
            return RuleAlerts()
        environments = None if environment is None else frozenset({environment, ""})
        return rule_alerts(self.store, self._messages(), environments, self.clock())

    def alerts_now(self, card: Scorecard) -> Alerts:
        """Return the KPIs of a scorecard that are beyond their alert threshold, and how the alerts of rules stand.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        return alerts(card, self.rule_alerts(environment=card.environment), self.host)

    def status(self, overview: Overview) -> Status:
        """Return the worst of everything in a sentence, and what fires.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        try:
            services = self.infrastructure.list_services(environment=overview.environment).services
        except NoStore:
            services = ()
        card = self.scorecard(overview)
        machine = overview.machine["status"]
        return status(card, self.alerts_now(card), services, machine, self.host, self._messages().docs_of_kpi)

    def _messages(self) -> Messages:
        return Messages(self._alert_rules.by_key, self.settings.page_url)

    # ------------------------------------------------------------ the order

    @cached_property
    def _parts(self) -> Parts:
        return Parts(self._rows(), self.recorder.fault, self.monotonic)

    def _rows(self) -> list[Part]:
        """Return the parts, in the order in which what is measured flows through them; see `Parts`."""
        recurring, infrastructure, ai, recorder = self.background, self.infrastructure, self.ai, self.recorder
        telemetry, sampler, store, push = self.telemetry, self.sampler, self.store, self._push
        rows = [
            # First of all nothing new is begun; its thread starts after everybody else.
            Part(
                name="background",
                stop=lambda _: recurring.end(),
                after_fork_in_child=recurring.after_fork_in_child,
            ),
            *self._alert_parts(),
            Part(name="instrumentations", start=self._turn_on, stop=lambda _: self._turn_off()),
            Part(name="spans", start=self.watch_spans, after_fork_in_child=self._span_calls.after_fork_in_child),
            Part(
                name="watched services",
                stop=lambda _: infrastructure.stop_watching(),
                after_fork_in_child=infrastructure.after_fork_in_child,
            ),
            Part(name="receiver", after_fork_in_child=self.receiver.after_fork_in_child),
            Part(name="models", before_fork=ai.before_fork, after_fork_in_child=ai.after_fork_in_child),
            Part(
                name="recorder",
                flush=recorder.flush,
                stop=recorder.stop,
                before_fork=recorder.before_fork,
                after_fork_in_parent=recorder.after_fork_in_parent,
                after_fork_in_child=recorder.after_fork_in_child,
            ),
            *self._parts_beside_the_store(),
            # What became of the last records stands in our own figures, so they are written after them.
            Part(name="last turn of the background", flush=recurring.flush, stop=recurring.finish),
        ]
        if push is not None:
            # Facts before metrics: who hears of a model by its facts knows that its metrics say nothing new.
            rows.append(
                Part(
                    name="push",
                    start=self._start_push,
                    flush=push.flush,
                    stop=push.stop,
                    after_fork_in_child=push.after_fork_in_child,
                )
            )
        rows += [
            # In a child it comes after telemetry, whose first collection it must not hold up.
            Part(
                name="sampler",
                before_fork=sampler.before_fork,
                after_fork_in_parent=sampler.after_fork_in_parent,
                after_fork_in_child=sampler.after_fork_in_child,
            ),
            Part(
                name="telemetry",
                start=self._start_telemetry,
                flush=telemetry.flush,
                stop=self._stop_telemetry,
                before_fork=telemetry.before_fork,
                after_fork_in_parent=telemetry.after_fork_in_parent,
                after_fork_in_child=lambda: telemetry.after_fork_in_child(str(uuid.uuid4())),
            ),
            *self._parts_that_telemetry_asks(),
        ]
        if store is not None:
            rows.append(
                Part(
                    name="store",
                    stop=lambda _: store.close(),
                    before_fork=store.before_fork,
                    after_fork_in_parent=store.after_fork_in_parent,
                    after_fork_in_child=store.after_fork_in_child,
                )
            )
        return [*rows, Part(name="ids", after_fork_in_child=self._ids.after_fork_in_child)]

    # ------------------------------------------------------------ single parts

    def _alert_parts(self) -> list[Part]:
        alerts = self.alerts
        if alerts is None:
            return []
        return [Part(name="alerts", stop=alerts.stop, after_fork_in_child=alerts.after_fork_in_child)]

    def _parts_beside_the_store(self) -> list[Part]:
        return [*self._forwarding_parts(), *self._collector_parts()]

    def _forwarding_parts(self) -> list[Part]:
        forwarder = self.forwarder
        if forwarder is None:
            return []
        return [
            Part(
                name="forwarder",
                start=forwarder.start,
                flush=forwarder.flush,
                stop=forwarder.stop,
                before_fork=forwarder.before_fork,
                after_fork_in_parent=forwarder.after_fork_in_parent,
                after_fork_in_child=forwarder.after_fork_in_child,
            )
        ]

    def _parts_that_telemetry_asks(self) -> list[Part]:
        """Return what the last collection of telemetry asks once more, and in a child the first one."""
        thread = Part(name="thread of the sampler", stop=self.sampler.stop)
        if self.forwarder is None:
            return [thread]
        return [thread, Part(name="spool", after_fork_in_child=self.forwarder.open_anew_in_child)]

    def _collector_parts(self) -> list[Part]:
        collector = self.collector
        if collector is None:
            return []
        return [
            Part(
                name="collector",
                stop=lambda _: collector.close(),
                after_fork_in_child=collector.after_fork_in_child,
            )
        ]

    def _start_alerts(self) -> None:
        if self.alerts is not None:
            self.alerts.start()

    def _start_telemetry(self) -> None:
        self.telemetry.start()
        instruments.register(self.telemetry.meter(semconv.SCOPE_INFRASTRUCTURE), self.sampler)
        self.telemetry.observe_gauge(OTEL_MEASURE_SELF_QUEUE_LENGTH, lambda: self.recorder.queue_length)
        if self.forwarder is not None:
            self.telemetry.observe_gauge(OTEL_MEASURE_SELF_SPOOL_LENGTH, self.forwarder.waiting)
        if self._push is not None:
            self.telemetry.observe_gauge(OTEL_MEASURE_SELF_OUTBOX_LENGTH, self._push.outbox_length)

    def _stop_telemetry(self, timeout_s: float) -> None:
        left_s = max(timeout_s, LEAST_S)  # it waits for no store, and what others have taken is not its fault
        self.telemetry.flush(left_s)
        self.telemetry.shutdown(left_s)

    def _start_push(self) -> None:
        if self._push is not None:
            self.telemetry.resource_attributes()  # while threads can be started; see there
            self._push.start()

    def _turn_on(self) -> None:
        if self.settings.auto_instrument:
            points = instrumentations.installed()
            self._instrumentors = tuple(instrumentations.turn_on(points, os.environ, self.telemetry.fault))

    def _turn_off(self) -> None:
        instrumentations.turn_off(self._instrumentors)
