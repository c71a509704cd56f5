"""`doctor`: each check names what is wrong and the way out, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from exporter.cli import doctor
from exporter.cli.doctor import Finding, Surroundings, checks_for, examine
from exporter.cli.ports import Holder, listen
from otel_measure.config import Settings
from otel_measure.otlp.send.push import Answer
from otel_measure.store.sqlite import SqliteStore
from tests.folders import not_to_be_entered

GIB = 2**30
WALL = 1_780_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the path of a store that a process has used and left."""
    path = tmp_path / "measure.db"
    SqliteStore(str(path)).close()
    return path


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port that is taken."""
    with listen("127.0.0.1", 0) as sock:
        yield sock.getsockname()[1]


def around(store: Path | str | None = None, **changes: object) -> Surroundings:
    """Return surroundings in which nothing is wrong, but for what is changed."""
    settings = {name: changes.pop(name) for name in list(changes) if name in Settings.__dataclass_fields__}
    given: dict[str, object] = {
        "environ": {},
        "mounts": lambda: [("/", "ext4")],
        "free_bytes": lambda path: 100 * GIB,
        "sleep": lambda seconds: None,
        "monotonic_s": lambda: 0.0,
        "meter_provider": object,
    }
    return Surroundings(
        settings=Settings(store=None if store is None else str(store), **({"port": 0} | settings)),  # type: ignore[arg-type]
        **given | changes,  # type: ignore[arg-type]
    )


def test_nothing_is_wrong_with_a_good_store(store: Path) -> None:
    """On a store in good order every check is there, in order, and well; and the store is as it was."""
    before = store.read_bytes()
    findings = examine(around(store))
    assert [finding.check for finding in findings] == [
        "store", "store directory", "store file system", "store disk", "store integrity", "store journal",
        "store writable", "store schema", "store time zone", "port", "clock", "time zone data", "python", "sqlite",
        "opentelemetry", "opentelemetry settings", "application views", "otlp endpoint", "prices",
    ]  # fmt: skip
    assert [(f.check, f.verdict, f.what) for f in findings if f.verdict != "ok" or f.way_out] == []
    assert store.read_bytes() == before


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        (None, Finding("ok", "none: measurements leave by OpenTelemetry only, reports are not available")),
        (":memory:", Finding("ok", "in memory: it ends with the process")),
        ("clickhouse://db", Finding("warning", "clickhouse://db is not a file; nothing more is checked here")),
    ],
)
def test_a_store_that_is_no_file_has_no_file_checks(store: str | None, expected: Finding) -> None:
    """Without a file only its kind is told, and the checks of files are left out."""
    surroundings = around(store)
    assert doctor.store_place(surroundings) == expected
    assert [name for name, _ in checks_for(surroundings) if name.startswith("store")] == ["store"]


def test_a_store_yet_to_be_made(tmp_path: Path) -> None:
    """A path without a file is well where its directory can be made, and nothing is made by looking."""
    path = tmp_path / "state" / "otel-measure" / "measure.db"
    surroundings = around(path)
    assert doctor.store_place(surroundings) == Finding("ok", f"{path}, made at the first start")
    assert doctor.store_directory(surroundings) == Finding("ok", f"{tmp_path} may be written")
    assert [f.check for f in examine(surroundings) if f.check.startswith("store")] == [
        "store", "store directory", "store file system", "store disk"
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    """A path that is a directory is refused with the way out."""
    assert doctor.store_place(around(tmp_path)) == Finding(
        "wrong", f"{tmp_path} is a directory", "set OTEL_MEASURE_STORE to a file in it"
    )


def test_a_directory_that_may_not_be_entered(store: Path) -> None:
    """Whether there is a store cannot be seen; that is a finding, the only one about it, and no end of all checks."""
    with not_to_be_entered(store.parent):
        findings = {f.check: f for f in examine(around(store)) if f.verdict != "ok"}
    assert findings == {
        "store": Finding(
            "wrong",
            f"{store} cannot be looked at: Permission denied",
            "let this user enter the directory (chmod or chown), or set OTEL_MEASURE_STORE",
            "store",
        )
    }


def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    """The directory is named, and how to open it to this user."""
    assert doctor.store_directory(around(tmp_path / "a.db", may_write=lambda path: False)) == Finding(
        "wrong",
        f"{tmp_path} may not be written by this user",
        f"chown or chmod {tmp_path}, or set OTEL_MEASURE_STORE",
    )


def test_a_network_file_system_is_wrong(store: Path) -> None:
    """A store on NFS is wrong although everything else works."""
    findings = {f.check: f for f in examine(around(store, mounts=lambda: [("/", "ext4"), (str(store.parent), "nfs4")]))}
    finding = findings["store file system"]
    assert (finding.verdict, "nfs4" in finding.what, "local disk" in finding.way_out) == ("wrong", True, True)


@pytest.mark.parametrize(
    ("free", "size", "verdict", "way_out"),
    [
        (100 * GIB, 0, "ok", ""),
        (255 * 2**20, 0, "wrong", "free disk space; until then records are refused, not lost silently"),
        (2 * GIB, 0, "warning", "lower store_max_bytes below 2,048 MiB"),
        (100 * GIB, 95 * 2**20, "warning", "raise store_max_bytes, or the oldest days go first"),
    ],
)
def test_room_on_the_disk(free: int, size: int, verdict: str, way_out: str, tmp_path: Path) -> None:
    """Room is judged against what the store may still grow to, and its size against its bound."""
    path = tmp_path / "measure.db"
    path.touch()
    with path.open("r+b") as file:
        file.truncate(size)
    bound = 100 * 2**20 if size else 10 * GIB
    finding = doctor.store_disk(around(path, free_bytes=lambda place: free, store_max_bytes=bound))
    assert (finding.verdict, finding.way_out) == (verdict, way_out)
    assert finding.what == (
        f"{free // 2**20:,} MiB free; the store has {size // 2**20} MiB and may grow to {bound // 2**20:,} MiB"
    )


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is named as such by every check that opens it."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)
    findings = {finding.check: finding for finding in examine(around(path))}
    for check in ("store integrity", "store journal", "store schema", "store time zone"):
        assert findings[check] == Finding(
            "wrong",
            f"{path}: file is not a database",
            "the file is something else: set OTEL_MEASURE_STORE to another path",
            check,
        )


def test_a_damaged_file(store: Path) -> None:
    """A file whose pages do not agree is found, and the way out keeps a copy first."""
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("CREATE TABLE filler AS SELECT randomblob(2000) AS bytes FROM pragma_function_list")
    connection.close()
    damaged = bytearray(store.read_bytes())
    damaged[-4096 * 3 :] = b"\xff" * (4096 * 3)
    store.write_bytes(damaged)
    finding = doctor._run("store integrity", doctor.store_integrity, around(store))
    assert finding.verdict == "wrong"
    assert finding.way_out == "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store"


def test_a_locked_store(store: Path) -> None:
    """While another process holds the write lock, that is what doctor says."""
    writer = sqlite3.connect(store, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    finding = doctor._run("store writable", doctor.store_writable, around(store))
    writer.close()
    assert (finding.verdict, finding.what) == ("wrong", f"{store}: database is locked")


def test_without_a_write_ahead_log(store: Path) -> None:
    """Another journal mode is a warning, because readers and writers then wait for each other."""
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    assert doctor.store_journal(around(store)) == Finding(
        "warning",
        "journal mode delete: readers and writers wait for each other",
        "start otel-measure once; it switches to the write-ahead log",
    )


def test_a_write_ahead_log_that_only_grows(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log far beyond its usual size means that a reader holds it."""
    monkeypatch.setattr(doctor, "_size", lambda path: 300 * 2**20)
    assert doctor.store_journal(around(store)) == Finding(
        "warning",
        "the write-ahead log has 300 MiB: a reader keeps it from being emptied",
        "look for a long-running query or an open sqlite3 shell, and end it",
    )


def test_schemas(store: Path, tmp_path: Path) -> None:
    """An older schema is brought up to date by itself; a newer one wants an upgrade; foreign tables another file."""
    connection = sqlite3.connect(store, isolation_level=None)
    latest = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute("PRAGMA user_version = 9999")
    newer = doctor.store_schema(around(store))
    connection.close()
    assert newer == Finding(
        "wrong", f"schema 9999, this otel-measure knows {latest}", "upgrade otel-measure: pip install -U otel-measure"
    )
    other = sqlite3.connect(tmp_path / "other.db")
    empty = doctor.store_schema(around(tmp_path / "other.db"))
    other.execute("CREATE TABLE recipes (name)")
    other.commit()
    foreign = doctor.store_schema(around(tmp_path / "other.db"))
    other.close()
    known = f"schema 0, this otel-measure knows {latest}; brought up to date at the next start"
    assert empty == Finding("ok", known)
    assert foreign == Finding("wrong", "the file has tables of another program", "set OTEL_MEASURE_STORE to a new file")


def test_days_of_another_zone(store: Path) -> None:
    """A store whose days are not those of the settings is refused at start; doctor names both ways out."""
    assert doctor.store_time_zone(around(store, timezone="Asia/Kathmandu")) == Finding(
        "wrong",
        "days are kept in UTC, the settings say Asia/Kathmandu",
        "set OTEL_MEASURE_TIMEZONE=UTC, or run `otel-measure rebuild --timezone Asia/Kathmandu`",
    )


def test_a_port_that_is_taken(port: int) -> None:
    """A port of somebody else is wrong; a port of ours is what one hopes for."""
    other = doctor.port(around(port=port, holder=lambda n: Holder(7, "nginx")))
    ours = doctor.port(around(port=port, holder=lambda n: Holder(8, "python otel-measure serve")))
    way_out = f"stop it or take another: --port {port % 65535 + 1}"
    assert other == Finding("wrong", f"port {port} on 127.0.0.1 is taken by pid 7 (nginx)", way_out)
    assert ours == Finding("ok", f"127.0.0.1 port {port}: otel-measure is serving, pid 8 (python otel-measure serve)")


def times(*values: float) -> Callable[[], float]:
    """Return a clock that reads these values one after the other."""
    found = iter(values)
    return lambda: next(found)


@pytest.mark.parametrize(
    ("wall", "monotonic", "expected"),
    [
        ((WALL, WALL + 0.05), (5.0, 5.05), Finding("ok", "2026-05-28T20:26:40Z, runs evenly")),
        (
            (WALL, WALL + 3600.05),
            (5.0, 5.05),
            Finding("warning", "the clock just moved by +3600.00 s", "let the NTP client settle, look again"),
        ),
        (
            (0.0, 0.05),
            (5.0, 5.05),
            Finding("wrong", "the clock says 1970-01-01T00:00:00Z", "set the clock; run an NTP client"),
        ),
    ],
)
def test_the_clock(wall: tuple[float, ...], monotonic: tuple[float, ...], expected: Finding) -> None:
    """A clock that is stepped, or stands at the epoch, is found by comparing it with the monotonic one."""
    assert doctor.clock(around(wall_s=times(*wall), monotonic_s=times(*monotonic))) == expected


def test_a_clock_behind_the_store(store: Path) -> None:
    """A store written in the future means that the clock went back."""
    finding = doctor.clock(around(store, wall_s=lambda: 1_750_000_000.0))
    assert (finding.verdict, finding.way_out) == ("wrong", "the clock went back: set it; run an NTP client")


def test_time_zone_data_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rules of the zone the way out is the package that has them."""
    surroundings = around()

    def absent(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr(doctor, "ZoneInfo", absent)
    assert doctor.time_zone_data(surroundings) == Finding("wrong", "no data for UTC", "install it: pip install tzdata")


def test_an_old_sqlite() -> None:
    """A SQLite without STRICT tables cannot have the schema."""
    assert doctor.sqlite_version(around(sqlite_version=(3, 36, 0))) == Finding(
        "wrong", "3.36.0 has no STRICT tables", "use a Python with SQLite 3.37.0 or newer"
    )


def test_without_a_price_table() -> None:
    """Nothing is wrong, but that most calls have no cost; the way out is the pip line."""

    def version_of(name: str) -> str:
        raise PackageNotFoundError(name)

    assert doctor.price_table(around(version_of=version_of)) == Finding(
        "warning",
        "there is no price table: calls have a cost only where caller, provider or price_overrides says it",
        "pip install 'otel-measure[prices]'",
    )
    assert doctor.price_table(around(version_of=lambda _: "1.2")) == Finding("ok", "genai-prices 1.2")


def test_opentelemetry_packages_of_two_releases() -> None:
    """Packages of different releases are listed, and the pip line brings the older ones up."""
    versions = {"opentelemetry-api": "1.45.2", "opentelemetry-sdk": "1.9.0"}
    finding = doctor.opentelemetry_versions(around(version_of=lambda name: versions.get(name, "1.45.2")))
    assert finding == Finding(
        "wrong",
        "versions differ: api 1.45.2, sdk 1.9.0, exporter-otlp-proto-http 1.45.2, exporter-prometheus 1.45.2",
        "pip install opentelemetry-api==1.45.2 opentelemetry-sdk==1.45.2 "
        "opentelemetry-exporter-otlp-proto-http==1.45.2",
    )


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"OTEL_SDK_DISABLED": "TRUE"}, "OTEL_SDK_DISABLED=true: instruments record nothing; facts are stored"),
        (
            {"OTEL_ATTRIBUTE_COUNT_LIMIT": "8"},
            "OTEL_ATTRIBUTE_COUNT_LIMIT=8 may cut attributes of the events we send",
        ),
    ],
)
def test_variables_that_take_something_away(environ: dict[str, str], what: str) -> None:
    """OpenTelemetry's own variables are honoured, so what they cost is said."""
    finding = doctor.opentelemetry_settings(around(environ=environ))
    assert (finding.verdict, finding.what) == ("warning", what)


def test_views_of_the_application() -> None:
    """Views of an adopted MeterProvider are a warning, since they win over our buckets."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.view import View

    provider = MeterProvider(views=[View(instrument_name="*")])
    assert doctor.application_views(around(meter_provider=lambda: provider)) == Finding(
        "warning",
        "the MeterProvider of the application has 1 View(s)",
        "check that none of them matches gen_ai.*, system.* or otel_measure.*: a View wins over our buckets",
    )
    provider.shutdown()


def test_a_process_without_views() -> None:
    """The provider that is asked about is the global one."""
    surroundings = around(meter_provider=doctor.global_meter_provider)
    assert doctor.application_views(surroundings) == Finding("ok", "no View changes our instruments")


def test_an_otlp_endpoint(port: int) -> None:
    """Somebody listens there or nobody does; without a port the one of OTLP is meant."""
    place = f"http://127.0.0.1:{port}/x"
    there = doctor.otlp_endpoint(around(otlp_endpoint=place, sends=lambda *_: Answer(200)))
    status = Status(code=16, message="a valid token is needed").SerializeToString()
    refused = doctor.otlp_endpoint(around(otlp_endpoint=place, sends=lambda *_: Answer(401, status)))
    elsewhere = doctor.otlp_endpoint(around(otlp_endpoint=place, sends=lambda *_: Answer(404)))
    other = doctor.otlp_endpoint(around(otlp_endpoint=place, sends=lambda *_: Answer(0, why="Bad status line")))
    asked: list[tuple[str, int]] = []

    def refuse(host: str, number: int) -> bool:
        asked.append((host, number))
        return False

    nobody = doctor.otlp_endpoint(around(otlp_endpoint="http://collector", can_connect=refuse))
    here = f"127.0.0.1 port {port}"
    assert there == Finding("ok", f"{here} takes OTLP")
    assert refused == Finding(
        "wrong",
        f"{here} does not take OTLP over HTTP (401: a valid token is needed)",
        "they stay in the store: set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<token>",
    )
    assert elsewhere == Finding(
        "wrong",
        f"{here} does not take OTLP over HTTP (404)",
        "they stay in the store: otlp_endpoint is the base URL, /v1/logs is added to it",
    )
    assert other == Finding(
        "wrong",
        f"{here} speaks no HTTP (Bad status line)",
        "OTLP/gRPC is not spoken: give the port of OTLP/HTTP (4318 at a Collector)",
    )
    assert nobody == Finding(
        "wrong",
        "nobody answers at collector port 4318",
        "start the Collector there, or change OTEL_EXPORTER_OTLP_ENDPOINT; events wait in the store meanwhile",
    )
    assert asked == [("collector", 4318)]


def test_a_check_that_fails_is_a_finding() -> None:
    """A fault of a check never hides what the others found."""

    def broken(surroundings: Surroundings) -> Finding:
        raise RuntimeError("boom")

    assert examine(around(), (("broken", broken), ("place", doctor.store_place))) == [
        Finding("warning", "could not be checked: RuntimeError: boom", check="broken"),
        Finding("ok", "none: measurements leave by OpenTelemetry only, reports are not available", check="place"),
    ]
