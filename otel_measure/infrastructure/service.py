"""The machine an application runs on: readings, and the summary."""

from __future__ import annotations

import platform
from typing import Any

from otel_measure.infrastructure import reports
from otel_measure.infrastructure.sampler import Sampler
from otel_measure.infrastructure.summary import summary
from otel_measure.kpis import host_status


class InfrastructureService:
    """What `get_infrastructure_service()` returns.

    Args:
        sampler: reads the machine.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def start_background_collection(self, interval_s: float = 10) -> None:
        """Read the machine every `interval_s` seconds from now on."""
        self._sampler.start(interval_s)

    def stop_background_collection(self) -> None:
        """Stop reading in the background; a question is still answered."""
        self._sampler.stop()

    def collect_cpu_metrics(self) -> reports.Cpu:
        """Return the use of the CPU over the last seconds; in a container of its quota."""
        return reports.cpu(self._sampler.fresh())

    def collect_memory_metrics(self) -> reports.Memory:
        """Return the use of memory and swap; in a container of its limit."""
        return reports.memory(self._sampler.fresh())

    def get_metrics_summary(self) -> dict[str, Any]:
        """Return the whole machine at a glance, with 5-minute averages and a status."""
        found = summary(
            self._sampler.fresh(), status_of=host_status, services_down=0, platform=platform.platform(terse=True)
        )
        return dict(found)
