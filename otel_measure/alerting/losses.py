"""What we lost lately, judged: records that were dropped or rejected, by service, and a store without room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from otel_measure.conventions import semconv
from otel_measure.conventions.instruments import OTEL_MEASURE_SELF_RECORDS
from otel_measure.conventions.labels import label_name, parse
from otel_measure.definitions.alerting.judgement import AlertSubject, Judgement
from otel_measure.definitions.alerting.losses import judge_loss, judge_room
from otel_measure.definitions.alerting.rule import AlertRule
from otel_measure.definitions.alerting.states import SECOND_US
from otel_measure.errors import StoreUnavailable
from otel_measure.store.protocol import Store
from otel_measure.store.types.facts import ERASED

_OUTCOMES: Final[Mapping[str, str]] = MappingProxyType({"measure_dropped": "dropped", "measure_rejected": "rejected"})
_OUTCOME, _REASON, _SERVICE, _ENVIRONMENT = (
    label_name(attribute)
    for attribute in (
        semconv.ATTR_RECORD_OUTCOME,
        semconv.ATTR_DROP_REASON,
        semconv.ATTR_SERVICE_NAME,
        semconv.ATTR_DEPLOYMENT_ENVIRONMENT_NAME,
    )
)
_NO_LOSS: Final = frozenset({ERASED.reason})  # what was erased has to stay away


def records_lost(store: Store, rules: Sequence[AlertRule], now_us: int) -> list[Judgement]:
    """Return what rules say of the records of each service that recorded within their window.

    Args:
        store: knows what processes told of themselves.
        rules: their thresholds are numbers of records.
        now_us: microseconds.
    """
    return [judgement for rule in rules for judgement in _of_rule(store, rule, now_us)]


def _of_rule(store: Store, rule: AlertRule, now_us: int) -> list[Judgement]:
    with store.asking() as known:
        grown = known.streams.growth(OTEL_MEASURE_SELF_RECORDS.name, now_us - rule.window_s * SECOND_US)
    outcome, lost = _OUTCOMES[rule.key], dict[AlertSubject, Counter[str]]()
    for stream in grown:
        labels = parse(stream.labels)
        subject = AlertSubject("process", labels.get(_SERVICE, ""), labels.get(_ENVIRONMENT, ""))
        of_subject, reason = lost.setdefault(subject, Counter()), labels.get(_REASON, "")
        if labels.get(_OUTCOME) == outcome and reason not in _NO_LOSS:
            of_subject[reason] += round(stream.value)
    return [judge_loss(rule, subject, outcome, lost[subject]) for subject in sorted(lost)]


def store_full(store: Store, rules: Sequence[AlertRule], _: int) -> list[Judgement]:
    """Return what rules say of the room that a store has for what is recorded now."""
    full_because = ""
    try:
        store.check()
    except StoreUnavailable as error:
        if error.cause_name != "full":
            raise
        full_because = f"{error.what}; {error.way_out}"
    return [judge_room(rule, full_because) for rule in rules]
