"""How a value stands against its KPI, and how the two are written so that what is read agrees with what was compared.

Evidence comes before a verdict: with less than the KPI needs it is unknown, whatever the value. An alert is beyond
doubt, a warning is not: where a value carries its 95 % interval, it alerts when the whole interval lies beyond the
alert threshold, and warns when the value alone misses the target.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, Literal, get_args

from otel_measure.definitions.kpis import BY_KEY, Direction, Kpi, Unit
from otel_measure.records.enums import HealthStatus
from otel_measure.stats.intervals import Interval

Verdict = Literal["alert", "warning", "ok", "unknown"]
"""The worst first."""

# Per unit: how a person reads it, by what it is multiplied, significant digits, and whether they are decimal places.
_FORMATS: Final[dict[Unit, tuple[str, float, int, str]]] = {
    "percent": ("{} %", 1.0, 4, "g"),
    "ratio": ("{} %", 100.0, 4, "g"),
    "ms": ("{} ms", 1.0, 6, "g"),
    "usd": ("${}", 1.0, 4, "g"),
    "score": ("{}", 1.0, 3, "g"),
    "points": ("{}", 1.0, 4, "g"),
    "bytes_per_second": ("{} B/s", 1.0, 0, "f"),
}
WORST_FIRST: Final[tuple[Verdict, ...]] = get_args(Verdict)
ENOUGH_OF_THE_TIME: Final = 0.9
SHARES: Final[frozenset[Unit]] = frozenset({"ratio", "score"})  # units of 0 to 1
_MOST_DIGITS: Final = 17  # that many tell any two floats apart


def judge(kpi: Kpi, value: float | None, *, evidence: int | None = None, interval: Interval | None = None) -> Verdict:
    """Say how a value stands against its KPI.

    Args:
        kpi: a row of ``KPIS``.
        value: in the KPI's unit; ``nan`` and ``None`` are unknown.
        evidence: what the value rests on (users, records, readings), where the caller knows it.
        interval: its 95 % interval, where it has one.

    Returns:
        ``unknown`` without a value or with less evidence than the KPI needs, ``alert`` strictly beyond the alert
        threshold (with the whole interval), ``warning`` when the target is not met, else ``ok`` (also where there is
        nothing to judge).
    """
    if value is None or math.isnan(value) or (evidence is not None and evidence < kpi.min_evidence):
        return "unknown"
    if kpi.direction == "none":
        return "ok"
    if kpi.alert is not None and all(_beyond(kpi.direction, end, kpi.alert) for end in interval or (value,)):
        return "alert"
    misses_target = kpi.target is not None and not (
        _beyond(kpi.direction, kpi.target, value) or (kpi.met_at_target and value == kpi.target)
    )
    is_in_doubt = kpi.alert is not None and _beyond(kpi.direction, value, kpi.alert)
    return "warning" if misses_target or is_in_doubt else "ok"


def missing(kpi: Kpi, value: float | None, evidence: int | None, interval: Interval | None = None) -> str:
    """Say what is missing for a verdict, or for an alert, as a sentence; empty where nothing is."""
    if evidence is not None and evidence < kpi.min_evidence:
        return f"needs {kpi.needs}; there are {evidence:,} so far" if evidence else f"needs {kpi.needs}"
    if value is None or math.isnan(value):
        return f"needs {kpi.needs}"
    if interval is None or kpi.alert is None or not _beyond(kpi.direction, value, kpi.alert):
        return ""
    better_end = interval[0] if kpi.direction == "below" else interval[1]
    if _beyond(kpi.direction, better_end, kpi.alert):
        return ""
    return f"beyond the alert threshold, not beyond doubt: the 95 % interval reaches {format_value(kpi, better_end)}"


def longest_verdict(kpi: Kpi, observed_s: float) -> Verdict:
    """Return the worst verdict that so much of the past allows: what must hold for 5 minutes needs them seen."""
    return "alert" if observed_s >= ENOUGH_OF_THE_TIME * kpi.alert_for_s else "warning"


def no_worse(verdict: Verdict, at_worst: Verdict) -> Verdict:
    """Return the milder of two verdicts; "unknown" stays."""
    return max(verdict, at_worst, key=WORST_FIRST.index)


def _beyond(direction: Direction, value: float, bound: float) -> bool:
    """Whether the value is strictly on the bad side of the bound."""
    return value > bound if direction == "below" else value < bound


def with_target(kpi: Kpi, target: float | None) -> Kpi:
    """Return a KPI with a target of its own, `None` keeping the table's.

    The alert threshold moves with the target, in the table's proportion: latency p95 has 200 and 500 ms, so a target
    of 5,000 ms means an alert at 12,500 ms. That of a share is at most halfway between the target and 1, or nothing
    could go beyond it: an error rate has 0.01 and 0.05, and a target of 0.25 means an alert at 0.625.
    """
    if target is None or kpi.target is None:
        return kpi
    if kpi.alert is None:
        return replace(kpi, target=target)
    alert = target * (kpi.alert / kpi.target)
    if kpi.direction == "below" and kpi.unit in SHARES:
        alert = min(alert, (target + 1.0) / 2.0)
    return replace(kpi, target=target, alert=alert)


def host_status(
    cpu_percent: float, memory_percent: float, disk_percent: float, observed_s: float = math.inf
) -> HealthStatus:
    """Say how the host is, from what its CPU, memory and fullest disk use.

    Args:
        cpu_percent: mean of the last 5 minutes, 0 to 100, ``nan`` where unknown.
        memory_percent: likewise.
        disk_percent: now.
        observed_s: how much of the last 5 minutes was seen: before that a high mean is no alert yet.

    Returns:
        `CRITICAL` when one of the three is beyond its alert threshold, `DEGRADED` when one misses its target or
        when none of them is known (a host that cannot be read is not well), else `HEALTHY`.
    """
    readings = (
        ("cpu_usage_percent", cpu_percent),
        ("memory_usage_percent", memory_percent),
        ("disk_usage_percent", disk_percent),
    )
    verdicts = {
        no_worse(judge(BY_KEY[key], value), longest_verdict(BY_KEY[key], observed_s)) for key, value in readings
    }
    if "alert" in verdicts:
        return HealthStatus.CRITICAL
    is_healthy = "ok" in verdicts and "warning" not in verdicts
    return HealthStatus.HEALTHY if is_healthy else HealthStatus.DEGRADED


def format_value(kpi: Kpi, value: float | None) -> str:
    """Write a value of a KPI for a person: ``93.2 %``, ``650 ms``, ``$0.0123``; else ``unknown``.

    It has as many digits as tell it from the KPI's target and alert threshold: 99.96 of 100 never reads "100 %", and
    what is below 99.9 % never reads "99.9 %".
    """
    if value is None or math.isnan(value):
        return "unknown"
    template, factor, digits, kind = _FORMATS[kpi.unit]
    limits = {"percent": (0.0, 100.0), "ratio": (0.0, 1.0)}.get(kpi.unit, ())
    others = [other for other in (kpi.target, kpi.alert, *limits) if other is not None and other != value]
    for precision in range(digits, _MOST_DIGITS + 1):
        text = f"{value * factor:,.{precision}{kind}}"
        if all(text != f"{other * factor:,.{precision}{kind}}" for other in others):
            break
    return template.format(text)
