"""Alert rules that a KPI decides."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from otel_measure.ai.reports import Snapshot
from otel_measure.alerting.in_force import of_judge
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.judging.kept_readings import KeptReadings
from otel_measure.judging.kpi_rules import KEPT_US, KpiJudge, KpiRules, kpis_of
from otel_measure.judging.overview import Overview
from otel_measure.judging.scorecard import Readings, readings
from tests.comparing import comparable
from tests.judging.test_scorecard import changed, models, overview

OF_KPIS = of_judge(ALERT_RULES, "kpi")
NOON_US = 1_768_478_400_000_000


def read(overview: Overview) -> Readings:
    """Return what KPIs say, of which nothing is kept."""
    return readings(overview, BY_KEY, KeptReadings())


def test_what_the_rules_say_is_what_the_kpis_say() -> None:
    """Beyond is what alerts, unknown what is unknown; what has no subject yet is nobody's; a machine is judged once."""
    production = read(overview(cpu=95.0, api=99.0))._replace(environment="production")
    staging = read(overview())._replace(environment="staging")
    judged = {(one.rule, one.subject): one for one in KpiRules(OF_KPIS, "web-1").judge([production, staging])}
    host, api = AlertSubject("host", "web-1", ""), AlertSubject("service", "api", "production")
    beyond = {key: one for key, one in judged.items() if one.outcome == "beyond"}
    assert beyond == {
        ("host_cpu", host): Judgement(
            "host_cpu", host, "beyond", 95.0, 90.0, 0, "CPU usage is 95 %, above 90 %"
        ),
        ("host_disk", host): Judgement(
            "host_disk", host, "beyond", 95.0, 90.0, 0, "Disk usage is 95 %, above 90 %"
        ),
        ("service_availability", api): Judgement(
            "service_availability", api, "beyond", 99.0, 99.9, 0, "Availability of api is 99 %, below 99.9 %"
        ),
    }  # fmt: skip
    assert comparable(judged["host_memory", host]) == comparable(Judgement("host_memory", host, "within", 85.0, 90.0))
    assert {subject.name for _, subject in judged if subject.kind == "users"} == {"all users"}
    assert {subject.environment for _, subject in judged if subject.kind == "users"} == {"production", "staging"}
    assert [subject for _, subject in judged if subject.kind == "model"] == []


def test_a_model_is_judged_by_its_worst_version() -> None:
    """A rule about models has one judgement of all versions: beyond where one is, unknown where none is known."""
    by_latency = [replace(OF_KPIS[0], key="late", about="model", kpi="latency_p95_ms")]

    def judged(**p95_ms: float) -> list[tuple[str, str, str]]:
        versions = tuple(changed(one, model_name="m", model_version=one.model_name) for one in models(**p95_ms).models)
        told = read(replace(overview(), models=replace(models(), models=versions)))
        return [(one.subject.name, one.outcome, one.sentence) for one in KpiRules(by_latency, "web-1").judge([told])]

    sentence = "Inference latency p95 of m b is 600 ms, above 500 ms"
    assert judged(a=100, b=600, c=nan) == [("m", "beyond", sentence)]
    assert judged(a=100, b=nan) == [("m", "within", "")]
    assert judged(b=nan) == [("m", "unknown", "")]


def test_what_is_said_of_a_model_is_kept_until_one_of_its_versions_is_judged_anew() -> None:
    """Also where versions come and go; of an environment that is gone nothing is said."""
    by_latency = [replace(OF_KPIS[0], key="late", about="model", kpi="latency_p95_ms")]
    rules, kept = KpiRules(by_latency, "web-1"), KeptReadings()
    one, other, newer = (
        changed(snapshot, model_name=name, model_version=version)
        for snapshot, name, version in zip(models(a=100, b=100, c=600).models, "mnm", "112", strict=True)
    )

    def judged(*versions: Snapshot, environment: str = "test") -> list[Judgement]:
        told = readings(replace(overview(), models=replace(models(), models=versions)), BY_KEY, kept)
        return rules.judge([told._replace(environment=environment)])

    of_m, of_n = judged(one, other)
    assert [after is before for after, before in zip(judged(one, other), (of_m, of_n), strict=True)] == [True, True]
    worse, same = judged(one, newer, other)
    assert (worse.outcome, same is of_n) == ("beyond", True)
    assert [(each.subject.name, each.outcome) for each in judged(other)] == [("n", "within")]
    assert [each.subject.environment for each in judged(other, environment="other")] == ["other"]


def test_kpis_are_read_anew_every_five_minutes() -> None:
    """In between, and by a clock that stands, what was said stays; a clock that was set back reads anew."""
    times_read: list[int] = []

    def read_all() -> list[Readings]:
        times_read.append(1)
        return [read(overview())]

    judge = KpiJudge(OF_KPIS, "web-1", read_all)
    times = (NOON_US, NOON_US + KEPT_US - 1, NOON_US + KEPT_US, NOON_US + KEPT_US + 1, NOON_US)
    counted = []
    for now_us in times:
        assert [one.rule for one in judge.judge(now_us)]
        counted.append(len(times_read))
    assert counted == [1, 1, 2, 2, 3]


def test_a_threshold_of_a_users_own_decides() -> None:
    """By another threshold a machine that alerted is within, another one beyond, and the sentence names it."""
    rules = rules_with({"host_cpu": {"threshold": 98}, "host_memory": {"threshold": 84}})
    of_kpis = of_judge(rules, "kpi")
    told = readings(overview(cpu=95.0), kpis_of(of_kpis), KeptReadings())
    judged = {one.rule: one for one in KpiRules(of_kpis, "web-1").judge([told])}
    assert (judged["host_cpu"].outcome, judged["host_cpu"].threshold) == ("within", 98.0)
    memory = judged["host_memory"]
    assert (memory.outcome, memory.threshold, memory.sentence) == (
        *("beyond", 84.0, "Memory usage is 85 %, above 84 %"),
    )
