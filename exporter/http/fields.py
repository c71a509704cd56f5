"""The kinds of fields that bodies are made of: their types are checked while decoding, their rules by the domain.

A rule stands here only as a description, so that what is wrong with a value is said once, in the domain's words.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct

from exporter.http.types import MAX_BATCH_ITEMS
from otel_measure.records import limits

_NOT_BLANK: Final = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
_LABEL: Final = {"minLength": 1, "maxLength": limits.MAX_NAME_CHARS, "pattern": _NOT_BLANK}
_ID: Final = {"minLength": 1, "maxLength": limits.MAX_ID_CHARS, "pattern": _NOT_BLANK}

Label: TypeAlias = Annotated[str, Meta(extra_json_schema=_LABEL)]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema=_ID)]
RecordId: TypeAlias = Annotated[str, Meta(description="Makes a retry safe: an id counts once.", extra_json_schema=_ID)]
UserId: TypeAlias = int | Id
CostUsd: TypeAlias = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": int(limits.MAX_COST_USD)})]
DurationMs: TypeAlias = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": int(limits.MAX_LATENCY_MS)})]
Count: TypeAlias = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": limits.MAX_COUNT})]
Currency: TypeAlias = Annotated[str, Meta(description="ISO 4217.", extra_json_schema={"pattern": "^[A-Za-z]{3}$"})]
Moment: TypeAlias = Annotated[dt.datetime, Meta(description="RFC 3339, with a time zone.")]
JsonObject: TypeAlias = dict[str, Any]


def item_like(body: type[Struct]) -> Meta:
    """Return the description of an item that looks like a body and is judged by itself: any other is rejected alone."""
    alike = {"$ref": f"#/components/schemas/{body.__name__}"}
    return Meta(description="Judged by itself.", extra_json_schema={"anyOf": [alike, {}]})


BATCH: Final = Meta(extra_json_schema={"maxItems": MAX_BATCH_ITEMS})
