"""What a store keeps of alerts beside their states: who evaluates, and what is still to be told to whom."""

from __future__ import annotations

from typing import Literal, NamedTuple

from otel_measure.definitions.alerting.incidents import Notification
from otel_measure.definitions.alerting.judgement import AlertSubject

Refusal = Literal["", "another evaluates", "other rules"]


class EvaluatorTerm(NamedTuple):
    """The right to evaluate.

    Attributes:
        number: grows whenever another process gets it; 0 where it was refused.
        refusal: why it was: another process has it, by the same rules or by others.
        evaluated_us: when alerts were evaluated last; 0 where they never were, or whoever did it gave its term up.
    """

    number: int
    refusal: Refusal = ""
    evaluated_us: int = 0


class LastEvaluation(NamedTuple):
    """The last evaluation of a store; `at_us` is 0 before the first.

    Attributes:
        refused_us: when a process with other rules was refused last; 0 for never.
    """

    holder: str
    until_us: int
    digest: str
    at_us: int
    refused_us: int = 0


class LateDay(NamedTuple):
    """How late calls of a subject became known at most on a day (counted from 1970, UTC), microseconds."""

    subject: AlertSubject
    day: int
    late_us: int


class AlertDelivery(NamedTuple):
    """A notification and one of those who are told of it.

    Attributes:
        incident: whose notification it is, about `subject`, and when it was opened.
        status: that the incident fires, or is resolved.
        at_us: when it was made.
        receiver: who is told.
        taken_us: when they took it; `None` where they have not, or never will, for it was given up.
    """

    incident: str
    subject: AlertSubject
    opened_us: int
    status: Literal["firing", "resolved", "test"]
    at_us: int
    receiver: str
    taken_us: int | None = None


class WaitingNotification(NamedTuple):
    """A notification that a receiver has not taken yet; `seq` orders them."""

    seq: int
    notification: Notification


class ReceiverState(NamedTuple):
    """How it goes with a receiver.

    Attributes:
        failures: how often in a row it took nothing.
        failing_since_us: since when; 0 where it is well.
        due_us: before that nothing is sent again.
        given_up: notifications that were never taken, and are not kept any more.
    """

    receiver: str
    failures: int = 0
    failing_since_us: int = 0
    due_us: int = 0
    given_up: int = 0
