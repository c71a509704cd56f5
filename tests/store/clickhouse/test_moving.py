"""A store that is moved into ClickHouse, and out again: all that it had is there."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.cli import exit_codes, same_answers
from exporter.cli.same_answers import differing
from otel_measure.config import Settings
from otel_measure.definitions.days import Days
from otel_measure.errors import StoreError, StoreUnavailable
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.records.kinds import AbConversion, Exposure, NpsResponse, Record, ServiceState
from otel_measure.store.clickhouse import moving
from otel_measure.store.clickhouse.writing import FactWriter
from otel_measure.store.engines import move_store, open_store
from otel_measure.store.protocol import Store
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.types.facts import ERASED, Receipt
from otel_measure.store.types.moves import Moved
from tests.clickhouse import ClickHouseServer
from tests.exporter.cli.command_line import run
from tests.facts import DAY, HERE, HOUR, MINUTE, NOON, event, inference, one_of_each
from tests.store.asking import asked

pytestmark = pytest.mark.e2e
NOW = NOON + 12 * HOUR
USERS = ("ann", "bob", "cleo", "visitor")
FACTS: tuple[Record, ...] = (
    *one_of_each(),
    *(event(f"{user}{n}", user, NOON - n * DAY + i * MINUTE) for i, user in enumerate(USERS) for n in range(9)),
    *(event(f"p{n}", user, NOON, type="purchase", value=0.1, currency="EUR") for n, user in enumerate(USERS[:3])),
    *(inference(f"c{n}", NOON - n * HOUR, user_id=USERS[n % 4], input_tokens=n, model=f"m{n % 2}") for n in range(30)),
    *(NpsResponse(id=f"n{u}", ts=NOON, origin=HERE, user_id=u, score=9) for u in USERS),
    *(Exposure(id=f"x{u}", ts=NOON - DAY, origin=HERE, user_id=u, experiment="t", variant="a") for u in USERS),
    AbConversion(id="c", ts=NOON, origin=HERE, user_id="ann", experiment="t"),
    ServiceState(id="s1", ts=NOON - HOUR, origin=HERE, service="web", state="down", reason="gone"),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file with facts of all kinds, links, a test, a service, told calls and somebody who was erased."""
    path = tmp_path / "from" / "measure.db"
    path.parent.mkdir()
    with closing(SqliteStore(str(path))) as store:
        store.register_service("test", "web", 99.9, NOON - 2 * HOUR)
        store.accept(FACTS)
        store.accept([event("gone", "erased")])
        store.identify("visitor", "ann")
        store.take_tellings([telling_of_fact(inference("told", ts=NOON, user_id="bob"), "process")])
        store.erase("erased", NOON + HOUR)
        store.identify("again", "erased")
        store.accept([event("new", "erased", NOON + 2 * HOUR)])
    return path


def move(source: str, target: str) -> Moved:
    """Move a store, whose reports nobody compares."""
    return move_store(Settings(store=source), Settings(store=target), lambda: NOW, lambda *_: None, lambda _: ())


def moved(source: str, target: str) -> dict[str, int]:
    """Move a store; return how many facts there are of each kind that there is any of."""
    return {name: n for name, n in move(source, target).facts.items() if n}


def store_at(place: str) -> Store:
    """Return the store at a place, opened."""
    store = open_store(Settings(store=place))
    assert store is not None
    return store


def writing_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    """Have somebody write to a file in each of some first rounds of its move."""
    copy, done = moving._move_copy, []

    def copied(used: SqliteStore, source: Path, *rest: Any) -> Moved:
        done.append(copy(used, source, *rest))
        if len(done) <= rounds:
            with closing(SqliteStore(str(path))) as store:
                store.accept([event(f"meanwhile {len(done)}", "dan")])
        return done[-1]

    monkeypatch.setattr(moving, "_move_copy", copied)


def test_there_and_back_every_report_is_the_same(path: Path, clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """Reports of the file, of the server and of the file that comes back; an erasure of before is known in each."""
    url, back = clickhouse.url_for_one_test(), tmp_path / "back.db"
    there = moved(str(path), url)
    assert there["event"] == sum(fact.__class__.__name__ == "UserEvent" for fact in FACTS) + 1
    assert differing(Settings(store=str(path)), Settings(store=url), NOW) == []
    moved(url, str(back))
    assert differing(Settings(store=str(path)), Settings(store=str(back)), NOW) == []
    for place in (path, back):
        with closing(SqliteStore(str(place))) as store:
            assert store.accept([event("gone", "erased"), event("late", "erased", NOON)]) == [ERASED] * 2
    with pytest.raises(StoreError, match="was moved into the database"):
        moved(str(path), url)
    with pytest.raises(StoreError, match="is there already"):
        moved(url, str(back))


def test_what_ended_in_the_middle_goes_on(
    path: Path, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts that are there stay, those that came since are moved too, and the end is that of one without a break."""
    url = clickhouse.url_for_one_test()
    accept, calls = FactWriter.accept, []

    def failing(self: FactWriter, records: Sequence[Record], *rest: object) -> list[Receipt]:
        calls.append(len(records))
        if len(calls) == 3:
            raise StoreUnavailable("clickhouse", "gone", "try again")
        return accept(self, records, *rest)  # type: ignore[arg-type] # whatever it is called with

    monkeypatch.setattr(FactWriter, "accept", failing)
    with pytest.raises(StoreUnavailable):
        moved(str(path), url)
    with pytest.raises(StoreError, match=f"give `otel-measure migrate --from {path} --to …` again, which finishes it"):
        open_store(Settings(store=url))
    with closing(SqliteStore(str(path))) as store:
        store.accept([event("a first id", "dan"), inference("a first id")])
    moved(str(path), url)
    monkeypatch.setattr(same_answers, "_ASKED", ("/users/summary", "/ai/models"))
    assert differing(Settings(store=str(path)), Settings(store=url), NOW) == []


def test_what_is_written_meanwhile_is_moved_too(
    path: Path, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; who goes on writing is to be stopped, nobody uses what is half there, and the command goes on."""
    url = clickhouse.url_for_one_test()
    writing_meanwhile(path, monkeypatch, 2)
    with pytest.raises(StoreError, match="was written to while it was moved: stop every process that writes to it"):
        moved(str(path), url)
    with pytest.raises(StoreError, match="which is being moved there"):
        open_store(Settings(store=url))
    with closing(SqliteStore(str(path))) as store:
        before = asked(store, lambda moment: moment.users.active(Days(0, 2**16 - 1)))
    writing_meanwhile(path, monkeypatch, 1)
    moved(str(path), url)
    with closing(store_at(url)) as store:
        ids = {fact.attributes["log.record.uid"] for fact in store.export("dan").facts}
        assert ids == {"meanwhile 1", "meanwhile 2"}
        assert asked(store, lambda moment: moment.users.active(Days(0, 2**16 - 1))) == before


def test_what_is_to_leave_by_otlp_moves_too(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """There and back."""
    path, back = tmp_path / "measure.db", tmp_path / "back.db"
    with closing(SqliteStore(str(path), notes_outbox=True)) as store:
        store.accept(
            [event("1"), inference("2"), ServiceState(id="s", ts=NOON, origin=HERE, service="web", state="down")]
        )
    url = clickhouse.url_for_one_test()
    for source, target in ((str(path), url), (url, str(back))):
        assert move(source, target).waiting == 3
        with closing(store_at(target)) as store:
            leaving = asked(store, lambda moment: moment.outbox.next(10))
            assert leaving is not None
            assert sorted(record.id for record in leaving.records) == ["1", "2", "s"]


def test_a_database_with_a_store_is_refused(path: Path, clickhouse: ClickHouseServer) -> None:
    """One that was moved there as well, and one that was opened there: it has another key of user numbers."""
    url, opened = (clickhouse.url_for_one_test() for _ in range(2))
    other = path.with_name("other.db")
    with closing(SqliteStore(str(other))) as store:
        store.accept([event("1")])
    moved(str(other), url)
    store_at(opened).close()
    for used, said in ((url, "a store was moved into the database"), (opened, "has a store already")):
        with pytest.raises(StoreError, match=said):
            moved(str(path), used)


def test_two_commands_into_one_place_are_told_apart(path: Path, clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """There and back the second is refused, says who is at it, and changes nothing for the first.

    The copy of the file that an earlier one left, which was killed, goes.
    """
    left = path.with_name(f".{path.name}.moving123") / path.name
    left.parent.mkdir()
    left.touch()
    url, back = clickhouse.url_for_one_test(), str(tmp_path / "back.db")
    for source, target in ((str(path), url), (url, back)):
        second: dict[str, StoreUnavailable] = {}

        def begin_second(source: str, target: str, second: dict[str, StoreUnavailable], *_: object) -> None:
            if target not in second:
                with pytest.raises(StoreUnavailable, match="another process is at work there") as raised:
                    move(source, target)
                second[target] = raised.value

        progress = partial(begin_second, source, target, second)
        first = move_store(Settings(store=source), Settings(store=target), lambda: NOW, progress, lambda _: ())
        fault = second[target]
        assert (first.facts["nps_response"], fault.cause_name) == (5, "busy")
        assert f"process {os.getpid()} of" in fault.what
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == {"back.db"}
    assert not left.parent.exists()


def test_the_command_compares_both_places(
    path: Path, clickhouse: ClickHouseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how many facts there are in both; where reports differ it fails, and names them."""
    url = clickhouse.url_for_one_test()
    monkeypatch.setattr(same_answers, "_ASKED", ("/users/engagement",))
    told = run("migrate", "--from", str(path), "--to", url, "--json")
    assert (told.exit_code, json.loads(told.output)["facts"]["nps_response"]) == (0, 5)
    monkeypatch.setattr(same_answers, "differing", lambda *_: ["/ai/models of test"])
    told = run("migrate", "--from", url, "--to", str(path.with_name("back.db")))
    assert told.exit_code == exit_codes.STORE
    assert "all facts are there, and reports differ: /ai/models of test" in told.output


def test_a_store_is_not_moved_to_its_like(path: Path) -> None:
    """From a file to a file there is `backup`."""
    told = run("migrate", "--from", str(path), "--to", str(path.with_name("b.db")))
    assert (told.exit_code, "from a file to clickhouse://" in told.output) == (2, True)


def test_a_file_that_comes_back_is_whole(path: Path, clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """It has its name when all is in it, and is what SQLite itself finds to be in order."""
    url, back = clickhouse.url_for_one_test(), tmp_path / "back.db"
    moved(str(path), url)
    moved(url, str(back))
    assert sorted(file.name for file in tmp_path.iterdir() if file.is_file() and moving._OUT in file.name) == []
    with closing(sqlite3.connect(back)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert back.stat().st_mode & 0o777 == 0o600
