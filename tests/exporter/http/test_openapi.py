from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from exporter.app import ROUTES
from exporter.http.openapi import describe
from exporter.http.query import NamedModelQuery
from exporter.http.types import AnyRoute, Call, Content, NoBody, NoQuery, PlainCall, get

WINDOW = "^([1-9][0-9]{0,3}[mh]|[1-9][0-9]{0,2}d|[1-9][0-9]?w)$"


class Opaque:
    """What no schema is known for."""


def look(call: Call[NamedModelQuery, NoBody]) -> dict[str, float | None]:
    """Answer with numbers."""
    return {}


def opaque(call: PlainCall) -> Opaque:
    """Answer with something else."""
    return Opaque()


def plain(call: PlainCall) -> Content:
    """Answer with what is no envelope."""
    return Content(b"", ())


def test_a_row() -> None:
    """A row becomes an operation: parameters from path and struct, the answer from its annotation, numbers nullable."""
    row = get("/a/{id}", look, NamedModelQuery, "Look", "Numbers.")
    operation = describe([row])["paths"]["/a/{id}"]["get"]
    assert operation == {
        "operationId": "get_a_id",
        "summary": "Look",
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
            {"name": "window", "in": "query", "required": False,
             "description": "How far to look back: a number and m, h, d or w.",
             "schema": {"type": "string", "examples": ["24h", "30d"], "pattern": WINDOW,
                        "default": "24h"}},
            {"name": "as_of", "in": "query", "required": False,
             "description": "Answer as of the end of this day, e.g. 2026-01-31.",
             "schema": {"type": "string", "format": "date"}},
            {"name": "start", "in": "query", "required": False,
             "description": "From when, with its zone: 2026-01-31T12:00:00Z.", "schema": {"type": "string"}},
            {"name": "end", "in": "query", "required": False,
             "description": "Until when; now when absent.", "schema": {"type": "string"}},
            {"name": "service", "in": "query", "required": False,
             "description": "Only records of this `service.name`.", "schema": {"type": "string"}},
            {"name": "environment", "in": "query", "required": False,
             "description": "Of this `deployment.environment.name`; an answer is always of one.",
             "schema": {"type": "string"}},
            {"name": "name", "in": "query", "required": True,
             "description": "Name of the model, as it was recorded.", "schema": {"type": "string"}},
            {"name": "version", "in": "query", "required": True,
             "description": "Version of the model, as it was recorded.", "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "Numbers.", "content": {"application/json": {"schema": {
                "type": "object", "required": ["status", "data"],
                "properties": {"status": {"const": "success"}, "data": {
                    "type": "object",
                    "additionalProperties": {"anyOf": [{"type": ["number", "null"]}, {"type": "null"}]}}},
            }}}},
            "default": {"description": "What was wrong, and the way out.", "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}},
        },
        "security": [{}, {"token": []}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "schema"),
    [
        (get("/o", opaque, NoQuery, "s", "r"), {"description": "Opaque"}),
        (get("/p", plain, NoQuery, "s", "r"), None),
    ],
)
def test_other_answers(row: AnyRoute, schema: dict[str, Any] | None) -> None:
    """What has no schema is described by its name; what leaves without the envelope is an object of its own."""
    content = describe([row])["paths"][row.path]["get"]["responses"]["200"]["content"]
    described = content["application/json"]["schema"]
    assert described == {"type": "object"} if schema is None else described["properties"]["data"] == schema


def test_what_is_described(client: TestClient) -> None:
    """Every row but the page is described, each under an id of its own."""
    description = client.get("/openapi.json").json()
    described = {(method.upper(), path) for path, place in description["paths"].items() for method in place}
    assert described == {
        (row.method, row.path) for row in ROUTES if row.access != "page" and row.path != "/openapi.json"
    }
    operations = [operation for place in description["paths"].values() for operation in place.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert description["openapi"] == "3.1.0"


def test_references_lead_somewhere(client: TestClient) -> None:
    """Every reference of the description is to a component that it has."""
    description = client.get("/openapi.json").json()

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    known = {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}
    assert references(description) <= known
