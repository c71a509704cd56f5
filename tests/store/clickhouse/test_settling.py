"""Settled days: sessions are those of the facts, whatever came late, was removed, or happened meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.config import Settings
from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.settled_days import fact_days
from otel_measure.store.clickhouse.settling import BeingErased, DaySettler
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.users import SessionTotals
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, MINUTE, NOON, SECOND, event
from tests.reference.ground import Identify, Unlink
from tests.reference.strategies import UserHistory, histories, identities
from tests.store.asking import asking_users
from tests.store.clickhouse.storing import (
    DEFINITIONS,
    HISTORIES,
    WhoIsWho,
    new_store,
    on_a_server,
    remove_persons,
    writer,
    written_by,
)
from tests.store.clickhouse.test_users import renamed, renamed_link
from tests.users.feeding import every_report, everything, received_in, record, steps_in_order

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())
TODAY = DEFINITIONS.day_of(NOON)
EVER = Days(TODAY - 40, TODAY + 40)
NOBODY = BeingErased(0, ())
LATER = NOON + 1000 * DAY  # when all days of the tests are over


@pytest.fixture(scope="module")
def shared(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all histories, each of which has users and environments of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


@pytest.fixture
def database(clickhouse: ClickHouseServer) -> ClickHouseDatabase:
    """Return an empty store."""
    return new_store(clickhouse)


def settle_all(database: ClickHouseDatabase, definitions: Definitions = DEFINITIONS) -> None:
    """Settle every day."""
    settler = DaySettler(database, definitions, lambda: NOBODY)
    for day in settler.unsettled(LATER, rest_s=0):
        assert settler.settle(day)


def sessions(database: ClickHouseDatabase, days: Days = EVER) -> SessionTotals:
    """Return what the sessions of some days add up to."""
    return ClickHouseUserQuestions(database, DEFINITIONS, {}, "test").sessions(days, LATER)


def from_facts(records: list[Record], days: Days = EVER) -> SessionTotals:
    """Return what SQLite makes of some facts."""
    (totals,) = all_from_facts(records, [days])
    return totals


def all_from_facts(records: list[Record], windows: Sequence[Days]) -> list[SessionTotals]:
    """Return what SQLite makes of some facts, of each of some days."""
    store = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    store.accept(records)
    with asking_users(store, Filter(None, "test")) as ask:
        return [ask.sessions(days, LATER) for days in windows]


@on_a_server(HISTORIES)
@given(history=histories(max_events=24), data=st.data())
def test_every_report_is_that_of_sqlite(shared: ClickHouseDatabase, history: UserHistory, data: st.DataObject) -> None:
    """Days settled at any time, late facts, two services, links and an erasure: each report is the same text."""
    name, definitions = next(NAMES), Definitions(timezone=history.zone_name)
    said = [renamed_link(one, name) for one in data.draw(identities())]
    steps = data.draw(steps_in_order([renamed(one, name) for one in received_in(history)], said))
    sqlite = closed_later(SqliteStore(":memory:", definitions=definitions))
    mine, links, by = writer(shared, definitions), WhoIsWho(shared), written_by(shared)
    settled_after = data.draw(st.sets(st.integers(0, len(steps)), max_size=2))
    for n, step in enumerate(steps):
        if isinstance(step, Identify):
            assert links.identify(step.anon, step.user) == sqlite.identify(step.anon, step.user)
        elif isinstance(step, Unlink):
            assert links.unlink(step.anon) == sqlite.unlink(step.anon)
        else:
            records = [record(one, ("shop", "till")[int(one.id[-1], 36) % 2]) for one in step]
            assert mine.accept(records) == sqlite.accept(records)
        if n in settled_after:
            settle_all(shared, definitions)
    merged = links.numbers(by)
    if data.draw(st.booleans()) and history.events:
        erased = f"{name}-{data.draw(st.sampled_from(history.events)).user}"
        person = merged.get(user_number(by, erased), user_number(by, erased))
        remove_persons(shared, {person, *(user for user, other in merged.items() if other == person)})
        sqlite.erase(erased, history.now)
    environment, days = f"{name}-test", data.draw(st.sampled_from((30, 1, 7)))
    service = data.draw(st.sampled_from((None, "shop", "till")))
    asked = (history.zone_name, history.now, history.as_of)
    ask = ClickHouseUserQuestions(shared, definitions, merged, environment, service)
    wanted = everything(sqlite, *asked, Filter(service, environment), days)
    assert every_report(ask, *asked, days) == wanted


STORY: list[Record] = [
    *(event(f"a{n}", "ann", NOON + n * HOUR, session_id="s") for n in range(0, 100, 20)),  # goes on over days
    *(event(f"b{n}", "bob", NOON + 12 * HOUR - n * 1500 * SECOND) for n in range(3)),  # over midnight, by the gap
    event("c", "cleo", NOON + DAY, background=True),
    event("d", "dan", NOON + DAY, type="purchase"),
]


def test_settled_days_are_not_read_from_facts(database: ClickHouseDatabase) -> None:
    """What is gone from the facts without anybody saying so is still answered, by any window, until facts come."""
    writer(database).accept(STORY)
    windows = [Days(TODAY + first, TODAY + last) for first in range(4) for last in (first, 5)]
    wanted = all_from_facts(STORY, windows)
    assert [sessions(database, window) for window in windows] == wanted
    settle_all(database)
    database.delete("event", "1")
    assert [sessions(database, window) for window in windows] == wanted
    writer(database).accept([event("new", "eve", NOON + DAY)])
    assert sessions(database, Days(TODAY + 1, TODAY + 1)).sessions == 1


def test_a_session_is_followed_to_its_end(database: ClickHouseDatabase) -> None:
    """It may go on for weeks after the days asked about, on settled days and on others."""
    weeks: list[Record] = [event(f"e{n}", "ann", NOON + n * DAY, session_id="s") for n in range(13)]
    writer(database).accept(weeks[::2])
    settle_all(database)
    writer(database).accept(weeks[1::2])
    assert sessions(database, Days(TODAY, TODAY)) == from_facts(weeks, Days(TODAY, TODAY))
    assert sessions(database, Days(TODAY, TODAY)).duration_us == 12 * DAY
    assert sessions(database, Days(TODAY + 1, TODAY + 30)).sessions == 0


def test_a_double_that_is_removed_is_in_no_settled_day(database: ClickHouseDatabase) -> None:
    """Whoever settles before it goes, and whoever does while it goes, has it in no answer afterwards."""
    writer(database).accept(STORY)
    doubled = event("d", "dan", NOON, type="purchase")
    later = writer(database)
    later._known = lambda *_: set()  # type: ignore[method-assign] # as if it had looked before the first was written
    later._settle = lambda *_: set()  # type: ignore[method-assign] # and died
    later.accept([doubled])
    settler = DaySettler(database, DEFINITIONS, lambda: NOBODY)
    days = settler.unsettled(LATER)
    settle_all(database)
    assert sessions(database).sessions == from_facts(STORY).sessions + 1
    assert writer(database).remove_doubles(0, 2**16 - 1) == 1
    of_either = [from_facts([*STORY[:-1], one]) for one in (STORY[-1], doubled)]
    assert sessions(database) in of_either
    for day in days:  # by whom it was not heard that something was to be removed
        assert settler.settle(day)
    assert sessions(database) in of_either
    assert sum(each.is_settled for each in fact_days(database, DEFINITIONS)) == len(days) - 1
    assert settler.unsettled(LATER) == []  # whoever removes it may not be done
    settle_all(database)
    assert all(each.is_settled for each in fact_days(database, DEFINITIONS))
    assert sessions(database) in of_either


def test_nobody_is_settled_who_is_erased_meanwhile(database: ClickHouseDatabase) -> None:
    """Not one whose facts are there while the day is read, nor one whose erasure began before it was marked."""
    writer(database).accept(STORY)
    ann = user_number(written_by(database), "ann")
    told = iter([BeingErased(1, [ann]), BeingErased(1, [ann]), BeingErased(1, []), BeingErased(2, [])])
    settler = DaySettler(database, DEFINITIONS, lambda: next(told))
    last, before = settler.unsettled(LATER)[:2]
    assert (settler.settle(last), settler.settle(before)) == (True, False)
    assert database.rows(f"SELECT count() FROM {{db}}.stretch WHERE user = '{ann}' AND day = toDate({last.day})") == [
        (0,)
    ]
    assert [each.day for each in fact_days(database, DEFINITIONS) if each.is_settled] == [last.day]


def test_of_two_who_settle_at_once_one_counts(database: ClickHouseDatabase) -> None:
    """Nor does what somebody left who ended before; what does not count is removed when nobody reads it any more."""
    writer(database).accept(STORY)
    settler = DaySettler(database, DEFINITIONS, lambda: NOBODY)
    days = settler.unsettled(LATER)
    for day in (*days, *days):
        assert settler.settle(day)
    database.run("INSERT INTO {db}.stretch SELECT * REPLACE (1 AS version) FROM {db}.stretch")
    assert sessions(database) == from_facts(STORY)
    settler.remove_superseded()
    assert _versions(database) == [3] * len(days)
    assert sessions(database) == from_facts(STORY)
    settler.remove_superseded(rest_s=0)
    assert _versions(database) == [1] * len(days)
    assert sessions(database) == from_facts(STORY)


def _versions(database: ClickHouseDatabase) -> list[int]:
    rows = database.rows("SELECT uniqExact(version) FROM {db}.stretch GROUP BY day ORDER BY day")
    return [n for (n,) in rows]


def test_a_day_that_fails_keeps_no_other_waiting(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again an hour later."""
    settings = Settings(store=clickhouse.url_for_one_test(), timezone="Europe/Berlin")
    store = closed_later(ClickHouseStore.of_settings(settings, DEFINITIONS, notes_outbox=False))
    store.accept([event(f"e{n}", "ann", NOON - n * DAY) for n in (2, 3)])
    with monkeypatch.context() as patched:
        patched.setattr(store._database, "run", raising)
        with pytest.raises(StoreUnavailable):
            store.bring_up_to_date("me", NOON)
    settled = []
    for later in (0, 30 * MINUTE, HOUR):
        store.bring_up_to_date("me", NOON + later)
        settled.append([TODAY - each.day for each in fact_days(store._database, DEFINITIONS) if each.is_settled])
    assert settled == [[3], [3], [3, 2]]


def raising(*_: object, **__: object) -> None:
    """Be a server that cannot do it."""
    raise StoreUnavailable("slow", "it took too long", "try again")


def test_a_store_settles_the_days_that_are_over(clickhouse: ClickHouseServer) -> None:
    """One at a time, but for yesterday and today; late facts wait an hour."""
    settings = Settings(store=clickhouse.url_for_one_test(), timezone="Europe/Berlin")
    store = closed_later(ClickHouseStore.of_settings(settings, DEFINITIONS, notes_outbox=False))
    store.accept([event(f"e{n}", "ann", NOON - n * DAY) for n in range(5)])
    assert [store.bring_up_to_date("me", NOON) for _ in range(4)] == [True, True, False, False]
    days = [TODAY - n for n in (4, 3, 2)]
    assert [each.day for each in fact_days(store._database, DEFINITIONS) if each.is_settled] == days
    assert not store.bring_up_to_date("another", NOON)
    store.accept([event("late", "ann", NOON - 4 * DAY)])
    assert not store.bring_up_to_date("me", NOON)
    assert [each.day for each in fact_days(store._database, DEFINITIONS) if each.is_settled] == days[1:]
    store.erase("ann", NOON)
    assert store._database.rows("SELECT count() FROM {db}.stretch") == [(0,)]
