"""What we lose, and whether alerts are evaluated."""

from __future__ import annotations

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.losses import (
    OURSELVES,
    judge_evaluation,
    judge_failure,
    judge_loss,
    judge_other_rules,
    judge_room,
)
from otel_measure.definitions.alerting.rules import ALERT_RULES
from tests.comparing import comparable
from tests.definitions.alerting.judging import MINUTE, NOW

RULES = {rule.key: rule for rule in ALERT_RULES}
SHOP = AlertSubject("process", "shop", "prod")


def test_records_that_were_lost() -> None:
    """One is beyond; the reason of most is told."""
    rule = RULES["measure_dropped"]
    lost = judge_loss(rule, SHOP, "dropped", {"shut_down": 2, "queue_full": 1200})
    assert lost == Judgement(
        *("measure_dropped", SHOP, "beyond", 1202, 0, 1202),
        "records of shop in the last 5 minutes: 1,202 dropped, 1,200 of them because of queue_full",
        "queue_full",
    )
    assert judge_loss(rule, SHOP, "dropped", {"": 1}).sentence == "records of shop in the last 5 minutes: 1 dropped"
    assert judge_loss(rule, SHOP, "dropped", {}) == Judgement("measure_dropped", SHOP, "within", 0, 0)


def test_a_store_without_room() -> None:
    """It is beyond with what the store says of it."""
    rule = RULES["measure_store_full"]
    full = judge_room(rule, "x.db uses 9 bytes")
    assert (full.outcome, full.sentence, full.cause) == ("beyond", "the store is full: x.db uses 9 bytes", "full")
    assert judge_room(rule, "").outcome == "within"


def test_alerts_that_were_not_evaluated() -> None:
    """More than five minutes between two evaluations are beyond, or more than a term where that is longer."""
    rule = RULES["measure_no_evaluation"]
    late = judge_evaluation(rule, NOW - 6 * MINUTE, 180, NOW)
    assert late == Judgement(
        *("measure_no_evaluation", OURSELVES, "beyond", 360, 300, 1),
        "alerts were not evaluated from 2026-01-15 11:54 to 2026-01-15 12:00 UTC: what went wrong meanwhile, and is"
        " well again, was told to nobody",
        since_us=NOW - 6 * MINUTE,
    )
    assert judge_evaluation(rule, NOW - 5 * MINUTE, 180, NOW).outcome == "within"
    assert judge_evaluation(rule, NOW - 6 * MINUTE, 900, NOW).outcome == "within"
    assert judge_evaluation(rule, 0, 180, NOW).outcome == "unknown"


def test_a_process_with_other_rules() -> None:
    """It is beyond for as long as it asks to evaluate."""
    rule = RULES["measure_other_rules"]
    assert comparable(judge_other_rules(rule, NOW - 5 * MINUTE, 180, NOW)) == comparable(
        Judgement(
            *("measure_other_rules", OURSELVES, "beyond"),
            evidence=1,
            sentence="a process of the store has other alert rules than the one that evaluates: give both the same"
            " version and settings, or stop one of them",
        )
    )
    assert judge_other_rules(rule, NOW - 6 * MINUTE, 180, NOW).outcome == "within"
    assert judge_other_rules(rule, NOW - 6 * MINUTE, 900, NOW).outcome == "beyond"
    assert judge_other_rules(rule, 0, 180, NOW).outcome == "within"


def test_rules_that_cannot_be_judged() -> None:
    """What failed is told of under the name of its judge, apart from the evaluation as a whole."""
    rule = RULES["measure_no_evaluation"]
    subject = AlertSubject("process", "otel-measure (cost)", "")
    assert comparable(judge_failure(rule, "cost", "KeyError: 'x'")) == comparable(
        Judgement(
            *("measure_no_evaluation", subject, "beyond"),
            evidence=1,
            sentence="the alert rules judged by cost are not evaluated: KeyError: 'x'; the log has the whole of it",
            cause="KeyError: 'x'",
        )
    )
    assert judge_failure(rule, "cost", "").outcome == "within"
