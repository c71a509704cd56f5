"""Dashboards for Grafana as tables of panels; every query reads `/metrics` alone, so they need no recording rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from exporter.promql.expressions import HOST, MOUNT, SENDER

RATE_INTERVAL: Final = "$__rate_interval"
"""Grafana puts at least four scrapes of time in its place."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label; all of them at first.

    Attributes:
        name: by which queries know it, as `$name`.
        series: whose label it is.
    """

    name: str
    label: str
    series: str

    @property
    def matcher(self) -> str:
        """What selects by it; a series without the label is among all."""
        return f'{self.label}=~"${self.name}"'


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines over time.

    Attributes:
        unit: by Grafana's name of it.
        queries: PromQL, and how Grafana calls each series that comes of it.
        kpi: the key of the KPI whose target and alert threshold are drawn; empty for none.
        is_stacked: whether the lines add up to something.
    """

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kpi: str = ""
    is_stacked: bool = False


@dataclass(frozen=True, slots=True)
class GrafanaDashboard:
    """A page of Grafana.

    Attributes:
        name: of its file, and of its address in Grafana.
        sections: a heading and the panels under it.
    """

    name: str
    title: str
    variables: tuple[Variable, ...]
    sections: tuple[tuple[str, tuple[Panel, ...]], ...]

    def queries(self) -> Iterator[str]:
        """Yield the PromQL of every panel."""
        for _, panels in self.sections:
            for panel in panels:
                yield from (query for query, _ in panel.queries)


_HOST: Final = Variable("host", "host_name", "system_cpu_logical_count")
_ENVIRONMENT: Final = Variable("environment", "deployment_environment_name", "otel_measure_ai_inferences_total")
_MODEL: Final = Variable("model", "gen_ai_request_model", "otel_measure_ai_inferences_total")
_SERVICE: Final = Variable("service", "otel_measure_service_name", "otel_measure_service_up")
_EXPERIMENT: Final = Variable("experiment", "feature_flag_key", "otel_measure_experiment_users")

_OF_MODEL: Final = f"{_MODEL.matcher},{_ENVIRONMENT.matcher}"
_OF_SERVICE: Final = f"{_SERVICE.matcher},{_ENVIRONMENT.matcher}"
_OF_USERS: Final = f"{{{_ENVIRONMENT.matcher}}}"
_OF_EXPERIMENT: Final = f"{{{_EXPERIMENT.matcher},{_ENVIRONMENT.matcher}}}"


def _rate(series: str, by: str, *matchers: str) -> str:
    return f"sum by ({by}) (rate({series}{{{','.join(matchers)}}}[{RATE_INTERVAL}]))"


def _quantile(share: float, histogram: str, by: str, *matchers: str) -> str:
    return f"histogram_quantile({share}, {_rate(f'{histogram}_bucket', f'le, {by}', *matchers)})"


def _machine() -> tuple[Panel, ...]:
    host, of_host = "{{host_name}}", _HOST.matcher
    cpu = "system_cpu_time_seconds_total"
    idle, of_cpus = _rate(cpu, HOST, of_host, 'cpu_mode=~"idle|iowait"'), _rate(cpu, HOST, of_host)
    cpu_limit = f"max by ({HOST}) (otel_measure_container_cpu_limit_utilization_ratio{{{of_host}}})"
    memory = f'max by ({HOST}) (system_memory_utilization{{{of_host},system_memory_state="used"}})'
    memory_limit = f"max by ({HOST}) (otel_measure_container_memory_limit_utilization_ratio{{{of_host}}})"
    disk, direction = f"max by ({MOUNT}) (system_filesystem_utilization{{{of_host}}})", "disk_io_direction"
    return (
        Panel("CPU", "percentunit", ((f"{cpu_limit} or 1 - {idle} / {of_cpus}", host),), "cpu_usage_percent"),
        Panel("CPUs by what they do", "short", ((_rate(cpu, "cpu_mode", of_host), "{{cpu_mode}}"),), is_stacked=True),
        Panel("Memory", "percentunit", ((f"{memory_limit} or {memory}", host),), "memory_usage_percent"),
        Panel("Disks", "percentunit", ((disk, f"{host} {{{{system_filesystem_mountpoint}}}}"),), "disk_usage_percent"),
        Panel(
            "Bytes a second from and to disks",
            "Bps",
            ((_rate("system_disk_io_bytes_total", f"{HOST}, {direction}", of_host), f"{host} {{{{{direction}}}}}"),),
        ),
        Panel(
            "Bytes a second from and to the network",
            "Bps",
            (
                (
                    _rate("system_network_io_bytes_total", f"{HOST}, network_io_direction", of_host),
                    f"{host} {{{{network_io_direction}}}}",
                ),
            ),
        ),
    )


def _services() -> tuple[Panel, ...]:
    name, selected = "{{otel_measure_service_name}}", f"{{{_OF_SERVICE}}}"
    ratio, objective = "otel_measure_service_availability_ratio", "otel_measure_service_objective_ratio"
    down = f'otel_measure_service_state_time_seconds{{{_OF_SERVICE},otel_measure_service_state="down"}}'
    burn = f"delta({down}[1h]) / 3600 / on (otel_measure_service_name, deployment_environment_name) "
    return (
        Panel("Up", "short", ((f"otel_measure_service_up{selected}", name),)),
        Panel(
            "Availability over 30 days, and its objective",
            "percentunit",
            ((f"{ratio}{selected}", name), (f"{objective}{selected}", f"objective of {name}")),
        ),
        Panel(
            "Allowed downtime that is left",
            "percentunit",
            ((f"otel_measure_service_error_budget_remaining_ratio{selected}", name),),
        ),
        Panel("Burn rate of the last hour", "short", ((f"{burn}(1 - {objective}{selected})", name),)),
    )


def _ourselves() -> tuple[Panel, ...]:
    sender, process = "{{service_name}}", "{{service_name}} {{service_instance_id}}"
    outcome = "otel_measure_record_outcome"
    return (
        Panel(
            "Records a second",
            "short",
            ((_rate("otel_measure_self_records_total", f"{SENDER}, {outcome}"), f"{sender} {{{{{outcome}}}}}"),),
        ),
        Panel("Records that wait", "short", (("otel_measure_self_queue_length", process),)),
        Panel(
            "How long commits take, p95",
            "s",
            ((_quantile(0.95, "otel_measure_self_commit_duration_seconds", SENDER), sender),),
        ),
        Panel("Lag of the event loop", "s", (("otel_measure_process_event_loop_lag_seconds", process),)),
        Panel("Memory of processes", "bytes", (("process_memory_usage_bytes", process),)),
        Panel(
            "CPUs of processes",
            "short",
            ((_rate("process_cpu_time_seconds_total", f"{SENDER}, service_instance_id"), process),),
        ),
        Panel(
            "Seconds since alerts were evaluated",
            "s",
            (("time() - max(otel_measure_alert_last_evaluation_timestamp_seconds)", "seconds"),),
        ),
    )


def _calls() -> tuple[Panel, ...]:
    model, by_model = "{{gen_ai_request_model}}", "gen_ai_request_model"
    calls, duration = "otel_measure_ai_inferences_total", "gen_ai_client_operation_duration_seconds"
    failed = 'otel_measure_outcome!="ok"'
    all_calls = _rate(calls, by_model, _OF_MODEL)
    share = f"({_rate(calls, by_model, _OF_MODEL, failed)} or 0 * {all_calls}) / {all_calls}"
    firing = 'otel_measure_alert_state="firing",otel_measure_alert_subject_kind="model"'
    return (
        Panel("Calls a second", "reqps", ((all_calls, model),)),
        Panel("Share of calls that fail", "percentunit", ((share, model),), "error_rate"),
        Panel(
            "Failures a second by type",
            "reqps",
            ((_rate(calls, "error_type", _OF_MODEL, failed), "{{error_type}}"),),
            is_stacked=True,
        ),
        Panel("Latency, p95", "s", ((_quantile(0.95, duration, by_model, _OF_MODEL), model),), "latency_p95_ms"),
        Panel("Latency, median", "s", ((_quantile(0.5, duration, by_model, _OF_MODEL), model),)),
        Panel(
            "Alerts of models that fire",
            "short",
            ((f"sum(otel_measure_alert{{{firing},{_ENVIRONMENT.matcher}}}) or vector(0)", "alerts"),),
        ),
    )


def _cost() -> tuple[Panel, ...]:
    model, by_model = "{{gen_ai_request_model}}", "gen_ai_request_model"
    spent = _rate("otel_measure_ai_cost_usd_total", by_model, _OF_MODEL)
    priced = _rate("otel_measure_ai_inferences_total", by_model, _OF_MODEL, 'otel_measure_priced="true"')
    tokens = _rate("otel_measure_ai_tokens_total", f"{by_model}, gen_ai_token_type", _OF_MODEL)
    return (
        Panel("Tokens a second", "short", ((tokens, f"{model} {{{{gen_ai_token_type}}}}"),)),
        Panel("Cost an hour", "currencyUSD", ((f"3600 * {spent}", model),), is_stacked=True),
        Panel("Cost of a call", "currencyUSD", ((f"{spent} / {priced}", model),), "cost_per_request_usd"),
    )


def _quality() -> tuple[Panel, ...]:
    version = "{{gen_ai_request_model}} {{otel_measure_model_version}}"
    return tuple(
        Panel(title, unit, ((f"{series}{{{_OF_MODEL}}}", version),), kpi)
        for title, unit, series, kpi in (
            ("Health", "short", "otel_measure_ai_health_score", "health_score"),
            ("Accuracy", "percentunit", "otel_measure_ai_accuracy_ratio", "accuracy"),
            ("Drift", "short", "otel_measure_ai_drift_score", "drift_score"),
            ("Data quality", "percentunit", "otel_measure_ai_data_quality_ratio", "data_quality"),
        )
    )


def _users() -> tuple[Panel, ...]:
    event = "otel_measure_event_type"
    ratios = (
        ("Stickiness (DAU / MAU)", "percentunit", "otel_measure_users_stickiness_ratio", "stickiness"),
        ("Conversion rate", "percentunit", "otel_measure_users_conversion_ratio", "conversion_rate"),
        ("Bounce rate", "percentunit", "otel_measure_users_bounce_ratio", "bounce_rate"),
        ("Net promoter score", "short", "otel_measure_users_nps_score", "nps_score"),
    )
    events = _rate("otel_measure_users_events_total", event, _ENVIRONMENT.matcher)
    day = "day {{otel_measure_retention_day}}"
    return (
        Panel("Active persons", "short", ((f"otel_measure_users_active{_OF_USERS}", "{{otel_measure_window}}"),)),
        Panel("Retention", "percentunit", ((f"otel_measure_users_retention_ratio{_OF_USERS}", day),)),
        *(Panel(title, unit, ((f"{series}{_OF_USERS}", title),), kpi) for title, unit, series, kpi in ratios),
        Panel("Answers of 90 days", "short", ((f"otel_measure_users_nps_responses{_OF_USERS}", "answers"),)),
        Panel("Events a minute by type", "short", ((f"60 * {events}", f"{{{{{event}}}}}"),), is_stacked=True),
    )


def _experiments() -> tuple[Panel, ...]:
    key = "{{feature_flag_key}}"
    variant = f"{key} {{{{feature_flag_result_variant}}}}"
    return tuple(
        Panel(title, unit, ((f"{series}{_OF_EXPERIMENT}", legend),))
        for title, unit, series, legend in (
            ("Persons", "short", "otel_measure_experiment_users", variant),
            ("Conversion rate", "percentunit", "otel_measure_experiment_conversion_ratio", variant),
            ("p-value against the control", "short", "otel_measure_experiment_p_value", variant),
            ("p-value of the split", "short", "otel_measure_experiment_sample_ratio_p_value", key),
        )
    )


DASHBOARDS: Final = (
    GrafanaDashboard(
        "otel-measure-machines",
        "otel-measure: machines and services",
        (_HOST, _SERVICE, _ENVIRONMENT),
        (("Machines", _machine()), ("Services", _services()), ("otel-measure itself", _ourselves())),
    ),
    GrafanaDashboard(
        "otel-measure-models",
        "otel-measure: models",
        (_MODEL, _ENVIRONMENT),
        (("Calls", _calls()), ("Tokens and cost", _cost()), ("Quality", _quality())),
    ),
    GrafanaDashboard("otel-measure-users", "otel-measure: users", (_ENVIRONMENT,), (("Users", _users()),)),
    GrafanaDashboard(
        "otel-measure-experiments",
        "otel-measure: experiments",
        (_EXPERIMENT, _ENVIRONMENT),
        (("Experiments", _experiments()),),
    ),
)
