"""P15, P12: what is asked of 10,000 models, in CPU time: KPIs, alerts, dashboard, exposition, series, single calls."""

from __future__ import annotations

import tempfile
from pathlib import Path

from starlette.testclient import TestClient

from benchmarks.report import Row, best, seconds
from benchmarks.workload import START_US, Workload
from exporter.app import create_app
from exporter.http.types import API
from otel_measure.config import Settings
from otel_measure.definitions.windows import HOUR_US
from otel_measure.runtime import Runtime

MODELS = 10_000
BETWEEN_US = 15_000_000
BUDGET_S = 1.0
SERIES_BUDGET_MS = 50
PATHS = {"/kpis": f"{API}/kpis", "/alerts": f"{API}/alerts", "/dashboard": f"{API}/dashboard", "/metrics": "/metrics"}


def rows(_: int) -> list[Row]:
    """Fill a store with two calls of each model on one day, and ask for everything, again after one more call."""
    now = [START_US + 24 * HOUR_US]
    workload = Workload()
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Settings(store=str(Path(folder) / "measure.db")), clock=lambda: now[0])
        for start_us in (START_US + 20 * HOUR_US, START_US + 22 * HOUR_US):
            each = [workload.inference_of(f"model-{n}", start_us + n * HOUR_US // MODELS) for n in range(MODELS)]
            for first in range(0, MODELS, 1000):
                runtime.recorder.commit(each[first : first + 1000])
        app = create_app(runtime=runtime)
        with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50000)) as client:

            def ask(path: str) -> float:
                return seconds(lambda: client.get(path).raise_for_status(), cpu=True)

            def ask_later(path: str) -> float:
                now[0] += BETWEEN_US
                runtime.recorder.commit([workload.inference_of("model-7", now[0])])
                return ask(path)

            at_first = ask(PATHS["/kpis"])
            measured = [Row("P15", f"/kpis, {MODELS:,} models, nothing kept yet", at_first, None, 4 * BUDGET_S, "s")]
            for name, path in PATHS.items():
                later = best(lambda path=path: ask_later(path), 5)  # type: ignore[misc]
                measured.append(Row("P15", f"{name}, {MODELS:,} models, a call later", later, None, BUDGET_S, "s"))
            for query in ("series", "series?group_by=model", "errors", "calls", "calls?sort=cost"):
                ask(f"{API}/ai/{query}")
                took = best(lambda query=query: ask_later(f"{API}/ai/{query}"), 5) * 1000  # type: ignore[misc]
                what = f"/ai/{query}, {MODELS:,} models, a call later"
                measured.append(Row("P12", what, took, None, SERIES_BUDGET_MS, "ms"))
        runtime.shutdown()
    return measured
