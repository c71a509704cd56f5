"""One turn of the evaluation, pure: from what was kept and what is judged now to what is kept and told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from otel_measure.definitions.alerting.incidents import AlertIncident, Notification, follow
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.states import AlertChange, AlertState, dropped, step


@dataclass(frozen=True, slots=True)
class Turn:
    """What a turn leaves: every alert that is not inactive, every open incident, and what happened.

    Attributes:
        changes: alerts that fired or were resolved.
        notifications: what is to be told, each once.
    """

    states: tuple[AlertState, ...] = ()
    incidents: tuple[AlertIncident, ...] = ()
    changes: tuple[AlertChange, ...] = ()
    notifications: tuple[Notification, ...] = ()


def advance(
    states: Iterable[AlertState],
    incidents: Iterable[AlertIncident],
    judgements: Iterable[Judgement],
    rules: Mapping[str, AlertRule],
    is_silenced: Callable[[AlertState], bool],
    now_us: int,
) -> Turn:
    """Return what a turn leaves.

    A state without a judgement is unknown now; one whose rule is gone is resolved.

    Args:
        states: of the turn before.
        incidents: that are open.
        judgements: of this turn; of a rule that is not among the rules they are left out.
        rules: by their key.
        is_silenced: whether nobody is told of an alert now.
        now_us: microseconds.
    """
    after, changes = _stepped(states, judgements, rules, now_us)
    firing: defaultdict[AlertSubject, list[AlertState]] = defaultdict(list)
    for state in after:
        if state.phase == "firing":
            firing[state.subject].append(state)
    resolved: defaultdict[AlertSubject, list[AlertChange]] = defaultdict(list)
    for change in changes:
        if change.change == "resolved":
            resolved[change.judgement.subject].append(change)
    opened = {incident.subject: incident for incident in incidents}
    still_open, told = [], []
    for subject in sorted({*opened, *firing}):
        loud = [state for state in firing[subject] if not is_silenced(state)]
        incident, notification = follow(
            opened.get(subject),
            subject,
            loud,
            resolved[subject],
            is_silent=len(loud) < len(firing[subject]),
            now_us=now_us,
        )
        still_open += [incident] if incident is not None else []
        told += [notification] if notification is not None else []
    return Turn(tuple(after), tuple(still_open), tuple(changes), tuple(told))


def _stepped(
    states: Iterable[AlertState], judgements: Iterable[Judgement], rules: Mapping[str, AlertRule], now_us: int
) -> tuple[list[AlertState], list[AlertChange]]:
    """Return the states that are left, sorted, and what changed."""
    before = {(state.subject, state.rule): state for state in states}
    # Most are within and were before: nothing comes of those.
    judged = {
        (one.subject, one.rule): one
        for one in judgements
        if one.rule in rules and (one.outcome == "beyond" or (one.subject, one.rule) in before)
    }
    after, changes = [], []
    for subject, key in sorted({*before, *judged}):
        kept, rule = before.get((subject, key)), rules.get(key)
        if rule is not None:
            judgement = judged.get((subject, key)) or Judgement(key, subject, "unknown")
            state, change = step(kept, judgement, rule, now_us)
        else:
            state, change = None, dropped(before[subject, key], now_us)
        after += [state] if state is not None else []
        changes += [change] if change is not None else []
    return after, changes


def silencing(
    silences: Sequence[Silence], in_maintenance: frozenset[AlertSubject], now_us: int
) -> Callable[[AlertState], bool]:
    """Return what tells whether an alert is silenced now: by somebody, or because its subject is in maintenance."""
    return lambda state: (
        state.subject in in_maintenance
        or any(silence.covers(state.rule, state.subject, now_us) for silence in silences)
    )
