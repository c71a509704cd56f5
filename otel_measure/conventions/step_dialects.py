"""How spans say that they are a run of an agent or the use of a tool: a row for each dialect.

`AGENT_NAMES` and the like say under which names the rest stands, the name of the conventions first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from otel_measure.conventions import semconv
from otel_measure.conventions.dialects import Names

StepKind: TypeAlias = Literal["agent", "workflow", "chain", "tool", "resource", "prompt"]
RUN_KINDS: Final[frozenset[StepKind]] = frozenset({"agent", "workflow", "chain"})
"""What has calls and steps of its own. A chain is a run only where it stands in no other one."""
_ANY: Final = "*"


class StepDialect(NamedTuple):
    """How an instrumentation says what a span is.

    Attributes:
        name: as its documentation calls it.
        attribute: which says it.
        kinds: its value → what the span is; "*" stands for any value, where no other attribute says an operation.
    """

    name: str
    attribute: str
    kinds: Mapping[str, StepKind]


STEP_DIALECTS: Final[tuple[StepDialect, ...]] = (
    StepDialect(
        "OpenTelemetry GenAI",
        semconv.ATTR_GEN_AI_OPERATION_NAME,
        {"invoke_agent": "agent", "invoke_workflow": "workflow", "execute_tool": "tool"},
    ),
    StepDialect("OpenInference", "openinference.span.kind", {"AGENT": "agent", "CHAIN": "chain", "TOOL": "tool"}),
    StepDialect("OpenLLMetry", "traceloop.span.kind", {"agent": "agent", "workflow": "workflow", "tool": "tool"}),
    StepDialect("Vercel AI SDK", "ai.operationId", {"ai.toolCall": "tool"}),
    StepDialect("Langfuse", "langfuse.observation.type", {"agent": "agent", "chain": "chain", "tool": "tool"}),
    StepDialect(
        "Model Context Protocol",
        "mcp.method.name",
        {"tools/call": "tool", "resources/read": "resource", "prompts/get": "prompt"},
    ),
    StepDialect("pydantic-ai before the conventions", "agent_name", {_ANY: "agent"}),
    StepDialect("pydantic-ai before the conventions", "gen_ai.tool.name", {_ANY: "tool"}),
)
NAMES_OF_STEPS: Final[Mapping[StepKind, Names]] = MappingProxyType(
    {
        "agent": (
            *(semconv.ATTR_GEN_AI_AGENT_NAME, "agent.name", "agent_name", "traceloop.entity.name"),
            "gen_ai.agent.id",
        ),
        "workflow": ("gen_ai.workflow.name", "traceloop.entity.name"),
        "chain": (),
        "tool": (semconv.ATTR_GEN_AI_TOOL_NAME, "tool.name", "ai.toolCall.name", "traceloop.entity.name"),
        "resource": ("mcp.method.name",),  # a URI would be a name for every file
        "prompt": ("gen_ai.prompt.name", "mcp.method.name"),
    }
)
ARGUMENTS: Final[Names] = (
    *(semconv.ATTR_GEN_AI_TOOL_CALL_ARGUMENTS, "tool_arguments", "ai.toolCall.args", "traceloop.entity.input"),
    *("input.value", "langfuse.observation.input"),
)
# What a span is called before the name of the agent or tool, where no attribute has it.
SPAN_NAME_PREFIXES: Final = ("invoke_agent ", "invoke_workflow ", "execute_tool ", "tools/call ", "running tool: ")
_SAYING: Final = frozenset(dialect.attribute for dialect in STEP_DIALECTS)


def step_kind(attributes: Mapping[str, object], *, is_call: bool) -> StepKind | None:
    """Return what a span with these attributes is, `None` for no step.

    Args:
        attributes: with the conventional names beside those of the dialect.
        is_call: whether it is a call of a model, which may name its agent or a tool without being one.
    """
    if _SAYING.isdisjoint(attributes):
        return None
    says_operation = is_call or bool(attributes.get(semconv.ATTR_GEN_AI_OPERATION_NAME))
    for dialect in STEP_DIALECTS:
        value = attributes.get(dialect.attribute)
        if not isinstance(value, str) or not value:
            continue
        kind = dialect.kinds.get(value) or (None if says_operation else dialect.kinds.get(_ANY))
        if kind is not None:
            return kind
    return None
