"""A store in ClickHouse counted anew by other definitions: by all who use it, whoever ends in the middle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from otel_measure.config import Settings
from otel_measure.definitions.days import Days, micros
from otel_measure.definitions.parameters import Definitions
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.records.kinds import Record
from otel_measure.store.clickhouse import one_at_a_time, rewriting
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.moving import to_file
from otel_measure.store.clickhouse.rewriting import rewrite
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.clickhouse.tables import EVENT
from otel_measure.store.clickhouse.writing import note_rebuilding
from otel_measure.store.engines import open_store, store_checks
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite.replica import Replica
from otel_measure.store.types.findings import Finding
from tests.clickhouse import ClickHouseServer
from tests.closing import closed_later
from tests.exporter.cli.command_line import run
from tests.facts import DAY, HOUR, NOON, event
from tests.store.asking import asked
from tests.store.clickhouse.storing import new_store, writer
from tests.store.clickhouse.test_proof import opened
from tests.store.stories.reports import exposition, reports
from tests.store.stories.seeded import story_of
from tests.store.stories.story import Story, tell

pytestmark = pytest.mark.e2e
STORY = 9
"""In which retention removes facts, and much comes afterwards."""
REBUILT_AT = 14
UTC_DAYS = Definitions(timezone="UTC")
IN_PARIS = Definitions(timezone="Europe/Paris")
LATE = NOON + 11 * HOUR + HOUR // 2
"""Half an hour before midnight in UTC, and after it in Paris."""
HALF_DONE = "is being counted by other definitions; wait; if nobody runs it any more, run `otel-measure rebuild"


class Ended(BaseException):
    """That a process was killed."""


@contextmanager
def ending_after(statements: int) -> Iterator[None]:
    """Let a process end at the statement after so many that change something."""
    numbers = count()

    def failing(run: Callable[..., None]) -> Callable[..., None]:
        def ran(*args: object, **given: object) -> None:
            if next(numbers) >= statements:
                raise Ended
            run(*args, **given)

        return ran

    with pytest.MonkeyPatch.context() as patched:
        for name in ("run", "insert"):
            patched.setattr(ClickHouseDatabase, name, failing(getattr(ClickHouseDatabase, name)))
        patched.setattr(one_at_a_time, "_say", lambda *_, **__: None)  # nobody waits until it is taken for killed
        yield


def rebuilt_bit_by_bit(store: Store, definitions: Definitions) -> int:
    """Rebuild a store by commands that each end in the middle; return how many did, after each nobody is answered."""
    for n in count():
        try:
            with ending_after(3 * n + 1):
                store.rebuild(definitions)
        except Ended:
            for refused in (lambda: asked(store, lambda m: m.origins), lambda: store.accept([event("refused")])):
                with pytest.raises(StoreUnavailable, match=HALF_DONE):
                    refused()
            with pytest.raises(StoreUnavailable, match=rf"--timezone {definitions.timezone}` with OTEL_MEASURE_SESS"):
                store.rebuild(replace(definitions, timezone="Asia/Tokyo"))
        else:
            return n
    raise AssertionError


def told_and_rebuilt(place: str, story: Story, rebuild: Callable[[Store], object]) -> dict[str, bytes]:
    """Tell a new store a story and rebuild it in the middle, which no total shows; return what is reported."""
    with opened(place, story) as runtime:
        assert runtime.store is not None
        for n, step in enumerate(story.steps):
            if n == REBUILT_AT:
                before = exposition(runtime, story.now)
                rebuild(runtime.store)
                assert exposition(runtime, story.now) == before
            tell(runtime.store, step)
        return reports(runtime, story)


def test_a_rebuild_that_ends_in_the_middle_is_given_again(clickhouse: ClickHouseServer) -> None:
    """Until it is done nobody is answered, and then everything is what SQLite says after the same; totals stay."""
    story = story_of(STORY)
    wanted = Definitions(timezone="Pacific/Kiritimati", session_gap_s=600)
    ended: list[int] = []
    of_sqlite = told_and_rebuilt(":memory:", story, lambda store: store.rebuild(wanted))
    of_a_server = told_and_rebuilt(
        clickhouse.url_for_one_test(), story, lambda store: ended.append(rebuilt_bit_by_bit(store, wanted))
    )
    assert ended[0] > 1
    assert of_a_server == of_sqlite


def store_at(url: str, timezone: str = "UTC") -> Store:
    """Open a store; the end of the test closes it."""
    store = open_store(Settings(store=url, timezone=timezone))
    assert store is not None
    return closed_later(store)


def active(store: Store, ts: int = NOON) -> list[int]:
    """Return how many persons were active on the day of a time in UTC, and on the next one."""
    day = UTC_DAYS.day_of(ts)
    return asked(store, lambda m: [m.users.active(Days(each, each)) for each in (day, day + 1)])


def test_everybody_counts_by_the_definitions_of_the_store(clickhouse: ClickHouseServer) -> None:
    """Who had opened it before goes on by the new ones, and whoever comes with the old settings is told both ways out.

    `doctor` says the same.
    """
    url = clickhouse.url_for_one_test()
    mine, other = store_at(url), store_at(url)
    mine.accept([event("1", "ann", LATE)])
    assert active(other) == [1, 0]
    result = run("rebuild", "--store", url, "--timezone", "Europe/Paris", "--json")
    assert (result.exit_code, json.loads(result.output)["timezone"]) == (0, "Europe/Paris")
    other.accept([event("2", "bob", LATE)])
    assert active(mine) == active(other) == active(store_at(url, "Europe/Paris")) == [0, 2]
    assert other.definitions == IN_PARIS
    differs = "keeps timezone='Europe/Paris', the settings say timezone='UTC'"
    ways_out = "set timezone='Europe/Paris' or run `otel-measure rebuild --timezone UTC`"
    with pytest.raises(StoreError, match=f"{differs}: {ways_out}"):
        store_at(url)
    found = {each.name: each.look() for each in store_checks(Settings(store=url))}
    assert found["store definitions"] == Finding("wrong", differs, ways_out)


def test_where_facts_are_gone_the_days_stay(clickhouse: ClickHouseServer) -> None:
    """Another zone is refused with the way out, before anything is done; other definitions are taken as SQLite does."""
    url = clickhouse.url_for_one_test()
    settings = Settings(store=url, timezone="UTC", retention_days=10)
    answers, today = [], UTC_DAYS.day_of(NOON)
    for store in (open_store(settings), open_store(replace(settings, store=":memory:"))):
        assert store is not None
        closed_later(store).accept([event(str(n), "ann", NOON - n * DAY // 2) for n in range(60)])
        assert store.sweep(NOON) > 0
        if isinstance(store, ClickHouseStore):
            with pytest.raises(StoreError, match=r"kept by the days of UTC: move the store to a file"):
                store.rebuild(IN_PARIS)
        store.rebuild(Definitions(timezone="UTC", session_gap_s=60, passive_event_types=frozenset({"click"})))
        answers.append(asked(store, lambda m: [m.users.sessions(Days(today - n, today), NOON) for n in range(30)]))
    assert answers[0] == answers[1]
    assert answers[0][-1].events == 60 - sum(NOON - n * DAY // 2 >= (today - 10) * DAY for n in range(60))


def test_what_is_half_rebuilt_is_told_and_not_moved(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """By `doctor` with the command that completes it."""
    database = new_store(clickhouse, UTC_DAYS)
    note_rebuilding(database, IN_PARIS)
    url = clickhouse.url(database.name)
    found = {each.name: each.look() for each in store_checks(Settings(store=url))}
    assert found["store definitions"] == Finding(
        "wrong",
        "it is being counted by other definitions",
        "wait; if nobody runs it any more, run `otel-measure rebuild --timezone Europe/Paris`",
    )
    with pytest.raises(StoreError, match="is being counted anew: complete that before"):
        to_file(url, tmp_path / "moved.db", lambda *_: None, lambda _: None)


def test_a_writer_that_has_not_heard_of_it_rewrites_its_rows(clickhouse: ClickHouseServer) -> None:
    """What it wrote by the old definitions lies where the new ones say; retention sees to what one left that died."""
    url = clickhouse.url_for_one_test()
    store = store_at(url)
    database = closed_later(ClickHouseDatabase.of_url(url))
    late, dead = writer(database, UTC_DAYS), writer(database, UTC_DAYS)
    store.accept([event("seen", ts=NOON - DAY)])
    store.rebuild(IN_PARIS)
    late.accept([event("late", "ann", LATE)])
    assert active(store) == [0, 1]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dead, "_settle", lambda *_: set())
        dead.accept([event("dead", "bob", LATE)])
    assert active(store) == [1, 1]
    store.sweep(LATE + DAY)
    assert active(store) == [0, 2]


def test_every_row_says_what_the_definitions_do(clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a zone left a day out, or clocks were set back over midnight, and of what is activity."""
    monkeypatch.setattr(rewriting, "_ROWS_COPIED_AT_ONCE", 20)  # as of many days
    at = [
        micros(datetime(*date, tzinfo=UTC)) + n * HOUR // 2
        for date in ((2011, 12, 30), (2006, 10, 29))
        for n in range(40)
    ]
    facts: list[Record] = [
        event(str(n), "u", ts, type="click" if n % 2 else "session.end", background=n % 3 == 0)
        for n, ts in enumerate(at)
    ]
    database = new_store(clickhouse, UTC_DAYS)
    writer(database, UTC_DAYS).accept(facts)
    rows = "SELECT toUInt32OrZero(id_text), toUInt16(day), active FROM {db}.event ORDER BY 1"
    for zone, passive in (("Pacific/Apia", {"click"}), ("America/St_Johns", set())):
        definitions = Definitions(timezone=zone, passive_event_types=frozenset[str](passive))
        rewrite(database, EVENT, definitions)
        assert database.rows(rows) == [
            (n, definitions.day_of(ts), int(n % 3 != 0 and ("click" if n % 2 else "session.end") not in passive))
            for n, ts in enumerate(at)
        ]


def test_nothing_is_removed_while_facts_are_counted_anew() -> None:
    """Of a removal and a rebuild the log lets in whichever it names first."""
    with closing(Replica(UTC_DAYS, bytes(16))) as replica:
        assert replica.begin_removal("some", {})
        assert not replica.begin_recount(IN_PARIS)
        replica.end_removal("some")
        assert replica.begin_recount(IN_PARIS)
        assert replica.begin_recount(IN_PARIS)  # by who gives the command again
        with pytest.raises(StoreError, match="none is removed meanwhile"):
            replica.begin_removal("others", {})
        with pytest.raises(StoreError, match="by other definitions"):
            replica.begin_recount(UTC_DAYS)
        replica.end_recount(IN_PARIS)
        assert (replica.definitions, replica.recounted_by) == (IN_PARIS, None)
        assert replica.begin_removal("others", {})
