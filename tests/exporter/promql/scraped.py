"""A process whose clock is put by a test: its own evaluator judges, and Prometheus scrapes it, at the same moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from opentelemetry.sdk.metrics import MeterProvider

from exporter.exposition import prometheus
from otel_measure.config import Settings
from otel_measure.runtime import Runtime
from otel_measure.telemetry import Providers
from otel_measure.telemetry.sdk_internals import in_memory_logger_provider
from otel_measure.testing import Clock
from tests.infrastructure.fakes import Machine

BEAT: Final = timedelta(seconds=30)  # two heartbeats that are further apart leave time in which nobody watched


class Scrape(NamedTuple):
    """What `/metrics` told at a time."""

    at: datetime
    text: str


class ScrapedWorld:
    """A machine, and what is measured on it; its name is that of the host and of the environment.

    Attributes:
        clock: its wall clock.
        machine: its machine.
        busy_ratio: how busy the CPUs are.
        scrapes: what Prometheus has read of it so far.
    """

    def __init__(self, name: str, start: datetime, folder: Path) -> None:
        self.name: Final = name
        self.clock: Final = Clock(start)
        self._spent_until = start
        self.machine: Final = Machine(folder)
        self.busy_ratio = 0.1
        self.scrapes: Final[list[Scrape]] = []
        self._meters = MeterProvider(shutdown_on_exit=False)
        self._loggers, _ = in_memory_logger_provider()
        self.runtime: Final = Runtime(
            Settings(store=":memory:", environment=name, service_name=f"{name}-app", retention_days=400),
            clock=self.clock,
            monotonic=lambda: self.clock.now_us / 1e6,
            sampler=self.machine.sampler,
            host=name,
            raise_faults=True,
            providers=Providers(self._meters, self._loggers),
        )
        self.runtime.start(background=False)

    @property
    def now(self) -> datetime:
        """What its clock says."""
        return datetime.fromtimestamp(self.clock.now_us / 1e6, UTC)

    def wait_until(self, until: datetime) -> None:
        """Let time pass; who watches services sees all of what is no day."""
        while self.now + BEAT < until and until - self.now < timedelta(hours=1):
            self.clock.advance(BEAT)
            self.runtime.infrastructure.beat()
        self._spend(until)
        self.clock.set(until)

    def look(self) -> None:
        """Judge, and be scraped."""
        self.machine.sampler.sample()
        self.runtime.flush()
        assert self.runtime.alerts is not None
        self.runtime.alerts.run_due()
        text = prometheus.render(self.runtime.exposition.families()).decode()
        self.scrapes.append(Scrape(self.now, text))

    def _spend(self, until: datetime) -> None:
        passed_s = until.timestamp() - self._spent_until.timestamp()
        of_all_s = passed_s * self.machine.psutil.cpu_count()
        self.machine.spend(passed_s, user=of_all_s * self.busy_ratio, idle=of_all_s * (1 - self.busy_ratio))
        self._spent_until = until

    def firing(self) -> set[tuple[str, str]]:
        """Return rule and subject of each alert that our own evaluator has firing, and that nobody has silenced."""
        alerts = self.runtime.rule_alerts()
        silenced = {silence.subject for silence in alerts.silences}
        firing = (alert for alert in alerts.active if alert.state == "firing")
        return {(alert.rule, alert.subject.name) for alert in firing if alert.subject.name not in silenced}

    def close(self) -> None:
        """End it."""
        self.runtime.shutdown()
        self._meters.shutdown()
        if self._loggers is not None:
            self._loggers.shutdown()
