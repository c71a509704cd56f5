"""How services are now and were lately, judged: those of all environments of a store."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otel_measure.alerting.environments import environments_of
from otel_measure.definitions.alerting.burn import judge_burn
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import micros, moment
from otel_measure.infrastructure.availability import Availability, availability, down_since
from otel_measure.infrastructure.service_history import transitions
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.services import ServiceHistory


def services_down(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules say of every registered service: beyond where it is down for longer than their threshold.

    Args:
        store: knows the services.
        rules: their thresholds are in seconds.
        now_us: microseconds.
    """
    return _judged(store, rules, judge_down, now_us, now_us)


def judge_down(rule: AlertRule, history: ServiceHistory, environment: str, now_us: int) -> Judgement:
    """Say whether a service is down for longer than the threshold, in seconds."""
    subject = AlertSubject("service", history.service.name, environment)
    since_us = down_since(transitions(history), now_us)
    if since_us is None:
        return Judgement(rule.key, subject, "within", 0.0, rule.threshold)
    down_s = (now_us - since_us) / SECOND_US
    cause = _reason(history, since_us, now_us)
    return Judgement(
        rule.key,
        subject,
        "beyond" if down_s > rule.threshold else "within",
        down_s,
        rule.threshold,
        1,
        f"{subject.name} is down since {moment(since_us):%Y-%m-%d %H:%M:%S} UTC" + (f": {cause}" if cause else ""),
        cause,
        since_us,
    )


def _reason(history: ServiceHistory, since_us: int, now_us: int) -> str:
    """Return what was said last of why it is down since then; who says it again without a reason takes none away."""
    reasons = [
        change.reason for change in history.changes if change.state == "down" and since_us <= change.at <= now_us
    ]
    return next((reason for reason in reversed(reasons) if reason), "")


def services_burning(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules say of every registered service: beyond where it spends its allowed downtime too fast.

    Args:
        store: knows the services and their objectives.
        rules: their thresholds are burn rates.
        now_us: microseconds.
    """
    longest_us = max(rule.long_window_s for rule in rules) * SECOND_US
    return _judged(store, rules, judge_burning, now_us - longest_us, now_us)


def judge_burning(rule: AlertRule, history: ServiceHistory, environment: str, now_us: int) -> Judgement:
    """Say whether a service spends its allowed downtime faster than the threshold."""
    short, long = (_lately(history, window_s, now_us) for window_s in (rule.window_s, rule.long_window_s))
    last = long.last_incident
    return judge_burn(
        rule,
        AlertSubject("service", history.service.name, environment),
        history.service.sla_target,
        short.downtime_seconds,
        long.downtime_seconds,
        reason=(last.reason or "") if last is not None else "",
        since_us=micros(last.started_at) if last is not None else 0,
    )


def _judged(
    store: Store,
    rules: Sequence[AlertRule],
    judge: Callable[[AlertRule, ServiceHistory, str, int], Judgement],
    since_us: int,
    now_us: int,
) -> list[Judgement]:
    """Return what rules say of the services of all environments, by what these did since a time."""
    judged: list[Judgement] = []
    for environment in environments_of(store):
        with store.asking(Filter(environment=environment)) as known:
            histories = known.services.histories(since_us)
        judged += [judge(rule, history, environment, now_us) for history in histories for rule in rules]
    return judged


def _lately(history: ServiceHistory, window_s: int, now_us: int) -> Availability:
    return availability(
        history.service.name,
        registered_us=history.service.registered,
        transitions=transitions(history),
        unwatched=(),
        planned=history.planned,
        now_us=now_us,
        window_s=window_s,
        sla_target=history.service.sla_target,
    )
