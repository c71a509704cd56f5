"""Outages of a model, judged by a real Prometheus' rules over a history of them (`promtool`)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from exporter.promql.alerts import alerts
from exporter.promql.rules_file import quoted, rules_yaml
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.components import requires_binary

CALLS: Final = 'otel_measure_ai_inferences_total{gen_ai_request_model="m",otel_measure_outcome="%s"}'
DURATION: Final = 'gen_ai_client_operation_duration_seconds_%s{gen_ai_request_model="m"%s}'
QUICK, ALL_CALLS = "0+1x119 119x45 120+1x240", "0+1x405"


@dataclass(frozen=True, slots=True)
class Outage:
    """A history with an outage in it.

    Attributes:
        alert: that tells of it.
        step: of the series.
        evaluated: how often rules are.
        series: selector to values, in promtool's notation.
        fires: when the alert is looked at, and whether it fires then.
    """

    alert: str
    step: str
    evaluated: str
    series: Mapping[str, str]
    fires: Mapping[str, bool]


# At one call a minute: two hours are well, then 45 minutes are not. Of silence, after eight days, two hours.
OUTAGES: Final = (
    Outage(
        "OtelMeasureModelErrors",
        *("1m", "1m"),
        {CALLS % "ok": QUICK, CALLS % "error": "_x120 1+1x44 45x240"},
        {"1h59m": False, "2h10m": True, "2h44m": True, "3h": False},
    ),
    Outage(
        "OtelMeasureModelLatency",
        *("1m", "1m"),
        {
            **{DURATION % ("bucket", f',le="{le}"'): QUICK for le in ("0.32", "0.64")},
            **{DURATION % ("bucket", f',le="{le}"'): ALL_CALLS for le in ("20.48", "+Inf")},
            DURATION % ("count", ""): ALL_CALLS,
        },
        {"1h59m": False, "2h10m": True, "2h44m": True, "3h10m": False},
    ),
    Outage(
        "OtelMeasureModelSilence",
        *("5m", "15m"),
        {CALLS % "ok": "0+5x2304 11520x24 11525+5x40"},
        {"192h": False, "192h30m": True, "193h55m": True, "194h30m": False},
    ),
)


def unit_test(outage: Outage) -> str:
    """Return promtool's test of an outage."""
    (severity,) = {alert.severity for alert in alerts(ALERT_RULES) if alert.name == outage.alert}
    labels = f"[{{exp_labels: {{severity: {severity}, gen_ai_request_model: m}}}}]"
    series = [f"      - {{series: {quoted(name)}, values: {quoted(values)}}}" for name, values in outage.series.items()]
    asked = [
        f"      - {{eval_time: {at}, alertname: {outage.alert}, exp_alerts: {labels if fires else '[]'}}}"
        for at, fires in outage.fires.items()
    ]
    return "\n".join(
        (
            "rule_files: [rules.yml]",
            f"evaluation_interval: {outage.evaluated}",
            "tests:",
            f"  - interval: {outage.step}",
            "    input_series:",
            *series,
            "    alert_rule_test:",
            *asked,
        )
    )


def rules_of(alert: str) -> str:
    """Return the rules file with one alert and what it reads, without what people read."""
    head, *rules = rules_yaml(ALERT_RULES).split("\n      - ")
    (own,) = (rule for rule in rules if rule.startswith(f"alert: {alert}\n"))
    kept = [*(rule for rule in rules if rule.startswith("record: model:") and "model:" in own), own]
    return re.sub(r"\n        annotations:(\n          .*)*", "", "\n      - ".join((head, *kept))) + "\n"


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.alert)
def test_an_outage_is_told_of_in_time_and_resolves(outage: Outage, tmp_path: Path) -> None:
    """At one call a minute errors and latency fire within 10 minutes, silence within 30, and end after it."""
    promtool = requires_binary("promtool", "prometheus")
    (tmp_path / "rules.yml").write_text(rules_of(outage.alert), encoding="utf-8")
    (tmp_path / "tests.yml").write_text(unit_test(outage), encoding="utf-8")
    command = [promtool, "test", "rules", "tests.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
