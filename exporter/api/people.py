"""Users as persons: who converts, comes back and recommends; who is who, and who is to be forgotten."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from exporter.http.batch import is_duplicate
from exporter.http.fields import Id, Label, Moment, RecordId, UserId
from exporter.http.query import UserQuery
from exporter.http.types import API, AnyEndpoint, Call, Endpoint, NoBody, NoQuery, get, post
from otel_measure.store.types.users import Erasure
from otel_measure.users.reports import Conversion, Nps, Retention, Segments, UsersSummary

_BASE: Final = f"{API}/users"


class ConversionQuery(UserQuery, frozen=True, kw_only=True):
    """Which event counts as a conversion."""

    conversion_event: Annotated[
        str, Meta(description="The type or the name of an event.", extra_json_schema={"minLength": 1})
    ] = "conversion"


class QuarterQuery(UserQuery, frozen=True, kw_only=True):
    """What narrows an answer that looks back a quarter."""

    window: str = "90d"


class NpsQuery(QuarterQuery, frozen=True, kw_only=True):
    """Which survey; all of them together when absent."""

    survey: Annotated[str | None, Meta(description="Only answers to this survey.")] = None


class NpsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer, with the arguments of `record_nps_response`."""

    user_id: UserId
    score: Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": 10})]
    comment: str = ""
    survey: Label = "default"
    timestamp: Moment | None = None
    response_id: RecordId | None = None


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed answer; `duplicate` when it was there already."""

    response_id: str
    duplicate: bool = False


class IdentifyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An anonymous visitor, and who it turned out to be."""

    anonymous_id: Id
    user_id: UserId


class Identified(msgspec.Struct, frozen=True):
    """The anonymous id to go on with; a fresh one when the given one belongs to somebody else."""

    anonymous_id: str


def _at(query: UserQuery) -> dict[str, Any]:
    """Return what every question about users takes."""
    names: tuple[tuple[str, str | dt.date | None], ...] = (
        ("window", query.window), ("as_of", query.as_of), ("service", query.service),
        ("environment", query.environment),
    )  # fmt: skip
    return dict(names)


def summary(call: Call[UserQuery, NoBody]) -> UsersSummary:
    """Answer everything about users at once."""
    return call.runtime.users.get_users_summary(**_at(call.query))


def conversion(call: Call[ConversionQuery, NoBody]) -> Conversion:
    """Answer who converted."""
    return call.runtime.users.get_conversion_metrics(call.query.conversion_event, **_at(call.query))


def retention(call: Call[QuarterQuery, NoBody]) -> Retention:
    """Answer who came back."""
    return call.runtime.users.get_retention_metrics(**_at(call.query))


def nps(call: Call[NpsQuery, NoBody]) -> Nps:
    """Answer who would recommend."""
    return call.runtime.users.get_nps_metrics(survey=call.query.survey, **_at(call.query))


def segments(call: Call[UserQuery, NoBody]) -> Segments:
    """Answer where users stand."""
    return call.runtime.users.segment_users(**_at(call.query))


async def record_nps(call: Call[NoQuery, NpsBody]) -> Answered:
    """Commit one answer together with what arrives at the same time."""
    body = call.body
    answer = call.runtime.users.nps_record(
        body.user_id,
        body.score,
        body.comment,
        survey=body.survey,
        timestamp=body.timestamp,
        response_id=body.response_id,
    )
    return Answered(answer.id, is_duplicate(await call.live.commits.add(answer)))


def identify(call: Call[NoQuery, IdentifyBody]) -> Identified:
    """Commit that two ids are one person."""
    return Identified(call.runtime.users.identify(call.body.anonymous_id, call.body.user_id))


def erase(call: Call[NoQuery, NoBody]) -> Erasure:
    """Erase a user and answer with the receipt."""
    return call.runtime.users.delete_user(call.path["user_id"])


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    get(f"{_BASE}/summary", summary, UserQuery, "Everything about users", "Totals, and every report about users."),
    get(
        f"{_BASE}/conversion", conversion, ConversionQuery,
        "Who converts", "Conversion over the window, with its 95 % interval.",
    ),
    get(
        f"{_BASE}/retention", retention, QuarterQuery,
        "Who comes back on day 1, 7 and 30", "Retention of the cohorts of the window, with their intervals.",
    ),
    get(f"{_BASE}/nps", nps, NpsQuery, "Who would recommend", "The net promoter score with its margin."),
    get(f"{_BASE}/segments", segments, UserQuery, "Where users stand", "Persons by segment; they add up to all."),
    post(f"{_BASE}/nps/record", record_nps, NpsBody, "Record an answer", "The id, once the answer is committed."),
    post(
        f"{_BASE}/identify", identify, IdentifyBody,
        "Say that an anonymous visitor is a user", "The anonymous id to go on with.", status=200,
    ),
    Endpoint(
        method="DELETE", path=f"{_BASE}/{{user_id}}", handler=erase, query=NoQuery, body=NoBody, access="admin",
        summary="Erase a user", returns="The receipt: what was removed.",
    ),
)  # fmt: skip
