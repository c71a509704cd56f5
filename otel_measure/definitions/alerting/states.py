"""How the alert of one rule about one subject goes on from turn to turn: inactive, pending, firing, resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome, Severity
from otel_measure.definitions.alerting.rule import AlertRule

Phase = Literal["pending", "firing"]
Resolution = Literal["", "within", "no data", "no rule"]
SECOND_US: Final = 1_000_000
UNKNOWN_KEEPS_US: Final = 3600 * SECOND_US  # so long an alert stands of which nothing is known any more
SET_BACK_US: Final = 2 * 3600 * SECOND_US
"""A clock that is set back by more was wrong before; what it said then is no time that is gone through again."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """An alert that is pending or fires; one that is inactive has no state.

    Attributes:
        severity: of the rule, when it was judged last.
        since_us: when the phase began.
        held_us: how long it was beyond in a row while it is pending, or within in a row while it fires. The time from
            or to a turn at which nothing was known is not part of it.
        judged_us: the last turn.
        known_us: the last turn at which the outcome was known, by a clock that was not set back since.
        outcome: of the last turn.
        judgement: the last one that was beyond.
    """

    severity: Severity
    phase: Phase
    since_us: int
    held_us: int
    judged_us: int
    known_us: int
    outcome: Outcome
    judgement: Judgement

    @property
    def rule(self) -> str:
        """The key of its rule."""
        return self.judgement.rule

    @property
    def subject(self) -> AlertSubject:
        """Whom it is about."""
        return self.judgement.subject


@dataclass(frozen=True, slots=True)
class AlertChange:
    """That an alert fired or was resolved.

    Attributes:
        resolution: why it was resolved; empty where it fired.
        at_us: when.
        since_us: when it began to fire.
        judgement: that made it fire, or the last one beyond before it was resolved.
    """

    change: Literal["fired", "resolved"]
    resolution: Resolution
    at_us: int
    since_us: int
    severity: Severity
    judgement: Judgement


def step(
    state: AlertState | None, judgement: Judgement, rule: AlertRule, now_us: int
) -> tuple[AlertState | None, AlertChange | None]:
    """Return the state after a judgement, and what it changed for others: fired, resolved, or nothing.

    Args:
        state: of before; `None` for an inactive alert.
        judgement: of this turn, about the subject of the state.
        rule: says how long it has to be beyond, and within.
        now_us: microseconds; of a clock that was set back, nothing that is kept counts as later than that. Until it is
            as late again as it was, what was well at that time before says nothing of an alert that fires: it stands.
    """
    if state is None:
        return _begun(judgement, rule, now_us) if judgement.outcome == "beyond" else (None, None)
    is_gone_through_again = state.phase == "firing" and 0 < state.known_us - now_us <= SET_BACK_US
    known_us = state.known_us if is_gone_through_again else min(state.known_us, now_us)
    state = replace(
        state,
        severity=judgement.severity or rule.severity,
        since_us=min(state.since_us, now_us),
        judged_us=min(state.judged_us, now_us),
        known_us=known_us,
    )
    if is_gone_through_again:
        is_beyond = judgement.outcome == "beyond"
        return replace(state, judged_us=now_us, judgement=judgement if is_beyond else state.judgement), None
    if judgement.outcome == "unknown":
        return _unknown(state, now_us)
    follow = _pending if state.phase == "pending" else _firing
    return follow(state, judgement, rule, now_us)


def dropped(state: AlertState, now_us: int) -> AlertChange | None:
    """Return what it changes that the rule of a state is gone."""
    return _resolved(state, "no rule", now_us) if state.phase == "firing" else None


def worst_first(states: Sequence[AlertState]) -> list[AlertState]:
    """Return alerts with those that page before tickets, then the oldest, then by their rule."""
    return sorted(states, key=lambda state: (state.severity != "page", state.since_us, state.rule))


def _begun(judgement: Judgement, rule: AlertRule, now_us: int) -> tuple[AlertState, AlertChange | None]:
    pending = AlertState(judgement.severity or rule.severity, "pending", now_us, 0, now_us, now_us, "beyond", judgement)
    return _fired(pending, now_us) if rule.holds_s == 0 else (pending, None)


def _fired(pending: AlertState, now_us: int) -> tuple[AlertState, AlertChange]:
    firing = replace(pending, phase="firing", since_us=now_us, held_us=0)
    return firing, AlertChange("fired", "", now_us, now_us, firing.severity, firing.judgement)


def _resolved(state: AlertState, resolution: Resolution, now_us: int) -> AlertChange:
    return AlertChange("resolved", resolution, now_us, state.since_us, state.severity, state.judgement)


def _held_us(state: AlertState, outcome: Outcome, now_us: int) -> int:
    """Return for how long an outcome was seen in a row until now."""
    if state.outcome == outcome:
        return state.held_us + now_us - state.judged_us
    return state.held_us if state.outcome == "unknown" else 0


def _unknown(state: AlertState, now_us: int) -> tuple[AlertState | None, AlertChange | None]:
    if now_us - state.known_us < UNKNOWN_KEEPS_US:
        return replace(state, judged_us=now_us, outcome="unknown"), None
    return None, _resolved(state, "no data", now_us) if state.phase == "firing" else None


def _pending(
    state: AlertState, judgement: Judgement, rule: AlertRule, now_us: int
) -> tuple[AlertState | None, AlertChange | None]:
    if judgement.outcome == "within":
        return None, None
    held_us = _held_us(state, "beyond", now_us)
    after = replace(state, held_us=held_us, judged_us=now_us, known_us=now_us, outcome="beyond", judgement=judgement)
    return _fired(after, now_us) if held_us >= rule.holds_s * SECOND_US else (after, None)


def _firing(
    state: AlertState, judgement: Judgement, rule: AlertRule, now_us: int
) -> tuple[AlertState | None, AlertChange | None]:
    if judgement.outcome == "beyond":
        after = replace(state, held_us=0, judged_us=now_us, known_us=now_us, outcome="beyond", judgement=judgement)
        return after, None
    held_us = _held_us(state, "within", now_us)
    if held_us >= rule.clears_s * SECOND_US:
        return None, _resolved(state, "within", now_us)
    return replace(state, held_us=held_us, judged_us=now_us, known_us=now_us, outcome="within"), None
