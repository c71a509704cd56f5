"""What users have otherwise than the table of alert rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final, get_args

from otel_measure.definitions.alerting.judgement import Severity
from otel_measure.definitions.alerting.rule import AlertRule, AlertUnit
from otel_measure.definitions.alerting.rules import ALERT_RULES, DAY_S, MINUTE_S
from otel_measure.errors import ConfigurationError

_SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
_AT_MOST: Final[dict[AlertUnit, float]] = {"ratio": 1.0, "score": 1.0, "percent": 100.0, "points": 100.0}


@dataclass(frozen=True, slots=True)
class RuleOverride:
    """What a user has otherwise than the table; `None` keeps what the table says.

    A severity of one's own holds for every subject, with targets of its own or without.
    """

    key: str
    threshold: float | None = None
    window_s: int | None = None
    severity: str | None = None


def rules_with(overrides: Iterable[RuleOverride], rules: Sequence[AlertRule] = ALERT_RULES) -> tuple[AlertRule, ...]:
    """Return the rules with what users have otherwise, in the order of the table.

    Raises:
        ConfigurationError: there is no such rule, it is given twice, or a number or word is not one that it can have.
    """
    changed = {rule.key: rule for rule in rules}
    given: set[str] = set()
    for override in overrides:
        if override.key not in changed:
            raise ConfigurationError(f"alert rule {override.key!r}: unknown; it must be one of {', '.join(changed)}")
        if override.key in given:
            raise ConfigurationError(f"alert rule {override.key!r}: given twice; keep one of the two")
        given.add(override.key)
        changed[override.key] = _with(changed[override.key], override)
    return tuple(changed.values())


def _with(rule: AlertRule, override: RuleOverride) -> AlertRule:
    if override.threshold is not None:
        rule = replace(rule, threshold=_checked_threshold(rule, override.threshold))
    if override.window_s is not None:
        rule = replace(rule, window_s=_checked_window(rule, override.window_s))
    if override.severity is None:
        return rule
    for severity in get_args(Severity):
        if override.severity == severity:
            return replace(rule, severity=severity, severity_untargeted=None)
    raise ConfigurationError(
        f"alert rule {rule.key!r}: severity={override.severity!r} must be one of {', '.join(_SEVERITIES)}"
    )


def _checked_threshold(rule: AlertRule, threshold: float) -> float:
    least, most = -100.0 if rule.unit == "points" else 0.0, _AT_MOST.get(rule.unit)
    if not isfinite(threshold) or threshold < least or (most is not None and threshold > most):
        allowed = f"a number from {least:g} on" if most is None else f"a number from {least:g} to {most:g}"
        raise ConfigurationError(f"alert rule {rule.key!r}: threshold={threshold!r} ({rule.unit}) must be {allowed}")
    return float(threshold)


def _checked_window(rule: AlertRule, window_s: int) -> int:
    if rule.judge == "kpi":
        raise ConfigurationError(
            f"alert rule {rule.key!r}: window_s={window_s!r} cannot be set; it has the window of the KPI {rule.kpi}"
        )
    most = rule.long_window_s or 30 * DAY_S
    if window_s % MINUTE_S or not MINUTE_S <= window_s <= most:
        raise ConfigurationError(
            f"alert rule {rule.key!r}: window_s={window_s!r} must be whole minutes, from {MINUTE_S} to {most} seconds"
        )
    return window_s
