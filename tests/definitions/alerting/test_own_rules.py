"""Rules that users add."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from otel_measure.ai import series as models
from otel_measure.definitions.alerting.overrides import rules_with
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.rules import ALERT_RULES, rules_digest
from otel_measure.definitions.alerting.series_columns import OF_DOMAIN
from otel_measure.errors import ConfigurationError
from otel_measure.infrastructure import availability_series as services
from otel_measure.infrastructure.history import READINGS
from otel_measure.users import series as users

SLOW: Mapping[str, object] = {"series": "ai.p95_ms", "above": 2000}


def test_every_column_of_a_series_may_have_a_rule() -> None:
    """The columns of the table are those that the series have."""
    assert {domain: list(columns) for domain, columns in OF_DOMAIN.items()} == {
        "ai": list(models._COLUMNS),
        "users": list(users._COLUMNS),
        "infrastructure": [f"{name}{most}" for name in READINGS for most in ("", "_max")],
        "availability": list(services.COLUMNS),
    }


def test_a_rule_of_ones_own_stands_behind_those_of_the_product() -> None:
    """What is not said is by default: a ticket, of every subject, over 15 minutes, of users over a day."""
    slow = AlertRule(
        "slow", "ai.p95_ms is above 2,000 ms", "model", "series", "ticket", 900, 2000.0, "ms",
        clears_s=300, docs="a-rule-over-any-series", series="ai.p95_ms", side="above",
    )  # fmt: skip
    few = AlertRule(
        "few", "Few came", "users", "series", "page", 604_800, 50.0, "count", holds_s=600,
        clears_s=3600, docs="a-rule-over-any-series", series="users.active", side="below", min_evidence=1,
    )  # fmt: skip
    given = {
        "slow": SLOW,
        "few": {
            "series": "users.active", "below": 50, "window_s": 604_800, "severity": "page", "holds_s": 600,
            "min_evidence": 1, "title": "Few came",
        },
        "off": {**SLOW, "enabled": False},
        "host_cpu": {"threshold": 80},
    }  # fmt: skip
    assert rules_with(given)[len(ALERT_RULES) :] == (slow, few)
    assert rules_with({"one": {**SLOW, "subject": "gpt-4o"}})[-1].only == "gpt-4o"


def test_rules_of_ones_own_make_another_set_of_rules() -> None:
    """Servers of one store need the same ones: a threshold or a side more is another digest, a title is not."""
    digests = [
        rules_digest(rules_with(given))
        for given in (
            {}, {"a": SLOW}, {"a": {**SLOW, "above": 2001}}, {"a": {"series": "ai.p95_ms", "below": 2000}},
            {"a": {**SLOW, "subject": "m"}}, {"a": {**SLOW, "title": "Slow"}},
        )
    ]  # fmt: skip
    assert digests[-1] == digests[1]
    assert len(set(digests)) == 5


@pytest.mark.parametrize(
    ("key", "given", "message"),
    [
        ("Slow search", SLOW, "'Slow search'] is no name of a rule: small letters, digits and _, a letter first"),
        ("a", {**SLOW, "series": "ai.p95"}, "is 'ai.p95'; did you mean 'ai.p95_ms'? its columns are ai.requests,"),
        ("a", {**SLOW, "series": "p95_ms"}, "such as 'ai.p95_ms'; the series are ai, users, infrastructure, availab"),
        ("a", {**SLOW, "series": 7}, "alert_rules['a']['series'] is 7; it must be a series and a column of it"),
        ("a", {"series": "ai.p95_ms"}, "alert_rules['a'] needs one threshold: above = NUMBER or below = NUMBER"),
        ("a", {**SLOW, "below": 1}, "needs one threshold"),
        ("a", {**SLOW, "above": "2 s"}, "['above'] is '2 s'; it must be a number, in the unit of the column"),
        ("a", {**SLOW, "above": True}, "['above'] is True; it must be a number"),
        ("a", {**SLOW, "treshold": 1}, "unknown key 'treshold'; known are series, above, below, subject, window_s"),
        ("a", {**SLOW, "window_s": 90}, "['window_s'] is 90; it must be whole minutes, in seconds, from 60 to 2592000"),
        (
            "a", {"series": "users.active", "below": 1, "window_s": 3600},
            "is 3600; it must be whole days, in seconds, from 86400 to 2592000",
        ),
        ("a", {"series": "users.active", "below": 1, "subject": "x"}, "users.active has one subject: leave it out"),
        ("a", {**SLOW, "subject": " "}, "['subject'] is ' '; it must be text of at most 200 characters"),
        ("a", {**SLOW, "min_evidence": 0}, "['min_evidence'] is 0; it must be a whole number, from 1 to 1000000000"),
        (
            "a", {"series": "infrastructure.cpu_percent", "above": 95, "min_evidence": 5},
            "is 5; nine tenths of the window have to be seen: leave it out",
        ),
        ("a", {**SLOW, "severity": "phone"}, "['severity'] is 'phone'; it must be one of page, ticket"),
        ("a", {**SLOW, "holds_s": 5}, "['holds_s'] is 5; it must be whole minutes, in seconds, from 0 to 86400"),
        ("a", {**SLOW, "enabled": "no"}, "['enabled'] is 'no'; it must be true or false"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(key: str, given: Mapping[str, object], message: str) -> None:
    """A refusal names the rule, the value, and what it may be."""
    with pytest.raises(ConfigurationError) as refused:
        rules_with({key: given})
    assert message in str(refused.value)
