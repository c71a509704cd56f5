"""Every user report equals the slow reference, whatever the history, the order and the batches."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_measure.definitions.days import Days, trailing
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.windows import day_span
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from otel_measure.users import reports
from tests.closing import closed_later
from tests.reference import ground, outcomes, users
from tests.reference.ground import Ev, NpsAnswer
from tests.reference.strategies import NAMES, UserHistory, altered, histories, identities
from tests.store.asking import asking_users, holdings
from tests.users.feeding import (
    HERE,
    asked,
    contents,
    everything,
    feed,
    plain,
    received_in,
    record,
    steps,
    steps_in_order,
    told_apart,
)
from tests.vectors import load

EVENTS = ("conversion", "purchase", "form_submit", *NAMES)


def store_of(zone: str) -> SqliteStore:
    """An empty store with the days of a zone."""
    return closed_later(SqliteStore(":memory:", definitions=Definitions(timezone=zone)))


def stored(history: UserHistory, data: st.DataObject) -> SqliteStore:
    """A store that received the history in some order and some batches."""
    received = received_in(history)
    return feed(store_of(history.zone_name), data.draw(steps(received, history.aliases)))


@given(history=histories(), data=st.data())
def test_engagement(history: UserHistory, data: st.DataObject) -> None:
    """Active users, sessions, bounces and returns equal the reference, over any number of days."""
    days = data.draw(st.sampled_from((30, 1, 7, 90)))
    with asking_users(stored(history, data), HERE) as ask:
        found = reports.engagement(ask, asked(history, days), history.now)
    expected = users.engagement(
        told_apart(history.events), history.zone, history.now, history.as_of, days, history.aliases
    )
    report = plain(found)
    for interval in ("bounce_rate_ci", "return_rate_ci"):
        assert report.pop(interval) == pytest.approx(expected.pop(interval))
    assert report == pytest.approx(expected)


@given(history=histories(), data=st.data())
def test_conversion(history: UserHistory, data: st.DataObject) -> None:
    """Who converted, how often, for how much and after how long equals the reference, for types and names alike."""
    days = data.draw(st.sampled_from((30, 1, 7, 90)))
    event = data.draw(st.sampled_from(EVENTS))
    window = asked(history, days)
    with asking_users(stored(history, data), HERE) as ask:
        found = reports.conversion(ask, window, event)
    expected = outcomes.conversion(told_apart(history.events), window.start, window.end, event, history.aliases)
    assert plain(found) == expected | {"conversion_rate_ci": pytest.approx(expected["conversion_rate_ci"])}


@given(history=histories(), data=st.data())
def test_retention(history: UserHistory, data: st.DataObject) -> None:
    """The pooled rates, their evidence, the cohorts and the churn equal the reference."""
    question = (told_apart(history.events), history.zone, history.now, history.as_of)
    with asking_users(stored(history, data), HERE) as ask:
        found = reports.retention(ask, asked(history, 90))
    got = plain(found)
    for n in (1, 7, 30):
        expected = users.headline_retention(*question, n, history.aliases)
        assert got[f"day_{n}_retention"] == expected["rate"]
        assert got[f"day_{n}_retention_n"] == expected["n"]
        assert got[f"day_{n}_retention_ci"] == pytest.approx(expected["ci"])
    churn = users.churn_rate(*question, aliases=history.aliases)
    assert got["churn_rate_ci"] == pytest.approx(churn.pop("churn_rate_ci"))
    assert {key: got[key] for key in churn} == churn
    table = users.retention(*question, aliases=history.aliases)
    assert [plain(cohort) for cohort in found.cohorts] == [
        {
            "day": day,
            "users": sum(history_day == day for history_day in _first_days(history).values()),
            **{f"day_{n}_retention": cell and cell[0] / cell[1] for n, cell in cells.items()},
        }
        for day, cells in table.items()
    ]


def _first_days(history: UserHistory) -> dict[str, date]:
    days = ground.active_days(told_apart(history.events), history.zone, history.as_of, history.aliases)
    return {person: min(active) for person, active in days.items()}


@given(history=histories(), data=st.data())
def test_lifecycle_segments_and_totals(history: UserHistory, data: st.DataObject) -> None:
    """Lifecycle counts of any period, the segments and the totals of the store equal the reference."""
    days = data.draw(st.sampled_from((1, 7, 28)))
    events, window = told_apart(history.events), asked(history, days)
    with asking_users(stored(history, data), HERE) as ask:
        lifecycle = reports.lifecycle(ask, Days(window.first_day, window.last_day))
        segments = plain(reports.segments(ask, window))
        totals = holdings(ask)
    assert plain(lifecycle) == users.lifecycle(events, history.zone, history.as_of, days, history.aliases)
    expected = users.segments(events, history.zone, history.as_of, history.aliases)
    assert segments == expected | {"total_users": sum(expected.values())}
    assert {f"total_{k}": v for k, v in totals._asdict().items()} == users.totals(events, history.aliases)


@given(history=histories(max_events=4, max_answers=20), data=st.data())
def test_nps(history: UserHistory, data: st.DataObject) -> None:
    """The last answer of each person to each survey in the window counts, as in the reference."""
    survey = data.draw(st.sampled_from((None, "default", "checkout", "unknown")))
    window = asked(history, data.draw(st.sampled_from((90, 1, 7))))
    with asking_users(stored(history, data), HERE) as ask:
        found = reports.nps(ask, window, survey)
    expected = outcomes.nps(history.answers, window.start, window.end, survey, history.aliases)
    report = plain(found)
    assert report.pop("nps_score_ci") == pytest.approx(expected.pop("nps_score_ci"))
    assert report == pytest.approx(expected)


@settings(max_examples=30)
@given(history=histories(), data=st.data())
def test_first_received_wins(history: UserHistory, data: st.DataObject) -> None:
    """An id that comes again with other contents changes nothing."""
    again = data.draw(altered(history.events))
    first, second = (store_of(history.zone_name) for _ in range(2))
    feed(first, [[*told_apart(history.events)]])
    feed(second, [[*told_apart(again)]])
    ask = (history.zone_name, history.now, history.as_of)
    kept = [e for e in history.events if e.type not in {"nps", "feature_flag.evaluation"}]
    if {e.id for e in kept} == {e.id for e in history.events}:
        assert everything(second, *ask) == everything(first, *ask)


@settings(max_examples=40)
@given(history=histories(), data=st.data())
def test_who_is_who(history: UserHistory, data: st.DataObject) -> None:
    """Links, refused ones and those taken back make the persons that the reference makes; all reports follow."""
    said = data.draw(identities())
    received = received_in(history)
    store = feed(store_of(history.zone_name), data.draw(steps_in_order(received, said)))
    person = ground.persons(said)
    renamed = store_of(history.zone_name)
    renamed.accept([record(one) for one in _as(received, person)])
    ask = (history.zone_name, history.now, history.as_of)
    assert everything(store, *ask) == everything(renamed, *ask)
    before = contents(store)
    store.rebuild()
    assert contents(store) == before


def _as(received: list[Ev | NpsAnswer], person: object) -> list[Ev | NpsAnswer]:
    from dataclasses import replace

    assert callable(person)
    return [replace(one, user=person(one.user)) for one in received]


@settings(max_examples=40)
@given(history=histories(), data=st.data())
def test_rebuild_changes_nothing(history: UserHistory, data: st.DataObject) -> None:
    """A rebuild leaves every row of the store as it was, and one in another zone makes what that zone would have."""
    store = stored(history, data)
    before = contents(store)
    store.rebuild()
    assert contents(store) == before
    zone = data.draw(st.sampled_from(("UTC", "Asia/Kolkata", "America/New_York")))
    store.rebuild(Definitions(timezone=zone))
    fresh = store_of(zone)
    feed(fresh, [received_in(history), *history.aliases])
    as_of = ground.day_of(history.now, ZoneInfo(zone))
    assert everything(store, zone, history.now, as_of) == everything(fresh, zone, history.now, as_of)


@settings(max_examples=40)
@given(history=histories(), data=st.data())
def test_erasing_equals_never_having_seen(history: UserHistory, data: st.DataObject) -> None:
    """After an erasure every report is that of a store that never met the person, and a replay stays out."""
    user = data.draw(st.sampled_from(("u1", "u2", "a1", "nobody")))
    store = stored(history, data)
    store.erase(user, history.now)
    person = ground.persons(history.aliases)
    received = received_in(history)
    others = [one for one in received if person(one.user) != person(user)]
    links = [link for link in history.aliases if person(link.user) != person(user)]
    fresh = feed(store_of(history.zone_name), [others, *links])
    ask = (history.zone_name, history.now, history.as_of)
    assert everything(store, *ask) == everything(fresh, *ask)
    receipts = store.accept([record(one) for one in received])
    assert {r.reason for one, r in zip(received, receipts, strict=True) if one not in others} <= {"erased"}
    assert everything(store, *ask) == everything(fresh, *ask)
    kept = contents(store)
    store.rebuild()
    assert contents(store) == kept


@settings(max_examples=40)
@given(history=histories(), data=st.data())
def test_narrowed_to_a_service(history: UserHistory, data: st.DataObject) -> None:
    """Narrowed to a service, every report is that of a store that received nothing else."""
    received = received_in(history)
    where = {one.id: data.draw(st.sampled_from(("shop", "office"))) for one in received}
    both, one_shop = (store_of(history.zone_name) for _ in range(2))
    both.accept([record(one, where[one.id]) for one in received])
    one_shop.accept([record(one) for one in received if where[one.id] == "shop"])
    for store in (both, one_shop):
        feed(store, history.aliases)
    ask = (history.zone_name, history.now, history.as_of)
    before = contents(both)
    for environment in ("test", "staging"):
        assert everything(both, *ask, Filter("shop", environment)) == everything(
            one_shop, *ask, Filter(None, environment)
        )
    assert contents(both) == before


@settings(max_examples=40)
@given(history=histories(), data=st.data())
def test_each_environment_is_counted_by_itself(history: UserHistory, data: st.DataObject) -> None:
    """Every report of an environment is that of a store that received nothing else, and the same links."""
    received = received_in(history)
    both = feed(store_of(history.zone_name), data.draw(steps(received, history.aliases)))
    for environment in ("test", "staging"):
        alone = feed(store_of(history.zone_name), [[one for one in received if one.environment == environment]])
        feed(alone, history.aliases)
        ask = (history.zone_name, history.now, history.as_of, Filter(None, environment))
        assert everything(both, *ask) == everything(alone, *ask)


# ---------------------------------------------------------------- known answers


def _events(given: list[dict[str, str]]) -> list[Ev]:
    kinds = {"view": "page_view", "custom": "custom"}
    return [Ev(e["user"], e["event_id"], ground.micros(e["ts"]), kinds[e["kind"]], e["name"]) for e in given]


def _store(events: list[Ev], zone: str = "UTC") -> SqliteStore:
    return feed(store_of(zone), [[event] for event in events])


@pytest.mark.parametrize("vector_id", ["D01", "D02", "D03"])
def test_known_sessions(vector_id: str) -> None:
    """Half an hour continues a session, midnight does not end it, a late event bridges two."""
    vector = load("analytics", vector_id)
    events = _events(vector["input"].get("events") or vector["input"]["events_in_arrival_order"])
    with asking_users(_store(events)) as ask:
        assert holdings(ask).sessions == vector["expected"]


@pytest.mark.parametrize("vector_id", ["D05", "D07"])
def test_known_bounces(vector_id: str) -> None:
    """One view is a bounce; ten seconds are not."""
    vector = load("analytics", vector_id)
    events = _events(vector["input"]["events"])
    with asking_users(_store(events)) as ask:
        found = reports.engagement(
            ask, day_span("1d", events[-1].ts + 1800 * ground.SECOND, "UTC"), events[-1].ts + 1800 * ground.SECOND
        )
    assert found.bounce_rate == float(vector["expected"])


def test_known_duplicate() -> None:
    """A duplicate makes no second view (D04), and a key event makes the session engaged."""
    vector = load("analytics", "D04")
    events = _events(vector["input"]["events"])
    later = events[-1].ts + 3600 * ground.SECOND
    with asking_users(_store(events)) as ask:
        assert holdings(ask).events == vector["expected"]["events"]
        assert reports.engagement(ask, day_span("1d", later, "UTC"), later).bounce_rate == 1.0
    keyed = [e if e.name == "p" else Ev(e.user, e.id, e.ts, "purchase") for e in events]
    with asking_users(_store(keyed)) as ask:
        assert reports.engagement(ask, day_span("1d", later, "UTC"), later).bounce_rate == 0.0


def test_known_daily_users_by_zone() -> None:
    """04:30 UTC is the day before in New York (D09)."""
    vector = load("analytics", "D09")
    day = (
        ground.day_of(ground.micros(vector["input"]["day"]), ZoneInfo("UTC")).toordinal() - date(1970, 1, 1).toordinal()
    )
    found = []
    for zone in vector["input"]["tz"]:
        with asking_users(_store(_events(vector["input"]["events"]), zone)) as ask:
            found.append(ask.active(Days(day, day)))
    assert found == vector["expected"]


def test_known_rolling_users() -> None:
    """Midnight belongs to the day it begins (D10)."""
    vector = load("analytics", "D10")
    with asking_users(_store(_events(vector["input"]["events"]))) as ask:
        found = [
            ask.active(trailing(date.fromisoformat(day).toordinal() - date(1970, 1, 1).toordinal(), n))
            for day, n in vector["input"]["queries"]
        ]
    assert found == vector["expected"]


@pytest.mark.parametrize("vector_id", ["D11", "D12", "D13", "D14"])
def test_known_retention(vector_id: str) -> None:
    """Day n is a calendar day, over a change of clocks too; cohorts are by the first day ever; the immature unknown."""
    vector = load("analytics", vector_id)
    given, expected = vector["input"], vector["expected"]
    expected = expected.get("on", expected)
    as_of = date.fromisoformat(given.get("as_of") or given["range"][1])
    span = day_span("10d" if "range" in given else "90d", ground.micros(f"{as_of}T12:00"), given["tz"], as_of)
    with asking_users(_store(_events(given["events"]), given["tz"])) as ask:
        cohorts = ask.cohorts(Days(span.first_day, span.last_day), tuple(given["n"]))
    found = {
        (date(1970, 1, 1).fromordinal(date(1970, 1, 1).toordinal() + c.day)).isoformat(): {
            str(n): [c.returned[n], c.size] if c.day + n <= span.last_complete_day else None for n in given["n"]
        }
        for c in cohorts
    }
    assert found == expected


@pytest.mark.parametrize("vector_id", ["D25", "D27", "D28"])
def test_known_nps(vector_id: str) -> None:
    """Scores to one decimal; of nobody it is unknown."""
    vector = load("analytics", vector_id)
    answers = [NpsAnswer(f"u{i}", "default", score, 0, f"n{i}") for i, score in enumerate(vector["input"]["scores"])]
    with asking_users(feed(closed_later(SqliteStore(":memory:")), [answers])) as ask:
        assert plain(reports.nps(ask, day_span("1d", 1, "UTC")))["nps_score"] == vector["expected"]


def test_known_nps_margin() -> None:
    """60 promoters, 25 passives and 15 detractors are 45.0, with a margin close to Wald's (D29)."""
    vector = load("analytics", "D29")
    kinds = {"promoters": 9, "passives": 8, "detractors": 0}
    scores = [kinds[kind] for kind, n in vector["input"].items() for _ in range(n)]
    answers = [NpsAnswer(f"u{i}", "default", score, 0, f"n{i}") for i, score in enumerate(scores)]
    with asking_users(feed(closed_later(SqliteStore(":memory:")), [answers])) as ask:
        found = reports.nps(ask, day_span("1d", 1, "UTC"))
    assert found.nps_score == vector["expected"]["nps"]
    assert found.margin == pytest.approx(vector["expected"]["moe95"], rel=0.06)
    assert found.nps_score_ci == pytest.approx((29.343, 58.036), abs=0.001)
