"""What the alert rules that a KPI decides say: an alert of the scorecard is beyond, whatever is unknown is unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.kpis import BY_KEY, Kpi
from otel_measure.definitions.verdicts import Verdict
from otel_measure.judging.alerts import alert_of, subject_of
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard

# The windows of KPIs are 5 minutes and more, and reading all of them is the dearest part of a turn.
KEPT_US: Final = 300 * SECOND_US
_OUTCOMES: Final[dict[Verdict, Outcome]] = {
    "alert": "beyond",
    "unknown": "unknown",
    "warning": "within",
    "ok": "within",
}
_WORST_FIRST: Final[dict[Outcome, int]] = {"beyond": 0, "within": 1, "unknown": 2}


class KpiJudge:
    """Judges by the KPIs of every environment, anew every 5 minutes.

    Args:
        rules: those that a KPI decides.
        host: whose machine is read.
        cards: returns the scorecard of every environment.
    """

    def __init__(self, rules: Sequence[AlertRule], host: str, cards: Callable[[], Iterable[Scorecard]]) -> None:
        self._rules = rules
        self._host = host
        self._cards = cards
        self._judged: list[Judgement] = []
        self._judged_us: int | None = None

    def judge(self, now_us: int) -> list[Judgement]:
        """Return what each rule says of each subject; for less than 5 minutes what it said before."""
        if self._judged_us is None or not 0 <= now_us - self._judged_us < KEPT_US:
            self._judged = judged_kpis(self._cards(), self._rules, self._host)
            self._judged_us = now_us
        return self._judged


def kpis_of(rules: Iterable[AlertRule]) -> Mapping[str, Kpi]:
    """Return the KPIs by which rules judge: their thresholds, which users may have changed, in the place of its own."""
    return {**BY_KEY, **{rule.kpi: replace(BY_KEY[rule.kpi], alert=rule.threshold) for rule in rules}}


def judged_kpis(cards: Iterable[Scorecard], rules: Sequence[AlertRule], host: str) -> list[Judgement]:
    """Return what rules say of the subjects of scorecards: of a model what they say of its worst version.

    Args:
        cards: one for each environment; the machine has none, so each card tells of it.
        rules: of which a KPI decides.
        host: the name of the machine.
    """
    judged: dict[tuple[AlertSubject, str], Judgement] = {}
    for card in cards:
        for judgement in _judged(card, rules, host):
            key = judgement.subject, judgement.rule
            if key not in judged or _WORST_FIRST[judgement.outcome] < _WORST_FIRST[judged[key].outcome]:
                judged[key] = judgement
    return list(judged.values())


def _judged(card: Scorecard, rules: Sequence[AlertRule], host: str) -> Iterator[Judgement]:
    by_kpi: dict[str, list[Reading]] = {}
    for reading in card.kpis:
        by_kpi.setdefault(reading.key, []).append(reading)
    for rule in rules:
        for reading in by_kpi.get(rule.kpi, ()):
            subject = subject_of(reading, host, card.environment)
            if subject is not None:
                yield _judgement(rule, subject, reading)


def _judgement(rule: AlertRule, subject: AlertSubject, reading: Reading) -> Judgement:
    alert = alert_of(reading)
    return Judgement(
        rule.key,
        subject,
        _OUTCOMES[reading.verdict],
        reading.value,
        alert.threshold,
        reading.evidence or 0,
        alert.message if reading.verdict == "alert" else "",
    )
