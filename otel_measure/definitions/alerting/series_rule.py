"""Rules of a user's own about a column of a series: how they are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan
from typing import Final, NamedTuple

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule, AlertUnit
from otel_measure.definitions.alerting.series_columns import COLUMNS, SEEN_SHARE
from otel_measure.stats.intervals import wilson_interval

_LARGE: Final = 1000
_DAY_S: Final = 86_400
_LENGTHS: Final = ((_DAY_S, "day"), (3600, "hour"), (60, "minute"))


class SeriesValue(NamedTuple):
    """What a column says of a subject in a window.

    Attributes:
        value: `nan` where it is unknown.
        evidence: calls, sessions or persons that it rests on; of what is read all the time the seconds that were seen.
    """

    value: float
    evidence: int


def judge_series(rule: AlertRule, subject: AlertSubject, seen: SeriesValue, is_watched: bool) -> Judgement:
    """Say whether a column lies beyond the threshold, with as much evidence as the rule asks for.

    A share has to lie beyond with its whole 95 % interval. A sum is below only in a window that was watched in full:
    what is not recorded while nothing runs is no fall.

    Args:
        rule: about a column of a series.
        subject: whom the value is of.
        seen: the column in the window.
        is_watched: whether alerts were evaluated through the window.
    """
    value, evidence = seen
    column = COLUMNS[rule.series]
    judgement = Judgement(rule.key, subject, "unknown", value, rule.threshold, evidence)
    if isnan(value) or evidence < _least(rule):
        return judgement
    if column.is_sum and rule.side == "below" and not is_watched:
        return judgement
    surest = value
    if column.is_share:
        low, high = wilson_interval(round(value * evidence), evidence)
        surest = low if rule.side == "above" else high
    if surest <= rule.threshold if rule.side == "above" else surest >= rule.threshold:
        return replace(judgement, outcome="within")
    name = rule.series.partition(".")[2]
    sentence = (
        f"{name} of {subject.name} is {shown(rule.unit, value)}, {rule.side} {shown(rule.unit, rule.threshold)},"
        f" in the last {length(rule.window_s)}"
    )
    return replace(judgement, outcome="beyond", sentence=sentence)


def _least(rule: AlertRule) -> float:
    if rule.min_evidence:
        return rule.min_evidence
    column = COLUMNS[rule.series]
    return SEEN_SHARE * rule.window_s if column.is_seen else column.least


def length(seconds: int) -> str:
    """Return a length of time in words: 900 s are "15 minutes"."""
    size, name = next((size, name) for size, name in _LENGTHS if seconds % size == 0)
    n = seconds // size
    return name if n == 1 else f"{n:,} {name}s"


def shown(unit: AlertUnit, value: float) -> str:
    """Return a value of a column for a person."""
    return _SHOWN.get(unit, _number)(value)


def _number(value: float) -> str:
    return f"{round(value):,}" if abs(value) >= _LARGE else f"{value:.4g}"


_SHOWN: Final[Mapping[AlertUnit, Callable[[float], str]]] = {
    "ratio": lambda value: f"{_number(100 * value)} %",
    "percent": lambda value: f"{_number(value)} %",
    "ms": lambda value: f"{_number(value)} ms",
    "usd": lambda value: f"${_number(value)}",
    "seconds": lambda value: f"{_number(value)} s",
    "bytes": lambda value: f"{_number(value)} bytes",
    "bytes_per_second": lambda value: f"{_number(value)} bytes/s",
}
