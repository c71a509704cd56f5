"""The table of instruments: complete, consistent, and the same as the released conventions."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

import pytest

from otel_measure.conventions import instruments, semconv
from otel_measure.conventions.instruments import INSTRUMENTS, Instrument

CONVENTION_MODULES = ("system", "process", "container", "gen_ai", "http")
DOCUMENTED = """
gen_ai.client.operation.duration gen_ai.client.token.usage gen_ai.client.operation.time_to_first_chunk
gen_ai.client.operation.time_per_output_chunk otel_measure.ai.inference.cost.usd otel_measure.ai.tokens
otel_measure.ai.evaluation.score otel_measure.ai.evaluations
otel_measure.ai.cost.usd otel_measure.ai.inferences otel_measure.ai.accuracy.ratio otel_measure.ai.drift.score
otel_measure.ai.health.score otel_measure.ai.data_quality.ratio
system.cpu.time system.cpu.utilization system.cpu.logical.count system.memory.usage system.memory.utilization
system.memory.limit system.paging.usage system.paging.utilization system.paging.faults system.disk.io
system.disk.operations system.disk.io_time system.filesystem.usage system.filesystem.utilization system.network.io
system.network.packet.count system.network.packet.dropped system.network.errors system.network.connection.count
system.uptime process.cpu.time process.cpu.utilization process.memory.usage process.memory.virtual
process.thread.count process.unix.file_descriptor.count container.cpu.time container.memory.usage
container.memory.available container.memory.working_set otel_measure.container.cpu.limit
otel_measure.container.cpu.limit.utilization.ratio otel_measure.container.memory.limit
otel_measure.container.memory.limit.utilization.ratio otel_measure.container.cpu.throttled.time
otel_measure.container.oom.kills otel_measure.system.load_average otel_measure.process.event_loop.lag
otel_measure.service.up otel_measure.service.state.time otel_measure.service.incidents
otel_measure.service.availability.ratio otel_measure.service.coverage.ratio
otel_measure.service.objective.ratio
otel_measure.service.error_budget.remaining.ratio otel_measure.users.active otel_measure.users.stickiness.ratio
otel_measure.users.conversion.ratio otel_measure.users.retention.ratio otel_measure.users.bounce.ratio
otel_measure.users.nps.score otel_measure.users.nps.responses otel_measure.users.events
otel_measure.experiment.users otel_measure.experiment.conversion.ratio otel_measure.experiment.p_value
otel_measure.experiment.sample_ratio.p_value otel_measure.self.received otel_measure.self.records
otel_measure.self.queue.length otel_measure.self.commit.duration otel_measure.self.overflow.attribute_sets
otel_measure.self.sent otel_measure.self.outbox.length otel_measure.self.spool.length otel_measure.self.errors
otel_measure.alert otel_measure.alert.last_evaluation.timestamp http.server.request.duration
"""


def conventions() -> dict[str, str]:
    """Name to instrument factory of every metric in the released conventions."""
    found: dict[str, str] = {}
    for area in CONVENTION_MODULES:
        module = importlib.import_module(f"opentelemetry.semconv._incubating.metrics.{area}_metrics")
        found |= {v: f"create_{k.lower()}" for k, v in vars(module).items() if isinstance(v, str) and k.isupper()}
    return found


class RecordingMeter:
    """Notes what the convention's own factory asks a meter for."""

    def __getattr__(self, method: str) -> Callable[..., tuple[str, str]]:
        return lambda name, unit, description="", callbacks=None: (method, unit)


def test_every_documented_metric_is_here_and_no_other() -> None:
    """The table holds the metrics that the conventions page lists, each once, in its order."""
    assert sorted(i.name for i in INSTRUMENTS) == sorted(DOCUMENTED.split())
    assert list(instruments.BY_NAME) == [i.name for i in INSTRUMENTS]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_constant_is_named_like_its_metric(instrument: Instrument) -> None:
    """A metric's constant is its name in capitals with underscores."""
    assert getattr(instruments, instrument.name.upper().replace(".", "_")) is instrument


@pytest.mark.parametrize("instrument", [i for i in INSTRUMENTS if i.name in conventions()], ids=lambda i: i.name)
def test_kind_and_unit_are_those_of_the_released_conventions(instrument: Instrument) -> None:
    """What the conventions define has their instrument kind and unit."""
    area = instrument.name.split(".")[0]
    module = importlib.import_module(f"opentelemetry.semconv._incubating.metrics.{area}_metrics")
    factory = getattr(module, conventions()[instrument.name])
    takes_callbacks = factory.__code__.co_argcount == 2
    method, unit = factory(RecordingMeter(), *([[]] if takes_callbacks else []))
    kind = method.removeprefix("create_").removeprefix("observable_").replace("_", "")
    assert (instrument.kind, instrument.unit) == (kind, unit)


def test_only_our_own_metrics_are_missing_from_the_conventions() -> None:
    """A name that is not ours is one of the conventions' released names."""
    strangers = [i.name for i in INSTRUMENTS if not i.name.startswith("otel_measure.") and i.name not in conventions()]
    assert strangers == []


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_instrument_keeps_the_rules(instrument: Instrument) -> None:
    """A description is one sentence; buckets ascend and belong to histograms; seconds and USD have a fine grid."""
    assert re.fullmatch(r"[A-Z][^.]*\.", instrument.description)
    assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", instrument.name)
    assert bool(instrument.buckets) == (instrument.kind == "histogram")
    assert list(instrument.buckets) == sorted(set(instrument.buckets))
    assert instrument.units_per_value == {"s": 10**6, "{USD}": 10**9, "{score}": 10**6}.get(instrument.unit, 1)
    assert instrument.observable or instrument.kind in ("histogram", "counter")
    assert instrument.scope in (
        semconv.SCOPE_AI,
        semconv.SCOPE_INFRASTRUCTURE,
        semconv.SCOPE_USERS,
        semconv.SCOPE_HTTP,
        semconv.SCOPE_SELF,
    )


def test_unit_one_gauges_of_ours_are_named_ratio_and_nothing_else_is() -> None:
    """The Collector's ``_ratio`` suffix and the Python exporter agree because the name has it already."""
    ours = [i for i in INSTRUMENTS if i.name.startswith("otel_measure.")]
    assert [i.name for i in ours if (i.unit == "1") != i.name.endswith(".ratio")] == []


def test_no_two_metrics_share_a_prometheus_name() -> None:
    """``a.b`` and ``a_b`` would become one series twice."""
    flat = [i.name.replace(".", "_") for i in INSTRUMENTS]
    assert len(set(flat)) == len(flat)


def test_buckets_are_the_documented_series() -> None:
    """Durations double from 10 ms, tokens quadruple from 1, agents double from 0.1 s, cost grows by the root of 10."""
    assert pytest.approx([0.01 * 2**k for k in range(14)]) == list(instruments.BUCKETS_DURATION)
    assert list(instruments.BUCKETS_TOKENS) == [4**k for k in range(14)]
    assert pytest.approx([0.1 * 2**k for k in range(13)]) == list(instruments.BUCKETS_AGENT_DURATION)
    assert pytest.approx([1e-5 * 10 ** (k / 2) for k in range(13)], rel=1e-3) == list(instruments.BUCKETS_COST_USD)
