from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from otel_measure.alerting.evaluator import AlertRules, Evaluator, PresentAlerts
from otel_measure.alerting.in_force import BY_KEY
from otel_measure.alerting.maintenance import in_maintenance
from otel_measure.definitions.alerting.judgement import Judgement
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.errors import StoreUnavailable
from otel_measure.testing import Capture
from tests.alerting.evaluating import RULES, AlertServer
from tests.alerting.receiving import AWAY, TAKEN
from tests.definitions.alerting.judging import API, CHURN, MINUTE, NOW, judged


def statuses(server: AlertServer) -> list[tuple[str, str]]:
    """Return what a webhook was told since the last time: status, and number within the incident."""
    return [(body["status"], body["id"].rpartition("-")[2]) for body in server.log.taken()]


def test_an_outage_is_told_once_and_its_end_once() -> None:
    """From turn to turn nothing more is told, whatever the alert says."""
    server = AlertServer()
    assert server.minute(judged("within"))
    assert statuses(server) == []
    for _ in range(5):
        assert server.minute(judged("beyond"))
    assert statuses(server) == [("firing", "1")]
    for _ in range(8):
        assert server.minute(judged("within"))
    assert statuses(server) == [("resolved", "2")]


def test_two_servers_on_one_store_do_not_double() -> None:
    """One evaluates; when it is gone the other one goes on, and tells nothing again."""
    one = AlertServer(name="one")
    other = AlertServer(one.store, name="other", log=one.log)
    assert [server.minute(judged("beyond")) for server in (one, other)] == [True, False]
    assert [server.minute(judged("beyond")) for server in (other, one)] == [False, True]
    assert statuses(one) == [("firing", "1")]
    told = []
    for _ in range(12):  # the first one is gone, and its term lasts for three minutes
        told += [other.minute(judged("within"))]
    assert told == [False, False, False, *[True] * 9]
    assert statuses(one) == [("resolved", "2")]


def test_who_stops_lets_the_other_one_evaluate_at_once() -> None:
    """A term that is given up is free."""
    one = AlertServer(name="one")
    other = AlertServer(one.store, name="other")
    assert one.minute()
    one.evaluator.give_up()
    assert other.minute()
    assert not one.minute()


def test_a_server_with_other_rules_does_not_evaluate_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once each time that it begins, and not of a server that merely is not the one."""
    one = AlertServer(name="one", digest="x")
    same, newer = AlertServer(one.store, name="same", digest="x"), AlertServer(one.store, name="newer", digest="y")
    with caplog.at_level(logging.WARNING, "otel_measure"):
        assert one.minute()
        assert [same.minute(), newer.minute()] == [False, False]
        assert one.minute()
        assert not newer.minute()
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["alerts are not evaluated here"]
        one.evaluator.give_up()
        assert newer.minute()
        newer.evaluator.give_up()
        assert one.minute()
        assert not newer.minute()
    assert len(caplog.records) == 2


def test_a_turn_that_outlasts_its_term_writes_and_tells_nothing() -> None:
    """Another one has evaluated meanwhile: what was judged before is worth nothing."""
    slow = AlertServer(name="slow")
    quick = AlertServer(slow.store, name="quick", log=slow.log)

    def judge_slowly(now: int) -> list[Judgement]:
        quick.now_us = now + 10 * MINUTE
        assert quick.minute(judged("within"))
        return [judged("beyond")]

    told: list[PresentAlerts] = []
    evaluator = Evaluator(
        slow.store,
        AlertRules(RULES, "x", judge_slowly),
        receivers=["webhook"],
        tell=[told.append],
        holder=lambda: "slow",
        clock=lambda: NOW,
    )
    assert not evaluator.evaluate()
    with slow.store.asking() as moment:
        assert (moment.alerts.states(), moment.alerts.waiting("webhook"), told) == ([], [], [])


def test_nothing_is_told_when_judging_fails() -> None:
    """What is raised is the caller's to count; no heartbeat says that all is well."""
    server = AlertServer(alert_heartbeat="http://watch/me")
    server.judgements = []
    assert server.minute()
    assert [request.url for request in server.log.requests] == ["http://watch/me"]
    server.log.requests.clear()

    def unreadable(now: int) -> list[Judgement]:
        raise StoreUnavailable("locked", "it is locked", "wait")

    server.evaluator._rules = AlertRules({}, "x", unreadable)
    with pytest.raises(StoreUnavailable):
        server.evaluator.evaluate()
    assert server.log.requests == []


def test_a_silence_of_the_store_is_kept_to() -> None:
    """Nobody is told of what it covers, an Alertmanager neither."""
    server = AlertServer(alert_webhook="http://hook", alert_alertmanager="http://am")
    server.store.alerts.add_silence(Silence("1", None, "churn", None, NOW, NOW + 3 * MINUTE, "a release"))
    server.minute(judged("beyond"))
    server.minute(judged("beyond"))
    assert [request.json for request in server.log.requests] == []
    server.minute(judged("beyond"))
    assert [request.url for request in server.log.requests] == ["http://am/api/v2/alerts", "http://hook"]


def test_planned_maintenance_silences_a_service() -> None:
    """Nobody is told of a service in maintenance; afterwards they are, if it still fires."""
    with Capture() as capture:
        start = datetime.fromtimestamp(NOW / 1e6, UTC)
        capture.clock.now_us = NOW
        capture.infrastructure.register_service("api")
        capture.infrastructure.record_maintenance("api", start, start + timedelta(minutes=3))
        capture.runtime.flush()
        store = capture.runtime.store
        assert store is not None
        api = API._replace(environment="")
        assert in_maintenance(store, ["", "prod"], NOW + 1) == {api}
        assert in_maintenance(store, ["prod"], NOW + 1) == in_maintenance(store, [""], NOW + 3 * MINUTE) == frozenset()
        server = AlertServer(store)
        server.minute(judged("beyond", subject=api), judged("beyond", subject=CHURN))
        assert [body["subject"]["name"] for body in server.log.taken()] == ["churn"]
        for _ in range(2):
            server.minute(judged("beyond", subject=api), judged("beyond", subject=CHURN))
        assert [body["subject"]["name"] for body in server.log.taken()] == ["api"]


def test_a_dead_webhook_loses_nothing() -> None:
    """What it was not told while it was away it is told once, with how things stand, when it is back."""
    server = AlertServer()
    server.minute(judged("beyond"))
    (first,) = server.log.taken()
    server.log.reply = AWAY
    for _ in range(7):
        server.minute(judged("within"))
    for _ in range(7):
        server.minute(judged("within"), judged("beyond", "latency"))
    tried = {body["id"] for body in server.log.taken()}
    server.log.reply = TAKEN
    server.minute(judged("within"), judged("beyond", "latency"))
    (summary,) = server.log.taken()
    missed = [(one["status"], one["severity"]) for one in summary["missed"]]
    assert (summary["type"], missed) == ("summary", [("resolved", "page"), ("firing", "ticket")])
    assert [(alert["rule"], alert["state"]) for alert in summary["firing"]] == [("latency", "firing")]
    ids = [one["id"] for one in summary["missed"]]
    assert tried == {ids[0], summary["id"]}
    assert first["id"] not in ids
    for _ in range(7):
        server.minute()
    assert server.log.taken() == []


def own_rules(*keys: str) -> AlertRules:
    """Return rules about the evaluation itself."""
    return AlertRules({key: BY_KEY[key] for key in keys}, "x")


def evaluator_of(server: AlertServer, rules: AlertRules, holder: str = "one") -> Evaluator:
    """Return who evaluates by rules, by the clock of a server."""
    return Evaluator(server.store, rules, holder=lambda: holder, clock=lambda: server.now_us)


def alerts_of(server: AlertServer) -> list[tuple[str, str, str]]:
    """Return rule, phase and sentence of each alert."""
    with server.store.asking() as known:
        return [(state.rule, state.phase, state.judgement.sentence) for state in known.alerts.states()]


def test_a_gap_in_the_evaluation_is_told_of_by_who_goes_on() -> None:
    """After a process was killed, the next one says from when to when nothing was evaluated, until that is over."""
    server, rules = AlertServer(), own_rules("measure_no_evaluation")
    assert evaluator_of(server, rules).evaluate()
    server.now_us += 12 * MINUTE
    other = evaluator_of(server, rules, "other")
    assert other.evaluate()
    sentence = (
        "alerts were not evaluated from 2026-01-15 12:00 to 2026-01-15 12:12 UTC: what went wrong meanwhile, and is"
        " well again, was told to nobody"
    )
    assert alerts_of(server) == [("measure_no_evaluation", "firing", sentence)]
    for _ in range(6):
        server.now_us += MINUTE
        assert other.evaluate()
    assert alerts_of(server) == []


def test_who_ends_properly_leaves_no_gap() -> None:
    """A server that was stopped in the evening is started in the morning, and nobody is woken for it."""
    server, rules = AlertServer(), own_rules("measure_no_evaluation")
    evaluator = evaluator_of(server, rules)
    assert evaluator.evaluate()
    evaluator.give_up()
    server.now_us += 8 * 60 * MINUTE
    assert evaluator.evaluate()
    assert alerts_of(server) == []


def test_a_process_with_other_rules_is_told_of_after_ten_minutes() -> None:
    """A new version that replaces the old one meanwhile is no alert; one that stays is, until it is gone."""
    server, rules = AlertServer(), own_rules("measure_other_rules")
    evaluator = evaluator_of(server, rules)
    other = evaluator_of(server, AlertRules(RULES, "y"), "other")
    phases = []
    for minute in range(30):
        server.now_us += MINUTE
        assert evaluator.evaluate()
        if minute < 13:
            assert not other.evaluate()
        phases.append([phase for _, phase, _ in alerts_of(server)])
    firing = [minute for minute, each in enumerate(phases) if each == ["firing"]]
    assert (phases[0], phases[1], firing[0], firing[-1]) == ([], ["pending"], 11, 22)
