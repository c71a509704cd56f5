"""What spans of each dialect say of agents and tools."""

from __future__ import annotations

import pytest

from otel_measure.ai.agent_spans import step_of
from otel_measure.conventions.span_dialects import in_conventional_names
from otel_measure.conventions.step_dialects import STEP_DIALECTS, StepKind
from otel_measure.definitions.signals import Span, is_inference
from otel_measure.records.agent_steps import AgentStep
from otel_measure.records.kinds import Json
from tests.facts import HERE, NOON


def step(attributes: dict[str, Json], name: str = "span", *, failed: bool = False) -> AgentStep | None:
    """Return what a span says, as the receiver asks it."""
    named = in_conventional_names(attributes)
    span = Span("0" * 32, "1" * 16, None, name, NOON, NOON, named, failed, "scope")
    return step_of(span, HERE, is_call=is_inference(named))


@pytest.mark.parametrize(
    ("attributes", "span_name", "said"),
    [
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a"}, "", ("agent", "a", None)),
        ({"gen_ai.operation.name": "invoke_agent"}, "invoke_agent a", ("agent", "a", None)),
        ({"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "w"}, "", ("workflow", "w", None)),
        (
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t",
             "gen_ai.tool.call.arguments": {"b": 1, "a": 2}}, "", ("tool", "t", '{"a":2,"b":1}'),
        ),
        ({"openinference.span.kind": "AGENT", "input.value": "hello"}, "a", ("agent", "a", None)),
        ({"openinference.span.kind": "AGENT", "agent.name": "a"}, "run", ("agent", "a", None)),
        ({"openinference.span.kind": "CHAIN"}, "LangGraph", ("chain", "LangGraph", None)),
        ({"openinference.span.kind": "TOOL", "tool.name": "t", "input.value": "{}"}, "", ("tool", "t", "{}")),
        ({"traceloop.span.kind": "workflow", "traceloop.entity.name": "w"}, "w.workflow", ("workflow", "w", None)),
        (
            {"traceloop.span.kind": "tool", "traceloop.entity.name": "t", "traceloop.entity.input": '{"a": 1}'},
            "t.tool", ("tool", "t", '{"a":1}'),
        ),
        (
            {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "t", "ai.toolCall.args": '{"a":1}'},
            "ai.toolCall", ("tool", "t", '{"a":1}'),
        ),
        ({"langfuse.observation.type": "agent"}, "a", ("agent", "a", None)),
        ({"mcp.method.name": "tools/call", "gen_ai.tool.name": "t"}, "tools/call t", ("tool", "t", None)),
        ({"mcp.method.name": "tools/call"}, "tools/call t", ("tool", "t", None)),
        (
            {"mcp.method.name": "resources/read", "mcp.resource.uri": "file:///me"},
            "", ("resource", "resources/read", None),
        ),
        ({"mcp.method.name": "prompts/get", "gen_ai.prompt.name": "p"}, "", ("prompt", "p", None)),
        ({"agent_name": "a", "model_name": "m"}, "agent run", ("agent", "a", None)),
        ({"gen_ai.tool.name": "t", "tool_arguments": '{"a": 1}'}, "running tool", ("tool", "t", '{"a":1}')),
    ],
)  # fmt: skip
def test_what_each_dialect_says(
    attributes: dict[str, Json], span_name: str, said: tuple[StepKind, str, str | None]
) -> None:
    """The kind, the name and the arguments, under the names of each."""
    kind, name, arguments = said
    assert step(attributes, span_name) == AgentStep(kind, name, HERE, arguments=arguments)


@pytest.mark.parametrize(
    "attributes",
    [
        {"http.request.method": "GET"},
        {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "a", "agent_name": "a"},
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.agent.name": "a", "agent_name": "a"},
        {"gen_ai.system": "openai", "gen_ai.request.model": "m", "gen_ai.tool.name": "t"},
        {"mcp.method.name": "initialize"},
        {"traceloop.span.kind": "task"},
        {"openinference.span.kind": 7},
    ],
)
def test_what_is_no_step(attributes: dict[str, Json]) -> None:
    """To create an agent is none of its runs, and a call may name its agent and a tool."""
    assert step(attributes) is None


def test_for_whom_and_why_it_failed() -> None:
    """As of a call: a message in place of a type is cut to that it failed, and a placeholder names nobody."""
    attributes: dict[str, Json] = {"gen_ai.operation.name": "invoke_agent", "user.id": 7, "error.type": "Timeout"}
    assert step(attributes, "a", failed=True) == AgentStep("agent", "a", HERE, "Timeout", "7")
    attributes |= {"user.id": "null", "error.type": "x" * 300}
    assert step(attributes, "a") == AgentStep("agent", "a", HERE, "_OTHER")
    del attributes["error.type"]
    assert step(attributes, "a" * 300, failed=True) == AgentStep("agent", "a" * 256, HERE, "_OTHER")


def test_odd_values_cost_the_value_alone() -> None:
    """A name that is no text is the span's; arguments may be anything."""
    attributes: dict[str, Json] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": 7}
    assert step(attributes | {"tool_arguments": "[" * 10_000}, "t") == AgentStep(
        "tool", "t", HERE, arguments="[" * 10_000
    )
    assert step(attributes | {"tool_arguments": 7}, "t") == AgentStep("tool", "t", HERE, arguments="7")


def test_every_row_is_said_by_its_attribute_alone() -> None:
    """Each value of each dialect makes the step that its row says, whatever else is not there."""
    for dialect in STEP_DIALECTS:
        for value, kind in dialect.kinds.items():
            said = step({dialect.attribute: "any" if value == "*" else value}, "name")
            assert said == AgentStep(kind, said.name if said else "", HERE)
