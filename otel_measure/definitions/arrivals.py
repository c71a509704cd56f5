"""What came by OTLP: who sent it, what became of it, and where it became nothing, why and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

Signal: TypeAlias = Literal["metrics", "logs", "traces"]
Outcome: TypeAlias = Literal[
    "call", "same_call", "step", "event", "host", "series", "own", "duplicate", "ignored", "rejected"
]
# Why an item becomes nothing although no rule is broken, or less than whoever sends it may expect.
IgnoredReason: TypeAlias = Literal[
    "no_event", "no_call", "no_user", "not_wanted", "told_by_spans", "no_model_call", "tool_or_agent"
]
MAX_REASON_CHARS: Final = 200


class ArrivalSource(NamedTuple):
    """Who sends: a service, the language of its SDK ("" when unknown), and an instrumentation in it."""

    service: str
    environment: str
    language: str
    scope: str


class Arrival(NamedTuple):
    """Items of one signal from one source of which the same became."""

    source: ArrivalSource
    signal: Signal
    outcome: Outcome
    reason: str


# Whoever sends under more names than are kept is here, together with all others who do.
OTHERS: Final = ArrivalSource("_OTHER", "", "", "")
UNKNOWN_SOURCE: Final = ArrivalSource("unknown_service", "", "", "")


class Explanation(NamedTuple):
    """Why nothing, or less, became of items, and what to do; "" where nothing need be done."""

    why: str
    remedy: str


EXPLANATIONS: Final[Mapping[str, Explanation]] = MappingProxyType(
    {
        "no_event": Explanation(
            "log lines without an event name",
            "nothing: log lines are not measured; what shall count needs an event name, and `user.id`",
        ),
        "no_call": Explanation("events of an agent that tell of no call of a model", ""),
        "no_user": Explanation("events that name no user", "set `user.id` on them"),
        "not_wanted": Explanation("events that the setting `event_types` ignores", "name them in `event_types`"),
        "told_by_spans": Explanation("GenAI events of calls that spans tell of", "send the spans, or the metrics"),
        "no_model_call": Explanation(
            "spans that tell of no call of a model",
            "nothing, where they are of other work; else use an instrumentation that sets `gen_ai.request.model` and"
            " `gen_ai.operation.name`, or names of docs/collector.md",
        ),
        "tool_or_agent": Explanation("spans of other work for calls of models: the calls inside them count", ""),
        "no_model": Explanation(
            "metrics of calls of models that name no model: shown as series, not as calls",
            "let the instrumentation set `gen_ai.request.model`",
        ),
        "no_host_name": Explanation(
            "metrics of a machine that does not say which: shown under service and instance",
            "set `host.name`, in a Collector with the processor `resourcedetection`",
        ),
        "too_large": Explanation("items that are larger than is read", "send less in one item; docs/collector.md"),
        "": Explanation("", ""),
    }
)
_AT_THE_SENDER: Final = "mend it at the sender, or drop it there"


def explained(outcome: Outcome, reason: str) -> Explanation:
    """Return why items became what they did; of those that broke a rule, the rule is the reason."""
    known = EXPLANATIONS.get(reason)
    return known if known is not None else Explanation(reason, _AT_THE_SENDER if outcome == "rejected" else "")


def by_source(arrived: Iterable[tuple[Arrival, int]]) -> list[tuple[ArrivalSource, list[tuple[Arrival, int]]]]:
    """Return what came by who sent it, sorted; of one source the most frequent first."""
    sources: dict[ArrivalSource, list[tuple[Arrival, int]]] = {}
    for arrival, items in arrived:
        sources.setdefault(arrival.source, []).append((arrival, items))
    return [(source, sorted(sources[source], key=lambda each: (-each[1], each[0]))) for source in sorted(sources)]
