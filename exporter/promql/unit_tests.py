"""Unit tests of the alerts, as `promtool test rules` reads them: each fires in one case and is quiet in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from exporter.promql.alerts import ALERTS
from exporter.promql.rules_file import text

_EVALUATION_INTERVAL: Final = "5m"


@dataclass(frozen=True, slots=True)
class Case:
    """A history and whether the alert fires at its end.

    Attributes:
        series: selector → values in promtool's notation.
        at: when the alert is looked at, from the start of the history.
        step: between two values.
    """

    series: Mapping[str, str]
    at: str
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
    return _calls("0+1x180", priced="true") | {
        'otel_measure_ai_cost_usd_total{gen_ai_request_model="m"}': f"0+{usd_per_minute}x180"
    }


def _of_model(series: str, value: str) -> dict[str, str]:
    return {f'{series}{{gen_ai_request_model="m"}}': f"{value}x60"}


def _cpu(idle: str, busy: str) -> dict[str, str]:
    name = 'system_cpu_time_seconds_total{host_name="h",cpu_mode="%s"}'
    return {name % "idle": f"0+{idle}x60", name % "user": f"0+{busy}x60"}


def _memory(used: str) -> dict[str, str]:
    return {'system_memory_utilization{host_name="h",system_memory_state="used"}': f"{used}x60"}


def _disk(used_ratio: str, free_bytes: str) -> dict[str, str]:
    mount = 'host_name="h",system_filesystem_mountpoint="/"'
    return {
        f"system_filesystem_utilization{{{mount}}}": used_ratio,
        f'system_filesystem_usage_bytes{{{mount},system_filesystem_state="free"}}': free_bytes,
        f'system_filesystem_usage_bytes{{{mount},system_filesystem_state="used"}}': "100000000000x480",
    }


def _service(down_s: str, up_s: str) -> dict[str, str]:
    name = 'otel_measure_service_state_time_seconds{otel_measure_service_name="s",otel_measure_service_state="%s"}'
    objective = 'otel_measure_service_objective_ratio{otel_measure_service_name="s"}'
    return {name % "down": f"0+{down_s}x480", name % "up": f"0+{up_s}x480", objective: "0.999x480"}


def _availability(ratio: str) -> dict[str, str]:
    of = '{otel_measure_service_name="s"}'
    return {
        f"otel_measure_service_availability_ratio{of}": f"{ratio}x60",
        f"otel_measure_service_coverage_ratio{of}": "1x60",
        f"otel_measure_service_objective_ratio{of}": "0.999x60",
    }


def _nps(score: str, responses: str) -> dict[str, str]:
    return {"otel_measure_users_nps_score": f"{score}x60", "otel_measure_users_nps_responses": f"{responses}x60"}


def _records(outcome: str, values: str) -> dict[str, str]:
    name = 'otel_measure_self_records_total{service_name="s",otel_measure_record_outcome="%s"}'
    return {name % "accepted": "100+10x60", name % outcome: values}


def _conversions(first_week: str, second_week: str) -> dict[str, str]:
    return {
        'otel_measure_users_events_total{otel_measure_event_type="conversion"}': f"0+{first_week}x168 {second_week}",
        'otel_measure_users_active{otel_measure_window="7d"}': "1000x400",
    }


# One call an hour apart are 24 a day; 28 days and an hour are 673 values.
_BUSY_8_DAYS: Final = "0+6x2304"  # every 5 minutes for 8 days
_LESS_30_MIN: Final = "0+6x2302 13812x30"

CASES: Final[dict[str, tuple[Case, Case]]] = {
    "model_errors": (
        Case(_calls("0+1x60 60x60", "0x60 0+1x60"), "70m"),  # one call a minute, all fail from the hour on
        Case(_calls("0+97x120", "0+3x120"), "115m"),  # many calls, 3 % fail
    ),
    "model_errors_sustained": (
        Case(_calls("0+8x480", "0+2x480"), "7h"),
        Case(_calls("0+97x480", "0+3x480"), "7h"),
    ),
    "model_latency": (
        Case(_durations("0+1x60 60x60", "0+1x120"), "70m"),
        Case(_durations("0+97x120", "0+100x120"), "115m"),
    ),
    "model_silence": (
        Case(_calls("0+6x2304 13824x12"), "8d45m", step="5m"),
        Case(_calls("0+6x2320"), "8d45m", step="5m"),
    ),
    "model_silence_weekday": (
        Case(_calls("0+6x8064 48384x12"), "28d45m", step="5m"),
        Case(_calls("0+6x8080"), "28d45m", step="5m"),
    ),
    "model_silence_young": (
        Case(_calls("0+2x300 600x60"), "335m"),
        Case(_calls("0+0.5x300 150x60"), "335m"),
    ),
    "model_batch_missed": (
        # 20 calls at the start of each day; the one of the ninth day does not come.
        Case(_calls(" ".join(f"{20 * day}x23" for day in range(10)) + " 180x40"), "250h", step="1h"),
        Case(_calls(" ".join(f"{20 * day}x23" for day in range(14))), "250h", step="1h"),
    ),
    "model_cost": (Case(_cost("0.06"), "2h"), Case(_cost("0.04"), "2h")),
    "model_drift": (
        Case(_of_model("otel_measure_ai_drift_score", "0.31"), "10m"),
        Case(_of_model("otel_measure_ai_drift_score", "0.3"), "10m"),
    ),
    "model_health": (
        Case(_of_model("otel_measure_ai_health_score", "79"), "10m"),
        Case(_of_model("otel_measure_ai_health_score", "80"), "10m"),
    ),
    "model_accuracy": (
        Case(_of_model("otel_measure_ai_accuracy_ratio", "0.89"), "10m"),
        Case(_of_model("otel_measure_ai_accuracy_ratio", "0.9"), "10m"),
    ),
    "model_data_quality": (
        Case(_of_model("otel_measure_ai_data_quality_ratio", "0.89"), "10m"),
        Case(_of_model("otel_measure_ai_data_quality_ratio", "0.9"), "10m"),
    ),
    "host_cpu": (Case(_cpu("5", "115"), "20m"), Case(_cpu("30", "90"), "20m")),
    "host_memory": (Case(_memory("0.91"), "20m"), Case(_memory("0.9"), "20m")),
    "host_disk": (
        Case(_disk("0.91x60", "9000000000x60"), "10m"),
        Case(_disk("0.9x60", "10000000000x60"), "10m"),
    ),
    "host_disk_fills": (
        Case(_disk("0.85x480", "17000000000-15000000x480"), "7h"),
        Case(_disk("0.85x480", "17000000000-1000000x480"), "7h"),
    ),
    "service_down": (
        Case({'otel_measure_service_up{otel_measure_service_name="s"}': "1x10 0x50"}, "20m"),
        Case({'otel_measure_service_up{otel_measure_service_name="s"}': "1x60"}, "20m"),
    ),
    "service_burn_fast": (Case(_service("1.2", "58.8"), "2h"), Case(_service("0.6", "59.4"), "2h")),
    "service_burn_slow": (Case(_service("0.6", "59.4"), "7h"), Case(_service("0.3", "59.7"), "7h")),
    "service_availability": (Case(_availability("0.998"), "10m"), Case(_availability("0.999"), "10m")),
    "users_dau_drop": (
        Case({'otel_measure_users_active{otel_measure_window="1d"}': "1000x672 700x10"}, "676h", step="1h"),
        Case({'otel_measure_users_active{otel_measure_window="1d"}': "1000x672 850x10"}, "676h", step="1h"),
    ),
    "users_conversion_drop": (
        Case(_conversions("2", "336+1x200"), "336h", step="1h"),
        Case(_conversions("2", "336+1.8x200"), "336h", step="1h"),
    ),
    "users_nps": (Case(_nps("-1", "30"), "10m"), Case(_nps("0", "30"), "10m")),
    "measure_dropped": (Case(_records("dropped", "_x10 5x20"), "12m"), Case(_records("dropped", "5x60"), "12m")),
    "measure_rejected": (Case(_records("rejected", "_x10 5x20"), "12m"), Case(_records("rejected", "5x60"), "12m")),
    "exporter_down": (
        Case({'up{job="otel-measure"}': "1x10 0x60"}, "30m"),
        Case({'up{job="otel-measure"}': "1x60"}, "30m"),
    ),
}  # fmt: skip


def tests_yaml(rules_file: str) -> str:
    """Return a file of unit tests of a rules file, which is named relative to it."""
    head = (f"rule_files: [{text(rules_file)}]", f"evaluation_interval: {_EVALUATION_INTERVAL}", "tests:")
    return "\n".join((*head, *_tests())) + "\n"


def _tests() -> Iterator[str]:
    for alert in ALERTS:
        for case, word in zip(CASES[alert.key], ("fires", "is quiet"), strict=True):
            yield f"  - name: {alert.name} {word}"
            yield f"    interval: {case.step}"
            yield "    input_series:"
            for selector, values in case.series.items():
                yield f"      - {{series: {text(selector)}, values: {text(values)}}}"
            yield "    promql_expr_test:"
            firing = f'count(ALERTS{{alertname="{alert.name}",alertstate="firing",severity="{alert.severity}"}})'
            yield f"      - expr: {text(firing)}"
            yield f"        eval_time: {case.at}"
            yield f"        exp_samples: {'[{value: 1}]' if word == 'fires' else '[]'}"
