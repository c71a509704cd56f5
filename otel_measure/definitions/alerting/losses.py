"""Whether what we are given is lost, and whether alerts are evaluated at all: pure judges of ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import moment

OURSELVES: Final = AlertSubject("process", "otel-measure", "")
"""What is about no service: the store, and who evaluates."""


def judge_loss(rule: AlertRule, subject: AlertSubject, outcome: str, lost: Mapping[str, int]) -> Judgement:
    """Say whether more records were lost within the window of a rule than its threshold.

    Args:
        rule: its threshold is a number of records.
        subject: the processes of a service.
        outcome: what became of the records: "dropped" before they were stored, or "rejected" by the store.
        lost: how many, by the reason.
    """
    records = sum(lost.values())
    judgement = Judgement(rule.key, subject, "within", records, rule.threshold, records)
    if records <= rule.threshold:
        return judgement
    reason = max(sorted(lost), key=lambda each: lost[each])
    sentence = f"records of {subject.name} in the last {rule.window_s // 60:,} minutes: {records:,} {outcome}"
    because = f", {lost[reason]:,} of them because of {reason}" if reason else ""
    return replace(judgement, outcome="beyond", sentence=sentence + because, cause=reason)


def judge_room(rule: AlertRule, full_because: str) -> Judgement:
    """Say whether the store has no room; `full_because` is what it says of that, empty where it has."""
    if not full_because:
        return Judgement(rule.key, OURSELVES, "within")
    return Judgement(rule.key, OURSELVES, "beyond", sentence=f"the store is full: {full_because}", cause="full")


def judge_evaluation(rule: AlertRule, last_us: int, term_s: float, now_us: int) -> Judgement:
    """Say whether alerts were evaluated until now; what they did not see meanwhile is told of by nobody.

    Args:
        rule: its threshold is a number of seconds.
        last_us: when they were evaluated last; 0 where they never were, or whoever did it has ended properly since.
        term_s: so long the term of who evaluates lasts: it is no fault that nothing is evaluated for less.
        now_us: microseconds.
    """
    if not last_us:
        return Judgement(rule.key, OURSELVES, "unknown", threshold=rule.threshold)
    idle_s = (now_us - last_us) / SECOND_US
    judgement = Judgement(rule.key, OURSELVES, "within", idle_s, rule.threshold)
    if idle_s <= max(rule.threshold, term_s):
        return judgement
    sentence = (
        f"alerts were not evaluated from {moment(last_us):%Y-%m-%d %H:%M} to {moment(now_us):%Y-%m-%d %H:%M} UTC:"
        " what went wrong meanwhile, and is well again, was told to nobody"
    )
    return replace(judgement, outcome="beyond", evidence=1, sentence=sentence, since_us=last_us)


def judge_failure(rule: AlertRule, judge: str, failure: str) -> Judgement:
    """Say whether rules could not be judged: a fault of ours, of which the outage that they would have told is no part.

    Args:
        rule: of this.
        judge: the name of what judges them.
        failure: what went wrong, empty for nothing.
    """
    subject = AlertSubject("process", f"{OURSELVES.name} ({judge})", "")
    if not failure:
        return Judgement(rule.key, subject, "within")
    sentence = f"the alert rules judged by {judge} are not evaluated: {failure}; the log has the whole of it"
    return Judgement(rule.key, subject, "beyond", evidence=1, sentence=sentence, cause=failure)


def judge_other_rules(rule: AlertRule, refused_us: int, term_s: float, now_us: int) -> Judgement:
    """Say whether a process with other rules wants to evaluate, and does not.

    Args:
        rule: of this.
        refused_us: when one was refused last; 0 for never.
        term_s: after so long without one, there is none any more.
        now_us: microseconds.
    """
    if not refused_us or now_us - refused_us > max(rule.window_s, term_s) * SECOND_US:
        return Judgement(rule.key, OURSELVES, "within")
    sentence = (
        "a process of the store has other alert rules than the one that evaluates: give both the same version and"
        " settings, or stop one of them"
    )
    return Judgement(rule.key, OURSELVES, "beyond", evidence=1, sentence=sentence)
