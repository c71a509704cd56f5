"""Rules that users add: about any column of a series, as the settings have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from math import isfinite
from types import MappingProxyType
from typing import Final, Literal, get_args

from otel_measure.definitions.alerting.judgement import Severity
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import DAY_S, HOUR_S, MINUTE_S
from otel_measure.definitions.alerting.series_columns import ABOUT, COLUMNS, OF_DOMAIN
from otel_measure.definitions.alerting.series_rule import shown
from otel_measure.errors import ConfigurationError

SECTION: Final = "a-rule-over-any-series"
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SIDES: Final[tuple[Literal["above", "below"], ...]] = ("above", "below")
_LONGEST_S: Final = 30 * DAY_S
_MOST_EVIDENCE: Final = 1_000_000_000
_LONGEST_TITLE: Final = 200


def own_rule(key: str, given: Mapping[str, object]) -> AlertRule:
    """Return the rule that a user adds.

    Args:
        key: that no rule of the product has.
        given: `series`, one of `above` and `below`, and what is to be otherwise than by default: `subject`,
            `window_s`, `severity`, `min_evidence`, `holds_s`, `title`.

    Raises:
        ConfigurationError: the name, a column or a value is not one that it can have.
    """
    if not _KEY.fullmatch(key):
        raise ConfigurationError(
            f"alert_rules[{key!r}] is no name of a rule: small letters, digits and _, a letter first, at most 64"
        )
    series = given["series"]
    if not isinstance(series, str) or series not in COLUMNS:
        raise refused(key, "series", series, _no_column(series))
    sides = [side for side in _SIDES if side in given]
    if len(sides) != 1:
        raise ConfigurationError(f"alert_rules[{key!r}] needs one threshold: above = NUMBER or below = NUMBER")
    for name in given:
        if name not in KNOWN:
            raise ConfigurationError(f"alert_rules[{key!r}] has the unknown key {name!r}; known are {', '.join(KNOWN)}")
    domain, side = series.partition(".")[0], sides[0]
    threshold = _number(key, side, given[side])
    of_users = domain == "users"
    rule = AlertRule(
        key=key,
        title=f"{series} is {side} {shown(COLUMNS[series].unit, threshold)}",
        about=ABOUT[domain],
        judge="series",
        severity="ticket",
        window_s=DAY_S if of_users else 15 * MINUTE_S,
        threshold=threshold,
        unit=COLUMNS[series].unit,
        clears_s=HOUR_S if of_users else 5 * MINUTE_S,
        docs=SECTION,
        series=series,
        side=side,
    )
    for name, value in given.items():
        if name in _CHANGES:
            rule = _CHANGES[name](rule, value)
    return rule


def refused(key: str, name: str, value: object, why: str) -> ConfigurationError:
    """Return the error of a value that a rule cannot have."""
    return ConfigurationError(f"alert_rules[{key!r}][{name!r}] is {value!r}; {why}")


def _no_column(series: object) -> str:
    """Return what a column can be, for one that is none."""
    domain = series.partition(".")[0] if isinstance(series, str) else ""
    if domain in OF_DOMAIN:
        nearest = get_close_matches(str(series), COLUMNS, 1)
        meant = f"did you mean {nearest[0]!r}? " if nearest else ""
        return f"{meant}its columns are {', '.join(f'{domain}.{name}' for name in OF_DOMAIN[domain])}"
    return f"it must be a series and a column of it, such as 'ai.p95_ms'; the series are {', '.join(OF_DOMAIN)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _number(key: str, name: str, value: object) -> float:
    if not isinstance(value, int | float) or not _is_number(value):
        raise refused(key, name, value, "it must be a number, in the unit of the column")
    return float(value)


def _whole(rule: AlertRule, name: str, value: object, least: int, most: int, of: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value % of or not least <= value <= most:
        raise refused(rule.key, name, value, f"it must be {what}, from {least} to {most}")
    return value


def _with_window(rule: AlertRule, value: object) -> AlertRule:
    of, what = (DAY_S, "whole days, in seconds") if rule.about == "users" else (MINUTE_S, "whole minutes, in seconds")
    return replace(rule, window_s=_whole(rule, "window_s", value, of, _LONGEST_S, of, what))


def _with_holds(rule: AlertRule, value: object) -> AlertRule:
    return replace(rule, holds_s=_whole(rule, "holds_s", value, 0, DAY_S, MINUTE_S, "whole minutes, in seconds"))


def _with_evidence(rule: AlertRule, value: object) -> AlertRule:
    if COLUMNS[rule.series].is_seen:
        raise refused(rule.key, "min_evidence", value, "nine tenths of the window have to be seen: leave it out")
    return replace(rule, min_evidence=_whole(rule, "min_evidence", value, 1, _MOST_EVIDENCE, 1, "a whole number"))


def with_severity(rule: AlertRule, value: object) -> AlertRule:
    """Return a rule that is as urgent about every subject.

    Raises:
        ConfigurationError: nothing is that urgent.
    """
    for severity in get_args(Severity):
        if value == severity:
            return replace(rule, severity=severity, severity_untargeted=None)
    raise refused(rule.key, "severity", value, f"it must be one of {', '.join(get_args(Severity))}")


def _with_subject(rule: AlertRule, value: object) -> AlertRule:
    if rule.about not in {"model", "service"}:
        raise refused(rule.key, "subject", value, f"{rule.series} has one subject: leave it out")
    return replace(rule, only=_text(rule, "subject", value))


def _with_title(rule: AlertRule, value: object) -> AlertRule:
    return replace(rule, title=_text(rule, "title", value))


def _text(rule: AlertRule, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_TITLE:
        raise refused(rule.key, name, value, f"it must be text of at most {_LONGEST_TITLE} characters")
    return value


_CHANGES: Final[Mapping[str, Callable[[AlertRule, object], AlertRule]]] = MappingProxyType(
    {
        "subject": _with_subject,
        "window_s": _with_window,
        "severity": with_severity,
        "min_evidence": _with_evidence,
        "holds_s": _with_holds,
        "title": _with_title,
    }
)
KNOWN: Final = ("series", *_SIDES, *_CHANGES, "enabled")
