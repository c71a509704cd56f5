"""Unit tests of the alerts, as `promtool test rules` reads them: each fires in one case and is quiet in one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from exporter.promql.alerts import PromAlert, alerts
from exporter.promql.rules_file import quoted
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import ALERT_RULES

_EVALUATION_INTERVAL: Final = "12h"
"""Some histories are weeks long, and promtool evaluates all rules this often: cases are looked at after half days."""


@dataclass(frozen=True, slots=True)
class Case:
    """A history and whether the alert fires at its end.

    Attributes:
        series: selector → values in promtool's notation.
        at: when the alert is looked at, from the start of the history; of one that has to hold, a half day later.
        step: between two values.
    """

    series: Mapping[str, str]
    at: str = "12h"
    step: str = "1m"


def _calls(ok: str, failed: str = "", priced: str = "false") -> dict[str, str]:
    name = (
        'otel_measure_ai_inferences_total{gen_ai_request_model="m",otel_measure_outcome="%s",otel_measure_priced="%s"}'
    )
    return {name % ("ok", priced): ok} | ({name % ("error", priced): failed} if failed else {})


def _durations(quick: str, all_calls: str) -> dict[str, str]:
    """Return a histogram of calls of which `quick` take at most 0.32 s and the others 20 s."""
    name = "gen_ai_client_operation_duration_seconds"
    model = 'gen_ai_request_model="m"'
    buckets = {f'{name}_bucket{{{model},le="{le}"}}': quick for le in ("0.32", "0.64")}
    buckets |= {f'{name}_bucket{{{model},le="{le}"}}': all_calls for le in ("20.48", "+Inf")}
    return buckets | {f"{name}_count{{{model}}}": all_calls}


def _cost(usd_per_minute: str) -> dict[str, str]:
    return _calls("0+1x720", priced="true") | {
        'otel_measure_ai_cost_usd_total{gen_ai_request_model="m"}': f"0+{usd_per_minute}x720"
    }


def _of_model(series: str, bad: str, good: str) -> tuple[Case, Case]:
    fires, is_quiet = (Case({f'{series}{{gen_ai_request_model="m"}}': f"{value}x720"}) for value in (bad, good))
    return fires, is_quiet


def _cpu(idle: str, busy: str) -> dict[str, str]:
    name = 'system_cpu_time_seconds_total{host_name="h",cpu_mode="%s"}'
    return {name % "idle": f"0+{idle}x720", name % "user": f"0+{busy}x720"}


def _memory(used: str) -> dict[str, str]:
    return {'system_memory_utilization{host_name="h",system_memory_state="used"}': f"{used}x720"}


def _disk(used_ratio: str, free_bytes: str) -> dict[str, str]:
    mount = 'host_name="h",system_filesystem_mountpoint="/"'
    return {
        f"system_filesystem_utilization{{{mount}}}": f"{used_ratio}x1440",
        f'system_filesystem_usage_bytes{{{mount},system_filesystem_state="free"}}': free_bytes,
        f'system_filesystem_usage_bytes{{{mount},system_filesystem_state="used"}}': "100000000000x1440",
    }


def _up(values: str) -> dict[str, str]:
    return {'otel_measure_service_up{otel_measure_service_name="s"}': values}


def _service(down_s: str, up_s: str) -> dict[str, str]:
    name = 'otel_measure_service_state_time_seconds{otel_measure_service_name="s",otel_measure_service_state="%s"}'
    objective = 'otel_measure_service_objective_ratio{otel_measure_service_name="s"}'
    return {name % "down": f"0+{down_s}x1440", name % "up": f"0+{up_s}x1440", objective: "0.999x1440"}


def _availability(ratio: str) -> dict[str, str]:
    of = '{otel_measure_service_name="s"}'
    return {
        f"otel_measure_service_availability_ratio{of}": f"{ratio}x720",
        f"otel_measure_service_coverage_ratio{of}": "1x720",
        f"otel_measure_service_objective_ratio{of}": "0.999x720",
    }


def _nps(score: str, responses: str) -> dict[str, str]:
    return {"otel_measure_users_nps_score": f"{score}x720", "otel_measure_users_nps_responses": f"{responses}x720"}


def _records(outcome: str, values: str) -> dict[str, str]:
    name = 'otel_measure_self_records_total{service_name="s",otel_measure_record_outcome="%s"}'
    return {name % "accepted": "100+10x720", name % outcome: values}


def _evaluated(at_s: str) -> dict[str, str]:
    return {"otel_measure_alert_last_evaluation_timestamp_seconds": at_s}


def _active(persons_today: str) -> dict[str, str]:
    return {'otel_measure_users_active{otel_measure_window="1d"}': f"1000x672 {persons_today}x20"}


def _conversions(first_week: str, second_week: str) -> dict[str, str]:
    return {
        'otel_measure_users_events_total{otel_measure_event_type="conversion"}': f"0+{first_week}x168 {second_week}",
        'otel_measure_users_active{otel_measure_window="7d"}': "1000x400",
    }


def _weekly(values_after_four_weeks: str) -> str:
    """Return calls of a model that is called on one day of the week, every 5 minutes; 1,728 a week."""
    weeks = (f"{1728 * week}+6x287 {1728 * (week + 1)}x1727" for week in range(4))
    return " ".join((*weeks, values_after_four_weeks))


def _daily(days: int) -> str:
    """Return calls of a model that is called 20 times at the start of each day but the first, every hour."""
    return " ".join(f"{20 * day}x23" for day in range(days))


CASES: Final[dict[str, tuple[Case, Case]]] = {
    "model_errors": (
        Case(_calls("0+1x709 709x20", "_x710 1+1x20")),  # one call a minute: for ten minutes all fail
        Case(_calls("0+97x720", "0+3x720")),
    ),
    "model_errors_sustained": (Case(_calls("0+8x720", "0+2x720")), Case(_calls("0+97x720", "0+3x720"))),
    "model_latency": (Case(_durations("0+1x710 710x10", "0+1x720")), Case(_durations("0+97x720", "0+100x720"))),
    "model_silence": (
        Case(_calls("0+6x2583 15498x20"), "216h", step="5m"),
        Case(_calls("0+6x2592"), "216h", step="5m"),
    ),
    "model_silence_weekday": (
        Case(_calls(_weekly("6912x300")), "684h", step="5m"),
        Case(_calls(_weekly("6912+6x300")), "684h", step="5m"),
    ),
    "model_silence_young": (Case(_calls("0+2x685 1370x40")), Case(_calls("0+0.5x685 342.5x40"))),
    "model_batch_missed": (
        Case(_calls(_daily(10) + " 180x40"), "252h", step="1h"),
        Case(_calls(_daily(14)), "252h", step="1h"),
    ),
    "model_cost": (Case(_cost("0.06")), Case(_cost("0.04"))),
    "model_accuracy": _of_model("otel_measure_ai_accuracy_ratio", "0.89", "0.9"),
    "model_drift": _of_model("otel_measure_ai_drift_score", "0.31", "0.3"),
    "model_health": _of_model("otel_measure_ai_health_score", "79", "80"),
    "model_data_quality": _of_model("otel_measure_ai_data_quality_ratio", "0.89", "0.9"),
    "host_cpu": (Case(_cpu("5", "115")), Case(_cpu("30", "90"))),
    "host_memory": (Case(_memory("0.91")), Case(_memory("0.9"))),
    "host_disk": (Case(_disk("0.91", "9000000000-1x720")), Case(_disk("0.9", "10000000000-1x720"))),
    "host_disk_fills": (
        Case(_disk("0.85", "60000000000-40000000x1440"), "24h"),
        Case(_disk("0.85", "60000000000-1000000x1440"), "24h"),
    ),
    "service_down": (Case(_up("1x10 0x1430"), "24h"), Case(_up("1x1440"), "24h")),
    "service_burn_fast": (Case(_service("1.2", "58.8")), Case(_service("0.6", "59.4"))),
    "service_burn_slow": (Case(_service("0.6", "59.4")), Case(_service("0.3", "59.7"))),
    "service_availability": (Case(_availability("0.998")), Case(_availability("0.999"))),
    "users_dau_drop": (Case(_active("700"), "684h", step="1h"), Case(_active("850"), "684h", step="1h")),
    "users_conversion_drop": (
        Case(_conversions("2", "336+1x200"), "336h", step="1h"),
        Case(_conversions("2", "336+1.8x200"), "336h", step="1h"),
    ),
    "users_nps": (Case(_nps("-1", "30")), Case(_nps("0", "30"))),
    "measure_dropped": (Case(_records("dropped", "_x717 5x20")), Case(_records("dropped", "5x720"))),
    "measure_rejected": (Case(_records("rejected", "_x717 5x20")), Case(_records("rejected", "5x720"))),
    # The clock of a test begins at 0.
    "measure_no_evaluation": (Case(_evaluated("0+60x700 42000x30")), Case(_evaluated("0+60x720"))),
    "measure_no_evaluation_unreachable": (
        Case({'up{job="otel-measure"}': "1x10 0x1430"}, "24h"),
        Case({'up{job="otel-measure"}': "1x1440"}, "24h"),
    ),
}
"""Of each alert, a history at whose end it fires, and one at whose end it is quiet."""


def unit_tests_yaml(in_force: Collection[AlertRule], rules_file: str) -> str:
    """Return a file of unit tests of a rules file: each alert fires in one case, and is quiet in another.

    The histories are made for the numbers of the table, so a rule that somebody has otherwise is left out.

    Args:
        in_force: the alert rules that are on, with what users have otherwise.
        rules_file: relative to the file of the tests.
    """
    otherwise = {rule.key for rule in in_force if rule not in ALERT_RULES}
    head = (f"rule_files: [{quoted(rules_file)}]", f"evaluation_interval: {_EVALUATION_INTERVAL}", "tests:")
    tested = (alert for alert in alerts(in_force) if alert.rule not in otherwise)
    return "\n".join((*head, *_tests(tested))) + "\n"


def _tests(tested: Iterable[PromAlert]) -> Iterator[str]:
    for alert in tested:
        firing = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing",severity="{alert.severity}"}})'
        for case, fires in zip(CASES[alert.key], (True, False), strict=True):
            yield f"  - name: {alert.name} {'fires' if fires else 'is quiet'}"
            yield f"    interval: {case.step}"
            yield "    input_series:"
            for selector, values in case.series.items():
                yield f"      - {{series: {quoted(selector)}, values: {quoted(values)}}}"
            yield "    promql_expr_test:"
            yield f"      - expr: {quoted(firing)}"
            yield f"        eval_time: {case.at}"
            yield f"        exp_samples: {'[{value: 1}]' if fires else '[]'}"
