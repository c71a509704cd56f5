"""Whether calls of a model cost too much: a pure judge of what they cost together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import nan
from typing import NamedTuple

from otel_measure.definitions.alerting.calls import own_threshold
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.kpis import BY_KEY, MIN_PRICED_RATIO
from otel_measure.definitions.verdicts import format_value


class PricedCalls(NamedTuple):
    """What calls of a model cost within a window; `priced` are those of which that is known."""

    calls: int
    priced: int
    usd: float


def judge_cost(rule: AlertRule, subject: AlertSubject, spent: PricedCalls, targets: Mapping[str, float]) -> Judgement:
    """Say whether a call of a model cost more than the threshold in the mean of a window.

    It takes as many priced calls as the KPI, and a price for half of all: else nothing is known.

    Args:
        rule: its threshold is in dollars.
        subject: the model, all its versions together.
        spent: within the window of the rule.
        targets: that were registered for the model, by the key of the KPI.
    """
    kpi, threshold = BY_KEY[rule.kpi], own_threshold(rule, targets)
    mean_usd = spent.usd / spent.priced if spent.priced else nan
    judgement = Judgement(
        rule.key,
        subject,
        "unknown",
        mean_usd,
        threshold,
        spent.priced,
        severity=rule.severity_of(rule.kpi in targets),
    )
    if spent.priced < kpi.min_evidence or spent.priced < MIN_PRICED_RATIO * spent.calls:
        return judgement
    if mean_usd <= threshold:
        return replace(judgement, outcome="within")
    shown = replace(kpi, alert=threshold)
    sentence = (
        f"a call of {subject.name} cost {format_value(shown, mean_usd)} in the mean of {spent.priced:,} calls,"
        f" {format_value(shown, threshold)} may; {format_value(shown, spent.usd)} in {rule.window_s // 60:,} minutes"
    )
    return replace(judgement, outcome="beyond", sentence=sentence)
