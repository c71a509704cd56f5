"""Whether a disk will be full soon: a pure judge of how full it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan
from typing import Final

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.windows import HOUR_US
from otel_measure.stats.trend import theil_sen

FULL_FROM_PERCENT: Final = 80.0
"""Below it there is room for whatever the fit says."""
FIT_STEP_S: Final = 300


def judge_disk(rule: AlertRule, subject: AlertSubject, readings: Sequence[tuple[int, float]], now_us: int) -> Judgement:
    """Say whether the fullest disk of a machine is full within the hours that are the threshold.

    The line through the readings is that of Theil and Sen, so that a log that is rotated, or a reading that is off,
    does not decide. Half of the steps of the window need a reading: a machine that has just started is not known.

    Args:
        rule: its window is that of the fit.
        subject: the machine.
        readings: when (microseconds), and how full in percent, ascending; a mean of each step of the window.
        now_us: microseconds.
    """
    unknown = Judgement(rule.key, subject, "unknown", threshold=rule.threshold, evidence=len(readings))
    if not readings:
        return unknown
    _, used_percent = readings[-1]
    if used_percent <= FULL_FROM_PERCENT:
        return replace(unknown, outcome="within")
    if len(readings) < rule.window_s / FIT_STEP_S / 2:
        return unknown
    trend = theil_sen([((at - now_us) / HOUR_US, percent) for at, percent in readings])
    left_h = max((100.0 - trend.level) / trend.slope, 0.0) if trend.slope > 0 else nan
    if not left_h < rule.threshold:
        return replace(unknown, outcome="within", value=left_h)
    sentence = (
        f"the fullest disk of {subject.name} is {used_percent:.1f} % full and grows by {trend.slope:.2g} % an hour:"
        f" it is full in {left_h:.1f} hours"
    )
    return replace(unknown, outcome="beyond", value=left_h, sentence=sentence, since_us=readings[0][0])
