"""Private names of OpenTelemetry: each is there, each works, and without it one thing is lost and nothing else."""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource

from otel_measure.telemetry import sdk_internals
from otel_measure.telemetry.sdk_internals import (
    INTERNALS,
    Collect,
    add_to_resource,
    endpoint_of,
    free_locks,
    in_memory_logger_provider,
    intercept_collect,
    leave_out,
    missing_internals,
    readers_of,
    renew_export,
    resource_of,
    views_of,
)
from tests.telemetry.seen import seen_by

ROOT = Path(__file__).resolve().parents[2]
LOGS = "opentelemetry.sdk._logs"
PLACE = "http://collector:4318/v1/metrics"
# Where a name is missing, and the rows of `INTERNALS` that stand on it.
STANDING_ON = {
    "_measurement_consumer": {
        "MeterProvider._measurement_consumer._reader_storages",
        "MetricReaderStorage._instrument_view_instrument_matches",
    },
    "_reader_storages": {
        "MeterProvider._measurement_consumer._reader_storages",
        "MetricReaderStorage._instrument_view_instrument_matches",
    },
    "_instrument_view_instrument_matches": {"MetricReaderStorage._instrument_view_instrument_matches"},
    "_sdk_config": {
        "MeterProvider._sdk_config.resource",
        "MeterProvider._sdk_config.views",
        "MeterProvider._update_resource",
    },
    "_update_resource": {"MeterProvider._update_resource"},
    "_exporter": {
        "PeriodicExportingMetricReader._exporter._endpoint",
        "PeriodicExportingMetricReader._export_lock, ._exporter",
    },
    "_endpoint": {"PeriodicExportingMetricReader._exporter._endpoint"},
    "_export_lock": {"PeriodicExportingMetricReader._export_lock, ._exporter"},
    "_collect": {"MetricReader._collect, ._set_collect_callback"},
    "_set_collect_callback": {"MetricReader._collect, ._set_collect_callback"},
    "_mappings_lock": {"ExponentMapping._mappings_lock, LogarithmMapping._mappings_lock, lock._at_fork_reinit"},
    "_at_fork_reinit": {"ExponentMapping._mappings_lock, LogarithmMapping._mappings_lock, lock._at_fork_reinit"},
    "_METER_PROVIDER_SET_ONCE": {"opentelemetry.metrics._internal._METER_PROVIDER_SET_ONCE"},
    "_LOGGER_PROVIDER_SET_ONCE": {"opentelemetry._logs._internal._LOGGER_PROVIDER_SET_ONCE"},
    "_TRACER_PROVIDER_SET_ONCE": {"opentelemetry.trace._TRACER_PROVIDER_SET_ONCE"},
    LOGS: {"opentelemetry._logs, opentelemetry.sdk._logs"},
}
# Takes names away, then does all that an application and its forked child do, and says what it has counted.
PROGRAM = """
import builtins, os, sys
store, *gone = sys.argv[1:]
for module in gone:
    if module.startswith("opentelemetry."):
        sys.modules[module] = None
from otel_measure.telemetry import sdk_internals
sdk_internals.getattr = lambda owner, name, *default: (
    default[0] if name in gone and default else builtins.getattr(owner, name, *default)
)
sdk_internals.hasattr = lambda owner, name: name not in gone and builtins.hasattr(owner, name)

import otel_measure
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from otel_measure.process import current
def call(times):
    for _ in range(times):
        otel_measure.get_ai_model_service().record_inference("m", "1", 5.0)
    assert otel_measure.flush()
otel_measure.configure(settings=otel_measure.Settings(store=store, service_name="shop", auto_instrument=True))
current().start()
current().telemetry.fault("streams")
metrics.get_meter("application").create_histogram("took").record(1.0)
call(2)
pid = os.fork()
if pid == 0:
    call(1)
    os._exit(0 if otel_measure.shutdown() else 1)
assert os.waitpid(pid, 0)[1] == 0
reader = InMemoryMetricReader()
theirs = MeterProvider([reader], shutdown_on_exit=False)
metrics.set_meter_provider(theirs)
call(1)
shown = {f.name: sum(s.value or s.count for s in f.samples) for f in current().exposition.families()}
print(shown["otel_measure.ai.inferences"], "system.memory.usage" in shown, shown["took"] >= 1)
assert otel_measure.shutdown()
theirs.shutdown()
"""


@pytest.fixture
def provider() -> Iterator[MeterProvider]:
    """A provider of the SDK."""
    made = MeterProvider([], Resource({"service.name": "shop"}), shutdown_on_exit=False)
    yield made
    made.shutdown()


def sending(endpoint: str = PLACE) -> PeriodicExportingMetricReader:
    """Return a reader that would send, and never reads by itself."""
    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint), math.inf)


# ---------------------------------------------------------------- each is there, and works


def test_the_installed_opentelemetry_has_them_all() -> None:
    """No name is missing, and no two rows say the same."""
    assert missing_internals() == []
    assert len({internal.names for internal in INTERNALS}) == len(INTERNALS)
    assert {name for names in STANDING_ON.values() for name in names} == {internal.names for internal in INTERNALS}


def test_every_reader_of_a_provider(provider: MeterProvider) -> None:
    """Whenever it was added, until it is removed."""
    first, second = InMemoryMetricReader(), sending()
    made_with = MeterProvider([first], shutdown_on_exit=False)
    assert readers_of(made_with) == (first,)
    made_with.shutdown()
    assert readers_of(provider) == ()
    provider.add_metric_reader(second)
    assert readers_of(provider) == (second,)
    provider.remove_metric_reader(second)
    assert readers_of(provider) == ()
    assert readers_of(object()) is None


def test_one_reader_leaves_an_instrument_out(provider: MeterProvider) -> None:
    """The others see it, and it sees the others."""
    deaf, hearing = InMemoryMetricReader(), InMemoryMetricReader()
    for reader in (deaf, hearing):
        provider.add_metric_reader(reader)
    meter = provider.get_meter("application")
    took, size = meter.create_histogram("took"), meter.create_histogram("size")
    assert leave_out(provider, deaf, took)
    took.record(1.0)
    size.record(1.0)
    assert (sorted(seen_by(deaf)), sorted(seen_by(hearing))) == (["size"], ["size", "took"])
    assert not leave_out(object(), deaf, took)


def test_the_resource_of_a_provider(provider: MeterProvider) -> None:
    """Can be read and added to; what is there already is not added again."""
    add_to_resource(provider, {"a": 1})
    add_to_resource(provider, {"a": 1})
    assert resource_of(provider) == {"service.name": "shop", "a": 1}
    assert resource_of(object()) == {}
    add_to_resource(object(), {"a": 1})


def test_the_views_of_a_provider(provider: MeterProvider) -> None:
    """None, or those that were given."""
    view = View(instrument_name="*")
    viewed = MeterProvider(views=[view], shutdown_on_exit=False)
    assert (views_of(provider), views_of(viewed), views_of(object())) == ((), (view,), ())
    viewed.shutdown()


def test_where_a_reader_sends_to() -> None:
    """Nowhere, or where its exporter does."""
    assert (endpoint_of(sending()), endpoint_of(InMemoryMetricReader()), endpoint_of(object())) == (PLACE, "", "")


def test_a_collection_can_be_intercepted(provider: MeterProvider) -> None:
    """What stands between sees every collection; before a reader has a provider there is none."""
    reader = InMemoryMetricReader()
    assert not intercept_collect(reader, lambda collect: collect)
    provider.add_metric_reader(reader)
    collections: list[object] = []

    def between(collect: Collect) -> Collect:
        def counted(reader: object, **given: object) -> MetricsData | None:
            collections.append(reader)
            return collect(reader, **given)

        return counted

    assert intercept_collect(reader, between)
    provider.get_meter("application").create_counter("jobs").add(1)
    assert [point.value for point in seen_by(reader)["jobs"]] == [1]
    assert collections == [reader]


def test_a_child_exports_by_itself() -> None:
    """By another exporter, and under a lock that is free."""
    reader = sending()
    reader._export_lock.acquire()
    exporter = OTLPMetricExporter(endpoint="http://elsewhere/v1/metrics")
    renew_export(reader, exporter)
    assert endpoint_of(reader) == "http://elsewhere/v1/metrics"
    assert reader._export_lock.acquire(blocking=False)


def test_locks_of_a_provider_are_freed(provider: MeterProvider) -> None:
    """Those below it and those that all share; `test_forks.py` shows it for a child of a real fork."""
    provider._measurement_consumer._lock.acquire()
    free_locks(provider)
    assert provider._measurement_consumer._lock.acquire(blocking=False)


def test_events_can_be_kept_in_memory() -> None:
    """For the tests of an application."""
    provider, emitted = in_memory_logger_provider()
    assert provider is not None
    sdk_internals.emit_event(provider.get_logger("application"), "click", 5, None, {"a": 1})
    (record,) = [kept.log_record for kept in emitted()]
    assert (record.event_name, record.timestamp, dict(record.attributes or {})) == ("click", 5, {"a": 1})
    provider.shutdown()


# ---------------------------------------------------------------- each may be gone


@pytest.mark.parametrize("gone", sorted(STANDING_ON))
def test_doctor_can_say_what_is_lost(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, the rows that stand on it are missing, and no others."""
    if gone == LOGS:
        monkeypatch.setattr(sdk_internals, "HAS_LOGS", False)
    monkeypatch.setattr(
        sdk_internals, "getattr", lambda o, n, *d: d[0] if n == gone and d else getattr(o, n, *d), raising=False
    )
    monkeypatch.setattr(sdk_internals, "hasattr", lambda o, n: n != gone and hasattr(o, n), raising=False)
    assert {internal.names for internal in missing_internals()} == STANDING_ON[gone]


# The API's own line, which an application sees wherever another provider was set before its own.
REFUSED = "Overriding of current MeterProvider is not allowed\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("gone", "logged"),
    [
        ([LOGS], ""),
        (["_reader_storages", "_export_lock", "_collect"], ""),
        (sorted(STANDING_ON), REFUSED),
    ],
    ids=["logs", "some", "all"],
)
def test_without_them_nothing_else_is_lost(gone: list[str], logged: str, tmp_path: Path) -> None:
    """Recording, reports, forks and the end are as before, and no line of ours is logged."""
    environ = {k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", PROGRAM, tmp_path / "x.db", *gone],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environ | {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"},
        timeout=60,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, logged, "4.0 True True\n")


def test_private_names_stand_in_one_module() -> None:
    """Elsewhere nothing private of OpenTelemetry is imported, and what imports it reaches for nothing private."""
    private = [
        f"{path.relative_to(ROOT)}: {name}"
        for package in ("otel_measure", "exporter")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "sdk_internals.py"
        for name in _private_names(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert private == []


def _private_names(module: ast.Module) -> Iterator[str]:
    nodes = list(ast.walk(module))
    imported = [
        *(f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names),
        *(alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names),
    ]
    of_theirs = [name for name in imported if name.startswith("opentelemetry.")]
    yield from (name for name in of_theirs if "._" in name)
    for node in nodes if of_theirs else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LOOKUPS:
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant) and _is_private(a.value))
        elif isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_own(node.value):
            yield ast.unparse(node)


def _is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.endswith("__") and name != "_replace"


def _is_own(owner: ast.expr) -> bool:
    return isinstance(owner, ast.Name) and owner.id in {"self", "cls"}


LOOKUPS = frozenset({"getattr", "hasattr", "setattr"})
