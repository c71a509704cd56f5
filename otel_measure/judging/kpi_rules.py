"""What the alert rules that a KPI decides say: an alert of the scorecard is beyond, whatever is unknown is unknown.

What they say of a model is kept until it is judged anew, so that a turn costs what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Final, TypeAlias

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.kpis import BY_KEY, Kpi
from otel_measure.definitions.verdicts import Verdict
from otel_measure.judging.alerts import alert_of, subject_of, threshold_of
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Readings, worst_first

# The windows of KPIs are 5 minutes and more, and reading all of them is the dearest part of a turn.
KEPT_US: Final = 300 * SECOND_US
_OUTCOMES: Final[dict[Verdict, Outcome]] = {
    "alert": "beyond",
    "unknown": "unknown",
    "warning": "within",
    "ok": "within",
}
_WORST_FIRST: Final[dict[Outcome, int]] = {"beyond": 0, "within": 1, "unknown": 2}
_OfVersions: TypeAlias = Sequence[tuple[Reading, ...]]


class KpiJudge:
    """Judges by the KPIs of every environment, anew every 5 minutes.

    Args:
        rules: those that a KPI decides.
        host: whose machine is read.
        read: returns what the KPIs of every environment say.
    """

    def __init__(self, rules: Sequence[AlertRule], host: str, read: Callable[[], Iterable[Readings]]) -> None:
        self._rules = KpiRules(rules, host)
        self._read = read
        self._judged: list[Judgement] = []
        self._judged_us: int | None = None

    def judge(self, now_us: int) -> list[Judgement]:
        """Return what each rule says of each subject; for less than 5 minutes what it said before."""
        if self._judged_us is None or not 0 <= now_us - self._judged_us < KEPT_US:
            self._judged = self._rules.judge(self._read())
            self._judged_us = now_us
        return self._judged


def kpis_of(rules: Iterable[AlertRule]) -> Mapping[str, Kpi]:
    """Return the KPIs by which rules judge: their thresholds, which users may have changed, in the place of its own."""
    return {**BY_KEY, **{rule.kpi: replace(BY_KEY[rule.kpi], alert=rule.threshold) for rule in rules}}


class KpiRules:
    """What rules that a KPI decides say; of models what they said before, until one of their versions is judged anew.

    Args:
        rules: of which a KPI decides.
        host: the name of the machine.
    """

    def __init__(self, rules: Sequence[AlertRule], host: str) -> None:
        self._rules = rules
        self._host = host
        self._of_models: Mapping[tuple[str, str], tuple[_OfVersions, Sequence[Judgement]]] = {}

    def judge(self, environments: Iterable[Readings]) -> list[Judgement]:
        """Return what rules say of each subject: of a model what they say of its worst version.

        Args:
            environments: what KPIs say; the machine has no environment, so those of each tell of it.
        """
        others: list[Judgement] = []
        of_models: dict[tuple[str, str], tuple[_OfVersions, Sequence[Judgement]]] = {}
        for told in environments:
            others += self._of(told.others, told.environment)
            for name, group in groupby(told.of_models, _model_name):
                model, versions = (told.environment, name), [*group]
                kept = self._of_models.get(model)
                if kept is None or kept[0] != versions:  # what is the very same is not compared any further
                    kept = versions, self._of(chain(*versions), told.environment)
                of_models[model] = kept
        self._of_models = of_models
        return [*worst_of_each(others), *(judgement for _, judged in of_models.values() for judgement in judged)]

    def _of(self, readings: Iterable[Reading], environment: str) -> list[Judgement]:
        """Return what rules say of the subjects of some readings of one environment, of each once."""
        by_kpi: dict[str, list[Reading]] = {}
        for reading in readings:
            by_kpi.setdefault(reading.key, []).append(reading)
        return worst_of_each(self._judged(by_kpi, environment))

    def _judged(self, by_kpi: Mapping[str, list[Reading]], environment: str) -> Iterator[Judgement]:
        for rule in self._rules:
            for reading in sorted(by_kpi.get(rule.kpi, ()), key=worst_first):
                subject = subject_of(reading, self._host, environment)
                if subject is not None:
                    yield _judgement(rule, subject, reading)


def worst_of_each(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Return the worst of what a rule says of a subject, of equals the first."""
    worst: dict[tuple[AlertSubject, str], Judgement] = {}
    for judgement in judgements:
        key = judgement.subject, judgement.rule
        if key not in worst or _WORST_FIRST[judgement.outcome] < _WORST_FIRST[worst[key].outcome]:
            worst[key] = judgement
    return list(worst.values())


def _model_name(readings: tuple[Reading, ...]) -> str:
    return readings[0].model_name


def _judgement(rule: AlertRule, subject: AlertSubject, reading: Reading) -> Judgement:
    alert = alert_of(reading) if reading.verdict == "alert" else None
    return Judgement(
        rule.key,
        subject,
        _OUTCOMES[reading.verdict],
        reading.value,
        threshold_of(reading),
        reading.evidence or 0,
        "" if alert is None else alert.message,
    )
