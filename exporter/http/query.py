"""Query parameters: each route has a struct of those it takes, and any other one is an error that names it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal, TypedDict, TypeVar, overload
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from exporter.http.envelope import HttpError, explained
from exporter.http.types import NoQuery
from otel_measure.ai.call_facts import MAX_CALLS
from otel_measure.definitions.machine_cells import MACHINE_LADDER
from otel_measure.definitions.steps import LADDER
from otel_measure.store.types.models import CallOrder, SeriesGroupBy

_MAX_PARAMETERS: Final = 32
_STEP: Final = "How long a step is; the shortest that makes at most 300 when absent."

_Window = Annotated[
    str,
    Meta(
        description="How far to look back: a number and m, h, d or w.",
        examples=["24h", "30d"],
        extra_json_schema={"pattern": "^([1-9][0-9]{0,3}[mh]|[1-9][0-9]{0,2}d|[1-9][0-9]?w)$"},
    ),
]
_AsOf = Annotated[dt.date | None, Meta(description="Answer as of the end of this day, e.g. 2026-01-31.")]
_Service = Annotated[str | None, Meta(description="Only records of this `service.name`.")]
_Environment = Annotated[
    str | None, Meta(description="Of this `deployment.environment.name`; an answer is always of one.")
]
DayStep = Annotated[
    str | None,
    Meta(description="Days or weeks; days up to 92 of them when absent.", extra_json_schema={"enum": ["1d", "1w"]}),
]
_Positive = Annotated[str | None, Meta(description="The class that counts as selected; `true` or `1` when not given.")]
_Name = Annotated[str, Meta(description="Name of the model, as it was recorded.")]
_Model = Annotated[str | None, Meta(description="One model; all of them when absent.")]
_VersionOfIt = Annotated[str | None, Meta(description="One version of it; all of them together when absent.")]
_Version = Annotated[str, Meta(description="Version of the model, as it was recorded.")]


_Start = Annotated[dt.datetime | None, Meta(description="From when, with its zone: 2026-01-31T12:00:00Z.")]
_End = Annotated[dt.datetime | None, Meta(description="Until when; now when absent.")]


class ModelQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows an answer about models; `start` and `end` stand in the place of the window."""

    window: _Window = "24h"
    as_of: _AsOf = None
    start: _Start = None
    end: _End = None
    service: _Service = None
    environment: _Environment = None


class NamedModelQuery(ModelQuery, frozen=True, kw_only=True):
    """A model whose name stands after the question mark: that works behind any proxy."""

    name: _Name
    version: _Version


class ChosenModelQuery(ModelQuery, frozen=True, kw_only=True):
    """What narrows an answer about all models, one of them, or one version."""

    model: _Model = None
    version: _VersionOfIt = None


class ComparisonQuery(ModelQuery, frozen=True, kw_only=True):
    """Which two versions of a model are compared, and what narrows the answer."""

    model: _Name
    version: _Version
    baseline: Annotated[str, Meta(description="The version that it is compared with.")]


class CallsQuery(ChosenModelQuery, frozen=True, kw_only=True):
    """Which single calls are told."""

    sort: Annotated[CallOrder, Meta(description="The slowest calls, or the dearest.")] = "latency"
    limit: Annotated[int, Meta(ge=1, le=MAX_CALLS, description="How many of them.")] = 20


class FairnessQuery(ModelQuery, frozen=True, kw_only=True):
    """What narrows an answer about fairness, and which class counts as selected."""

    positive: _Positive = None


class SpendingQuery(ModelQuery, frozen=True, kw_only=True):
    """By what costs are told, and what narrows the answer."""

    by: Annotated[
        str, Meta(description="Some of `user`, `repository`, `model` and `version`, with commas between.")
    ] = "user"
    window: _Window = "30d"


class UserQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows an answer about users."""

    window: _Window = "30d"
    as_of: _AsOf = None
    service: _Service = None
    environment: _Environment = None


class TimeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Over which time a series is."""

    window: Annotated[
        str | None,
        Meta(
            description="How far to look back: a number and m, h, d or w; instead of `start` and `end`.",
            examples=["24h", "30d"],
        ),
    ] = None
    start: _Start = None
    end: _End = None
    compare: Annotated[
        Literal["previous"] | None, Meta(description="`previous` adds the equally long time before.")
    ] = None


class MachineSeriesQuery(TimeQuery, frozen=True, kw_only=True):
    """A series about the machine."""

    step: Annotated[str | None, Meta(description=_STEP, extra_json_schema={"enum": list(MACHINE_LADDER)})] = None


class AvailabilitySeriesQuery(TimeQuery, frozen=True, kw_only=True):
    """A series about a service of one environment, and in which steps it is."""

    step: Annotated[str | None, Meta(description=_STEP, extra_json_schema={"enum": list(LADDER)})] = None
    environment: _Environment = None


class SeriesQuery(AvailabilitySeriesQuery, frozen=True, kw_only=True):
    """In which steps a series is, and of what."""

    service: _Service = None


class ModelSeriesQuery(SeriesQuery, frozen=True, kw_only=True):
    """A series about models: of all, of one, or of one version, and what it tells apart."""

    model: _Model = None
    version: _VersionOfIt = None
    group_by: Annotated[
        SeriesGroupBy | None,
        Meta(description="What has columns of its own: the 20 groups with the most calls, and the others together."),
    ] = None


class SeriesNarrowing(TypedDict):
    """What narrows a series, as keywords of the services' getters."""

    window: str | None
    start: dt.datetime | None
    end: dt.datetime | None
    step: str | None
    compare: Literal["previous"] | None
    service: str | None
    environment: str | None


def series_narrowing(query: SeriesQuery) -> SeriesNarrowing:
    """Return the keywords that narrow a series."""
    return SeriesNarrowing(
        window=query.window,
        start=query.start,
        end=query.end,
        step=query.step,
        compare=query.compare,
        service=query.service,
        environment=query.environment,
    )


class Narrowing(TypedDict):
    """What narrows a question about users, as keywords of the service's getters."""

    window: str
    as_of: dt.date | None
    service: str | None
    environment: str | None


class ModelNarrowing(Narrowing):
    """What narrows a question about models, likewise."""

    start: dt.datetime | None
    end: dt.datetime | None


@overload
def narrowing(query: ModelQuery) -> ModelNarrowing: ...
@overload
def narrowing(query: UserQuery) -> Narrowing: ...
def narrowing(query: ModelQuery | UserQuery) -> Narrowing:
    """Return the keywords that narrow a question of the services."""
    told = Narrowing(window=query.window, as_of=query.as_of, service=query.service, environment=query.environment)
    return ModelNarrowing(**told, start=query.start, end=query.end) if isinstance(query, ModelQuery) else told


class EnvironmentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which environment an answer is about."""

    environment: _Environment = None


class ChangesQuery(EnvironmentQuery, frozen=True, kw_only=True):
    """Over which window changes are looked for, of whom, and in which environment."""

    window: _Window = "24h"
    service: _Service = None


class ExperimentSeriesQuery(EnvironmentQuery, frozen=True, kw_only=True):
    """Over which days a series about a test is, and in which steps."""

    window: _Window = "30d"
    as_of: _AsOf = None
    step: DayStep = None


class DiskQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which filesystem."""

    mount_point: Annotated[str, Meta(description="A mount point, or any directory of the filesystem.")] = "/"


class ProcessQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which process."""

    pid: Annotated[int, Meta(ge=1, le=2**31 - 1, description="The server's own process when absent.")] | None = None


class AvailabilityQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows an answer about the availability of a service."""

    window: _Window = "30d"
    as_of: _AsOf = None
    environment: _Environment = None


class ExpositionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows the exposition."""

    scope: Annotated[
        Literal["infrastructure"] | None, Meta(description="`infrastructure` leaves models and users away.")
    ] = None


Q = TypeVar("Q", bound=msgspec.Struct)


def parse(query_string: bytes, kind: type[Q]) -> Q:
    """Return the parameters of a request.

    Args:
        query_string: as it stands in the request, percent-encoded.
        kind: the parameters that have a meaning.

    Raises:
        HttpError: 400 for a parameter that is unknown, given twice, missing or malformed; the message names it.
    """
    if not query_string and kind is NoQuery:
        return kind()
    given = _pairs(query_string) if query_string else {}
    known = kind.__struct_fields__
    for name in given:
        if name not in known:
            raise HttpError(400, f"query parameter {name!r} has no meaning here; {_allowed(known)}")
    try:
        parameters = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as fault:
        raise HttpError(400, explained(fault, "query")) from None
    for name in given:
        # The lax conversion that reads dates and numbers out of text reads "null" too.
        if getattr(parameters, name) is None:
            raise HttpError(400, f"{name}: expected a value, got {given[name]!r}")
    return parameters


def _pairs(query_string: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS
        )
    except ValueError:
        message = f"the query must be percent-encoded UTF-8 with at most {_MAX_PARAMETERS} parameters"
        raise HttpError(400, message) from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise HttpError(400, f"query parameter {name!r} is given twice; give it once")
        given[name] = value
    return given


def _allowed(known: tuple[str, ...]) -> str:
    return f"allowed: {', '.join(known)}" if known else "none is allowed"
