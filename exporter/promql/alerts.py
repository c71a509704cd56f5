"""Alerting rules for Prometheus: each row says one of our alert rules in PromQL.

Thresholds, windows and severities are those of `ALERT_RULES` and `KPIS`. An alert fires while all its
conditions hold; they are kept apart so that a test can ask a Prometheus for each value without its comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from exporter.promql.expressions import (
    ENVIRONMENT,
    JOB,
    MODEL,
    SURPRISE,
    duration,
    increase,
    lower_bound,
    number,
    surprise,
)  # fmt: skip
from exporter.promql.recording import RULE
from otel_measure.definitions.alerting.judgement import Severity
from otel_measure.definitions.alerting.rules import DAY_S, HOUR_S, MINUTE_S
from otel_measure.definitions.kpis import BY_KEY

SLOW_SHARE: Final = 0.05
"""A p95 over a threshold is a share of 5 % of the calls over it."""
DISK_FILLS_ABOVE: Final = 0.8
SILENT_FOR: Final = "30m"
DAYS_BEFORE: Final = range(1, 8)
WEEKS_BEFORE: Final = range(1, 5)
_CALLS: Final = "otel_measure_ai_inferences_total"
_MAX_P_VALUE_OF_DROPS_Z: Final = 3.09  # one-sided p < 0.001, as `stats/drops.py` asks


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison.

    Attributes:
        value: PromQL of what is compared.
        operator: how; strict as the bounds of KPIs are.
        bound: a number, or PromQL of one value per subject.
        looks_back: whether `value` needs days of history, which a young Prometheus does not have.
    """

    value: str
    operator: Literal[">", "<", ">=", "=="]
    bound: str
    looks_back: bool = False

    def expr(self) -> str:
        """Return the comparison in PromQL."""
        return f"({self.value}) {self.operator} {self.bound}"


@dataclass(frozen=True, slots=True)
class PromAlert:
    """An alert that Prometheus judges.

    Attributes:
        key: of the alert rule or KPI that it says in PromQL, with a word for a variant of it.
        title: what a person reads.
        subject: the label that names whom it is about; empty where there is only one.
        conditions: all have to hold; the value of the first is the value of the alert.
        holds_s: how long they have to.
        docs: the section that says what it means and what to do.
    """

    key: str
    title: str
    severity: Severity
    subject: str
    conditions: tuple[Condition, ...]
    holds_s: int
    docs: str

    @property
    def name(self) -> str:
        """The name in Prometheus: `model_errors` → `OtelMeasureModelErrors`."""
        return "OtelMeasure" + "".join(word.capitalize() for word in self.key.split("_"))

    @property
    def expr(self) -> str:
        """All conditions in PromQL."""
        return "\nand ".join(condition.expr() for condition in self.conditions)


def _of_rule(
    key: str, subject: str, *conditions: Condition, variant: str = "", holds_s: int | None = None
) -> PromAlert:
    rule = RULE[key]
    # Prometheus does not know which models have targets of their own, so what depends on it is a ticket.
    severity = rule.severity_of(has_own_target=False)
    holds_s = rule.holds_s if holds_s is None else holds_s
    return PromAlert(f"{key}{variant}", rule.title, severity, subject, conditions, holds_s, rule.docs)


def _kpi_alert(key: str) -> str:
    alert = BY_KEY[key].alert
    if alert is None:
        raise ValueError(f"the KPI {key!r} has no alert threshold")
    return number(alert)


def _evidence(key: str) -> str:
    return number(BY_KEY[key].min_evidence)


def _errors(key: str) -> PromAlert:
    rule = RULE[key]
    short, long = duration(rule.window_s), duration(rule.long_window_s)
    return _of_rule(
        key,
        "gen_ai_request_model",
        Condition(f"model:failed_calls:ratio{short}", ">", number(rule.threshold)),
        Condition(
            surprise(f"model:failed_calls:increase{short}", f"model:calls:increase{short}", rule.threshold),
            ">",
            number(SURPRISE),
        ),
        Condition(
            lower_bound(f"model:failed_calls:increase{long}", f"model:calls:increase{long}"),
            ">",
            number(rule.threshold),
        ),
    )


def _latency() -> PromAlert:
    rule = RULE["model_latency"]
    short, long = duration(rule.window_s), duration(rule.long_window_s)
    slow, timed = f"model:slow_calls:increase{short}", f"model:timed_calls:increase{short}"
    slow_long, timed_long = f"model:slow_calls:increase{long}", f"model:timed_calls:increase{long}"
    return _of_rule(
        "model_latency",
        "gen_ai_request_model",
        Condition(f"model:latency_seconds:p95_{short}", ">", number(rule.threshold / 1000)),
        Condition(surprise(slow, timed, SLOW_SHARE), ">", number(SURPRISE)),
        Condition(lower_bound(slow_long, timed_long), ">", number(SLOW_SHARE)),
    )


def _calls(window: str, offset: str = "") -> str:
    return increase(_CALLS, MODEL, window, offset)


def _silences() -> Iterator[PromAlert]:
    subject, silent = "gen_ai_request_model", Condition(_calls(SILENT_FOR), "==", "0")
    usual = number(RULE["model_silence"].threshold)
    for variant, days in (("", DAYS_BEFORE), ("_weekday", [7 * week for week in WEEKS_BEFORE])):
        busy = [Condition(_calls(SILENT_FOR, f"{day}d"), ">=", usual, looks_back=True) for day in days]
        yield _of_rule("model_silence", subject, silent, *busy, variant=variant)
    young = RULE["model_silence_young"]
    busy = [
        Condition(_calls("1h", f"{30 + 60 * hour}m"), ">=", number(young.threshold), looks_back=True)
        for hour in range(young.window_s // HOUR_S)
    ]
    yield _of_rule("model_silence_young", subject, silent, *busy)
    batch = RULE["model_batch_missed"]
    daily = [
        Condition(
            _calls("1d", duration(batch.window_s + (day - 1) * DAY_S)), ">=", number(batch.threshold), looks_back=True
        )
        for day in DAYS_BEFORE
    ]
    missed = Condition(_calls(duration(batch.window_s)), "==", "0")
    yield _of_rule("model_batch_missed", subject, missed, *daily)


def _cost() -> PromAlert:
    rule = RULE["model_cost"]
    window = duration(rule.window_s)
    priced = f"model:priced_calls:increase{window}"
    return _of_rule(
        "model_cost",
        "gen_ai_request_model",
        Condition(f"model:cost_per_request_usd:mean{window}", ">", number(rule.threshold)),
        Condition(priced, ">=", _evidence("cost_per_request_usd")),
        Condition(f"{priced} / model:calls:increase{window}", ">=", "0.5"),
    )


def _model_gauges() -> Iterator[PromAlert]:
    subject = "gen_ai_request_model"
    drift = Condition(f"max by ({MODEL}) (otel_measure_ai_drift_score)", ">", number(RULE["model_drift"].threshold))
    yield _of_rule("model_drift", subject, drift)
    health = Condition(f"min by ({MODEL}) (otel_measure_ai_health_score)", "<", number(RULE["model_health"].threshold))
    yield _of_rule("model_health", subject, health)
    for key, series in (
        ("accuracy", "otel_measure_ai_accuracy_ratio"),
        ("data_quality", "otel_measure_ai_data_quality_ratio"),
    ):
        low = Condition(f"min by ({MODEL}) ({series})", "<", _kpi_alert(key))
        title = f"{BY_KEY[key].title} of a model is low"
        yield PromAlert(f"model_{key}", title, "ticket", subject, (low,), 0, "definitions.md#kpis")


def _machines() -> Iterator[PromAlert]:
    cpu, memory, disk = RULE["host_cpu"], RULE["host_memory"], RULE["host_disk"]
    usage = f"host:cpu_usage:ratio{duration(cpu.window_s)}"
    yield _of_rule("host_cpu", "host_name", Condition(usage, ">", number(cpu.threshold / 100)))
    usage = f"host:memory_usage:ratio{duration(memory.window_s)}"
    yield _of_rule("host_memory", "host_name", Condition(usage, ">", number(memory.threshold / 100)))
    yield _of_rule("host_disk", "host_name", Condition("mount:disk_usage:ratio", ">", number(disk.threshold / 100)))
    fills = RULE["host_disk_fills"]
    ahead_s = number(fills.threshold * HOUR_S)
    fit = f"predict_linear(mount:disk_free:bytes[{duration(fills.window_s)}], {ahead_s})"
    nearly_full = Condition("mount:disk_usage:ratio", ">", number(DISK_FILLS_ABOVE))
    yield _of_rule("host_disk_fills", "host_name", Condition(fit, "<", "0"), nearly_full, holds_s=30 * MINUTE_S)


def _services() -> Iterator[PromAlert]:
    subject = "otel_measure_service_name"
    up = "min by (otel_measure_service_name, deployment_environment_name) (otel_measure_service_up)"
    down_for_s = int(RULE["service_down"].threshold)
    yield _of_rule("service_down", subject, Condition(up, "==", "0"), holds_s=down_for_s)
    for key in ("service_burn_fast", "service_burn_slow"):
        rule = RULE[key]
        burns = [
            Condition(f"service:burn_rate:ratio{duration(window)}", ">", number(rule.threshold))
            for window in (rule.window_s, rule.long_window_s)
        ]
        yield _of_rule(key, subject, *burns)
    at_best = Condition("service:availability_at_best:ratio", "<", "service:objective:ratio")
    yield _of_rule("service_availability", subject, at_best)


def _users() -> Iterator[PromAlert]:
    active = f'max by ({ENVIRONMENT}) (otel_measure_users_active{{otel_measure_window="1d"}}'
    usual = "(" + " + ".join(f"{active} offset {7 * week}d)" for week in WEEKS_BEFORE) + f") / {len(WEEKS_BEFORE)}"
    today = f"{active})"
    chance = f"(({usual}) - {today}) / sqrt(({usual}) * {number(1 + 1 / len(WEEKS_BEFORE))})"
    evidence = number(BY_KEY["dau_drop"].min_evidence)
    yield _of_rule(
        "users_dau_drop",
        ENVIRONMENT,
        Condition(f"1 - {today} / ({usual})", ">", number(RULE["users_dau_drop"].threshold), looks_back=True),
        Condition(f"({usual}) * {len(WEEKS_BEFORE)}", ">=", evidence, looks_back=True),
        Condition(chance, ">", number(_MAX_P_VALUE_OF_DROPS_Z), looks_back=True),
    )
    yield _conversion_drop()
    responses = f"max by ({ENVIRONMENT}) (otel_measure_users_nps_responses)"
    yield _of_rule(
        "users_nps",
        ENVIRONMENT,
        Condition(f"max by ({ENVIRONMENT}) (otel_measure_users_nps_score)", "<", number(RULE["users_nps"].threshold)),
        Condition(responses, ">=", _evidence("nps_score")),
    )


def _conversion_drop() -> PromAlert:
    rule = RULE["users_conversion_drop"]
    week = duration(rule.window_s)
    persons = f'max by ({ENVIRONMENT}) (otel_measure_users_active{{otel_measure_window="7d"}}'
    converted = 'otel_measure_users_events_total{otel_measure_event_type="conversion"}'
    now, before = increase(converted, ENVIRONMENT, week), increase(converted, ENVIRONMENT, week, week)
    n, n_before = f"{persons})", f"{persons} offset {week})"
    rate, rate_before = f"({now} / {n})", f"({before} / {n_before})"
    pooled = f"(({now} + {before}) / ({n} + {n_before}))"
    chance = f"({rate_before} - {rate}) / sqrt(clamp_min({pooled} * (1 - {pooled}), 0) * (1 / {n} + 1 / {n_before}))"
    evidence = _evidence("conversion_drop")
    return _of_rule(
        "users_conversion_drop",
        ENVIRONMENT,
        Condition(f"1 - {rate} / {rate_before}", ">", number(rule.threshold), looks_back=True),
        Condition(n, ">=", evidence),
        Condition(n_before, ">=", evidence, looks_back=True),
        Condition(chance, ">", number(_MAX_P_VALUE_OF_DROPS_Z), looks_back=True),
    )


def _ours() -> Iterator[PromAlert]:
    for key, outcome in (("measure_dropped", "dropped"), ("measure_rejected", "rejected")):
        rule = RULE[key]
        lost = f"sender:records_{outcome}:increase{duration(rule.window_s)}"
        yield _of_rule(key, "service_name", Condition(lost, ">", number(rule.threshold)))
    answers = Condition(f'sum(up{{job="{JOB}"}}) or vector(0)', "==", "0")
    title, holds_s = "The exporter does not answer Prometheus", RULE["measure_no_evaluation"].window_s
    yield PromAlert("exporter_down", title, "page", "", (answers,), holds_s, "operations.md")


ALERTS: Final[tuple[PromAlert, ...]] = (
    _errors("model_errors"),
    _errors("model_errors_sustained"),
    _latency(),
    *_silences(),
    _cost(),
    *_model_gauges(),
    *_machines(),
    *_services(),
    *_users(),
    *_ours(),
)

NOT_SAID: Final[dict[str, str]] = {
    "sender_silence": "what a sender sends beside calls is not a series of its own; `ModelSilence` fires instead",
    "measure_store_full": "why records were dropped is a label of theirs; `MeasureDropped` fires instead",
    "measure_no_evaluation": "not written yet: `/metrics` has to tell the time of the last evaluation",
}
"""Alert rules of ours that PromQL does not say, and why."""
