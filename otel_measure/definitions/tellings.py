"""What tells of a call of a model: a span, a fact or an event, as it is compared with others."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.kinds import Inference, Record

# Operations that answer a prompt, by several names: one of them around another is the same call.
GENERATION: Final = "chat"
_GENERATION: Final = frozenset({"chat", "text_completion", "generate_content", ""})
TellingKind: TypeAlias = Literal["call", "fact", "other", "plain"]
SpanKey: TypeAlias = tuple[str, str]  # trace id, span id


def operation_kind(operation: str | None) -> str:
    """Return what is compared of an operation: one that is not said answers a prompt, as most do."""
    return GENERATION if (operation or "") in _GENERATION else str(operation)


class Telling(NamedTuple):
    """A span, fact or event that tells of a call, or a span that stands between such.

    Attributes:
        kind: "call" (a GenAI span), "fact" (of ours, or an event of others that tells of one call), "other" (a span of
            a tool or an agent) or "plain".
        trace_id, span_id: of a span, its own; of a fact, those of the span that was current.
        process: who tells it.
        scope: which instrumentation: its scope, and the name that it gives such spans.
        operation: of a call: only calls of one kind of operation are one inside the other.
        began_us, ended_us: microseconds since 1970.
        record: the call as this telling alone has it, `None` for spans that tell of none.
        step: what it says of a run of an agent or the use of a tool (`runs.py`).
    """

    kind: TellingKind
    trace_id: str
    span_id: str
    parent_id: str | None
    process: str
    scope: str
    operation: str
    response_id: str | None
    began_us: int
    ended_us: int
    record: Inference | None
    step: AgentStep | None = None

    @property
    def key(self) -> SpanKey:
        """The span."""
        return (self.trace_id, self.span_id)

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return self.record.id if self.record is not None else f"span:{self.trace_id}/{self.span_id}"

    def of(self, record: Record | None) -> Telling:
        """Return what is told with another record of the call, such as one without its user."""
        return self._replace(record=record) if isinstance(record, Inference) else self
