"""What users have otherwise than the table of alert rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from types import MappingProxyType
from typing import Final

from otel_measure.definitions.alerting.own_rules import own_rule, refused, with_severity
from otel_measure.definitions.alerting.rule import AlertRule, AlertUnit, Judge
from otel_measure.definitions.alerting.rules import ALERT_RULES, DAY_S, HOUR_S, MINUTE_S
from otel_measure.errors import ConfigurationError

_AT_MOST: Final[dict[AlertUnit, float]] = {"ratio": 1.0, "score": 1.0, "percent": 100.0, "points": 100.0}
_WITHOUT_THRESHOLD: Final[frozenset[Judge]] = frozenset({"room", "other_rules"})  # it is so, or it is not
_LEAST_WINDOW_S: Final[dict[Judge, int]] = {"disk_fit": HOUR_S}  # of less there is no trend
# Of these judges the window is one that can be chosen.
_WINDOWED: Final[frozenset[Judge]] = frozenset({"error_share", "slow_share", "cost", "disk_fit", "burn_rate", "loss"})


def rules_with(
    overrides: Mapping[str, Mapping[str, object]], rules: Sequence[AlertRule] = ALERT_RULES
) -> tuple[AlertRule, ...]:
    """Return the rules with what users have otherwise, in the order of the table, without those that are off.

    Rules that users add come last.

    Args:
        overrides: what is otherwise, by the key of the rule: `threshold` in the unit of the rule, `window_s`,
            `severity` (for every subject, with targets of its own or without), `enabled`; by another key, with a
            `series`, a rule of their own.
        rules: those of the product.

    Raises:
        ConfigurationError: there is no such rule, nothing of that name can be otherwise, or a number or word is not
            one that it can have.
    """
    keys = [rule.key for rule in rules]
    for key, changes in overrides.items():
        if key not in keys and "series" not in changes:
            raise ConfigurationError(
                f"alert_rules[{key!r}] is no alert rule; they are {', '.join(keys)}; a rule of your own needs a series,"
                " such as 'ai.p95_ms'"
            )
        for name in changes if key in keys else ():
            if name not in _CHANGES:
                raise ConfigurationError(f"alert_rules[{key!r}] has the unknown key {name!r}; known are {_KNOWN}")
    added = [own_rule(key, given) for key, given in overrides.items() if key not in keys]
    return tuple(
        _changed(rule, overrides[rule.key]) if rule.key in overrides and rule.key in keys else rule
        for rule in (*rules, *added)
        if _is_enabled(rule, overrides.get(rule.key, {}).get("enabled", True))
    )


def _changed(rule: AlertRule, changes: Mapping[str, object]) -> AlertRule:
    for name, value in changes.items():
        rule = _CHANGES[name](rule, value)
    return rule


def _is_enabled(rule: AlertRule, value: object) -> bool:
    if not isinstance(value, bool):
        raise refused(rule.key, "enabled", value, "it must be true or false")
    return value


def _with_threshold(rule: AlertRule, value: object) -> AlertRule:
    if rule.kpi == "availability_percent":
        raise refused(rule.key, "threshold", value, "each service has its own: register it with another sla_target")
    if rule.judge in _WITHOUT_THRESHOLD:
        raise refused(rule.key, "threshold", value, "it has none: leave it out")
    least, most = -100.0 if rule.unit == "points" else 0.0, _AT_MOST.get(rule.unit)
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not isfinite(value)
        or value < least
        or (most is not None and value > most)
    ):
        allowed = f"a number from {least:g} on" if most is None else f"a number from {least:g} to {most:g}"
        raise refused(rule.key, "threshold", value, f"it must be {allowed} ({rule.unit})")
    return replace(rule, threshold=float(value))


def _with_window(rule: AlertRule, value: object) -> AlertRule:
    if rule.judge == "kpi":
        raise refused(rule.key, "window_s", value, f"it has the window of the KPI {rule.kpi}: leave it out")
    if rule.judge not in _WINDOWED:
        raise refused(rule.key, "window_s", value, "it has none that can be set: leave it out")
    least, most = _LEAST_WINDOW_S.get(rule.judge, MINUTE_S), rule.long_window_s or 30 * DAY_S
    if not isinstance(value, int) or isinstance(value, bool) or value % MINUTE_S or not least <= value <= most:
        raise refused(rule.key, "window_s", value, f"it must be whole minutes, from {least} to {most} seconds")
    return replace(rule, window_s=value)


_CHANGES: Final[Mapping[str, Callable[[AlertRule, object], AlertRule]]] = MappingProxyType(
    {
        "threshold": _with_threshold,
        "window_s": _with_window,
        "severity": with_severity,
        "enabled": lambda rule, _: rule,  # whether it is among them at all
    }
)
_KNOWN: Final = ", ".join(_CHANGES)
