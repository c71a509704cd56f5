"""One turn of the evaluation: the term is taken, everything is judged, and what comes of it is written at once.

Whoever asks what is told, and when, finds it in `otel_measure.definitions.alerting`; here is where it meets the store.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.losses import judge_evaluation, judge_other_rules
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US, AlertChange, AlertState
from otel_measure.definitions.alerting.turn import advance, silencing
from otel_measure.store.protocol import Store
from otel_measure.store.types.alerts import EvaluatorTerm, LastEvaluation, Refusal

_log: Final = logging.getLogger("otel_measure")
TURNS_OF_A_TERM: Final = 3  # who misses one keeps the term
_REFUSED: Final[Mapping[Refusal, str]] = {
    "other rules": "alerts are not evaluated here: another process evaluates those of this store by other rules, and"
    " two would contradict each other; give both the same version and settings, or stop the other one",
}

Judge: TypeAlias = Callable[[int], Iterable[Judgement]]
Subjects: TypeAlias = Callable[[Collection[str], int], frozenset[AlertSubject]]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """By what is judged.

    Attributes:
        by_key: the rules.
        digest: tells two sets of rules apart.
        judge: returns what each rule says of each subject at a time, microseconds.
    """

    by_key: Mapping[str, AlertRule] = field(default_factory=dict)
    digest: str = ""
    judge: Judge = lambda _: ()


NO_RULES: Final = AlertRules()


class PresentAlerts(NamedTuple):
    """What a turn that was written leaves: the alerts that fire and are not silenced, and those it resolved."""

    firing: Sequence[AlertState]
    resolved: Sequence[AlertChange]
    now_us: int


class Evaluator:
    """Evaluates alerts for all processes that share a store.

    Args:
        store: keeps what comes of it.
        rules: by what is judged.
        receivers: names of those who are told of what changes, each once.
        in_maintenance: returns the services of some environments of which nobody is told at a time.
        tell: each is told how things stand after every turn; none may raise.
        holder: the id of this process; another one after a fork.
        clock: microseconds since 1970 UTC.
        interval_s: from turn to turn.
    """

    def __init__(
        self,
        store: Store,
        rules: AlertRules,
        *,
        receivers: Collection[str] = (),
        in_maintenance: Subjects = lambda *_: frozenset(),
        tell: Sequence[Callable[[PresentAlerts], object]] = (),
        holder: Callable[[], str],
        clock: Callable[[], int],
        interval_s: float = 60.0,
    ) -> None:
        self._store = store
        self._rules = rules
        self._receivers = receivers
        self._in_maintenance = in_maintenance
        self._tell = tell
        self._holder = holder
        self._clock = clock
        self._term_us = int(TURNS_OF_A_TERM * interval_s * SECOND_US)
        self._refusal: Refusal = ""

    def evaluate(self) -> bool:
        """Do one turn if it is this process's to do; return whether it was.

        Raises:
            MeasureError: something could not be read or written; nothing was told.
        """
        alerts, now = self._store.alerts, self._clock()
        term = alerts.take_term(self._holder(), self._rules.digest, now, now + self._term_us)
        self._say(term.refusal)
        if term.refusal:
            return False
        judgements = list(self._rules.judge(now))
        with self._store.asking() as moment:
            known = moment.alerts
            states, incidents, silences = known.states(), known.incidents(), known.silences(now)
            judgements += self._of_itself(term, known.last_evaluation(), now)
        beyond = (judgement.subject for judgement in judgements if judgement.outcome == "beyond")
        subjects = {*(state.subject for state in states), *beyond}
        environments = {subject.environment for subject in subjects if subject.kind == "service"}
        is_silenced = silencing(silences, self._in_maintenance(sorted(environments), now), now)
        turn = advance(states, incidents, judgements, self._rules.by_key, is_silenced, now)
        if not alerts.write_turn(term.number, turn, self._receivers, now):
            return False  # this turn took longer than the term, and another process has done it
        firing = [state for state in turn.states if state.phase == "firing" and not is_silenced(state)]
        resolved = [change for change in turn.changes if change.change == "resolved"]
        for tell in self._tell:
            tell(PresentAlerts(firing, resolved, now))
        return True

    def _of_itself(self, term: EvaluatorTerm, last: LastEvaluation | None, now: int) -> Iterator[Judgement]:
        """Yield what rules say of the evaluation."""
        term_s = self._term_us / SECOND_US
        for rule in self._rules.by_key.values():
            if rule.judge == "evaluation":
                yield judge_evaluation(rule, term.evaluated_us, term_s, now)
            elif rule.judge == "other_rules":
                yield judge_other_rules(rule, 0 if last is None else last.refused_us, term_s, now)

    def give_up(self) -> None:
        """Let another process evaluate, at once."""
        self._store.alerts.give_up_term(self._holder())

    def _say(self, refusal: Refusal) -> None:
        """Log why this process does not evaluate, once each time that it begins."""
        if refusal != self._refusal and refusal in _REFUSED:
            _log.warning("%s", _REFUSED[refusal])
        self._refusal = refusal
