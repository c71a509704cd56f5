from __future__ import annotations

from typing import Final

from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.alerting.turn import Turn, advance
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite.alerts import HISTORY_US, MOST_WAITING
from otel_measure.store.types.alerts import AlertDelivery, EvaluatorTerm, LastEvaluation, LateDay, ReceiverState
from tests.definitions.alerting.judging import API, CHURN, MINUTE, NOW, judged, rule
from tests.facts import DAY
from tests.store.conformance.engines import EngineCase

RULES: Final = {"errors": rule()}
OURS: Final = EvaluatorTerm(1)


def turn_of(store: Store, *outcomes: str, now: int = NOW) -> Turn:
    """Return the next turn of a store: "beyond" or "within" of one model."""
    with store.asking() as moment:
        states, incidents = moment.alerts.states(), moment.alerts.incidents()
    judgements = [judged("beyond" if outcome == "beyond" else "within") for outcome in outcomes]
    return advance(states, incidents, judgements, RULES, lambda _: False, now)


def test_one_process_evaluates_by_one_digest(engine: EngineCase) -> None:
    """The first keeps it by taking it again; by other rules nobody gets it until it is given up or has run out."""
    writer = engine.open().alerts
    assert writer.take_term("a", "x", NOW, NOW + 10) == OURS
    assert writer.take_term("a", "x", NOW + 5, NOW + 15) == OURS
    assert writer.take_term("b", "x", NOW + 6, NOW + 16) == EvaluatorTerm(0, "another evaluates")
    assert writer.take_term("b", "y", NOW + 6, NOW + 16) == EvaluatorTerm(0, "other rules")
    assert writer.take_term("b", "y", NOW + 16, NOW + 26) == EvaluatorTerm(2)
    assert writer.take_term("a", "x", NOW + 17, NOW + 27) == EvaluatorTerm(0, "other rules")
    writer.give_up_term("a")
    assert writer.take_term("a", "x", NOW + 18, NOW + 28) == EvaluatorTerm(0, "other rules")
    writer.give_up_term("b")
    assert writer.take_term("a", "x", NOW + 19, NOW + 29) == EvaluatorTerm(3)


def test_a_term_that_was_taken_before_the_clock_was_set_back_binds_nobody(engine: EngineCase) -> None:
    """One that lies further ahead than two of its length is free."""
    writer = engine.open().alerts
    assert writer.take_term("a", "x", NOW + 100, NOW + 110) == OURS
    assert writer.take_term("b", "x", NOW, NOW + 10) == EvaluatorTerm(2)


def test_turns_that_follow_each_other_are_one_run(engine: EngineCase) -> None:
    """At most three minutes or a term apart, whoever evaluates; who is refused has not watched."""
    store = engine.open()
    short, long = MINUTE // 6, 60 * MINUTE

    def turn(name: str, at: int, term: int = short) -> None:
        store.alerts.take_term(name, "x", NOW + at, NOW + at + term)

    for name, minutes in (("a", 0), ("a", 3), ("b", 6), ("b", 10), ("a", 12)):
        turn(name, minutes * MINUTE)
    turn("b", 12 * MINUTE + 1)
    with store.asking() as moment:
        assert moment.alerts.watched(NOW) == [(NOW, NOW + 6 * MINUTE), (NOW + 10 * MINUTE, NOW + 12 * MINUTE)]
        assert moment.alerts.watched(NOW + 7 * MINUTE) == [(NOW + 10 * MINUTE, NOW + 12 * MINUTE)]
    turn("a", 60 * MINUTE, long)
    with store.asking() as moment:
        assert moment.alerts.watched(NOW) == [(NOW, NOW + 60 * MINUTE)]
    turn("a", 60 * MINUTE + HISTORY_US + 1)
    with store.asking() as moment:
        assert moment.alerts.watched(0) == [(NOW + 60 * MINUTE + HISTORY_US + 1,) * 2]


def test_a_turn_is_kept_with_what_is_to_be_told(engine: EngineCase) -> None:
    """What a turn leaves is what the next one finds; each receiver is to be told once."""
    store = engine.open()
    with store.asking() as moment:
        assert moment.alerts.last_evaluation() is None
    store.alerts.take_term("a", "x", NOW, NOW + 10)
    turn = turn_of(store, "beyond")
    assert store.alerts.write_turn(1, turn, ("webhook", "slack"), NOW + 1)
    with store.asking() as moment:
        alerts = moment.alerts
        assert alerts.last_evaluation() == LastEvaluation("a", NOW + 10, "x", NOW + 1)
        assert (alerts.states(), alerts.incidents()) == (list(turn.states), list(turn.incidents))
        assert alerts.history(NOW, 10) == list(turn.changes)
        assert alerts.history(NOW + 1, 10) == []
        waiting = {name: alerts.waiting(name) for name in ("webhook", "slack", "nobody")}
    notified = {name: [one.notification for one in each] for name, each in waiting.items()}
    assert notified == {"webhook": list(turn.notifications), "slack": list(turn.notifications), "nobody": []}
    store.alerts.note_delivered("webhook", [one.seq for one in waiting["webhook"]], NOW + 3)
    (incident,) = turn.incidents
    told = AlertDelivery(incident.id, CHURN, NOW, "firing", NOW, "slack")
    with store.asking() as moment:
        assert [len(moment.alerts.waiting(name)) for name in ("webhook", "slack")] == [0, 1]
        assert moment.alerts.deliveries(NOW) == [told, told._replace(receiver="webhook", taken_us=NOW + 3)]
        assert moment.alerts.deliveries(NOW + 1) == []


def test_whose_term_is_over_writes_nothing(engine: EngineCase) -> None:
    """Who was slow, and whose place was taken meanwhile, changes neither state nor outbox."""
    store = engine.open()
    store.alerts.take_term("slow", "x", NOW, NOW + 10)
    late = turn_of(store, "beyond")
    store.alerts.take_term("quick", "x", NOW + 11, NOW + 21)
    assert not store.alerts.write_turn(1, late, ("webhook",), NOW + 12)
    with store.asking() as moment:
        assert (moment.alerts.states(), moment.alerts.waiting("webhook"), moment.alerts.history(0, 9)) == ([], [], [])
    assert store.alerts.write_turn(2, late, ("webhook",), NOW + 12)


def test_another_process_goes_on_where_the_first_was_killed(engine: EngineCase) -> None:
    """An alert that fires is not told of again by whoever evaluates next, and its end is told once."""
    place = engine.shared_place()
    first, second = engine.open(place), engine.open(place)
    first.alerts.take_term("a", "x", NOW, NOW + MINUTE)
    assert first.alerts.write_turn(1, turn_of(first, "beyond"), ("webhook",), NOW)
    told = []
    for minute in range(2, 10):
        now = NOW + minute * MINUTE
        term = second.alerts.take_term("b", "x", now, now + MINUTE).number
        turn = turn_of(second, "beyond" if minute == 2 else "within", now=now)
        assert second.alerts.write_turn(term, turn, ("webhook",), now)
        told += [notification.status for notification in turn.notifications]
    assert told == ["resolved"]
    with second.asking() as moment:
        waiting = [one.notification for one in moment.alerts.waiting("webhook")]
    assert [one.id.rpartition("-")[2] for one in waiting] == ["1", "2"]
    assert len({one.incident for one in waiting}) == 1


def test_how_late_calls_become_known(engine: EngineCase) -> None:
    """Of each subject and day the longest is kept, by environment, for a week."""
    store, day = engine.open(), NOW // DAY
    store.alerts.note_late([LateDay(CHURN, day, 5), LateDay(CHURN, day - 1, 7), LateDay(API, day - 7, 3)], NOW)
    store.alerts.note_late([LateDay(CHURN, day, 4), LateDay(CHURN, day - 1, 9)], NOW)

    def kept(environment: str) -> list[LateDay]:
        with store.asking() as moment:
            return sorted(moment.alerts.late_days(environment))

    assert kept(CHURN.environment) == sorted(
        [LateDay(CHURN, day, 5), LateDay(CHURN, day - 1, 9), LateDay(API, day - 7, 3)]
    )
    store.alerts.note_late([], NOW + DAY)
    assert kept(CHURN.environment) == sorted([LateDay(CHURN, day, 5), LateDay(CHURN, day - 1, 9)])
    assert kept("elsewhere") == []


def test_silences(engine: EngineCase) -> None:
    """They are listed until they end, the first to end first, and can be ended before."""
    store = engine.open()
    model = Silence("1", None, CHURN.name, None, NOW, NOW + 20, "a release")
    service = Silence("2", "down", API.name, "prod", NOW, NOW + 10, "moving")
    for silence in (model, service, service):
        store.alerts.add_silence(silence)
    with store.asking() as moment:
        assert moment.alerts.silences(NOW) == [service, model]
        assert moment.alerts.silences(NOW + 10) == [model]
    assert (store.alerts.end_silence("1"), store.alerts.end_silence("1")) == (True, False)
    with store.asking() as moment:
        assert moment.alerts.silences(NOW) == [service]


def test_a_receiver_that_takes_nothing(engine: EngineCase) -> None:
    """It is known how often and since when it failed; beyond the bound the oldest are given up and counted."""
    store = engine.open()
    store.alerts.note_failed("webhook", NOW, NOW + 1)
    store.alerts.note_failed("webhook", NOW + 5, NOW + 7)
    store.alerts.take_term("a", "x", NOW, NOW + 10)
    many = turn_of(store, "beyond")
    many = Turn(many.states, many.incidents, (), many.notifications * (MOST_WAITING + 3))
    assert store.alerts.write_turn(1, many, ("webhook",), NOW)
    with store.asking() as moment:
        assert moment.alerts.receivers() == {"webhook": ReceiverState("webhook", 2, NOW, NOW + 7, 3)}
        waiting = [one.seq for one in moment.alerts.waiting("webhook")]
    assert waiting == list(range(4, MOST_WAITING + 4))
    store.alerts.note_delivered("webhook", waiting, NOW + 8)
    with store.asking() as moment:
        assert moment.alerts.receivers() == {"webhook": ReceiverState("webhook")}


def test_history_is_kept_for_ninety_days(engine: EngineCase) -> None:
    """What happened longer ago, and who was told of it, goes with the next turn."""
    store = engine.open()
    store.alerts.take_term("a", "x", NOW, NOW + 10)
    assert store.alerts.write_turn(1, turn_of(store, "beyond"), ("webhook",), NOW)
    for later, left in ((HISTORY_US, 1), (HISTORY_US + 1, 0)):
        assert store.alerts.write_turn(1, Turn(), (), NOW + later)
        with store.asking() as moment:
            assert len(moment.alerts.history(0, 9)) == left
            assert len(moment.alerts.deliveries(0)) == left
