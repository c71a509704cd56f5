"""What facts that retention removed said of persons: it is what SQLite keeps, once, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.config import Settings
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreUnavailable
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Record
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.past import PastKeeper
from otel_measure.store.clickhouse.settling import BeingErased
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.tables import PAST_TABLES
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.clickhouse.writing import FactWriter
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HERE, NOON, event
from tests.reference.ground import Ev, Identify, NpsAnswer, Unlink
from tests.reference.strategies import UserHistory, histories, identities
from tests.store.asking import asked
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, new_store, on_a_server, writer, written_by
from tests.users.feeding import everything, received_in, record, steps_in_order

pytestmark = pytest.mark.e2e
TODAY = DEFINITIONS.day_of(NOON)
KEPT_DAYS = 10


def opened(server: ClickHouseServer, zone: str) -> tuple[ClickHouseStore, SqliteStore]:
    """Return an empty store of either kind that keep facts of a few days."""
    definitions = Definitions(timezone=zone)
    settings = Settings(store=server.url_for_one_test(), retention_days=KEPT_DAYS)
    mine = closed_later(ClickHouseStore.of_settings(settings, definitions, notes_outbox=False))
    return mine, closed_later(SqliteStore(":memory:", definitions=definitions, retention_days=KEPT_DAYS))


def told(store: Store, step: Sequence[Ev | NpsAnswer] | Identify | Unlink) -> object:
    """Tell a store something, and return what it says to it."""
    if isinstance(step, Identify):
        return store.identify(step.anon, step.user)
    if isinstance(step, Unlink):
        return store.unlink(step.anon)
    return store.accept([record(one, ("shop", "till")[int(one.id[-1], 36) % 2]) for one in step])


@on_a_server(HISTORIES)
@given(history=histories(max_events=24), data=st.data())
def test_every_report_is_that_of_sqlite(
    clickhouse: ClickHouseServer, history: UserHistory, data: st.DataObject
) -> None:
    """Facts of some days go at any time, others come late or are refused, users become one or are erased."""
    mine, sqlite = opened(clickhouse, history.zone_name)
    zone, day_of = mine.definitions.zone, mine.definitions.day_of
    steps = data.draw(steps_in_order(received_in(history), data.draw(identities())))
    swept_after = data.draw(st.sets(st.integers(0, len(steps)), min_size=1, max_size=2))
    days = sorted({day_of(event.ts) for event in history.events}) or [day_of(history.now)]
    linked: set[str] = set()
    for n, step in enumerate([*steps, []]):
        if isinstance(step, Unlink) and step.anon in linked:
            continue  # of a link that was said after facts had gone SQLite leaves what they said with the other id
        assert told(mine, step) == told(sqlite, step)
        if isinstance(step, Identify) and n > min(swept_after):
            linked.add(step.anon)
        if n in swept_after:
            now = day_start(data.draw(st.sampled_from(days)) + KEPT_DAYS + 1, zone)
            assert mine.sweep(now) == sqlite.sweep(now)
    if data.draw(st.booleans()) and history.events:
        erased = data.draw(st.sampled_from(history.events)).user
        mine.erase(erased, history.now)
        sqlite.erase(erased, history.now)
    asked_of = (history.zone_name, history.now, history.as_of)
    for where, window in ((Filter(None, "test"), data.draw(st.sampled_from((30, 7)))), (Filter("shop", "test"), 30)):
        assert everything(mine, *asked_of, where, window) == everything(sqlite, *asked_of, where, window)


OLD, NEW = NOON - 30 * DAY, NOON - 5 * DAY
STORY: list[Record] = [
    event("1", "ann", OLD, type="purchase", value=2.5, currency="EUR"),
    event("2", "ann", OLD + 5, background=True),
    NpsResponse(id="3", ts=OLD, origin=HERE, user_id="ann", score=9),
    Exposure(id="4", ts=OLD, origin=HERE, user_id="ann", experiment="t", variant="a"),
    AbConversion(id="5", ts=OLD + 9, origin=HERE, user_id="ann", experiment="t"),
    event("6", "bob", OLD),
    event("7", "bob", NEW),
]


def rows_of_past(database: ClickHouseDatabase) -> dict[str, int]:
    """Return how many rows the tables of the past have."""
    names = [table.name for table in PAST_TABLES]
    return {name: database.rows(f"SELECT count() FROM {{db}}.{name}")[0][0] for name in names}


def test_who_is_erased_is_gone_from_the_past(clickhouse: ClickHouseServer) -> None:
    """Of whom no fact is left something is known, and goes; what was nobody's, and of others, stays."""
    mine, sqlite = opened(clickhouse, "Europe/Berlin")
    for store in (mine, sqlite):
        store.accept(STORY)
        assert store.sweep(NOON) == 6
    assert asked(mine, lambda m: m.experiments.hours("t")) == asked(sqlite, lambda m: m.experiments.hours("t")) != []
    assert all(rows_of_past(mine._database).values())
    for store in (mine, sqlite):
        erasure = store.erase("ann", NOON)
        assert (erasure.ids, erasure.events, erasure.nps_responses) == (1, 0, 0)
        assert asked(store, lambda m: m.experiments.hours("t")) == []
    left = {name: n for name, n in rows_of_past(mine._database).items() if n}
    assert left == {"past_activity": 1, "past_background": 1, "past_name": 1, "past_stretch": 1}
    active = asked(mine, lambda m: m.users.active_by_day(Days(TODAY - 60, TODAY)))
    assert active == {TODAY - 30: 1, TODAY - 5: 1}


def test_a_day_is_kept_once_by_whoever_does_it(clickhouse: ClickHouseServer) -> None:
    """One that ended in the middle, two at once, and one of whom an erasure was heard meanwhile leave it once."""
    database = new_store(clickhouse)
    writer(database).accept(STORY)
    ann = user_number(written_by(database), "ann")
    told = iter([BeingErased(1, []), BeingErased(2, [ann]), BeingErased(2, [ann]), BeingErased(2, [ann])])
    keeper = PastKeeper(database, DEFINITIONS, lambda: next(told), dict)
    keeper._copy(TODAY - 30, 1, BeingErased(0, []))  # who ends here leaves this
    keeper.keep_before(TODAY - 10)
    once = PastKeeper(database, DEFINITIONS, lambda: BeingErased(2, []), dict)
    once._keep(TODAY - 30)  # as one who began before
    once.keep_before(TODAY - 10)
    assert rows_of_past(database)["past_stretch"] == 2 + 2 + 1 + 2
    FactWriter(database, DEFINITIONS, lambda: NOON).accept([event("late", "cleo", OLD)])  # by who had not heard of it
    ask = ClickHouseUserQuestions(database, DEFINITIONS, {}, "test")
    ever = Days(TODAY - 60, TODAY)
    assert ask.active_by_day(ever) == {TODAY - 30: 1, TODAY - 5: 1}
    assert ask.sessions(ever, NOON)[:3] == (2, 0, 2)
    assert ask.conversions(ever, "purchase").conversions == 0  # type: ignore[union-attr] # a key event is known
    always_erased = PastKeeper(database, DEFINITIONS, lambda: BeingErased(next(counted), []), dict)
    counted = iter(range(100))
    with pytest.raises(StoreUnavailable, match="persons are erased faster than a day is kept"):
        always_erased.keep_before(TODAY)
