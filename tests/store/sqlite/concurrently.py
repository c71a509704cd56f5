"""What happens to a store whose processes do not all count alike, as data; and what it holds in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st

from otel_measure.definitions.parameters import Definitions
from otel_measure.records.kinds import Exposure, GroundTruth, NpsResponse, Origin, Record
from otel_measure.store.sqlite import SqliteStore, kept, roll_ups
from tests.facts import DAY, HERE, HOUR, NOON, event, inference

OLD: Final = Definitions()
# What is left of days whose facts are gone tells how long a session was, and not which of its events are key events.
ENGAGED: Final = replace(OLD, rules=OLD.rules + 1, engaged_s=15)
NEW: Final = replace(ENGAGED, key_event_types=OLD.key_event_types | {"login"})
USERS: Final = "abcd"
# Which column of a table is a person.
_PERSONS: Final = {"person_day": 2, "session": 1, "goal_hit": 1, "nps_day": 1, "person_end": 1} | {
    "experiment_arm": 1, "experiment_conversion": 1,
}  # fmt: skip


def rolled_up(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of the roll-ups and of the totals, persons by the ids that they are known under."""
    return dict(rolled_up_tables(store))


def rolled_up_tables(store: SqliteStore) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Yield what `rolled_up` returns, a table at a time."""
    with store._database.read() as connection:
        ids: dict[int, list[str]] = {}
        for name, person in connection.execute(
            "SELECT distinct_id, person FROM alias JOIN person_of USING (uid) ORDER BY distinct_id"
        ):
            ids.setdefault(person, []).append(name)
        names = {person: "+".join(of_person) for person, of_person in ids.items()}
        for table in roll_ups.TABLES:
            rows: list[tuple[object, ...]] = connection.execute(f"SELECT * FROM {table}").fetchall()
            at = _PERSONS.get(table)
            if at is not None:
                rows = [(*row[:at], names[row[at]], *row[at + 1 :]) for row in rows]  # type: ignore[index]
            yield table, sorted(rows, key=repr)
        total = "SELECT name, labels, value, count, buckets FROM total JOIN series ON id = series"
        yield "total", sorted(connection.execute(total))
        yield "person", sorted((name,) for name in names.values())


def waits(store: SqliteStore) -> int:
    """Return how many entries of the journal wait."""
    with store._database.read() as connection:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])


def horizon(store: SqliteStore) -> int:
    """Return the time before which facts are gone."""
    with store._database.read() as connection:
        return kept.state(connection).horizon


def finish(store: SqliteStore, now: int = NOON) -> int:
    """Do all that there is to do; return the steps it took."""
    for steps in range(10_000):
        if not store.bring_up_to_date("test", now + steps):
            return steps
    raise AssertionError("it never ends")


# ---------------------------------------------------------------- what may happen

_times = st.builds(
    lambda days, seconds: NOON - days * DAY - seconds * 1_000_000, st.integers(0, 6), st.integers(0, 4000)
)
_origins = st.sampled_from([HERE, HERE, Origin("shop", "staging"), Origin("office", "test")])
_events: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    ts=_times,
    user_id=st.sampled_from(USERS),
    type=st.sampled_from(["page_view", "page_view", "click", "conversion", "login", "session.start", "of_tomorrow"]),
    session_id=st.sampled_from([None, None, "s"]),
    background=st.sampled_from([False, False, True]),
    value=st.sampled_from([None, 2.5]),
    properties=st.sampled_from([None, {"experiment": "t"}]),
    origin=_origins,
)
_inferences: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    ts=_times,
    model=st.sampled_from("mn"),
    prediction=st.sampled_from([None, True, False, 1.5]),
    features=st.sampled_from([None, {"age": 3}]),
    groups=st.sampled_from([None, {"age": "60+"}, {"age": "20-29", "sex": "f"}]),
    user_id=st.sampled_from([None, *USERS]),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Record]:
    """Draw records of every kind that is rolled up; their ids repeat, and truths tell of inferences that may come."""
    found: list[Record] = []
    for n in draw(st.lists(st.integers(0, 40), min_size=1, max_size=6)):
        kind = draw(st.sampled_from(["event", "event", "event", "inference", "truth", "answer", "exposure"]))
        ts, user, origin = draw(_times), draw(st.sampled_from(USERS)), draw(_origins)
        if kind == "event":
            found.append(event(f"e{n}", **draw(_events)))
        elif kind == "inference":
            found.append(inference(f"{n % 8:032x}", **draw(_inferences)))
        elif kind == "truth":
            value = draw(st.sampled_from([True, False, 1.0]))
            # Later than what it tells of: of a prediction whose truth is gone, a count anew could know none.
            truth = GroundTruth(id=f"g{n}", ts=NOON + HOUR, origin=HERE, inference_id=f"{n % 8:032x}", value=value)
            found.append(truth)
        elif kind == "answer":
            found.append(NpsResponse(id=f"n{n}", ts=ts, origin=origin, user_id=user, score=n % 11))
        else:
            found.append(Exposure(id=f"x{n}", ts=ts, origin=origin, user_id=user, experiment="t", variant="ab"[n % 2]))
    return found


Step = tuple[str, Any]
_users = st.sampled_from(USERS)
happenings: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), batches()),
        st.tuples(st.just("accept"), batches()),
        st.tuples(st.just("link"), st.tuples(_users, _users)),
        st.tuples(st.just("unlink"), _users),
        st.tuples(st.just("erase"), _users),
        st.tuples(st.just("sweep"), st.sampled_from([NOON, NOON + DAY, NOON + 2 * DAY])),
        st.tuples(st.just("make room"), st.sampled_from([NOON - 2 * DAY, NOON - DAY, NOON])),
        st.tuples(st.just("steps"), st.integers(1, 25)),
        st.tuples(st.just("steps"), st.integers(1, 25)),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("rebuild"), st.none()),
    ),
    min_size=1,
    max_size=12,
)
