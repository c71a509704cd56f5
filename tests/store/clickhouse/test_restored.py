"""A database that its server restored from a backup: refused until it is a store again, and then as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.cli import exit_codes
from exporter.cli.same_answers import differing
from otel_measure.config import Settings
from otel_measure.errors import ConfigurationError, StoreError, StoreUnavailable
from otel_measure.otlp.receive.traces import telling_of_fact
from otel_measure.store.clickhouse.connection import ClickHouseDatabase
from otel_measure.store.clickhouse.one_at_a_time import alone_in_database
from otel_measure.store.clickhouse.store import ClickHouseStore
from otel_measure.store.engines import open_store, restore_store, store_checks
from otel_measure.store.protocol import Store
from otel_measure.store.questions import Moment
from otel_measure.store.sqlite import SqliteStore
from tests.clickhouse import ClickHouseServer
from tests.exporter.cli.command_line import run
from tests.facts import DAY, HOUR, MINUTE, NOON, event, inference
from tests.store.asking import asked

pytestmark = pytest.mark.e2e
NOW = NOON + 12 * HOUR
OLD = NOON - 9 * DAY


def told(*parts: Callable[[Store], object]) -> Callable[[Store], None]:
    """Return what tells a store several things, each of which the server gets in a block of its own."""

    def tell(store: Store) -> None:
        for part in parts:
            part(store)

    return tell


def linked(anonymous: str, user: str) -> Callable[[Store], object]:
    """Return what links an anonymous id to a user."""
    return lambda store: store.identify(anonymous, user)


# Which links hold depends on the order in which they are said.
FIRST = told(
    lambda store: store.register_service("test", "web", 99.9, NOON - 2 * HOUR),
    *(lambda store, n=n: store.accept([event(f"e{n}", f"u{n % 3}", OLD + n * MINUTE)]) for n in range(6)),
    lambda store: store.accept([inference(f"c{n}", NOON - n * HOUR, user_id="u1") for n in range(5)]),
    linked("a", "u1"),
    lambda store: store.unlink("a"),
    linked("a", "u2"),
    linked("b", "u0"),
)
SECOND = told(
    lambda store: store.unlink("a"),
    linked("a", "u0"),
    lambda store: store.take_tellings([telling_of_fact(inference("told", ts=NOON, user_id="u2"), "process")]),
    lambda store: store.accept([event("late", "u1", OLD + HOUR), event("later", "a", OLD + 2 * HOUR)]),
)
AFTERWARDS = told(
    lambda store: store.unlink("a"),
    lambda store: store.unlink("b"),
    linked("b", "u1"),
    lambda store: store.accept([event("e1", "u1", OLD + MINUTE), event("last", "b", OLD + 3 * HOUR)]),
    lambda store: store.register_service("test", "mail", 99.0, NOON),
)


def store_at(url: str) -> ClickHouseStore:
    """Return a store, opened."""
    store = open_store(Settings(store=url))
    assert isinstance(store, ClickHouseStore)
    return store


def totals(moment: Moment) -> dict[tuple[str, str], float]:
    """Return the running totals of a store."""
    families = moment.streams.families(NOW)
    return {(f.name, s.labels): s.value or s.count for f in families if f.kind == "counter" for s in f.samples}


def backed_up(clickhouse: ClickHouseServer, name: str, *, is_merged: bool) -> str:
    """Fill a database, with a day settled and a snapshot half-way, and return the name of what is restored of it.

    Args:
        clickhouse: the server.
        name: of the database.
        is_merged: the first entries of the log are one part then, and keep their numbers in the backup.
    """
    client, other = clickhouse.client(), clickhouse.new_database()
    with closing(store_at(clickhouse.url(name))) as store:
        FIRST(store)
        assert store.bring_up_to_date("here", NOW) is False
        store.take_snapshot()
        if is_merged:
            client.command(f"OPTIMIZE TABLE {name}.log FINAL")
            client.command(f"OPTIMIZE TABLE {name}.kept FINAL")
        SECOND(store)
    client.command(f"BACKUP DATABASE {name} TO Memory('{name}')")
    client.command(f"RESTORE DATABASE {name} AS {other} FROM Memory('{name}')")
    return other


def again(url: str) -> None:
    """Make a store again of what was restored."""
    restore_store(Settings(store=url), None, NOW, lambda *_: None)


def test_it_is_as_it_was_and_goes_on(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """Every report is that of a store that was never restored, then and after more was said; so are the totals."""
    url = clickhouse.url(backed_up(clickhouse, clickhouse.new_database(), is_merged=True))
    with closing(SqliteStore(str(tmp_path / "measure.db"))) as reference:
        FIRST(reference)
        SECOND(reference)
        again(url)
        for tell in (None, AFTERWARDS):
            with closing(store_at(url)) as store:
                if tell is not None:
                    tell(store)
                    tell(reference)
                assert asked(store, totals) == asked(reference, totals)
            assert differing(Settings(store=url), Settings(store=str(tmp_path / "measure.db")), NOW) == []


def test_nobody_uses_it_before(clickhouse: ClickHouseServer) -> None:
    """Whoever opens it, and `doctor`, say what to do; the store that was backed up is as before."""
    name = clickhouse.new_database()
    other = backed_up(clickhouse, name, is_merged=True)
    what = f"the database {other} was restored from a backup, which has its tables in another order"
    way_out = "end every process that uses it, then run `otel-measure restore` with this store and no file"
    with pytest.raises(StoreUnavailable) as raised:
        store_at(clickhouse.url(other))
    assert (raised.value.cause_name, raised.value.what, raised.value.way_out) == ("restored", what, way_out)
    with (
        ClickHouseDatabase.of_url(clickhouse.url(other)) as database,
        alone_in_database(database, "it does the same"),
        pytest.raises(StoreUnavailable, match="another process is at work there"),
    ):
        again(clickhouse.url(other))
    findings = {check.name: check.look() for check in store_checks(Settings(store=clickhouse.url(other)))}
    assert (findings["store"].verdict, findings["store"].what.partition(": ")[2]) == ("wrong", what)
    with pytest.raises(ConfigurationError, match=f"the database {name} is a store as it is"):
        again(clickhouse.url(name))
    store_at(clickhouse.url(name)).close()
    clickhouse.client().command(f"DROP TABLE {other}.log SYNC")
    with pytest.raises(StoreUnavailable, match="restored"):
        store_at(clickhouse.url(other))
    with pytest.raises(StoreError, match=f"the database {other} has no store of ours"):
        again(clickhouse.url(other))


def test_one_that_ends_half_way_is_begun_again(
    clickhouse: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it ends in the middle, the database is refused until it is completed, and is then as it was."""
    url = clickhouse.url(backed_up(clickhouse, clickhouse.new_database(), is_merged=True))
    run_statement = ClickHouseDatabase.run
    for done in (7, 16, 18, 20, 27):  # a copy is there, some tables are in their places, all are, some copies are gone
        left = iter(range(done))

        def dying(self: ClickHouseDatabase, sql: str, left: Iterator[int] = left, **parameters: object) -> None:
            if not sql.startswith("INSERT INTO {db}.kept") and next(left, None) is None:
                raise StoreUnavailable("clickhouse", "killed", "")
            run_statement(self, sql, **parameters)  # type: ignore[arg-type] # whatever it is called with

        with monkeypatch.context() as patched:
            patched.setattr(ClickHouseDatabase, "run", dying)
            with pytest.raises(StoreUnavailable, match="killed"):
                again(url)
        with pytest.raises(StoreUnavailable, match="restored"):
            store_at(url)
    again(url)
    with closing(SqliteStore(str(tmp_path / "measure.db"))) as reference:
        FIRST(reference)
        SECOND(reference)
    assert differing(Settings(store=url), Settings(store=str(tmp_path / "measure.db")), NOW) == []


def test_what_the_command_says(clickhouse: ClickHouseServer, tmp_path: Path) -> None:
    """It names the store and its size, and what is to be done; a file is nothing that ClickHouse restores."""
    url = clickhouse.url(backed_up(clickhouse, clickhouse.new_database(), is_merged=False))
    refused = run("restore", "--store", url, str(tmp_path / "backup.db"))
    assert refused.exit_code == exit_codes.USAGE
    assert "run its RESTORE DATABASE, and then `otel-measure restore` without a file" in refused.stderr
    done = run("restore", "--store", url)
    first, second, *rest = done.stdout.splitlines()
    assert (done.exit_code, first.partition(", ")[0], rest) == (0, f"{url} is a store again", [])
    assert second == "whoever was erased since the backup was taken is in it: erase them again"
    needs_file = run("restore", "--store", str(tmp_path / "measure.db"))
    assert "name the file of the backup: otel-measure restore FILE" in needs_file.stderr
