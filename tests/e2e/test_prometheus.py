"""A real Prometheus reads what a real exporter serves."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.components import Running, RunProcess, free_port, requires_binary, wait_http
from tests.e2e.talking import eventually
from tests.waiting import until

pytestmark = pytest.mark.e2e
BUCKETS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
# Names that the OpenTelemetry conventions chose and promtool's lint does not like.
ALLOWED_LINT = (
    'non-histogram and non-summary metrics should not have "_count" suffix',
    'non-histogram and non-summary metrics should not have "_sum" suffix',
    "metric names should not contain abbreviated units",
)


def post(url: str, body: object) -> object:
    """Return the JSON answer to a JSON body."""
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def serve(run_process: RunProcess, tmp_path: Path) -> str:
    """Start an exporter over the store of this test and return its URL once it is ready."""
    port = free_port()
    server = run_process(
        *(sys.executable, "-m", "exporter.cli", "serve", "--port", str(port), "--store", str(tmp_path / "measure.db"))
    )
    url = f"http://127.0.0.1:{port}"
    server.wait_http(f"{url}/readyz", 30)
    return url


def test_prometheus_scrapes_and_computes_the_p95(run_process: RunProcess, tmp_path: Path) -> None:
    """`promtool check metrics` objects to allowed names only, and PromQL's p95 is within a bucket of exact."""
    prometheus = requires_binary("prometheus", "prometheus")
    promtool = requires_binary("promtool", "prometheus")
    url = serve(run_process, tmp_path)
    draw = random.Random(7)
    latencies = [draw.lognormvariate(5, 0.8) for _ in range(2000)]
    name = 'a/b "c"\nd é'

    def send(part: list[float]) -> None:
        inferences = [
            {"model_name": name, "model_version": "1", "latency_ms": ms, "input_tokens": 10, "output_tokens": 20}
            for ms in part
        ]
        post(f"{url}/api/v1/metrics/ai/inferences/batch", {"inferences": inferences})

    send(latencies[:1000])
    send(latencies[1000:])
    exposition = wait_http(f"{url}/metrics")
    lint = subprocess.run([promtool, "check", "metrics"], input=exposition, capture_output=True, check=False)
    objections = [line for line in lint.stderr.decode().splitlines() if not any(a in line for a in ALLOWED_LINT)]
    assert objections == []

    port = free_port()
    config = tmp_path / "prometheus.yml"
    host = url.removeprefix("http://")
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        "  - job_name: seed\n"
        "    metrics_path: /api/v1/metrics/infrastructure/prometheus\n"
        f"    static_configs: [{{targets: ['{host}']}}]\n"
    )
    data = tmp_path / "tsdb"
    server = run_process(
        prometheus,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    server.wait_http(f"http://127.0.0.1:{port}/-/ready", 30)

    def query(promql: str) -> list[float]:
        address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(promql)}"
        found = json.loads(wait_http(address))["data"]["result"]
        return [float(series["value"][1]) for series in found]

    for _ in range(100):
        if query("gen_ai_client_operation_duration_seconds_count") == [2000.0]:
            break
        wait_http(f"{url}/healthz")
        subprocess.run(["sleep", "0.2"], check=True)
    p95 = query("histogram_quantile(0.95, sum by (le) (gen_ai_client_operation_duration_seconds_bucket))")
    exact = sorted(latencies)[1899] / 1000
    edges = (0.0, *BUCKETS_S)
    bucket = next(i for i, edge in enumerate(edges) if exact <= edge)
    assert len(p95) == 1
    assert edges[max(bucket - 2, 0)] <= p95[0] <= edges[min(bucket + 1, len(edges) - 1)]
    assert query("sum(otel_measure_ai_tokens_total)") == [2000 * 30.0]
    assert query('up{job="seed"}') == [1.0]
    shutil.rmtree(data, ignore_errors=True)


def cpu_seconds() -> float:
    """Return the CPU time of the host by psutil, each second once."""
    times = psutil.cpu_times()
    return float(sum(times) - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))


def test_host_figures_are_those_of_psutil(run_process: RunProcess, tmp_path: Path) -> None:
    """CPU time and memory in /metrics equal psutil's (memory within 1 %), not multiplied by processes or restarts."""
    serve(run_process, tmp_path)
    before = cpu_seconds()
    url = serve(run_process, tmp_path)

    def samples() -> list[Sample]:
        families = text_string_to_metric_families(wait_http(f"{url}/metrics").decode())
        return [sample for family in families for sample in family.samples]

    def memory_is_that_of_psutil() -> bool:
        shown = {s.labels["system_memory_state"]: s.value for s in samples() if s.name == "system_memory_usage_bytes"}
        now = psutil.virtual_memory()
        assert set(shown) >= {"used", "free", "cached", "buffers"}
        return shown == pytest.approx({state: getattr(now, state) for state in shown}, abs=0.01 * now.total)

    cpu = sum(s.value for s in samples() if s.name == "system_cpu_time_seconds_total")
    assert before - 1 <= cpu <= cpu_seconds() + 1
    until(memory_is_that_of_psutil)  # other processes take and give back memory between the two readings


def test_no_counter_of_pushing_processes_goes_backwards(run_process: RunProcess, tmp_path: Path) -> None:
    """Three processes, each killed and started again under the same name: three series, and no reset."""
    prometheus = requires_binary("prometheus", "prometheus")
    url = serve(run_process, tmp_path)
    port = free_port()
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 500ms}\n"
        f"scrape_configs: [{{job_name: ours, static_configs: [{{targets: ['{url.removeprefix('http://')}']}}]}}]\n"
    )
    server = run_process(
        *(prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}"),
        f"--web.listen-address=127.0.0.1:{port}",
    )
    server.wait_http(f"http://127.0.0.1:{port}/-/ready", 30)

    def query(promql: str) -> list[dict[str, Any]]:
        address = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(promql)}"
        return list(json.loads(wait_http(address))["data"]["result"])

    def value(promql: str) -> float:
        return sum(float(series["value"][1]) for series in query(promql))

    def start(name: str) -> Running:
        return run_process(
            *(sys.executable, str(Path(__file__).parent / "programs" / "pusher.py"), url),
            OTEL_SERVICE_NAME="pusher",
            OTEL_RESOURCE_ATTRIBUTES=f"service.instance.id={name}",
        )

    started = {name: start(name) for name in ("a", "b", "c")}
    for _ in range(2):
        before = value("sum(work_done_total)")
        assert eventually(lambda: value("sum(work_done_total)"), lambda n, b=before: n > b + 200) > before + 200  # type: ignore[misc]
        for name, process in started.items():
            process.process.kill()
            process.process.wait(10)
            started[name] = start(name)
    before = value("sum(work_done_total)")
    assert eventually(lambda: value("sum(work_done_total)"), lambda n: n > before + 200) > before + 200
    names = ("work_done_total", "work_took_seconds_count", "work_took_seconds_sum", "work_took_seconds_bucket")
    for name in names:
        found = query(f"{name}[5m]")
        by_instance = {series["metric"]["service_instance_id"] for series in found}
        assert by_instance == {"a", "b", "c"}
        for series in found:
            values = [float(text) for _, text in series["values"]]
            assert values == sorted(values), series["metric"]
    assert len(query("work_done_total")) == 3
    assert value("max(resets(work_done_total[5m]))") == 0
    assert value('count(up{job="ours"} == 1)') == 1
