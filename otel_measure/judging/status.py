"""The worst of everything in one sentence, and all that fires, alerts of rules and of KPIs in one list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, TypeAlias

from otel_measure.alerting.report import RuleAlerts
from otel_measure.definitions.alerting.judgement import SubjectKind
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import Verdict, format_value
from otel_measure.definitions.windows import CountedBy
from otel_measure.infrastructure.ledger import Service
from otel_measure.judging.alerts import Alert, alerts
from otel_measure.judging.kpi_rules import ALL_USERS
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard
from otel_measure.records.enums import HealthStatus

Look: TypeAlias = Literal["bad", "fair", "good", "unknown"]
_KINDS: Final[dict[str, SubjectKind]] = {"infrastructure": "host", "ai": "model", "users": "users"}
_SERVICES: Final = "availability_percent"


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """One thing that fires.

    Attributes:
        rule: the key of the rule, or of the KPI that is beyond its threshold.
        severity: "page" or "ticket" of a rule, "critical" of a KPI.
        kind, subject, environment: whom it is about.
        cause: of a rule the reason of an outage or the error type of most failures, of a KPI its rule in words.
        since: when it began to fire; `None` of a KPI, which is looked at when somebody asks.
    """

    rule: str
    severity: Literal["page", "ticket", "critical"]
    kind: SubjectKind
    subject: str
    environment: str
    sentence: str
    cause: str
    value: float
    threshold: float
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """How everything is.

    Attributes:
        look: how bad the sentence is.
        sentence: the worst of everything.
        firing: what fires, rules before KPIs, the worst first.
        total: how many that are; a page of them has the first alone.
        verdicts: how many readings of KPIs have each.
        evaluated: when rules were evaluated last; `None` where nobody ever did.
        environment: that services, models and users are of.
    """

    look: Look
    sentence: str
    firing: tuple[FiringAlert, ...]
    total: int
    verdicts: dict[Verdict, int]
    evaluated: datetime | None
    timestamp: datetime
    definitions: CountedBy
    environment: str


def status(card: Scorecard, rules: RuleAlerts, services: Sequence[Service], machine: str, host: str) -> Status:
    """Return the worst of everything, and what fires.

    A subject that a rule fires about is not told of again by its KPIs: most rules judge by them.

    Args:
        card: every KPI with its verdict.
        rules: how the alerts of rules stand.
        services: every registered one of the environment.
        machine: the status of the machine, as its summary has it.
        host: the name of the machine.
    """
    of_rules = list(_of_rules(rules))
    told = {(alert.kind, alert.subject) for alert in of_rules}
    of_kpis = (_of_kpi(alert, card.environment, host) for alert in alerts(card).alerts)
    firing = (*of_rules, *(alert for alert in of_kpis if (alert.kind, alert.subject) not in told))
    look, sentence = _worst(firing, card, [one.service_name for one in services if one.state == "down"], machine)
    return Status(
        look, sentence, firing, len(firing), card.verdicts, rules.evaluated, card.timestamp, card.definitions,
        card.environment,
    )  # fmt: skip


def _of_rules(rules: RuleAlerts) -> Iterator[FiringAlert]:
    for alert in rules.active:
        if alert.state == "firing":
            yield FiringAlert(
                alert.rule, alert.severity, alert.subject.kind, alert.subject.name, alert.subject.environment,
                alert.sentence, alert.cause, alert.value, alert.threshold, alert.since,
            )  # fmt: skip


def _of_kpi(alert: Alert, environment: str, host: str) -> FiringAlert:
    kind: SubjectKind = "service" if alert.key == _SERVICES else _KINDS[alert.domain]
    subject = {"host": host, "users": ALL_USERS}.get(kind, alert.subject)
    return FiringAlert(
        alert.key, alert.severity, kind, subject, "" if kind == "host" else environment,
        alert.message, alert.rule, alert.value, alert.threshold, None,
    )  # fmt: skip


def _worst(firing: Sequence[FiringAlert], card: Scorecard, down: Sequence[str], machine: str) -> tuple[Look, str]:
    """Return the first of these that holds, which stand from the worst on."""
    if firing:
        rest = len(firing) - 1
        others = f", and {_counted(rest, 'more alert')} fire{'s' if rest == 1 else ''}" if rest else ""
        return "bad", f"{firing[0].sentence.removesuffix('.')}{others}."
    if down:
        return "bad", f"{', '.join(down)} {'are' if len(down) > 1 else 'is'} down."
    if missed := [reading for reading in card.kpis if reading.verdict == "warning"]:
        return "fair", f"No alert fires. {_missed(missed)}."
    if machine != HealthStatus.HEALTHY.value:
        return "fair", f"No alert fires. This machine is {machine}."
    ok, unknown = card.verdicts["ok"], card.verdicts["unknown"]
    if not ok:
        return "unknown", "Nothing can be judged yet: there is too little data, or none."
    kept = (
        "the KPI that is judged keeps its target" if ok == 1 else f"all {ok:,} KPIs that are judged keep their targets"
    )
    rest_of_them = f" {_counted(unknown, 'other')} cannot be judged yet." if unknown else ""
    return "good", f"No alert fires, and {kept}.{rest_of_them}"


def _missed(missed: Sequence[Reading]) -> str:
    first = missed[0]
    kpi = replace(BY_KEY[first.key], target=first.target, alert=first.alert)
    of = f" of {first.subject}" if first.subject else ""
    target = "" if first.target is None else f": the target is {format_value(kpi, first.target)}"
    said = f"{first.title}{of} is {format_value(kpi, first.value)}{target}"
    return f"{_counted(len(missed), 'KPI')} miss their targets. {said}" if len(missed) > 1 else said


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
