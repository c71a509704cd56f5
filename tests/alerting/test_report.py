from __future__ import annotations

from datetime import datetime

from otel_measure.alerting.deliveries import ListedAlert
from otel_measure.alerting.report import RuleAlerts, rule_alerts
from otel_measure.config import Settings
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.days import micros, moment
from otel_measure.definitions.exposition import Sample
from otel_measure.judging import gauges
from otel_measure.testing import Capture
from tests.alerting.evaluating import AlertServer
from tests.alerting.receiving import AWAY, TAKEN
from tests.definitions.alerting.judging import API, CHURN, MINUTE, NOW, judged


def test_how_alerts_stand() -> None:
    """What fires comes before what is pending; what happened, the newest first; and of what nobody is told."""
    server = AlertServer()
    empty = rule_alerts(server.store, server.messages, None, NOW)
    assert empty == RuleAlerts()
    staging = CHURN._replace(environment="staging")
    server.store.alerts.add_silence(Silence("s", None, "churn", None, NOW, NOW + 60 * MINUTE, "a release"))
    server.minute(judged("beyond", subject=API), judged("beyond", "latency", staging), judged("beyond"))
    for _ in range(6):
        server.minute(judged("within", subject=API), judged("beyond", "latency", staging), judged("beyond"))
    told = rule_alerts(server.store, server.messages, None, server.now_us)
    assert [(one.rule, one.subject.environment, one.state) for one in told.active] == [
        ("errors", "prod", "firing"),
        ("latency", "staging", "firing"),
    ]
    assert [(one.subject.name, one.state) for one in told.recent[:1]] == [("api", "resolved")]
    assert (len(told.recent), told.silenced, told.evaluated) == (4, 2, moment(server.now_us))
    assert [(one.id, one.subject, one.rule, one.reason) for one in told.silences] == [("s", "churn", None, "a release")]
    of_staging = rule_alerts(server.store, server.messages, frozenset({"staging", ""}), server.now_us)
    assert [one.rule for one in (*of_staging.active, *of_staging.recent)] == ["latency", "latency"]


def told_of(alert: ListedAlert) -> list[tuple[str, str, int, int | None]]:
    """Return who was told of what, and by minute when it was to be told and when it was taken."""
    return [
        (one.receiver, one.status, since(one.at), None if one.taken is None else since(one.taken)) for one in alert.told
    ]


def since(at: datetime) -> int:
    """Return minutes since the first turn."""
    return (micros(at) - NOW) // MINUTE


def test_who_was_told_of_an_alert() -> None:
    """Each receiver of the incident that was open while it fired, when it was due and taken; nobody of another one."""
    server = AlertServer(alert_webhook="http://hook/", alert_slack="http://slack/")
    server.minute(judged("beyond"), judged("beyond", "latency", API))
    server.log.reply = AWAY
    server.minute(judged("beyond"), judged("beyond", "latency"), judged("within", "latency", API))
    server.log.reply = TAKEN
    for _ in range(6):
        server.minute(judged("within"), judged("beyond", "latency"), judged("within", "latency", API))
    for _ in range(6):
        server.minute(judged("within"), judged("within", "latency"))
    server.log.reply = AWAY
    server.minute(judged("beyond"))
    report = rule_alerts(server.store, server.messages, None, server.now_us)
    (active,) = report.active
    assert told_of(active) == [("slack", "firing", 15, None), ("webhook", "firing", 15, None)]
    of_churn = [(one.rule, one.state, told_of(one)) for one in report.recent if one.subject.name == "churn"]
    incident = [
        *((name, "firing", 1, 1) for name in ("slack", "webhook")),
        *((name, "firing", 8, 8) for name in ("slack", "webhook")),
        *((name, "resolved", 14, 14) for name in ("slack", "webhook")),
    ]
    assert of_churn == [
        ("errors", "firing", told_of(active)),
        ("latency", "resolved", incident),
        ("errors", "resolved", incident),
        ("latency", "firing", incident),
        ("errors", "firing", incident),
    ]
    of_api = next(one for one in report.recent if (one.subject.name, one.state) == ("api", "resolved"))
    assert {status for _, status, _, _ in told_of(of_api)} == {"firing", "resolved"}


def test_alerts_in_the_exposition() -> None:
    """Each that is not inactive is 1; the time of the last evaluation is there once there was one."""
    server = AlertServer()
    with server.store.asking() as moment_of_the_store:
        known = moment_of_the_store.alerts
        assert list(gauges.alert_values(known.states(), known.last_evaluation())) == []
    server.minute(judged("beyond"))
    with server.store.asking() as moment_of_the_store:
        known = moment_of_the_store.alerts
        families = gauges.families(gauges.alert_values(known.states(), known.last_evaluation()))
    assert {family.name: family.samples for family in families} == {
        "otel_measure.alert": [
            Sample(
                'deployment_environment_name="prod",otel_measure_alert_rule="errors",'
                'otel_measure_alert_severity="page",otel_measure_alert_state="firing",'
                'otel_measure_alert_subject_kind="model",otel_measure_alert_subject_name="churn"',
                1.0,
            )
        ],
        "otel_measure.alert.last_evaluation.timestamp": [Sample("", server.now_us / 1e6)],
    }


def test_without_a_store_there_are_no_alerts_of_rules() -> None:
    """The answer is empty, and says that nobody evaluates."""
    with Capture(Settings(store=None)) as capture:
        assert capture.runtime.rule_alerts() == RuleAlerts()
        capture.runtime.evaluate_alerts()
    with Capture() as capture:
        assert capture.runtime.rule_alerts(environment="prod") == RuleAlerts()
