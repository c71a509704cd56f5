"""The OpenAPI 3.1 description: the route table, said in that language.

Query parameters and bodies are described by their structs, answers by the return annotation of their handlers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, TypeAlias, get_type_hints

import msgspec

from exporter.http.envelope import JSON_HEADERS, Failure
from exporter.http.types import AnyEndpoint, Content, NoBody, NoQuery, PlainCall, get

Schema: TypeAlias = dict[str, Any]
_BINARY: Final = {"type": "string", "format": "binary"}
# google.rpc.Status, which OTLP answers faults with.
_STATUS: Final[Schema] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_OTHER_TYPES: Final = {"/metrics": "text/plain", "/api/v1/metrics/infrastructure/prometheus": "text/plain"}


def row(rows: tuple[AnyEndpoint, ...]) -> AnyEndpoint:
    """Return the row at which the description of other rows is found."""

    @lru_cache(maxsize=1)
    def described() -> Content:
        return Content(msgspec.json.encode(describe(rows)), JSON_HEADERS)

    def openapi(call: PlainCall) -> Content:
        return described()

    return get("/openapi.json", openapi, NoQuery, "This description", "OpenAPI 3.1.", runtime=False)


def describe(rows: Iterable[AnyEndpoint]) -> Schema:
    """Return the description of a route table; what belongs to the page is left out."""
    documented = [row for row in rows if row.access != "page"]
    answers = {row: _answer_type(row) for row in documented}
    asked = [kind for row in documented for kind in (row.query, row.body)]
    (*ins, failure), in_components = msgspec.json.schema_components(
        [*asked, Failure], schema_hook=_any, ref_template=_REF
    )
    outs, out_components = msgspec.json.schema_components(answers.values(), schema_hook=_any, ref_template=_REF)
    paths: dict[str, Schema] = {}
    for row, query, body, out in zip(documented, ins[::2], ins[1::2], outs, strict=True):
        described = _operation(row, _resolved(query, in_components), body, _nullable(out), failure)
        paths.setdefault(row.path, {})[row.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "otel-measure", "version": _version()},
        "paths": paths,
        "components": {
            "schemas": in_components | _nullable(out_components),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(row: AnyEndpoint, query: Schema, body: Schema, out: Schema, failure: Schema) -> Schema:
    operation: Schema = {
        "operationId": f"{row.method.lower()}{re.sub(r'[^a-z0-9]+', '_', row.path.lower()).rstrip('_')}",
        "summary": row.summary,
        "parameters": [*_path_parameters(row.path), *_query_parameters(query)],
        "responses": {
            str(row.status): {"description": row.returns, "content": _content(row, out)},
            "default": {"description": "What was wrong, and the way out.", "content": _failure(row, failure)},
        },
        "security": [{}] if row.access == "open" else [{}, {"token": []}],
    }
    if row.body is not NoBody:
        bodies = {media: {"schema": _BINARY if media != _JSON else _body(row, body)} for media in row.accepts}
        operation["requestBody"] = {"required": True, "content": bodies}
    return operation


def _body(row: AnyEndpoint, body: Schema) -> Schema:
    return body if row.reads is None else {"type": "object"}


def _content(row: AnyEndpoint, out: Schema) -> Schema:
    if row.path in _OTHER_TYPES:
        return {_OTHER_TYPES[row.path]: {"schema": {"type": "string"}}}
    if _answer_type(row) is Content:
        return {media: {"schema": _BINARY if media != _JSON else {"type": "object"}} for media in row.accepts}
    envelope = {"status": {"const": "success"}, "data": out}
    return {_JSON: {"schema": {"type": "object", "required": ["status", "data"], "properties": envelope}}}


def _failure(row: AnyEndpoint, enveloped: Schema) -> Schema:
    if row.fails is None:
        return {_JSON: {"schema": enveloped}}
    return {media: {"schema": _BINARY if media != _JSON else _STATUS} for media in row.accepts}


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
    """A parameter is absent or has a value; `null` cannot be written in a query."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "description"}}
    rest = {key: value for key, value in rest.items() if not (key == "default" and value is None)}
    return rest | (kinds[0] if kinds else {})


def _resolved(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    return components[schema["$ref"].rpartition("/")[2]]


def _nullable(schema: Any) -> Any:
    """Every number of an answer may be unknown: `nan`, which JSON writes as `null`."""
    if isinstance(schema, list):
        return [_nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    described = {key: _nullable(value) for key, value in schema.items()}
    return described | {"type": ["number", "null"]} if schema.get("type") == "number" else described


def _answer_type(row: AnyEndpoint) -> Any:
    return get_type_hints(row.handler)["return"]


def _any(kind: type) -> Schema:
    """What msgspec has no schema for is described by its name alone."""
    return {"description": kind.__name__}


def _version() -> str:
    try:
        return version("otel-measure")
    except PackageNotFoundError:
        return "0"
