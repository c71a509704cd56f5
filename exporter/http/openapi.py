"""The OpenAPI 3.1 description of the route table.

Query parameters and bodies are described by their structs, answers by the return annotation of their handlers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeAlias

import msgspec

from exporter.http.envelope import JSON_HEADERS, Failure
from exporter.http.lists import answer_type
from exporter.http.types import CSV, JSON, AnyRoute, Content, NoBody, NoQuery, PlainCall, get

Schema: TypeAlias = dict[str, Any]
_BINARY: Final = {"type": "string", "format": "binary"}
_CONTENTS: Final = {JSON: {"type": "object"}, "text/plain": {"type": "string"}}
# google.rpc.Status, which OTLP answers faults with.
_STATUS: Final[Schema] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_TOTALS: Final[Schema] = {
    "description": "How long each list is, where the answer has a part of it.",
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["total", "matched"],
        "properties": {"total": {"type": "integer"}, "matched": {"type": "integer"}},
    },
}
_REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def description_route(routes: tuple[AnyRoute, ...]) -> AnyRoute:
    """Return the route that answers with the description of other routes."""

    @lru_cache(maxsize=1)
    def described() -> Content:
        return Content(msgspec.json.encode(describe(routes)), JSON_HEADERS)

    def openapi(call: PlainCall) -> Content:
        return described()

    return get("/openapi.json", openapi, NoQuery, "This description", "OpenAPI 3.1.", needs_runtime=False)


def describe(routes: Iterable[AnyRoute]) -> Schema:
    """Return the description of a route table; what belongs to the page is left out."""
    documented = [route for route in routes if route.access != "page"]
    answers = [answer_type(route.handler) for route in documented]
    asked = [kind for route in documented for kind in (route.query, route.body)]
    (*ins, failure), in_components = msgspec.json.schema_components(
        [*asked, Failure], schema_hook=_any, ref_template=_REF
    )
    outs, out_components = msgspec.json.schema_components(answers, schema_hook=_any, ref_template=_REF)
    paths: dict[str, Schema] = {}
    for route, query, body, out in zip(documented, ins[::2], ins[1::2], outs, strict=True):
        described = _operation(route, _resolved(query, in_components), body, _nullable(out), failure)
        paths.setdefault(route.path, {})[route.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "otel-measure", "version": _version()},
        "paths": paths,
        "components": {
            "schemas": in_components | _nullable(out_components),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: AnyRoute, query: Schema, body: Schema, out: Schema, failure: Schema) -> Schema:
    operation: Schema = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z0-9]+', '_', route.path.lower()).rstrip('_')}",
        "summary": route.summary,
        "parameters": [*_path_parameters(route.path), *_query_parameters(query)],
        "responses": {
            str(route.status): {"description": route.returns, "content": _content(route, out)},
            "default": {"description": "What was wrong, and the way out.", "content": _failure(route, failure)},
        },
        "security": [{}] if route.access == "open" else [{}, {"token": []}],
    }
    if route.body is not NoBody:
        bodies = {media: {"schema": _BINARY if media != JSON else _body(route, body)} for media in route.accepts}
        operation["requestBody"] = {"required": True, "content": bodies}
    return operation


def _body(route: AnyRoute, body: Schema) -> Schema:
    return body if route.body_reader is None else {"type": "object"}


def _content(route: AnyRoute, out: Schema) -> Schema:
    if answer_type(route.handler) is Content:
        return {media: {"schema": _CONTENTS.get(media, _BINARY)} for media in route.produces}
    envelope: Schema = {"status": {"const": "success"}, "data": out}
    if route.lists:
        envelope["lists"] = _TOTALS
    content = {JSON: {"schema": {"type": "object", "required": ["status", "data"], "properties": envelope}}}
    return content | ({CSV: {"schema": {"type": "string"}}} if route.is_table else {})


def _failure(route: AnyRoute, enveloped: Schema) -> Schema:
    if route.error_handler is None:
        return {JSON: {"schema": enveloped}}
    return {media: {"schema": _BINARY if media != JSON else _STATUS} for media in route.produces}


def _path_parameters(path: str) -> list[Schema]:
    schema = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in _PARAMETER.findall(path)]


def _query_parameters(query: Schema) -> list[Schema]:
    required = query.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": schema.get("description", ""),
            "schema": _without_null(schema),
        }
        for name, schema in query["properties"].items()
    ]


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter, which is absent or has a value: a query cannot hold `null`."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "description"}}
    rest = {key: value for key, value in rest.items() if not (key == "default" and value is None)}
    return rest | (kinds[0] if kinds else {})


def _resolved(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    return components[schema["$ref"].rpartition("/")[2]]


def _nullable(schema: Any) -> Any:
    """Return the schema with every number nullable: an unknown one is `nan`, which JSON writes as `null`."""
    if isinstance(schema, list):
        return [_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    described = {key: _nullable(value) for key, value in schema.items()}
    return described | {"type": ["number", "null"]} if schema.get("type") == "number" else described


def _any(kind: type) -> Schema:
    """Return the schema of a type that msgspec has none for: its name."""
    return {"description": kind.__name__}


def _version() -> str:
    try:
        return version("otel-measure")
    except PackageNotFoundError:
        return "0"
