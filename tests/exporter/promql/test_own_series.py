"""Rules that users add over a series, in PromQL, judged by Prometheus' own tools."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from exporter.promql.own_series import own_alerts, why_not_said
from exporter.promql.rules_file import rules_yaml
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.series_columns import COLUMNS
from tests.components import requires_binary

DAY: Final = 86_400
OWN: Final[Mapping[str, Mapping[str, object]]] = {
    "slow_search": {"series": "ai.p95_ms", "above": 2000, "subject": "search", "window_s": 900, "severity": "page"},
    "many_fail": {"series": "ai.error_rate", "above": 0.1, "window_s": 3600, "holds_s": 600},
    "few_calls": {"series": "ai.requests", "below": 10, "window_s": 3600, "title": "Hardly anybody asks"},
    "often_down": {"series": "availability.availability_percent", "below": 95, "window_s": 3600},
    "swaps": {"series": "infrastructure.swap_percent_max", "above": 50},
    "nobody_comes": {"series": "users.active", "below": 100},
    "three_days": {"series": "users.active", "below": 100, "window_s": 3 * DAY},
    "bounces": {"series": "users.bounce_rate", "above": 0.8},
    "rests_on": {"series": "infrastructure.load_average_1m", "above": 8},
}
CALLS: Final = 'otel_measure_ai_inferences_total{gen_ai_request_model="%s",otel_measure_outcome="%s"}'
SERVICE: Final = (
    'otel_measure_service_state_time_seconds{otel_measure_service_name="%s",otel_measure_service_state="%s"}'
)
DURATION: Final = 'gen_ai_client_operation_duration_seconds_%s{gen_ai_request_model="%s"%s}'
HISTORY: Final = {  # a minute apart, two hours long
    CALLS % ("bad", "ok"): "0+8x120", CALLS % ("bad", "error"): "0+2x120",
    CALLS % ("good", "ok"): "0+9x120", CALLS % ("good", "error"): "0+1x120",
    CALLS % ("rare", "ok"): "0x60 0+0.1x60",
    **{
        DURATION % ("bucket", model, f',le="{le}"'): values
        for model in ("search", "other")
        for le, values in (("1.28", "0x120"), ("2.56", "0x120"), ("5.12", "0+5x120"), ("+Inf", "0+5x120"))
    },
    **{DURATION % ("count", model, ""): "0+5x120" for model in ("search", "other")},
    SERVICE % ("a", "up"): "0+50x120", SERVICE % ("a", "down"): "0+10x120",
    SERVICE % ("b", "up"): "0+60x120", SERVICE % ("b", "down"): "0x120",
    'system_paging_utilization{host_name="h",system_paging_state="used"}': "0.1x110 0.6 0.1x9",
    'system_paging_utilization{host_name="i",system_paging_state="used"}': "0.6 0.1x119",
    'otel_measure_users_active{deployment_environment_name="e",otel_measure_window="1d"}': "99x120",
    'otel_measure_users_active{deployment_environment_name="f",otel_measure_window="1d"}': "100x120",
}  # fmt: skip
FIRING: Final = {
    "slow_search": ["search"], "many_fail": ["bad"], "few_calls": ["rare"], "often_down": ["a"],
    "swaps": ["h"], "nobody_comes": ["e"], "rests_on": [],
}  # fmt: skip


def test_own_rules_fire_of_the_subjects_that_are_beyond(tmp_path: Path) -> None:
    """Promtool takes them; over one history each fires of those beyond its threshold, and of nobody else."""
    promtool = requires_binary("promtool", "prometheus")
    in_force = [rule for rule in rules_with(OWN) if rule.judge == "series"]
    (tmp_path / "own.yml").write_text(rules_yaml(rules_with(OWN)), encoding="utf-8")
    alerts = {alert.rule: alert for alert in own_alerts(in_force)}
    assert list(alerts) == list(FIRING)
    cases: list[dict[str, Any]] = [
        {
            "expr": f"count by ({alerts[key].subject}) ({alerts[key].expr})",
            "eval_time": "2h",
            "exp_samples": [{"labels": f'{{{alerts[key].subject}="{name}"}}', "value": 1} for name in firing],
        }
        for key, firing in FIRING.items()
    ]
    series = [{"series": name, "values": values} for name, values in HISTORY.items()]
    tests = {
        "rule_files": ["own.yml"],
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": cases}],
    }
    (tmp_path / "tests.yml").write_text(json.dumps(tests), encoding="utf-8")
    for arguments in (("check", "rules", "own.yml"), ("test", "rules", "tests.yml")):
        done = subprocess.run([promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_promql_cannot_say_is_named() -> None:
    """A comment at the end of the rules says of each such rule why, and there is no alert of it."""
    text = rules_yaml(rules_with(OWN))
    assert re.findall(r"# (.*)", text) == [
        "alert_rules.three_days is judged by otel-measure alone: /metrics has active users of 1d, 7d, 28d only",
        "alert_rules.bounces is judged by otel-measure alone: /metrics has nothing that tells users.bounce_rate of a"
        " window",
    ]
    for key, rule in {"slow_search": "OtelMeasureSlowSearch", "few_calls": "OtelMeasureFewCalls"}.items():
        assert f"- alert: {rule}\n" in text, key
    assert "OtelMeasureBounces" not in text
    assert 'summary: "Hardly anybody asks: {{ $labels.gen_ai_request_model }} ({{ $value | humanize }})"' in text


def test_every_column_is_said_or_refused(tmp_path: Path) -> None:
    """Promtool takes a rule over each column that is said, above and below; the others say why they are not."""
    promtool = requires_binary("promtool", "prometheus")
    days = {"users": DAY}
    own = {
        f"r{n}": {"series": series, side: 1, "window_s": days.get(series.partition(".")[0], 900)}
        for n, (series, side) in enumerate((series, side) for series in COLUMNS for side in ("above", "below"))
    }
    in_force = [rule for rule in rules_with(own) if rule.judge == "series"]
    (tmp_path / "own.yml").write_text(rules_yaml(in_force), encoding="utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", "own.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = {rule.series for rule in in_force if not why_not_said(rule)}
    assert {alert.rule for alert in own_alerts(in_force)} == {rule.key for rule in in_force if rule.series in said}
    assert (len(said), len(COLUMNS) - len(said)) == (34, 26)
