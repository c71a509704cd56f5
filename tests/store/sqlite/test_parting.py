"""A store parted into its facts and its small state, and put together again."""

from __future__ import annotations

from pathlib import Path

from otel_measure.definitions.days import Days
from otel_measure.definitions.parameters import Definitions
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.kinds import Record
from otel_measure.store.sqlite import SqliteStore, past
from otel_measure.store.sqlite.parting import MANY, PartedStore
from otel_measure.store.sqlite.replica import Replica
from tests.closing import closed_later
from tests.facts import DAY, NOON, event, inference, one_of_each
from tests.store.asking import asked, asking_users, holdings

TODAY = NOON // DAY
FACTS: tuple[Record, ...] = (
    *one_of_each(),
    event("1", "anon"),
    event("2", "ann", NOON + 1),
    event("3", "stranger", type="purchase", value=2.5, currency="EUR"),
    event("old", "a", NOON - 12 * DAY),
)


def parted(path: Path) -> PartedStore:
    """Return a store with facts, links, a told call, and somebody whose facts are gone."""
    store = closed_later(PartedStore(str(path), retention_days=10))
    store.accept(FACTS)
    store.identify("anon", "ann")
    store.take_tellings([telling_of_fact(inference("told", user_id="ann"), "process")])
    store.sweep(NOON)
    return store


def test_facts_are_told_once(tmp_path: Path) -> None:
    """Each kind by its ids, as often as asked and from any of them on; calls that may change are left."""
    store = parted(tmp_path / "a.db")
    for table in MANY:
        pages = list(store.facts(table))
        facts = [fact for _, page in pages for fact in page]
        expected = [fact for fact in FACTS if type(fact) is table.record and fact.id != "old"]
        assert facts == sorted(expected, key=lambda fact: fact.id)
        assert store.count(table) == len(expected)
        assert list(store.facts(table, pages[-1][0])) == []


def test_the_small_state_the_facts_and_what_those_left_that_are_gone_are_the_store(tmp_path: Path) -> None:
    """What the small state becomes when it is given the others again says what the store said."""
    store = parted(tmp_path / "a.db")
    whole = _said(store)
    facts = [fact for table in MANY for _, page in store.facts(table) for fact in page]
    left = {table: list(store.past_of(table)) for table in past.COLUMNS}
    contents = store.small_state()
    replica = closed_later(Replica(Definitions(), b"\0" * 32))
    replica.load(contents)
    assert b"stranger" not in contents
    assert replica.contents() == contents
    assert replica.export("u").facts == ()
    replica.write_to(tmp_path / "b.db")
    again = closed_later(PartedStore(str(tmp_path / "b.db")))
    again.accept(facts)
    again.forget_past()
    for table, rows in left.items():
        again.take_past(table, rows)
    again.count_past()
    assert _said(again) == whole


def _said(store: SqliteStore) -> tuple[object, ...]:
    with asking_users(store) as ask:
        users = (
            holdings(ask),
            ask.active_by_day(Days(TODAY - 20, TODAY)),
            ask.conversions(Days(TODAY - 20, TODAY), "purchase"),
        )
    return (
        *users,
        asked(store, lambda m: m.models.model_use(0, NOON + DAY)),
        asked(store, lambda m: m.streams.families(NOON)),
        asked(store, lambda m: m.experiments.hours("t")),
    )
