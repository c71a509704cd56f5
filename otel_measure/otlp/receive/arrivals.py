"""Who sent an item, and why nothing became of it: what the list of senders is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.conventions import semconv
from otel_measure.otlp.receive.senders import Resource
from otel_measure.store.types.arrivals import ArrivalSource, Outcome


def source_of(resource: Resource, scope: str) -> ArrivalSource:
    """Return who sends: a service in a language, and which instrumentation of it."""
    origin = resource.origin
    language = resource.attributes.get(semconv.ATTR_TELEMETRY_SDK_LANGUAGE, "")
    return ArrivalSource(origin.service, origin.environment, language, scope)


UNKNOWN_SOURCE: Final = ArrivalSource("unknown_service", "", "", "")
# Why an item becomes nothing although no rule is broken.
IgnoredReason: TypeAlias = Literal[
    "no_event", "no_call", "no_user", "not_wanted", "told_by_spans", "no_model_call", "tool_or_agent"
]


class Turned(NamedTuple):
    """An item that became nothing: whose it was, and why."""

    source: ArrivalSource
    outcome: Outcome
    reason: str


def by_reason(turned: Mapping[Turned, int], outcome: Outcome) -> Counter[str]:
    """Return how many items became nothing in one way, by the reason."""
    reasons: Counter[str] = Counter()
    for each, n in turned.items():
        if each.outcome == outcome:
            reasons[each.reason] += n
    return reasons
