"""A store whose facts are partly gone, moved into ClickHouse and out again: what they said of persons moves too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.config import Settings
from otel_measure.definitions.days import Days, day_start
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Record
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.upkeep_operations import SweepState
from otel_measure.store.engines import move_store
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.past import COLUMNS
from otel_measure.store.types.facts import Filter
from otel_measure.store.types.moves import Moved
from tests.clickhouse import ClickHouseServer
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, event, inference
from tests.reference.ground import Identify, Unlink
from tests.reference.strategies import UserHistory, histories, identities
from tests.store.asking import asked
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, on_a_server
from tests.store.clickhouse.test_past import told
from tests.users.feeding import contents, everything, received_in, steps_in_order

pytestmark = pytest.mark.e2e
KEPT_DAYS = 10
TODAY = DEFINITIONS.day_of(NOON)
EVER = Days(TODAY - 90, TODAY)
CELLS = ("gap_cell", "cohort_cell", "session_cell", "goal_cell", "goal_sum", "nps_cell", "experiment_cell")


def file_at(path: Path, zone: str = DEFINITIONS.timezone) -> SqliteStore:
    """Return a store in a file that keeps facts of a few days."""
    return SqliteStore(str(path), definitions=Definitions(timezone=zone), retention_days=KEPT_DAYS)


def move(source: object, target: object, differing: Sequence[str] = ()) -> Moved:
    """Move a store; of reports that are compared these differ."""
    here, there = (Settings(store=str(place)) for place in (source, target))
    return move_store(here, there, lambda: NOON, lambda *_: None, lambda _: differing)


def store_at(url: str, definitions: Definitions = DEFINITIONS) -> ClickHouseStore:
    """Return the store in a database, opened."""
    settings = Settings(store=url, retention_days=KEPT_DAYS)
    return ClickHouseStore.of_settings(settings, definitions, notes_outbox=False)


def left_in(path: Path) -> tuple[dict[str, list[tuple[object, ...]]], dict[str, list[tuple[object, ...]]]]:
    """Return what a file has rolled up of persons by their ids, but for ids of sessions, and its cells."""
    with closing(SqliteStore(str(path))) as store, store._database.read() as connection:
        rows = {}
        for table, columns in COLUMNS.items():
            if "background" not in columns:
                some = ",".join(f"t.{column}" for column in columns if column != "client")
                select = f"SELECT e.name, a.distinct_id, {some} FROM {table} t JOIN alias a ON a.uid = t.uid"
                rows[table] = sorted(
                    connection.execute(f"{select} JOIN environment e ON e.id = t.environment"), key=repr
                )
        names = dict(connection.execute("SELECT id, name FROM environment"))
        cells = {name: [(names[row[0]], *row[1:]) for row in contents(store)[name]] for name in CELLS}
    return rows, {name: sorted(some) for name, some in cells.items()}


@on_a_server(-(-HISTORIES // 3))
@given(history=histories(max_events=24), data=st.data())
def test_every_report_is_the_same_there_and_back(
    clickhouse: ClickHouseServer, history: UserHistory, data: st.DataObject
) -> None:
    """Facts went before the move and go after it, others come late, users become one or are erased."""
    zone = Definitions(timezone=history.zone_name)
    steps = data.draw(steps_in_order(received_in(history), data.draw(identities())))
    moved_after = data.draw(st.integers(0, len(steps)))
    days = sorted({zone.day_of(event.ts) for event in history.events}) or [zone.day_of(history.now)]
    horizons = sorted(data.draw(st.lists(st.sampled_from(days), min_size=2, max_size=2)))
    url, asked_of = clickhouse.url_for_one_test(), (history.zone_name, history.now, history.as_of)
    wheres = Filter(None, "test"), Filter("shop", "test")
    with TemporaryDirectory() as folder, closing(file_at(Path(folder) / "m.db", history.zone_name)) as sqlite:
        for step in steps[:moved_after]:
            told(sqlite, step)
        sqlite.sweep(day_start(horizons[0] + KEPT_DAYS + 1, zone.zone))
        move(Path(folder) / "m.db", url)
        with closing(store_at(url, zone)) as mine:
            assert [everything(mine, *asked_of, where) for where in wheres] == [
                everything(sqlite, *asked_of, where) for where in wheres
            ]
            linked: set[str] = set()
            for step in steps[moved_after:]:
                if isinstance(step, Unlink) and step.anon in linked:
                    continue  # what facts that were gone had said before such a link SQLite leaves with the other id
                if isinstance(step, Identify):
                    linked.add(step.anon)
                assert told(mine, step) == told(sqlite, step)
            if data.draw(st.booleans()):
                at = day_start(horizons[1] + KEPT_DAYS + 1, zone.zone)
                assert mine.sweep(at) == sqlite.sweep(at)
            if data.draw(st.booleans()) and history.events:
                erased = data.draw(st.sampled_from(history.events)).user
                assert mine.erase(erased, history.now).ids == sqlite.erase(erased, history.now).ids
            expected = [everything(sqlite, *asked_of, where) for where in wheres]
            assert [everything(mine, *asked_of, where) for where in wheres] == expected
        back = Path(folder) / "back.db"
        move(url, back)
        with closing(SqliteStore(str(back))) as store:
            assert [everything(store, *asked_of, where) for where in wheres] == expected
        assert left_in(back) == left_in(Path(folder) / "m.db")


ANEW = Definitions(timezone="UTC", session_gap_s=7200)
HORIZON = day_start(TODAY - 20, DEFINITIONS.zone)
STORY: list[Record] = [
    *(event(f"over {n}", "ann", HORIZON + (n - 5) * 20 * MINUTE, type="page_view") for n in range(9)),
    *(event(f"long {n}", "bob", HORIZON - 3 * DAY + n * HOUR, session_id="bobs") for n in range(60)),
    *(event(f"till {n}", "bob", HORIZON + n * HOUR - 2 * HOUR, session_id="crossing") for n in range(4)),
    event("apart", "cleo", HORIZON - 2 * DAY + HOUR),
    event("from each other", "cleo", HORIZON - 2 * DAY + 2 * HOUR),
    event("bought", "ann", HORIZON - DAY, type="purchase", value=2.5, currency="EUR"),
    event("bought as well", "ann", HORIZON - DAY, type="purchase", value=0.1, currency="EUR"),
    event("given", "ann", HORIZON - DAY, type="purchase"),
    event("seen", "nobody", HORIZON - DAY, background=True),
    event("visit", "visitor", HORIZON - 2 * DAY, session_id="bobs"),
    NpsResponse(id="a1", ts=HORIZON - DAY, origin=HERE, user_id="ann", score=9),
    NpsResponse(id="a2", ts=HORIZON - DAY, origin=HERE, user_id="ann", score=2),
    Exposure(id="x1", ts=HORIZON - 2 * DAY, origin=HERE, user_id="visitor", experiment="t", variant="b"),
    Exposure(id="x2", ts=HORIZON - DAY, origin=HERE, user_id="ann", experiment="t", variant="a"),
    Exposure(id="x3", ts=HORIZON - DAY, origin=HERE, user_id="bob", experiment="t", variant="a"),
    AbConversion(id="c1", ts=HORIZON - DAY - 9, origin=HERE, user_id="bob", experiment="t", client_clock=True),
    AbConversion(id="c2", ts=HORIZON + DAY, origin=HERE, user_id="ann", experiment="t"),
]
LATE: list[Record] = [
    event("goes on", "ann", HORIZON + 70 * MINUTE),
    event("in it", "bob", HORIZON + HOUR + MINUTE, session_id="crossing"),
    event("again", "nobody", HORIZON + DAY),
]


def asked_of(store: Store) -> list[object]:
    """Return the reports of a store as of some time, and what it counts for the test."""
    today = date(1970, 1, 1) + timedelta(days=TODAY - 18)
    reports = everything(store, DEFINITIONS.timezone, HORIZON + 3 * DAY, today)
    return [reports, *asked(store, lambda moment: [moment.experiments.hours("t"), moment.users.sessions(EVER, NOON)])]


def test_what_persons_did_goes_on_after_the_move(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """Sessions over several days and over the time before which facts are gone; who comes again is who was there.

    The store was full: of the last day that is gone some facts are there. It was counted anew, by a longer pause, which
    joins no sessions of before. A move that is given again goes on.
    """
    path, url, back = tmp_path / "m.db", clickhouse.url_for_one_test(), tmp_path / "back.db"
    with closing(file_at(path)) as sqlite:
        sqlite.accept(STORY)
        assert sqlite._sweeper._purge(HORIZON - 90 * MINUTE) > 0
        sqlite.rebuild(ANEW)
        with pytest.raises(StoreError, match="reports differ"):  # all is there, and is written once more
            move(path, url, ["/users/summary"])
        move(path, url)
        with closing(store_at(url, ANEW)) as mine:
            assert asked_of(mine) == asked_of(sqlite)
            assert mine.accept(LATE) == sqlite.accept(LATE)
            assert mine.identify("visitor", "ann") == sqlite.identify("visitor", "ann")
            assert asked_of(mine) == asked_of(sqlite)
            for each in (mine, sqlite):
                assert each.erase("bob", NOON).ids == 1
            assert asked_of(mine) == (expected := asked_of(sqlite))
        move(url, back)
        with closing(SqliteStore(str(back))) as store:
            assert asked_of(store) == expected
        assert left_in(back) == left_in(path)


def test_what_retention_left_half_way_is_refused(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """A server that ended between two steps of a sweep has facts that no file takes in: what to do is said."""
    url = clickhouse.url_for_one_test()
    with closing(store_at(url)) as store:
        store.accept(STORY)
        store._state.do(SweepState(NOON, KEPT_DAYS, KEPT_DAYS))
    with pytest.raises(StoreError, match=r"retention is at work .* leave `otel-measure serve` running on it"):
        move(url, tmp_path / "m.db")
    with closing(store_at(url)) as store:
        store.sweep(NOON)
        expected = asked_of(store)
    move(url, tmp_path / "m.db")
    with closing(SqliteStore(str(tmp_path / "m.db"))) as back:
        assert asked_of(back) == expected


def test_a_call_that_is_gone_and_of_which_more_may_be_told_is_no_fact(
    clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    """A full store lets go of it while others still tell of it: facts that are moved are counted without it."""
    path, url = tmp_path / "m.db", clickhouse.url_for_one_test()
    with closing(file_at(path)) as sqlite:
        sqlite.take_tellings([telling_of_fact(inference("told"), "process")])
        sqlite.accept([inference("kept", NOON + HOUR)])
        assert sqlite._sweeper._purge(NOON + 1) == 1
    assert [move(*places).facts["inference"] for places in ((path, url), (url, tmp_path / "back.db"))] == [1, 1]
