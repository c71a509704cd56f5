"""RecordingRule rules: what alerts and dashboards read several times, computed once a turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from exporter.promql.expressions import HOST, MODEL, MOUNT, SENDER, SERVICE, above, duration, increase
from otel_measure.conventions.instruments import BUCKETS_DURATION
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.errors import ConfigurationError
from otel_measure.infrastructure.rates import SMALLEST_DISK_BYTES
from otel_measure.store.types.facts import ERASED

Rules: TypeAlias = Mapping[str, AlertRule]
"""Every alert rule by key, with what users have otherwise."""

_CALLS: Final = "otel_measure_ai_inferences_total"
_FAILED: Final = 'otel_measure_ai_inferences_total{otel_measure_outcome!="ok"}'
_PRICED: Final = 'otel_measure_ai_inferences_total{otel_measure_priced="true"}'
_COST: Final = "otel_measure_ai_cost_usd_total"
_DURATION: Final = "gen_ai_client_operation_duration_seconds"
_STATE: Final = "otel_measure_service_state_time_seconds"
_RECORDS: Final = "otel_measure_self_records_total"
SILENT_FOR: Final = "25m"
"""A silence, so that one call a minute is enough, and it is told of within half an hour."""
LOSSES: Final = (("measure_dropped", "dropped"), ("measure_rejected", "rejected"))
"""Rules of records that are lost, and the outcome that says so."""


class RecordingRule(NamedTuple):
    """A series that Prometheus computes, and from what."""

    record: str
    expr: str


def recordings(rules: Rules) -> tuple[RecordingRule, ...]:
    """Return every recording, each after those that it reads.

    Args:
        rules: every alert rule; those that are off too, for dashboards read their recordings.

    Raises:
        ConfigurationError: a threshold of the rules is one that the buckets of `/metrics` cannot tell.
    """
    return (*_models(rules), *_machines(rules), *_services(rules), *_losses(rules))


def by_key(in_force: Iterable[AlertRule]) -> Rules:
    """Return every alert rule: those in force, and those that are off as the table has them."""
    return {rule.key: rule for rule in (*ALERT_RULES, *in_force)}


def windows_of(rules: Rules, *keys: str) -> list[str]:
    """Return the short and the long windows of some alert rules, in PromQL, each once, shortest first."""
    return [duration(window_s) for window_s in seconds_of(rules, *keys)]


def seconds_of(rules: Rules, *keys: str) -> list[int]:
    """Return the same windows in seconds."""
    return sorted({window for key in keys for window in (rules[key].window_s, rules[key].long_window_s) if window})


def _models(rules: Rules) -> Iterator[RecordingRule]:
    for window in windows_of(rules, "model_errors", "model_errors_sustained", "model_cost"):
        calls, failed = f"model:calls:increase{window}", f"model:failed_calls:increase{window}"
        yield RecordingRule(calls, increase(_CALLS, MODEL, window))
        yield RecordingRule(failed, f"{increase(_FAILED, MODEL, window)} or 0 * {calls}")
        yield RecordingRule(f"model:failed_calls:ratio{window}", f"{failed} / {calls}")
    yield RecordingRule(f"model:calls:increase{SILENT_FOR}", increase(_CALLS, MODEL, SILENT_FOR))
    threshold_s = _slow_from_s(rules["model_latency"])
    for window in windows_of(rules, "model_latency"):
        yield RecordingRule(f"model:timed_calls:increase{window}", increase(f"{_DURATION}_count", MODEL, window))
        slow = above(_DURATION, MODEL, window, threshold_s, BUCKETS_DURATION)
        yield RecordingRule(f"model:slow_calls:increase{window}", slow)
        buckets = f"sum by (le, {MODEL}) (rate({_DURATION}_bucket[{window}]))"
        yield RecordingRule(f"model:latency_seconds:p95_{window}", f"histogram_quantile(0.95, {buckets})")
    for window in windows_of(rules, "model_cost"):
        priced = f"model:priced_calls:increase{window}"
        yield RecordingRule(priced, increase(_PRICED, MODEL, window))
        yield RecordingRule(f"model:cost_per_request_usd:mean{window}", f"{increase(_COST, MODEL, window)} / {priced}")


def _slow_from_s(latency: AlertRule) -> float:
    threshold_s, highest_s = latency.threshold / 1000, BUCKETS_DURATION[-1]
    if not 0 < threshold_s < highest_s:
        raise ConfigurationError(
            f"alert rule {latency.key!r}: Prometheus cannot tell calls that take over {latency.threshold:g} ms: the "
            f"buckets of /metrics end at {highest_s * 1000:g} ms; give it a lower threshold"
        )
    return threshold_s


def _machines(rules: Rules) -> Iterator[RecordingRule]:
    (cpu,), (memory,) = windows_of(rules, "host_cpu"), windows_of(rules, "host_memory")
    idle = f'sum by ({HOST}) (rate(system_cpu_time_seconds_total{{cpu_mode=~"idle|iowait"}}[{cpu}]))'
    of_cpus = f"1 - {idle} / sum by ({HOST}) (rate(system_cpu_time_seconds_total[{cpu}]))"
    of_limit = f"max by ({HOST}) (avg_over_time(otel_measure_container_cpu_limit_utilization_ratio[{cpu}]))"
    yield RecordingRule(f"host:cpu_usage:ratio{cpu}", f"{of_limit} or {of_cpus}")
    used = f'max by ({HOST}) (avg_over_time(system_memory_utilization{{system_memory_state="used"}}[{memory}]))'
    of_limit = f"max by ({HOST}) (avg_over_time(otel_measure_container_memory_limit_utilization_ratio[{memory}]))"
    yield RecordingRule(f"host:memory_usage:ratio{memory}", f"{of_limit} or {used}")
    large = f"sum by ({MOUNT}) (system_filesystem_usage_bytes) >= {SMALLEST_DISK_BYTES}"
    yield RecordingRule("mount:disk_usage:ratio", f"max by ({MOUNT}) (system_filesystem_utilization) and ({large})")


def _services(rules: Rules) -> Iterator[RecordingRule]:
    objective = "service:objective:ratio"
    yield RecordingRule(objective, f"max by ({SERVICE}) (otel_measure_service_objective_ratio)")
    for window_s in seconds_of(rules, "service_burn_fast", "service_burn_slow"):
        window = duration(window_s)
        # Not `rate()`: maintenance that is recorded later makes the time down shorter, which is no reset.
        down_s = f'sum by ({SERVICE}) (delta({_STATE}{{otel_measure_service_state="down"}}[{window}]))'
        yield RecordingRule(f"service:burn_rate:ratio{window}", f"{down_s} / {window_s} / (1 - {objective})")
    ratio = f"max by ({SERVICE}) (otel_measure_service_availability_ratio)"
    coverage = f"max by ({SERVICE}) (otel_measure_service_coverage_ratio)"
    # As if the service had been up whenever nobody looked: what misses the objective even so has missed it for sure.
    yield RecordingRule("service:availability_at_best:ratio", f"1 - (1 - {ratio}) * {coverage}")


def lost_records(outcome: str, window: str) -> str:
    """Return PromQL of how many records had an outcome in a window, by sender.

    `increase()` does not count the first sample of a series, and a loss is often its first: so what was there at the
    window's start is subtracted, or 0 where the sender was known by other outcomes.
    """
    no_loss = f'otel_measure_drop_reason!="{ERASED.reason}"'  # what was erased has to stay away
    selector = f'sum by ({SENDER}) ({_RECORDS}{{otel_measure_record_outcome="{outcome}",{no_loss}}}'
    everything = f"sum by ({SENDER}) ({_RECORDS}"
    return f"({selector}) or 0 * {everything})) - ({selector} offset {window}) or 0 * {everything} offset {window}))"


def _losses(rules: Rules) -> Iterator[RecordingRule]:
    for key, outcome in LOSSES:
        (window,) = windows_of(rules, key)
        yield RecordingRule(f"sender:records_{outcome}:increase{window}", lost_records(outcome, window))
