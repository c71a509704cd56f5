"""How full the disks of the machine were lately, judged."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Final

from otel_measure.definitions.alerting.disk_fit import FIT_STEP_S, FULL_FROM_PERCENT, judge_disk
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.machine_cells import mean_of
from otel_measure.definitions.steps import Steps
from otel_measure.store.protocol import Store
from otel_measure.store.questions import StreamQuestions

_STEP_US: Final = FIT_STEP_S * SECOND_US
_READING: Final = "disk_percent"
_LATELY: Final = 2  # steps: without a reading in them nothing is known


def disks_filling(store: Store, rules: Sequence[AlertRule], now_us: int, host: str) -> list[Judgement]:
    """Return what rules say of the fullest disk of the machine of a store.

    Args:
        store: keeps the readings of its machine.
        rules: their threshold is in hours.
        now_us: microseconds.
        host: the name of the machine.
    """
    subject = AlertSubject("host", host, "")
    with store.asking() as known:
        return [judge_disk(rule, subject, _readings(known.streams, rule, now_us), now_us) for rule in rules]


def _readings(known: StreamQuestions, rule: AlertRule, now_us: int) -> list[tuple[int, float]]:
    """Return the readings of the window of a rule; the last ones only where these leave nothing to judge."""
    end = now_us - now_us % _STEP_US + _STEP_US
    lately = _between(known, end - _LATELY * _STEP_US, end)
    if not lately or lately[-1][1] <= FULL_FROM_PERCENT:
        return lately
    return _between(known, end - max(rule.window_s // FIT_STEP_S, _LATELY) * _STEP_US, end)


def _between(known: StreamQuestions, start: int, end: int) -> list[tuple[int, float]]:
    made = Steps(tuple(range(start, end + 1, _STEP_US)), FIT_STEP_S, ())
    cells = known.machine(made)
    means = ((made.edges[step], mean_of(cells[step], _READING)) for step in sorted(cells))
    return [(at, percent) for at, percent in means if not isnan(percent)]
