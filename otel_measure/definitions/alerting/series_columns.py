"""The columns of the series that a rule may be about: their unit, and the least that they have to rest on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from otel_measure.definitions.alerting.judgement import SubjectKind
from otel_measure.definitions.alerting.rule import AlertUnit
from otel_measure.definitions.kpis import BY_KEY

_ENOUGH: Final = 20
_OF_P99: Final = 100  # of fewer the 99th percentile is the largest
SEEN_SHARE: Final = 0.9
"""How much of a window has to be seen of what is read all the time."""


class SeriesColumn(NamedTuple):
    """A column of a series.

    Attributes:
        unit: of its numbers.
        least: calls, sessions or persons without which it says nothing; 0 of a sum, which is known as it is.
        is_share: a share of its evidence, so that its 95 % interval has to lie beyond.
        is_seen: read all the time, so that its evidence is how much of the window was seen.
    """

    unit: AlertUnit
    least: int = 0
    is_share: bool = False
    is_seen: bool = False

    @property
    def is_sum(self) -> bool:
        """Whether it counts what happened: none of it is a number, 0."""
        return self.least == 0 and not self.is_seen


def _kpi(key: str) -> int:
    return BY_KEY[key].min_evidence


_COUNT: Final = SeriesColumn("count")
_MEAN_MS: Final = SeriesColumn("ms", _ENOUGH)
_OF_MODELS: Final = {
    "requests": _COUNT,
    "errors": _COUNT,
    "error_rate": SeriesColumn("ratio", _kpi("error_rate"), is_share=True),
    "p50_ms": _MEAN_MS,
    "p95_ms": SeriesColumn("ms", _kpi("latency_p95_ms")),
    "p99_ms": SeriesColumn("ms", _OF_P99),
    "mean_ms": _MEAN_MS,
    "first_chunk_p50_ms": _MEAN_MS,
    "first_chunk_p95_ms": _MEAN_MS,
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "cached_input_tokens": _COUNT,
    "reasoning_tokens": _COUNT,
    "cache_hit_ratio": SeriesColumn("ratio", _ENOUGH),
    "cost_usd": SeriesColumn("usd"),
    "cost_per_request_usd": SeriesColumn("usd", _kpi("cost_per_request_usd")),
    "priced_ratio": SeriesColumn("ratio", _ENOUGH, is_share=True),
}
_OF_USERS: Final = {
    "active": _COUNT,
    "new": _COUNT,
    "returning": _COUNT,
    "resurrecting": _COUNT,
    "dormant": _COUNT,
    "sessions": _COUNT,
    "avg_session_duration_seconds": SeriesColumn("seconds", _ENOUGH),
    "bounce_rate": SeriesColumn("ratio", _kpi("bounce_rate"), is_share=True),
    "converted_users": _COUNT,
    "conversion_rate": SeriesColumn("ratio", _kpi("conversion_rate"), is_share=True),
    "total_conversions": _COUNT,
    "conversion_value": SeriesColumn("value"),
    "nps_score": SeriesColumn("points", _kpi("nps_score")),
    "nps_responses": _COUNT,
}
_READINGS: Final[Mapping[str, AlertUnit]] = {
    "cpu_percent": "percent",
    "load_average_1m": "load",
    "memory_percent": "percent",
    "memory_used_bytes": "bytes",
    "swap_percent": "percent",
    "disk_percent": "percent",
    "disk_read_bytes_per_second": "bytes_per_second",
    "disk_write_bytes_per_second": "bytes_per_second",
    "network_sent_bytes_per_second": "bytes_per_second",
    "network_received_bytes_per_second": "bytes_per_second",
}
_OF_MACHINES: Final = {
    f"{name}{most}": SeriesColumn(unit, is_seen=True) for name, unit in _READINGS.items() for most in ("", "_max")
}
_OF_SERVICES: Final = {
    "availability_percent": SeriesColumn("percent", is_seen=True),
    "availability_percent_low": SeriesColumn("percent"),
    "availability_percent_high": SeriesColumn("percent"),
    "uptime_seconds": SeriesColumn("seconds", is_seen=True),
    "downtime_seconds": SeriesColumn("seconds"),
    "unknown_seconds": SeriesColumn("seconds"),
    "maintenance_seconds": SeriesColumn("seconds"),
    "coverage_ratio": SeriesColumn("ratio"),
    "incidents": _COUNT,
}
OF_DOMAIN: Final[Mapping[str, Mapping[str, SeriesColumn]]] = MappingProxyType(
    {"ai": _OF_MODELS, "users": _OF_USERS, "infrastructure": _OF_MACHINES, "availability": _OF_SERVICES}
)
"""By the name of a series, its columns."""
ABOUT: Final[Mapping[str, SubjectKind]] = MappingProxyType(
    {"ai": "model", "users": "users", "infrastructure": "host", "availability": "service"}
)
COLUMNS: Final[Mapping[str, SeriesColumn]] = MappingProxyType(
    {f"{domain}.{name}": column for domain, columns in OF_DOMAIN.items() for name, column in columns.items()}
)
