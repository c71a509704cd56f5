"""The worst of everything in one sentence, and all that fires, alerts of rules and of KPIs in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from otel_measure.alerting.deliveries import DeliveryMessage, ListedAlert
from otel_measure.definitions.alerting.judgement import AlertSubject, SubjectKind
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import Verdict, format_value
from otel_measure.definitions.windows import CountedBy
from otel_measure.infrastructure.ledger import Service
from otel_measure.judging.alerts import Alert, Alerts, subject_of
from otel_measure.judging.reading import Reading
from otel_measure.judging.scorecard import Scorecard
from otel_measure.records.enums import HealthStatus

Look: TypeAlias = Literal["bad", "fair", "good", "unknown"]
DocsOfKpi: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class FiringAlert:
    """A subject about which something fires: its worst alert, and what else of it is beyond.

    Attributes:
        rule: the key of the rule that leads; empty where a KPI alone is beyond its threshold.
        kpi: the KPI that the rule judges by, or that is beyond; empty of a rule that judges by none.
        severity: "page" or "ticket" of a rule, "critical" of a KPI alone.
        kind, subject, environment: whom it is about; a model with all its versions.
        version: of a model, the one of which that KPI is beyond its threshold; empty where none is.
        cause: of a rule the reason of an outage or the error type of most failures, of a KPI its rule in words.
        evidence: how many calls, readings or persons it rests on; 0 where none are counted.
        since: when it began to fire; of a KPI alone as of `Alert`.
        also: the other rules that fire about it, then the KPIs beyond that none of these judges by, by their keys.
        docs: the address at which the page says what it means and what to do.
        told: who was told of the incident of this subject.
    """

    rule: str
    kpi: str
    severity: Literal["page", "ticket", "critical"]
    kind: SubjectKind
    subject: str
    environment: str
    version: str
    sentence: str
    cause: str
    value: float
    threshold: float
    evidence: int
    since: datetime | None
    also: tuple[str, ...]
    docs: str
    told: tuple[DeliveryMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """How everything is.

    Attributes:
        look: how bad the sentence is.
        sentence: the worst of everything.
        firing: each subject about which something fires, once: those of rules first, the worst first.
        verdicts: how many readings of KPIs have each.
        evaluated: when rules were evaluated last; `None` where nobody ever did.
        environment: that services, models and users are of.
    """

    look: Look
    sentence: str
    firing: tuple[FiringAlert, ...]
    verdicts: dict[Verdict, int]
    evaluated: datetime | None
    timestamp: datetime
    definitions: CountedBy
    environment: str


def status(
    card: Scorecard, told: Alerts, services: Sequence[Service], machine: str, host: str, docs_of_kpi: DocsOfKpi
) -> Status:
    """Return the worst of everything, and what fires.

    Args:
        card: every KPI with its verdict.
        told: what fires of it, and how the alerts of rules stand.
        services: every registered one of the environment.
        machine: the status of the machine, as its summary has it.
        host: the name of the machine.
        docs_of_kpi: returns where it says what to do about a KPI.
    """
    firing = tuple(_firing(told, host, docs_of_kpi))
    look, sentence = _worst(firing, card, [one.service_name for one in services if one.state == "down"], machine)
    return Status(
        look, sentence, firing, card.verdicts, told.rules.evaluated, card.timestamp, card.definitions,
        card.environment,
    )  # fmt: skip


def _firing(told: Alerts, host: str, docs_of_kpi: DocsOfKpi) -> Iterator[FiringAlert]:
    """Yield what leads of each subject: the worst rule that fires about it, else the first KPI beyond its threshold."""
    by_rules: dict[AlertSubject, list[ListedAlert]] = {}
    for message in told.rules.active:
        if message.state == "firing":
            about = AlertSubject(message.subject.kind, message.subject.name, message.subject.environment)
            by_rules.setdefault(about, []).append(message)
    by_kpis: dict[AlertSubject, list[Alert]] = {}
    for alert in told.alerts:
        about_kpi = subject_of(alert, host, told.environment)
        if about_kpi is not None:
            by_kpis.setdefault(about_kpi, []).append(alert)
    for about, messages in by_rules.items():
        yield _of_rules(about, messages, by_kpis.get(about, []))
    for about, beyond in by_kpis.items():
        if about not in by_rules:
            yield _of_kpis(about, beyond, docs_of_kpi)


def _of_rules(about: AlertSubject, messages: Sequence[ListedAlert], beyond: Sequence[Alert]) -> FiringAlert:
    first, *others = messages
    judged_by = {message.kpi for message in messages}
    kpis = dict.fromkeys(alert.key for alert in beyond if alert.key not in judged_by)
    return FiringAlert(
        rule=first.rule,
        kpi=first.kpi,
        severity=first.severity,
        kind=about.kind,
        subject=about.name,
        environment=about.environment,
        version=next((alert.model_version for alert in beyond if alert.key == first.kpi), ""),
        sentence=first.sentence,
        cause=first.cause,
        value=first.value,
        threshold=first.threshold,
        evidence=first.evidence,
        since=first.since,
        also=(*(message.rule for message in others), *kpis),
        docs=first.docs,
        told=first.told,
    )


def _of_kpis(about: AlertSubject, beyond: Sequence[Alert], docs_of_kpi: DocsOfKpi) -> FiringAlert:
    first, *others = beyond
    return FiringAlert(
        rule="",
        kpi=first.key,
        severity=first.severity,
        kind=about.kind,
        subject=about.name,
        environment=about.environment,
        version=first.model_version,
        sentence=first.message,
        cause=first.rule,
        value=first.value,
        threshold=first.threshold,
        evidence=first.evidence or 0,
        since=first.since,
        also=tuple(dict.fromkeys(alert.key for alert in others if alert.key != first.key)),
        docs=docs_of_kpi(first.key),
    )


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
