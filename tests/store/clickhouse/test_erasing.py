"""The removal of persons from the tables of facts of a real server."""

from __future__ import annotations

import msgspec
import pytest

from otel_measure.config import Settings
from otel_measure.definitions.days import Days, day_date
from otel_measure.definitions.exposition import Family
from otel_measure.definitions.totals import summed
from otel_measure.errors import StoreUnavailable
from otel_measure.records.anonymous import without_user
from otel_measure.records.kinds import AbConversion, Exposure, Inference, NpsResponse, Record
from otel_measure.records.tombstones import user_tombstone
from otel_measure.store.clickhouse.columns import WrittenBy, erasable_number, user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.erasing import PersonRemover, epochs_of, numbers_of
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.writing import FactWriter
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HERE, MINUTE, NOON, event, inference
from tests.store.asking import asked
from tests.store.clickhouse.storing import DEFINITIONS, new_store, remove_persons, stored, writer, written_by
from tests.users.feeding import everything
from tests.waiting import until

pytestmark = pytest.mark.e2e
CALL: Inference = inference(
    "call", user_id="ann", session_id="s", groups={"country": "at"}, metadata={"name": "Ann"},
    features={"age": 44, "name": "Ann", "tall": True}, input_tokens=5,
)  # fmt: skip
EVER = Days(0, 2**16 - 1)
OF_ANN: tuple[Record, ...] = (
    event("1", "ann", NOON - MINUTE),
    event("2", "ann", NOON - 3 * DAY, background=True),
    event("anonymous", "visitor", type="click"),
    NpsResponse(id="3", ts=NOON, origin=HERE, user_id="ann", score=9),
    Exposure(id="4", ts=NOON, origin=HERE, user_id="ann", experiment="t", variant="a"),
    AbConversion(id="5", ts=NOON, origin=HERE, user_id="ann", experiment="t"),
    CALL,
)
OF_OTHERS: tuple[Record, ...] = (event("6", "bob"), inference("7", user_id="bob"), inference("8"))
IDS = [record.id for record in (*OF_ANN, *OF_OTHERS)]


@pytest.fixture
def database(clickhouse: ClickHouseServer) -> ClickHouseDatabase:
    """Return a store with facts of Ann and of others."""
    database = new_store(clickhouse)
    writer(database).accept([*OF_ANN, *OF_OTHERS])
    return database


def numbers(by: WrittenBy) -> set[int]:
    """Return the numbers of Ann."""
    return {user_number(by, user) for user in ("ann", "visitor")}


def test_nothing_stays_but_calls_without_their_user(database: ClickHouseDatabase) -> None:
    """Facts of others are as they were; doing it again changes nothing, also after one that ended half-way."""
    by = written_by(database)
    remover, mine = PersonRemover(database, by), numbers(by)
    assert remover.counts(mine) == {"event": 3, "nps_response": 1, "exposure": 1, "ab_conversion": 1, "inference": 1}
    remover._make_calls_anonymous(mine)  # a process that ends here leaves this
    for _ in range(2):
        remove_persons(database, mine)
        there = stored(database, IDS)
        assert there == {
            ("event", "6"): OF_OTHERS[0],
            ("inference", "7"): OF_OTHERS[1],
            ("inference", "8"): OF_OTHERS[2],
            ("inference", "call"): without_user(CALL),
        }
        assert (remover.are_removed(mine), database.rows("SELECT count() FROM {db}.inference")) == (True, [(3,)])
    days = "SELECT count() FROM (SELECT user, day, min(ts) FROM {db}.event WHERE active = 1 GROUP BY user, day)"
    assert database.rows(days) == [(1,)]


def test_totals_that_go_are_those_of_the_events(database: ClickHouseDatabase) -> None:
    """What is to be kept of totals is what the removed facts had added: calls stay, answers are in no total."""
    by = written_by(database)
    kept = PersonRemover(database, by).totals(numbers(by))
    assert {key: (total.value, total.count, total.buckets) for key, total in kept.items()} == {
        key: (total.value, total.count, total.buckets) for key, total in summed(OF_ANN[:3]).items()
    }


def test_bytes_go_when_the_server_lets_go_of_old_parts(database: ClickHouseDatabase) -> None:
    """Masked rows are rewritten, and the parts that had them are removed."""
    by = written_by(database)
    remover, mine = PersonRemover(database, by), numbers(by)
    remove_persons(database, mine)
    assert remover.are_ended(remover.apply_masks(), 60.0)
    since = remover.now_s()
    masked = "SELECT count() FROM system.parts WHERE database = {of:String} AND active AND has_lightweight_delete"
    assert database.rows(masked, of=database.name) == [(0,)]
    until(lambda: remover.are_bytes_gone(since))
    assert stored(database, IDS).keys() == {("event", "6"), *(("inference", each) for each in ("7", "8", "call"))}


def test_who_comes_back_is_somebody_new(database: ClickHouseDatabase) -> None:
    """Rows written after an erasure lie under another number, and an erasure of before does not touch them."""
    key = written_by(database).key
    ann, visitor, bob = (user_tombstone(key, user) for user in ("ann", "visitor", "bob"))
    erasures = [(1, [ann]), (2, [bob]), (3, [ann, visitor])]
    epochs = epochs_of(erased for _, erased in erasures)
    assert epochs == {ann: 2, bob: 1, visitor: 1}
    assert numbers_of(erasures, {1}) == {int.from_bytes(ann)}
    assert numbers_of(erasures, {2, 3}) == {int.from_bytes(bob), erasable_number(ann, 1), int.from_bytes(visitor)}
    FactWriter(database, DEFINITIONS, lambda: NOON).accept([event("new", "ann", NOON + DAY)], epochs)
    newest = "SELECT user FROM {db}.event ORDER BY ts DESC LIMIT 1"
    assert database.rows(newest) == [(erasable_number(ann, 2),)]
    remove_persons(database, numbers_of(erasures, {1, 2, 3}))
    assert stored(database, [*IDS, "new"]).keys() == {
        ("event", "new"), *(("inference", each) for each in ("7", "8", "call")),
    }  # fmt: skip


def test_what_was_erased_is_refused_whatever_time_it_says(database: ClickHouseDatabase) -> None:
    """A fact of an erased user is known by its id; others of the same user, and facts of nobody, may come."""
    by = written_by(database)
    remover = PersonRemover(database, by)
    remover.remove(numbers(by))
    erased = {user_tombstone(by.key, "ann")}
    again: list[Record] = [msgspec.structs.replace(OF_ANN[0], ts=NOON + DAY), event("new", "ann"), *OF_OTHERS, CALL]
    assert remover.refused(again, erased) == {0}
    assert remover.refused(again, set()) == set()


def test_who_is_erased_is_seen_by_no_question_while_the_server_is_at_it(clickhouse: ClickHouseServer) -> None:
    """The receipt is given at once; the rows go when the server comes to it, and totals do not fall meanwhile."""
    url = clickhouse.url_for_one_test()
    settings = Settings(store=url, environment="test")
    store, other = (
        closed_later(ClickHouseStore.of_settings(settings, DEFINITIONS, notes_outbox=False)) for _ in range(2)
    )
    store.accept([*OF_ANN, *OF_OTHERS])
    totals = asked(store, lambda moment: moment.streams.families(NOON))
    with ClickHouseDatabase.of_url(url) as database:
        database.run("SYSTEM STOP MERGES {db}.event")  # of a server that has a lot to do
        receipt = store.erase("ann", NOON + DAY)
        assert (receipt.events, receipt.bytes_cleared) == (2, False)
        rows = "SELECT count() FROM {db}.event"
        assert (database.rows(rows), database.hiding.rows(rows)) == ([(4,)], [(2,)])
        for each in (store, other):
            assert asked(each, lambda moment: moment.users.active(EVER)) == 2
            assert asked(each, lambda moment: moment.streams.families(NOON)) == totals
        again = store.erase("ann", NOON + DAY)
        assert (again.receipt, again.events) == (2, 0)
        assert other.clear_erased(NOON + DAY) is False
        assert database.rows(rows) == [(4,)]
        database.run("SYSTEM START MERGES {db}.event")

        def is_removed() -> bool:
            other.clear_erased(NOON + DAY)
            return database.rows(rows) == [(2,)] and other._notes.removals() == []

        until(is_removed)
    for each in (store, other):
        assert asked(each, lambda moment: moment.users.active(EVER)) == 2
        assert asked(each, lambda moment: moment.streams.families(NOON)) == totals


def test_an_id_of_the_erased_is_new_from_others_while_the_server_is_at_it(clickhouse: ClickHouseServer) -> None:
    """It counts once, whoever sends it again, and stays when the rows of the erased go."""
    url = clickhouse.url_for_one_test()
    store = closed_later(ClickHouseStore.of_settings(Settings(store=url), DEFINITIONS, notes_outbox=False))
    store.accept(OF_ANN)
    with ClickHouseDatabase.of_url(url) as database:
        database.run("SYSTEM STOP MERGES {db}.event")
        store.erase("ann", NOON + DAY)
        assert store.accept([event("1", "cleo"), event("2", "cleo")]) == [ACCEPTED, ACCEPTED]
        assert store.accept([event("1", "cleo"), event("2", "bob", NOON + DAY)]) == [DUPLICATE, DUPLICATE]
        database.run("SYSTEM START MERGES {db}.event")
        until(lambda: database.rows("SELECT count() FROM {db}.event") == [(3,)])
    assert asked(store, lambda moment: moment.users.active(EVER)) == 2  # the visitor is nobody else


def test_an_erasure_that_died_is_completed_by_the_next(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever got no answer asks again, by any id of the person, and nothing is left in reports, nor counted twice."""
    settings = Settings(store=clickhouse.url_for_one_test())
    store = closed_later(ClickHouseStore.of_settings(settings, DEFINITIONS, notes_outbox=False))
    sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))
    for each in (store, sqlite):
        each.identify("visitor", "ann")
        each.accept([*OF_ANN, *OF_OTHERS])

    def end(*_: object) -> None:
        raise StoreUnavailable("clickhouse", "the server ends", "")

    with monkeypatch.context() as patched:
        patched.setattr(PersonRemover, "_make_calls_anonymous", end)
        with pytest.raises(StoreUnavailable):
            store.erase("ann", NOON)
    with monkeypatch.context() as patched:
        patched.setattr(PersonRemover, "_bury", end)
        with pytest.raises(StoreUnavailable):
            store.erase("ann", NOON)
    assert store.erase("ann", NOON).inferences == sqlite.erase("ann", NOON).inferences == 1
    asked_for = ("UTC", NOON, day_date(DEFINITIONS.day_of(NOON)))
    assert everything(store, *asked_for) == everything(sqlite, *asked_for)
    assert exposed(store) == exposed(sqlite)


def exposed(store: Store) -> list[Family]:
    """Return what `/metrics` shows."""
    return asked(store, lambda moment: moment.streams.families(NOON))
