"""Whether a service spends the downtime that its objective allows too fast: a pure judge of how long it was down."""

from __future__ import annotations

from math import inf

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule


def burn_rate(down_s: float, window_s: int, objective_percent: float) -> float:
    """Return how many times faster than allowed the downtime of an objective was spent within a window.

    The window counts in whole: what was planned, what nobody watched, and what was before a service was registered is
    taken as up, so that some seconds in the first minute of a service, or after a maintenance, are no burn.
    """
    allowed_s = window_s * (1.0 - objective_percent / 100.0)
    if not down_s:
        return 0.0
    return down_s / allowed_s if allowed_s > 0 else inf


def judge_burn(
    rule: AlertRule,
    subject: AlertSubject,
    objective_percent: float,
    short_s: float,
    long_s: float,
    *,
    reason: str = "",
    since_us: int = 0,
) -> Judgement:
    """Say whether a service burns its error budget beyond the threshold in both windows of a rule.

    The long window says that it matters, the short one that it goes on (Beyer et al., The Site Reliability Workbook,
    2018, chapter 5: multiwindow, multi-burn-rate alerts).

    Args:
        rule: its threshold is a burn rate.
        subject: the service.
        objective_percent: its own.
        short_s: how long it was down within the short window of the rule, without planned time.
        long_s: likewise within the long one.
        reason: of the last outage.
        since_us: when that began.
    """
    down = ((short_s, rule.window_s), (long_s, rule.long_window_s))
    rates = [burn_rate(down_s, window_s, objective_percent) for down_s, window_s in down]
    if min(rates) <= rule.threshold:
        return Judgement(rule.key, subject, "within", rates[1], rule.threshold)
    objective = f"its objective of {objective_percent:g} % allows"
    sentence = f"{subject.name} was down for {long_s:,.0f} s of the last {_span(rule.long_window_s)}, " + (
        f"{rates[1]:,.3g} times what {objective}" if rates[1] < inf else f"and {objective} none"
    )
    return Judgement(
        rule.key,
        subject,
        "beyond",
        rates[1],
        rule.threshold,
        1,
        sentence + (f": {reason}" if reason else ""),
        reason,
        since_us,
    )


def _span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if minutes:
        return f"{60 * hours + minutes} minutes"
    return "hour" if hours == 1 else f"{hours} hours"
