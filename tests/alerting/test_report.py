from __future__ import annotations

from otel_measure.alerting.report import RuleAlerts, rule_alerts
from otel_measure.config import Settings
from otel_measure.definitions.alerting.silences import Silence
from otel_measure.definitions.days import moment
from otel_measure.definitions.exposition import Sample
from otel_measure.judging import gauges
from otel_measure.testing import Capture
from tests.alerting.evaluating import AlertServer
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
