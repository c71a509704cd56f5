"""A dashboard in the JSON model of Grafana (https://grafana.com/docs/grafana/latest/visualizations/dashboards/)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from exporter.promql.dashboards import GrafanaDashboard, Panel, Variable
from otel_measure.definitions.kpis import BY_KEY, Kpi, Unit

Json: TypeAlias = dict[str, Any]

_SCHEMA_VERSION: Final = 39  # of Grafana 10.4; later ones bring it up to date
_COLUMNS: Final = 24
_WIDTH: Final = 8
_HEIGHT: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
# A panel has ratios and seconds, as `/metrics` has them.
_PER_UNIT: Final[Mapping[Unit, float]] = {"percent": 100.0, "ms": 1000.0}


def dashboard_json(dashboard: GrafanaDashboard) -> Json:
    """Return what Grafana imports or is provisioned with."""
    return {
        "uid": dashboard.name,
        "title": dashboard.title,
        "tags": ["otel-measure"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_SOURCE_VARIABLE, *map(_variable, dashboard.variables)]},
        "panels": list(_panels(dashboard)),
    }


_SOURCE_VARIABLE: Final[Json] = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
}


def _variable(variable: Variable) -> Json:
    query = f"label_values({variable.series}, {variable.label})"
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": variable.name},
        "refresh": 2,  # when the time range changes
        "includeAll": True,
        "multi": True,
        "allValue": ".*",  # so that series without the label are among all
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }


def _panels(dashboard: GrafanaDashboard) -> Iterator[Json]:
    ids, y = iter(range(1, 1000)), 0
    for heading, panels in dashboard.sections:
        row = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
        yield {"id": next(ids), "type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": row}
        y += 1
        per_line = _COLUMNS // _WIDTH
        for i, panel in enumerate(panels):
            at = {"x": i % per_line * _WIDTH, "y": y + i // per_line * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            yield {"id": next(ids), "gridPos": at, **_panel(panel)}
        y += -(-len(panels) // per_line) * _HEIGHT


def _panel(panel: Panel) -> Json:
    custom: Json = {"showPoints": "never", "fillOpacity": 20 if panel.is_stacked else 0}
    if panel.is_stacked:
        custom["stacking"] = {"mode": "normal"}
    defaults: Json = {"unit": panel.unit, "custom": custom}
    if panel.kpi:
        defaults["thresholds"] = {"mode": "absolute", "steps": _steps(BY_KEY[panel.kpi])}
        custom["thresholdsStyle"] = {"mode": "line"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for i, (query, legend) in enumerate(panel.queries)
        ],
    }


def _steps(kpi: Kpi) -> list[Json]:
    """Return the colours of a KPI, from the lowest value up: green is within the target, red beyond the alert."""
    if kpi.direction == "below":
        lowest, bounds = "green", (("yellow", kpi.target), ("red", kpi.alert))
    else:
        lowest, bounds = "yellow" if kpi.alert is None else "red", (("yellow", kpi.alert), ("green", kpi.target))
    per_unit = _PER_UNIT.get(kpi.unit, 1.0)
    known = [{"color": color, "value": bound / per_unit} for color, bound in bounds if bound is not None]
    return [{"color": lowest, "value": None}, *known]
