"""Dashboards as Grafana imports them."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from exporter.promql.dashboards import DASHBOARDS, RATE_INTERVAL, GrafanaDashboard, Panel
from exporter.promql.grafana import dashboard_json
from otel_measure.definitions.kpis import BY_KEY
from tests.exporter.cli.command_line import run

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)


def test_the_command_writes_a_file_of_each(tmp_path: Path) -> None:
    """`dashboards DIR` makes the folder, writes what Grafana imports, and says where."""
    result = run("dashboards", str(tmp_path / "made"))
    files = {tmp_path / "made" / f"{dashboard.name}.json": dashboard for dashboard in DASHBOARDS}
    assert (result.exit_code, result.output.splitlines()) == (0, [str(file) for file in files])
    assert {file: json.loads(file.read_text(encoding="utf-8")) for file in files} == {
        file: dashboard_json(dashboard) for file, dashboard in files.items()
    }


@every_dashboard
def test_queries_know_the_variables_of_their_dashboard_and_no_others(dashboard: GrafanaDashboard) -> None:
    """Each variable selects something, and none is without a choice at the top."""
    known = {f"${variable.name}" for variable in dashboard.variables}
    used = {name for query in dashboard.queries() for name in re.findall(r"\$\w+", query)} - {RATE_INTERVAL}
    assert used == known
    names = [variable["name"] for variable in dashboard_json(dashboard)["templating"]["list"]]
    assert names == ["datasource", *(variable.name for variable in dashboard.variables)]


@every_dashboard
def test_panels_lie_beside_each_other(dashboard: GrafanaDashboard) -> None:
    """Every panel has an id of its own and a place that no other one has."""
    panels = dashboard_json(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def panel_json(title: str) -> Any:
    """Return a panel by its title."""
    return next(
        panel for dashboard in DASHBOARDS for panel in dashboard_json(dashboard)["panels"] if panel["title"] == title
    )


def test_a_panel_draws_target_and_alert_threshold_of_its_kpi() -> None:
    """They are those of the KPI table, in the unit of the panel."""
    steps = {
        title: [
            (step["color"], step["value"])
            for step in panel_json(title)["fieldConfig"]["defaults"]["thresholds"]["steps"]
        ]
        for title in ("Latency, p95", "CPU", "Health", "Stickiness (DAU / MAU)")
    }
    assert steps == {
        "Latency, p95": [("green", None), ("yellow", 0.2), ("red", 0.5)],
        "CPU": [("green", None), ("yellow", 0.8), ("red", 0.9)],
        "Health": [("red", None), ("yellow", 80.0), ("green", 90.0)],
        "Stickiness (DAU / MAU)": [("yellow", None), ("green", 0.2)],
    }


def test_a_panel_asks_the_chosen_prometheus() -> None:
    """A target is the query of the table, asked of the source that is chosen at the top."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel_json("Persons")["targets"] == [
        {
            "refId": "A",
            "datasource": source,
            "expr": 'otel_measure_experiment_users{feature_flag_key=~"$experiment",'
            'deployment_environment_name=~"$environment"}',
            "legendFormat": "{{feature_flag_key}} {{feature_flag_result_variant}}",
        }
    ]


def test_kpis_that_are_drawn_are_in_the_unit_of_the_panel() -> None:
    """A panel in per cent has a KPI that is a ratio or a percentage, one in seconds a KPI in milliseconds."""
    units = {"percentunit": {"percent", "ratio"}, "s": {"ms"}, "currencyUSD": {"usd"}, "short": {"score", "points"}}
    panels: list[Panel] = [panel for each in DASHBOARDS for _, section in each.sections for panel in section]
    assert [panel.title for panel in panels if panel.kpi and BY_KEY[panel.kpi].unit not in units[panel.unit]] == []
