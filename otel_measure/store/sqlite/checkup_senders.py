"""The check of who sends by OTLP: what came in the last hour, and where it became nothing, why and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from otel_measure.definitions.arrivals import Arrival, ArrivalSource, Signal, by_source, explained
from otel_measure.definitions.windows import HOUR_US
from otel_measure.store.sqlite import arrivals
from otel_measure.store.sqlite.checked_file import StoreFile, opened
from otel_measure.store.types.findings import Finding, ok, warning

_MAX_LINES: Final = 50
_ITEMS: Final[Mapping[Signal, str]] = MappingProxyType(
    {"metrics": "data points", "logs": "log records", "traces": "spans"}
)
_NOTHING: Final = frozenset({"ignored", "rejected"})


def senders(s: StoreFile) -> Finding:
    """Who sent what in the last hour; a warning where nothing at all became of what somebody sent."""
    with opened(s) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'arrival'").fetchone():
            return ok("not known before the next process starts")
        sources = by_source(arrivals.arrived(connection, s.now_us() - HOUR_US).items())
    if not sources:
        return ok("nobody sent anything in the last hour")
    lines = [_line(source, items) for source, items in sources]
    if len(lines) > _MAX_LINES:
        lines = [*lines[:_MAX_LINES], f"and {len(lines) - _MAX_LINES} more"]
    is_in_vain = any(all(arrival.outcome in _NOTHING for arrival, _ in items) for _, items in sources)
    remedies = {_remedy(arrival) for _, items in sources for arrival, _ in items} - {""}
    return (warning if is_in_vain else ok)("\n".join(lines), "\n".join(sorted(remedies)))


def _line(source: ArrivalSource, items: list[tuple[Arrival, int]]) -> str:
    became = "; ".join(_became(arrival, n) for arrival, n in items)
    return f"{'/'.join(part for part in source if part)} - {became}"


def _became(arrival: Arrival, items: int) -> str:
    why = explained(arrival.outcome, arrival.reason).why
    return f"{arrival.outcome}: {items:,} {_ITEMS[arrival.signal]}" + (f" ({why})" if why else "")


def _remedy(arrival: Arrival) -> str:
    why, remedy = explained(arrival.outcome, arrival.reason)
    return f"{why}: {remedy}" if remedy else ""
