from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.alerting.incidents import AlertIncident, Notification, incident_id
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.states import AlertState
from otel_measure.definitions.alerting.turn import Turn, advance, silencing
from tests.definitions.alerting.judging import API, CHURN, MINUTE, NOW, judged, rule

RULES = {one.key: one for one in (rule("errors"), rule("latency", "ticket"), rule("silence"))}


class EvaluatedTurns:
    """Turns of one minute, one after the other, and all that was told."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.told: list[Notification] = []
        self.silences: list[Silence] = []
        self.minute = 0

    def judge(self, *judgements: Judgement, rules: Any = RULES) -> list[tuple[str, str, list[str]]]:
        """Return what is told in the next turn: status, severity, and the rules that fire or were resolved."""
        now = NOW + self.minute * MINUTE
        is_silenced = silencing(self.silences, frozenset(), now)
        self.turn = advance(self.turn.states, self.turn.incidents, judgements, rules, is_silenced, now)
        self.minute += 1
        self.told += self.turn.notifications
        return [(told.status, told.severity, rules_of(told)) for told in self.turn.notifications]


def rules_of(told: Notification) -> list[str]:
    """Return the rules that a notification is led by."""
    states: Sequence[AlertState] = told.firing
    return [state.rule for state in states] or [change.judgement.rule for change in told.resolved]


def test_one_notification_per_subject_led_by_its_worst_rule() -> None:
    """Two rules that fire together are told of once; one more of the same severity is not told of by itself."""
    evaluated = EvaluatedTurns()
    both = (judged("beyond", "latency"), judged("beyond", "errors"))
    assert evaluated.judge(*both) == [("firing", "page", ["errors", "latency"])]
    assert evaluated.judge(*both, judged("beyond", "silence")) == []
    assert evaluated.judge(judged("beyond", subject=API)) == [("firing", "page", ["errors"])]
    assert [told.id for told in evaluated.told] == [
        f"{incident_id(CHURN, NOW)}-1",
        f"{incident_id(API, NOW + 2 * MINUTE)}-1",
    ]


def test_it_is_told_that_it_gets_worse_and_that_it_is_over() -> None:
    """A ticket becomes a page under the same incident, and each is told under an id of its own."""
    evaluated = EvaluatedTurns()
    latency, errors = judged("beyond", "latency"), judged("beyond", "errors")
    assert evaluated.judge(latency) == [("firing", "ticket", ["latency"])]
    assert evaluated.judge(latency, errors) == [("firing", "page", ["errors", "latency"])]
    well = judged("within", "errors")
    told = [evaluated.judge(latency, well) for _ in range(7)]
    assert [each for each in told if each] == [[("firing", "ticket", ["latency"])]]
    told = [evaluated.judge(judged("within", "latency")) for _ in range(7)]
    assert [each for each in told if each] == [[("resolved", "ticket", ["latency"])]]
    incident = incident_id(CHURN, NOW)
    assert [one.id for one in evaluated.told] == [f"{incident}-{n}" for n in range(1, 5)]
    assert evaluated.turn == Turn()


def test_a_silence_holds_back_what_is_told_and_nothing_else() -> None:
    """Silenced alerts fire unheard; what still fires when it ends is told of then."""
    evaluated = EvaluatedTurns()
    evaluated.silences = [Silence("1", None, "churn", None, NOW, NOW + 3 * MINUTE, "a release")]
    told = [evaluated.judge(judged("beyond")) for _ in range(5)]
    assert [change.change for change in evaluated.turn.changes] == []
    assert told == [[], [], [], [("firing", "page", ["errors"])], []]


def test_who_was_told_that_it_fires_is_told_that_it_is_over() -> None:
    """A silence that begins later tells of no end, and does not keep the end from being told."""
    evaluated = EvaluatedTurns()
    assert evaluated.judge(judged("beyond")) == [("firing", "page", ["errors"])]
    evaluated.silences = [Silence("1", "errors", None, None, NOW, NOW + 90 * MINUTE, "we know")]
    assert [evaluated.judge(judged("beyond")) for _ in range(3)] == [[], [], []]
    told = [evaluated.judge(judged("within")) for _ in range(7)]
    assert [each for each in told if each] == [[("resolved", "page", ["errors"])]]


def test_maintenance_silences() -> None:
    """Of what is in maintenance nobody is told."""
    states = advance((), (), [judged("beyond", subject=API)], RULES, lambda _: False, NOW).states
    assert [silencing((), frozenset({API}), NOW)(state) for state in states] == [True]
    assert [silencing((), frozenset({CHURN}), NOW)(state) for state in states] == [False]


def test_what_nobody_judges_is_unknown() -> None:
    """An alert without a judgement stays for an hour, and is resolved for lack of data; of no rule, at once."""
    evaluated = EvaluatedTurns()
    evaluated.judge(judged("beyond"))
    told = [evaluated.judge() for _ in range(61)]
    assert [n for n, each in enumerate(told) if each] == [59]
    assert [change.resolution for change in evaluated.told[-1].resolved] == ["no data"]
    evaluated.judge(judged("beyond"))
    assert evaluated.judge(rules={}) == [("resolved", "page", ["errors"])]
    assert evaluated.judge(judged("beyond", "unheard of")) == []


@given(
    st.lists(
        st.lists(
            st.builds(
                judged,
                st.sampled_from(("beyond", "within", "unknown")),
                st.sampled_from(tuple(RULES)),
                st.sampled_from((CHURN, API)),
            ),
            max_size=6,
        ),
        max_size=30,
    )
)
def test_laws_of_what_is_told(minutes: list[list[Judgement]]) -> None:
    """Of each subject firing and resolved are told by turns, each under one id, and an incident is open in between."""
    evaluated = EvaluatedTurns()
    for judgements in minutes:
        evaluated.judge(*judgements)
        open_now = {incident.subject for incident in evaluated.turn.incidents}
        assert open_now == {state.subject for state in evaluated.turn.states if state.phase == "firing"}
        last = {told.subject: told.status for told in evaluated.told}
        assert open_now == {subject for subject, status in last.items() if status == "firing"}
    ids = [told.id for told in evaluated.told]
    assert len(ids) == len(set(ids))


def test_an_incident_has_the_same_id_for_whoever_evaluates() -> None:
    """It is made of the subject and the time of its opening."""
    first, second = (advance((), (), [judged("beyond")], RULES, lambda _: False, NOW) for _ in range(2))
    assert first == second
    assert first.incidents == (AlertIncident(incident_id(CHURN, NOW), CHURN, NOW, "page", 1),)
