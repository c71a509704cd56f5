"""Whether calls of a model fail, or are slow, beyond doubt and now: pure judges of what each minute held.

A short window says that it is now, a long one that it is no accident. In the short one chance is refused by the
exact binomial tail, P(X >= k) = I_p(k, n - k + 1) (DLMF 8.17.5); it is looked at every minute, so it has to be tiny. Of
the long one the whole 95 % interval of the share (Wilson 1927) has to lie beyond the threshold. Where a window holds
few calls, the last ones of 6 hours are looked at instead: at a call an hour, five in a row that fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan
from typing import Final, NamedTuple

from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement, Outcome
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.definitions.days import moment
from otel_measure.definitions.kpis import BY_KEY
from otel_measure.definitions.verdicts import with_target
from otel_measure.definitions.windows import HOUR_US, MINUTE_US
from otel_measure.stats.intervals import wilson_interval
from otel_measure.stats.special import regularised_beta

CHANCE: Final = 1e-5
FEWEST_CALLS: Final = 5
REACH_US: Final = 6 * HOUR_US
SLOW_SHARE: Final = 0.05
"""Of calls that may be slower than a p95 allows."""


class CallMinute(NamedTuple):
    """What one minute held of a model, all its versions together.

    Attributes:
        start_us: a whole minute, microseconds.
        timed: calls of which is known how long they took.
        slow: those of them that took longer than the threshold of the rule.
    """

    start_us: int
    calls: int = 0
    errors: int = 0
    timed: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class CallHistory:
    """What is known of the calls of one model.

    Attributes:
        minutes: of 6 hours at least, ascending; those without a call may be left out, and five of before the last hour
            may be told as one.
        targets: that were registered for the model, by the key of the KPI.
    """

    subject: AlertSubject
    minutes: Sequence[CallMinute]
    targets: dict[str, float] = field(default_factory=dict)


class _Counted(NamedTuple):
    """Calls of a minute, and those of them that are bad."""

    start_us: int
    calls: int
    bad: int


class CallsInWindow(NamedTuple):
    """Calls of a window, and those of them that are bad."""

    calls: int = 0
    bad: int = 0


def own_threshold(rule: AlertRule, targets: Mapping[str, float]) -> float:
    """Return the threshold of a rule for a model: a target of its own moves it as that of the KPI."""
    if rule.kpi not in targets:
        return rule.threshold
    alert = with_target(replace(BY_KEY[rule.kpi], alert=rule.threshold), targets[rule.kpi]).alert
    return rule.threshold if alert is None else alert


def judge_errors(rule: AlertRule, history: CallHistory, now_us: int) -> Judgement:
    """Say whether more calls of a model fail than the threshold allows."""
    threshold = own_threshold(rule, history.targets)
    judged = [_Counted(minute.start_us, minute.calls, minute.errors) for minute in history.minutes]
    share, judgement = _judged(rule, history, judged, threshold, now_us, "failed")
    return replace(judgement, value=share.bad / share.calls if share.calls else nan, threshold=threshold)


def with_error_types(judgement: Judgement, failures: Mapping[str, int]) -> Judgement:
    """Return a judgement with what most failures were as its cause; of equally many, the first by name.

    Args:
        judgement: that calls fail.
        failures: how many of the last ones had each error type; empty where it is not known.
    """
    if not failures:
        return judgement
    cause = max(sorted(failures), key=lambda each: failures[each])
    told = f"; {failures[cause]:,} of {sum(failures.values()):,} with {cause}"
    return replace(judgement, sentence=judgement.sentence + told, cause=cause)


def may_be_beyond(share: float, reach: CallsInWindow, long: CallsInWindow) -> bool:
    """Whether a model may be beyond, as far as sums tell: what most models are not is not looked at minute by minute.

    The whole interval of the long window lies above a share only where its bad calls do; where that window holds
    few calls, those before it decide as well.

    Args:
        share: of the calls that may be bad.
        reach: all that is looked at.
        long: the long window of a rule.
    """
    return reach.bad > 0 and (long.calls < FEWEST_CALLS or long.bad > share * long.calls)


def judge_latency(rule: AlertRule, history: CallHistory, now_us: int) -> Judgement:
    """Say whether more calls of a model are slow than the 5 % that a p95 allows.

    Which calls are slow is counted by `own_threshold()` of the rule; the percentile is not reckoned here.
    """
    threshold = own_threshold(rule, history.targets)
    judged = [_Counted(minute.start_us, minute.timed, minute.slow) for minute in history.minutes]
    _, judgement = _judged(rule, history, judged, SLOW_SHARE, now_us, f"took over {threshold:,.6g} ms")
    return replace(judgement, threshold=threshold)


def is_beyond_chance(bad: int, calls: int, share: float) -> bool:
    """Whether so many of the calls are bad that chance does not explain it where a share of them may be."""
    return bad > 0 and regularised_beta(bad, calls - bad + 1, share, 1.0 - share) < CHANCE


def _judged(
    rule: AlertRule, history: CallHistory, minutes: Sequence[_Counted], allowed: float, now_us: int, what: str
) -> tuple[CallsInWindow, Judgement]:
    """Return what the short window holds, and the judgement but for value and threshold; `what` bad calls did."""
    share, since_us, outcome = _judge_share(rule, minutes, allowed, now_us)
    judgement = Judgement(
        rule.key,
        history.subject,
        outcome,
        evidence=share.calls,
        since_us=since_us,
        severity=rule.severity_of(rule.kpi in history.targets),
    )
    if outcome != "beyond":
        return share, judgement
    sentence = (
        f"{share.bad:,} of the last {share.calls:,} calls of {history.subject.name} {what}, "
        f"{100 * allowed:g} % may; since {moment(since_us):%H:%M} UTC"
    )
    return share, replace(judgement, sentence=sentence)


def _judge_share(
    rule: AlertRule, minutes: Sequence[_Counted], share: float, now_us: int
) -> tuple[CallsInWindow, int, Outcome]:
    """Return what the short window holds, since when it is beyond (0 where it is not), and how it stands."""
    reach = now_us - REACH_US
    past = [minute for minute in minutes if reach <= minute.start_us <= now_us and minute.calls]
    short = _window(past, now_us - rule.window_s * SECOND_US)
    if not short.calls:
        return short, 0, "unknown"
    long = _window(past, now_us - rule.long_window_s * SECOND_US)
    low, _ = wilson_interval(long.bad, long.calls)
    if low > share and is_beyond_chance(short.bad, short.calls, share):
        return short, _since(past, share), "beyond"
    return short, 0, "within"


def _window(past: Sequence[_Counted], start_us: int) -> CallsInWindow:
    """Return what minutes hold since a time, or, where that is few, the last minutes that hold five calls."""
    calls = bad = 0
    first = start_us - start_us % MINUTE_US
    for minute in reversed(past):
        if minute.start_us < first and calls >= FEWEST_CALLS:
            break
        calls += minute.calls
        bad += minute.bad
    return CallsInWindow(calls, bad)


def _since(past: Sequence[_Counted], share: float) -> int:
    """Return when the first of the last minutes began that are all beyond a share; those without calls do not count."""
    since = 0
    for minute in reversed(past):
        if not minute.calls:
            continue
        if minute.bad <= share * minute.calls and since:
            break
        since = minute.start_us
    return since
