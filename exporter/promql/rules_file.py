"""The rules file of Prometheus, written from the tables of recordings and alerts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from exporter.promql.alerts import PromAlert, alerts
from exporter.promql.expressions import duration
from exporter.promql.own_series import own_alerts, why_not_said
from exporter.promql.recording import RecordingRule, by_key, recordings
from otel_measure.alerting.messages import docs_link
from otel_measure.config import Settings
from otel_measure.definitions.alerting.rule import AlertRule

GROUP: Final = "otel-measure"

DEFAULT_PAGE: Final = Settings().page_url


def rules_yaml(in_force: Collection[AlertRule], page_url: str = DEFAULT_PAGE) -> str:
    """Return a rules file: one group, recordings first, for its rules are evaluated in order.

    Args:
        in_force: the alert rules that are on, with what users have otherwise.
        page_url: where people reach the page, which says what to do.

    Raises:
        ConfigurationError: a rule is one that Prometheus cannot judge by what `/metrics` shows.
    """
    told = (*alerts(in_force), *own_alerts(in_force))
    body = (*_recordings(recordings(by_key(in_force))), *_alerts(told, page_url), *_not_said(in_force))
    return "\n".join(("groups:", f"  - name: {GROUP}", "    rules:", *body)) + "\n"


def quoted(text: str) -> str:
    """Return a string of YAML: JSON's are some."""
    return json.dumps(text, ensure_ascii=False)


def _recordings(recordings: Iterable[RecordingRule]) -> Iterator[str]:
    for recording in recordings:
        yield f"      - record: {recording.record}"
        yield f"        expr: {quoted(recording.expr)}"


def _alerts(alerts: Iterable[PromAlert], page_url: str) -> Iterator[str]:
    for alert in alerts:
        yield f"      - alert: {alert.name}"
        yield "        expr: |-"
        yield from (f"          {line}" for line in alert.expr.splitlines())
        if alert.holds_s:
            yield f"        for: {duration(alert.holds_s)}"
        yield f"        keep_firing_for: {duration(alert.clears_s)}"
        yield f"        labels: {{severity: {alert.severity}}}"
        yield "        annotations:"
        yield f"          summary: {quoted(_summary(alert))}"
        yield f"          docs: {quoted(docs_link(page_url, alert.docs))}"


def _not_said(in_force: Iterable[AlertRule]) -> Iterator[str]:
    """Yield a comment on each rule that a user has added and that PromQL cannot say."""
    for rule in in_force:
        if rule.judge == "series" and (why := why_not_said(rule)):
            yield f"      # alert_rules.{rule.key} is judged by otel-measure alone: {why}"


def _summary(alert: PromAlert) -> str:
    of_whom = f": {{{{ $labels.{alert.subject} }}}}" if alert.subject else ""
    return f"{alert.title}{of_whom} ({{{{ $value | humanize }}}})"
