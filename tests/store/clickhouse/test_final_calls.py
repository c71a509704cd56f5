"""Calls that others told of go to the facts when nothing more can be told of them: no answer and no total changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.environments import UNNAMED
from otel_measure.definitions.parameters import Definitions
from otel_measure.definitions.tellings import Telling
from otel_measure.records.kinds import GroundTruth, Inference, Origin
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.final_calls import FinalCallsMover
from otel_measure.store.clickhouse.moving import move_out
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.tables import INFERENCE
from otel_measure.store.clickhouse.upkeep import DEFAULT_DAYS
from otel_measure.store.clickhouse.upkeep_operations import BeginFinalCalls, EndFinalCalls, SweepState
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ACCEPTED, DUPLICATE, Filter
from otel_measure.store.types.models import ALL_MODELS
from otel_measure.store.types.quality import Labels
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, MINUTE, NOON, inference
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, new_store, on_a_server
from tests.store.clickhouse.test_models import questions, series
from tests.store.conformance.telling import LEARN, told
from tests.store.conformance.test_received import calls as counted

pytestmark = pytest.mark.e2e
LATER = NOON + DAY + 5 * HOUR
# All of them read the calls of one `CallTable`: of each kind of question one.
_ASKED = ("all in steps", "counts", "by hour", "slowest", "failed", "spent")
_QUESTIONS = questions(NOON - DAY, LATER, ALL_MODELS, "provider", series(NOON - DAY, LATER, "6h"))


def opened(database: ClickHouseDatabase, server: ClickHouseServer) -> ClickHouseStore:
    """Return a store on a database, as one more process opens it."""
    again = ClickHouseDatabase.of_url(server.url(database.name))
    return closed_later(ClickHouseStore(again, DEFINITIONS, now_us=lambda: NOON))


def in_memory() -> SqliteStore:
    """Return a store of which answers are the right ones."""
    return closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))


def answers_of(moment: Any) -> dict[str, object]:
    """Return what a moment says of calls, and its totals."""
    quality = moment.quality.labels(NOON, LATER), moment.quality.judged_counts(NOON, LATER)
    totals = moment.streams.families(LATER)
    return {name: _QUESTIONS[name](moment) for name in _ASKED} | {"quality": quality, "totals": totals}


def answers(store: Store) -> dict[str, object]:
    """Return all that is said of calls now."""
    with store.asking(Filter(None, UNNAMED)) as moment:
        return answers_of(moment)


def in_state(store: ClickHouseStore) -> int:
    """Return how many calls are in the small state."""
    return len(store._state.ask(lambda replica: replica.begin_final_calls(2**60, 10**6)).calls)


def spans(n: int, **fields: Any) -> list[Telling]:
    """Return what tells of some calls of a day."""
    return [
        told(1, trace=k + 1, began=NOON + k * DAY // n, model=f"m{k % 2}", took_ms=k + 0.5, **fields) for k in range(n)
    ]


TELLINGS = st.builds(
    told,
    st.integers(1, 3),
    kind=st.sampled_from(("call", "call", "fact", "plain")),
    trace=st.integers(1, 9),
    parent=st.sampled_from((None, 1, 2)),
    response=st.sampled_from((None, None, "r1", "r2")),
    began=st.sampled_from((0, MINUTE, HOUR, 20 * HOUR, DAY + 4 * HOUR)).map(lambda age: NOON + age),
    took_ms=st.sampled_from((1.5, 900.0, 70_000.0)),
    model=st.sampled_from(("m", "n", "gpt-4o")),
    error_type=st.sampled_from((None, None, "Timeout")),
    user_id=st.sampled_from((None, "u", "v")),
)
STEPS = st.one_of(
    st.lists(TELLINGS, min_size=1, max_size=6),
    st.sampled_from(("sweep", "sweep", "erase", "metrics", "record")),
)


@on_a_server(HISTORIES)
@given(story=st.lists(STEPS, min_size=2, max_size=5), first=st.lists(TELLINGS, min_size=2, max_size=8))
def test_answers_are_those_of_sqlite(
    clickhouse: ClickHouseServer, story: list[list[Telling] | str], first: list[Telling]
) -> None:
    """Whatever is told, recorded, erased and swept in between, in any order and by two processes."""
    database = new_store(clickhouse)
    one, other, sqlite = opened(database, clickhouse), opened(database, clickhouse), in_memory()
    for n, step in enumerate([first, "sweep", *story, "sweep"]):
        for store in ((one, other)[n % 2], sqlite):
            if isinstance(step, list):
                store.take_tellings(step)
            elif step == "sweep":
                store.sweep(LATER + n)
            elif step == "erase":
                store.erase("u", LATER + n)
            elif step == "metrics":
                store.ingest([counted(n + 1, NOON + n * MINUTE)], LEARN)
                store.count_signals(LEARN, LATER + n)
            else:
                record = told(1, trace=n % 9 + 1).record
                assert record is not None
                store.accept([record, inference(f"r{n}", NOON + n * HOUR, user_id="u")])
        assert answers(one) == answers(sqlite), (n, step)
    assert answers(one) == answers(other) == answers(sqlite)


def test_each_call_is_in_one_place_at_every_moment(clickhouse: ClickHouseServer) -> None:
    """Before, between every two steps and after: moments that began then and those of before say the same."""
    database = new_store(clickhouse)
    store = opened(database, clickhouse)
    truth = GroundTruth(id="t", ts=NOON + HOUR, origin=Origin("shop"), inference_id="fact 1", value="cat")
    store.accept([inference("recorded", NOON + HOUR, origin=Origin("shop")), truth])
    judged = [told(n, kind="fact", trace=0, prediction=said) for n, said in ((1, "cat"), (2, 0.5))]
    store.take_tellings([*judged, *spans(4)])
    with store.asking(Filter(None, UNNAMED)) as before:
        right = answers_of(before)
        assert right["quality"] == (
            {("m", "1"): Labels(2, confusion={("cat", "cat"): 1})}, {("m", "1"): 2},
        )  # fmt: skip
        moments: list[Moment] = [before]
        store._state.do(SweepState(LATER, *DEFAULT_DAYS))
        batch = store._state.do(BeginFinalCalls(LATER - 2 * HOUR, 4))
        assert (batch.number, len(batch.calls), answers_of(before), answers(store)) == (1, 4, right, right)
        with store.asking(Filter(None, UNNAMED)) as begun:
            moments.append(begun)
            mover = FinalCallsMover(database, store._state, lambda: store._by)
            for _ in range(2):  # the second time as whoever completes it
                mover._write(1, batch.calls)
                assert [answers_of(each) for each in moments] == [right, right]
                assert answers(store) == right
            store._state.do(EndFinalCalls(1))
            store._state.do(EndFinalCalls(1))
            assert [answers_of(each) for each in moments] == [right, right]
            assert answers(store) == answers(opened(database, clickhouse)) == right
    assert in_state(store) == 2


def test_what_a_rebuild_took_away_is_written_again(
    clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store is counted by other definitions while calls go, of which some come between a copy and a removal."""
    database = new_store(clickhouse)
    store, other = opened(database, clickhouse), opened(database, clickhouse)
    store.take_tellings(spans(3))
    right, write, written = answers(store), FinalCallsMover._write, list[int]()

    def and_then_it_is_rebuilt(mover: FinalCallsMover, number: int, calls: Sequence[Inference]) -> None:
        write(mover, number, calls)
        written.append(number)
        if len(written) == 1:
            other.rebuild(Definitions(timezone="Asia/Tokyo"))
            database.delete(INFERENCE.name, "true")

    monkeypatch.setattr(FinalCallsMover, "_write", and_then_it_is_rebuilt)
    store.sweep(LATER)
    assert written == [1, 1]
    assert answers(store) == answers(other) == right


def test_what_has_gone_is_known_by_its_id(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """To be recorded or told of again is a duplicate, also for who looked just before it went."""
    database = new_store(clickhouse)
    store, other = opened(database, clickhouse), opened(database, clickhouse)
    given = spans(3)
    store.take_tellings(given)
    recorded = other._told._recorded

    def and_then_it_goes(ids: Sequence[str]) -> set[str]:
        found = recorded(ids)
        store.sweep(LATER)
        return found

    monkeypatch.setattr(other._told, "_recorded", and_then_it_goes)
    assert other.take_tellings(given).outcomes == ["duplicate"] * 3
    assert in_state(store) == 0
    again = [each.record for each in given if each.record is not None]
    assert store.accept([*again, inference("new", NOON, origin=Origin("shop"))]) == [DUPLICATE] * 3 + [ACCEPTED]
    assert store.take_tellings(given).outcomes == ["duplicate"] * 3
    with store.asking(Filter(None, UNNAMED)) as moment:
        assert sum(use.requests for use in moment.models.model_use(NOON - HOUR, LATER)) == 4


def test_a_batch_that_nobody_ended_is_completed(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next one who sweeps, whichever process, also where its rows were written or its calls are gone."""
    database = new_store(clickhouse)
    store, other = opened(database, clickhouse), opened(database, clickhouse)
    store.take_tellings(spans(5))
    right = answers(store)
    write = store._mover._write

    def and_then_it_dies(number: int, calls: Sequence[Inference]) -> None:
        write(number, calls)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store._mover, "_write", and_then_it_dies)
        with pytest.raises(KeyboardInterrupt):
            store.sweep(LATER)
    assert answers(store) == right
    other.sweep(LATER)
    assert answers(store) == answers(other) == right
    assert (in_state(store), database.rows("SELECT count() FROM {db}.inference")[0][0]) == (0, 5)


def test_retention_and_erasure_of_what_has_gone(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """It goes with its day, or stays without its user, as in SQLite; totals stay, in a file that it is moved to too."""
    database, sqlite = new_store(clickhouse), in_memory()
    store = opened(database, clickhouse)
    given = [*spans(6, user_id="u"), *spans(2, user_id="v")]
    for each in (store, sqlite):
        each.take_tellings(given)
        each.sweep(LATER)
        each.erase("u", LATER)
    assert in_state(store) == 0
    assert answers(store) == answers(sqlite)
    assert not database.rows("SELECT 1 FROM {db}.inference FINAL WHERE user_id = 'u'")
    move_out(database, tmp_path / "moved.db", lambda *_: None, lambda _: None)
    moved = closed_later(SqliteStore(str(tmp_path / "moved.db"), definitions=DEFINITIONS))
    assert answers(moved) == answers(sqlite)
    for each in (moved, sqlite):
        each.rebuild()
    assert answers(moved) == answers(sqlite)
    totals = answers(store)["totals"]
    assert store.sweep(LATER + 401 * DAY) == 6
    assert answers(store)["totals"] == totals
