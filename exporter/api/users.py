"""Users: what they did, how many come back, convert and recommend; who is who, and who is to be forgotten."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from exporter.api.tables import NPS, SEGMENTS
from exporter.http.batch import ItemReceipt, counts, is_duplicate, write_batch
from exporter.http.body import decode_json
from exporter.http.fields import BATCH, Address, Id, Name, RecordId, SentAt, UserId, body_of, item_like
from exporter.http.lists import Listing
from exporter.http.query import DayStep, UserQuery, narrowing
from exporter.http.types import API, MAX_BATCH_BYTES, AnyRoute, Call, NoBody, NoQuery, delete, get, post
from otel_measure.definitions.series import Series
from otel_measure.errors import NotFound
from otel_measure.records.events import USER_EVENT_TYPES
from otel_measure.records.kinds import NpsResponse, UserEvent
from otel_measure.store.types.exports import UserExport
from otel_measure.store.types.facts import Outcome
from otel_measure.store.types.users import Erasure, ErasureState
from otel_measure.users.answers import AnswerBuilder
from otel_measure.users.reports import Conversion, Engagement, Nps, Retention, Segments, UsersSummary
from otel_measure.users.series import UserGroupBy
from otel_measure.users.service import UserAnalyticsService
from otel_measure.users.track import EventBuilder

_BASE: Final = f"{API}/users"


class ConversionQuery(UserQuery, frozen=True, kw_only=True):
    """Which event counts as a conversion."""

    conversion_event: Annotated[
        str, Meta(description="The type or the name of an event.", extra_json_schema={"minLength": 1})
    ] = "conversion"


class UserSeriesQuery(ConversionQuery, frozen=True, kw_only=True):
    """Over which days a series about users is, in which steps, and who converts."""

    step: DayStep = None
    compare: Annotated[Literal["previous"] | None, Meta(description="`previous` adds as many days just before.")] = None
    group_by: Annotated[
        UserGroupBy | None,
        Meta(description="`cohort` adds who of each first day came back on each day after it, of at most 92 days."),
    ] = None


class QuarterQuery(UserQuery, frozen=True, kw_only=True):
    """What narrows an answer that looks back a quarter."""

    window: str = "90d"


class NpsQuery(QuarterQuery, frozen=True, kw_only=True):
    """Which survey; all of them together when absent."""

    survey: Annotated[str | None, Meta(description="Only answers to this survey.")] = None


class UserIdQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which user; for ids that a path cannot carry, such as `.` and `..`, which clients and proxies resolve."""

    user_id: Annotated[str, Meta(description="Any id of the person.", extra_json_schema={"minLength": 1})]


EventBody: Final = body_of(
    EventBuilder.build, UserEvent, "EventBody", "One thing a user did, with the arguments of `track_event`.",
    event_type=Annotated[str, Meta(extra_json_schema={"enum": sorted(USER_EVENT_TYPES)})],
    event_name=Name,
    page_url=Address,
    referrer=Address,
    event_id=RecordId,
)  # fmt: skip


class Tracked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed event; `duplicate` when it was there already."""

    event_id: str
    duplicate: bool = False


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 events; `sent_at` is that of all that say none themselves."""

    events: Annotated[list[Annotated[msgspec.Raw, item_like(EventBody)]], BATCH]
    sent_at: SentAt | None = None


class EventResult(msgspec.Struct, frozen=True):
    """What became of one event."""

    status: Outcome
    event_id: str | None
    reason: str | None


class EventResults(msgspec.Struct, frozen=True):
    """What became of each event, in the order of the batch, and how often."""

    results: list[EventResult]
    accepted: int
    duplicate: int
    rejected: int


NpsBody: Final = body_of(
    AnswerBuilder.build, NpsResponse, "NpsBody", "An answer, with the arguments of `record_nps_response`.",
    response_id=RecordId,
)  # fmt: skip


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


class UnlinkBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An anonymous visitor that is not who it was said to be."""

    anonymous_id: Id


class Unlinked(msgspec.Struct, frozen=True):
    """Whether the id was linked to anybody; null while the store is away and the call waits for it on this host."""

    was_linked: bool | None


_decode_event: Final = msgspec.json.Decoder(EventBody).decode


def record(users: UserAnalyticsService, body: msgspec.Struct, sent_at: dt.datetime | None = None) -> UserEvent:
    """Return the record that a body stands for, validated."""
    given = msgspec.structs.asdict(body)
    return users.event_record(**given | {"sent_at": given["sent_at"] or sent_at})


async def track_event(call: Call[NoQuery, msgspec.Struct]) -> Tracked:
    """Commit one event together with those that arrive at the same time."""
    event = record(call.runtime.users, call.body)
    return Tracked(event.id, is_duplicate(await call.commits.add(event)))


def track_events(call: Call[NoQuery, EventBatch]) -> EventResults:
    """Commit a batch."""
    users, sent_at = call.runtime.users, call.body.sent_at
    receipts = write_batch(
        call.body.events,
        lambda item: (record(users, decode_json(item, _decode_event, "event"), sent_at),),
        call.commits.commit_now,
    )
    n = counts(receipts)
    return EventResults([_result(one) for one in receipts], n["accepted"], n["duplicate"], n["rejected"])


def _result(item: ItemReceipt) -> EventResult:
    return EventResult(item.receipt.outcome, item.id, item.receipt.reason)


async def record_nps(call: Call[NoQuery, msgspec.Struct]) -> Answered:
    """Commit one answer together with what arrives at the same time."""
    answer = call.runtime.users.nps_record(**msgspec.structs.asdict(call.body))
    return Answered(answer.id, is_duplicate(await call.commits.add(answer)))


def identify(call: Call[NoQuery, IdentifyBody]) -> Identified:
    """Commit that two ids are one person."""
    return Identified(call.runtime.users.identify(call.body.anonymous_id, call.body.user_id))


def unlink(call: Call[NoQuery, UnlinkBody]) -> Unlinked:
    """Commit that a link is taken back."""
    return Unlinked(call.runtime.users.unlink(call.body.anonymous_id))


def erase(call: Call[NoQuery, NoBody]) -> Erasure:
    """Erase the user that the path names and answer with the receipt."""
    return call.runtime.users.delete_user(call.path_params["user_id"])


def erase_named(call: Call[UserIdQuery, NoBody]) -> Erasure:
    """Erase the user that the query names and answer with the receipt."""
    return call.runtime.users.delete_user(call.query.user_id)


def export(call: Call[NoQuery, NoBody]) -> UserExport:
    """Answer all that is stored of the user that the path names."""
    return call.runtime.users.export_user(call.path_params["user_id"])


def export_named(call: Call[UserIdQuery, NoBody]) -> UserExport:
    """Answer all that is stored of the user that the query names."""
    return call.runtime.users.export_user(call.query.user_id)


def erasure(call: Call[NoQuery, NoBody]) -> ErasureState:
    """Answer whether the bytes of an erased user are cleared."""
    receipt = call.path_params["receipt"]
    if not receipt.isdecimal():
        raise NotFound("erasure", receipt)
    return call.runtime.users.get_erasure(int(receipt))


def engagement(call: Call[UserQuery, NoBody]) -> Engagement:
    """Answer how many users are active and how often they come."""
    return call.runtime.users.get_engagement_metrics(**narrowing(call.query))


def summary(call: Call[UserQuery, NoBody]) -> UsersSummary:
    """Answer everything about users at once."""
    return call.runtime.users.get_users_summary(**narrowing(call.query))


def conversion(call: Call[ConversionQuery, NoBody]) -> Conversion:
    """Answer who converted."""
    return call.runtime.users.get_conversion_metrics(call.query.conversion_event, **narrowing(call.query))


def retention(call: Call[QuarterQuery, NoBody]) -> Retention:
    """Answer who came back."""
    return call.runtime.users.get_retention_metrics(**narrowing(call.query))


def nps(call: Call[NpsQuery, NoBody]) -> Nps:
    """Answer who would recommend."""
    return call.runtime.users.get_nps_metrics(survey=call.query.survey, **narrowing(call.query))


def segments(call: Call[UserQuery, NoBody]) -> Segments:
    """Answer where users stand."""
    return call.runtime.users.segment_users(**narrowing(call.query))


def series(call: Call[UserSeriesQuery, NoBody]) -> Series:
    """Answer how users were over time."""
    query = call.query
    return call.runtime.users.get_user_series(
        step=query.step,
        compare=query.compare,
        group_by=query.group_by,
        conversion_event=query.conversion_event,
        **narrowing(query),
    )


ROUTES: Final[tuple[AnyRoute, ...]] = (
    post(
        f"{_BASE}/events/track", track_event, EventBody,
        "Track one event", "The id, once the event is committed.",
    ),
    post(
        f"{_BASE}/events/batch", track_events, EventBatch,
        "Track up to 1,000 events", "What became of each event.",
        status=200, max_bytes=MAX_BATCH_BYTES,
    ),
    get(
        f"{_BASE}/engagement", engagement, UserQuery,
        "Active users, stickiness and sessions", "Engagement over the window.",
    ),
    get(f"{_BASE}/summary", summary, UserQuery, "Everything about users", "Totals, and every report about users."),
    get(
        f"{_BASE}/conversion", conversion, ConversionQuery,
        "Who converts", "Conversion over the window, with its 95 % interval.",
    ),
    get(
        f"{_BASE}/retention", retention, QuarterQuery,
        "Who comes back on day 1, 7 and 30", "Retention of the cohorts of the window, with their intervals.",
        lists=(Listing("cohorts", ("day",)),),
    ),
    get(f"{_BASE}/nps", nps, NpsQuery, "Who would recommend", "The net promoter score with its margin.", tables=NPS),
    get(
        f"{_BASE}/series", series, UserSeriesQuery,
        "How users were over time", "A number per column and step: active, new, back, sessions, conversions, NPS.",
    ),
    get(f"{_BASE}/segments", segments, UserQuery, "Where users stand", "Persons by segment; they add up to all.",
        tables=SEGMENTS),
    post(f"{_BASE}/nps/record", record_nps, NpsBody, "Record an answer", "The id, once the answer is committed."),
    post(
        f"{_BASE}/identify", identify, IdentifyBody,
        "Say that an anonymous visitor is a user", "The anonymous id to go on with.", status=200,
    ),
    post(
        f"{_BASE}/unlink", unlink, UnlinkBody,
        "Take back that an anonymous visitor is a user", "Whether it was linked to anybody.", status=200,
    ),
    delete(
        f"{_BASE}/{{user_id}}", erase, NoQuery,
        "Erase a user, named in the path (a `/` in an id is `%2F`)", "The receipt: what was removed.", access="admin",
    ),
    get(
        f"{_BASE}/{{user_id}}/export", export, NoQuery,
        "All that is stored of a user, named in the path", "Facts, links and what is rolled up of them.",
        access="admin",
    ),
    get(
        f"{_BASE}/export", export_named, UserIdQuery,
        "All that is stored of a user, named in the query", "Facts, links and what is rolled up of them.",
        access="admin",
    ),
    get(
        f"{API}/erasures/{{receipt}}", erasure, NoQuery,
        "Whether the bytes of an erased user are cleared", "The state of the erasure.", access="admin",
    ),
    delete(
        _BASE, erase_named, UserIdQuery,
        "Erase a user, named in the query", "The receipt: what was removed.", access="admin",
    ),
)  # fmt: skip
