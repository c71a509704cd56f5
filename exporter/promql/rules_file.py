"""The rules file of Prometheus, written from the tables of recordings and alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from exporter.promql.alerts import ALERTS, PromAlert
from exporter.promql.expressions import duration
from exporter.promql.recording import RECORDINGS

GROUP = "otel-measure"


def rules_yaml() -> str:
    """Return a rules file: one group, recordings first, for its rules are evaluated in order."""
    return "\n".join(("groups:", f"  - name: {GROUP}", "    rules:", *_recordings(), *_alerts())) + "\n"


def _recordings() -> Iterator[str]:
    for recording in RECORDINGS:
        yield f"      - record: {recording.record}"
        yield f"        expr: {text(recording.expr)}"


def _alerts() -> Iterator[str]:
    for alert in ALERTS:
        yield f"      - alert: {alert.name}"
        yield f"        expr: {text(alert.expr)}"
        if alert.holds_s:
            yield f"        for: {duration(alert.holds_s)}"
        yield f"        labels: {{severity: {alert.severity}}}"
        yield "        annotations:"
        yield f"          summary: {text(_summary(alert))}"
        yield f"          docs: {text(alert.docs)}"


def _summary(alert: PromAlert) -> str:
    of_whom = f": {{{{ $labels.{alert.subject} }}}}" if alert.subject else ""
    return f"{alert.title}{of_whom} ({{{{ $value | humanize }}}})"


def text(text: str) -> str:
    """Return a string of YAML: JSON's are some."""
    return json.dumps(text, ensure_ascii=False)
