"""What persons add to tests, from facts in ClickHouse, equals what SQLite says of the same facts and the same links."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.records.kinds import AbConversion, Exposure, Origin, Record, UserEvent
from otel_measure.store.clickhouse.columns import user_number
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.experiments import ClickHouseExperimentQuestions, latest_in_test
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.questions import ExperimentQuestions
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.experiments import ArmHour, Experiment, PersonInTest
from otel_measure.store.types.facts import Filter
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import HOUR, NOON
from tests.reference.ground import Identify, Unlink
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, WhoIsWho, on_a_server, writer, written_by

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())
MINUTE = 60_000_000
_USERS = st.sampled_from(("u1", "u2", "u3", "a1", "a2"))
_TESTS = st.sampled_from(("t", "t", "t\x00", "\u00fc'"))
_TIMES = st.builds(
    lambda hours, step: NOON + hours * HOUR // 2 + step,
    st.integers(0, 12) | st.sampled_from((100, 2000)),
    st.sampled_from((0, 0, 1, -1, -MINUTE, -MINUTE - 1)),
)
_ORIGINS = st.builds(Origin, st.just("shop"), st.sampled_from(("", "", "", "staging")))
_EXPOSURES = st.builds(
    Exposure, id=st.just(""), ts=_TIMES, origin=_ORIGINS, user_id=_USERS, experiment=_TESTS,
    variant=st.sampled_from(("a", "a", "b", "c", "")), reason=st.sampled_from(("split",) * 5 + ("static",)),
)  # fmt: skip
_CONVERSIONS = st.builds(
    AbConversion, id=st.just(""), ts=_TIMES, origin=_ORIGINS, user_id=_USERS, experiment=_TESTS,
    client_clock=st.booleans(),
)  # fmt: skip
_EVENTS = st.builds(
    UserEvent, id=st.just(""), ts=_TIMES, origin=_ORIGINS, user_id=_USERS, name=st.just("n"),
    type=st.sampled_from(("conversion", "conversion", "purchase")),
    properties=st.none() | st.builds(lambda test: {"experiment": test, "big": 10**30}, _TESTS | st.just(3)),
)  # fmt: skip
_FACTS = st.lists(_EXPOSURES | _CONVERSIONS | _EVENTS, max_size=30)
_ANONYMOUS = st.sampled_from(("a1", "a2"))
_SAID = st.lists(st.builds(Identify, _ANONYMOUS, _USERS) | st.builds(Unlink, _ANONYMOUS), max_size=4)


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all examples, each of which has ids, tests and environments of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


class Both:
    """A store in ClickHouse and one in SQLite that are given the same.

    Attributes:
        sqlite: the other store; it has the definitions of tests for both.
    """

    def __init__(self, database: ClickHouseDatabase, name: str) -> None:
        self._database, self._name = database, name
        self._links, self._writer = WhoIsWho(database), writer(database)
        self.sqlite = closed_later(SqliteStore(":memory:", definitions=DEFINITIONS))

    def named(self, id: str) -> str:
        """Return an id that no other example has."""
        return f"{self._name}-{id}"

    def accept(self, records: Sequence[Record]) -> None:
        """Give both some facts."""
        self._writer.accept(records)
        self.sqlite.accept(records)

    def say(self, said: Sequence[Identify | Unlink]) -> None:
        """Tell both who is who."""
        for one in said:
            for store in (self._links, self.sqlite):
                if isinstance(one, Identify):
                    store.identify(self.named(one.anon), self.named(one.user))
                else:
                    store.unlink(self.named(one.anon))

    def agree(self, environment: str, question: Callable[[ExperimentQuestions], object]) -> object:
        """Return the answer of both to a question."""
        by = written_by(self._database)
        with self.sqlite.asking(Filter(None, self.named(environment))) as moment:
            ask = ClickHouseExperimentQuestions(
                self._database,
                DEFINITIONS,
                self._links.numbers(by),
                moment.experiments,
                lambda id: user_number(by, id),
            )
            assert ask.environment == moment.experiments.environment
            answer = question(ask)
            assert answer == question(moment.experiments)
            return answer

    def fact(self, record: Exposure | AbConversion | UserEvent, number: int) -> Record:
        """Return a fact of an example under ids of its own."""
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        fields["id"], fields["user_id"] = self.named(f"f{number}"), self.named(record.user_id)
        fields["origin"] = Origin("shop", self.named(record.origin.environment))
        if isinstance(record, UserEvent):
            test = (record.properties or {}).get("experiment")
            named = self.named(test) if isinstance(test, str) else test
            fields["properties"] = record.properties and {**record.properties, "experiment": named}
        else:
            fields["experiment"] = self.named(record.experiment)
        return type(record)(**fields)


@on_a_server(2 * HISTORIES)
@given(given=_FACTS, said=_SAID, cut=st.integers(0, 30), stop=st.none() | _TIMES, data=st.data())
def test_every_answer_is_that_of_sqlite(
    database: ClickHouseDatabase,
    given: list[Exposure | AbConversion | UserEvent],
    said: list[Identify | Unlink],
    cut: int,
    stop: int | None,
    data: st.DataObject,
) -> None:
    """Exposures and conversions in any batches, persons linked and parted among them, clocks of others, and a stop."""
    both = Both(database, next(NAMES))
    facts = [both.fact(record, number) for number, record in enumerate(given)]
    for test in ("t", "t\x00", "\u00fc'"):
        both.sqlite.define_experiment(Experiment(both.named(test), "T", ("a", "b"), (0.5, 0.5), 1.0))
    both.accept(facts[:cut])
    both.say(said)
    if stop is not None:
        last = latest_in_test(database, DEFINITIONS, both.named("t"))
        stopped = both.sqlite.stop_experiment(both.named("t"), "a", stop).stopped
        assert stopped == max(stop, stop if last is None else last + 1)
    both.accept(facts)
    environment = data.draw(st.sampled_from(("", "staging")))
    tests, users = ("t", "t\x00", "\u00fc'"), ("u1", "u2", "u3", "a1", "a2", "nobody")
    both.agree(environment, lambda ask: [ask.hours(both.named(test)) for test in tests])
    both.agree(environment, lambda ask: [ask.person_in_test(both.named("t"), both.named(user)) for user in users])


def test_a_person_of_two_ids(database: ClickHouseDatabase) -> None:
    """Who meets one arm as a stranger and another one as a user is in the first, and crossed over."""
    both = Both(database, next(NAMES))
    fields: dict[str, Any] = {"origin": Origin("shop"), "experiment": "t"}
    given: list[Exposure | AbConversion] = [
        Exposure(id="", ts=NOON, user_id="a1", variant="b", **fields),
        Exposure(id="", ts=NOON + 1, user_id="u1", variant="a", **fields),
        AbConversion(id="", ts=NOON + 3 * HOUR, user_id="u1", **fields),
        Exposure(id="", ts=NOON, user_id="u2", variant="a", **fields),
        AbConversion(id="", ts=NOON - MINUTE, user_id="u2", client_clock=True, **fields),
    ]
    both.accept([both.fact(record, number) for number, record in enumerate(given)])
    both.say([Identify("a1", "u1")])
    test, hour = both.named("t"), NOON // HOUR
    assert both.agree("", lambda ask: ask.hours(test)) == [
        ArmHour(hour, "", 1, 0), ArmHour(hour, "a", 1, 1), ArmHour(hour, "b", 1, 0), ArmHour(hour, "b", 0, 1, 4),
    ]  # fmt: skip
    assert both.agree("", lambda ask: ask.person_in_test(test, both.named("a1"))) == PersonInTest(both.named("u1"), "b")
    assert both.agree("", lambda ask: (ask.experiments(), ask.counted_by(0, NOON))) == ([], "current")
    assert latest_in_test(database, DEFINITIONS, test) == NOON + 3 * HOUR
