"""The machine: CPU, memory, and everything at a glance."""

from __future__ import annotations

from typing import Final

from exporter.endpoint import API, AnyEndpoint, Call, Content, NoBody, NoQuery, PlainCall, get
from exporter.exposition import exposition
from exporter.query import ExpositionQuery
from otel_measure.infrastructure.reports import Cpu, Memory

_BASE: Final = f"{API}/infrastructure"


def cpu(call: PlainCall) -> Cpu:
    """Answer how busy the CPUs are."""
    return call.runtime.infrastructure.collect_cpu_metrics()


def memory(call: PlainCall) -> Memory:
    """Answer how much memory is used."""
    return call.runtime.infrastructure.collect_memory_metrics()


def summary(call: PlainCall) -> dict[str, object]:
    """Answer how the machine is, at a glance."""
    return dict(call.runtime.infrastructure.get_metrics_summary())


def prometheus(call: Call[ExpositionQuery, NoBody]) -> Content:
    """Answer with everything that is measured, for a Prometheus that scrapes this path."""
    return exposition(call.runtime, call.query.scope)


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    get(
        f"{_BASE}/summary", summary, NoQuery,
        "The machine at a glance", "Status, CPU, memory, disk and network.",
    ),
    get(
        f"{_BASE}/cpu", cpu, NoQuery,
        "CPU", "How busy the CPUs are.",
    ),
    get(
        f"{_BASE}/memory", memory, NoQuery,
        "Memory", "How much memory is used.",
    ),
    get(
        f"{_BASE}/prometheus", prometheus, ExpositionQuery,
        "Prometheus exposition", "Every series, in the text format of Prometheus.",
    ),
)  # fmt: skip
