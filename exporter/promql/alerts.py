"""Alerting rules for Prometheus: each row says one of our alert rules in PromQL.

Thresholds, windows and severities are those of the rules in force, evidence is that of `KPIS`. An alert fires while
all its conditions hold; they are kept apart so that a test can ask a Prometheus for each value without its comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal, TypeAlias

from exporter.promql.expressions import (
    ENVIRONMENT,
    JOB,
    MODEL,
    MOUNT,
    SENDER,
    SERVICE,
    SURPRISE,
    duration,
    increase,
    lower_bound,
    number,
    surprise,
)  # fmt: skip
from exporter.promql.recording import LOSSES, SILENT_FOR, Rules, by_key, windows_of
from otel_measure.definitions.alerting.calls import SLOW_SHARE
from otel_measure.definitions.alerting.disk_fit import FULL_FROM_PERCENT
from otel_measure.definitions.alerting.judgement import Severity
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import DAY_S, HOUR_S, MINUTE_S
from otel_measure.definitions.kpis import BY_KEY, MIN_PRICED_RATIO
from otel_measure.infrastructure.availability import ROUNDING
from otel_measure.judging.scorecard import DROP_P

DISK_FILLS_FOR_S: Final = 30 * MINUTE_S  # a fit over hours swings when a large file comes or goes
AROUND_S: Final = 90 * MINUTE_S
DAYS_BEFORE: Final = range(1, 8)
WEEKS_BEFORE: Final = range(1, 5)
_SILENT_CALLS: Final = f"model:calls:increase{SILENT_FOR}"
_CALLS: Final = "otel_measure_ai_inferences_total"
_Z_OF_DROPS: Final = NormalDist().inv_cdf(1 - DROP_P / 2)


Operator: TypeAlias = Literal[">", "<", ">=", "=="]


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
    operator: Operator
    bound: str
    looks_back: bool = False

    def expr(self) -> str:
        """Return the comparison in PromQL."""
        return f"({self.value}) {self.operator} {self.bound}"


@dataclass(frozen=True, slots=True)
class PromAlert:
    """An alert that Prometheus judges.

    Attributes:
        rule: the key of the alert rule that it says in PromQL.
        variant: tells two alerts of one rule apart; empty for the first.
        title: what a person reads.
        subject: the label that names whom it is about; empty where there is only one.
        conditions: all have to hold; the value of the first is the value of the alert.
        holds_s: how long they have to.
        clears_s: how long it fires on when they no longer do.
        docs: the section that says what it means and what to do.
    """

    rule: str
    variant: str
    title: str
    severity: Severity
    subject: str
    conditions: tuple[Condition, ...]
    holds_s: int
    clears_s: int
    docs: str

    @property
    def key(self) -> str:
        """Of this alert among all."""
        return f"{self.rule}_{self.variant}" if self.variant else self.rule

    @property
    def name(self) -> str:
        """The name in Prometheus: `model_errors` → `OtelMeasureModelErrors`, `measure_lost` → `OtelMeasureLost`."""
        return "OtelMeasure" + "".join(word.capitalize() for word in self.key.removeprefix("measure_").split("_"))

    @property
    def expr(self) -> str:
        """All conditions in PromQL."""
        return "\nand ".join(condition.expr() for condition in self.conditions)


def alerts(in_force: Collection[AlertRule]) -> tuple[PromAlert, ...]:
    """Return the alerts of the rules that are in force."""
    keys = {rule.key for rule in in_force}
    return tuple(alert for alert in _of_all(by_key(in_force)) if alert.rule in keys)


def _of_all(rules: Rules) -> tuple[PromAlert, ...]:
    return (
        _errors(rules["model_errors"]),
        _errors(rules["model_errors_sustained"]),
        _latency(rules["model_latency"]),
        *_silences(rules),
        _cost(rules["model_cost"]),
        *_model_gauges(rules),
        *_machines(rules),
        *_services(rules),
        *_users(rules),
        *_ours(rules),
    )


def _of_rule(
    rule: AlertRule, subject: str, *conditions: Condition, variant: str = "", title: str = "", holds_s: int = 0
) -> PromAlert:
    return PromAlert(
        rule=rule.key,
        variant=variant,
        title=title or rule.title,
        # Prometheus does not know which models have targets of their own.
        severity=rule.severity_of(has_own_target=False),
        subject=subject,
        conditions=conditions,
        holds_s=holds_s or rule.holds_s,
        clears_s=rule.clears_s,
        docs=rule.section,
    )


def _evidence(key: str) -> str:
    return number(BY_KEY[key].min_evidence)


def _errors(rule: AlertRule) -> PromAlert:
    short, long = duration(rule.window_s), duration(rule.long_window_s)
    return _of_rule(
        rule,
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


def _latency(rule: AlertRule) -> PromAlert:
    short, long = duration(rule.window_s), duration(rule.long_window_s)
    slow, timed = f"model:slow_calls:increase{short}", f"model:timed_calls:increase{short}"
    slow_long, timed_long = f"model:slow_calls:increase{long}", f"model:timed_calls:increase{long}"
    return _of_rule(
        rule,
        "gen_ai_request_model",
        Condition(f"model:latency_seconds:p95_{short}", ">", number(rule.threshold / 1000)),
        Condition(surprise(slow, timed, SLOW_SHARE), ">", number(SURPRISE)),
        Condition(lower_bound(slow_long, timed_long), ">", number(SLOW_SHARE)),
    )


def _calls(window: str, offset: str = "") -> str:
    return increase(_CALLS, MODEL, window, offset)


def _silences(rules: Rules) -> Iterator[PromAlert]:
    subject, rule = "gen_ai_request_model", rules["model_silence"]
    for variant, days in (("", DAYS_BEFORE), ("weekday", [7 * week for week in WEEKS_BEFORE])):
        usual = (_were_calls(SILENT_FOR, f"{day}d", rule) for day in days)
        never_silent = (_never_silent_around(day) for day in days)
        yield _of_rule(rule, subject, _no_calls(SILENT_FOR), *usual, *never_silent, variant=variant)
    yield _of_rule(rules["model_silence_young"], subject, *_young_silence(rules["model_silence_young"], rule))
    batch = rules["model_batch_missed"]
    daily = (_were_calls("1d", duration(batch.window_s + (day - 1) * DAY_S), batch) for day in DAYS_BEFORE)
    yield _of_rule(batch, subject, _no_calls(duration(batch.window_s)), *daily)


def _young_silence(young: AlertRule, of_a_day: AlertRule) -> Iterator[Condition]:
    """Yield that a model is silent that was busy for hours, of which nothing is known a week ago."""
    window = duration(young.window_s)
    yield _no_calls(window)
    for hour in range(young.long_window_s // HOUR_S):
        yield _were_calls("1h", duration(young.window_s + hour * HOUR_S), young)
    known = f"max by ({MODEL}) ({_CALLS} offset 7d) or 0 * max by ({MODEL}) ({_CALLS})"
    yield Condition(known, "==", "0", looks_back=True)
    fewest = number(of_a_day.threshold)
    for day in DAYS_BEFORE[:-1]:
        calls = f"{_calls(window, f'{day}d')} or {fewest} + 0 * {_calls(window)}"
        yield Condition(calls, ">=", fewest, looks_back=True)


def _never_silent_around(days: int) -> Condition:
    """Return that there was no such pause in the hours around the same time of a day.

    Not where work begins later on some days, not the hour by which clocks are changed, and not between sessions.
    """
    back = duration(days * DAY_S - AROUND_S)
    around = f"{_SILENT_CALLS}[{duration(2 * AROUND_S)}] offset {back}"
    return Condition(f"min_over_time({around})", ">", "0", looks_back=True)


def _no_calls(window: str) -> Condition:
    return Condition(_calls(window), "==", "0")


def _were_calls(window: str, back: str, rule: AlertRule) -> Condition:
    return Condition(_calls(window, back), ">=", number(rule.threshold), looks_back=True)


def _cost(rule: AlertRule) -> PromAlert:
    window = duration(rule.window_s)
    priced = f"model:priced_calls:increase{window}"
    return _of_rule(
        rule,
        "gen_ai_request_model",
        Condition(f"model:cost_per_request_usd:mean{window}", ">", number(rule.threshold)),
        Condition(priced, ">=", _evidence("cost_per_request_usd")),
        Condition(f"{priced} / model:calls:increase{window}", ">=", number(MIN_PRICED_RATIO)),
    )


def _model_gauges(rules: Rules) -> Iterator[PromAlert]:
    beyond: Operator
    for key, worst, series, beyond in (
        ("model_accuracy", "min", "otel_measure_ai_accuracy_ratio", "<"),
        ("model_drift", "max", "otel_measure_ai_drift_score", ">"),
        ("model_health", "min", "otel_measure_ai_health_score", "<"),
        ("model_data_quality", "min", "otel_measure_ai_data_quality_ratio", "<"),
    ):
        condition = Condition(f"{worst} by ({MODEL}) ({series})", beyond, number(rules[key].threshold))
        yield _of_rule(rules[key], "gen_ai_request_model", condition)


def _machines(rules: Rules) -> Iterator[PromAlert]:
    subject, percent = "host_name", 100
    for key, usage in (
        ("host_cpu", f"host:cpu_usage:ratio{duration(rules['host_cpu'].window_s)}"),
        ("host_memory", f"host:memory_usage:ratio{duration(rules['host_memory'].window_s)}"),
        ("host_disk", "mount:disk_usage:ratio"),
    ):
        yield _of_rule(rules[key], subject, Condition(usage, ">", number(rules[key].threshold / percent)))
    fills = rules["host_disk_fills"]
    ahead_s = number(fills.threshold * HOUR_S)
    free = f'system_filesystem_usage_bytes{{system_filesystem_state="free"}}[{duration(fills.window_s)}]'
    fit = f"min by ({MOUNT}) (predict_linear({free}, {ahead_s}))"
    nearly_full = Condition("mount:disk_usage:ratio", ">", number(FULL_FROM_PERCENT / percent))
    yield _of_rule(fills, subject, Condition(fit, "<", "0"), nearly_full, holds_s=DISK_FILLS_FOR_S)


def _services(rules: Rules) -> Iterator[PromAlert]:
    subject, down = "otel_measure_service_name", rules["service_down"]
    up = f"min by ({SERVICE}) (otel_measure_service_up)"
    yield _of_rule(down, subject, Condition(up, "==", "0"), holds_s=round(down.threshold))
    for key in ("service_burn_fast", "service_burn_slow"):
        burns = [
            Condition(f"service:burn_rate:ratio{window}", ">", number(rules[key].threshold))
            for window in windows_of(rules, key)
        ]
        yield _of_rule(rules[key], subject, *burns)
    at_best = Condition("service:availability_at_best:ratio", "<", f"service:objective:ratio - {ROUNDING}")
    yield _of_rule(rules["service_availability"], subject, at_best)


def _users(rules: Rules) -> Iterator[PromAlert]:
    yield _dau_drop(rules["users_dau_drop"])
    yield _conversion_drop(rules["users_conversion_drop"])
    nps = rules["users_nps"]
    yield _of_rule(
        nps,
        ENVIRONMENT,
        Condition(f"max by ({ENVIRONMENT}) (otel_measure_users_nps_score)", "<", number(nps.threshold)),
        Condition(f"max by ({ENVIRONMENT}) (otel_measure_users_nps_responses)", ">=", _evidence("nps_score")),
    )


def _dau_drop(rule: AlertRule) -> PromAlert:
    today, weeks = _active("1d"), len(WEEKS_BEFORE)
    usual = "(" + " + ".join(_active("1d", f"{7 * week}d") for week in WEEKS_BEFORE) + f") / {weeks}"
    # The variance of a Poisson count, and of the mean of some.
    chance = f"(({usual}) - {today}) / sqrt(({usual}) * {number(1 + 1 / weeks)})"
    return _of_rule(
        rule,
        ENVIRONMENT,
        Condition(f"1 - {today} / ({usual})", ">", number(rule.threshold), looks_back=True),
        Condition(f"({usual}) * {weeks}", ">=", _evidence("dau_drop"), looks_back=True),
        Condition(chance, ">", number(_Z_OF_DROPS), looks_back=True),
    )


def _conversion_drop(rule: AlertRule) -> PromAlert:
    week = duration(rule.window_s)
    converted = 'otel_measure_users_events_total{otel_measure_event_type="conversion"}'
    now, before = increase(converted, ENVIRONMENT, week), increase(converted, ENVIRONMENT, week, week)
    persons, persons_before = _active("7d"), _active("7d", week)
    rate, rate_before = f"({now} / {persons})", f"({before} / {persons_before})"
    # Counts of events, of which one person may have several: their variance is that of Poisson counts.
    pooled = f"(({now} + {before}) / ({persons} + {persons_before}))"
    chance = f"({rate_before} - {rate}) / sqrt({pooled} * (1 / {persons} + 1 / {persons_before}))"
    evidence = _evidence("conversion_drop")
    return _of_rule(
        rule,
        ENVIRONMENT,
        Condition(f"1 - {rate} / {rate_before}", ">", number(rule.threshold), looks_back=True),
        Condition(persons, ">=", evidence),
        Condition(persons_before, ">=", evidence, looks_back=True),
        Condition(chance, ">", number(_Z_OF_DROPS), looks_back=True),
    )


def _active(window: str, back: str = "") -> str:
    offset = f" offset {back}" if back else ""
    return f'max by ({ENVIRONMENT}) (otel_measure_users_active{{otel_measure_window="{window}"}}{offset})'


def _ours(rules: Rules) -> Iterator[PromAlert]:
    for key, outcome in LOSSES:
        lost = f"sender:records_{outcome}:increase{duration(rules[key].window_s)}"
        yield _of_rule(rules[key], SENDER, Condition(lost, ">", number(rules[key].threshold)))
    rule = rules["measure_no_evaluation"]
    age_s = "time() - max(otel_measure_alert_last_evaluation_timestamp_seconds)"
    yield _of_rule(rule, "", Condition(age_s, ">", number(rule.threshold)))
    yield _of_rule(
        rule,
        "",
        Condition(f'sum(up{{job="{JOB}"}}) or vector(0)', "==", "0"),
        variant="unreachable",
        title="The exporter does not answer Prometheus",
        holds_s=rule.window_s,
    )


NOT_SAID: Final[dict[str, str]] = {
    "sender_silence": "what a sender sends beside calls is no series: `OtelMeasureModelSilence` fires instead",
    "measure_store_full": "what a full store does not take waits, and is dropped once the queue is full as well",
    "model_fairness": "there is no series of groups",
    "measure_other_rules": "who is kept from evaluating is no series",
}
"""Alert rules that PromQL does not say, and why."""
