"""The kinds of fields that bodies are made of: their types are checked while decoding, their rules by the domain.

A rule stands here only as a description, so that what is wrong with a value is said once, in the domain's words. A body
that records a fact has the arguments of the call that makes it, with the types of the record's fields.
"""

from __future__ import annotations

import datetime as dt
import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from exporter.http.types import MAX_BATCH_ITEMS
from otel_measure.records import limits

_NOT_BLANK: Final = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"
_NAME: Final = {"minLength": 1, "maxLength": limits.MAX_NAME_CHARS, "pattern": _NOT_BLANK}
_ID: Final = {"minLength": 1, "maxLength": limits.MAX_ID_CHARS, "pattern": _NOT_BLANK}

Name: TypeAlias = Annotated[str, Meta(extra_json_schema=_NAME)]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema=_ID)]
RecordId: TypeAlias = Annotated[str, Meta(description="Makes a retry safe: an id counts once.", extra_json_schema=_ID)]
UserId: TypeAlias = int | Id
Currency: TypeAlias = Annotated[str, Meta(description="ISO 4217.", extra_json_schema={"pattern": "^[A-Za-z]{3}$"})]
Moment: TypeAlias = Annotated[dt.datetime, Meta(description="RFC 3339, with a time zone.")]
SentAt: TypeAlias = Annotated[
    dt.datetime,
    Meta(
        description="The sender's clock when it sends this attempt, anew at each retry: where it is off by 60 s or"
        " more, the difference corrects `timestamp`."
    ),
]
JsonObject: TypeAlias = dict[str, Any]
Address: TypeAlias = Annotated[str, Meta(description=f"Cut to {limits.MAX_TEXT_CHARS} characters where it is longer.")]

_LABEL: Final = {"minLength": 1, "maxLength": limits.MAX_GROUP_CHARS, "pattern": _NOT_BLANK}
Groups: TypeAlias = Annotated[
    dict[str, str],
    Meta(
        description="Whom the call is about: attribute and label, for fairness.",
        extra_json_schema={
            "maxProperties": limits.MAX_GROUPS,
            "propertyNames": _LABEL,
            "additionalProperties": {"type": "string", **_LABEL},
        },
    ),
]

# Arguments that are written in another form than the field that they become.
_ARGUMENTS: Final[dict[str, Any]] = {"user_id": UserId, "timestamp": Moment, "sent_at": SentAt, "currency": Currency}
_RULES: Final = (("min_length", "minLength"), ("max_length", "maxLength"), ("ge", "minimum"), ("le", "maximum"))


def body_of(
    call: Callable[..., object],
    record: type[Struct],
    name: str,
    about: str,
    *,
    without: frozenset[str] = frozenset(),
    also: Mapping[str, Any] = MappingProxyType({}),
    **kinds: Any,
) -> type[Struct]:
    """Return a body that has the arguments of a call, with the same ones required.

    Args:
        call: makes the record, an unbound method.
        record: has the fields that the arguments become.
        name: of the body, in the description of the API.
        about: what it is, one sentence.
        without: arguments that the body does not have.
        also: optional fields that are no arguments of the call, with their kinds.
        kinds: the kinds of arguments that are no field under their own name.

    Raises:
        TypeError: an argument is no field and has no kind.
    """
    hints = get_type_hints(record, include_extras=True)
    _, *arguments = inspect.signature(call).parameters.values()
    fields: list[Any] = []
    for argument in arguments:
        if argument.name in without:
            continue
        kind = kinds.get(argument.name) or _ARGUMENTS.get(argument.name)
        if kind is None and argument.name not in hints:
            raise TypeError(f"{name}.{argument.name} is no field of {record.__name__}: give {argument.name}=<its kind>")
        kind = _described(hints[argument.name]) if kind is None else kind
        if argument.default is argument.empty:
            fields.append((argument.name, kind))
        else:
            fields.append((argument.name, kind | None if argument.default is None else kind, argument.default))
    fields.extend((argument, kind | None, None) for argument, kind in also.items())
    return msgspec.defstruct(name, fields, namespace={"__doc__": about}, frozen=True, forbid_unknown_fields=True)


def _described(hint: Any) -> Any:
    """Return the type of a record's field, with its rule as a description."""
    if get_origin(hint) is Annotated:
        plain, rule = get_args(hint)
        schema = {key: limit for name, key in _RULES if (limit := getattr(rule, name)) is not None}
        if schema.get("minLength"):
            schema["pattern"] = _NOT_BLANK
        return Annotated[plain, Meta(extra_json_schema=schema)]
    if get_origin(hint) is dict:
        return JsonObject
    arms = get_args(hint)
    return reduce(or_, map(_described, arms)) if arms else hint


def item_like(body: type[Struct]) -> Meta:
    """Return the description of an item that looks like a body and is judged by itself: any other is rejected alone."""
    alike = {"$ref": f"#/components/schemas/{body.__name__}"}
    return Meta(description="Judged by itself.", extra_json_schema={"anyOf": [alike, {}]})


BATCH: Final = Meta(extra_json_schema={"maxItems": MAX_BATCH_ITEMS})
