"""Users: what they did, and how many of them come back."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from exporter.http.batch import Verdict, counts, is_duplicate, write_batch
from exporter.http.body import decode_json
from exporter.http.fields import BATCH, Currency, Id, JsonObject, Label, Moment, RecordId, UserId, item_like
from exporter.http.query import UserQuery
from exporter.http.types import API, MAX_BATCH_BYTES, AnyEndpoint, Call, NoBody, NoQuery, get, post
from otel_measure.records.kinds import USER_EVENT_TYPES, UserEvent
from otel_measure.store.types.facts import Outcome
from otel_measure.users.reports import Engagement
from otel_measure.users.service import UserAnalyticsService

_BASE: Final = f"{API}/users"


class EventBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing a user did, with the arguments of `track_event`."""

    user_id: UserId
    event_type: Annotated[str, Meta(extra_json_schema={"enum": sorted(USER_EVENT_TYPES)})]
    event_name: Label
    page_url: str | None = None
    properties: JsonObject | None = None
    session_id: Id | None = None
    device_type: Label | None = None
    referrer: str | None = None
    value: float | None = None
    currency: Currency | None = None
    timestamp: Moment | None = None
    event_id: RecordId | None = None


class Tracked(msgspec.Struct, frozen=True, omit_defaults=True):
    """The id of a committed event; `duplicate` when it was there already."""

    event_id: str
    duplicate: bool = False


class EventBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 events; `sent_at` is the sender's clock when it sent them, and corrects their times."""

    events: Annotated[list[Annotated[msgspec.Raw, item_like(EventBody)]], BATCH]
    sent_at: Moment | None = None


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


_decode_event: Final = msgspec.json.Decoder(EventBody).decode


def record(users: UserAnalyticsService, body: EventBody, sent_at: dt.datetime | None = None) -> UserEvent:
    """Return the record that a body stands for, validated."""
    return users.event_record(
        body.user_id,
        body.event_type,
        body.event_name,
        page_url=body.page_url,
        properties=body.properties,
        session_id=body.session_id,
        device_type=body.device_type,
        referrer=body.referrer,
        value=body.value,
        currency=body.currency,
        timestamp=body.timestamp,
        event_id=body.event_id,
        sent_at=sent_at,
    )


async def track_event(call: Call[NoQuery, EventBody]) -> Tracked:
    """Commit one event together with those that arrive at the same time."""
    event = record(call.runtime.users, call.body)
    return Tracked(event.id, is_duplicate(await call.live.commits.add(event)))


def track_events(call: Call[NoQuery, EventBatch]) -> EventResults:
    """Commit a batch."""
    users, sent_at = call.runtime.users, call.body.sent_at
    verdicts = write_batch(
        call.body.events,
        lambda item: (record(users, decode_json(item, _decode_event, "event"), sent_at),),
        call.live.commits.commit_now,
    )
    n = counts(verdicts)
    return EventResults([_result(one) for one in verdicts], n["accepted"], n["duplicate"], n["rejected"])


def _result(verdict: Verdict) -> EventResult:
    return EventResult(verdict.receipt.outcome, verdict.id, verdict.receipt.reason)


def engagement(call: Call[UserQuery, NoBody]) -> Engagement:
    """Answer how many users are active and how often they come."""
    query = call.query
    return call.runtime.users.get_engagement_metrics(
        query.window, as_of=query.as_of, service=query.service, environment=query.environment
    )


ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
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
)  # fmt: skip
