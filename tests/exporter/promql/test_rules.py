"""Our alert rules in PromQL, judged by Prometheus' own tools."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.promql.alerts import NOT_SAID, alerts
from exporter.promql.recording import recordings
from exporter.promql.rules_file import rules_yaml
from exporter.promql.unit_tests import CASES, unit_tests_yaml
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.errors import ConfigurationError
from tests.components import requires_binary
from tests.exporter.cli.command_line import ROOT, run

OTHERWISE: Mapping[str, Mapping[str, object]] = {
    "model_errors": {"threshold": 0.2, "window_s": 600, "severity": "ticket"},
    "users_nps": {"enabled": False},
}
BY_KEY = {rule.key: rule for rule in ALERT_RULES}


def test_each_alert_fires_in_its_case_and_is_quiet_in_the_other(tmp_path: Path) -> None:
    """Promtool takes the rules, and finds that every alert fires in one history and not in another."""
    promtool = requires_binary("promtool", "prometheus")
    assert run("rules", "--output", str(tmp_path / "otel-measure.rules.yml")).exit_code == 0
    (tmp_path / "tests.yml").write_text(run("rules", "--tests").output, encoding="utf-8")
    for arguments in (("check", "rules", "otel-measure.rules.yml"), ("test", "rules", "tests.yml")):
        done = subprocess.run([promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_are_configurations(tmp_path: Path) -> None:
    """Promtool and amtool take the examples of `deploy/` beside the rules."""
    promtool, amtool = requires_binary("promtool", "prometheus"), requires_binary("amtool", "prometheus-alertmanager")
    (tmp_path / "otel-measure.rules.yml").write_text(rules_yaml(ALERT_RULES), encoding="utf-8")
    (tmp_path / "prometheus.yml").write_bytes((ROOT / "deploy" / "prometheus.yml").read_bytes())
    for command in (
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")],
        [amtool, "check-config", str(ROOT / "deploy" / "alertmanager.yml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_said_or_the_docs_name_it() -> None:
    """Each alert rule is an alert with its severity, and those that PromQL cannot say are in the docs."""
    said = {alert.rule: alert.severity for alert in alerts(ALERT_RULES)}
    assert set(said) | set(NOT_SAID) == set(BY_KEY)
    assert not set(said) & set(NOT_SAID)
    assert said == {key: BY_KEY[key].severity_of(has_own_target=False) for key in said}
    page = (ROOT / "docs" / "prometheus.md").read_text(encoding="utf-8")
    assert [key for key in NOT_SAID if key not in page] == []


def test_each_alert_has_its_cases_and_a_name_of_its_own() -> None:
    """The cases are those of the alerts, and no two alerts or recordings have one name."""
    made = alerts(ALERT_RULES)
    assert [alert.key for alert in made] == list(CASES)
    names = [*(alert.name for alert in made), *(recording.record for recording in recordings(BY_KEY))]
    assert sorted(set(names)) == sorted(names)


def test_what_users_have_otherwise_is_in_the_rules_and_untested() -> None:
    """A rule has threshold, window and severity of the settings, or is off; what has other numbers is untested."""
    overridden = rules_with(OTHERWISE)
    errors = alerts(overridden)[0]
    assert errors.severity == "ticket"
    assert errors.conditions[0].expr() == "(model:failed_calls:ratio10m) > 0.2"
    assert "record: model:failed_calls:ratio10m" in rules_yaml(overridden)
    tested = re.findall(r"name: (\w+) fires", unit_tests_yaml(overridden, "rules.yml"))
    assert tested == [alert.name for alert in alerts(ALERT_RULES) if alert.rule not in OTHERWISE]
    assert "OtelMeasureUsersNps" not in rules_yaml(overridden)
    assert run("rules", env={"OTEL_MEASURE_ALERT_RULES": json.dumps(OTHERWISE)}).output == rules_yaml(overridden)
    elsewhere = {"OTEL_MEASURE_PUBLIC_URL": "https://measure.example.com/team"}
    assert 'docs: "https://measure.example.com/team/#/rules/model_errors"' in run("rules", env=elsewhere).output


def test_a_threshold_beyond_the_buckets_is_refused() -> None:
    """Where `/metrics` cannot tell which calls are slow, no rule claims it."""
    slow = replace(BY_KEY["model_latency"], threshold=81_920)
    with pytest.raises(ConfigurationError, match=r"'model_latency'.*over 81920 ms.*end at 81920 ms.*lower threshold"):
        rules_yaml([slow])
