"""Spans of agents and tools: what each means as a step."""

from __future__ import annotations

from otel_measure.ai.spans import error_type_of, user_of
from otel_measure.conventions import step_dialects
from otel_measure.conventions.dialects import first_of
from otel_measure.definitions.signals import Span
from otel_measure.records.agent_steps import AgentStep, one_spelling
from otel_measure.records.kinds import Origin
from otel_measure.records.limits import MAX_LABEL_CHARS


def step_of(span: Span, origin: Origin, *, is_call: bool) -> AgentStep | None:
    """Return what a span says of a run or of the use of a tool, `None` where it is neither.

    Args:
        span: with the conventional names beside those of its dialect.
        origin: of its resource.
        is_call: whether it tells of a call of a model.
    """
    attributes = span.attributes
    kind = step_dialects.step_kind(attributes, is_call=is_call)
    if kind is None:
        return None
    arguments = None if kind in step_dialects.RUN_KINDS else first_of(attributes, step_dialects.ARGUMENTS)
    name = first_of(attributes, step_dialects.NAMES_OF_STEPS[kind])
    return AgentStep(
        kind=kind,
        name=(name if isinstance(name, str) else _name_of(span.name))[:MAX_LABEL_CHARS],
        origin=origin,
        error_type=error_type_of(span),
        user_id=user_of(attributes),
        arguments=None if arguments is None else one_spelling(arguments),
    )


def _name_of(span_name: str) -> str:
    for prefix in step_dialects.SPAN_NAME_PREFIXES:
        if span_name.startswith(prefix):
            return span_name.removeprefix(prefix)
    return span_name
