"""Several real processes on one store: nothing is lost, nothing counted twice, counters never fall."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from opentelemetry.sdk.metrics import MeterProvider

from otel_measure.config import Settings
from otel_measure.definitions.exposition import Family
from otel_measure.runtime import Runtime
from otel_measure.telemetry import Providers
from otel_measure.testing import Capture

ROOT = Path(__file__).resolve().parents[3]
BATCH = 250
# Sends 2,500 inferences and events under ids of its own, 250 a batch, and says what was acknowledged.
WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from otel_measure.errors import StoreUnavailable
from otel_measure.store.sqlite import SqliteStore
from tests.facts import SECOND, NOON, event, inference
path, worker, dies_after = sys.argv[2], sys.argv[3], int(sys.argv[4])
store = SqliteStore(path)
for first in range(0, 2500, 250):
    batch = []
    for n in range(first, first + 250):
        batch.append(inference(f"{worker}-i{n}", NOON - n * SECOND, cost_usd=0.001, input_tokens=3, output_tokens=1))
        batch.append(event(f"{worker}-e{n}", f"u{n % 500}", NOON - n * SECOND))
    while True:
        try:
            store.accept(batch)
            break
        except StoreUnavailable:  # the others held the lock for long: tried again, as a recorder does
            pass
    print(first, flush=True)
    if first == dies_after:
        sys.stdin.readline()  # stands still until it is killed
store.close()
"""


def start(store: Path, worker: str, dies_after: int = -1) -> subprocess.Popen[str]:
    """Start a worker."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(ROOT), str(store), worker, str(dies_after)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def counters(families: list[Family]) -> dict[tuple[str, str], float]:
    """Return every counter sample."""
    return {(f.name, s.labels): s.value for f in families if f.kind == "counter" for s in f.samples}


def test_four_processes_one_of_them_killed(tmp_path: Path) -> None:
    """They open a new store at once; one is killed and begins again from its start with the same ids."""
    store = tmp_path / "x.db"
    workers = {name: start(store, name, 1000 if name == "d" else -1) for name in "abcd"}
    victim = workers["d"]
    assert victim.stdout is not None
    acknowledged = [int(victim.stdout.readline()) for _ in range(5)]
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    again = start(store, "d")
    for worker in (workers["a"], workers["b"], workers["c"], again):
        out, _ = worker.communicate(timeout=240)
        assert (worker.returncode, out.split()) == (0, [str(n) for n in range(0, 2500, BATCH)])
    assert acknowledged == [0, 250, 500, 750, 1000]

    with Capture(Settings(store=str(store))) as reader:
        found = reader.ai.list_models().models[0]
        families = reader.families()
        active = reader.users.get_engagement_metrics().dau
    totals = {name: (sum(s.value for s in f.samples), sum(s.count for s in f.samples)) for name, f in families.items()}
    assert (found.inference_count, found.cost.total_usd, active) == (10_000, 10.0, 500)
    assert (found.cost.input_tokens, found.cost.output_tokens, found.latency.sample_count) == (30_000, 10_000, 10_000)
    assert totals["otel_measure.ai.inferences"] == (10_000, 0)
    assert totals["otel_measure.ai.cost.usd"] == (10.0, 0)
    assert totals["otel_measure.ai.tokens"] == (40_000, 0)
    assert totals["otel_measure.users.events"] == (10_000, 0)
    assert totals["gen_ai.client.operation.duration"] == (1000.0, 10_000)


# Makes, together with others, one store after the other; opening each, and its end, is for all at the same time.
OPENER = """
import sys
from pathlib import Path
from otel_measure.store.sqlite import SqliteStore
from otel_measure.store.sqlite.spool import SqliteSpool
make = {"store": SqliteStore, "spool": lambda path: SqliteSpool(Path(path), 10**6)}[sys.argv[1]]
for line in sys.stdin:
    try:
        make(line.strip()).close()
        print("made", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


@pytest.mark.parametrize("kind", ["store", "spool"])
def test_processes_that_create_a_file_together(kind: str, tmp_path: Path) -> None:
    """Whoever comes second waits: the switch to write-ahead logging and the schema happen once."""
    command = [sys.executable, "-c", OPENER, kind]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)
    ]
    told = []
    for number in range(20):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path}/{number}.db\n")
            process.stdin.flush()
        for process in processes:
            assert process.stdout is not None
            told.append(process.stdout.readline().strip())
    for process in processes:
        process.communicate(timeout=60)
    assert told == ["made"] * 80


# Records, shows what /metrics would show as JSON, and ends.
APPLICATION = """
import sys
import msgspec
from opentelemetry import metrics
from otel_measure.config import Settings
from otel_measure.runtime import Runtime
runtime = Runtime(Settings(store=sys.argv[1], service_name="shop"), host="this host")
runtime.start(background=False)
runtime.sampler.sample()
runtime.ai.record_inference("m", "1", 5.0, cost_usd=0.01)
runtime.users.track_event("u", "click", "x")
own = metrics.get_meter("application").create_counter("jobs", "{job}", "Jobs done.")
own.add(3)
found = runtime.exposition.families()
runtime.shutdown()
sys.stdout.buffer.write(msgspec.json.encode(found))
"""


def test_counters_do_not_fall_over_restarts(tmp_path: Path) -> None:
    """Own counters add over processes past and present; the host's are those of the host, however many looked."""
    shown: list[list[Family]] = []
    for _ in range(4):
        run = subprocess.run(
            [sys.executable, "-c", APPLICATION, str(tmp_path / "x.db")], capture_output=True, cwd=ROOT, check=True
        )
        shown.append(msgspec.json.decode(run.stdout, type=list[Family]))
    for before, after in zip(map(counters, shown), map(counters, shown[1:]), strict=False):
        fallen = {key: (value, after.get(key)) for key, value in before.items() if after.get(key, -1.0) < value}
        assert fallen == {}
    named = {family.name: family for family in shown[-1]}
    assert [sample.value for sample in named["jobs"].samples] == [12]
    assert [sample.value for sample in named["otel_measure.ai.inferences"].samples] == [4]
    assert [sample.value for sample in named["otel_measure.users.events"].samples] == [4]
    accepted = [s.value for s in named["otel_measure.self.records"].samples if 'kind="inference"' in s.labels]
    assert accepted == [4]
    cpu = psutil.cpu_times()
    host = sum(sample.value for sample in named["system.cpu.time"].samples)
    assert host == pytest.approx(sum(cpu) - getattr(cpu, "guest", 0) - getattr(cpu, "guest_nice", 0), rel=0.01)


def test_the_host_is_not_multiplied_by_its_processes(tmp_path: Path) -> None:
    """Two runtimes on one store and host: the same series as one, with the last reading."""
    settings = Settings(store=str(tmp_path / "x.db"))
    runtimes = [
        Runtime(settings, host="this host", raise_faults=True, providers=Providers(MeterProvider())) for _ in range(2)
    ]
    for runtime in runtimes:
        runtime.start(background=False)
    try:
        shown = []
        for runtime in (*runtimes, runtimes[0]):
            runtime.sampler.sample()
            shown.append({f.name: f for f in runtime.exposition.families("infrastructure")})
    finally:
        for runtime in runtimes:
            runtime.shutdown()
    for name in ("system.cpu.time", "system.memory.usage", "system.cpu.logical.count"):
        labels = [[sample.labels for sample in found[name].samples] for found in shown]
        assert labels[0] == labels[1] == labels[2]
    (used,) = (s.value for s in shown[-1]["system.memory.usage"].samples if 'state="used"' in s.labels)
    assert used == runtimes[0].sampler.latest().now.memory.used
    processes = [s.labels for s in shown[-1]["process.thread.count"].samples]
    assert len(processes) == len(set(processes)) == 2
