"""What a rule says of one subject at one time."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Final, Literal, NamedTuple

SubjectKind = Literal["model", "service", "host", "users", "experiment", "process"]
Severity = Literal["page", "ticket"]
Outcome = Literal["beyond", "within", "unknown"]
ALL_USERS: Final = "all users"
"""The name of the users of an environment, as a subject."""


class AlertSubject(NamedTuple):
    """Whom an alert is about: all versions of a model together, a service, a host, the users of an environment."""

    kind: SubjectKind
    name: str
    environment: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one rule says of one subject now.

    Attributes:
        rule: the key of the rule.
        outcome: "unknown" where nothing can be said: it neither fires nor resolves.
        value: in the unit of the rule; `nan` where it is unknown, or was not reckoned, for the subject is within.
        threshold: that the value was compared with.
        evidence: how many calls, readings or persons it rests on.
        sentence: for the person who is woken: what, of whom, how much, against what, since when.
        cause: the reason of an outage or the error type that most failures have; empty where none is known.
        since_us: when that which is beyond began; 0 where it is not known.
        severity: where it differs from that of the rule: of a model without targets of its own; else `None`.
    """

    rule: str
    subject: AlertSubject
    outcome: Outcome
    value: float = nan
    threshold: float = nan
    evidence: int = 0
    sentence: str = ""
    cause: str = ""
    since_us: int = 0
    severity: Severity | None = None
