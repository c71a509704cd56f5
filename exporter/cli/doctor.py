"""What is wrong here, and the way out: a list of checks, each a function that returns one finding.

No check changes anything, and none needs a running server. What a check reads of its surroundings is a parameter.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from exporter.cli.ports import CannotListen, Holder, can_connect, described, holder_of, listen
from otel_measure.config import Settings, otlp_logs
from otel_measure.errors import StoreUnavailable
from otel_measure.otlp.send.push import Answer, HttpPost, said_by, way_out
from otel_measure.store.sqlite.connection import MEMORY, local_mounts, refuse_network_file_system, unavailable

Verdict: TypeAlias = Literal["ok", "warning", "wrong"]

_MIB: Final = 2**20
_LEAST_FREE_BYTES: Final = 256 * _MIB
_LARGE_WAL_BYTES: Final = 256 * _MIB
_STRICT_TABLES: Final = (3, 37, 0)
_OLDEST_PLAUSIBLE_S: Final = 1_735_689_600  # 2025-01-01: before this software existed
_ANSWER_WITHIN_S: Final = 3.0
_CLOCK_WAIT_S: Final = 0.05
_CLOCK_TOLERANCE_S: Final = 0.05
_OTLP_PORTS: Final = {"http": 4318, "https": 443}
_SDK_PACKAGES: Final = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_CUTTING_LIMITS: Final = tuple(
    f"OTEL_{kind}ATTRIBUTE_{limit}_LIMIT" for kind in ("", "LOGRECORD_") for limit in ("COUNT", "VALUE_LENGTH")
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        way_out: what to do; empty when there is nothing to do.
        check: the name of the check in the list.
    """

    verdict: Verdict
    what: str
    way_out: str = ""
    check: str = ""


def sent_nothing(endpoint: str, environ: Mapping[str, str]) -> Answer:
    """Return the answer of an endpoint to a request without events."""
    return HttpPost(otlp_logs(endpoint, environ))(b"", _ANSWER_WITHIN_S)


def global_meter_provider() -> object:
    """Return the MeterProvider that the application has set, or OpenTelemetry's stand-in."""
    from opentelemetry.metrics import get_meter_provider

    return get_meter_provider()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the checks look at."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    mounts: Callable[[], list[tuple[str, str]]] = local_mounts
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    may_write: Callable[[Path], bool] = lambda path: os.access(path, os.W_OK)
    wall_s: Callable[[], float] = time.time
    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    holder: Callable[[int], Holder | None] = holder_of
    version_of: Callable[[str], str] = metadata.version
    sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info
    meter_provider: Callable[[], object] = global_meter_provider
    can_connect: Callable[[str, int], bool] = can_connect
    sends: Callable[[str, Mapping[str, str]], Answer] = sent_nothing

    @property
    def is_file(self) -> bool:
        """Whether the store is a file, which need not exist."""
        return self.settings.store not in {None, MEMORY} and "://" not in str(self.settings.store)

    @property
    def file(self) -> Path:
        """The file of the store."""
        return Path(str(self.settings.store))


ok = partial(Finding, "ok")
warning = partial(Finding, "warning")
wrong = partial(Finding, "wrong")
Check: TypeAlias = Callable[[Surroundings], Finding]
Checks: TypeAlias = tuple[tuple[str, Check], ...]


def examine(surroundings: Surroundings, checks: Checks | None = None) -> list[Finding]:
    """Return what every check found, in the order of the list; a check that fails is a finding too."""
    return [_run(name, check, surroundings) for name, check in (checks or checks_for(surroundings))]


def checks_for(surroundings: Surroundings) -> Checks:
    """Return the checks that have something to look at."""
    file = STORE_FILE if surroundings.is_file else ()
    existing = EXISTING_STORE if surroundings.is_file and os.path.isfile(surroundings.file) else ()
    return (*STORE, *file, *existing, *PROCESS)


def _run(name: str, check: Check, surroundings: Surroundings) -> Finding:
    try:
        finding = check(surroundings)
    except StoreUnavailable as error:
        finding = wrong(error.what, error.way_out)
    except Exception as error:
        finding = warning(f"could not be checked: {type(error).__name__}: {error}")
    return replace(finding, check=name)


def store_place(s: Surroundings) -> Finding:
    """Where records go, and whether that can exist."""
    if s.settings.store is None:
        return ok("none: measurements leave by OpenTelemetry only, reports are not available")
    if s.settings.store == MEMORY:
        return ok("in memory: it ends with the process")
    if not s.is_file:
        return warning(f"{s.settings.store} is not a file; nothing more is checked here")
    try:
        is_directory = stat.S_ISDIR(s.file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return ok(f"{s.file}, made at the first start")
    except OSError as error:
        way_out = "let this user enter the directory (chmod or chown), or set OTEL_MEASURE_STORE"
        return wrong(f"{s.file} cannot be looked at: {error.strerror}", way_out)
    if is_directory:
        return wrong(f"{s.file} is a directory", "set OTEL_MEASURE_STORE to a file in it")
    return ok(f"{s.file}, exists")


def store_directory(s: Surroundings) -> Finding:
    """Whether the directory, or the nearest one above it that exists, may be written."""
    place = _existing(s.file.parent)
    if s.may_write(place):
        return ok(f"{place} may be written")
    return wrong(f"{place} may not be written by this user", f"chown or chmod {place}, or set OTEL_MEASURE_STORE")


def store_file_system(s: Surroundings) -> Finding:
    """Whether the locks of the file system can be trusted."""
    refuse_network_file_system(s.file, s.mounts())
    return ok("local")


def store_disk(s: Surroundings) -> Finding:
    """Whether the disk has room for what the store may grow to."""
    free, size = s.free_bytes(_existing(s.file.parent)), _size(s.file)
    bound = s.settings.store_max_bytes
    what = f"{_mib(free)} free; the store has {_mib(size)} and may grow to {_mib(bound)}"
    if free < _LEAST_FREE_BYTES:
        return wrong(what, "free disk space; until then records are refused, not lost silently")
    if size > 0.9 * bound:
        return warning(what, "raise store_max_bytes, or the oldest days go first")
    if free < bound - size:
        return warning(what, f"lower store_max_bytes below {_mib(size + free)}")
    return ok(what)


def store_integrity(s: Surroundings) -> Finding:
    """Whether the file opens and its pages agree with each other."""
    with _open(s) as connection:
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems == ["ok"]:
        return ok("opens; quick_check finds nothing")
    return wrong("; ".join(problems), "stop all writers, keep a copy, run `sqlite3 FILE .recover` or start a new store")


def store_journal(s: Surroundings) -> Finding:
    """Whether the write-ahead log is on and is emptied from time to time."""
    with _open(s) as connection:
        mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    wal = _size(Path(f"{s.file}-wal"))
    if mode != "wal":
        return warning(
            f"journal mode {mode}: readers and writers wait for each other",
            "start otel-measure once; it switches to the write-ahead log",
        )
    if wal > _LARGE_WAL_BYTES:
        return warning(
            f"the write-ahead log has {_mib(wal)}: a reader keeps it from being emptied",
            "look for a long-running query or an open sqlite3 shell, and end it",
        )
    return ok(f"write-ahead log, {_mib(wal)}")


def store_writable(s: Surroundings) -> Finding:
    """Whether a write would go through now."""
    with _open(s, "rw") as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    return ok("a transaction can begin")


def store_schema(s: Surroundings) -> Finding:
    """Whether this version of otel-measure knows the tables."""
    scripts = (entry.name for entry in (files("otel_measure.store") / "schema").iterdir())
    latest = max(int(name[:4]) for name in scripts if name.endswith(".sql"))
    with _open(s) as connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
    what = f"schema {version}, this otel-measure knows {latest}"
    if version > latest:
        return wrong(what, "upgrade otel-measure: pip install -U otel-measure")
    if version == 0 and tables:
        return wrong("the file has tables of another program", "set OTEL_MEASURE_STORE to a new file")
    return ok(what if version == latest else f"{what}; brought up to date at the next start")


def store_time_zone(s: Surroundings) -> Finding:
    """Whether the days of the store are those of the settings."""
    with _open(s) as connection:
        has_meta = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone()
        row = connection.execute("SELECT value FROM meta WHERE key = 'timezone'").fetchone() if has_meta else None
    wanted = s.settings.timezone
    if row is None or row[0] == wanted:
        return ok(f"days are those of {wanted}")
    return wrong(
        f"days are kept in {row[0]}, the settings say {wanted}",
        f"set OTEL_MEASURE_TIMEZONE={row[0]}, or run `otel-measure rebuild --timezone {wanted}`",
    )


@contextmanager
def _open(s: Surroundings, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    path = str(s.file)
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=1, isolation_level=None)
        with closing(connection):
            yield connection
    except sqlite3.Error as error:
        raise unavailable(path, error) from error


def _existing(directory: Path) -> Path:
    # What may not be looked at is as good as not there, here and below; `store_place` says that it may not.
    while not os.path.exists(directory) and directory != directory.parent:
        directory = directory.parent
    return directory


def _size(path: Path) -> int:
    return path.stat().st_size if os.path.exists(path) else 0


def _mib(n: int) -> str:
    return f"{n / _MIB:,.0f} MiB"


def port(s: Surroundings) -> Finding:
    """Whether `serve` could listen, or already does."""
    host, number = s.settings.host, s.settings.port
    try:
        listen(host, number, s.holder).close()
    except CannotListen as error:
        holder = s.holder(number)
        if holder is not None and "otel-measure" in holder.command:
            return ok(f"{host} port {number}: otel-measure is serving, {described(holder)}")
        what, _, way_out = str(error).partition("; ")
        return wrong(what, way_out)
    return ok(f"{host} port {number} is free")


def clock(s: Surroundings) -> Finding:
    """Whether the wall clock is plausible, runs evenly, and did not go back behind what was written."""
    wall, monotonic = s.wall_s(), s.monotonic_s()
    s.sleep(_CLOCK_WAIT_S)
    step = (s.wall_s() - wall) - (s.monotonic_s() - monotonic)
    if wall < _OLDEST_PLAUSIBLE_S:
        return wrong(f"the clock says {_utc(wall)}", "set the clock; run an NTP client")
    if abs(step) > _CLOCK_TOLERANCE_S:
        return warning(f"the clock just moved by {step:+.2f} s", "let the NTP client settle, look again")
    written = s.file.stat().st_mtime if s.is_file and os.path.exists(s.file) else wall
    if written > wall + 300:
        return wrong(
            f"the store was written at {_utc(written)}, and the clock says {_utc(wall)}",
            "the clock went back: set it; run an NTP client",
        )
    return ok(f"{_utc(wall)}, runs evenly")


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def time_zone_data(s: Surroundings) -> Finding:
    """Whether the rules of the time zone are here."""
    name = s.settings.timezone
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return wrong(f"no data for {name}", "install it: pip install tzdata")
    return ok(f"{name} is known")


def python_version(s: Surroundings) -> Finding:
    """Which Python this is."""
    return ok(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")


def sqlite_version(s: Surroundings) -> Finding:
    """Whether SQLite has what the schema uses."""
    version, needed = (".".join(map(str, v)) for v in (s.sqlite_version, _STRICT_TABLES))
    if s.sqlite_version >= _STRICT_TABLES:
        return ok(version)
    return wrong(f"{version} has no STRICT tables", f"use a Python with SQLite {needed} or newer")


def opentelemetry_versions(s: Surroundings) -> Finding:
    """Whether the OpenTelemetry packages are of one release: the others do not fit each other."""
    found = {name: s.version_of(name) for name in _SDK_PACKAGES}
    prometheus = s.version_of("opentelemetry-exporter-prometheus")
    what = ", ".join(f"{name.removeprefix('opentelemetry-')} {version}" for name, version in found.items())
    what += f", exporter-prometheus {prometheus}"
    if len(set(found.values())) == 1:
        return ok(what)
    newest = max(found.values(), key=lambda v: [int(part) for part in v.split(".") if part.isdigit()])
    pins = " ".join(f"{name}=={newest}" for name in found)
    return wrong(f"versions differ: {what}", f"pip install {pins}")


def opentelemetry_settings(s: Surroundings) -> Finding:
    """Whether OpenTelemetry's own variables take something away from us."""
    if s.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return warning(
            "OTEL_SDK_DISABLED=true: instruments record nothing; facts are stored",
            "unset it when metrics are to leave this process",
        )
    limits = [f"{name}={s.environ[name]}" for name in _CUTTING_LIMITS if s.environ.get(name)]
    if limits:
        return warning(
            f"{', '.join(limits)} may cut attributes of the events we send",
            "unset it, or accept it: the store itself is fed without these limits",
        )
    return ok("nothing stands in the way")


def application_views(s: Surroundings) -> Finding:
    """Whether Views of the application's own MeterProvider may drop or change our instruments."""
    provider = s.meter_provider()
    views = getattr(getattr(provider, "_sdk_config", None), "views", ())
    if views:
        return warning(
            f"the MeterProvider of the application has {len(views)} View(s)",
            "check that none of them matches gen_ai.*, system.* or otel_measure.*: a View wins over our buckets",
        )
    return ok("no View changes our instruments")


def otlp_endpoint(s: Surroundings) -> Finding:
    """Whether events are taken where they are sent to: asked with a request that holds none."""
    endpoint = s.settings.otlp_endpoint
    if endpoint is None:
        return ok("none: nothing is sent")
    parts = urlsplit(endpoint)
    host, number = parts.hostname or "", parts.port or _OTLP_PORTS[parts.scheme]
    if not s.can_connect(host, number):
        return wrong(
            f"nobody answers at {host} port {number}",
            "start the Collector there, or change OTEL_EXPORTER_OTLP_ENDPOINT; events wait in the store meanwhile",
        )
    answer = s.sends(endpoint, s.environ)
    if 200 <= answer.status < 300:
        return ok(f"{host} port {number} takes OTLP")
    if answer.status:
        said = f"{answer.status}: {said_by(answer.body)}".rstrip(": ")
        return wrong(f"{host} port {number} does not take OTLP over HTTP ({said})", way_out(answer.status))
    return wrong(
        f"{host} port {number} speaks no HTTP ({answer.why})",
        "OTLP/gRPC is not spoken: give the port of OTLP/HTTP (4318 at a Collector)",
    )


def price_table(s: Surroundings) -> Finding:
    """Whether calls of models that nobody gives a cost for have a price."""
    try:
        return ok(f"genai-prices {s.version_of('genai-prices')}")
    except metadata.PackageNotFoundError:
        return warning(
            "there is no price table: calls have a cost only where caller, provider or price_overrides says it",
            "pip install 'otel-measure[prices]'",
        )


STORE: Final[Checks] = (("store", store_place),)
STORE_FILE: Final[Checks] = (
    ("store directory", store_directory),
    ("store file system", store_file_system),
    ("store disk", store_disk),
)
EXISTING_STORE: Final[Checks] = (
    ("store integrity", store_integrity),
    ("store journal", store_journal),
    ("store writable", store_writable),
    ("store schema", store_schema),
    ("store time zone", store_time_zone),
)
PROCESS: Final[Checks] = (
    ("port", port),
    ("clock", clock),
    ("time zone data", time_zone_data),
    ("python", python_version),
    ("sqlite", sqlite_version),
    ("opentelemetry", opentelemetry_versions),
    ("opentelemetry settings", opentelemetry_settings),
    ("application views", application_views),
    ("otlp endpoint", otlp_endpoint),
    ("prices", price_table),
)
