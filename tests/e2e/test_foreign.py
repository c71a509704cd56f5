"""Programs that know nothing of ours, measured because they speak OTLP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector import requires_javascript
from tests.components import free_port, requires_binary, requires_module, running
from tests.e2e.talking import PROGRAMS, Exporter, eventually, exporter

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
# gpt-4o and gpt-4o-mini, USD per million tokens in and out.
PRICES = {"gpt-4o": (2.5, 10.0), "gpt-4o-mini": (0.15, 0.6)}


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Exporter]:
    """A running exporter."""
    with exporter(free_port(), tmp_path / "central.db", tmp_path / "exporter.log") as started:
        yield started


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """A running server that speaks the OpenAI API."""
    port = free_port()
    with running([sys.executable, str(PROGRAMS / "openai_api.py"), str(port)], tmp_path / "api.log") as started:
        started.wait_http(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}/v1"


def chat(api: str, central: Exporter, calls: int, **env: str) -> None:
    """Run `chat.py` under the official instrumentation, with nothing of ours in it."""
    requires_module("opentelemetry.instrumentation.genai.openai", "opentelemetry-instrumentation-genai-openai")
    given = {
        "OTEL_SERVICE_NAME": "chatter",
        "OTEL_EXPORTER_OTLP_ENDPOINT": central.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        # Ours is installed here too; it plays no part.
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "otel_measure,system_metrics",
    }
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "opentelemetry-instrument"),
            *(sys.executable, str(PROGRAMS / "chat.py"), api, str(calls)),
        ],
        env={**os.environ, **given, **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "All is well.\n" * calls, "")


def check(central: Exporter, model: str, version: str, calls: int) -> None:
    """Assert that a model has appeared with calls of 100 tokens in and 20 out."""
    found = eventually(lambda: central.model(model), lambda m: m is not None and m["inference_count"] == calls, 60)
    assert (found["model_version"], found["inference_count"]) == (version, calls)
    cost, latency = found["cost"], found["latency"]
    assert (cost["input_tokens"], cost["output_tokens"], cost["priced_ratio"]) == (100 * calls, 20 * calls, 1.0)
    price_in, price_out = PRICES[model]
    assert cost["total_usd"] == pytest.approx(calls * (100 * price_in + 20 * price_out) / 1e6)
    assert latency["sample_count"] == calls
    assert latency["min_ms"] <= latency["p50_ms"] <= latency["p95_ms"] <= latency["max_ms"]
    assert 0 < latency["relative_error"] <= 1
    assert found["errors"]["count"] == 0


def test_the_openai_client_under_the_official_instrumentation(central: Exporter, api: str) -> None:
    """Pointed at us by environment variables alone it appears with p95, tokens and cost, streamed calls included."""
    chat(api, central, 10)
    check(central, "gpt-4o", "2024-08-06", 10)
    assert central.get("/ai/models")["models"][0]["cost"]["sources"] == {"table": 10}
    assert 20 <= central.model()["latency"]["p95_ms"] < 10_000
    assert central.value("gen_ai_client_operation_duration_seconds_count", service_name="chatter") == 10.0


def test_spans_count_where_no_metrics_come(central: Exporter, api: str) -> None:
    """At once, each with its own price and latency."""
    chat(api, central, 4, OTEL_METRICS_EXPORTER="none")
    found = eventually(central.model, lambda model: model is not None, 60)
    assert (found["inference_count"], found["cost"]["sources"]) == (4, {"table": 4})
    check(central, "gpt-4o", "2024-08-06", 4)


@pytest.mark.parametrize("encoding", ["http", "proto"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_another_language(central: Exporter, encoding: str, temporality: str) -> None:
    """The SDK of JavaScript, in both encodings and temporalities: a model, and a counter of its own."""
    requires_binary("node", "nodejs")
    sdk = str(requires_javascript())
    done = subprocess.run(
        ["node", str(PROGRAMS / "js" / "chat.cjs"), central.url, encoding, temporality, "gpt-4o-mini", "30"],
        env={**os.environ, "NODE_PATH": sdk},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check(central, "gpt-4o-mini", "2024-07-18", 30)
    assert central.value("web_pages_total", service_name="web") == 30.0


# ---------------------------------------------------------------- existing instrumentation in a process of ours


def test_a_hundred_calls_at_once_under_two_instrumentations(api: str) -> None:
    """The official one, our decorator, both and each alone, plain and streamed: 100 inferences, one cost each."""
    requires_module("opentelemetry.instrumentation.genai.openai", "opentelemetry-instrumentation-genai-openai")
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "hundred.py"), api], capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    price_in, price_out = PRICES["gpt-4o"]
    assert json.loads(done.stdout) == {
        "models": [["gpt-4o", "2024-08-06"]],
        "inferences": 100,
        "cost_usd": pytest.approx(100 * (100 * price_in + 20 * price_out) / 1e6),
        "priced_ratio": 1.0,
    }


def instrumented(api: str, calls: int, *, complaint: str = "", **env: str) -> None:
    """Run `chat.py` under `opentelemetry-instrument`, where this package is installed as well."""
    requires_module("opentelemetry.instrumentation.genai.openai", "opentelemetry-instrumentation-genai-openai")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "opentelemetry-instrument"),
            *(sys.executable, str(PROGRAMS / "chat.py"), api, str(calls)),
        ],
        env={**os.environ, "OTEL_SERVICE_NAME": "chatter", **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "All is well.\n" * calls)
    assert done.stderr == complaint or any(slow in done.stderr for slow in SLOW), done.stderr


# What our end says on a busy machine, and the SDK, which gives a collection no longer than the interval of its exports
# (200 ms here), and begins the first one then, be its reader registered or not.
SLOW = ("Metric collection timed out.", "until it is registered on a MeterProvider", "telemetry was not sent within")
NOTHING = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
NO_DISTRO = {
    "OTEL_PYTHON_CONFIGURATOR": "none",
    "complaint": "Configuration of configurator not loaded because none is set by OTEL_PYTHON_CONFIGURATOR\n",
}


def test_opentelemetry_instrument_measures_without_code(api: str, tmp_path: Path) -> None:
    """Where this package is installed, `opentelemetry-instrument python app.py` is all there is to do."""
    store = tmp_path / "measure.db"
    instrumented(api, 6, **NOTHING, OTEL_MEASURE_STORE=str(store))
    with exporter(free_port(), store, tmp_path / "exporter.log") as local:
        check(local, "gpt-4o", "2024-08-06", 6)
        assert local.get("/ai/models?service=chatter")["total_inferences"] == 6


@pytest.mark.parametrize(
    "sends",
    [
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, id="the distro sends as well"),
        pytest.param(NOTHING, id="the distro sends nothing"),
        pytest.param(NO_DISTRO, id="no distro"),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_without_code_and_sent_on(
    central: Exporter, api: str, tmp_path: Path, sends: dict[str, str], shared: bool
) -> None:
    """Whoever else sends to the same place: each call once in the program's own store, and once in the central one."""
    store = tmp_path / ("central.db" if shared else "own.db")
    for _ in range(2):
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": central.url, "OTEL_MEASURE_STORE": str(store)}
        instrumented(api, 5, **sends, **given, OTEL_METRIC_EXPORT_INTERVAL="200")
    check(central, "gpt-4o", "2024-08-06", 10)
    time.sleep(6)  # signals are compared every 5 s
    check(central, "gpt-4o", "2024-08-06", 10)
    assert central.value("otel_measure_ai_inferences_total", service_name="chatter") == 10.0
    if not shared:
        with exporter(free_port(), store, tmp_path / "own.log") as local:
            check(local, "gpt-4o", "2024-08-06", 10)
