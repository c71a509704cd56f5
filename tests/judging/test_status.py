"""The worst of everything in a sentence, and what fires."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import nan

import pytest

from otel_measure.alerting.deliveries import ListedAlert
from otel_measure.alerting.messages import SubjectMessage
from otel_measure.alerting.report import RuleAlerts
from otel_measure.definitions.alerting.judgement import SubjectKind
from otel_measure.definitions.verdicts import Verdict
from otel_measure.infrastructure.ledger import Service
from otel_measure.judging.alerts import alerts
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard, scorecard
from otel_measure.judging.status import FiringAlert, Status, status
from tests.judging.test_scorecard import NOW, changed, models, overview

SINCE = datetime(2026, 3, 10, 11, tzinfo=UTC)
CPU = Reading(
    "cpu_usage_percent", "infrastructure", "CPU usage", "percent", "", 80.04, None, None, 80.0, 90.0, "warning", "",
    "5m", "CPU > 90 %",
)  # fmt: skip


def card(*readings: Reading, **verdicts: int) -> Scorecard:
    """A scorecard of some readings that counts verdicts as a test says."""
    counted: dict[Verdict, int] = {"alert": 0, "warning": 0, "ok": 0, "unknown": 0}
    for verdict in counted:
        counted[verdict] = verdicts.get(verdict, 0)
    return Scorecard(readings, counted, NOW, "current", "prod")


def fired(
    kind: SubjectKind = "model",
    name: str = "churn",
    sentence: str = "Half of the calls of churn fail.",
    rule: str = "model_errors",
    kpi: str = "error_rate",
    environment: str = "prod",
) -> ListedAlert:
    """An alert of a rule that fires."""
    return ListedAlert(
        rule, "Calls fail", SubjectMessage(kind, name, environment), "page", "firing", "", 0.5, 0.05, 20,
        sentence, "timeout", SINCE, None, kpi, f"http://page/#/rules/{rule}",
    )  # fmt: skip


def of(judged: Scorecard, *active: ListedAlert, services: tuple[Service, ...] = (), machine: str = "healthy") -> Status:
    """The status of what a test gives, on the machine web-1."""
    told = alerts(judged, RuleAlerts(active, evaluated=NOW), "web-1")
    return status(judged, told, services, machine, "web-1", lambda key: f"http://page/#/rules/of_{key}")


def down(*names: str) -> tuple[Service, ...]:
    """Services that are down, and one that is not."""
    return (
        *(Service(name, "down", SINCE, 99.9, SINCE) for name in names),
        Service("well", "up", None, 99.9, SINCE),
    )


@pytest.mark.parametrize(
    ("told", "look", "sentence"),
    [
        (of(card()), "unknown", "Nothing can be judged yet: there is too little data, or none."),
        (of(card(ok=1)), "good", "No alert fires, and the KPI that is judged keeps its target."),
        (
            of(card(ok=12, unknown=2)), "good",
            "No alert fires, and all 12 KPIs that are judged keep their targets. 2 others cannot be judged yet.",
        ),
        (of(card(ok=12), machine="degraded"), "fair", "No alert fires. This machine is degraded."),
        (of(card(CPU), machine="degraded"), "fair", "No alert fires. CPU usage is 80.04 %: the target is 80 %."),
        (
            of(card(CPU, replace(CPU, key="nps_score"))), "fair",
            "No alert fires. 2 KPIs miss their targets. CPU usage is 80.04 %: the target is 80 %.",
        ),
        (
            of(card(replace(CPU, subject="gpt 1", value=nan, target=None))), "fair",
            "No alert fires. CPU usage of gpt 1 is unknown.",
        ),
        (of(card(CPU), services=down("api")), "bad", "api is down."),
        (of(card(CPU), services=down("api", "db")), "bad", "api, db are down."),
        (of(card(CPU), fired(), services=down("api")), "bad", "Half of the calls of churn fail."),
        (
            of(card(), fired(), fired(name="x 1")), "bad",
            "Half of the calls of churn fail, and 1 more alert fires.",
        ),
        (
            of(card(replace(CPU, value=95.0, verdict="alert")), fired(), replace(fired(), state="pending")), "bad",
            "Half of the calls of churn fail, and 1 more alert fires.",
        ),
        (
            of(card(), *(fired(name=f"m{n} 1") for n in range(3))), "bad",
            "Half of the calls of churn fail, and 2 more alerts fire.",
        ),
    ],
)  # fmt: skip
def test_the_worst_is_a_sentence(told: Status, look: str, sentence: str) -> None:
    """The first that holds is said: an alert, a service that is down, a missed target, the machine; else what keeps."""
    assert (told.look, told.sentence) == (look, sentence)


def test_what_fires_is_one_list() -> None:
    """Alerts of rules stand before KPIs beyond their threshold; each says of whom, why, since when and what to do."""
    judged = scorecard(replace(overview(api=98.0), models=models(slow=600)))
    told = of(judged, fired())
    assert told.firing == (
        FiringAlert("model_errors", "error_rate", "page", "model", "churn", "prod", "",
                    "Half of the calls of churn fail.", "timeout", 0.5, 0.05, 20, SINCE, (), "http://page/#/rules/model_errors"),
        FiringAlert("", "disk_usage_percent", "critical", "host", "web-1", "", "", "Disk usage is 95 %, above 90 %",
                    "Disk > 90 %", 95.0, 90.0, 0, None, (), "http://page/#/rules/of_disk_usage_percent"),
        FiringAlert("", "availability_percent", "critical", "service", "api", "", "",
                    "Availability of api is 98 %, below 99.9 %", "Availability < 99.9 %",
                    told.firing[2].value, 99.9, 0, None, (), "http://page/#/rules/of_availability_percent"),
        FiringAlert("", "latency_p95_ms", "critical", "model", "slow", "", "1",
                    "Inference latency p95 of slow 1 is 600 ms, above 500 ms", "P95 latency > 500 ms", 600.0, 500.0, 20,
                    None, (), "http://page/#/rules/of_latency_p95_ms"),
    )  # fmt: skip
    assert (len(told.firing), told.evaluated, told.timestamp, told.verdicts) == (4, NOW, NOW, judged.verdicts)


def test_a_subject_is_told_of_once() -> None:
    """The worst rule leads and names its KPI and the version; what else is beyond stands beside it, each once."""
    judged = scorecard(replace(overview(), models=models(slow=600)))
    of_rules = (
        fired(name="slow", environment=""),
        fired(name="slow", environment="", rule="model_latency", kpi="latency_p95_ms"),
        fired("host", "web-1", "The disk of web-1 fills up.", "host_disk_fills", "", ""),
    )
    leading = [(one.rule, one.kpi, one.version, one.also) for one in of(judged, *of_rules).firing]
    assert leading == [
        ("model_errors", "error_rate", "", ("model_latency",)),
        ("host_disk_fills", "", "", ("disk_usage_percent",)),
    ]
    (slow, _) = of(judged, of_rules[1], of_rules[2]).firing
    assert (slow.rule, slow.kpi, slow.version, slow.also) == ("model_latency", "latency_p95_ms", "1", ())


def test_others_are_told_of_beside() -> None:
    """The same KPI of another model, environment or machine than the rule is about is a subject of its own."""
    judged = scorecard(replace(overview(), models=models(slow=600)))
    others = (fired(name="slow 1", environment=""), fired(name="slow"), fired("host", "web-2", "Full.", "host_disk"))
    told = of(judged, *others)
    assert [(one.rule, one.subject) for one in told.firing] == [
        ("model_errors", "slow 1"), ("model_errors", "slow"), ("host_disk", "web-2"), ("", "web-1"), ("", "slow"),
    ]  # fmt: skip


def test_two_versions_of_a_model_are_one_subject() -> None:
    """Of KPIs alone the first leads, in the order of the table, and names its version."""
    slow, odd = models(slow=600).models[0], models(slow=700).models[0]
    newer = changed(odd, model_version="2")
    judged = scorecard(replace(overview(), models=replace(models(), models=(slow, newer))))
    (of_model,) = [one for one in of(judged).firing if one.kind == "model"]
    assert (of_model.subject, of_model.version, of_model.also) == ("slow", "1", ())
