"""Facts in ClickHouse: each record once, the first received, whatever came again and whoever died."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.config import Durability, Settings
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreRejected
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.tables import FACT_TABLES, FactTable
from otel_measure.store.clickhouse.writing import FactWriter, create
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, event, inference, one_of_each, records
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, new_store, on_a_server, stored, writer

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())  # each test's own: they share a store
MIDNIGHT = NOON + 11 * HOUR  # in Berlin
KIND_OF = {table.record: table.name for table in FACT_TABLES}


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all tests of this module, each of which uses ids of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


def by_id(given: Sequence[Record]) -> dict[tuple[str, str], Record]:
    """Return the first record of each kind and id."""
    firsts: dict[tuple[str, str], Record] = {}
    for record in given:
        firsts.setdefault((KIND_OF[type(record)], record.id), record)
    return firsts


def test_every_field_of_every_kind_comes_back(database: ClickHouseDatabase) -> None:
    """A record is stored whole, and given again it is a duplicate."""
    mine = writer(database)
    given = [each for each in one_of_each() if type(each) in KIND_OF]
    assert mine.accept(given) == [ACCEPTED] * len(FACT_TABLES)
    assert writer(database).accept(given) == [DUPLICATE] * len(FACT_TABLES)
    assert stored(database, [each.id for each in given]) == by_id(given)


@on_a_server(HISTORIES)
@given(given=st.lists(records.filter(lambda r: type(r) in KIND_OF), min_size=1, max_size=12, unique_by=lambda r: r.id))
def test_any_record_comes_back(database: ClickHouseDatabase, given: list[Record]) -> None:
    """Whatever a record may say is stored as it is, in one batch with others of any kind."""
    new = [msgspec.structs.replace(each, id=f"{next(NAMES)}-{each.id}"[:512]) for each in given]
    assert writer(database).accept(new) == [ACCEPTED] * len(new)
    assert stored(database, [each.id for each in new]) == by_id(new)


@pytest.mark.parametrize(
    "again",
    [
        event("later", ts=NOON + 1),
        event("later", ts=MIDNIGHT),
        event("later", ts=NOON - 40 * DAY),
        event("later", user_id="somebody else"),
        event("later", user_id="somebody else", ts=MIDNIGHT, type="purchase"),
    ],
)
@pytest.mark.parametrize("in_one_batch", [True, False])
def test_the_first_received_stays(database: ClickHouseDatabase, again: Record, in_one_batch: bool) -> None:
    """An id that comes again with another time, day or user changes nothing, in the same batch or a later one."""
    name = next(NAMES)
    first, second = event(name), msgspec.structs.replace(again, id=name)
    mine = writer(database)
    receipts = (
        mine.accept([first, second]) if in_one_batch else [*mine.accept([first]), *writer(database).accept([second])]
    )
    assert receipts == [ACCEPTED, DUPLICATE]
    assert stored(database, [name]) == by_id([first])


# ---------------------------------------------------------------- random histories


@st.composite
def histories(draw: st.DrawFn) -> list[list[Record]]:
    """Batches of few ids that come again and again: as they were, at another time, over midnight, of another user."""
    one = st.builds(
        lambda n, user, ts, is_call: (
            inference(f"i{n}", user_id=user, ts=ts) if is_call else event(f"i{n}", user_id=user, ts=ts)
        ),
        n=st.integers(0, 9),
        user=st.sampled_from(("u", "v")),
        ts=st.sampled_from((NOON, NOON + 1, MIDNIGHT - 1, MIDNIGHT, NOON + DAY, NOON - 40 * DAY)),
        is_call=st.sampled_from((False, False, True)),
    )
    batches: list[list[Record]] = draw(st.lists(st.lists(one, min_size=1, max_size=8), min_size=1, max_size=5))
    return [*batches, *draw(st.lists(st.sampled_from(batches), max_size=2))]


@on_a_server(2 * HISTORIES)
@given(history=histories())
def test_facts_are_those_of_a_table_fed_once_per_id(database: ClickHouseDatabase, history: list[list[Record]]) -> None:
    """Over all batches the first of each kind and id is stored, and it alone was accepted."""
    prefix = next(NAMES)
    batches = [[msgspec.structs.replace(each, id=prefix + each.id) for each in batch] for batch in history]
    expected = by_id([each for batch in batches for each in batch])
    seen: set[tuple[str, str]] = set()
    for batch in batches:
        keys = [(KIND_OF[type(each)], each.id) for each in batch]
        assert writer(database).accept(batch) == [
            DUPLICATE if key in seen or key in keys[:i] else ACCEPTED for i, key in enumerate(keys)
        ]
        seen.update(keys)
    assert stored(database, [name for _, name in expected]) == expected


def test_the_server_reads_what_is_bounded_beside_numbers_of_any_size(database: ClickHouseDatabase) -> None:
    """Of a call whose features hold a whole number of over 64 bits, questions find provider and trace all the same."""
    name = next(NAMES)
    call = inference(name, features={"x": 10**30}, metadata={"y": 2**64}, provider="openai", trace_id="0" * 31 + "1")
    writer(database).accept([call])
    said = "JSONExtractString(extra, 'provider'), JSONExtractString(extra, 'trace_id')"
    rows = database.rows(f"SELECT {said} FROM {{db}}.inference WHERE id_text = {{name:String}}", name=name)
    assert rows == [("openai", "0" * 31 + "1")]
    assert list(stored(database, [name]).values()) == [call]


# ---------------------------------------------------------------- who comes between, and who dies


class _Interrupted(FactWriter):
    """Lets something happen between its look and its insert, and may write some of its rows alone and then die."""

    def __init__(
        self,
        database: ClickHouseDatabase,
        between: Callable[[], object] = lambda: None,
        dies_after: Callable[[int], bool] | None = None,
    ) -> None:
        super().__init__(database, DEFINITIONS, lambda: NOON)
        self._between = between
        self._dies_after = dies_after

    def _insert(self, table: FactTable, columns: dict[str, list[object]]) -> None:
        self._between()
        if self._dies_after is None:
            super()._insert(table, columns)
            return
        some = [i for i in range(len(columns["id"])) if self._dies_after(i)]
        super()._insert(table, {name: [values[i] for i in some] for name, values in columns.items()})
        raise ConnectionError("the server was killed")


class _Merged(_Interrupted):
    """Has the server merge all it has before the second look."""

    def _settle(self, table: FactTable, ids: Sequence[int], rank: int) -> set[int]:
        self._database.run(f"OPTIMIZE TABLE {{db}}.{table.name} FINAL")
        return super()._settle(table, ids, rank)


@pytest.mark.parametrize("ts", [NOON, NOON + 1, MIDNIGHT])
@pytest.mark.parametrize("user_id", ["u", "somebody else"])
def test_of_two_writers_at_once_one_is_first(database: ClickHouseDatabase, ts: int, user_id: str) -> None:
    """When both look before either writes, both leave the same row, and exactly one of them has accepted it."""
    name = next(NAMES)
    mine, others = event(name), event(name, user_id=user_id, ts=ts, name="other")
    answers = []
    one = _Interrupted(database, lambda: answers.extend(writer(database).accept([others])))
    receipts = one.accept([mine]) + answers
    # The second to return decided by the rank, which is random here; the other one could not know of it yet.
    (kept,) = stored(database, [name]).values()
    assert kept in (mine, others)
    assert receipts in ([[ACCEPTED, ACCEPTED], [DUPLICATE, ACCEPTED]][kept == others],)
    assert writer(database).remove_doubles(0, 2**16 - 1) == 0


class _LookedEarlier(FactWriter):
    """Looked before anybody wrote, and writes at a time."""

    def __init__(self, database: ClickHouseDatabase, at: int) -> None:
        super().__init__(database, DEFINITIONS, lambda: at)

    def _known(self, table: FactTable, ids: Sequence[int]) -> set[int]:
        return set()


def test_of_three_writers_at_once_one_is_first(database: ClickHouseDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of one that comes while another one, who has not seen it, removes what is later than his own stays."""
    name = next(NAMES)
    first, second, third = (event(name, name=each, ts=NOON + n) for n, each in enumerate(("first", "second", "third")))
    delete, came = ClickHouseDatabase.delete, list[object]()

    def delete_later(self: ClickHouseDatabase, table: str, where: str) -> None:
        if not came:
            came.append(None)
            came.extend(_LookedEarlier(database, NOON - 2000).accept([first]))
        delete(self, table, where)

    assert _LookedEarlier(database, NOON).accept([third]) == [ACCEPTED]
    monkeypatch.setattr(ClickHouseDatabase, "delete", delete_later)
    assert _LookedEarlier(database, NOON - 1000).accept([second]) == [ACCEPTED]
    assert came == [None, ACCEPTED]
    assert list(stored(database, [name]).values()) == [first]


def test_of_two_rows_that_the_server_has_merged_the_other_one_was_accepted(database: ClickHouseDatabase) -> None:
    """Who comes second with a row of the same day and user is told so, though only one row is left to be seen."""
    name = next(NAMES)
    answers = []

    def others_come_first() -> None:
        answers.extend(FactWriter(database, DEFINITIONS, lambda: NOON - 1000).accept([event(name, name="other")]))

    assert _Merged(database, others_come_first).accept([event(name)]) == [DUPLICATE]
    assert answers == [ACCEPTED]
    assert list(stored(database, [name]).values()) == [event(name, name="other")]


@pytest.mark.parametrize("which", [lambda i: i < 3, lambda i: i % 2 == 0, lambda i: i == 9])
def test_an_insert_that_died_half_way_is_completed_by_its_retry(
    database: ClickHouseDatabase, which: Callable[[int], bool]
) -> None:
    """Whichever days were written, giving the batch again writes the others, and only those were accepted by it."""
    name = next(NAMES)
    batch: list[Record] = [event(f"{name}-{n}", name, NOON + n * DAY, name=name) for n in range(10)]
    with pytest.raises(ConnectionError):
        _Interrupted(database, dies_after=which).accept(batch)
    assert writer(database).accept(batch) == [DUPLICATE if which(n) else ACCEPTED for n in range(10)]
    assert stored(database, [each.id for each in batch]) == by_id(batch)
    ((user,),) = database.rows("SELECT DISTINCT user FROM {db}.event WHERE name = {name:String}", name=name)
    days = database.rows(
        f"SELECT toUnixTimestamp64Micro(min(ts)) AS first FROM {{db}}.event WHERE active = 1 AND user = '{user}'"
        " GROUP BY day, user ORDER BY first SETTINGS force_optimize_projection = 1"
    )
    assert days == [(each.ts,) for each in batch]


def test_doubles_of_a_writer_that_died_are_swept(clickhouse: ClickHouseServer) -> None:
    """A row whose writer died before its second look goes when somebody sweeps, and with it the active day it was."""
    database = new_store(clickhouse)
    late = event("e", ts=MIDNIGHT)
    with pytest.raises(ConnectionError):
        _Interrupted(database, lambda: writer(database).accept([event("e")]), lambda _: True).accept([late])
    assert database.rows("SELECT count() FROM {db}.event") == [(2,)]
    assert writer(database).remove_doubles(0, 2**16 - 1) == 1
    assert writer(database).remove_doubles(0, 2**16 - 1) == 0
    (kept,) = stored(database, ["e"]).values()
    days = database.rows(
        "SELECT toUnixTimestamp64Micro(min(ts)) FROM {db}.event WHERE active = 1 GROUP BY day, user"
        " SETTINGS force_optimize_projection = 1"
    )
    assert days == [(kept.ts,)]


# ---------------------------------------------------------------- opening


def test_two_who_begin_a_store_agree(clickhouse: ClickHouseServer) -> None:
    """The first key and the first definitions count for everybody: rows of a user lie together."""
    database = new_store(clickhouse)
    create(database, DEFINITIONS)
    database.insert("kept", {"name": ["tombstone key"], "value": ["00" * 32]})
    writer(database).accept([event("a")])
    writer(database).accept([event("b")])
    assert database.rows("SELECT count(DISTINCT user) FROM {db}.event") == [(1,)]
    with pytest.raises(StoreError, match="keeps timezone='Europe/Berlin', the settings say timezone='UTC'"):
        create(database, Definitions())


def test_a_database_without_a_store_is_named(clickhouse: ClickHouseServer) -> None:
    """A writer needs tables that somebody has created."""
    database = new_store(clickhouse)
    database.run("TRUNCATE TABLE {db}.kept")
    with pytest.raises(
        StoreError, match=f"the database {database.name} has no store of ours: it keeps no tombstone key"
    ):
        writer(database)


def test_a_time_without_a_day_is_refused(database: ClickHouseDatabase) -> None:
    """Nothing of the batch is written: days end in the year 2149."""
    with pytest.raises(StoreRejected, match="days from 1970 to 2149 alone"):
        writer(database).accept([event("fine"), event("far", ts=180 * 366 * DAY)])
    assert stored(database, ["fine", "far"]) == {}


def test_facts_are_on_the_disk_where_the_loss_of_power_is_to_be_survived(clickhouse: ClickHouseServer) -> None:
    """Whoever writes them, from when the first process wants it; before, the server leaves that to its machine."""
    url = clickhouse.url_for_one_test()

    def opened(durability: Durability) -> ClickHouseStore:
        settings = Settings(store=url, durability=durability)
        return closed_later(ClickHouseStore.of_settings(settings, DEFINITIONS, notes_outbox=False))

    before = opened("process")
    before.accept([event("1")])  # names what the others have, in the log
    with ClickHouseDatabase.of_url(url) as database:

        def syncs_while(accepted: ClickHouseStore, id: str) -> int:
            n = "SELECT sum(value) FROM system.events WHERE event = 'FileSync'"
            ((syncs,),) = database.rows(n)
            accepted.accept([event(id)])
            return int(database.rows(n)[0][0]) - int(syncs)

        assert syncs_while(before, "2") == 0
        after = opened("power")
        after.accept([event("3")])
        assert syncs_while(after, "4") > 0
        assert syncs_while(before, "5") > 0
