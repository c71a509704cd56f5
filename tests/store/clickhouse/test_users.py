"""Reports about users from facts in ClickHouse equal those from SQLite, whatever the history and whoever is who."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_measure.definitions.parameters import Definitions
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.users import ClickHouseUserQuestions
from otel_measure.store.clickhouse.writing import create
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import Filter
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.facts import DAY, HOUR, NOON, SECOND
from tests.reference.ground import Ev, Identify, NpsAnswer, Unlink
from tests.reference.strategies import UserHistory, histories, identities
from tests.store.clickhouse.storing import DEFINITIONS, HISTORIES, WhoIsWho, on_a_server, writer, written_by
from tests.users.feeding import every_report, everything, feed, received_in, record, steps_in_order

pytestmark = pytest.mark.e2e
NAMES = (f"{n}-{Random().getrandbits(64)}" for n in itertools.count())


@pytest.fixture(scope="module")
def database(clickhouse: ClickHouseServer) -> Iterator[ClickHouseDatabase]:
    """Return one store for all histories, each of which has users and environments of its own."""
    with ClickHouseDatabase.of_url(clickhouse.url(clickhouse.new_database())) as database:
        create(database, DEFINITIONS)
        yield database


def renamed(one: Ev | NpsAnswer, name: str) -> Ev | NpsAnswer:
    """Return an event or answer of a history under names that no other history has."""
    return replace(one, id=f"{name}-{one.id}", user=f"{name}-{one.user}", environment=f"{name}-{one.environment}")


def renamed_link(one: Identify | Unlink, name: str) -> Identify | Unlink:
    """Return a link of a history under names that no other history has."""
    if isinstance(one, Unlink):
        return Unlink(f"{name}-{one.anon}")
    return Identify(f"{name}-{one.anon}", f"{name}-{one.user}")


def both_say(
    database: ClickHouseDatabase,
    history: UserHistory,
    steps: Sequence[Sequence[Ev | NpsAnswer] | Identify | Unlink],
    environment: str,
    days: int,
) -> tuple[list[object], list[object]]:
    """Return every report of an environment from ClickHouse and from SQLite, which are given the same steps."""
    definitions = Definitions(timezone=history.zone_name)
    sqlite = feed(closed_later(SqliteStore(":memory:", definitions=definitions)), steps)
    mine, links = writer(database, definitions), WhoIsWho(database)
    for step in steps:
        if isinstance(step, Identify):
            links.identify(step.anon, step.user)
        elif isinstance(step, Unlink):
            links.unlink(step.anon)
        else:
            mine.accept([record(one) for one in step])
    asked = (history.zone_name, history.now, history.as_of)
    ask = ClickHouseUserQuestions(database, definitions, links.numbers(written_by(database)), environment)
    return every_report(ask, *asked, days), everything(sqlite, *asked, Filter(None, environment), days)


@on_a_server(HISTORIES)
@given(history=histories(max_events=24), data=st.data())
def test_every_report_is_that_of_sqlite(
    database: ClickHouseDatabase, history: UserHistory, data: st.DataObject
) -> None:
    """Facts in any order and any batches, links, refused ones and those taken back: each report is the same text."""
    name = next(NAMES)
    said = [renamed_link(one, name) for one in data.draw(identities())]
    received = [renamed(one, name) for one in received_in(history)]
    environment = f"{name}-{data.draw(st.sampled_from(('test', 'staging')))}"
    steps = data.draw(steps_in_order(received, said))
    ours, sqlites = both_say(database, history, steps, environment, data.draw(st.sampled_from((30, 1, 7))))
    assert ours == sqlites


def test_a_month_of_three_users(database: ClickHouseDatabase) -> None:
    """Of a few users who come back, buy, answer, pause for exactly half an hour and become one, all is as in SQLite."""
    name = next(NAMES)
    gap = 1800 * SECOND
    events = [
        *(Ev("u1", f"a{day}", NOON + day * DAY) for day in range(0, 40, 6)),
        *(Ev("u2", f"b{n}", NOON + 30 * DAY + n * gap, session=None) for n in range(3)),
        *(Ev("u2", f"c{n}", NOON + 31 * DAY + n * (gap + 1), "click") for n in range(3)),
        Ev("u2", "p", NOON + 31 * DAY + gap, "purchase", "order", value=9.99, currency="EUR"),
        Ev("a1", "q", NOON + 38 * DAY, "purchase", "order", "s1", value=0.1, currency="EUR"),
        Ev("a1", "s", NOON + 38 * DAY - HOUR, "session.start", session="s1"),
        Ev("u3", "g", NOON + 39 * DAY, "page_view", background=True),
    ]
    answers = [NpsAnswer("u1", "checkout", 10, NOON, "n1"), NpsAnswer("u1", "checkout", 3, NOON + 39 * DAY, "n2")]
    now = NOON + 39 * DAY + 2 * HOUR
    history = UserHistory("Europe/Berlin", now, date(2026, 2, 23), events, [], answers, [])
    received: list[Ev | NpsAnswer] = [*events, *answers]
    steps = [
        [renamed(one, name) for one in received],
        renamed_link(Identify("a1", "u2"), name),
        renamed_link(Identify("a1", "u1"), name),
        [renamed(replace(one, ts=one.ts + DAY), name) for one in events[::2]],
    ]
    ours, sqlites = both_say(database, history, steps, f"{name}-test", 30)
    assert ours == sqlites
