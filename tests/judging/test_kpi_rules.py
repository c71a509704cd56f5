"""Alert rules that a KPI decides."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from otel_measure.alerting.in_force import of_judge
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rules import ALERT_RULES
from otel_measure.judging.kpi_rules import KEPT_US, KpiJudge, judged_kpis, kpis_of
from otel_measure.judging.scorecard import Scorecard, scorecard
from tests.comparing import comparable
from tests.judging.test_scorecard import changed, models, overview

OF_KPIS = of_judge(ALERT_RULES, "kpi")
NOON_US = 1_768_478_400_000_000


def test_what_the_rules_say_is_what_the_kpis_say() -> None:
    """Beyond is what alerts, unknown what is unknown; what has no subject yet is nobody's; a machine is judged once."""
    card = replace(scorecard(overview(cpu=95.0, api=99.0)), environment="production")
    staging = replace(scorecard(overview()), environment="staging")
    judged = {(one.rule, one.subject): one for one in judged_kpis([card, staging], OF_KPIS, "web-1")}
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
        card = scorecard(replace(overview(), models=replace(models(), models=versions)))
        return [(one.subject.name, one.outcome, one.sentence) for one in judged_kpis([card], by_latency, "web-1")]

    sentence = "Inference latency p95 of m b is 600 ms, above 500 ms"
    assert judged(a=100, b=600, c=nan) == [("m", "beyond", sentence)]
    assert judged(a=100, b=nan) == [("m", "within", "")]
    assert judged(b=nan) == [("m", "unknown", "")]


def test_kpis_are_read_anew_every_five_minutes() -> None:
    """In between, and by a clock that stands, what was said stays; a clock that was set back reads anew."""
    read: list[int] = []

    def cards() -> list[Scorecard]:
        read.append(1)
        return [scorecard(overview())]

    judge = KpiJudge(OF_KPIS, "web-1", cards)
    times = (NOON_US, NOON_US + KEPT_US - 1, NOON_US + KEPT_US, NOON_US + KEPT_US + 1, NOON_US)
    counted = []
    for now_us in times:
        assert [one.rule for one in judge.judge(now_us)]
        counted.append(len(read))
    assert counted == [1, 1, 2, 2, 3]


def test_a_threshold_of_a_users_own_decides() -> None:
    """By another threshold a machine that alerted is within, another one beyond, and the sentence names it."""
    rules = rules_with({"host_cpu": {"threshold": 98}, "host_memory": {"threshold": 84}})
    card = scorecard(overview(cpu=95.0), kpis_of(of_judge(rules, "kpi")))
    judged = {one.rule: one for one in judged_kpis([card], of_judge(rules, "kpi"), "web-1")}
    assert (judged["host_cpu"].outcome, judged["host_cpu"].threshold) == ("within", 98.0)
    memory = judged["host_memory"]
    assert (memory.outcome, memory.threshold, memory.sentence) == (
        *("beyond", 84.0, "Memory usage is 85 %, above 84 %"),
    )
