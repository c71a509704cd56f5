"""What an application calls: recording, identity, erasure, and questions on an empty store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, cast

import msgspec
import pytest

from otel_measure.config import Settings
from otel_measure.definitions.measurements import measurements
from otel_measure.errors import NoStore, NotFound
from otel_measure.recorder import Recorder
from otel_measure.records.caller import context
from otel_measure.records.kinds import AbConversion, Exposure, Inference, NpsResponse, Origin, Record, UserEvent
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import DUPLICATE, Receipt
from otel_measure.users.ab_tests import AbTests
from otel_measure.users.service import UserAnalyticsService
from tests.closing import closed_later
from tests.store.asking import asked

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
ORIGIN = Origin("shop", "test")


class Deaf:
    """A sink that counts nothing."""

    def record(self, *_: object) -> None: ...
    def count(self, *_: object) -> None: ...
    def fault(self, *_: object) -> None: ...
    def commit_took(self, *_: object) -> None: ...


@pytest.fixture
def store() -> Iterator[SqliteStore]:
    """An empty store."""
    store = SqliteStore(":memory:")
    yield store
    store.close()


def service(store: SqliteStore | None, now: Callable[[], int] = lambda: NOW_US) -> UserAnalyticsService:
    """A service whose ids count up from id0."""
    ids = count()
    settings = Settings(service_name="shop", environment="test")
    recorder = Recorder(store, Deaf(), flush_interval_s=60.0, raise_faults=True)
    return UserAnalyticsService(settings, recorder, store, now, lambda: f"id{next(ids)}", ab_tests=cast(AbTests, None))


@pytest.fixture
def users(store: SqliteStore) -> UserAnalyticsService:
    """A service over it."""
    return service(store)


def test_event_record(users: UserAnalyticsService) -> None:
    """The record of an event carries every argument, corrected by what the client's clock is off."""
    found = users.event_record(
        7,
        "purchase",
        "book",
        page_url="/buy",
        properties={"background": True, "n": 1},
        session_id="s",
        device_type="phone",
        referrer="/home",
        value=12.5,
        currency="eur",
        timestamp=NOW - timedelta(minutes=10),
        event_id="e",
        sent_at=NOW - timedelta(minutes=9),
    )
    assert found == UserEvent(
        id="e",
        ts=NOW_US - 60_000_000,
        origin=ORIGIN,
        user_id="7",
        type="purchase",
        name="book",
        page_url="/buy",
        session_id="s",
        device_type="phone",
        referrer="/home",
        value=12.5,
        currency="EUR",
        background=True,
        properties={"background": True, "n": 1},
    )


def test_answer_record(users: UserAnalyticsService) -> None:
    """The record of an answer carries every argument; a time too far ahead becomes now and is flagged."""
    found = users.nps_record("u", 9, "good", survey="checkout", timestamp=NOW + timedelta(seconds=301), response_id="r")
    assert found == NpsResponse(
        id="r", ts=NOW_US, origin=ORIGIN, user_id="u", score=9, survey="checkout", comment="good", clamped=True
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: u.record_nps_response(1, 11), "score must be a whole number from 0 to 10, not 11"),
        (lambda u: u.record_nps_response(1, -1), "score must be a whole number from 0 to 10, not -1"),
        (lambda u: u.record_nps_response(1, True), "score must be a whole number from 0 to 10, not True"),
        (lambda u: u.record_nps_response(1, 9.0), "score must be a whole number from 0 to 10, not 9.0"),
        (lambda u: u.record_nps_response("", 9), "user_id must be a non-empty string, not ''"),
        (lambda u: u.record_nps_response(1, 9, 5), "comment must be a non-empty string, not 5"),
        (lambda u: u.record_nps_response(1, 9, survey=""), "survey must be a non-empty string, not ''"),
        (lambda u: u.track_event(True, "click", "x"), "user_id must be an int, a UUID or a non-empty string, not True"),
        (lambda u: u.track_event(None, "click", "x"), "user_id must be an int, a UUID or a non-empty string, not None"),
        (lambda u: u.track_event(1, "clack", "x"), "event_type must be one of"),
        (lambda u: u.track_event(1, "click", "x", value=1e13), "value must be between -1e+12 and 1e+12"),
        (lambda u: u.track_event(1, "click", "x", value=math.nan), "value must be a finite number, not nan"),
        (lambda u: u.track_event(1, "click", "x", timestamp=datetime(2026, 1, 1)), "timestamp must carry a time zone"),
        (lambda u: u.event_record(1, "click", "x", sent_at=datetime(2026, 1, 1)), "sent_at must carry a time zone"),
        (lambda u: u.start_session(1, session_id=" "), "session_id must be a non-empty string, not ' '"),
        (lambda u: u.end_session(1, ""), "session_id must be a non-empty string, not ''"),
        (lambda u: u.identify("", 1), "anonymous_id must be a non-empty string, not ''"),
        (
            lambda u: u.identify("Undefined", 1),
            "anonymous_id must be an id of somebody, not the placeholder 'Undefined'",
        ),
        (lambda u: u.identify("a", "0"), "user_id must be an id of somebody, not the placeholder '0': leave out who"),
        (lambda u: u.identify(0, "u"), "anonymous_id must be an id of somebody, not the placeholder 0: leave out who"),
        (
            lambda u: u.track_event("guest", "click", "x"),
            "user_id must be an id of somebody, not the placeholder 'guest'",
        ),
        (lambda u: u.identify("a", False), "user_id must be an int, a UUID or a non-empty string, not False"),
        (lambda u: u.delete_user(None), "user_id must be an int, a UUID or a non-empty string, not None"),
        (lambda u: u.get_engagement_metrics("month"), "window must be a number and a unit"),
        (lambda u: u.get_nps_metrics(as_of=date(2026, 3, 11)), "as_of must not lie in the future"),
        (lambda u: u.get_conversion_metrics(""), "conversion_event must be a non-empty string, not ''"),
    ],
)
def test_wrong_arguments(
    users: UserAnalyticsService, call: Callable[[UserAnalyticsService], object], message: str
) -> None:
    """A wrong argument is refused at the call with its name, its value and the rule."""
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        call(users)


def test_surroundings_name_the_user(users: UserAnalyticsService) -> None:
    """Inside a context an event belongs to its user and session."""
    with context(user_id=5, session_id="s"):
        event = users.event_record(None, "click", "x")
        answer = users.nps_record(None, 3)
    assert (event.user_id, event.session_id, answer.user_id) == ("5", "s", "5")


def test_session_from_start_to_end(store: SqliteStore) -> None:
    """A session lasts from its start to its end, which are no activity and no event of the user's."""
    times = iter(NOW_US + second * 1_000_000 for second in (0, 5, 60))
    users = service(store, lambda: next(times, NOW_US + 4000 * 1_000_000))
    session = users.start_session(1)
    users.track_event(1, "page_view", "home", session_id=session)
    users.end_session(1, session)
    found = users.get_users_summary()
    assert (found.total_users, found.total_events, found.total_sessions) == (1, 1, 1)
    assert found.engagement.avg_session_duration_seconds == 60.0
    assert found.engagement.bounce_rate == 0.0


def test_identify(users: UserAnalyticsService) -> None:
    """A first link and its repetition keep the anonymous id, one to somebody else gives a fresh one."""
    for user in ("a", 1, 2):
        users.track_event(user, "page_view", "home")
    assert users.get_engagement_metrics().dau == 3
    assert [users.identify("a", 1), users.identify("a", "1"), users.identify("a", 2)] == ["a", "a", "id3"]
    assert users.get_engagement_metrics().dau == 2
    assert users.identify(1, 2) == "id4"  # two users are never one person
    assert users.get_engagement_metrics().dau == 2


def test_unlink(users: UserAnalyticsService) -> None:
    """A link is taken back, once; the id may be linked anew, and the user stays one."""
    for user in ("a", 1, 2):
        users.track_event(user, "page_view", "home")
    users.identify("a", 1)
    assert users.get_engagement_metrics().dau == 2
    assert [users.unlink("a"), users.unlink("a"), users.unlink("nobody"), users.unlink("undefined")] == [
        True,
        False,
        False,
        False,
    ]
    assert users.get_engagement_metrics().dau == 3
    assert users.identify(1, 2) != "1"
    assert users.identify("a", 2) == "a"
    assert users.get_engagement_metrics().dau == 2
    with pytest.raises(ValueError, match="anonymous_id must be a non-empty string"):
        users.unlink("")


def test_erasure_and_replay(store: SqliteStore, users: UserAnalyticsService) -> None:
    """An erasure removes every fact under every id, makes inferences anonymous, drops replays, leaves others alone."""
    replay: list[Record] = [
        users.event_record("7", "purchase", "x", event_id="e1", value=3.0),
        users.event_record("anon", "click", "y", event_id="e2", properties={"background": True}),
        users.nps_record(7, 2, "bad", response_id="n1"),
        Exposure(id="x1", ts=NOW_US, origin=ORIGIN, user_id="7", experiment="test", variant="a"),
        AbConversion(id="c1", ts=NOW_US, origin=ORIGIN, user_id="7", experiment="test"),
    ]
    call = Inference(
        id="i1", ts=NOW_US, origin=ORIGIN, model="m", version="1", latency_ms=1.0, user_id="7", session_id="s"
    )
    store.accept([*replay, call, users.event_record("8", "click", "z", event_id="e3")])
    users.identify("anon", 7)
    receipt = users.delete_user(7)
    assert msgspec.to_builtins(receipt) == {
        "user_id": "7",
        "receipt": 1,
        "erased_at": "2026-03-10T12:00:00Z",
        "ids": 2,
        "events": 2,
        "nps_responses": 1,
        "exposures": 1,
        "ab_conversions": 1,
        "agent_runs": 0,
        "inferences": 1,
        "bytes_cleared": True,
        "pending": False,
    }
    with pytest.raises(NotFound, match="no erasure named '2'"):
        users.get_erasure(2)
    assert users.get_erasure(1).bytes_cleared
    summary = users.get_users_summary()
    assert (summary.total_users, summary.total_events, summary.nps.responses) == (1, 1, 0)
    assert store.accept(replay) == [Receipt("rejected", "erased")] * 5
    assert store.accept([call]) == [DUPLICATE]
    with store._database.read() as connection:
        dump = "\n".join(connection.iterdump())
    assert not any(f"'{text}'" in dump for text in ("7", "anon", "bad", "s"))


def test_same_id_after_an_erasure_is_somebody_new(store: SqliteStore) -> None:
    """What happens after an erasure counts, but for facts that were themselves erased."""
    clock = [NOW_US]
    users = service(store, lambda: clock[0])
    store.accept([users.event_record(7, "click", "x", event_id="old")])
    users.delete_user(7)
    clock[0] += 1_000_000
    again, new = (users.event_record(7, "click", "x", event_id=i) for i in ("old", "new"))
    late, after = (
        Inference(id=f"i{ts}", ts=ts, origin=ORIGIN, model="m", version="1", latency_ms=1.0, user_id="7")
        for ts in (NOW_US, NOW_US + 1)
    )
    assert [r.outcome for r in store.accept([again, new, late, after])] == [
        "rejected",
        "accepted",
        "accepted",
        "accepted",
    ]
    assert users.get_users_summary().total_events == 1
    with store._database.read() as connection:
        kept = connection.execute("SELECT id, user_id FROM inference ORDER BY id").fetchall()
    assert kept == [(late.id, None), (after.id, "7")]


def test_erasing_nobody(users: UserAnalyticsService) -> None:
    """A user never seen gives a receipt of zeros."""
    receipt = users.delete_user("ghost")
    assert (receipt.ids, receipt.events, receipt.inferences) == (0, 0, 0)


def test_another_process_forgets_the_erased(tmp_path: Any) -> None:
    """A process that knew a user takes what comes after the erasure in another process as somebody new's."""
    path = str(tmp_path / "store.db")
    here, there = closed_later(SqliteStore(path)), closed_later(SqliteStore(path))
    users = service(here)
    there.accept([users.event_record(1, "click", "x")])
    users.delete_user(1)
    later = service(there, lambda: NOW_US + 1)
    there.accept([later.event_record(1, "click", "y", event_id="later"), later.event_record(2, "click", "y")])
    assert service(here).get_engagement_metrics().dau == 2
    here.close()
    there.close()


def test_totals_do_not_fall(store: SqliteStore, users: UserAnalyticsService) -> None:
    """Running totals keep what an erased user counted, through a rebuild as well."""
    event = users.event_record(1, "click", "x")
    store.accept([event])
    before = asked(store, lambda m: m.streams.families(NOW_US))
    users.delete_user(1)
    assert asked(store, lambda m: m.streams.families(NOW_US)) == before
    store.rebuild()
    assert asked(store, lambda m: m.streams.families(NOW_US)) == before
    assert len(measurements(event)) == 1


def test_use_cases_on_an_empty_store(users: UserAnalyticsService) -> None:
    """On an empty store every report answers: counts are 0, the rest is nan, and arithmetic on it runs."""
    summary = users.get_users_summary()
    assert (summary.total_users, summary.engagement.dau, summary.segments.total_users) == (0, 0, 0)
    assert math.isnan(users.get_conversion_metrics().conversion_rate * 100)
    assert math.isnan(users.get_retention_metrics().day_7_retention * 100)
    assert math.isnan(users.get_nps_metrics().nps_score)
    assert users.segment_users().new == 0


def test_json(users: UserAnalyticsService) -> None:
    """As JSON the unknown is null, an interval a pair, a time ends in Z."""
    users.track_event(1, "click", "x")
    assert msgspec.json.decode(msgspec.json.encode(users.get_conversion_metrics("purchase", "1d"))) == {
        "conversion_rate": 0.0,
        "conversion_rate_ci": [0.0, 0.7934506856227626],
        "entered_users": 1,
        "converted_users": 0,
        "total_conversions": 0,
        "conversion_value": None,
        "avg_time_to_convert_seconds": None,
        "missing": {},
        "window": {
            "start": "2026-03-10T00:00:00Z",
            "end": "2026-03-11T00:00:00Z",
            "timezone": "UTC",
            "definitions": "current",
            "environment": "test",
        },
    }


def test_without_a_store() -> None:
    """Recording works without a store; what needs one says so."""
    users = service(None)
    users.track_event(1, "click", "x")
    assert users.record_nps_response(1, 10)
    for ask in (users.get_engagement_metrics, users.segment_users, lambda: users.delete_user(1)):
        with pytest.raises(NoStore, match="needs a store"):
            ask()
