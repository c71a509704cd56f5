"""Facts on two shards: each record once wherever it comes to lie, and answers as those of one server and of SQLite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest

from exporter.cli import same_answers
from otel_measure.config import Settings
from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.records.anonymous import without_user
from otel_measure.records.kinds import GroundTruth, Inference, Record
from otel_measure.store.clickhouse.call_changes import CallPartChanges
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import PersonRemover
from otel_measure.store.clickhouse.exporting import export
from otel_measure.store.clickhouse.part_sums import PartSums
from otel_measure.store.clickhouse.past import PastKeeper
from otel_measure.store.clickhouse.settled_days import fact_days
from otel_measure.store.clickhouse.sweeping import AgeSweeper
from otel_measure.store.clickhouse.tables import FACT_TABLES
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.engines import move_store, open_store, store_checks
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE
from otel_measure.store.types.models import SLOT_US, CallChanges
from tests.clickhouse_shards import CLUSTER, REPLICAS, Shards
from tests.closing import closed_later
from tests.facts import DAY, HERE, HOUR, NOON, event, inference, one_of_each
from tests.reference.ground import Ev, Identify, NpsAnswer
from tests.reference.strategies import UserHistory
from tests.store.clickhouse import test_users
from tests.store.clickhouse.storing import DEFINITIONS, remove_persons, stored, writer, written_by
from tests.store.clickhouse.test_part_sums import by_definition
from tests.store.clickhouse.test_part_sums import shown as shown_sums
from tests.store.clickhouse.test_settling import NOBODY, from_facts, sessions, settle_all
from tests.store.clickhouse.test_sweeping import Notes, of_day
from tests.waiting import until

pytestmark = pytest.mark.e2e
KINDS = {table.record: table.name for table in FACT_TABLES}
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())


@pytest.fixture(scope="module")
def sharded(shards: Shards) -> Iterator[ClickHouseDatabase]:
    """Return one store on both for all tests of this module, each of which uses ids of its own."""
    with ClickHouseDatabase.of_url(shards.new_url()) as database:
        create(database, DEFINITIONS)
        yield database


def test_each_record_is_once_on_all_shards(shards: Shards, sharded: ClickHouseDatabase) -> None:
    """Rows lie by their users, calls without one by themselves; an id that comes again under another user is known."""
    name = next(NAMES)
    events = [event(f"{name}-{n}", f"{name}-{n % 20}", NOON + n * HOUR) for n in range(100)]
    calls = [inference(f"{name}-c{n}") for n in range(100)]
    batch: list[Record] = [*events, *calls]
    before = [n for table in ("event", "inference") for n in shards.rows_by_shard(sharded.name, table)]
    assert writer(sharded).accept(batch) == [ACCEPTED] * 200
    after = [n for table in ("event", "inference") for n in shards.rows_by_shard(sharded.name, table)]
    assert all(new > old for new, old in zip(after, before, strict=True))
    changed = [msgspec.structs.replace(each, user_id=f"{name}-other", ts=each.ts + DAY) for each in events]
    assert writer(sharded).accept([*changed, *calls]) == [DUPLICATE] * 200
    assert stored(sharded, [each.id for each in batch]) == {(KINDS[type(each)], each.id): each for each in batch}


def test_a_person_whose_ids_lie_on_two_shards_is_one(shards: Shards, sharded: ClickHouseDatabase) -> None:
    """Half of forty users are linked to the other half, most of them over the border: each report is that of SQLite."""
    name = next(NAMES)
    events: list[Ev | NpsAnswer] = [
        *(Ev(f"u{n % 40}", f"e{n}", NOON + n * HOUR, session=None) for n in range(120)),
        *(Ev(f"u{n}", f"p{n}", NOON + 3 * DAY + n, "purchase", "order", value=1.5, currency="EUR") for n in range(40)),
    ]
    now = NOON + 6 * DAY
    history = UserHistory("Europe/Berlin", now, date(2026, 1, 21), [], [], [], [])
    links = [test_users.renamed_link(Identify(f"u{n}", f"u{n + 20}"), name) for n in range(20)]
    batches = [[test_users.renamed(one, name) for one in events[part::3]] for part in range(3)]
    steps = [batches[0], *links[:10], batches[1], *links[10:], batches[2], batches[0]]
    ours, sqlites = test_users.both_say(sharded, history, steps, f"{name}-test", 30)
    assert ours == sqlites
    assert min(shards.rows_by_shard(sharded.name, "event")) > 0


def tables_of(shards: Shards, url: str) -> list[list[str]]:
    """Return the names of the tables of a database on each server."""
    tables = "SELECT name FROM system.tables WHERE database = '{db}' ORDER BY name"
    return [[name for (name,) in node.rows(tables)] for node in shards.nodes(url.rpartition("/")[2])]


def test_whoever_is_to_be_on_a_cluster_creates_no_tables_of_one_server(shards: Shards) -> None:
    """It is told which command creates them; once its statements were run it opens, and only where they were run."""
    first, second = shards.servers
    name = first.new_database()
    with pytest.raises(StoreError, match="has no tables, and the store is to be on the cluster shards") as told:
        open_store(Settings(store=f"{first.url(name)}?cluster={CLUSTER}"))
    command = f"otel-measure schema --engine clickhouse --database {name} --cluster {CLUSTER}"
    assert f"run what `{command}` prints, on the server of the URL" in str(told.value)
    assert tables_of(shards, first.url(name)) == [[], []]
    shards.create(name)
    for wanted in ("", f"?cluster={CLUSTER}"):
        store = open_store(Settings(store=first.url(name) + wanted))
        assert store is not None
        store.close()
        with pytest.raises(StoreError, match="on another server of the cluster shards: name that server"):
            open_store(Settings(store=second.url(name) + wanted))
    with pytest.raises(StoreError, match="lies on the cluster shards, and the store is to be on the cluster other"):
        open_store(Settings(store=f"{first.url(name)}?cluster=other"))


def test_statements_for_a_cluster_fail_where_there_are_tables_of_one_server(shards: Shards) -> None:
    """On any of its servers, and with nothing changed; a store that is to be on the cluster is refused there too."""
    first, second = shards.servers
    for server in (first, second):
        name = first.new_database()
        with ClickHouseDatabase.of_url(server.url(name)) as database:
            create(database, DEFINITIONS)
        before = tables_of(shards, first.url(name))
        with pytest.raises(StoreUnavailable, match=f"{name} has tables of one server: name another database"):
            shards.create(name)
        assert tables_of(shards, first.url(name)) == before
        with pytest.raises(StoreError, match="has tables of one server, and the store is to be on the cluster shards"):
            open_store(Settings(store=f"{server.url(name)}?cluster={CLUSTER}"))


def test_doctor_looks_at_every_server(shards: Shards, sharded: ClickHouseDatabase) -> None:
    """At the disks, parts and removals of each; of a server that is asked and not the right one it says so."""
    found = {
        each.name: each.look()
        for each in store_checks(Settings(store=shards.servers[0].url(sharded.name), timezone=DEFINITIONS.timezone))
    }
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert found["store"].what.endswith(f"database {sharded.name}, on the cluster shards of 2 shards and 2 servers")
    (other, *_) = store_checks(Settings(store=shards.servers[1].url(sharded.name), timezone=DEFINITIONS.timezone))
    assert "on another server of the cluster shards" in other.look().what


def test_a_store_on_a_cluster_is_not_rebuilt(shards: Shards, sharded: ClickHouseDatabase) -> None:
    """What its rows say is as it was; the way out is named."""
    url = shards.servers[0].url(sharded.name)
    store = open_store(Settings(store=url), to_rebuild=True)
    assert store is not None
    with pytest.raises(StoreError, match="where facts are not counted anew: move the store to a file"):
        closed_later(store).rebuild(Definitions(timezone="UTC"))


def test_of_which_times_calls_changed_is_told_of_all_shards(shards: Shards) -> None:
    """Calls that lie on both, the merges of each, and a call that is removed from one of them."""
    with ClickHouseDatabase.of_url(shards.new_url()) as database:
        create(database, DEFINITIONS)
        changes, slot = CallPartChanges(database, DEFINITIONS), NOON - NOON % SLOT_US
        assert changes.changes(None) == CallChanges(0, [])
        for hours in (1, 2):
            writer(database).accept([inference(f"{hours}-{n}", NOON - hours * HOUR) for n in range(20)])
        assert min(shards.rows_by_shard(database.name, "inference")) > 0
        assert changes.changes(0) == CallChanges(1, [slot - 2 * HOUR, slot - HOUR])
        shards.merge(database.name)
        assert changes.changes(1) == CallChanges(1, [])
        database.delete("inference", "id_text = '2-7'")
        assert changes.changes(1) == CallChanges(2, [slot - 2 * HOUR])


def test_of_two_replicas_the_one_that_is_asked_is_written(shards: Shards) -> None:
    """Also where it is not the first: what is acknowledged is in the next answer, and not at the other."""
    with ClickHouseDatabase.of_url(shards.new_url(REPLICAS)) as database:
        create(database, DEFINITIONS)
        facts = of_many("many", NOON)
        assert writer(database).accept(facts) == [ACCEPTED] * len(facts)
        assert shards.rows_by_shard(database.name, "event") == [9, 0]
        assert writer(database).accept(facts) == [DUPLICATE] * len(facts)
        assert len(stored(database, [each.id for each in facts])) == len(facts)
        assert shown_sums(PartSums(database).sums()) == by_definition(facts)


# ---------------------------------------------------------------- upkeep


@pytest.fixture
def emptied(shards: Shards) -> Iterator[ClickHouseDatabase]:
    """Return a store of its own on both."""
    with ClickHouseDatabase.of_url(shards.new_url()) as database:
        create(database, DEFINITIONS)
        yield database


def of_many(name: str, at: int) -> list[Record]:
    """Return events, calls and truths of nine users."""
    return [
        *(event(f"{name}-e{n}", f"{name}-{n}", at) for n in range(9)),
        *(inference(f"{name}-c{n}", at, user_id=f"{name}-{n}") for n in range(9)),
        *(GroundTruth(id=f"{name}-t{n}", ts=at, origin=HERE, inference_id=f"{name}-c{n}", value=n) for n in range(9)),
    ]


def test_days_go_from_both_shards(shards: Shards, emptied: ClickHouseDatabase) -> None:
    """Facts of the days before one, of every kind, wherever they lie; those of the others stay."""
    ago = (40, 11, 10, 0)
    facts = {each: [*of_day(each), *of_many(f"of {each}", NOON - each * DAY)] for each in ago}
    writer(emptied).accept([fact for each in ago for fact in facts[each]])
    assert min(shards.rows_by_shard(emptied.name, "event")) > 0
    sweeper, before = AgeSweeper(emptied, Notes()), DEFINITIONS.day_of(NOON) - 10
    assert (sweeper.remove_before(before), sweeper.remove_before(before)) == (len(facts[40]) + len(facts[11]), 0)
    there = stored(emptied, [fact.id for each in ago for fact in facts[each]])
    assert sorted(fact.id for fact in there.values()) == sorted(fact.id for fact in (*facts[10], *facts[0]))


def test_an_erased_person_is_gone_from_both_shards(sharded: ClickHouseDatabase) -> None:
    """Calls stay without their user, each once at every moment; masked rows go from the disks of both servers."""
    name = next(NAMES)
    facts, by = of_many(name, NOON), written_by(sharded)
    writer(sharded).accept(facts)
    remover, users = PersonRemover(sharded, by), {user_number(by, f"{name}-{n}") for n in range(9)}
    assert remover.counts(users) == {
        "event": 9, "nps_response": 0, "exposure": 0, "ab_conversion": 0, "inference": 9,
    }  # fmt: skip
    remover._make_calls_anonymous(users)  # a process that ends here leaves this
    calls = {("inference", each.id): without_user(each) for each in facts if isinstance(each, Inference)}
    names = [each.id for each in facts if not isinstance(each, GroundTruth)]
    assert {key: fact for key, fact in stored(sharded, names).items() if key[0] == "inference"} == calls
    remove_persons(sharded, users)
    assert (stored(sharded, names), remover.are_removed(users)) == (calls, True)
    assert remover.are_ended(remover.apply_masks(), 60.0)
    since = remover.now_s()
    assert sharded.count_parts("event", "active AND has_lightweight_delete") == 0
    until(lambda: remover.are_bytes_gone(since))


def test_days_are_settled_of_both_shards(shards: Shards, emptied: ClickHouseDatabase) -> None:
    """Sessions are those of SQLite, of settled days too; a late fact on either shard has its day read from facts."""
    facts = [each for n in range(4) for each in of_many(f"day {n}", NOON + n * DAY)]
    facts += [
        event(f"s{n}-{user}", f"u{user}", NOON + n * 10 * HOUR, session_id="s") for n in range(9) for user in range(9)
    ]
    writer(emptied).accept(facts)
    settle_all(emptied)
    assert [each.is_settled for each in fact_days(emptied, DEFINITIONS)] == [True] * 4
    assert sessions(emptied) == from_facts(facts)
    for late in (event("late1", "u1", NOON + 7 * HOUR), event("late2", "u2", NOON + DAY + 7 * HOUR)):
        facts.append(late)
        writer(emptied).accept([late])
    assert [each.is_settled for each in fact_days(emptied, DEFINITIONS)] == [False, False, True, True]
    assert sessions(emptied) == from_facts(facts)
    settle_all(emptied)
    remove_persons(emptied, {user_number(written_by(emptied), "u3")})
    left = [each for each in facts if getattr(each, "user_id", None) != "u3"]
    assert sessions(emptied) == from_facts(left)
    assert all(each.is_settled for each in fact_days(emptied, DEFINITIONS))


def test_an_export_is_that_of_sqlite(sharded: ClickHouseDatabase) -> None:
    """Of a person whose ids lie on both shards."""
    whole, state = (closed_later(SqliteStore(":memory:", definitions=DEFINITIONS)) for _ in range(2))
    name = next(NAMES)
    facts = of_many(name, NOON)
    for n in range(8):
        for store in (whole, state):
            store.identify(f"{name}-{n}", f"{name}-8")
    whole.accept(facts)
    writer(sharded).accept(facts)
    assert export(sharded, written_by(sharded), state.export(f"{name}-3")) == whole.export(f"{name}-3")


def test_a_store_is_moved_to_a_cluster_and_back(
    shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes back is what went there, by its reports; where the cluster's tables are not, nothing is moved.

    What facts said that are gone moves along.
    """
    monkeypatch.setattr(same_answers, "_ASKED", ("/users/summary", "/ai/models"))
    file, back, url = tmp_path / "from.db", tmp_path / "back.db", f"{shards.new_url()}?cluster={CLUSTER}"
    with closing(SqliteStore(str(file), definitions=DEFINITIONS, retention_days=10)) as store:
        store.accept([event(f"old {n}", f"many-{n % 5}", NOON - 20 * DAY, session_id="s") for n in range(9)])
        store.accept([*of_many("many", NOON), *one_of_each()])
        store.identify("many-1", "many-2")
        assert store.sweep(NOON) == 9
    places = [Settings(store=str(place), timezone=DEFINITIONS.timezone) for place in (file, url, back)]
    elsewhere = Settings(store=f"{shards.servers[0].url(shards.servers[0].new_database())}?cluster={CLUSTER}")
    with pytest.raises(StoreError, match="run what `otel-measure schema"):
        move_store(places[0], elsewhere, lambda: NOON + DAY, lambda *_: None, lambda _: ())
    move_store(places[0], places[1], lambda: NOON + DAY, lambda *_: None, lambda _: ())
    alike = partial(same_answers.differing, places[0], now=NOON + DAY)
    move_store(places[1], places[2], lambda: NOON + DAY, lambda *_: None, alike)


def test_what_days_said_that_go_stays(emptied: ClickHouseDatabase) -> None:
    """Of users of both shards, some of whom are one person: their days, sessions and conversions are known once."""
    facts = [event(f"p{n}-{user}", f"u{user}", NOON - n * DAY, type="purchase") for n in (20, 0) for user in range(9)]
    writer(emptied).accept(facts)
    by = written_by(emptied)
    merged = {user_number(by, f"u{user}"): user_number(by, "u8") for user in range(4)}

    def told() -> tuple[object, ...]:
        ask = ClickHouseUserQuestions(emptied, DEFINITIONS, merged, HERE.environment)
        ever = Days(DEFINITIONS.day_of(NOON) - 30, DEFINITIONS.day_of(NOON))
        return ask.active_by_day(ever), ask.sessions(ever, NOON), ask.conversions(ever, "purchase")

    before, ten_days_ago = told(), DEFINITIONS.day_of(NOON) - 10
    PastKeeper(emptied, DEFINITIONS, lambda: NOBODY, lambda: merged).keep_before(ten_days_ago)
    assert told() == before
    assert AgeSweeper(emptied, Notes()).remove_before(ten_days_ago) == 9
    assert told() == before
